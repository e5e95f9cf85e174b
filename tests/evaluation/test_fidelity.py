"""Pictures beside the reference's, and what changed outside of the mouth."""

from __future__ import annotations

import pytest
import torch

from lipforcing.evaluation.batches import Place
from lipforcing.evaluation.fidelity import FidelityMeasure, outside_values
from lipforcing.evaluation.pairs import Pair
from lipforcing.syncnet.tracks import SquareTrack, fixed_square

from .drawn import pictures, speech, write
from .pictures import brighter_mouth, noise, pair

WHOLE = Place(None, True)


def test_faults_of_the_mouth():
    frames = noise(4)
    good, bad = FidelityMeasure(), FidelityMeasure()
    good.update(pair(frames, frames))
    bad.update(pair(brighter_mouth(frames // 2, 20), frames))
    assert good.values() == {"sharpness": pytest.approx(1), "flicker": 0, "seam": 0}
    found = bad.values()
    assert found["sharpness"] == pytest.approx(0.25, abs=0.03) and found["seam"] > 10 and found["flicker"] < -5
    assert FidelityMeasure().values() == {}


def test_a_gap_between_batches_is_no_change():
    dark = torch.zeros(1, 256, 256, 3, dtype=torch.uint8)
    measure = FidelityMeasure()
    measure.update(pair(dark, dark, first=0))
    measure.update(pair(dark + 90, dark, first=7))
    assert "flicker" not in measure.values()
    measure.update(pair(dark, dark, first=8))
    assert measure.values()["flicker"] == pytest.approx(90, abs=0.1)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A source, a lossless result and a coded one; both have another mouth."""
    folder = tmp_path_factory.mktemp("outside")
    mouth, other = (speech(number, 6, 0)[0] for number in (0, 1))
    result = pictures(other)
    write(folder / "source.mkv", pictures(mouth))
    write(folder / "lossless.mkv", result)
    write(folder / "coded.mp4", result, lossless=False, quality=20.0)
    result[5, :4] += 3
    write(folder / "touched.mkv", result)
    return folder


def values(folder, name: str, place: Place = WHOLE) -> dict[str, float]:
    return outside_values(Pair("x", folder / name, folder / "source.mkv"), place)


def test_a_lossless_result_changes_nothing_outside(clips):
    assert values(clips, "lossless.mkv") == {"outside_changed": 0, "outside_psnr": 100}
    touched = values(clips, "touched.mkv")
    assert 0 < touched["outside_changed"] < 20 and 40 < touched["outside_psnr"] < 70
    assert "outside_psnr_reencoded" not in touched  # lossless: no settings to repeat


def test_a_coded_result_lost_what_coding_costs(clips):
    found = values(clips, "coded.mp4")
    assert found["outside_changed"] > 10
    assert found["outside_psnr"] == pytest.approx(found["outside_psnr_reencoded"], abs=0.5)


def test_frames_without_the_face_are_not_compared(clips):
    later = Place(SquareTrack(2, fixed_square(0, 0, 120, 160)[None].expand(2, 3)), False)
    assert values(clips, "touched.mkv", later) == {}
