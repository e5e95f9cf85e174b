from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from lipforcing.audio.resample import resample
from lipforcing.errors import InputError
from lipforcing.media import audio as audio_module
from lipforcing.media.audio import Audio, AudioSource, mono_16k, read_audio, read_mono16k

from .clips import clicks, numbered, onsets, tone, write_video, write_wav


def write_with_sound(path, samples, rate, codec, first_video_pts=0, first_audio=0.0):
    """A video of 25 frames and a sound that starts ``first_audio`` seconds into the container's time."""
    layout = "mono" if samples.shape[0] == 1 else "stereo"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 32, 16, "yuv420p"
        video.codec_context.max_b_frames = 0
        sound = container.add_stream(codec, rate=rate, layout=layout)
        for number, image in enumerate(numbered(25)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = first_video_pts + number
            frame.time_base = Fraction(1, 25)
            container.mux(video.encode(frame))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, round(first_audio * rate), Fraction(1, rate)
        container.mux(sound.encode(frame))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_wav_is_read_exactly(tmp_path, channels):
    samples = np.random.default_rng(channels).uniform(-1, 1, (channels, 5000)).astype(np.float32)
    path = write_wav(tmp_path / "a.wav", samples, 22_050)
    audio = read_audio(path)
    assert audio.sample_rate == 22_050
    expected = np.round(samples * 32767) / 32768
    np.testing.assert_array_equal(audio.waveform.numpy(), expected.astype(np.float32))
    source = AudioSource(path)
    assert (source.channels, source.bits, source.codec, source.whole) == (channels, 16, "pcm_s16le", True)
    assert source.seconds == 5000 / 22_050


@pytest.mark.parametrize("codec, suffix", [("aac", "m4a"), ("libmp3lame", "mp3"), ("flac", "flac"), ("aac", "mkv")])
def test_compressed_sound_keeps_its_place(tmp_path, codec, suffix):
    samples = clicks([0.25, 0.5, 0.9], 1.2, 44_100, 2)
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=44_100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 44_100, 0, Fraction(1, 44_100)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    audio = read_audio(path)
    assert audio.channels == 2
    assert onsets(audio.waveform[0].numpy(), 44_100) == pytest.approx([0.25, 0.5, 0.9], abs=0.005)
    assert onsets(read_mono16k(path).numpy(), 16_000) == pytest.approx([0.25, 0.5, 0.9], abs=0.005)


@pytest.mark.parametrize("first_video_pts, first_audio", [(0, 0.0), (0, 0.3), (5, 0.0), (5, 0.4)])
def test_time_zero_is_the_first_picture(tmp_path, first_video_pts, first_audio):
    samples = clicks([0.5], 1.0)
    path = write_with_sound(tmp_path / "a.mkv", samples, 48_000, "flac", first_video_pts, first_audio)
    expected = 0.5 + first_audio - first_video_pts / 25
    assert onsets(read_audio(path).waveform[0].numpy(), 48_000) == pytest.approx([expected], abs=0.003)
    assert AudioSource(path).whole == (first_audio >= first_video_pts / 25)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_streaming_resampling_equals_one_piece(monkeypatch, rate):
    monkeypatch.setattr(audio_module, "_BLOCK_SECONDS", 2)
    waveform = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2, round(7.3 * rate))).astype(np.float32))
    whole = resample(waveform.mean(0, keepdim=True), rate, 16_000)[0]
    pieces = mono_16k(waveform.mean(0).split(rate // 3), rate)
    assert pieces.shape == whole.shape
    torch.testing.assert_close(pieces, whole, atol=2e-5, rtol=0)
    torch.testing.assert_close(Audio(waveform, rate).mono16k(), whole, atol=2e-5, rtol=0)


def test_window(tmp_path):
    samples = tone(2.0, 8_000, 2)
    path = write_wav(tmp_path / "a.wav", samples, 8_000)
    whole = read_audio(path).waveform
    part = AudioSource(path, start=0.5, duration=0.7)
    assert torch.equal(part.read().waveform, whole[:, 4000:9600])
    assert part.seconds == 0.7 and not part.whole
    assert torch.equal(read_audio(path, start=1.5).waveform, whole[:, 12000:])


def test_bytes_in_memory(tmp_path):
    path = write_wav(tmp_path / "a.wav", tone(0.5, 16_000), 16_000)
    assert torch.equal(read_mono16k(io.BytesIO(path.read_bytes())), read_mono16k(path))


def test_a_sample_that_is_no_number_is_silence_at_16_khz():
    waveform = torch.from_numpy(tone(0.5, 48_000)).float().reshape(1, -1)
    silent, broken = waveform.clone(), waveform.clone()
    for place, value in ((0, float("nan")), (9000, float("nan")), (17_001, float("-inf"))):
        silent[0, place], broken[0, place] = 0, value
    assert torch.equal(Audio(broken, 48_000).mono16k(), Audio(silent, 48_000).mono16k())


def test_lost_packets_become_silence(tmp_path):
    whole = tmp_path / "whole.mkv"
    samples = clicks([0.2, 1.7], 2.0)
    with av.open(str(whole), "w") as container:
        stream = container.add_stream("flac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    holed = tmp_path / "holed.mkv"
    with av.open(str(whole)) as source, av.open(str(holed), "w") as target:
        copy = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.pts is not None and not 500 < packet.pts < 1200:
                packet.stream = copy
                target.mux(packet)
    audio = read_audio(holed)
    assert onsets(audio.waveform[0].numpy(), 48_000) == pytest.approx([0.2, 1.7], abs=0.005)
    assert audio.seconds == pytest.approx(2.0, abs=0.005)


def test_bits_needed_for_a_lossless_copy(tmp_path):
    path = tmp_path / "a.flac"
    samples = np.random.default_rng(0).integers(-(2**23), 2**23, (1, 4000)).astype(np.int32) << 8
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=48_000, layout="mono")
        stream.format = "s32"
        frame = av.AudioFrame.from_ndarray(samples, format="s32p", layout="mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    source = AudioSource(path)
    assert source.bits == 24
    np.testing.assert_array_equal(source.read().waveform.numpy(), samples / np.float32(2**31))


def test_bad_sources(tmp_path):
    video = write_video(tmp_path / "silent.mp4", numbered(5))
    text = tmp_path / "text.wav"
    text.write_text("no sound here " * 100)
    empty = write_wav(tmp_path / "empty.wav", np.zeros((1, 0)), 16_000)
    short = write_wav(tmp_path / "short.wav", tone(0.5, 16_000), 16_000)
    for call, name, said in (
        (lambda: AudioSource(tmp_path / "missing.wav"), "missing.wav", "no such file"),
        (lambda: AudioSource(tmp_path), tmp_path.name, "is a folder"),
        (lambda: AudioSource(video), "silent.mp4", "no audio stream"),
        (lambda: AudioSource(text), "text.wav", "not a media file"),
        (lambda: AudioSource(empty), "empty.wav", ""),
        (lambda: read_audio(short, start=2), "short.wav", "lasts 0.50 s"),
        (lambda: Audio(torch.zeros(1, 0), 16_000), "audio", "no samples"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        message = str(caught.value)
        assert name in message and said in message and message.endswith(".") and "\n" not in message


def test_sound_of_real_recordings(assets):
    source = AudioSource(assets / "clips" / "ls_demo1.mp4")
    assert (source.sample_rate, source.channels, source.codec) == (44_100, 2, "aac")
    assert source.seconds == pytest.approx(10.0, abs=0.03)
    assert len(source.mono16k()) == pytest.approx(source.seconds * 16_000, abs=1)
