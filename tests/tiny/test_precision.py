"""Converted weights of the tiny student: sync stays, the picture hardly changes (figures: docs/reference.md)."""

from __future__ import annotations

import pytest

from benchmarks.precision import dub, figures, psnr_on_mouth, ssim_on_mouth, utterances
from lipforcing.checkpoints import convert
from lipforcing.tiny import family


@pytest.fixture(scope="module")
def published():
    """One unseen clip, and what the student makes of it."""
    clips = utterances(1)
    return clips, [dub(family.tiny_family(), clip) for clip in clips]


@pytest.mark.parametrize(("dtype", "decibels", "similarity"), [("bf16", 50, 0.999), ("fp8_e4m3fn", 45, 0.995)])
def test_converted_student(published, tmp_path, dtype, decibels, similarity):
    clips, whole = published
    path = convert(family.weights_path("student"), tmp_path / "student.safetensors", dtype)
    pictures = [dub(family.tiny_family(student=path), clip) for clip in clips]
    assert decibels < psnr_on_mouth(pictures[0], whole[0]) < float("inf")
    assert similarity < ssim_on_mouth(pictures[0], whole[0]) < 1
    before, after = figures(whole, clips), figures(pictures, clips)
    for name, had, has, tolerance in zip(("correlation", "Sync-C", "Sync-D"), before, after, (0.02, 0.1, 0.1)):
        assert abs(has - had) < tolerance, name
    assert after[3] == before[3]


def test_float8_halves_the_blocks(tmp_path):
    student = family.weights_path("student")
    size = convert(student, tmp_path / "student.safetensors", "fp8_e4m3fn").stat().st_size
    assert size < 0.62 * student.stat().st_size
