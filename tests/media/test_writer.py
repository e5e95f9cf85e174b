from __future__ import annotations

import io
import os
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.media.audio import Audio, AudioSource, read_audio
from lipforcing.media.colour import Colour
from lipforcing.media.info import probe
from lipforcing.media.reader import VideoReader
from lipforcing.media.writer import VideoWriter, check_output

from .clips import clicks, number_of, numbered, onsets, smooth, tone, write_video, write_wav


def images(arrays) -> list[torch.Tensor]:
    return [torch.from_numpy(array) for array in arrays]


def write(path, arrays, rate=25, times=None, **options):
    height, width = arrays[0].shape[:2]
    with VideoWriter(path, width, height, Fraction(rate), **options) as writer:
        for number, image in enumerate(images(arrays)):
            writer.write(image, times[number] if times else float(number / Fraction(rate)))
    return path


def audio_packets(path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def audio_codec(path) -> str:
    with av.open(str(path)) as container:
        return container.streams.audio[0].codec_context.codec.canonical_name


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_frames_and_times(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", numbered(60), rate=Fraction(30000, 1001))
    frames = list(VideoReader(path))
    assert [number_of(frame.image) for frame in frames] == list(range(60))
    assert [frame.time for frame in frames] == pytest.approx([n * 1001 / 30000 for n in range(60)], abs=1e-6)
    info = probe(path)
    assert (info.width, info.height) == (32, 16)
    assert float(info.frame_rate) == pytest.approx(30000 / 1001, rel=1e-3)
    assert info.duration == pytest.approx(60 * 1001 / 30000, abs=1e-3)
    assert info.colour == Colour(1, 1, 1, 1)
    assert os.listdir(tmp_path) == [path.name]


def test_uneven_times_stay_uneven(tmp_path):
    ticks = [0, 20, 70, 75, 300, 310, 900]
    source = write_video(tmp_path / "in.mp4", numbered(7), pts=ticks, time_base=Fraction(1, 600), rate=Fraction(7, 2))
    reader = VideoReader(source)
    with VideoWriter.like(tmp_path / "out.mp4", reader.info) as writer:
        for frame in reader:
            writer.write(frame.image, frame.time)
        writer.close(end=2.0)
    frames = list(VideoReader(tmp_path / "out.mp4"))
    assert [frame.time for frame in frames] == pytest.approx([tick / 600 for tick in ticks])
    assert probe(tmp_path / "out.mp4").duration == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("level_range", [1, 2])
def test_colours_survive_in_tags_and_in_pixels(tmp_path, matrix, level_range):
    colour = Colour(matrix, level_range, matrix, {1: 1, 6: 6, 9: 14}[matrix])
    original = smooth(96, 64)
    source = write_video(tmp_path / "in.mp4", [original] * 3, colour=colour, options={"crf": "1"})
    reader = VideoReader(source)
    read = [frame.image for frame in reader]
    assert np.abs(read[0].numpy().astype(int) - original).mean() <= 2
    with VideoWriter.like(tmp_path / "out.mp4", reader.info) as writer:
        for number, image in enumerate(read):
            writer.write(image, number / 25)
    info = probe(tmp_path / "out.mp4")
    assert info.colour == colour
    again = next(VideoReader(tmp_path / "out.mp4").frames()).image
    difference = again.float() - read[0].float()
    assert difference.abs().mean() <= 2
    assert difference.mean((0, 1)).abs().max() <= 0.7, "a colour cast"


@pytest.mark.parametrize("width, height", [(33, 16), (32, 17), (35, 19)])
def test_odd_sizes_are_kept(tmp_path, width, height):
    image = smooth(width, height)
    path = write(tmp_path / "a.mp4", [image] * 2, quality=4)
    read = next(VideoReader(path).frames()).image.numpy()
    assert read.shape == image.shape
    assert np.abs(read.astype(int) - image).mean() <= 2


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("width, height", [(64, 48), (35, 19)])
def test_lossless_gives_back_exactly_the_pixels(tmp_path, suffix, width, height):
    noise = np.random.default_rng(0).integers(0, 256, (4, height, width, 3), dtype=np.uint8)
    path = write(tmp_path / f"a.{suffix}", list(noise), lossless=True)
    frames = list(VideoReader(path))
    assert len(frames) == 4
    for frame, expected in zip(frames, noise):
        np.testing.assert_array_equal(frame.image.numpy(), expected)


def test_pixel_shape_and_metadata_survive(tmp_path):
    path = write(
        tmp_path / "a.mp4", numbered(3), pixel_aspect=Fraction(16, 11), metadata={"prompt": {"1": "ä"}, "note": "x"}
    )
    assert probe(path).pixel_aspect == Fraction(16, 11)
    with av.open(str(path)) as container:
        assert container.metadata["note"] == "x" and container.metadata["prompt"].startswith('{"1"')


def test_index_comes_first_for_players_on_the_web(tmp_path):
    data = write(tmp_path / "a.mp4", numbered(3)).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(
    "channels, rate", [(1, 16_000), (2, 44_100), (6, 48_000), (2, 50_000), (2, 96_000), (7, 8_000)]
)
def test_wave_sound_becomes_good_aac(tmp_path, channels, rate):
    wav = write_wav(tmp_path / "a.wav", tone(1.0, rate, channels), rate)
    path = write(tmp_path / "a.mp4", numbered(25), audio=AudioSource(wav))
    assert audio_codec(path) == "aac"
    sound = read_audio(path)
    assert sound.channels == (6 if channels == 7 else channels)  # 6.1 is mixed to 5.1
    assert sound.sample_rate == (48_000 if rate == 50_000 else rate)
    assert sound.seconds == pytest.approx(1.0, abs=0.03)
    if channels < 6:
        middle = sound.waveform[0, sound.sample_rate // 4 : sound.sample_rate * 3 // 4]
        assert middle.square().mean().sqrt() == pytest.approx(0.5 / 2**0.5, rel=0.03)


@pytest.mark.parametrize("suffix, codec", [("mp4", "alac"), ("mkv", "pcm_s16le")])
def test_lossless_sound(tmp_path, suffix, codec):
    samples = np.random.default_rng(0).uniform(-1, 1, (2, 44_100)).astype(np.float32)
    wav = write_wav(tmp_path / "a.wav", samples, 44_100)
    path = write(tmp_path / f"a.{suffix}", numbered(25), audio=AudioSource(wav), lossless=True)
    assert audio_codec(path) == codec
    assert torch.equal(read_audio(path).waveform, read_audio(wav).waveform)


@pytest.mark.parametrize("suffix, codec", [("mp4", "alac"), ("mkv", "flac")])
def test_lossless_sound_from_memory(tmp_path, suffix, codec):
    waveform = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2, 24_000)).astype(np.float32))
    path = write(tmp_path / f"a.{suffix}", numbered(25), audio=Audio(waveform, 24_000), lossless=True)
    assert audio_codec(path) == codec
    torch.testing.assert_close(read_audio(path).waveform, waveform, atol=2**-23, rtol=0)


