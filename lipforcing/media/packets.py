"""How long a file really is, from the times of its packets: a header may lie, say nothing, or know the first part only.

Packets are read, not decoded, which takes as long as reading the file from its disk. What recordings that were joined
end to end do to their clocks is found here too, for pictures and sound together, so that both agree on it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate, pairwise

import av

from .source import Source, audio_stream, open_media, video_stream
from .timestamps import FrameClock, starts_anew, with_next

# What a single picture is shown at, and pictures without any times, where the file gives them no rate of video. That of
# a single picture is believed up to 60: a GIF's is its clock's, 100.
_STILL_RATE, _VIDEO_RATES, _STILL_RATES = Fraction(25), (10, 120), (10, 60)

# Formats of broadcasting and discs, whose clocks may start anywhere.
_JUMPING = ("mpegts", "mpeg")

# A last picture of this many seconds is believed, a longer one only where the container's length knows of it.
_LONG_PICTURE = 10.0

_UNSTAMPED = -(2**63)


@dataclass(frozen=True)
class FileTimes:
    """The times of a file.

    Attributes:
        pictures: times in seconds at which pictures are shown, from the first one on, increasing.
        end: seconds at which the last picture ends; 0 without pictures.
        rate: pictures per second, on average where they are uneven.
        joined: the pictures' clock starts anew on the way.
        jumps: the format's clocks may start anywhere, see :func:`~.timestamps.starts_anew`.
        sound_shifts: seconds to add to the sound's times from the start, and from each time on that its clock starts
            anew; None where the pictures' clock does not go with it.
        reach: seconds beyond which no time in the file is believed.
    """

    pictures: array = field(repr=False)
    end: float
    rate: Fraction
    joined: bool
    jumps: bool
    sound_shifts: tuple[float | None, ...]
    reach: float


@dataclass(eq=False)
class _Packets:
    """Of one stream, in the file's order: places in the file, decoding times in seconds, timestamps, durations."""

    places: array = field(default_factory=lambda: array("q"))
    times: array = field(default_factory=lambda: array("d"))
    stamps: array = field(default_factory=lambda: array("q"))
    durations: array = field(default_factory=lambda: array("q"))

    def add(self, place: int, packet: av.Packet) -> None:
        at = packet.dts if packet.dts is not None else packet.pts
        self.places.append(place)
        self.times.append(float("nan") if at is None else float(at * packet.time_base))
        self.stamps.append(_UNSTAMPED if packet.pts is None else packet.pts)
        self.durations.append(packet.duration or 0)

    def from_packet(self, number: int) -> _Packets:
        """Those from one on."""
        return _Packets(*(values[number:] for values in (self.places, self.times, self.stamps, self.durations)))

    def starts(self, jumps: bool) -> list[int]:
        """Numbers of the packets with which the clock starts anew."""
        times = self.times
        last = len(times) - 1
        steps = ((n, times[n - 1], times[n], times[n + 1] if n < last else None) for n in range(1, len(times)))
        return [n for n, *step in steps if starts_anew(*step, jumps)]


def file_times(source: Source, first: int | None = None) -> FileTimes:
    """Read all packets of a file.

    Args:
        source: path, or the file's bytes as BytesIO.
        first: timestamp of the first picture that can be decoded; those before it do not count.

    Raises:
        InputError: as :func:`~.source.open_media`.
    """
    with open_media(source) as container:
        video, sound, jumps = video_stream(container), audio_stream(container), container.format.name in _JUMPING
        streams = [stream for stream in (video, sound) if stream is not None]
        pictures, heard = _Packets(), _Packets()
        for place, packet in enumerate(_packets(container, streams)):
            (pictures if packet.stream is video else heard).add(place, packet)
        length = float(Fraction(container.duration or 0, av.time_base))
        rate = (video.average_rate or video.guessed_rate) if video is not None else None
        time_base = video.time_base if video is not None else Fraction(1)
    starts = pictures.starts(jumps)
    parts = [_in_order(pictures.stamps[first:end]) for first, end in pairwise([0, *starts, len(pictures.stamps)])]
    parts[0] = [stamp for stamp in parts[0] if stamp is None or first is None or stamp >= first]
    if not rate or (None in parts[0] and rate > _VIDEO_RATES[1]):
        rate = _STILL_RATE
    times, shifts = _timed(parts, time_base, Fraction(rate), jumps)
    if times and not _agrees(rate, times):
        rate = _mean_rate(times)
        times, shifts = _timed(parts, time_base, rate, jumps)
    end = 0.0
    if times:
        last_part = pictures.from_packet(starts[-1] if starts else 0)
        end = times[-1] + _last_seconds(last_part, time_base, rate, length - times[-1])
    return FileTimes(
        pictures=times,
        end=end,
        rate=Fraction(rate),
        joined=len(set(shifts)) > 1,
        jumps=jumps,
        sound_shifts=(
            0.0,
            *_matched(
                [heard.places[number] for number in heard.starts(jumps)],
                [pictures.places[number] for number in starts],
                shifts[1:],
            ),
        ),
        reach=max(end, length),
    )


