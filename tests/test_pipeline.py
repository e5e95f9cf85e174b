"""The pipeline with untrained models: lengths, timestamps, untouched samples, cancelling. What the trained models show
is in tests/tiny/test_behaviour.py."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from lipforcing.audio.manner import Manner
from lipforcing.errors import InputError
from lipforcing.faces.align import box_matrix
from lipforcing.faces.follow import DetectingFollower, FixedFollower
from lipforcing.faces.paste import paste_weights
from lipforcing.media import Audio, DurationPolicy, MemoryReader, VideoReader, VideoWriter
from lipforcing.pipeline import SyncOptions, planned_rows, sync_crops, sync_file
from lipforcing.session import LipSyncSession

from .stream.helpers import SIZE, Loudness, Scripted, picture, script, small_family

RATE = 16_000


@pytest.fixture(scope="module")
def family():
    return small_family()


def make_video(path, times, rate=Fraction(25), shots=()):
    images = torch.stack([picture(shots[n] if shots else 1, n).image for n in range(len(times))])
    with VideoWriter(path, SIZE[1], SIZE[0], rate, lossless=True, time_base=Fraction(1, 12800)) as writer:
        for image, time in zip(images, times):
            writer.write(image, time)
    return images


def speech(seconds: float) -> Audio:
    return Audio(0.3 * torch.sin(torch.arange(round(seconds * RATE)) / 20)[None], RATE)


def run(family, tmp_path, times, seconds, rate=Fraction(25), follower=None, progress=None, shots=(), **options):
    images = make_video(tmp_path / "in.mkv", times, rate, shots)
    out = tmp_path / "out.mkv"
    with VideoReader(tmp_path / "in.mkv") as video:
        choices = SyncOptions(lossless=True, **options)
        result = sync_file(family, video, speech(seconds), out, follower or FixedFollower(), choices, progress)
    with VideoReader(out) as reader:
        frames = list(reader.frames())
    return images, frames, result


@pytest.mark.parametrize("rate", [10, 24, 25, 30, 50, 60])
def test_every_source_frame_keeps_its_time(family, tmp_path, rate):
    times = [n / rate for n in range(math.ceil(1.3 * rate))]
    _, frames, result = run(family, tmp_path, times, 1.3, Fraction(rate))
    assert result.frames == len(frames) == len(times)
    assert [frame.time for frame in frames] == pytest.approx(times, abs=0.0011)
    assert result.untouched == 0


def test_what_is_passed_on_is_told_with_its_reason(family, tmp_path):
    seen = script(40, (0, 5, 20), (0, 26, 40))
    seen[20:23] = [replace(one, absence="turned away") for one in seen[20:23]]
    _, _, result = run(family, tmp_path, [n / 25 for n in range(40)], 1.6, follower=Scripted(seen))
    ranges = [(one.frames, one.reason, round(one.start, 2), round(one.end, 2)) for one in result.passed]
    assert ranges == [(5, "no face", 0.0, 0.2), (3, "turned away", 0.8, 0.92), (3, "no face", 0.92, 1.04)]
    assert result.untouched == 11
    said = "11 of them are the source's own: 0.00 to 0.20 s (no face), 0.80 to 0.92 s (turned away), 0.92 to 1.04 s"
    assert said in result.description


@pytest.mark.parametrize("overlapped", [False, True])
def test_pauses_may_show_the_sources_own_mouth(family, tmp_path, overlapped):
    """Nothing that a voice detector takes for speech is in this sound."""
    options = {"manner": Manner("source"), "overlapped": overlapped}
    images, frames, result = run(family, tmp_path, [n / 25 for n in range(30)], 1.2, **options)
    assert all(torch.equal(frame.image, image) for frame, image in zip(frames, images))
    assert [(one.frames, one.reason) for one in result.passed] == [(30, "pause")]


def test_variable_frame_rate_is_kept(family, tmp_path):
    times = [0.0, 0.03, 0.11, 0.12, 0.3, 0.31, 0.5, 0.56, 0.9, 0.95]
    _, frames, _ = run(family, tmp_path, times, 1.0)
    assert [frame.time for frame in frames] == pytest.approx(times, abs=0.0011)


@pytest.mark.parametrize("seconds, frames", [(0.2, 5), (0.21, 6), (1.0, 25), (2.0, 50)])
def test_output_lasts_as_long_as_the_audio(family, tmp_path, seconds, frames):
    images, written, result = run(family, tmp_path, [n / 25 for n in range(25)], seconds)
    assert len(written) == frames == result.plan.frames
    corner = [frame.image[0, 0].tolist() for frame in written]
    order = [n if n < 25 else 48 - n for n in range(frames)]  # ping-pong, end frames not doubled
    assert corner == [images[n][0, 0].tolist() for n in order[:25]] + [
        images[n if n >= 0 else -n][0, 0].tolist() for n in order[25:]
    ]


def test_output_lasts_as_long_as_the_video(family, tmp_path):
    policy = DurationPolicy(length="video")
    _, written, result = run(family, tmp_path, [n / 25 for n in range(25)], 0.4, duration=policy)
    assert len(written) == 25 and result.plan.silence == pytest.approx(0.6)


def test_pixels_outside_the_mouth_are_the_sources(family, tmp_path):
    matrix = box_matrix(10, 8, 38, 44)
    images, frames, _ = run(family, tmp_path, [n / 25 for n in range(22)], 0.88, follower=FixedFollower(matrix))
    (weight,) = paste_weights(matrix[None], [1.0], SIZE)
    changed = 0
    for source, frame in zip(images, frames):
        assert torch.equal(frame.image[weight == 0], source[weight == 0])
        changed += int((frame.image != source).any())
    assert changed == len(images) and (weight == 0).float().mean() > 0.5


def test_progress_counts_every_frame(family, tmp_path):
    seen = []
    _, frames, _ = run(
        family, tmp_path, [n / 25 for n in range(22)], 0.88, progress=lambda *step: seen.append((step[0], step[1]))
    )
    assert seen == [(n + 1, 22) for n in range(22)] and len(frames) == 22


def test_cancelling_leaves_nothing_behind(family, tmp_path):
    class Cancelled(Exception):
        pass

    def cancel(done, _total, _picture):
        if done == 12:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(family, tmp_path, [n / 25 for n in range(40)], 1.6, progress=cancel)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


@pytest.mark.parametrize("overlapped", [False, True])
def test_no_face_is_an_error_and_writes_nothing(family, tmp_path, overlapped):
    with pytest.raises(InputError, match=r"No face was found in .*in\.mkv"):
        follower = DetectingFollower(lambda *_: [])
        run(family, tmp_path, [n / 25 for n in range(12)], 0.48, follower=follower, overlapped=overlapped)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_frames_do_not_depend_on_the_length_of_the_clip(family, tmp_path):
    (tmp_path / "short").mkdir(), (tmp_path / "long").mkdir()
    _, short, _ = run(family, tmp_path / "short", [n / 25 for n in range(40)], 0.5)
    _, long, _ = run(family, tmp_path / "long", [n / 25 for n in range(40)], 1.6)
    # the audio ends inside the short clip's last chunk; the frames before hear the same
    assert all(torch.equal(a.image, b.image) for a, b in zip(short[:9], long))


def test_a_shot_knows_nothing_of_the_one_before(family, tmp_path):
    """After a cut the frames are those of the shot alone, made with the noise and the sound of its own time."""
    (tmp_path / "other").mkdir()
    times = [n / 25 for n in range(30)]
    _, one, _ = run(family, tmp_path, times, 1.2, shots=[1] * 14 + [2] * 16)
    _, other, _ = run(family, tmp_path / "other", times, 1.2, shots=[3] * 14 + [2] * 16)
    assert all(torch.equal(a.image, b.image) for a, b in zip(one[14:], other[14:], strict=True))
    assert not torch.equal(one[0].image, other[0].image)


def test_stages_are_timed(family, tmp_path):
    _, _, result = run(family, tmp_path, [n / 25 for n in range(22)], 0.88)
    assert {"hear", "read", "follow", "crop", "encode", "denoise", "decode", "paste", "write"} == set(result.stages)
    assert len(result.stages["denoise"].seconds) == 3 and result.first_frame_seconds < result.seconds


def test_file_memory_and_session_give_equal_frames(family, tmp_path):
    """One clip through a file, an image batch, and pushes to a session."""
    times = [n / 25 for n in range(30)]
    images, from_file, _ = run(family, tmp_path, times, 1.2, seed=5)
    with MemoryReader(images, 25) as reader:
        sync_file(family, reader, speech(1.2), tmp_path / "b.mkv", FixedFollower(), SyncOptions(5, lossless=True))
    with VideoReader(tmp_path / "b.mkv") as reader:
        from_memory = [frame.image for frame in reader]
    pushed = []
    with LipSyncSession(family, FixedFollower(), seed=5) as session, MemoryReader(images, 25) as reader:
        for frame in reader:
            pushed += session.push_frame(frame)
            pushed += session.push_audio(speech(1.2).mono16k()[frame.index * 640 : (frame.index + 1) * 640])
        pushed += session.finish_audio()
        pushed += session.finish()
    for a, b, c in zip(from_file, from_memory, pushed, strict=True):
        assert torch.equal(a.image, b) and torch.equal(b, c.picture.rgb())


def test_crops_in_memory(family):
    """Footage that is a face crop: faces of all frames, latents of whole chunks."""
    crops = torch.stack([picture(1, n, (32, 32)).image for n in range(25)]).permute(0, 3, 1, 2) / 127.5 - 1
    faces, latents = sync_crops(family, crops, speech(1.0).mono16k(), seed=2)
    assert faces.shape == (25, 3, 32, 32) and latents.shape == (1, 16, 9, 4, 4)
    again, _ = sync_crops(family, crops[:21], speech(1.0).mono16k(), seed=2)
    assert torch.equal(again, faces[:21])


class Hungry(Loudness):
    """An encoder that can hold ten seconds, and says what it was asked for."""

    max_seconds = 10.0
    asked: list[str] = []  # noqa: RUF012

    def stream(self):
        self.asked.append("whole")
        return super().stream()

    def windowed(self, window):
        self.asked.append(f"{window.step} rows")
        return Loudness()


@pytest.mark.parametrize("seconds, mode", [(9.0, "whole"), (11.0, "376 rows")])
def test_long_recordings_are_encoded_in_windows(seconds, mode):
    Hungry.asked.clear()
    plan = DurationPolicy().plan(seconds, Fraction(25), 1.0)
    rows = torch.cat(list(planned_rows(Hungry(), speech(seconds).mono16k(), plan)))
    assert len(rows) == 25 * seconds and Hungry.asked == [mode]


def test_sound_beyond_what_is_shown_is_not_encoded_and_silence_follows_what_is_short():
    longer = DurationPolicy("video").plan(4.0, Fraction(25), 1.0)
    assert 25 <= len(torch.cat(list(planned_rows(Loudness(), speech(4.0).mono16k(), longer)))) <= 27
    shorter = DurationPolicy("video").plan(0.4, Fraction(25), 1.0)
    rows = torch.cat(list(planned_rows(Loudness(), speech(0.4).mono16k(), shorter)))
    assert len(rows) >= 25 and rows[:10].all() and not rows[10:].any()
