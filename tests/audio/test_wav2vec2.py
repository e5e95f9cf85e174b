"""wav2vec2 features: reference values, key layouts, windows, memory-bounding blocks."""

from dataclasses import replace

import pytest
import torch

from lipforcing.audio import wav2vec2 as module
from lipforcing.audio.wav2vec2 import Wav2Vec2, Wav2Vec2Config, attention_windows, encoder_state_dict, normalise

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
    waveform = g["inputs/waveform"]
    parity("wav2vec_features", "normalised", normalise(waveform)[None], g["debug/normalized"], 2e-5)
    cases = sorted({name.split("/")[0] for name in g.tensors if name.startswith("case")})
    assert cases
    for case in cases:
        frames, total = g[f"{case}/n_vid"].item(), g[f"{case}/T"].item()
        convolved = torch.cat(list(model.feature_extractor(g[f"{case}/input_values"][0])))
        expected = g[f"{case}/debug_conv_features"][0, ::2]
        parity("wav2vec_features", "convolutions", convolved, expected, 2e-5)
        hidden = model.encoder.embed_positions(model.feature_projection(convolved))
        states = torch.stack(model.encoder(hidden))[:, None]
        parity("wav2vec_features", "hidden states", states, g[f"{case}/debug_hidden_states"], 2e-5)
        rows = model(waveform, frames)
        assert rows.shape == (frames, model.feature_dim)
        parity("wav2vec_features", "audio_emb", rows[None], g[f"{case}/audio_emb"], 2e-5)
        parity("wav2vec_features", "features", model(waveform, total)[None], g[f"{case}/features"], 2e-5)


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


def test_blocks_do_not_matter(small, monkeypatch):
    waveform = loudness_varied(30)
    whole = small(waveform, 33)
    monkeypatch.setattr(module, "BLOCK", 7)
    torch.testing.assert_close(small(waveform, 33), whole, rtol=0, atol=2e-6)


def test_group_norm_sees_the_whole_recording(small):
    waveform = loudness_varied(30)
    first, layer = normalise(waveform), small.feature_extractor.conv_layers[0]
    expected = layer.layer_norm(layer.conv(first[None, None]))[0, :, :79]
    norm = small.feature_extractor._group_norm(first)
    torch.testing.assert_close(norm(layer.conv(first[None, None, :400]))[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("frames, seconds", [(1, 2.0), (24, 1.0), (25, 1.0), (26, 1.0), (101, 1.28), (9, 0.01)])
def test_windows_cover_every_frame_once(frames, seconds):
    kept = []
    for begin, first, end, stop in attention_windows(frames, seconds):
        assert 0 <= begin <= first < end <= stop <= frames
        assert stop - begin <= max(4, 4 * round(seconds * 25 / 4))
        kept += range(first, end)
    assert kept == list(range(frames))


def test_one_window_is_full_attention(small):
    waveform = loudness_varied(20)
    windowed = Wav2Vec2(SMALL, window_seconds=4.0).eval()
    windowed.load_state_dict(small.state_dict())
    assert torch.equal(windowed(waveform, 20), small(waveform, 20))


def test_windowed_rows_stay_near_full_attention(small):
    waveform = loudness_varied(100)
    windowed = Wav2Vec2(SMALL, window_seconds=2.0).eval()
    windowed.load_state_dict(small.state_dict())
    pieces = list(windowed.stream(waveform, 90))
    assert [len(piece) for piece in pieces] == [24, 24, 24, 18]
    rows, full = torch.cat(pieces), small(waveform, 90)
    width = SMALL.width
    # The input of the first layer does not depend on attention.
    torch.testing.assert_close(rows[:, width : 2 * width], full[:, width : 2 * width])
    error = (rows - full).square().mean().sqrt() / full.std()
    assert 0 < error < 0.2


def test_short_and_silent_recordings(small):
    assert small(torch.zeros(1), 3).shape == (3, small.feature_dim)
    assert small(torch.zeros(700), 3).isfinite().all()
    assert small(torch.ones(641), 1).shape == (1, small.feature_dim)


def test_layers_come_from_the_given_namespace():
    class Counting:
        made = 0

        def __getattr__(self, name):
            Counting.made += 1
            return getattr(torch.nn, name)

    model = Wav2Vec2(replace(SMALL, layers=1), operations=Counting())
    owners = {key.rsplit(".", 1)[0] for key in model.state_dict()}
    assert Counting.made == len(owners)
