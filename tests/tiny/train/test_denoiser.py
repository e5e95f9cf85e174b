"""Teacher and student recipes, in a few steps on latents of noise."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lipforcing.faces.mask import latent_mask
from lipforcing.models import WanTransformer
from lipforcing.models.config import tiny
from lipforcing.tiny.train import denoiser
from lipforcing.tiny.train.denoiser import initialise, mouth_loss, train_student, train_teacher
from lipforcing.tiny.train.latents import WINDOW, LatentClips


@pytest.fixture
def clips() -> LatentClips:
    generator = torch.Generator().manual_seed(1)
    parts = (torch.randn(2, 16, 9, 4, 4, generator=generator) for _ in range(3))
    return LatentClips(*parts, torch.randn(2, WINDOW, tiny().audio_dim, generator=generator))


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(denoiser, "BATCH", 2)
    monkeypatch.setattr(denoiser, "TEACHER", replace(denoiser.TEACHER, iterations=4))
    monkeypatch.setattr(denoiser, "STUDENT", replace(denoiser.STUDENT, iterations=4))


def test_the_loss_looks_at_the_mouth():
    mask, target = latent_mask(16, 16).bool(), torch.zeros(1, 16, 3, 16, 16)
    inside, outside = (mouth_loss(where.float().expand_as(target), target) for where in (mask, ~mask))
    assert float(inside / mask.sum()) == pytest.approx(10 * float(outside / (~mask).sum()), rel=1e-4)


def test_an_untrained_network_predicts_nothing():
    model = initialise(WanTransformer(tiny()))
    assert not any(block.modulation.any() for block in model.blocks) and not model.head.head.weight.any()


def test_teacher_and_student_learn_something(clips, tmp_path):
    teacher = train_teacher(clips, tmp_path)
    assert teacher.head.head.weight.any() and (tmp_path / "teacher.csv").read_text().count("\n") == 5
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    student = train_student(clips, teacher, tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())  # a copy is trained
    moved = [name for name, value in student.state_dict().items() if not torch.equal(value, before[name])]
    assert len(moved) > 0.9 * len(before)
    assert all(value.isfinite().all() for value in student.state_dict().values())
