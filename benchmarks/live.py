"""``lipforcing live`` on pipes in real time, watched from outside: when pictures and sound leave, drift, barge-in.

    python -m benchmarks.live --minutes 10 --keep live.ts

A clip idles; sentences are written into standard input as a microphone gives them, in blocks of 20 ms, with pauses in
which nothing is written; now and then one is broken off through the control pipe and the next begins at once. What
leaves on standard output is noted packet by packet with its time stamp and the time on the clock, kept, and decoded at
the end: where in it every sentence is heard.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from lipforcing.live import STALLED
from lipforcing.media import AudioSource
from lipforcing.timeline import SAMPLE_RATE
from lipforcing.tiny.family import SAMPLES

from .common import hardware, table

BLOCK = SAMPLE_RATE // 50  # samples that are written at a time
PAUSES = (2.0, 8.0, 4.0, 0.3)  # seconds of nothing after a sentence, one after the other
BROKEN = 5  # every so many sentences one is broken off
AFTER = 2.5  # seconds into it
PACKET, CLOCK, WRAP = 188, 90_000, 2**33  # of an MPEG transport stream
LOUD = 0.02  # level at which a sentence is taken to begin


@dataclass
class Seen:
    """What left: (time stamp, time on the clock) of every packet of pictures and of sound, both in seconds."""

    pictures: list[tuple[float, float]] = field(default_factory=list)
    sounds: list[tuple[float, float]] = field(default_factory=list)

    def watch(self, stream: BinaryIO, keep: Path) -> None:
        """Read an unbuffered MPEG transport stream to its end."""
        held = b""
        with keep.open("wb") as file:
            while data := stream.read(1 << 16):
                now = time.monotonic()
                file.write(data)
                held += data
                for start in range(0, len(held) - PACKET + 1, PACKET):
                    self._note(held[start : start + PACKET], now)
                held = held[len(held) // PACKET * PACKET :]

    def _note(self, packet: bytes, now: float) -> None:
        """ISO 13818-1: a packet of pictures or sound that begins in this one says when it is shown."""
        if not packet[1] & 0x40 or not packet[3] & 0x10:
            return
        content = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
        if content[:3] != b"\0\0\1" or not content[7] & 0x80:
            return
        a, b, c, d, e = content[9:14]
        stamp = ((a >> 1 & 7) << 30 | b << 22 | c >> 1 << 15 | d << 7 | e >> 1) % WRAP / CLOCK
        (self.pictures if content[3] >> 4 == 0xE else self.sounds).append((stamp, now))


@dataclass
class Said:
    """A sentence: when its first sample was written, and when it was broken off, on the clock; None if it was not."""

    waveform: np.ndarray
    begin: float
    broken: float | None = None


def speak(target: BinaryIO, control: Path, seconds: float) -> list[Said]:
    """Write sentences in real time for so long."""
    recordings = [AudioSource(SAMPLES / f"{name}.wav").mono16k().numpy() for name in ("market", "moon")]
    said: list[Said] = []
    end = time.monotonic() + seconds
    time.sleep(2)
    while time.monotonic() < end:
        number = len(said)
        one = Said(recordings[number % 2], time.monotonic())
        said.append(one)
        for block in blocks(one.waveform, one.begin):
            if number % BROKEN == BROKEN - 1 and time.monotonic() > one.begin + AFTER:
                one.broken = time.monotonic()
                control.write_text('{"interrupt": true}\n', encoding="utf-8")
                time.sleep(0.1)  # what is said before the command was read would be dropped with the rest
                break
            target.write(block)
        else:
            time.sleep(PAUSES[number % len(PAUSES)])
    return said


def blocks(waveform: np.ndarray, begin: float) -> Iterator[bytes]:
    """Signed 16 bits, each block when it has been spoken."""
    for start in range(0, len(waveform), BLOCK):
        time.sleep(max(0.0, begin + start / SAMPLE_RATE - time.monotonic()))
        yield (waveform[start : start + BLOCK] * 32767).astype("<i2").tobytes()


def heard(file: Path) -> tuple[np.ndarray, float, int, float]:
    """Sound [n] at 16 kHz, the time of its first sample, number of pictures and time of the first one, in seconds."""
    resampler, pieces, pictures, begins = av.AudioResampler("flt", "mono", SAMPLE_RATE), [], 0, {}
    with av.open(str(file)) as container:
        for packet in container.demux():
            if packet.stream.type == "video":  # one picture each; decoding them is not asked for
                pictures += packet.pts is not None
                if packet.pts is not None:
                    begins.setdefault("video", float(packet.pts * packet.time_base))
                continue
            for frame in packet.decode():
                begins.setdefault("audio", frame.time)
                pieces += [one.to_ndarray()[0] for one in resampler.resample(frame)]
    return np.concatenate(pieces), begins["audio"], pictures, begins["video"]


def found(sound: np.ndarray, sentence: np.ndarray, near: int) -> int:
    """Where in ``sound`` a sentence's first second with sound in it begins, in samples; searched within 2 s."""
    first = int(np.argmax(np.abs(sentence) > LOUD))
    piece = sentence[first : first + SAMPLE_RATE]
    start = max(0, near + first - 2 * SAMPLE_RATE)
    window = sound[start : start + 5 * SAMPLE_RATE]
    size = 1 << (len(window) + len(piece)).bit_length()
    match = np.fft.irfft(np.fft.rfft(window, size) * np.conj(np.fft.rfft(piece, size)))[: len(window)]
    return start + int(np.argmax(match)) - first


