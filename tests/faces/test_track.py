"""One face is picked, kept, held through gaps, given up and found again."""

from __future__ import annotations

import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.faces.align import TEMPLATE, box_matrix, full_frame_matrix
from lipforcing.faces.landmarks import Face, anchors
from lipforcing.faces.track import FaceTrack, FaceTracker, FixedTracker, RecordedTracker, choose
from lipforcing.faces.warp import transform

SIZE = (90, 160)


def face(x: float, y: float = 40.0, width: float = 24.0) -> Face:
    """A face whose eyes' middle lies at (x, y)."""
    eyes = torch.tensor([[x - width / 4, y], [x + width / 4, y]])
    box = torch.tensor([x - width / 2, y - width / 2, x + width / 2, y + width])
    return Face(box, 0.9, torch.cat([eyes, torch.zeros(3, 2)]), "yunet5")


class Script:
    """A detector that reports what it was told, frame by frame."""

    def __init__(self, *faces: list[Face]):
        self.faces = iter(faces)

    def __call__(self, frames):
        return [next(self.faces) for _ in frames]


def frames(*grey: int) -> torch.Tensor:
    """Frames of a few shots: equal numbers are one shot."""
    pictures = {g: torch.randint(0, 256, (9, 16), generator=torch.Generator().manual_seed(g)) for g in set(grey)}
    big = [pictures[g].repeat_interleave(10, 0).repeat_interleave(10, 1) for g in grey]
    return torch.stack(big).to(torch.uint8)[..., None].expand(-1, -1, -1, 3)


def track(script: list[list[Face]], choice="largest", shots=None, **options) -> tuple[FaceTrack, FaceTracker]:
    tracker = FaceTracker(Script(*script), choice, **options)
    return tracker.update(frames(*(shots or [0] * len(script)))), tracker


def centres(result: FaceTrack) -> list[float]:
    """x in the frame of the middle of the brows, per frame."""
    brows = TEMPLATE[:2].mean(0)
    inverse = torch.linalg.inv(result.matrices[:, :, :2])
    return ((brows - result.matrices[:, :, 2])[:, None] @ inverse.mT)[:, 0, 0].tolist()


def test_anchors_go_to_the_template():
    result, _ = track([[face(50)]])
    at = transform(result.matrices[0], anchors(face(50)))
    assert torch.allclose(at.mean(0), TEMPLATE.mean(0), atol=0.01)
    assert (at - TEMPLATE).abs().max() < 20  # six numbers to match with four
    assert result.visible.all() and result.frame_size == SIZE


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("largest", 120),
        ("center", 70),
        (0, 30),
        (1, 70),
        (2, 120),
        ((28.0, 41.0), 30),
        ((60.0, 20.0, 80.0, 60.0), 70),
    ],
)
def test_choices(choice, expected):
    faces = [face(120, width=30), face(30), face(70, width=20)]
    picked = choose(faces, choice, SIZE)
    assert float(picked.box[[0, 2]].mean()) == expected


@pytest.mark.parametrize("choice", [5, (5.0, 5.0), (0.0, 0.0, 5.0, 5.0)])
def test_a_choice_that_names_no_face_picks_none(choice):
    result, tracker = track([[face(50)]] * 2, choice)
    assert not result.visible.any() and tracker.found == 0


def test_the_face_is_kept_when_a_larger_one_comes():
    script = [[face(40)], [face(41), face(110, width=40)], [face(110, width=40), face(42)], [face(43)]]
    result, _ = track(script)
    assert centres(result) == pytest.approx([40, 41, 42, 43], abs=1.5)


def test_a_short_gap_is_bridged_in_full_strength():
    script = [[face(50 + 2 * i)] for i in range(10)] + [[]] * 2 + [[face(74)]]
    result, tracker = track(script)
    assert (result.opacity == 1).all()
    assert 67 < centres(result)[11] < 74  # it moves on, and comes to rest
    assert tracker.found == 11


