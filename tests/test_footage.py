"""What odd files give, through the command itself: frames, times, lengths, sound, samples left alone, and sentences.

Every picture carries its number in stripes above the face, so what is shown when can be read back from a result.
"""

from __future__ import annotations

import io
import os
import signal
import struct
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from lipforcing.cli import main
from lipforcing.cli import sync as sync_command
from lipforcing.errors import InputError
from lipforcing.faces.align import box_matrix
from lipforcing.faces.follow import DetectingFollower, FixedFollower
from lipforcing.faces.landmarks import Face
from lipforcing.faces.paste import paste_weights
from lipforcing.media import AudioSource, VideoReader, VideoWriter, counted, read_audio
from lipforcing.media.pixels import samples
from lipforcing.pipeline import SyncOptions, sync_file

from .media.clips import as_frame, clicks, number_of, onsets, set_display_matrix, tone, write_wav
from .stream.helpers import small_family

WIDTH, HEIGHT, CODE = 96, 64, 16  # pixels; those of the stripes from the top
BOX = (24.0, 20.0, 72.0, 62.0)
COUNT = 12


@pytest.fixture(scope="module")
def family():
    return small_family()


@pytest.fixture(autouse=True)
def untrained(monkeypatch, family):
    """The command runs with a network of a few thousand numbers."""
    monkeypatch.setattr(sync_command, "load_family", lambda *_: family)


def drawn(number: int, width: int = WIDTH, height: int = HEIGHT, shot: int = 0) -> np.ndarray:
    """uint8 [H, W, 3]: the number in eight stripes above a blurred pattern of its shot."""
    random = np.random.default_rng(shot)
    small = random.integers(40, 216, (5, 5, 3)).astype(np.uint8)
    image = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)).copy()
    cell = -(-width // 8)
    for bit in range(8):
        image[:CODE, bit * cell : (bit + 1) * cell] = 235 if (number >> bit) & 1 else 16
    return image


def film(
    path: Path,
    shown: Sequence[np.ndarray] | int = COUNT,
    *,
    times: Sequence[float] | None = None,
    rate: Fraction | float = 25,
    tick: Fraction | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    sound: np.ndarray | Sequence[tuple[float, np.ndarray]] | None = None,
    sound_codec: str = "pcm_s16le",
    sound_layout: str = "mono",
    kind: str | None = None,
    **options: str,
) -> Path:
    """A file of pictures at given seconds, with 16-kHz sound [channels, n], or pieces of it at given seconds."""
    images = [drawn(number) for number in range(shown)] if isinstance(shown, int) else shown
    rate = Fraction(rate).limit_denominator(1001)
    tick = tick or (Fraction(1, 1000) if path.suffix in (".mkv", ".webm") else 1 / (rate * 512))
    with av.open(str(path), "w", format=kind, container_options=options) as container:
        video = container.add_stream(codec, rate=rate)
        video.height, video.width = images[0].shape[:2]
        video.pix_fmt = pixels
        video.codec_context.thread_count, video.codec_context.max_b_frames = 1, 0
        video.codec_context.time_base = tick if times is not None else 1 / rate
        if codec == "libx264":
            video.options = {"g": "4", "preset": "ultrafast", "crf": "10"}
        voice = None
        if sound is not None:
            voice = container.add_stream(sound_codec, rate=16_000, layout=sound_layout)
        for number, image in enumerate(images):
            frame = as_frame(image, pixels)
            frame.time_base = video.codec_context.time_base
            frame.pts = number if times is None else round(times[number] / tick)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if voice is not None:
            for at, samples in [(0.0, sound)] if isinstance(sound, np.ndarray) else sound:
                packed = np.ascontiguousarray(np.round(samples.T * 32767).astype(np.int16)).reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=sound_layout)
                frame.sample_rate, frame.time_base, frame.pts = 16_000, Fraction(1, 16_000), round(at * 16_000)
                container.mux(voice.encode(frame))
            container.mux(voice.encode(None))
    return path


def speech(tmp_path: Path, seconds: float = 0.3) -> Path:
    return write_wav(tmp_path / "speech.wav", tone(seconds, 16_000), 16_000)


@dataclass
class Ran:
    """Of a command: exit code, what it printed, and the result read back."""

    code: int
    said: str
    out: Path

    @cached_property
    def video(self) -> VideoReader:
        return VideoReader(self.out)

    @cached_property
    def frames(self) -> list:
        return list(self.video)

    @property
    def numbers(self) -> list[int]:
        return [number_of(frame.image[:CODE]) for frame in self.frames]

    @property
    def times(self) -> list[float]:
        return [frame.time for frame in self.frames]

    @property
    def seconds(self) -> float:
        return self.video.info.duration


@pytest.fixture
def sync(tmp_path, capsys):
    """Runs the command, and sees that nothing is left beside its inputs and its result."""

    def run(video, audio, *options: str, out: str = "out.mkv", face: str | None = None) -> Ran:
        before, path = set(os.listdir(tmp_path)), tmp_path / out
        face = ",".join(map(str, BOX)) if face is None else face
        code = main(["sync", str(video), str(audio), "-o", str(path), f"--face={face}", *options])
        printed = capsys.readouterr()
        assert set(os.listdir(tmp_path)) - before == ({out} if not code and out not in before else set())
        if code:
            assert code == 2 and printed.err.startswith("lipforcing: ") and len(printed.err.splitlines()) == 1
        return Ran(code, printed.err if code else printed.out, path)

    return run


