"""Prepared samples as training data."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lipforcing.audio.logmel import LogMelEncoder
from lipforcing.codecs.base import encode
from lipforcing.distill import prepare
from lipforcing.distill.prepare import Candidate, Segment, Settings, tools_of, write_sample
from lipforcing.distill.recipes import train_part
from lipforcing.distill.recipes.denoiser import STUDENT, TEACHER, StudentTask, TeacherTask
from lipforcing.distill.recipes.samples import PreparedSamples
from lipforcing.distill.recipes.workshop import Workshop
from lipforcing.distill.trainer import train
from lipforcing.drawn.faces import Identity, render, sample_head
from lipforcing.errors import InputError
from lipforcing.models.config import tiny
from lipforcing.tiny import family

FRAMES = 21  # six latent frames, two chunks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three samples as ``lipforcing prepare`` writes them, without its filters."""
    out, tools = tmp_path_factory.mktemp("prepared"), tools_of(Settings(frames=FRAMES))
    lines = []
    for number in range(3):
        crops = [
            list(
                render(
                    Identity.sample(number), torch.full((FRAMES, 5), opening), sample_head(number, FRAMES), (128, 128)
                ).movedim(-1, 1)
            )
            for opening in (0.1, 0.8)
        ]
        sound = torch.randn(FRAMES * 640, generator=torch.Generator().manual_seed(number)) * 0.1
        place = out / "samples" / f"clip_{number}"
        place.mkdir(parents=True)
        write_sample(place, Candidate(Segment(0, 0, crops[0]), {}, "", sound), Segment(50, 0, crops[1]), tools)
        lines.append(str(place))
    (out / "train.txt").write_text("\n".join(lines) + "\n")
    return out


def test_what_was_prepared_is_what_is_learnt_from(folder):
    samples, tools = PreparedSamples.listed(folder), tools_of(Settings(frames=FRAMES))
    assert len(samples) == 2 and samples.shape == (16, 6, 16, 16)
    target, inputs = samples.inputs(torch.tensor([1, 0]), tiny())
    assert target.shape == inputs.masked_video.shape == inputs.ref_sequence.shape == (2, 16, 6, 16, 16)
    assert inputs.audio.shape == (2, FRAMES, LogMelEncoder().feature_dim) and inputs.text.shape[0] == 2
    assert torch.equal(inputs.ref_latent, inputs.ref_sequence[:, :, :1])
    shown = [
        render(Identity.sample(1), torch.full((FRAMES, 5), o), sample_head(1, FRAMES), (128, 128)) for o in (0.1, 0.8)
    ]
    with torch.no_grad():
        own, other = (encode(tools.codec, (p.permute(3, 0, 1, 2)[None].float() / 127.5 - 1)) for p in shown)
    torch.testing.assert_close(target[:1], own, atol=0.05, rtol=0.05)  # kept in bfloat16
    torch.testing.assert_close(inputs.ref_sequence[:1], other, atol=0.05, rtol=0.05)


def test_a_list_that_was_moved_still_finds_its_samples(folder, tmp_path):
    moved = tmp_path / "moved"
    folder.rename(moved)
    try:
        assert PreparedSamples.listed(moved / "train.txt").shape == (16, 6, 16, 16)
    finally:
        moved.rename(folder)


def test_mistakes_are_named(folder, tmp_path):
    with pytest.raises(InputError, match=r"train\.txt was not found"):
        PreparedSamples.listed(tmp_path)
    (tmp_path / "train.txt").write_text(f"{folder}/samples/clip_0\n")
    with pytest.raises(InputError, match="lists 1 sample"):
        PreparedSamples.listed(tmp_path)
    with pytest.raises(InputError, match="the network takes"):
        PreparedSamples.listed(folder).inputs(torch.tensor([0]), replace(tiny(), audio_dim=10752))
    (tmp_path / "train.txt").write_text("gone/a\ngone/b\n")
    with pytest.raises(InputError, match=prepare.LATENTS):
        _ = PreparedSamples.listed(tmp_path).shape


@pytest.mark.parametrize(("recipe", "task_of"), [(TEACHER, TeacherTask), (STUDENT, StudentTask)])
def test_networks_learn_from_prepared_samples(folder, tmp_path, recipe, task_of):
    pytest.importorskip("matplotlib")
    recipe = replace(recipe, samples=str(folder), iterations=2, batch=2, validate_every=2)
    task = task_of(recipe, Workshop(tmp_path))
    assert task.made_of["samples"] == ["clip_0", "clip_1", "clip_2"]
    (network,) = train(task, tmp_path, tmp_path / "states").values()
    assert all(value.isfinite().all() for value in network.state_dict().values())
    assert (tmp_path / f"{recipe.name}_samples" / "step_0000002" / "0.mp4").exists()


def test_adapters_are_merged_into_the_weights(folder, tmp_path):
    pytest.importorskip("matplotlib")
    settings = [f"samples={folder}", "iterations=2", "batch=2", "validate_every=0", "lora_rank=2"]
    path = train_part("teacher", tmp_path, settings)
    made, base = family.load("teacher", folder=path.parent).state_dict(), family.load("teacher").state_dict()
    assert made.keys() == base.keys()
    changed = {name for name, value in made.items() if not torch.equal(value, base[name])}
    assert "blocks.0.ffn.0.weight" in changed and "blocks.0.ffn.0.bias" not in changed
