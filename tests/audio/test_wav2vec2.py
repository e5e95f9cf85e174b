"""The wav2vec2 network: reference values, key layouts, memory-bounding blocks."""

from dataclasses import replace

import pytest
import torch

from lipforcing.audio import wav2vec2 as module
from lipforcing.audio.wav2vec2 import Wav2Vec2, Wav2Vec2Config, encoder_state_dict, normalise

SMALL = Wav2Vec2Config(width=16, layers=2, heads=2, feed_forward=24, conv_channels=(8,) * 7, position_groups=4)


def config_of(golden) -> Wav2Vec2Config:
    hf = golden.meta["hf_config"]
    return Wav2Vec2Config(
        width=hf["hidden_size"],
        layers=hf["num_hidden_layers"],
        heads=hf["num_attention_heads"],
        feed_forward=hf["intermediate_size"],
        conv_channels=tuple(hf["conv_dim"]),
        conv_kernels=tuple(hf["conv_kernel"]),
        conv_strides=tuple(hf["conv_stride"]),
        position_kernel=hf["num_conv_pos_embeddings"],
        position_groups=hf["num_conv_pos_embedding_groups"],
        eps=hf["layer_norm_eps"],
    )


@pytest.fixture(scope="module")
def small() -> Wav2Vec2:
    torch.manual_seed(4)
    return Wav2Vec2(SMALL).eval()


def loudness_varied(frames: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(6)
    level = torch.rand(frames, 1, generator=generator)
    return (0.3 * level * torch.randn(frames, 640, generator=generator)).flatten()


def test_golden(golden, parity):
    g = golden("wav2vec_features")
    model = Wav2Vec2(config_of(g)).eval()
    model.load_state_dict(encoder_state_dict(g.group("weights")))
    parity("wav2vec_features", "normalised", normalise(g["inputs/waveform"])[None], g["debug/normalized"], 2e-5)
    cases = sorted({name.split("/")[0] for name in g.tensors if name.startswith("case")})
    assert cases
    for case in cases:
        samples = g[f"{case}/input_values"][0]
        norm = model.feature_extractor.norm_of_recording(samples)
        convolved = torch.cat(list(model.feature_extractor(samples, norm)))
        expected = g[f"{case}/debug_conv_features"][0, ::2]
        parity("wav2vec_features", "convolutions", convolved, expected, 2e-5)
        rows = model(samples)
        states = rows.unflatten(1, (-1, model.config.width))[:, 1:].transpose(0, 1)[:, None]
        parity("wav2vec_features", "hidden states", states, g[f"{case}/debug_hidden_states"], 2e-5)
        parity("wav2vec_features", "rows", rows[None], g[f"{case}/features"], 2e-5)


def test_key_layouts(golden):
    g = golden("wav2vec_features")
    published = g.group("weights")
    aliases = g.meta["weight_norm_aliases"]
    renamed = {aliases.get(key, key.removeprefix("wav2vec2.")): value for key, value in published.items()}
    renamed["lm_head.weight"] = torch.zeros(2, 2)
    reference = encoder_state_dict(published)
    other = encoder_state_dict(renamed)
    assert reference.keys() == other.keys() == Wav2Vec2(config_of(g)).state_dict().keys()
    assert all(torch.equal(reference[key], other[key]) for key in reference)
    assert encoder_state_dict(reference).keys() == reference.keys()


def test_published_size():
    with torch.device("meta"):
        model = Wav2Vec2(Wav2Vec2Config.base_960h())
    assert model.feature_dim == 10_752 and model.config.receptive_field == 400
    # What no shape shows; a wrong epsilon stays below the golden set's limit.
    assert (model.config.eps, model.config.heads, model.config.conv_strides) == (1e-5, 12, (5, 2, 2, 2, 2, 2, 2))
    # transformers: 94_371_712 with masked_spec_embed (768) and the weight norm's 128 lengths.
    assert sum(value.numel() for value in model.parameters()) == 94_371_712 - 768 - 128


@torch.no_grad()
def test_blocks_do_not_matter(small, monkeypatch):
    samples = normalise(loudness_varied(33))
    whole = small(samples)
    for size in ("BLOCK", "ROWS"):
        monkeypatch.setattr(module, size, 7)
        torch.testing.assert_close(small(samples), whole, rtol=0, atol=2e-6)


@torch.no_grad()
def test_group_norm_sees_the_whole_recording(small):
    first, layer = normalise(loudness_varied(30)), small.feature_extractor.conv_layers[0]
    expected = layer.layer_norm(layer(first[None, None]))[0, :, :79]
    scale, shift = small.feature_extractor.norm_of_recording(first)
    torch.testing.assert_close(layer(first[None, None, :400])[0] * scale + shift, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_group_norm_of_samples_at_any_level(small):
    """Normalising the samples is the same as telling the norm their power, down to very quiet ones."""
    for level in (1e-3, 0.1):
        waveform, convolutions = level * loudness_varied(10), small.feature_extractor
        samples = (waveform - waveform.mean()) / torch.sqrt(waveform.var(correction=0) + module.NORMALISE_EPS)
        expected = torch.cat(list(convolutions(samples, convolutions.norm_of_recording(samples))))
        x = convolutions.conv_layers[0](waveform[None, None])[0]
        power = waveform.var(correction=0) + module.NORMALISE_EPS
        norm = convolutions.norm(x.mean(1), x.var(1, correction=0), power)
        torch.testing.assert_close(torch.cat(list(convolutions(waveform, norm))), expected, rtol=0, atol=1e-4)


def test_layers_come_from_the_given_namespace():
    class Counting:
        made = 0

        def __getattr__(self, name):
            Counting.made += 1
            return getattr(torch.nn, name)

    model = Wav2Vec2(replace(SMALL, layers=1), operations=Counting())
    owners = {key.rsplit(".", 1)[0] for key in model.state_dict()}
    assert Counting.made == len(owners)