def steps(count: int, rate: float) -> list[float]:
    return [n / rate for n in range(count)]


def luma(frame) -> np.ndarray:
    """Upright samples of luma (of one colour of RGB), as they were decoded."""
    return frame.picture.orientation.upright(samples(frame.picture.frame, 0)).copy()


def untouched(ran: Ran, video: Path, numbers: Sequence[int]) -> None:
    """Outside the mouth every sample of the result is the source's, and inside it is not."""
    source = {number_of(frame.image[:CODE]): luma(frame) for frame in VideoReader(video)}
    outside = paste_weights(box_matrix(*BOX)[None], [1.0], source[numbers[0]].shape)[0].numpy() == 0
    assert outside.mean() > 0.5
    for frame, number in zip(ran.frames, numbers, strict=True):
        same = luma(frame) == source[number]
        assert same[outside].all() and not same.all()


# Pictures and their times: what builds the file, which pictures come, at what seconds, how long the whole is.

NTSC = 24_000 / 1001
UNEVEN = [0.0, 0.03, 0.11, 0.12, 0.3, 0.31, 0.5, 0.56, 0.9, 0.95, 1.2, 1.24]


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def part(folder: Path, first: int, count: int = 10, **options) -> Path:
    images = [drawn(first + n) for n in range(count)]
    return film(folder / f"part{first}.ts", images, kind="mpegts", **options)


def packets_at(path: Path, times: Sequence[int | None], count: int = COUNT) -> Path:
    """Matroska whose pictures carry the given milliseconds, in any order."""
    clean = film(path.with_suffix(".clean.mkv"), count)
    with av.open(str(clean)) as source, av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux() if packet.size]
        for number, (packet, at) in enumerate(zip(packets, times, strict=True)):
            packet.stream, packet.pts, packet.time_base = stream, at, Fraction(1, 1000)
            packet.dts = min(at, 40 * number)
            container.mux(packet)
    return path


def patched(path: Path, name: bytes, offset: int, data: bytes) -> Path:
    """Overwrite bytes at an offset from a name in the file, everywhere."""
    content = bytearray(path.read_bytes())
    at = content.find(name)
    assert at >= 0
    while at >= 0:
        content[at + offset : at + offset + len(data)] = data
        at = content.find(name, at + 1)
    path.write_bytes(content)
    return path


def lying_mp4(folder: Path, ticks: int) -> Path:
    """All headers say the same other length."""
    path = film(folder / "in.mp4")
    for name, offset in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):
        patched(path, name, offset, struct.pack(">I", ticks))
    return path


