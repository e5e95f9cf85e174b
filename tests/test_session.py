"""Sessions with untrained models: equal frames however things come, nothing done where nobody is seen."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.session import LipSyncSession
from lipforcing.stream.voice import Voice

from .stream.helpers import Scripted, frames_at, script, small_family, speech

TIMES = [n / 25 for n in range(46)]


@pytest.fixture(scope="module")
def family():
    return small_family()


def run(family, seen, times=TIMES, samples=None, *, blocks=(None, 1), first="audio", shots=(), voices=None, **options):
    """Finished pictures uint8 [T, H, W, 3] and whether each has a mouth.

    Args:
        seen: per frame.
        samples: the sound.
        blocks: samples at a time (None: all), frames at a time.
        first: what is pushed first: "audio", "video", or "both" by turns.
    """
    samples = speech(times[-1] + 0.04) if samples is None else samples
    frames = frames_at(times, shots)
    done = []
    with LipSyncSession(family, Scripted(seen), voices or (), seed=7, **options) as session:
        sound = [] if voices else list(samples.split(blocks[0] or len(samples)))
        pieces = [frames[i : i + blocks[1]] for i in range(0, len(frames), blocks[1])]
        while sound or pieces:
            if sound and (first != "video" or not pieces):
                done += session.push_audio(sound.pop(0))
                if not sound:
                    done += session.finish_audio()
            if pieces and (first != "audio" or not sound):
                for frame in pieces.pop(0):
                    done += session.push_frame(frame)
        done += session.finish()
        session.done = done
    assert [output.frame.index for output in done] == list(range(len(times)))
    return torch.stack([output.picture.rgb() for output in done]), [bool(output.pasted) for output in done]


@pytest.mark.parametrize(
    "blocks, first", [((100, 1), "both"), ((1000, 7), "video"), ((6400, 3), "both"), ((1, 46), "audio")]
)
def test_sizes_and_order_of_pushes_do_not_matter(family, blocks, first):
    if blocks[0] == 1:
        blocks = (333, 46)
    expected, pasted = run(family, script(46, (0, 0, 46)))
    found, _ = run(family, script(46, (0, 0, 46)), blocks=blocks, first=first)
    assert torch.equal(found, expected) and all(pasted)


@pytest.mark.parametrize("look_ahead", [0, 3])
def test_overlapped_equals_in_order(look_ahead):
    family = small_family(look_ahead)
    seen = script(46, (0, 0, 46), (1, 5, 30), cuts=[27])
    voices = [[voice_of(family, speech(2.0, seed)) for seed in (1, 2)] for _ in range(2)]
    expected, _ = run(family, seen, voices=voices[0])
    found, _ = run(family, seen, voices=voices[1], overlapped=True)
    assert torch.equal(found, expected)


def test_a_failure_is_heard_of_at_the_next_frame(family):
    """Not when the next chunk is full: reading as many large frames takes seconds, in which nothing is stopped."""

    def fail(chunk) -> None:
        failed.set()
        raise RuntimeError("cancelled")

    failed, frames = threading.Event(), iter(frames_at(TIMES))
    with LipSyncSession(family, Scripted(script(46, (0, 0, 46))), seed=7, overlapped=True, write=fail) as session:
        session.push_audio(speech(2.0))
        session.finish_audio()
        while not failed.wait(0.2):
            session.push_frame(next(frames))
        with pytest.raises(RuntimeError, match="cancelled"):
            for _ in range(2):
                session.push_frame(next(frames))
                time.sleep(0.2)


def test_a_look_ahead_changes_what_the_codec_sees_and_nothing_else():
    plain, _ = run(small_family(), script(46, (0, 0, 46)))
    ahead, pasted = run(small_family(3), script(46, (0, 0, 46)))
    assert all(pasted) and not torch.equal(plain, ahead)


@torch.no_grad()
def voice_of(family, samples) -> Voice:
    voice = Voice(family.audio, family.student, family.text)
    voice.push(samples)
    voice.finish()
    return voice


class Counting:
    """A student or codec that counts what it is asked."""

    def __init__(self, of, *names) -> None:
        self.of, self.calls = of, 0
        for name in names:
            setattr(self, name, self.counted(getattr(of, name)))

    def counted(self, function):
        def call(*args, **kwargs):
            self.calls += 1
            return function(*args, **kwargs)

        return call

    def __getattr__(self, name):
        return getattr(self.of, name)


def test_frames_in_which_nobody_is_seen_pass_untouched_and_cost_nothing(family):
    from dataclasses import replace

    student, codec = Counting(family.student, "x0", "cache_write"), Counting(family.codec, "encode_stream")
    counted = replace(family, student=student, codec=codec)
    found, pasted = run(counted, script(46, (0, 20, 34)))
    assert pasted == [False] * 20 + [True] * 14 + [False] * 12
    untouched = torch.stack([frame.image for frame in frames_at(TIMES)])
    assert torch.equal(found[:20], untouched[:20]) and torch.equal(found[34:], untouched[34:])
    assert student.calls == 2 * 2 + 1 and codec.calls == 1
    found, pasted = run(counted, script(46))
    assert torch.equal(found, untouched) and student.calls == 5


def test_a_face_that_comes_late_begins_its_run_there(family):
    """As if the frames before it had never been: its own first frame is the reference."""
    late, _ = run(family, script(46, (0, 21, 46)))
    done = []
    with LipSyncSession(family, Scripted(script(46, (0, 21, 46))), seed=7) as session:
        session.push_audio(speech(46 / 25))
        session.finish_audio()
        for frame in frames_at(TIMES)[21:]:
            done += session.push_frame(frame)
        done += session.finish()
    assert torch.equal(torch.stack([output.picture.rgb() for output in done]), late[21:])


def test_a_cut_more_leaves_the_shots_after_it_alone(family):
    """Bit for bit: noise is a function of the frame at which a run begins, not of how many there were before."""
    shots = [1] * 20 + [2] * 26
    plain, _ = run(family, script(46, (0, 0, 46), cuts=[20]), shots=shots)
    more, _ = run(family, script(46, (0, 0, 46), cuts=[7, 20]), shots=shots)
    face_more, _ = run(family, script(46, (0, 0, 46), (1, 3, 20), cuts=[20]), shots=shots)
    assert torch.equal(plain[20:], more[20:]) and not torch.equal(plain[7:20], more[7:20])
    assert torch.equal(plain[20:], face_more[20:])


def test_two_people_get_their_own_mouths_in_one_batch(family):
    """As if each had been alone in the picture, but for the rounding of batched products."""
    both = script(46, (0, 0, 46), (1, 0, 46))
    voices = lambda: [voice_of(family, speech(2.0, seed)) for seed in (1, 2)]  # noqa: E731
    found, _ = run(family, both, voices=voices())
    source = torch.stack([frame.image for frame in frames_at(TIMES)])
    for speaker in (0, 1):
        only = [type(s)(s.starts_shot, tuple(p for p in s.sightings if p.speaker == speaker)) for s in both]
        alone, _ = run(family, only, voices=voices())
        touched = (alone != source).any(0).any(-1)
        other = [type(s)(s.starts_shot, tuple(p for p in s.sightings if p.speaker != speaker)) for s in both]
        free = touched & ~(run(family, other, voices=voices())[0] != source).any(0).any(-1)
        if speaker == 0:  # its rank, and so its noise, is the same with and without the other
            assert free.sum() > 50
            assert (found[:, free].int() - alone[:, free].int()).abs().max() <= 1


def test_batched_lanes_of_unequal_pasts(family):
    """Someone who joins later has less of a past; the batch is made of those who are alike."""
    found, pasted = run(
        family, script(46, (0, 0, 46), (1, 14, 46), (2, 14, 46)), voices=[voice_of(family, speech(2))] * 3
    )
    again, _ = run(family, script(46, (0, 0, 46), (1, 14, 46), (2, 14, 46)), voices=[voice_of(family, speech(2))] * 3)
    assert all(pasted) and torch.equal(found, again)


def test_frames_wait_for_their_sound(family):
    session = LipSyncSession(family, Scripted(script(46, (0, 0, 46))))
    done = [output for frame in frames_at(TIMES) for output in session.push_frame(frame)]
    assert done == []
    assert len(session.push_audio(speech(0.36))) == 9
    assert len(session.push_audio(speech(0.44))) == 0
    assert len(session.push_audio(speech(0.04))) == 12
    with pytest.raises(InputError, match="was not finished"):
        session.finish()
    session.close()


def spoken(family, sounds, count, *, interrupt=None, overlapped=False, keep=2.0, seen=None):
    """All frames by number of a session that hears ``sounds`` one after the other.

    Args:
        interrupt: frames that are shown when the first sound is interrupted, of those that are pushed by then.
    """
    frames = frames_at([n / 25 for n in range(count)])
    pictures: dict[int, torch.Tensor] = {}
    follower = Scripted(seen or script(count, (0, 0, count)))
    with LipSyncSession(family, follower, seed=7, keep=keep, overlapped=overlapped) as session:

        def take(outputs):
            assert [o.number for o in outputs] == sorted(o.number for o in outputs)
            pictures.update((o.number, o.picture.rgb()) for o in outputs)

        take(session.push_audio(sounds[0]))
        pushed = 0
        if interrupt is not None:
            pushed, shown = interrupt
            for frame in frames[:pushed]:
                take(session.push_frame(frame))
            first, time = session.interrupt(shown)
            assert first > shown and time == pytest.approx(first / 25)
            assert len(sounds[0]) >= round(time * 16_000)
            pictures = {number: picture for number, picture in pictures.items() if number < first}
            sounds = [sounds[0][: round(time * 16_000)], *sounds[1:]]
        for sound in sounds[1:]:
            take(session.push_audio(sound))
        take(session.finish_audio())
        for frame in frames[pushed:]:
            take(session.push_frame(frame))
        take(session.finish())
    assert sorted(pictures) == list(range(count))
    return torch.stack([pictures[number] for number in range(count)]), sounds


@pytest.mark.parametrize("overlapped", [False, True])
@pytest.mark.parametrize("look_ahead", [0, 3])
@pytest.mark.parametrize("pushed, shown", [(45, 22), (46, 20), (36, 20), (58, 9), (21, -1)])
def test_after_an_interruption_it_is_as_if_the_rest_had_never_been_said(look_ahead, overlapped, pushed, shown):
    family = small_family(look_ahead)
    sounds = [speech(2.6, 1), speech(2.0, 2)]
    found, heard = spoken(family, sounds, 70, interrupt=(pushed, shown), overlapped=overlapped)
    expected, _ = spoken(family, heard, 70)
    assert torch.equal(found, expected)
    assert not torch.equal(expected, spoken(family, sounds[:1], 70)[0])


def test_an_interruption_goes_back_over_cuts_and_frames_without_a_face(family):
    seen = script(70, (0, 0, 25), (0, 40, 70), cuts=[12])
    found, heard = spoken(family, [speech(2.6, 1), speech(2.0, 2)], 70, interrupt=(60, 10), seen=seen)
    expected, _ = spoken(family, heard, 70, seen=seen)
    assert torch.equal(found[12:], expected[12:])  # the last chunk before the cut hears beyond it, as it always does


def test_an_interruption_further_back_than_is_kept_says_so(family):
    with LipSyncSession(family, Scripted(script(60, (0, 0, 60))), keep=0.5) as session:
        session.push_audio(speech(2.6))
        for frame in frames_at([n / 25 for n in range(57)]):
            session.push_frame(frame)
        with pytest.raises(ValueError, match="frame 12 is out of reach: the session keeps"):
            session.interrupt(12)


def test_frames_in_which_nobody_speaks_pass_as_they_are(family):
    """Opacity 0 ends a run; the next one begins with the speech that is said then."""
    frames = frames_at([n / 25 for n in range(60)])
    with LipSyncSession(family, Scripted(script(60, (0, 0, 60))), seed=7) as session:
        done = [output for frame in frames[:20] for output in session.push_frame(frame, opacity=0.0)]
        assert [bool(output.pasted) for output in done] == [False] * 20
        assert all(torch.equal(o.picture.rgb(), o.frame.picture.rgb()) for o in done)
        session.begin_speech(20 / 25)
        done += session.push_audio(speech(1.0))
        done += session.finish_audio()
        for n, frame in enumerate(frames[20:], 20):
            done += session.push_frame(frame, opacity=0.0 if n >= 45 else 1.0)
        done += session.finish()
    assert [bool(output.pasted) for output in done] == [False] * 20 + [True] * 25 + [False] * 15
    plain = []
    with LipSyncSession(family, Scripted(script(60, (0, 0, 60))), seed=7) as session:
        session.begin_speech(20 / 25)
        session.push_audio(speech(1.0))
        session.finish_audio()
        for frame in frames[20:45]:
            plain += session.push_frame(frame)
        plain += session.finish()
    assert torch.equal(*(torch.stack([o.picture.rgb() for o in some]) for some in (done[20:45], plain)))


def test_latency_is_stated():
    plain, ahead = LipSyncSession(small_family(), Scripted([])), LipSyncSession(small_family(3), Scripted([]))
    assert plain.latency == pytest.approx(0.48 + 0.04)  # a chunk, and the row that the last frame hears
    assert ahead.latency == pytest.approx(0.48 + 0.12)


@pytest.mark.parametrize("rate", [12, 24, 30, 50, 60])
def test_every_frame_of_any_rate_comes_out_with_a_mouth(family, rate):
    times = [n / rate for n in range(rate)]
    found, pasted = run(family, script(rate, (0, 0, rate)), times, speech(1.0))
    assert all(pasted) and len(found) == rate
    changed = (found[1:].int() - found[:-1].int()).abs().amax((1, 2, 3))
    assert (changed > 3).all()  # no mouth is shown twice


def test_broken_pixels_are_an_error(family):
    from dataclasses import replace

    class Broken(Counting):
        def x0(self, x_t, *args):
            return torch.full_like(x_t, float("nan"))

    with pytest.raises(InputError, match="not numbers"):
        run(replace(family, student=Broken(family.student)), script(46, (0, 0, 46)))
