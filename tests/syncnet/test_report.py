"""Figures, verdicts and curves of one face."""

from __future__ import annotations

import pytest
import torch

from lipforcing.syncnet.report import SHIFTS, SyncReport, Verdict, figures, report

from .distances import LOUD, rows_of


@pytest.mark.parametrize("offset", [-14, -3, 0, 8])
def test_offset_sign(offset):
    """Positive: the audio is ahead, so its window ``offset`` earlier belongs to the lips."""
    world = torch.randn(120, 6, generator=torch.Generator().manual_seed(3))
    rows = rows_of(world[20:80], world[20 + offset : 80 + offset])
    result = report(rows, LOUD)
    assert result.verdict is None and result.offset == offset == result.overlap.offset
    assert result.overlap.distance < 1e-4 < result.distance or offset == 0
    # Where each window meets its own audio, its confidence is the whole median.
    assert result.curve.shape == (60,)
    torch.testing.assert_close(result.curve.median(), result.padded.mean_distances.median())


def test_overlap_leaves_padding_out():
    rows = rows_of(torch.zeros(40, 4), torch.full((40, 4), 5.0))
    result = report(rows, LOUD)
    torch.testing.assert_close(result.overlap.mean_distances, torch.full((SHIFTS,), 10.0))
    assert result.padded.mean_distances[0] < 7 and result.padded.mean_distances[15] > 9.99


def test_edge_of_the_search_range_gets_a_verdict():
    world = torch.randn(120, 6, generator=torch.Generator().manual_seed(3))
    result = report(rows_of(world[20:80], world[35:95]), LOUD)
    assert result.verdict is Verdict.EDGE and result.offset is None and result.padded.offset == 15


def test_sound_that_fits_nowhere_has_no_offset():
    """The bar for the confidence falls as the root of the number of windows."""
    world = torch.randn(600, 6, generator=torch.Generator().manual_seed(3))
    lips, right, wrong = world[20:120], world[18:118], world[300:400]
    assert report(rows_of(lips, right), LOUD, clear=7.0).offset == -2
    unclear = report(rows_of(lips, wrong), LOUD, clear=7.0)
    assert unclear.verdict is Verdict.UNCLEAR and unclear.offset is None
    assert unclear.confidence == unclear.padded.confidence < 0.7 and unclear.distance == unclear.padded.distance
    assert report(rows_of(lips, wrong), LOUD).verdict is not Verdict.UNCLEAR
    just = report(rows_of(lips, wrong), LOUD, clear=10 * unclear.confidence - 1e-4)
    assert just.verdict is not Verdict.UNCLEAR


def test_seconds_have_figures_of_their_own():
    """Half-way through, the sound starts to run ahead."""
    world = torch.randn(120, 6, generator=torch.Generator().manual_seed(3))
    audio = torch.cat([world[20:45], world[50:75]])
    result = report(rows_of(world[20:70], audio), LOUD)
    assert result.per_second.shape == (2, 3)
    assert result.per_second[:, 2].tolist() == [0, 5] and result.padded.offset in (0, 5)
    right, wrong = (0, 1) if result.padded.offset == 0 else (1, 0)
    assert result.per_second[right, 0] > result.per_second[wrong, 0] + 1
    assert (result.per_second[:, 1] > 1).all()


def test_a_second_is_twenty_five_windows():
    rows = torch.full((60, SHIFTS), 9.0)
    rows[:, 15] = torch.arange(60.0) / 10
    result = report(rows, LOUD)
    torch.testing.assert_close(result.per_second[:, 0], 9 - torch.tensor([1.2, 3.7, 5.45]))
    torch.testing.assert_close(result.per_second[:, 0], result.per_second[:, 1])


def test_figures_of_known_distances():
    distances = torch.full((SHIFTS,), 8.0)
    distances[12] = 3.0
    found = figures(distances)
    assert (found.confidence, found.distance, found.offset) == (5, 3, 3)
    assert found.to_dict()["distances"][15 + 3] == 3  # listed by offset, -15 ... 15


def test_nothing_compared_has_a_verdict_and_no_figures():
    empty = report(torch.zeros(0, SHIFTS), LOUD)
    assert empty.verdict is Verdict.TOO_SHORT and empty.confidence is empty.distance is empty.offset is None
    assert SyncReport.without_figures(Verdict.NO_FACE).to_dict()["verdict"] == "no face"


def test_the_curve_is_a_running_median():
    """A single window that fails does not show; one of many does in the framewise mean."""
    rows = torch.full((60, SHIFTS), 9.0)
    rows[:, 15] = 1.0
    rows[30, 15] = 9.0
    result = report(rows, LOUD)
    assert result.curve.min() > 7 and result.per_second[1, 0] < 8