def damaged(path: Path, first: int, end: int) -> Path:
    """Break what is in some packets."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux() if packet.size]
    content = bytearray(path.read_bytes())
    for at, size in places[first:end]:
        content[at + 12 : at + size - 2] = bytes(size - 14)
    path.write_bytes(content)
    return path


def cut_off(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: round(len(content) * share)])
    return path


def still(path: Path) -> Path:
    Image.fromarray(drawn(5)).save(path)
    return path


def animated(path: Path, milliseconds: int, count: int = 6) -> Path:
    first, *rest = [Image.fromarray(drawn(n)) for n in range(count)]
    first.save(path, save_all=True, append_images=rest, duration=milliseconds, loop=0)
    return path


@dataclass(frozen=True)
class Clip:
    build: Callable[[Path], Path]
    times: Sequence[float]
    seconds: float
    numbers: Sequence[int] = tuple(range(COUNT))


def regular(rate: float, count: int = COUNT, suffix: str = ".mp4") -> Clip:
    return Clip(
        lambda f: film(f / f"in{suffix}", count, rate=Fraction(rate).limit_denominator(1001)),
        steps(count, rate),
        count / rate,
        tuple(range(count)),
    )


CLIPS: dict[str, Clip] = {
    **{f"{rate:g} fps": regular(rate) for rate in (NTSC, 24, 30_000 / 1001, 50, 60, 120)},
    "1 fps": regular(1, 2),
    "5 fps": regular(5, 5),
    "23.976 fps in milliseconds": regular(NTSC, suffix=".mkv"),
    "3 pictures": regular(25, 3),
    "1 picture": regular(25, 1),
    "variable rate": Clip(lambda f: film(f / "in.mkv", times=UNEVEN), UNEVEN, UNEVEN[-1] + 0.04),
    "variable rate in MP4": Clip(
        lambda f: film(f / "in.mp4", times=UNEVEN, tick=Fraction(1, 90_000)), UNEVEN, UNEVEN[-1] + 0.04
    ),
    "starts at 10 s": Clip(
        lambda f: film(f / "in.mkv", times=[10 + n / 25 for n in range(COUNT)]), steps(COUNT, 25), 0.48
    ),
    "a gap of 2 s": Clip(
        lambda f: film(f / "in.mkv", times=[n / 25 + 2 * (n >= 6) for n in range(COUNT)]),
        [n / 25 + 2 * (n >= 6) for n in range(COUNT)],
        2.48,
    ),
    "no timestamps": Clip(lambda f: film(f / "in.h264", kind="h264"), steps(COUNT, 25), 0.48),
    "AVI": Clip(lambda f: film(f / "in.avi", codec="mpeg4"), steps(COUNT, 25), 0.48),
    "two parts": Clip(lambda f: joined(f / "in.ts", part(f, 0), part(f, 10)), steps(20, 25), 0.8, range(20)),
    "three parts": Clip(
        lambda f: joined(f / "in.ts", part(f, 0), part(f, 10), part(f, 20)), steps(30, 25), 1.2, range(30)
    ),
    "parts of two rates": Clip(
        lambda f: joined(f / "in.ts", part(f, 0, 16), part(f, 16, 4, rate=50)),
        [*steps(16, 25), 0.636, 0.656, 0.676, 0.696],  # the new part begins an average interval after the last picture
        0.716,
        range(20),
    ),
    "header says an hour": Clip(lambda f: lying_mp4(f, 12_800 * 3600), steps(COUNT, 25), 0.48),
    "header says nothing": Clip(lambda f: lying_mp4(f, 0), steps(COUNT, 25), 0.48),
    "a picture twice at a time": Clip(
        lambda f: packets_at(f / "in.mkv", [0, 40, 80, 80, 120, 160, 200, 240, 280, 320, 360, 400]),
        [0, 0.04, 0.08, 0.1, *(n / 25 for n in range(3, 11))],
        0.44,
    ),
    "one stray timestamp": Clip(
        lambda f: packets_at(f / "in.mkv", [0, 40, 80, 120, 90_000, 200, 240, 280, 320, 360, 400, 440]),
        steps(COUNT, 25),
        0.48,
    ),
    "turned by 90 degrees": Clip(lambda f: turned(f, 0, 1, -1, 0), steps(COUNT, 25), 0.48),
    "turned by 180 degrees": Clip(lambda f: turned(f, -1, 0, 0, -1), steps(COUNT, 25), 0.48),
    "turned by 270 degrees": Clip(lambda f: turned(f, 0, -1, 1, 0), steps(COUNT, 25), 0.48),
    "mirrored": Clip(lambda f: turned(f, -1, 0, 0, 1), steps(COUNT, 25), 0.48),
    "HEVC": Clip(lambda f: film(f / "in.mp4", codec="libx265"), steps(COUNT, 25), 0.48),
    "VP9": Clip(lambda f: film(f / "in.webm", codec="libvpx-vp9"), steps(COUNT, 25), 0.48),
    "FFV1": Clip(lambda f: film(f / "in.mkv", codec="ffv1"), steps(COUNT, 25), 0.48),
    "ProRes": Clip(lambda f: film(f / "in.mov", codec="prores_ks", pixels="yuv422p10le"), steps(COUNT, 25), 0.48),
    "MJPEG": Clip(lambda f: film(f / "in.avi", codec="mjpeg", pixels="yuvj420p"), steps(COUNT, 25), 0.48),
    "DV-like 4:1:1": Clip(lambda f: film(f / "in.mkv", codec="ffv1", pixels="yuv411p"), steps(COUNT, 25), 0.48),
    "4:2:2": Clip(lambda f: film(f / "in.mkv", codec="ffv1", pixels="yuv422p"), steps(COUNT, 25), 0.48),
    "4:4:4": Clip(lambda f: film(f / "in.mkv", codec="ffv1", pixels="yuv444p"), steps(COUNT, 25), 0.48),
    "10 bits": Clip(lambda f: film(f / "in.mkv", codec="ffv1", pixels="yuv420p10le"), steps(COUNT, 25), 0.48),
    "12 bits": Clip(lambda f: film(f / "in.mkv", codec="ffv1", pixels="yuv444p12le"), steps(COUNT, 25), 0.48),
    "grey": Clip(lambda f: film(f / "in.mkv", codec="ffv1", pixels="gray"), steps(COUNT, 25), 0.48),
    "RGB": Clip(lambda f: film(f / "in.mkv", codec="ffv1", pixels="bgr0"), steps(COUNT, 25), 0.48),
    "odd size": Clip(
        lambda f: film(f / "in.mkv", [drawn(n, 97, 67) for n in range(COUNT)], codec="ffv1"), steps(COUNT, 25), 0.48
    ),
    "GIF at 10 fps": Clip(lambda f: animated(f / "in.gif", 100), steps(6, 10), 0.6, tuple(range(6))),
    "JPEG": Clip(lambda f: still(f / "in.jpg"), [0.0], 0.04, (5,)),
    "PNG": Clip(lambda f: still(f / "in.png"), [0.0], 0.04, (5,)),
    "still GIF": Clip(lambda f: still(f / "in.gif"), [0.0], 0.1, (5,)),
    "last picture of 2 s": Clip(lambda f: held_end(f / "in.mp4"), steps(COUNT, 25), 2.44),
}


def turned(folder: Path, *matrix: int) -> Path:
    """Stored so that it is upright when it is shown."""
    a, b, _, d = matrix
    images = []
    for number in range(COUNT):
        image = drawn(number)
        image = np.rot90(image, b) if b else image[::d, ::a]
        images.append(np.ascontiguousarray(image))
    path = film(folder / "in.mp4", images)
    set_display_matrix(path, *matrix)
    return path


def held_end(path: Path) -> Path:
    """The last picture is shown for two seconds, says its packet."""
    clean = film(path.with_suffix(".clean.mp4"))
    with av.open(str(clean)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux() if packet.size]
        packets[-1].duration = round(2 / packets[-1].time_base)
        for packet in packets:
            packet.stream = stream
            container.mux(packet)
    return path


@pytest.mark.parametrize("name", list(CLIPS))
def test_every_picture_comes_at_its_time_and_is_left_alone_outside_the_mouth(name, sync, tmp_path):
    clip = CLIPS[name]
    video = clip.build(tmp_path)
    ran = sync(video, speech(tmp_path, 0.03), "--length", "video", "--lossless")
    assert ran.code == 0, ran.said
    assert ran.numbers == list(clip.numbers)
    assert ran.times == pytest.approx(clip.times, abs=0.0011)
    assert ran.seconds == pytest.approx(clip.seconds, abs=0.0021)
    assert f"{counted(len(clip.numbers))} written, {clip.seconds:.2f} s" in ran.said
    untouched(ran, video, clip.numbers)
    assert read_audio(ran.out).seconds == pytest.approx(clip.seconds, abs=0.01)


# Sound: what builds it, and what becomes of it beside a video of 12 frames (0.48 s).


def wav(folder: Path, channels: np.ndarray, rate: int = 16_000) -> Path:
    return write_wav(folder / "speech.wav", channels, rate)


def float_wav(folder: Path, broken: float) -> Path:
    """32-bit float WAV with values that are no numbers."""
    values = tone(0.48, 16_000)[0]
    values[100:110] = broken
    data = values.astype("<f4").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 3, 1, 16_000, 64_000, 4, 32,
                       b"data", len(data))  # fmt: skip
    (folder / "speech.wav").write_bytes(head + data)
    return folder / "speech.wav"


def streamed_wav(folder: Path, size: int) -> Path:
    """Written to a pipe: nobody knew how long it would be."""
    path = wav(folder, tone(0.48, 16_000))
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = struct.pack("<I", size)
    path.write_bytes(content)
    return path


def coded(folder: Path, suffix: str, codec: str, layout: str = "mono", rate: int = 16_000, kind: str | None = None):
    path = folder / f"speech{suffix}"
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        count = len(av.AudioLayout(layout).channels)
        packed = np.ascontiguousarray(tone(0.48, rate, count).T * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@dataclass(frozen=True)
class Sound:
    """``seconds`` of the result's sound, its frames, its layout, and what is said."""

    build: Callable[[Path], Path]
    frames: int = 12
    layout: str = "mono"
    said: str = "12 frames written, 0.48 s."
    options: Sequence[str] = ()
    out: str = "out.mkv"