@pytest.fixture
def m4a(tmp_path):
    """Two seconds of AAC with clicks."""
    path = tmp_path / "in.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(clicks([0.5, 1.2], 2.0, 44_100, 2), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 44_100, 0, Fraction(1, 44_100)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_packets_are_copied_where_they_can_be(tmp_path, m4a, suffix):
    path = write(tmp_path / f"a.{suffix}", numbered(60), rate=30, audio=AudioSource(m4a))
    assert audio_packets(path) == audio_packets(m4a)
    assert onsets(read_audio(path).waveform[0].numpy(), 44_100) == pytest.approx([0.5, 1.2], abs=0.003)


def test_copied_sound_ends_with_the_pictures(tmp_path, m4a):
    path = write(tmp_path / "a.mp4", numbered(25), audio=AudioSource(m4a))
    copied = audio_packets(path)
    assert copied == audio_packets(m4a)[: len(copied)]
    assert read_audio(path).seconds == pytest.approx(1.0, abs=0.024)


def test_encoded_sound_ends_with_the_pictures(tmp_path):
    wav = write_wav(tmp_path / "a.wav", tone(3.0))
    path = write(tmp_path / "a.mkv", numbered(25), audio=AudioSource(wav, start=0.5), lossless=True)
    sound = read_audio(path)
    assert sound.seconds == 1.0
    assert torch.equal(sound.waveform, read_audio(wav).waveform[:, 24_000:72_000])


