"""Face tracks and crops for scoring, against the reference's rules written down another way."""

import numpy as np
import pytest
import torch

from lipforcing.faces.landmarks import Face
from lipforcing.syncnet.tracks import GREY, BoxTracker, aligned_crop, fixed_square, square_crop, squares


def face(x: float, y: float = 100.0, size: float = 120.0, score: float = 0.99) -> Face:
    box = torch.tensor([x - size / 2, y - size / 2, x + size / 2, y + size / 2])
    return Face(box, score, torch.zeros(5, 2), "yunet5")


def tracks(frames, starts=(0,), **limits):
    tracker = BoxTracker()
    for index, faces in enumerate(frames):
        tracker.update(faces, index in starts)
    return [(track.first, track.end) for track in tracker.tracks(**limits)]


def test_two_people_are_two_tracks():
    frames = [[face(100 + i), face(400 - i)] if i % 2 else [face(400 - i), face(100 + i)] for i in range(60)]
    assert tracks(frames) == [(0, 60), (0, 60)]


def test_a_gap_is_bridged_and_a_long_one_is_not():
    assert tracks([[face(100)]] * 30 + [[]] * 24 + [[face(100)]] * 30, min_track=20) == [(0, 84)]
    assert tracks([[face(100)]] * 30 + [[]] * 25 + [[face(100)]] * 30, min_track=20) == [(0, 30), (55, 85)]


def test_a_cut_ends_a_track():
    assert tracks([[face(100)]] * 60, starts=(0, 25), min_track=20) == [(0, 25), (25, 60)]


def test_who_jumps_is_somebody_else():
    assert tracks([[face(100)]] * 40 + [[face(160)]] * 40, min_track=20) == [(0, 40), (40, 80)]


def test_short_small_and_doubtful_faces_are_left_out():
    seen = [[face(100), face(300, size=90), face(500, score=0.85)]] * 60
    assert tracks(seen) == [(0, 60)]
    assert tracks(seen[:10], min_track=5, min_face=95) == [(0, 10)]
    passing = [[face(100), face(300)]] * 20 + [[face(100)]] * 40
    assert tracks(passing) == [(0, 60)]
    assert tracks([[face(300, size=90)]] * 60) == []
    assert tracks([[]] * 60) == []


def test_too_few_frames_are_not_no_face():
    assert tracks([[face(100)]] * 20 + [[]] * 40 + [[face(100)]] * 10) == [(0, 20)]


def test_squares_are_interpolated_and_median_filtered():
    medfilt = pytest.importorskip("scipy.signal").medfilt
    generator = np.random.default_rng(0)
    frames = [3, 4, 5, 9, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24]
    boxes = generator.uniform(0, 40, (len(frames), 4)) + (100, 50, 200, 180)
    filled = np.stack([np.interp(np.arange(3, 25), frames, column) for column in boxes.T], 1)
    sizes = filled[:, 2:] - filled[:, :2]
    centres = (filled[:, :2] + filled[:, 2:]) / 2
    expected = np.stack([medfilt(v, 13) for v in (centres[:, 0], centres[:, 1], sizes.max(1) / 2)], 1)
    ours = squares(frames, [torch.tensor(box).float() for box in boxes])
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-5)


def test_a_handful_of_frames_is_not_filtered_to_nothing():
    assert squares([7, 8], [torch.tensor([10.0, 20, 30, 60])] * 2).tolist() == [[20, 40, 20]] * 2


@pytest.mark.parametrize("square", [(50.3, 40.7, 20.2), (10, 12, 30), (85, 60, 33.3), (50, 40, 60), (140, 40, 10)])
def test_square_crop(square):
    """Pad the whole picture with grey, then cut."""
    frame = torch.randint(0, 256, (80, 100, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    x, y, s = square
    pad = int(s * 1.8)
    padded = np.pad(frame.numpy(), ((pad, pad), (pad, pad), (0, 0)), constant_values=GREY)
    my, mx = y + pad, x + pad
    cut = padded[int(my - s) : int(my + s * 1.8), int(mx - s * 1.4) : int(mx + s * 1.4)]
    crop = square_crop(frame, torch.tensor(square, dtype=torch.float64), 32)
    assert crop.shape == (32, 32, 3) and crop.dtype == torch.uint8
    if square == (140, 40, 10):  # beyond the picture and its padding
        assert (crop == GREY).all()
        return
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(cut.copy()).permute(2, 0, 1)[None].float(), (32, 32), mode="bilinear", align_corners=False
    )
    assert (crop.float() - wanted[0].permute(1, 2, 0)).abs().max() <= 0.5


def test_aligned_crop_holds_the_face():
    frame = torch.zeros(300, 300, 3, dtype=torch.uint8)
    frame[80:220, 95:205] = 255  # as wide for its height as faces are
    crop = aligned_crop(frame, fixed_square(95, 80, 205, 220), 56)
    assert crop[4:-12, 4:-4].min() == 255 and crop[-3:].max() == 0