def upside_down(folder: Path) -> Path:
    one = tone(0.48, 16_000)
    return wav(folder, np.concatenate((one, -one)))


SOUNDS: dict[str, Sound] = {
    "silence": Sound(lambda f: wav(f, np.zeros((1, 7680)))),
    "clipped": Sound(lambda f: wav(f, np.sign(tone(0.48, 16_000)))),
    "0.1 s": Sound(lambda f: wav(f, tone(0.1, 16_000)), 3, said="3 frames written, 0.12 s"),
    "0.01 s": Sound(lambda f: wav(f, tone(0.01, 16_000)), 1, said="1 frame written"),
    "one sample": Sound(lambda f: wav(f, tone(1 / 16_000, 16_000)), 1, said="1 frame written"),
    "not a number": Sound(lambda f: float_wav(f, float("nan")), said="10 samples of"),
    "infinite": Sound(lambda f: float_wav(f, float("inf")), said="10 samples of"),
    "not a number, AAC": Sound(lambda f: float_wav(f, float("nan")), said="10 samples of", out="out.mp4"),
    "8 kHz": Sound(lambda f: wav(f, tone(0.48, 8000), 8000)),
    "11.025 kHz": Sound(lambda f: wav(f, tone(0.48, 11_025), 11_025)),
    "192 kHz": Sound(lambda f: wav(f, tone(0.48, 192_000), 192_000)),
    "stereo": Sound(lambda f: wav(f, tone(0.48, 16_000, 2)), layout="stereo"),
    "upside down": Sound(upside_down, layout="stereo", said="cancel each other; the mouth follows the loudest one"),
    "8 channels": Sound(lambda f: wav(f, tone(0.48, 16_000, 8)), layout="7.1"),
    "8 channels, AAC": Sound(lambda f: wav(f, tone(0.48, 16_000, 8)), layout="7.1", out="out.mp4"),
    "7.1 of AAC": Sound(lambda f: coded(f, ".m4a", "aac", "7.1", 48_000), 0, "7.1", said="", out="out.mp4"),
    "quad": Sound(lambda f: coded(f, ".flac", "flac", "quad"), layout="quad"),
    "2.1": Sound(lambda f: coded(f, ".mkv", "flac", "2.1"), layout="2.1"),
    "4.1, AAC": Sound(lambda f: coded(f, ".mkv", "flac", "4.1"), layout="5.1", out="out.mp4"),
    "6.1": Sound(lambda f: coded(f, ".mkv", "flac", "6.1"), layout="6.1"),
    "MP3 of 8 kHz in MP4": Sound(lambda f: coded(f, ".mp3", "libmp3lame", rate=8000), 0, said="", out="out.mp4"),
    "Opus": Sound(lambda f: coded(f, ".opus", "libopus", rate=48_000, kind="ogg"), 0, said=""),
    "size unknown": Sound(lambda f: streamed_wav(f, 0xFFFFFFFF)),
    "size zero": Sound(lambda f: streamed_wav(f, 0)),
    "cut off": Sound(lambda f: cut_off(wav(f, tone(0.96, 16_000)), 0.5), said="12 frames written"),
    "longer, all of the video": Sound(lambda f: wav(f, tone(0.8, 16_000)), options=("--length", "video")),
    "shorter, then silence": Sound(lambda f: wav(f, tone(0.2, 16_000)), options=("--length", "silence")),
    "longer, nothing left out": Sound(
        lambda f: wav(f, tone(0.8, 16_000)), 20, said="20 frames written, 0.80 s.", options=("--length", "silence")
    ),
    "longer, looped": Sound(
        lambda f: wav(f, tone(0.8, 16_000)), 20, said="20 frames written, 0.80 s.", options=("--fill", "loop")
    ),
    "longer, held": Sound(
        lambda f: wav(f, tone(0.8, 16_000)), 20, said="20 frames written, 0.80 s.", options=("--fill", "hold")
    ),
}
FILLED = {
    "longer, nothing left out": [*range(12), 10, 9, 8, 7, 6, 5, 4, 3],
    "longer, looped": [*range(12), *range(8)],
    "longer, held": [*range(12), *[11] * 8],
}


