"""The pipeline with an untrained model: lengths, timestamps, untouched pixels, cancelling. What the trained model shows
is in tests/tiny/test_behaviour.py."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from lipforcing.codecs.tiny import TinyCodec, TinyCodecConfig
from lipforcing.errors import InputError
from lipforcing.faces.align import box_matrix
from lipforcing.faces.composite import frame_masks
from lipforcing.faces.track import FaceTracker, FixedTracker
from lipforcing.media import Audio, DurationPolicy, Frame, ImagePicture, VideoReader, VideoWriter, clock_frames
from lipforcing.models import WanConfig, WanTransformer
from lipforcing.pipeline import SyncOptions, face_chunks, generate, generate_latents, shots, sync_file
from lipforcing.sampling.causal import NetworkStudent
from lipforcing.sampling.noise import NoiseKey
from lipforcing.stream.family import Family

RATE = 16_000


class Loudness:
    """An audio encoder of two numbers per frame."""

    feature_dim = 2

    def __call__(self, waveform: torch.Tensor, frames: int) -> torch.Tensor:
        padded = torch.nn.functional.pad(waveform, (0, max(0, frames * 640 - len(waveform))))
        level = padded[: frames * 640].view(frames, 640).square().mean(1)
        return torch.stack((level, level.sqrt()), dim=1)


@pytest.fixture(scope="module")
def models() -> Family:
    torch.manual_seed(0)
    config = WanConfig(24, 32, 2, 4, text_dim=4, text_len=1, freq_dim=16, audio_dim=2, audio_hidden=4)
    student = WanTransformer(config).requires_grad_(False).eval()
    codec = TinyCodec(TinyCodecConfig(width=8, blocks=1, smooth_width=4)).requires_grad_(False).eval()
    return Family(NetworkStudent(student), codec, codec, Loudness(), torch.zeros(1, 1, 4), 32)


def make_video(path, times, size=(64, 48), rate=Fraction(25)):
    height, width = size
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (len(times), height, width, 3), generator=generator, dtype=torch.uint8)
    with VideoWriter(path, width, height, rate, lossless=True, time_base=Fraction(1, 12800)) as writer:
        for image, time in zip(images, times):
            writer.write(image, time)
    return images


def speech(seconds: float) -> Audio:
    return Audio(0.3 * torch.sin(torch.arange(round(seconds * RATE)) / 20)[None], RATE)


def run(models, tmp_path, times, seconds, rate=Fraction(25), tracker=None, progress=None, **options):
    images = make_video(tmp_path / "in.mkv", times, rate=rate)
    out = tmp_path / "out.mkv"
    with VideoReader(tmp_path / "in.mkv") as video:
        choices = SyncOptions(lossless=True, **options)
        result = sync_file(models, video, speech(seconds), out, tracker or FixedTracker(), choices, progress)
    with VideoReader(out) as reader:
        frames = list(reader.frames())
    return images, frames, result


@pytest.mark.parametrize("rate", [10, 24, 25, 30, 50, 60])
def test_every_source_frame_keeps_its_time(models, tmp_path, rate):
    times = [n / rate for n in range(math.ceil(1.3 * rate))]
    _, frames, result = run(models, tmp_path, times, 1.3, Fraction(rate))
    assert result.frames == len(frames) == len(times)
    assert [frame.time for frame in frames] == pytest.approx(times, abs=0.0011)
    assert result.untouched == 0


def test_variable_frame_rate_is_kept(models, tmp_path):
    times = [0.0, 0.03, 0.11, 0.12, 0.3, 0.31, 0.5, 0.56, 0.9, 0.95]
    _, frames, _ = run(models, tmp_path, times, 1.0)
    assert [frame.time for frame in frames] == pytest.approx(times, abs=0.0011)


@pytest.mark.parametrize("seconds, frames", [(0.2, 5), (0.21, 6), (1.0, 25), (2.0, 50)])
def test_output_lasts_as_long_as_the_audio(models, tmp_path, seconds, frames):
    images, written, result = run(models, tmp_path, [n / 25 for n in range(25)], seconds)
    assert len(written) == frames == result.plan.frames
    corner = [frame.image[0, 0].tolist() for frame in written]
    order = [n if n < 25 else 48 - n for n in range(frames)]  # ping-pong, end frames not doubled
    assert corner == [images[n][0, 0].tolist() for n in order[:25]] + [
        images[n if n >= 0 else -n][0, 0].tolist() for n in order[25:]
    ]


def test_output_lasts_as_long_as_the_video(models, tmp_path):
    policy = DurationPolicy(length="video")
    _, written, result = run(models, tmp_path, [n / 25 for n in range(25)], 0.4, duration=policy)
    assert len(written) == 25 and result.plan.silence == pytest.approx(0.6)


def test_pixels_outside_the_mouth_are_the_sources(models, tmp_path):
    tracker = FixedTracker(box_matrix(10, 8, 38, 44))
    images, frames, _ = run(models, tmp_path, [n / 25 for n in range(22)], 0.88, tracker=tracker)
    weight = frame_masks(tracker.update(images))
    changed = 0
    for source, frame, mask in zip(images, frames, weight):
        assert torch.equal(frame.image[mask == 0], source[mask == 0])
        changed += int((frame.image != source).any())
    assert changed == len(images) and (weight == 0).float().mean() > 0.5


def test_progress_counts_every_frame(models, tmp_path):
    seen = []
    _, frames, _ = run(
        models, tmp_path, [n / 25 for n in range(22)], 0.88, progress=lambda *step: seen.append((step[0], step[1]))
    )
    assert seen == [(n + 1, 22) for n in range(22)] and len(frames) == 22


def test_cancelling_leaves_nothing_behind(models, tmp_path):
    class Cancelled(Exception):
        pass

    def cancel(done, _total, _picture):
        if done == 12:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(models, tmp_path, [n / 25 for n in range(40)], 1.6, progress=cancel)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_no_face_is_an_error_and_writes_nothing(models, tmp_path):
    tracker = FaceTracker(lambda frames: [[] for _ in frames])
    with pytest.raises(InputError, match=r"No face was found in .*in\.mkv"):
        run(models, tmp_path, [n / 25 for n in range(12)], 0.48, tracker=tracker)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_frames_do_not_depend_on_the_length_of_the_clip(models, tmp_path):
    (tmp_path / "short").mkdir(), (tmp_path / "long").mkdir()
    _, short, _ = run(models, tmp_path / "short", [n / 25 for n in range(40)], 0.5)
    _, long, _ = run(models, tmp_path / "long", [n / 25 for n in range(40)], 1.6)
    # the audio ends inside the short clip's last chunk; the frames before hear the same
    assert all(torch.equal(a.image, b.image) for a, b in zip(short[:9], long))


def picture_of(shot: int, number: int) -> torch.Tensor:
    """A frame of a shot: a still pattern of its own with a little noise."""
    pattern = torch.rand(8, 6, 3, generator=torch.Generator().manual_seed(shot)).repeat_interleave(8, 0)
    noise = torch.rand(64, 48, 3, generator=torch.Generator().manual_seed(100 * shot + number)) * 0.02
    return ((pattern.repeat_interleave(8, 1) + noise).clamp(0, 1) * 255).to(torch.uint8)


def frames_of(*shots: tuple[int, int]) -> list[Frame]:
    """Frames at 25 per second of shots (which, how many frames)."""
    pictures = [picture_of(shot, number) for shot, count in shots for number in range(count)]
    return [Frame(ImagePicture(picture), n / 25, n, n) for n, picture in enumerate(pictures)]


def test_the_clock_is_cut_into_shots():
    cut = [len(list(shot)) for shot in shots(clock_frames(frames_of((1, 14), (2, 12), (3, 30))))]
    assert cut == [14, 12, 30]


def test_a_shot_knows_nothing_of_the_one_before(models):
    """After a cut the frames are those of the shot alone, made with the noise of its first frame."""
    second = frames_of((2, 15))
    features = torch.rand(60, 2, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        both = list(generate(models, clock_frames(frames_of((1, 14), (2, 15))), FixedTracker(), features, 3))
        crops = [chunk.crops for chunk in face_chunks(clock_frames(second), FixedTracker(), models.crop_size)]
        alone = list(generate_latents(models, crops, features[14:], NoiseKey(3, 14)))
    assert [len(chunk.faces) for chunk in both] == [9, 5, 9, 6]
    assert all(torch.equal(chunk.latents, latents) for chunk, latents in zip(both[2:], alone, strict=True))
