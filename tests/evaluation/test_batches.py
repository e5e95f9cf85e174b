"""Pictures of two videos, side by side and cropped alike."""

from __future__ import annotations

import torch

from lipforcing.evaluation.batches import BATCH, CROP, Place, Shown, in_batches, side_by_side
from lipforcing.faces.align import BOX_CENTRE
from lipforcing.faces.warp import transform
from lipforcing.syncnet.tracks import SquareTrack, fixed_square


def pictures(count: int, size: tuple[int, int] = (40, 48)):
    return (torch.full((*size, 3), 10 * n, dtype=torch.uint8) for n in range(count))


def test_the_common_length_is_shown_and_both_are_counted():
    counts: list[int] = []
    frames = list(side_by_side(pictures(5), pictures(3), counts))
    assert [frame.index for frame in frames] == [0, 1, 2] and counts == [5, 3]
    assert all(int(frame.result[0, 0, 0]) == int(frame.reference[0, 0, 0]) == 10 * frame.index for frame in frames)


def test_a_result_of_another_size_is_resized():
    (frame, *_) = side_by_side(pictures(1, (20, 24)), pictures(1), [])
    assert frame.result.shape == frame.reference.shape == (40, 48, 3) and frame.result.dtype == torch.uint8


def test_only_frames_with_the_face_are_batched():
    track = SquareTrack(2, fixed_square(10, 5, 30, 35).expand(BATCH + 3, 3))
    place = Place(track, False)
    assert [place.has(index) for index in (1, 2, BATCH + 4, BATCH + 5)] == [False, True, True, False]
    frames = [Shown(n, picture, picture) for n, picture in enumerate(pictures(20))]
    batches = list(in_batches(iter(frames), place, Place(None, True)))
    assert [len(batch.result_frames) for batch in batches] == [BATCH, 3]
    assert batches[0].result.shape == batches[0].reference.shape == (BATCH, CROP, CROP, 3)
    assert int(batches[0].result_frames[0][0, 0, 0]) == 20
    assert batches[0].indices == [*range(2, BATCH + 2)] and batches[0].matrices.shape == (2, BATCH, 2, 3)
    expected = torch.tensor([[20.0, 20.0], [23.5, 19.5]])  # middles of the track's square and of the picture
    middles = transform(batches[0].matrices[:, 0], expected[:, None])[:, 0]
    torch.testing.assert_close(middles, torch.tensor([BOX_CENTRE, (209.5, 279.5)]))
    own, reference = batches[0].squares[0]
    assert own.tolist() == [20, 20, 15] and reference.tolist() == [23.5, 19.5, 24]


def test_a_face_that_stays_keeps_its_square():
    place = Place(SquareTrack(0, fixed_square(10, 5, 30, 35)[None]), True)
    picture = next(pictures(1))
    assert place.has(99) and place.square(99, picture).tolist() == [20, 20, 15]
    assert place.crop(99, picture).shape == (CROP, CROP, 3)