@pytest.mark.parametrize("name", list(SOUNDS))
def test_every_sound_is_heard_in_its_layout_and_what_is_odd_is_said(name, sync, tmp_path):
    sound = SOUNDS[name]
    audio = sound.build(tmp_path)
    ran = sync(film(tmp_path / "in.mp4"), audio, *sound.options, out=sound.out)
    assert ran.code == 0, ran.said
    assert sound.said in ran.said
    frames = sound.frames or int(np.ceil(AudioSource(audio).seconds * 25 - 1e-6))
    assert ran.numbers == FILLED.get(name, [n if n < 12 else 22 - n for n in range(frames)])
    heard = AudioSource(ran.out)
    assert heard.layout == sound.layout
    shown = frames / 25 if "--length" in sound.options else min(frames / 25, AudioSource(audio).seconds)
    exact = heard.codec.startswith(("pcm", "flac")) and not sound.options  # other packets, and cut ones, are longer
    assert heard.seconds == pytest.approx(shown, abs=0.002 if exact else 0.07)
    waveform = heard.read().waveform
    assert bool(waveform.isfinite().all())
    assert (float(waveform.abs().max()) > 0.2) == (name not in ("silence", "one sample"))


# Sound and pictures of one file: when clicks are heard.


def clicking(folder: Path, first: int, at: float) -> Path:
    return part(folder, first, 15, sound=clicks([at], 0.6, 16_000), sound_codec="mp2")


SELF_SOUND: dict[str, tuple[Callable[[Path], Path], int, list[float]]] = {
    "as recorded": (lambda f: film(f / "in.mkv", 25, sound=clicks([0.3, 0.7], 1.0, 16_000)), 25, [0.3, 0.7]),
    "sound starts late": (
        lambda f: film(f / "in.mkv", 25, sound=[(0.5, clicks([0.2], 0.5, 16_000))]),
        25,
        [0.7],
    ),
    "pictures start late": (
        lambda f: film(
            f / "in.mkv", 25, times=[0.4 + n / 25 for n in range(25)], sound=clicks([0.6, 1.0], 1.4, 16_000)
        ),
        25,
        [0.2, 0.6],
    ),
    "a gap in the sound": (
        lambda f: film(f / "in.mkv", 50, sound=[(0.0, clicks([0.2], 0.5, 16_000)), (1.5, clicks([0.2], 0.5, 16_000))]),
        50,
        [0.2, 1.7],
    ),
    "two parts, each with its sound": (
        lambda f: joined(f / "in.ts", clicking(f, 0, 0.3), clicking(f, 15, 0.5)),
        30,
        [0.3, 1.1],
    ),
    "three parts, each with its sound": (
        lambda f: joined(f / "in.ts", clicking(f, 0, 0.3), clicking(f, 15, 0.5), clicking(f, 30, 0.2)),
        45,
        [0.3, 1.1, 1.4],
    ),
}


@pytest.mark.parametrize("name", list(SELF_SOUND))
def test_sound_stays_with_its_pictures(name, sync, tmp_path):
    build, count, heard = SELF_SOUND[name]
    video = build(tmp_path)
    ran = sync(video, video, "--length", "video")
    assert ran.code == 0, ran.said
    assert ran.numbers == list(range(count))
    sound = read_audio(ran.out)
    assert onsets(sound.waveform[0].numpy(), sound.sample_rate) == pytest.approx(heard, abs=0.03)


