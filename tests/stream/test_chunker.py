"""Segments, chunks and lanes: who is in which chunk, from where to where."""

from __future__ import annotations

import weakref
from dataclasses import replace

import pytest

from lipforcing.stream.chunker import Cutter, cut

from .helpers import Scripted, frames_at, script


class FakeRun:
    def __init__(self, *args) -> None:
        self.args = args


def chunks_of(count, *people, cuts=(), rate=25, look_ahead=0):
    cutter = Cutter(Scripted(script(count, *people, cuts=cuts)), FakeRun, look_ahead)
    chunks = []
    for frame in frames_at([n / rate for n in range(count)]):
        chunks += cutter.push(frame)
    return [*chunks, *cutter.finish()]


def frames_of(chunk) -> list[int]:
    return [output.frame.index for output in chunk.outputs]


def lane_frames(lane) -> list[int]:
    return [place.frame.index for place in lane.places]


def check_order(chunks, count) -> None:
    assert [index for chunk in chunks for index in frames_of(chunk)] == list(range(count))
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))


def test_one_person_in_one_shot():
    chunks = chunks_of(40, (0, 0, 40))
    check_order(chunks, 40)
    assert [len(frames_of(chunk)) for chunk in chunks] == [9, 12, 12, 7]
    assert [chunk.ticks for chunk in chunks] == [9, 12, 12, 7]
    (run,) = {lane.run for chunk in chunks for lane in chunk.lanes}
    assert run.args == (0.0, 0, 0)
    assert lane_frames(chunks[3].lanes[0]) == [33, 34, 35, 36, 37, 38, 39, 39, 39, 39, 39, 39]
    assert chunks[3].lanes[0].times == pytest.approx([n / 25 for n in range(33, 45)])


def test_a_face_that_comes_late_costs_nothing_before():
    """The run starts where the face does: its first chunk has 9 frames, and its first frame shows the face."""
    chunks = chunks_of(60, (0, 50, 60))
    check_order(chunks, 60)
    assert [len(chunk.lanes) for chunk in chunks] == [0] * 50 + [1, 1]
    assert lane_frames(chunks[50].lanes[0]) == list(range(50, 59)) and chunks[50].lanes[0].run.args[0] == 2.0


def test_nobody_at_all():
    chunks = chunks_of(30)
    check_order(chunks, 30)
    assert not any(chunk.lanes for chunk in chunks)


@pytest.mark.parametrize("look_ahead", [0, 8])
def test_frames_that_were_handed_on_are_let_go(look_ahead):
    """However long a run lasts, no more than two chunks and what is looked ahead at are held."""
    cutter, held = Cutter(Scripted(script(200, (0, 0, 200))), FakeRun, look_ahead), weakref.WeakSet()
    for number in range(200):
        frame = replace(frames_at([number / 25])[0], index=number)
        held.add(frame)
        cutter.push(frame)
        del frame
        assert len(held) <= 2 * 12 + look_ahead + 1


def test_a_cut_ends_the_segment():
    chunks = chunks_of(40, (0, 0, 40), cuts=[14])
    check_order(chunks, 40)
    assert [chunk.ticks for chunk in chunks] == [9, 5, 9, 12, 5]
    assert len({lane.run for chunk in chunks for lane in chunk.lanes}) == 2
    assert lane_frames(chunks[1].lanes[0]) == [9, 10, 11, 12, 13] + [13] * 7
    assert lane_frames(chunks[2].lanes[0]) == list(range(14, 23)) and chunks[2].lanes[0].run.args[0] == 0.56


@pytest.mark.parametrize("rate", [50, 60])
@pytest.mark.parametrize("at", [20, 21, 22, 23])
def test_no_frame_gets_a_mouth_of_the_other_side_of_a_cut(rate, at):
    chunks = chunks_of(80, (0, 0, 80), cuts=[at], rate=rate)
    check_order(chunks, 80)
    first = chunks[0].lanes[0].run
    for chunk in chunks:
        for output in chunk.outputs:
            (run,) = output.places
            assert (run is first) == (output.frame.index < at)
        for lane in chunk.lanes:
            assert all((index < at) == (lane.run is first) for index in lane_frames(lane))