def test_silence_is_appended_when_asked_for(tmp_path, m4a):
    path = write(tmp_path / "a.mp4", numbered(75), audio=AudioSource(m4a), pad_audio=True)
    sound = read_audio(path)
    assert sound.seconds == pytest.approx(3.0, abs=0.024)
    assert sound.waveform[:, 2 * 44_100 + 2048 :].abs().max() < 1e-3
    assert onsets(sound.waveform[0].numpy(), 44_100) == pytest.approx([0.5, 1.2], abs=0.003)


@pytest.mark.parametrize("source_kind", ["wav", "aac", "delayed", "memory"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_flash_and_click_stay_together_for_a_minute(tmp_path, source_kind, suffix):
    """A white frame and a click at the same time, every few seconds, from one end of a minute to the other."""
    rate, seconds = Fraction(10000, 1001), 60
    flashes = [int(rate * second) for second in (1, 7, 20, 33, 47, 59)]
    times = [float(number / rate) for number in flashes]
    samples = clicks(times, seconds, 44_100)
    wav = write_wav(tmp_path / "a.wav", samples, 44_100)
    black, white = (torch.full((16, 16, 3), value, dtype=torch.uint8) for value in (16, 235))

    def film(path, audio):
        with VideoWriter(path, 16, 16, rate, audio=audio, preset="ultrafast") as writer:
            for number in range(int(rate * seconds)):
                writer.write(white if number in flashes else black, float(number / rate))
        return path

    if source_kind == "aac":
        audio = AudioSource(film(tmp_path / "first.mp4", AudioSource(wav)))
        assert audio.whole and audio.codec == "aac"
    elif source_kind == "delayed":
        # Sound that starts with the first click, late in its container.
        late = tmp_path / "late.mkv"
        first = round(times[0] * 44_100)
        with av.open(str(wav)) as wave, av.open(str(late), "w") as container:
            picture = container.add_stream("libx264", rate=25)
            picture.width, picture.height, picture.pix_fmt = 16, 16, "yuv420p"
            sound = container.add_stream("flac", rate=44_100, layout="mono")
            container.mux(picture.encode(av.VideoFrame(16, 16, "yuv420p")))
            position = 0
            for frame in wave.decode(audio=0):
                values, position = frame.to_ndarray(), position + frame.samples
                values = values[:, max(first - (position - frame.samples), 0) :]
                if values.shape[1]:
                    kept = av.AudioFrame.from_ndarray(np.ascontiguousarray(values), format="s16", layout="mono")
                    kept.sample_rate, kept.pts, kept.time_base = 44_100, position - values.shape[1], Fraction(1, 44_100)
                    container.mux(sound.encode(kept))
            container.mux(picture.encode(None))
            container.mux(sound.encode(None))
        audio = AudioSource(late)
    elif source_kind == "memory":
        audio = Audio(torch.from_numpy(samples), 44_100)
    else:
        audio = AudioSource(wav)
    path = film(tmp_path / f"out.{suffix}", audio)
    seen = [frame.time for frame in VideoReader(path) if frame.image.float().mean() > 128]
    heard = onsets(read_audio(path).waveform[0].numpy(), 44_100)
    assert len(seen) == len(heard) == len(flashes)
    assert np.abs(np.array(seen) - heard).max() < 0.02
    assert np.abs(np.array(seen) - times).max() < 0.001


def test_sound_is_pulled_in_step_with_the_pictures(tmp_path):
    class Watched(Audio):
        pulled = 0

        def blocks(self):
            for block in super().blocks():
                Watched.pulled += block.shape[1]
                yield block

    audio = Watched(torch.zeros(1, 100 * 8_000), 8_000)
    with VideoWriter(tmp_path / "a.mp4", 16, 16, Fraction(25), audio=audio) as writer:
        for number in range(50):
            writer.write(torch.zeros(16, 16, 3, dtype=torch.uint8), number / 25)
        assert 1 <= Watched.pulled / 8_000 <= 3


class Stopped(BaseException):
    """Stands for a cancelled run."""


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, Stopped])
@pytest.mark.parametrize("frames", [0, 20])
def test_nothing_is_left_when_the_work_fails(tmp_path, error, frames, m4a):
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(error), VideoWriter(tmp_path / "a.mp4", 32, 16, Fraction(25), audio=AudioSource(m4a)) as writer:
        for number, image in enumerate(images(numbered(frames))):
            writer.write(image, number / 25)
        raise error
    assert sorted(os.listdir(tmp_path)) == before