def test_a_gap_in_the_sound_that_the_pictures_cover_is_believed(tmp_path):
    pieces = [(0.0, clicks([0.2], 0.5, 16_000)), (70.5, clicks([0.2], 0.5, 16_000))]
    sound = read_audio(film(tmp_path / "in.mkv", 73, rate=1, sound=pieces))
    assert onsets(sound.waveform[0].numpy(), 16_000) == pytest.approx([0.2, 70.7], abs=0.002)


# Damage


def test_a_damaged_middle_is_said_and_the_rest_stays_in_time(sync, tmp_path):
    video = damaged(film(tmp_path / "in.mp4"), 5, 6)
    ran = sync(video, speech(tmp_path), "--length", "video", "--lossless")
    assert ran.code == 0 and "could not be decoded whole" in ran.said
    shown = {
        number: at for number, at in reversed(list(zip(ran.numbers, ran.times)))
    }  # what is lost may be an older one
    assert {number: shown[number] for number in (0, 1, 2, 3, 4, 8, 9, 10, 11)} == pytest.approx(
        {number: number / 25 for number in (0, 1, 2, 3, 4, 8, 9, 10, 11)}, abs=1e-3
    )
    assert f"{len(ran.times)} frames written, 0.48 s." in ran.said and ran.seconds == pytest.approx(0.48, abs=2e-3)


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_file_that_was_cut_off_gives_what_is_left(share, sync, tmp_path):
    video = cut_off(film(tmp_path / "in.mkv", 40), share)
    ran = sync(video, speech(tmp_path), "--length", "video")
    assert ran.code == 0 and 40 * share - 9 < len(ran.numbers) < 40 * share + 5
    assert ran.numbers == list(range(len(ran.numbers)))


def test_broken_packets_of_sound_are_silence_and_said(sync, tmp_path):
    audio = damaged(coded(tmp_path, ".mkv", "flac"), 2, 3)
    ran = sync(film(tmp_path / "in.mp4"), audio)
    assert ran.code == 0 and "1 packets of the sound of" in ran.said and "became silence" in ran.said
    heard = read_audio(audio).waveform[0]
    assert (
        len(heard) == 7680 and not heard[2310:3400].any() and heard[:2300].abs().max() > 0.2 < heard[3460:].abs().max()
    )


# Faces


