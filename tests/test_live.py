"""A clip that talks, by a clock that the tests turn: what is heard and seen when."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from lipforcing import live
from lipforcing.faces.follow import Seen
from lipforcing.live import Live
from lipforcing.media import Frame
from lipforcing.media.incoming import RATE
from lipforcing.session import LipSyncSession

from .stream.helpers import face, picture, small_family

INTERVAL = 0.04


@pytest.fixture(scope="module")
def family():
    return small_family()


@pytest.fixture
def clock(monkeypatch):
    """Time passes only where somebody sleeps, or as a test says."""
    clock = SimpleNamespace(now=100.0)

    def sleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep))
    return clock


class Watched:
    """Somebody is there in every frame, or nobody."""

    look_ahead = 0.0

    def __init__(self, there: bool = True) -> None:
        self.there, self.shot = there, True

    def push(self, frame: Frame) -> list:
        seen, self.shot = Seen(self.shot, (face(),) if self.there else ()), False
        return [(frame, seen)]

    def finish(self) -> list:
        return []


class Sound:
    """Sound that comes at given times after the start: (seconds, samples); it ends at ``end``."""

    def __init__(self, clock, pieces, end: float = 0.0) -> None:
        self.clock, self.start, self.pieces = clock, clock.now, list(pieces)
        self.end = max([end, *(at for at, _ in pieces)])

    @property
    def ended(self) -> bool:
        return not self.pieces and self.clock.now - self.start >= self.end

    def take(self, wait: bool = False) -> torch.Tensor:
        taken = [torch.zeros(0)]
        while self.pieces and (wait or self.pieces[0][0] <= self.clock.now - self.start):
            taken.append(self.pieces.pop(0)[1])
            wait = False
        return torch.cat(taken)


class Screen:
    """Keeps what it is sent."""

    def __init__(self, clock) -> None:
        self.clock, self.start = clock, clock.now
        self.pictures, self.times, self.shown_at, self.heard = [], [], [], []

    def show(self, picture, time: float) -> None:
        self.pictures.append(picture.rgb())
        self.times.append(time)
        self.shown_at.append(self.clock.now - self.start)

    def sound(self, samples) -> None:
        self.heard.append(samples)

    @property
    def samples(self) -> int:
        return sum(len(piece) for piece in self.heard)

    @property
    def track(self) -> torch.Tensor:
        return torch.cat(self.heard)


def endless():
    number = 0
    while True:
        yield Frame(picture(1, number % 5), number * INTERVAL, number, number % 5)
        number += 1


def tone(seconds: float, seed: int = 0) -> torch.Tensor:
    """Sound without a sample of silence, [n] at 48 kHz."""
    return 0.3 + 0.1 * torch.rand(round(seconds * RATE), generator=torch.Generator().manual_seed(seed))


def play(family, clock, pieces, *, end=0.0, interrupted=lambda screen: False, there=True, **options):
    screen = Screen(clock)
    keep = 2 * live.AHEAD
    with LipSyncSession(family, Watched(there), seed=7, keep=keep) as session:
        playing = Live(session, endless(), INTERVAL, Sound(clock, pieces, end), screen, **options)
        report = playing.run(lambda: interrupted(screen))
    assert screen.times == pytest.approx([n * INTERVAL for n in range(len(screen.times))])
    assert abs(report.drift) < 1 / RATE and report.frames == len(screen.times)
    return screen, report, playing


def touched(screen) -> list[bool]:
    return [not torch.equal(p, picture(1, n % 5).rgb()) for n, p in enumerate(screen.pictures)]


def test_as_fast_as_it_goes_frames_follow_the_sound(family, clock):
    pieces = [(0.0, piece) for piece in tone(1.0).split(7000)]
    screen, report, _ = play(family, clock, pieces, paced=False)
    assert clock.now == 100 and touched(screen) == [True] * 28 + [False]  # 25 of sound, 4 fade out, the last to nothing
    assert torch.equal(screen.track[:RATE], tone(1.0)) and not screen.track[RATE:].any()
    assert report.spoken == 28 and not report.late


def test_sound_is_heard_and_seen_a_stated_time_after_it_came(family, clock):
    screen, report, playing = play(family, clock, [(1.0, tone(0.8))])
    begin = screen.track.nonzero()[0].item() / RATE
    assert begin == pytest.approx(1.0 + playing.delay, abs=1.5 * INTERVAL)
    first = round(begin / INTERVAL)
    assert touched(screen) == [False] * first + [True] * 23 + [False] * (len(screen.times) - first - 23)
    assert report.latency[0] <= playing.delay + 0.8 + INTERVAL and report.latency[2] >= playing.delay - INTERVAL
    assert screen.shown_at == pytest.approx(screen.times, abs=2 * live.POLL)
    assert torch.equal(screen.track[round(begin * RATE) :][: round(0.8 * RATE)], tone(0.8))


def test_a_mouth_fades_in_and_out(family, clock):
    screen, _, _ = play(family, clock, [(0.2, tone(1.0))])
    change = torch.tensor(
        [float((p.float() - picture(1, n % 5).rgb().float()).abs().mean()) for n, p in enumerate(screen.pictures)]
    )
    there = change.nonzero()[:, 0]
    full = change[there[0] + 4 : there[-1] - 4].mean()
    assert change[there[0]] < 0.5 * full and change[there[-1]] < 0.5 * full


def test_sound_spoken_as_it_comes_has_no_gaps(family, clock):
    """A microphone's blocks, each a little late or early."""
    late = torch.rand(40, generator=torch.Generator().manual_seed(1)) * 0.09
    pieces = [(0.5 + 0.08 * (n + 1) + float(late[n]), tone(0.08, n)) for n in range(40)]
    screen, report, _ = play(family, clock, pieces)
    begin = screen.track.nonzero()[0].item()
    assert torch.equal(screen.track[begin:][: round(3.2 * RATE)], torch.cat([piece for _, piece in pieces]))
    assert report.late == 0