def test_an_older_result_survives_a_failed_run_and_yields_to_a_good_one(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"older")
    with pytest.raises(RuntimeError), VideoWriter(path, 32, 16, Fraction(25)) as writer:
        writer.write(images(numbered(1))[0], 0)
        raise RuntimeError
    assert path.read_bytes() == b"older"
    write(path, numbered(2))
    assert len(list(VideoReader(path))) == 2


def test_the_sounds_own_file_is_not_overwritten(tmp_path, m4a):
    sound = m4a.rename(tmp_path / "in.mp4")
    with pytest.raises(InputError, match="is an input itself"):
        VideoWriter(sound, 32, 16, Fraction(25), audio=AudioSource(sound))


def test_unreadable_sound_leaves_nothing(tmp_path):
    wav = write_wav(tmp_path / "a.wav", tone(0.5))
    audio = AudioSource(wav, start=3)
    with pytest.raises(InputError, match=r"lasts 0\.50 s"):
        write(tmp_path / "a.mp4", numbered(5), audio=audio)
    assert os.listdir(tmp_path) == ["a.wav"]


def test_places_that_cannot_be_written(tmp_path):
    source = write_video(tmp_path / "in.mp4", numbered(3))
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.mp4").mkdir()
    for path, said in (
        (tmp_path / "none" / "a.mp4", "does not exist"),
        (tmp_path / "file" / "a.mp4", "does not exist"),
        (tmp_path / "folder.mp4", "is a folder"),
        (tmp_path / "a.gif", "cannot write .gif"),
        (tmp_path / "a", "cannot write"),
        (source, "is an input itself"),
        (tmp_path / "none" / ".." / "in.mp4", "does not exist"),
        (tmp_path / "folder.mp4" / ".." / "in.mp4", "is an input itself"),
    ):
        with pytest.raises(InputError) as caught:
            check_output(path, [source, io.BytesIO()])
        message = str(caught.value)
        assert said in message and message.endswith(".") and "\n" not in message
    with pytest.raises(InputError, match="is an input itself"):
        VideoWriter.like(source, probe(source))
    with pytest.raises(InputError, match="is an input itself"):
        VideoWriter.like(source, probe(source), sources=(tmp_path / "other.wav",))
    assert check_output(source, [tmp_path / "missing.mp4"]) == source
    assert len(list(VideoReader(source))) == 3


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that even root cannot write to")
def test_unwritable_folder():
    with pytest.raises(InputError, match=r"cannot be written .* in /proc, or choose"):
        VideoWriter("/proc/a.mp4", 32, 16, Fraction(25))


def test_wrong_frames_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected uint8"), VideoWriter(tmp_path / "a.mp4", 32, 16, Fraction(25)) as w:
        w.write(torch.zeros(16, 31, 3, dtype=torch.uint8), 0)
    with pytest.raises(ValueError, match="no frame"), VideoWriter(tmp_path / "a.mp4", 32, 16, Fraction(25)):
        pass
    assert os.listdir(tmp_path) == []


def test_real_recording_round_trip(tmp_path, assets):
    reader = VideoReader(assets / "clips" / "ls_demo3.mp4")
    speech = AudioSource(assets / "clips" / "ls_demo3.wav")
    path = tmp_path / "out.mp4"
    kept = []
    with VideoWriter.like(path, reader.info, audio=speech, preset="ultrafast") as writer:
        for frame, _ in zip(reader, range(6)):
            writer.write(frame.image, frame.time)
            kept.append(frame.image)
    info = probe(path)
    assert (info.width, info.height, info.frame_rate, info.colour) == (1080, 1920, 30, reader.info.colour)
    for frame, image in zip(VideoReader(path), kept, strict=True):
        assert (frame.image.float() - image.float()).abs().mean() < 2
    assert read_audio(path).seconds == pytest.approx(0.2, abs=0.08)
