"""The codec's recipe."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lipforcing.codecs.base import decode, encode
from lipforcing.codecs.tiny import TinyCodec, TinyCodecConfig
from lipforcing.distill.recipes import codec
from lipforcing.distill.recipes.codec import edges, initialise, moment_loss, reconstruction_loss
from lipforcing.distill.recipes.workshop import Workshop
from lipforcing.distill.trainer import train
from lipforcing.faces.mask import pixel_mask
from lipforcing.tiny import family


def test_losses_are_zero_for_what_is_right():
    x = torch.rand(1, 3, 2, 8, 8)
    assert reconstruction_loss(x, x, torch.ones(1)) == 0 and reconstruction_loss(x + 0.1, x, torch.ones(1)) > 0.09
    across, down = edges(x)
    assert across.shape[-1] == 7 and down.shape[-2] == 7
    latents = torch.randn(8, 16, 4, 16, 16)
    assert moment_loss(latents) < 0.01 < moment_loss(2 * latents)


def test_it_starts_as_principal_components():
    """Latents of unit variance, and pictures that are recognisable before the first step."""
    torch.manual_seed(0)
    video = torch.nn.functional.interpolate(torch.rand(200, 3, 1, 3, 3) * 2 - 1, (4, 16, 16), mode="trilinear")
    model = initialise(TinyCodec(), video)
    with torch.inference_mode():
        latents = encode(model, video[:, :, :1])
        result = decode(model, latents)
    assert latents.mean().abs() < 0.2 and 0.5 < latents.var() < 2
    assert (result - video[:, :, :1]).abs().mean() < 0.1


def test_a_few_steps(tmp_path):
    pytest.importorskip("matplotlib")
    recipe = replace(codec.RECIPE, people=4, batch=2, patch=32, iterations=2, precision="float32", validate_every=0)
    model = train(codec.CodecTask(recipe, Workshop(tmp_path)), tmp_path, tmp_path / "states")["codec"]
    assert isinstance(model, TinyCodec) and all(p.isfinite().all() for p in model.parameters())
    assert (tmp_path / "codec.csv").read_text().startswith("step,seconds,loss,l1,moments")


def test_one_sample_in_a_batch_has_its_mouth_greyed_out(tmp_path):
    task = codec.CodecTask(replace(codec.RECIPE, people=2, batch=3, patch=128), Workshop(tmp_path))
    batch = task.draw(0, torch.Generator().manual_seed(1))
    videos, weights = task.patches(batch)
    mouth = pixel_mask(128, 128).bool()
    assert [not video[:, :, mouth].any() for video in videos] == [True, False, False]
    assert weights.shape == (3, 1, 1, 128, 128) and weights.unique().tolist() == [1, 3]
    assert batch["noise"].shape == (3, 16, 3, 16, 16)


def test_patches_are_cut_from_where_they_are_said_to_begin(tmp_path):
    recipe = replace(codec.RECIPE, people=3, batch=4, patch=32, mouth_weight=1)
    task = codec.CodecTask(recipe, Workshop(tmp_path))
    batch = task.draw(0, torch.Generator().manual_seed(3))
    videos, _ = task.patches(batch)
    person, frame, top, left = (int(batch[name][2]) for name in ("person", "frame", "top", "left"))
    cut = task.pool[person, frame : frame + 9, top : top + 32, left : left + 32]
    assert torch.equal(videos[2], codec.pixels(cut)) and videos.shape == (4, 3, 9, 32, 32)


def test_the_decoder_can_learn_alone_from_an_earlier_codec(tmp_path):
    """Latents stay what they were, so that students of the codec stay valid."""
    pytest.importorskip("matplotlib")
    settings = {"people": 2, "batch": 2, "patch": 32, "iterations": 2, "precision": "float32", "validate_every": 0}
    recipe = replace(codec.RECIPE, **settings, encoder_learns=False, start="codec", mouth_share=0.5)
    earlier = TinyCodec(TinyCodecConfig(width=8, blocks=1, decoder_width=12, decoder_blocks=2, fine=8))
    family.save("codec", earlier, {}, tmp_path / "weights")
    task, earlier = codec.CodecTask(recipe, Workshop(tmp_path)), family.load("codec", folder=tmp_path / "weights")
    before = TinyCodec(task.config)
    before.load_state_dict(task.first_weights())
    video = torch.rand(1, 3, 9, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        latents = encode(earlier, video)
        torch.testing.assert_close(encode(before, video), latents)
    after = train(task, tmp_path, tmp_path / "states")["codec"]
    with torch.no_grad():
        torch.testing.assert_close(encode(after, video), latents)
        assert not torch.allclose(decode(after, latents), decode(earlier, latents), atol=1e-4)


def test_samples_over_the_mouth_lie_low(tmp_path):
    """All samples but the first half."""
    recipe = replace(codec.RECIPE, people=1, batch=40, patch=64, mouth_share=0.5)
    task = codec.CodecTask(recipe, Workshop(tmp_path))
    _, weights = task.patches(task.draw(0, torch.Generator().manual_seed(2)))
    covered = [float((w > 1).float().mean()) for w in weights]
    assert min(covered[20:]) > 0.4 > min(covered[:20])


def test_validation_shows_truth_and_result(monkeypatch, tmp_path):
    """The packaged codec on people that it has not met."""
    monkeypatch.setattr(codec, "UNSEEN_PEOPLE", 2)
    task = codec.CodecTask(replace(codec.RECIPE, frames=9), Workshop(tmp_path))
    found = task.validate({"codec": family.load("codec")}, tmp_path / "shown")
    assert 30 < found["mouth_psnr"] < 40 and 28 < found["rest_psnr"] < 40 and 0.5 < found["mouth_gradients"] < 0.9
    assert sorted(path.name for path in (tmp_path / "shown").iterdir()) == ["0.mp4", "1.mp4"]