class Marked:
    """Finds faces by the colour of their pixels, as a detector would: none, one or two."""

    def __init__(self, *colours: tuple[int, int, int]) -> None:
        self.colours = torch.tensor(colours)

    def __call__(self, picture, *_) -> list[Face]:
        image, found = picture.rgb().int(), []
        for colour in self.colours:
            rows, columns = ((image - colour).abs().amax(-1) < 40).nonzero(as_tuple=True)
            if len(rows) > 60:
                x0, y0, x1, y1 = (float(v) for v in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
                eyes = torch.tensor([[x0 + (x1 - x0) * at, y0 + (y1 - y0) * 0.4] for at in (0.3, 0.7)])
                box = torch.tensor([x0, y0, x1, y1])
                found.append(Face(box, 0.9, torch.cat([eyes, torch.zeros(3, 2)]), "yunet5"))
        return found


PINK, GREEN = (250, 20, 250), (20, 250, 20)


def with_faces(*faces: tuple[tuple[int, int, int], int], shot: int = 0) -> np.ndarray:
    """A frame with faces of 24 x 30 pixels at given columns, which may lie partly outside."""
    image = drawn(83 * shot % 256, shot=shot)
    for colour, left in faces:
        image[24:54, max(0, left) : max(0, left + 24)] = colour
    return image


def follow(tmp_path, family, images, rate=25, colours=(PINK,), keep_partial=False):
    """A run with a detector that sees colours; gives its result, its frames, and where each is not the source's."""
    video = film(tmp_path / "in.mkv", images, rate=rate, codec="ffv1", pixels="bgr0")
    wave = AudioSource(wav(tmp_path, tone(len(images) / rate, 16_000)))
    options = SyncOptions(lossless=True, overlapped=False, keep_partial=keep_partial)
    with VideoReader(video) as reader:
        result = sync_file(family, reader, wave, tmp_path / "out.mkv", DetectingFollower(Marked(*colours)), options)
        source = [frame.image for frame in reader]
    written = [frame.image for frame in VideoReader(tmp_path / "out.mkv")]
    changed = [(a != b).any(-1) for a, b in zip(source, written, strict=True)]
    assert len(changed) == len(images) == result.frames
    assert result.untouched == sum(not change.any() for change in changed)
    return result, written, changed


def test_a_face_that_comes_late_leaves_the_frames_before_it_alone(tmp_path, family):
    images = [with_faces(*([(PINK, 36)] if n >= 14 else [])) for n in range(24)]
    result, _, changed = follow(tmp_path, family, images)
    assert not any(change.any() for change in changed[:14])
    assert all(change.any() for change in changed[17:])
    assert f"{result.untouched} of them are the source's own" in result.description


def test_a_face_that_leaves_the_picture_leaves_nothing_behind(tmp_path, family):
    images = [with_faces((PINK, 30 + 6 * n)) for n in range(24)]
    _, _, changed = follow(tmp_path, family, images)
    assert all(change.any() for change in changed[:8]) and not any(change.any() for change in changed[14:])


def test_of_two_faces_one_speaks(tmp_path, family):
    images = [with_faces((PINK, 8), (GREEN, 64)) for _ in range(14)]
    _, _, changed = follow(tmp_path, family, images, colours=(PINK, GREEN))
    assert all(bool(change[:, :48].any()) != bool(change[:, 48:].any()) for change in changed)


@pytest.mark.parametrize("rate, cut", [(25, 5), (25, 6), (50, 5), (50, 6), (60, 5), (60, 6), (60, 7), (60, 8)])
def test_a_cut_at_every_parity_keeps_the_mouths_apart(rate, cut, tmp_path, family):
    """The frames up to a cut do not know what follows, those after it do not know what came before."""

    def cut_clip(name: str, one: int, other: int) -> list[torch.Tensor]:
        (tmp_path / name).mkdir()
        images = [with_faces((PINK, 36), shot=one if n < cut else other) for n in range(11)]
        return follow(tmp_path / name, family, images, rate)[1]

    first, ends, begins = cut_clip("a", 1, 2), cut_clip("b", 1, 3), cut_clip("c", 4, 2)
    assert all(torch.equal(a, b) for a, b in zip(first[:cut], ends[:cut], strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first[cut:], begins[cut:], strict=True))
    assert not torch.equal(first[cut], ends[cut]) and not torch.equal(first[0], begins[0])


@pytest.mark.parametrize("keep", [False, True])
def test_without_any_face_there_is_one_sentence_and_no_file(keep, tmp_path, family):
    with pytest.raises(InputError, match="No face was found"):
        follow(tmp_path, family, [with_faces() for _ in range(40)], keep_partial=keep)
    assert not (tmp_path / "out.mkv").exists()


# What cannot be: a command, and a piece of the sentence that is all it says.


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def text(path: Path) -> Path:
    path.write_text("not a video, a page of notes\n" * 20)
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def no_pictures(path: Path) -> Path:
    return cut_off(film(path), 0.02)


REFUSED: dict[str, tuple[Callable, str]] = {
    "missing": (lambda f, sync: sync(f / "none.mp4", speech(f)), "there is no such file"),
    "a folder": (lambda f, sync: sync(folder(f / "in.mp4"), speech(f)), "is a folder"),
    "empty": (lambda f, sync: sync(empty(f / "in.mp4"), speech(f)), "is not a media file"),
    "text": (lambda f, sync: sync(text(f / "in.mp4"), speech(f)), "is not a media file"),
    "a pipe": (lambda f, sync: sync(pipe(f / "in.mp4"), speech(f)), "is a pipe or a device"),
    "sound from a pipe": (lambda f, sync: sync(film(f / "in.mp4"), pipe(f / "s.wav")), "is a pipe or a device"),
    "a header alone": (lambda f, sync: sync(no_pictures(f / "in.mkv"), speech(f)), "in.mkv"),
    "sound as video": (lambda f, sync: sync(speech(f), f / "speech.wav"), "no video stream"),
    "no sound": (lambda f, sync: sync(film(f / "in.mp4"), f / "in.mp4"), "has no audio stream (only pictures)"),
    "sound of no samples": (lambda f, sync: sync(film(f / "in.mp4"), wav(f, np.zeros((1, 0)))), "speech.wav"),
    "the output is the video": (lambda f, sync: sync(film(f / "in.mp4"), speech(f), out="in.mp4"), "an input itself"),
    "the output is a folder": (
        lambda f, sync: sync(film(f / "in.mp4"), speech(f), out=folder(f / "o.mp4").name),
        "is a folder",
    ),
    "the output is a pipe": (
        lambda f, sync: sync(film(f / "in.mp4"), speech(f), out=pipe(f / "o.mp4").name),
        "is a pipe or a device",
    ),
    "no folder for the output": (lambda f, sync: sync(film(f / "in.mp4"), speech(f), out="no/o.mp4"), "does not exist"),
    "an unknown kind": (lambda f, sync: sync(film(f / "in.mp4"), speech(f), out="o.gif"), "cannot write .gif"),
    "a name of 300 letters": (lambda f, sync: sync(film(f / "in.mp4"), speech(f), out="n" * 300 + ".mp4"), "shorter"),
    "a seed beyond 64 bits": (
        lambda f, sync: sync(film(f / "in.mp4"), speech(f), "--seed", "9" * 20),
        "--seed 99999999999999999999 is out of range",
    ),
    **{
        f"face {face}": (
            lambda f, sync, face=face: sync(film(f / "in.mp4"), speech(f), face=face),
            "which is 96x64" if "nan" not in face and face != "1,2,3" else "is no face: give auto",
        )
        for face in (
            "5000,5000,5600,5800",
            "0,0,1,1",
            "0,0,1e9,1e9",
            "-90,-90,-10,-10",
            "nan,nan,nan,nan",
            "1,2,3",
            "nan,1",
            "500,9",
        )
    },
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_cannot_be_is_one_sentence(name, sync, tmp_path):
    command, said = REFUSED[name]
    ran = command(tmp_path, sync)
    assert ran.code == 2 and said in ran.said


@pytest.mark.parametrize("name", ["talk:1.mkv", "take%d.mkv", "n" * 249 + ".mkv", "你好 (1) #2 'x'.mkv", "a?b.mkv"])
def test_names_are_only_names(name, sync, tmp_path, monkeypatch):
    """Of the video and of the result, absolute and from within the folder."""
    video = film(tmp_path / "film.mkv").rename(tmp_path / name)
    audio = speech(tmp_path)
    (tmp_path / "results").mkdir()
    assert main(["sync", str(video), str(audio), "-o", str(tmp_path / "results" / name), "--face", "full"]) == 0
    monkeypatch.chdir(tmp_path / "results")
    os.rename(tmp_path / "speech.wav", "s:1.wav")
    assert main(["sync", name, "s:1.wav", "-o", f"2{name[1:]}", "--face", "full"]) == 0
    assert sorted(os.listdir()) == sorted((name, "s:1.wav", f"2{name[1:]}"))
    assert [len(list(VideoReader(one))) for one in (name, f"2{name[1:]}")] == [8, 8]


@pytest.mark.parametrize("name", ["take%d.png", "take?.png", "take*.png", "take[1].png"])
def test_a_picture_is_one_file_whatever_its_name(name, sync, tmp_path):
    """And no pattern for a series that lies beside it."""
    Image.fromarray(drawn(9)).save(tmp_path / "take1.png")
    ran = sync(still(tmp_path / name), speech(tmp_path))
    assert ran.code == 0 and ran.numbers == [5] * 8


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
def test_a_full_disk_is_one_sentence(tmp_path, family, monkeypatch):
    """Half way: the hidden file is on a disk that gets full."""
    from lipforcing.media import writer as writer_module

    monkeypatch.setattr(writer_module, "temporary_beside", lambda path: tmp_path / "full.part")
    (tmp_path / "full.part").symlink_to("/dev/full")
    with (
        pytest.raises(InputError, match=r"cannot be written .*make room"),
        VideoWriter(tmp_path / "o.mkv", WIDTH, HEIGHT, 25, lossless=True) as writer,
    ):
        for number in range(300):
            noise = torch.randint(0, 256, (HEIGHT, WIDTH, 3), dtype=torch.uint8)
            writer.write(noise, number / 25)
    assert os.listdir(tmp_path) == []


# Runs that end early


class Stop(Exception):
    pass


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("keep", [False, True])
def test_a_cancelled_run_leaves_a_file_that_plays_or_nothing(suffix, keep, tmp_path, family):
    def cancel(done: int, *_) -> None:
        if done == 21:
            raise Stop

    video, out = film(tmp_path / "in.mp4", 60), tmp_path / f"out{suffix}"
    with VideoReader(video) as reader, pytest.raises(Stop):
        audio = AudioSource(wav(tmp_path, tone(2.4, 16_000)))
        sync_file(family, reader, audio, out, FixedFollower(), SyncOptions(keep_partial=keep), cancel)
    assert out.exists() == keep and len(os.listdir(tmp_path)) == 2 + keep
    if keep:
        assert [number_of(frame.image[:CODE]) for frame in VideoReader(out)] == list(range(21))
        assert read_audio(out).seconds == pytest.approx(21 / 25, abs=0.1)


def test_a_matroska_file_can_be_watched_while_it_grows(tmp_path):
    out = tmp_path / "out.mkv"
    with VideoWriter(out, WIDTH, HEIGHT, 25, keep_partial=True) as writer:
        for number in range(80):
            writer.write(torch.from_numpy(drawn(number)), number / 25)
        seen = [number_of(frame.image[:CODE]) for frame in VideoReader(io.BytesIO(out.read_bytes()))]
        assert len(seen) >= 25 and seen == list(range(len(seen)))
    assert len(list(VideoReader(out))) == 80


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_a_run_and_leaves_nothing(number, sync, tmp_path, family, monkeypatch, capsys):
    class Signalling(sync_command.Bar):
        def __call__(self, done: int, *rest) -> None:
            super().__call__(done, *rest)
            if done == 9:
                os.kill(os.getpid(), number)
                time.sleep(0.2)

    monkeypatch.setattr(sync_command, "Bar", Signalling)
    video, audio = film(tmp_path / "in.mp4", 60), wav(tmp_path, tone(2.4, 16_000))
    before = os.listdir(tmp_path)
    assert main(["sync", str(video), str(audio), "-o", str(tmp_path / "o.mp4"), "--face", "full"]) == 130
    assert "cancelled, nothing was written" in capsys.readouterr().err
    assert os.listdir(tmp_path) == before


def test_the_length_is_said_before_the_run(sync, tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise InputError("stop here")

    monkeypatch.setattr(sync_command, "load_family", refuse)
    main(
        ["sync", str(film(tmp_path / "in.mp4")), str(speech(tmp_path)), "-o", str(tmp_path / "o.mp4"), "--face", "full"]
    )
    printed = capsys.readouterr()
    assert "8 frames (0.32 s at 25 fps)" in printed.out and "stop here" in printed.err


def test_a_terminal_that_cannot_show_a_name_is_no_failure(tmp_path, monkeypatch):
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="cp1252", write_through=True))
    video, audio, out = film(tmp_path / "in.mp4", 3), speech(tmp_path, 0.1), tmp_path / "你好.mp4"
    assert main(["sync", str(video), str(audio), "-o", str(out), "--face", "full"]) == 0
    assert out.exists() and b"\\u4f60\\u597d.mp4: 3 frames written" in printed.getvalue()