def test_a_long_gap_fades_out_passes_through_and_fades_in():
    script = [[face(50)]] * 3 + [[]] * 8 + [[face(90)]] * 5
    result, _ = track(script, hold=6, fade=3)
    expected = [1, 1, 1, 1, 1, 1, 2 / 3, 1 / 3, 0, 0, 0, 1 / 3, 2 / 3, 1, 1, 1]
    assert result.opacity.tolist() == pytest.approx(expected)
    assert result.visible.tolist() == [value > 0 for value in expected]
    assert centres(result)[11:] == pytest.approx([90] * 5, abs=0.6)  # nothing of the old place is left


def test_somebody_else_is_not_taken_for_a_lost_face():
    script = [[face(40), face(110)]] + [[face(110 + i)] for i in range(20)] + [[face(60), face(130)]] * 2
    result, tracker = track(script, (40.0, 45.0), hold=5, fade=2)
    assert not result.visible[6:21].any()
    assert centres(result)[-1] == pytest.approx(60, abs=1.5)
    assert tracker.found == 3


def test_a_cut_picks_anew_at_once():
    script = [[face(40), face(110, width=20)]] * 3 + [[face(100), face(30, width=40)]] * 2 + [[]] * 2
    result, _ = track(script, shots=[0, 0, 0, 1, 1, 2, 2])
    assert centres(result)[:5] == pytest.approx([40, 40, 40, 30, 30], abs=1.5)
    assert result.opacity.tolist() == [1, 1, 1, 1, 1, 0, 0]


def test_frames_before_the_first_face_are_not_touched_but_have_a_crop():
    result, _ = track([[], [], [face(50)], [face(50)]], fade=2)
    assert result.opacity.tolist() == [0, 0, 0.5, 1]
    assert torch.isfinite(result.matrices).all() and (torch.linalg.det(result.matrices[:, :, :2]) > 0).all()


def test_pieces_make_the_same_track():
    script = [[face(50 + i)] for i in range(5)] + [[]] * 9 + [[face(20)]] * 3
    shots = [0] * 8 + [1] * 9
    whole, _ = track(script, shots=shots, hold=4, fade=2)
    tracker = FaceTracker(Script(*script), hold=4, fade=2)
    pieces = FaceTrack.cat([tracker.update(piece) for piece in frames(*shots).split([1, 6, 10])])
    for name in ("matrices", "visible", "opacity"):
        assert torch.equal(getattr(whole, name), getattr(pieces, name)), name
    assert torch.equal(whole[3:5].matrices, whole.matrices[3:5])


def test_the_state_does_not_grow():
    script = [[face(40), face(110)], [face(40)], [], [face(110)]] * 50
    _, tracker = track(script)
    assert len(tracker._others) <= 2


def test_fixed_trackers():
    clip = frames(0, 0, 1)
    full = FixedTracker().update(clip)
    assert torch.equal(full.matrices, full_frame_matrix(*SIZE).expand(3, 2, 3))
    assert (full.opacity == 1).all() and full.visible.all()
    box = box_matrix(30, 20, 60, 55)
    assert torch.equal(FixedTracker(box).update(clip).matrices[2], box)
    assert len(FaceTrack.empty(SIZE)) == 0


def test_recorded_track_is_given_out_frame_by_frame():
    tracker = FixedTracker()
    whole = tracker.update(torch.zeros(5, 20, 10, 3, dtype=torch.uint8))
    recorded = RecordedTracker(whole)
    first, second = (recorded.update(torch.zeros(n, 20, 10, 3, dtype=torch.uint8)) for n in (2, 3))
    assert len(first) == 2 and torch.equal(FaceTrack.cat([first, second]).matrices, whole.matrices)
    with pytest.raises(InputError, match="does not fit"):
        recorded.update(torch.zeros(1, 20, 10, 3, dtype=torch.uint8))


def test_recorded_track_of_another_size_is_refused():
    whole = FixedTracker().update(torch.zeros(5, 20, 10, 3, dtype=torch.uint8))
    with pytest.raises(InputError, match="10 x 20 pixels"):
        RecordedTracker(whole).update(torch.zeros(1, 10, 20, 3, dtype=torch.uint8))