def _packets(container: av.container.InputContainer, streams: Sequence[av.stream.Stream]) -> Iterator[av.Packet]:
    """Packets that are shown or heard, up to the end of the file or of what is left of it."""
    try:
        for packet in container.demux(streams):
            if packet.size and not packet.is_discard:
                yield packet
    except av.error.FFmpegError:
        return


def _in_order(stamps: Sequence[int]) -> list[int | None]:
    """Timestamps in the order of display. Two fields of one picture share theirs, or only the first has one."""
    stamped = set(stamps) - {_UNSTAMPED}
    return sorted(stamped) if stamped else [None] * len(stamps)


def _timed(
    parts: Sequence[Sequence[int | None]], time_base: Fraction, rate: Fraction, jumps: bool
) -> tuple[array, list[float]]:
    """Times of all pictures, and by how much each part is moved."""
    clock = FrameClock(time_base, rate, jumps=jumps)
    times, moved = array("d"), array("d")
    for stamp, following in with_next(stamp for part in parts for stamp in part):
        times.append(clock.seconds(stamp, following))
        moved.append(clock.shift)
    ends = accumulate(len(part) for part in parts)
    return times, [moved[end - 1] if end else 0.0 for end in ends]


def _agrees(rate: Fraction, times: array) -> bool:
    """Whether pictures come at this rate, on average or most of the time."""
    if len(times) < 2:
        return _STILL_RATES[0] <= rate <= _STILL_RATES[1]
    steps = sorted(after - before for before, after in pairwise(times))
    mean, typical = times[-1] / len(steps), steps[len(steps) // 2]
    return any(abs(step * float(rate) - 1) < 0.01 + 0.5 / len(times) for step in (mean, typical))


def _mean_rate(times: array) -> Fraction:
    return Fraction((len(times) - 1) / times[-1]).limit_denominator(1001) if len(times) > 1 else _STILL_RATE


def _last_seconds(part: _Packets, time_base: Fraction, rate: Fraction, rest: float) -> float:
    """How long the last picture is shown; by what the container says the file lasts on for ``rest`` seconds."""
    *_, before, last = (0, *sorted(range(len(part.stamps)), key=lambda number: part.stamps[number]))
    told = before == last or abs(part.durations[before] - (part.stamps[last] - part.stamps[before])) <= 1
    seconds, interval = float(part.durations[last] * time_base), float(1 / rate)
    regular = abs(seconds - interval) < 1.01 * time_base
    endless = seconds > _LONG_PICTURE and seconds > rest + 1
    return seconds if seconds and told and not regular and not endless else interval


def _matched(sound: Sequence[int], pictures: Sequence[int], shifts: Sequence[float]) -> list[float | None]:
    """For each place at which the sound's clock starts anew the shift of the pictures' that does so there."""

    def nearest(place: int, places: Sequence[int]) -> int | None:
        return min(range(len(places)), key=lambda number: abs(places[number] - place), default=None)

    partners = [nearest(place, pictures) for place in sound]
    return [
        shifts[partner] if partner is not None and nearest(pictures[partner], sound) == number else None
        for number, partner in enumerate(partners)
    ]
