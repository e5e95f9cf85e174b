"""What travels is told apart by what it is, not by what it holds."""

from __future__ import annotations

import torch

from lipforcing.media import Frame
from lipforcing.stream.chunk import Chunk, Lane, Output, Place

from .helpers import picture


def a_frame(number: int) -> Frame:
    return Frame(picture(0, number), number / 25, number, number)


def test_equal_places_and_outputs_are_two_keys():
    """Two frames may look alike; what is looked at or pasted for one is not the other's."""
    frame, matrix = a_frame(0), torch.eye(2, 3)
    places = [Place(frame, matrix, 1.0), Place(frame, matrix, 1.0)]
    outputs = [Output(0, frame, {}, -1, 0, 1.0), Output(0, frame, {}, -1, 0, 1.0)]
    assert len(dict.fromkeys(places)) == 2 and len(dict.fromkeys(outputs)) == 2


def test_a_chunk_starts_empty_and_shares_nothing():
    one, other = Chunk(0, 9, []), Chunk(1, 12, [])
    one.lanes.append(Lane(None, [], 0, 0, []))
    one.lanes[0].before["decode"] = 1
    assert not other.lanes and not Lane(None, [], 0, 0, []).before
    assert one.lanes[0].faces is one.lanes[0].latents is one.lanes[0].crops is one.lanes[0].conditioning is None
