"""Teacher and student recipes, in a few steps on latents of noise."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lipforcing.distill.lora import WHOLE
from lipforcing.distill.recipes import denoiser
from lipforcing.distill.recipes.denoiser import STUDENT, TEACHER, StudentTask, TeacherTask, initialise, mouth_loss
from lipforcing.distill.recipes.latents import CHUNKS as WINDOW_CHUNKS
from lipforcing.distill.recipes.latents import WINDOW, LatentClips, Shown
from lipforcing.distill.recipes.workshop import Workshop
from lipforcing.distill.trainer import train
from lipforcing.faces.mask import latent_mask
from lipforcing.models import WanTransformer
from lipforcing.models.config import tiny
from lipforcing.tiny import family


@pytest.fixture(autouse=True)
def clips(monkeypatch) -> None:
    pytest.importorskip("matplotlib")
    generator = torch.Generator().manual_seed(1)
    parts = (torch.randn(2, 16, 9, 4, 4, generator=generator) for _ in range(3))
    found = LatentClips(*parts, torch.randn(2, WINDOW, tiny().audio_dim, generator=generator))
    monkeypatch.setattr(denoiser, "latent_clips", lambda *_: found)


def test_the_loss_looks_at_the_mouth():
    mask, target = latent_mask(16, 16).bool(), torch.zeros(1, 16, 3, 16, 16)
    inside, outside = (mouth_loss(where.float().expand_as(target), target) for where in (mask, ~mask))
    assert float(inside / mask.sum()) == pytest.approx(10 * float(outside / (~mask).sum()), rel=1e-4)


def test_an_untrained_network_predicts_nothing():
    model = initialise(WanTransformer(tiny()))
    assert not any(block.modulation.any() for block in model.blocks) and not model.head.head.weight.any()


def test_teacher_and_student_learn_something(tmp_path):
    workshop = Workshop(tmp_path)
    task = TeacherTask(replace(TEACHER, iterations=4, batch=2, validate_every=0), workshop)
    teacher = train(task, tmp_path, tmp_path / "teacher")["teacher"]
    assert teacher.head.head.weight.any() and (tmp_path / "teacher.csv").read_text().count("\n") == 5
    family.save("teacher", teacher, {}, workshop.weights)
    task = StudentTask(replace(STUDENT, iterations=4, batch=2, validate_every=0), workshop)
    student = train(task, tmp_path, tmp_path / "student")["student"]
    before = workshop.part("teacher").state_dict()
    moved = [name for name, value in student.state_dict().items() if not torch.equal(value, before[name])]
    assert len(moved) > 0.9 * len(before)
    assert all(value.isfinite().all() for value in student.state_dict().values())


@pytest.mark.parametrize(("recipe", "task_of"), [(TEACHER, TeacherTask), (STUDENT, StudentTask)])
def test_adapters_learn_and_the_rest_does_not(tmp_path, recipe, task_of):
    """They start as the packaged teacher, and a run that goes on does so from what it had learnt."""
    recipe = replace(recipe, iterations=3, batch=2, validate_every=0, lora_rank=4)
    task, base = task_of(recipe, Workshop(tmp_path)), family.load("teacher").state_dict()
    first = task.networks[recipe.name].weights()
    assert all(torch.equal(first[name], value) for name, value in base.items()) and len(first) > len(base)
    found = train(task, tmp_path, tmp_path / "states")[recipe.name].state_dict()
    changed = {name for name, value in found.items() if not torch.equal(value, first[name])}
    learnt = {name for name in found if "lora_" in name or name.startswith(WHOLE)}
    assert changed <= learnt and len(changed) > 0.9 * len(learnt)
    again = train(task_of(recipe, Workshop(tmp_path)), tmp_path, tmp_path / "states")[recipe.name].state_dict()
    assert all(torch.equal(again[name], value) for name, value in found.items())


@pytest.mark.parametrize("step", [0, STUDENT.iterations - 1], ids=["diffusion forcing", "self forcing"])
def test_nothing_is_kept_of_the_last_chunk(tmp_path, monkeypatch, step):
    task, kept = StudentTask(STUDENT, Workshop(tmp_path)), []
    write = denoiser.CausalStream.cache_write
    monkeypatch.setattr(denoiser.CausalStream, "cache_write", lambda *args: kept.append(args) or write(*args))
    batch = task.draw(0, torch.Generator().manual_seed(1))
    found = [terms["loss"] for _, terms in task.losses(step, batch, {"student": family.load("student")})]
    assert len(found) == WINDOW_CHUNKS and all(loss.isfinite() for loss in found) and len(kept) == WINDOW_CHUNKS - 1


class Counted:
    """A tensor that is kept for a backward pass, counted while it is."""

    now = most = 0

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor
        Counted.now += tensor.numel()
        Counted.most = max(Counted.most, Counted.now)

    def __del__(self) -> None:
        Counted.now -= self.tensor.numel()


@pytest.mark.parametrize("step", [0, STUDENT.iterations - 1], ids=["diffusion forcing", "self forcing"])
def test_chunks_are_differentiated_one_by_one(tmp_path, step):
    """The gradients of their sum, with the activations of one chunk at a time."""
    task = StudentTask(replace(STUDENT, batch=2), Workshop(tmp_path))
    model = family.load("student").requires_grad_(True)
    batch = task.draw(0, torch.Generator().manual_seed(1))

    def gradients(one_by_one: bool) -> tuple[dict[str, torch.Tensor], int]:
        Counted.now = Counted.most = 0
        model.zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(Counted, lambda kept: kept.tensor):
            losses = (terms["loss"] for _, terms in task.losses(step, batch, {"student": model}))
            for loss in losses if one_by_one else [sum(losses)]:
                loss.backward()
        found = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
        return found, Counted.most

    found, most = gradients(one_by_one=True)
    expected, all_at_once = gradients(one_by_one=False)
    assert found.keys() == expected.keys() and len(found) > 0.9 * len(list(model.parameters()))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-6 * value.abs().max().item(), rtol=1e-5)
    assert most < 0.5 * all_at_once


def test_audio_is_dropped_by_sample(tmp_path, monkeypatch):
    """Half of the samples learn without; rows, noise and times are those of a recipe that drops none."""
    task = TeacherTask(replace(TEACHER, batch=400, audio_drop=0.5), Workshop(tmp_path))
    plain = TeacherTask(replace(TEACHER, batch=400, audio_drop=0.0), Workshop(tmp_path))
    batch, before = (one.draw(1, torch.Generator().manual_seed(3)) for one in (task, plain))
    assert "heard" not in before and all(torch.equal(batch[name], before[name]) for name in before)
    assert 150 < batch["heard"].sum() < 250
    model = plain.networks["teacher"].build()
    seen = []
    monkeypatch.setattr(
        model, "prepare", lambda inputs: seen.append(inputs.audio) or WanTransformer.prepare(model, inputs)
    )
    list(task.losses(1, {name: value[:6] for name, value in batch.items()}, {"teacher": model}))
    assert torch.equal(seen[0].flatten(1).any(1), batch["heard"][:6].bool())


@pytest.mark.parametrize(("recipe", "task_of"), [(TEACHER, TeacherTask), (STUDENT, StudentTask)])
def test_validation_makes_clips_and_measures_them(monkeypatch, tmp_path, recipe, task_of):
    """With drawn pictures of noise instead of spoken ones: there is no mouth to follow, so openings say nothing."""
    generator = torch.Generator().manual_seed(2)
    pictures = torch.randint(0, 255, (2, WINDOW, 32, 32, 3), dtype=torch.uint8, generator=generator)
    clips = denoiser.latent_clips()

    def unseen(config, workshop):
        for row in range(2):
            yield Shown(clips.inputs(torch.tensor([row]), config)[1], *pictures, torch.zeros(WINDOW * 640))

    monkeypatch.setattr(denoiser, "unseen_clips", unseen)
    monkeypatch.setattr(denoiser, "VALIDATION_STEPS", 2)
    task = task_of(recipe, Workshop(tmp_path))
    network = family.load("teacher")
    first, again = (task.validate({"it": network}, tmp_path / "shown") for _ in range(2))
    assert first == again and {"mouth_psnr", "mouth_gradients", "opening"} <= first.keys()
    assert 3 < first["mouth_psnr"] < 15 and -1 <= first["opening"] <= 1
    assert sorted(path.name for path in (tmp_path / "shown").iterdir()) == ["0.mp4", "1.mp4"]