def quantiles(values: list[float]) -> str:
    """Median (5 % to 95 %), at most; in milliseconds."""
    low, *_, high = statistics.quantiles(values, n=20)
    middle, most = statistics.median(values), max(values)
    return f"{1e3 * middle:.0f} ({1e3 * low:.0f} to {1e3 * high:.0f}), at most {1e3 * most:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--video", type=Path, default=SAMPLES / "ada.mp4")
    parser.add_argument(
        "--keep", type=Path, default=Path(tempfile.gettempdir()) / "live.ts", help="where the stream is kept"
    )
    parser.add_argument("options", nargs="*", help="further options of lipforcing live, after --")
    arguments = parser.parse_args()
    print(f"{hardware()}; {' '.join(arguments.options)}", flush=True)
    seen = Seen()
    with tempfile.TemporaryDirectory() as folder:
        control = Path(folder) / "control"
        os.mkfifo(control)
        command = [sys.executable, "-m", "lipforcing", "live", str(arguments.video), "--control", str(control)]
        pipe = subprocess.PIPE
        with subprocess.Popen([*command, *arguments.options], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0) as live:
            watching = threading.Thread(target=seen.watch, args=(live.stdout, arguments.keep))
            watching.start()
            while watching.is_alive() and not seen.pictures:  # it has started
                time.sleep(0.1)
            said = speak(live.stdin, control, 60 * arguments.minutes)
            live.stdin.close()
            watching.join()
            print(live.stderr.read().decode())
    report(seen, said, arguments.keep)


def report(seen: Seen, said: list[Said], file: Path) -> None:
    """Print the tables."""
    sound, first_sound, pictures, first_picture = heard(file)
    stamps, rows = [stamp for stamp, _ in seen.pictures], []
    zero = min(now - stamp for stamp, now in seen.pictures)  # when the stamp 0 would have been sent, at the earliest
    minutes = sorted({0, int((stamps[-1] - stamps[0]) // 120), int((stamps[-1] - stamps[0]) // 60)})
    for minute in minutes:
        within = [stamps[0] + 60 * minute <= stamp < stamps[0] + 60 * minute + 60 for stamp in stamps]
        behind = [now - stamp - zero for (stamp, now), take in zip(seen.pictures, within) if take]
        if len(behind) > 20:
            rows.append([minute + 1, len(behind), quantiles(behind)])
    print(table(["minute", "pictures sent", "sent after their time, ms"], rows))
    length, heard_for = stamps[-1] - stamps[0], len(sound) / SAMPLE_RATE
    print(f"\n{pictures} pictures, the last due {length:.2f} s after the first; sound of {heard_for:.2f} s")
    print(f"first time stamps: picture {first_picture:.3f} s, sound {first_sound:.3f} s")
    if max(now - stamp - zero for stamp, now in seen.pictures) > STALLED:
        print("The clock was set anew, so sentences are not looked for.")
        return
    late, places, latest = [], [], 1.0
    for one in said:
        near = round((one.begin + latest - zero - first_sound) * SAMPLE_RATE)
        places.append(first_sound + found(sound, one.waveform, near) / SAMPLE_RATE)
        latest = places[-1] + zero - one.begin
        late.append(latest)
    print(f"\n{len(said)} sentences, from the writing of the first sample to its being due, ms: {quantiles(late)}")
    quarter = max(1, len(late) // 4)
    print(
        f"first quarter {1e3 * statistics.mean(late[:quarter]):.0f}, last {1e3 * statistics.mean(late[-quarter:]):.0f}"
    )
    for (one, after), next_at in zip(pairwise(said), places[1:]):
        if one.broken is None:
            continue
        begin, end = (int((at - first_sound) * SAMPLE_RATE) for at in (one.broken - zero, next_at))
        loud = np.flatnonzero(np.abs(sound[begin:end]) > LOUD)
        silent = loud[-1] / SAMPLE_RATE if len(loud) else 0.0
        print(
            f"broken off: silent after {1e3 * silent:.0f} ms; the next sentence, begun {after.begin - one.broken:.2f} s"
            f" later, is due {next_at + zero - after.begin:.2f} s after its beginning"
        )


if __name__ == "__main__":
    main()