def test_sound_that_does_not_come_in_time_is_silence(family, clock):
    """A short gap belongs to the speech; after a long one a new speech begins."""
    screen, _, _ = play(family, clock, [(0.1, tone(0.6)), (1.0, tone(0.6)), (4.0, tone(0.6))])
    sounding = (screen.track != 0).int()
    begins = (sounding.diff(prepend=sounding.new_zeros(1)) == 1).nonzero()[:, 0] / RATE
    assert len(begins) == 3 and sounding.sum() == 3 * round(0.6 * RATE)
    seen = touched(screen)
    assert all(seen[round(float(begins[0]) / INTERVAL) : round(float(begins[1]) / INTERVAL)])
    assert not all(seen[round(float(begins[1]) / INTERVAL) : round(float(begins[2]) / INTERVAL)])


def test_an_interruption_stops_the_speech_and_a_new_one_goes_on(family, clock):
    asked = []

    def interrupted(screen) -> bool:
        if len(screen.times) == 30 and not asked:
            asked.append(True)
            return True
        return False

    pieces, told = [(0.0, tone(4.0)), (1.7, tone(1.0, 1))], []
    screen, report, _ = play(family, clock, pieces, interrupted=interrupted, tell=told.append)
    assert told == ["interrupted at 1.20 s"]
    assert report.interruptions == 1 and len(screen.times) < 90
    begin = screen.track.nonzero()[0].item()
    broken = int(next(n for n in range(begin, screen.samples) if not screen.track[n]))
    assert 30 * INTERVAL <= broken / RATE <= 30 * INTERVAL + 0.5
    assert torch.equal(screen.track[begin:broken], tone(4.0)[: broken - begin])
    rest = screen.track[broken:]
    assert torch.equal(rest[rest != 0], tone(1.0, 1))


@pytest.mark.parametrize("at", range(20, 32))
def test_a_speech_is_broken_off_at_any_frame_of_a_chunk(family, clock, at):
    """Also where all that may be decided ahead was decided already: it listens on."""
    asked = []

    def interrupted(screen) -> bool:
        assert clock.now < 160, "it stands still"
        if len(screen.times) == 50 + at and not asked:
            asked.append(True)
            return True
        return False

    pieces = [(0.0, tone(6.0)), (6.0, tone(0.4, 1))]
    screen, report, _ = play(family, clock, pieces, interrupted=interrupted, delay=live.AHEAD)
    assert report.interruptions == 1 and torch.equal(screen.track[screen.track != 0][-19200:], tone(0.4, 1))


@pytest.mark.parametrize("interval", [0.08, 1.0])
def test_clips_with_fewer_frames_than_ticks(family, clock, monkeypatch, interval):
    """They idle, speak and are interrupted, though ticks, at one frame a second even chunks, have no frames."""
    monkeypatch.setitem(globals(), "INTERVAL", interval)
    asked = []

    def interrupted(screen) -> bool:
        if not asked and screen.samples > 2.5 * RATE:
            asked.append(True)
            return True
        return False

    screen, report, _ = play(family, clock, [(0.5, tone(6.0)), (4.0, tone(1.0, 1))], interrupted=interrupted)
    assert report.interruptions == 1 and report.spoken > 2
    heard = screen.track[screen.track != 0]
    assert torch.equal(heard[-RATE:], tone(1.0, 1)) and len(heard) < 6 * RATE


def test_nothing_to_interrupt_is_no_harm(family, clock):
    screen, report, _ = play(family, clock, [(1.0, tone(0.4))], interrupted=lambda screen: len(screen.times) < 10)
    assert report.interruptions == 0 and screen.track.count_nonzero() == round(0.4 * RATE)


def test_a_clip_without_a_face_passes_and_says_so(family, clock):
    told = []
    screen, report, _ = play(family, clock, [(11.0, tone(0.4))], there=False, tell=told.append)
    assert told == ["No face was found in 10 s; the clip passes as it is."]
    assert not any(touched(screen)) and report.spoken == 0 and report.latency is None
    assert screen.track.count_nonzero() == round(0.4 * RATE)


def test_after_a_stall_the_clock_is_set_anew(family, clock):
    stalled = []

    def once(screen) -> bool:
        if len(screen.times) == 20 and not stalled:
            stalled.append(True)
            clock.now += 5.0
        return False

    screen, report, _ = play(family, clock, [(7.0, tone(0.4))], interrupted=once)
    assert report.stalls == 1 and report.late >= 1
    assert screen.shown_at[-1] - screen.times[-1] == pytest.approx(5.0, abs=0.1)


def test_it_goes_on_idling_when_told_to(family, clock):
    class Enough(Exception):
        pass

    def interrupted(screen) -> bool:
        if len(screen.times) > 100:
            raise Enough
        return False

    with pytest.raises(Enough):
        play(family, clock, [(0.0, tone(0.4))], interrupted=interrupted, keep_idle=True)


def test_minutes_without_drift(family, clock):
    pieces = [(10.0 * n + 1, tone(0.3, n)) for n in range(12)]
    screen, report, _ = play(family, clock, pieces, end=120.0)
    assert report.seconds >= 120 and report.late == 0 and report.drift == pytest.approx(0, abs=1 / RATE)
    assert screen.shown_at[-1] == pytest.approx(screen.times[-1], abs=2 * live.POLL)
    sounding = (screen.track != 0).int()
    assert (sounding.diff() == 1).sum() == 12 and sounding.sum() == 12 * round(0.3 * RATE)