def test_a_face_that_goes_ends_its_run_and_a_new_one_begins_later():
    chunks = chunks_of(60, (0, 0, 20), (0, 30, 60))
    check_order(chunks, 60)
    assert [(chunk.ticks, len(chunk.lanes)) for chunk in chunks][:3] == [(9, 1), (11, 1), (0, 0)]
    assert [chunk.ticks for chunk in chunks if chunk.lanes][2:] == [9, 12, 9]


def test_two_people_share_chunks():
    """The second one appears in the middle of the third chunk; its first nine ticks end with the chunk."""
    chunks = chunks_of(60, (0, 0, 60), (1, 26, 60))
    check_order(chunks, 60)
    assert [len(chunk.lanes) for chunk in chunks] == [1, 1, 2, 2, 2, 2]
    one, two = chunks[2].lanes
    assert (one.offset, one.first, len(one.places)) == (0, 0, 12)
    assert (two.offset, two.first) == (3, 5) and two.run.args == (26 / 25, 0, 1)
    assert lane_frames(two) == [26, 26, 26, 27, 28, 29, 30, 31, 32]
    assert two.times == pytest.approx([n / 25 for n in range(24, 33)])
    assert lane_frames(chunks[3].lanes[1]) == list(range(33, 45))


def test_who_appears_just_before_a_chunk_ends_waits_for_its_nine_ticks_or_not_at_all():
    chunks = chunks_of(60, (0, 0, 60), (1, 22, 60))
    two = chunks[2].lanes[1]
    assert (two.offset, two.first) == (3, 3) and lane_frames(two) == list(range(24, 33))
    # gone again before its part of the chunk begins: frames pass
    chunks = chunks_of(60, (0, 0, 60), (1, 21, 23))
    assert all(len(chunk.lanes) == 1 for chunk in chunks)


def test_who_goes_leaves_the_others_alone():
    chunks = chunks_of(60, (0, 0, 60), (1, 0, 14))
    check_order(chunks, 60)
    assert [len(chunk.lanes) for chunk in chunks] == [2, 2, 1, 1, 1, 1]
    assert lane_frames(chunks[1].lanes[1]) == [9, 10, 11, 12, 13] + [13] * 7
    run = chunks[1].lanes[1].run
    assert [output.frame.index for output in chunks[1].outputs if run in output.places] == [9, 10, 11, 12, 13]


def test_ranks_count_from_left_to_right_among_those_who_begin_together():
    chunks = chunks_of(20, (1, 0, 20), (0, 0, 20), (2, 5, 20))
    assert sorted(lane.run.args for lane in chunks[1].lanes) == [(0.0, 0, 0), (0.0, 1, 1), (0.2, 0, 2)]


def test_a_look_ahead_delays_chunks_and_runs_ahead():
    plain, ahead = chunks_of(40, (0, 0, 40)), chunks_of(40, (0, 0, 40), look_ahead=3)
    check_order(ahead, 40)
    assert [frames_of(chunk) for chunk in plain] == [frames_of(chunk) for chunk in ahead]
    assert [lane_frames(chunk.lanes[0]) for chunk in ahead] == [
        list(range(12)),
        list(range(12, 24)),
        list(range(24, 36)),
        [36, 37, 38] + [39] * 9,
    ]


@pytest.mark.parametrize("cut_at", [9, 10, 11, 12, 21])
def test_a_look_ahead_never_sees_beyond_a_cut(cut_at):
    chunks = chunks_of(40, (0, 0, 40), cuts=[cut_at], look_ahead=3)
    check_order(chunks, 40)
    for chunk in chunks:
        for lane in chunk.lanes:
            sides = {index < cut_at for index in lane_frames(lane)}
            assert len(sides) == 1
    assert sum(len(chunk.lanes[0].places) - len(chunk.lanes[0].times) for chunk in chunks) == 2 * 3


def test_cut_is_the_same_for_a_whole_video():
    frames = frames_at([n / 25 for n in range(30)])
    chunks = list(cut(frames, Scripted(script(30, (0, 3, 30), cuts=[20])), FakeRun))
    check_order(chunks, 30)
    assert [chunk.ticks for chunk in chunks] == [0, 0, 0, 9, 8, 9, 1]
