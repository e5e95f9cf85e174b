"""A result beside its source, once through."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.evaluation.quality import OUTSIDE_EVERY, Quality, quality
from lipforcing.faces.follow import FixedFollower, Followed, Seen
from lipforcing.faces.mask import mouth_mask
from lipforcing.media import Audio, DurationPolicy, VideoReader
from lipforcing.pipeline import planned

from .drawn import SIZE, pictures, speech, write

TALK, PAUSE = 38, 24
FRAMES = TALK + PAUSE
MOUTH = torch.nn.functional.interpolate(mouth_mask().float()[None, None], SIZE, mode="area")[0, 0, :, :, None]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Folder, mouth, pictures and sound of a source."""
    folder = tmp_path_factory.mktemp("quality")
    mouth, waveform = speech(0, TALK, PAUSE)
    frames = pictures(mouth)
    write(folder / "source.mkv", frames, waveform)
    return folder, mouth, frames, Audio(waveform[None], 16_000)


@pytest.fixture(scope="module")
def equal(clip) -> Quality:
    folder, _, _, audio = clip
    told = []
    found = quality(
        folder / "source.mkv", VideoReader(folder / "source.mkv"), audio, FixedFollower(), progress=told.append
    )
    assert told == [*range(1, FRAMES + 1)]
    return found


@pytest.fixture(scope="module")
def broken(clip) -> Quality:
    """Babbles in the pause, is blurred and too bright, and a corner of the picture is touched."""
    folder, mouth, frames, audio = clip
    babbling = mouth.clone()
    babbling[TALK:, 0] = 0.45 + 0.45 * torch.sin(torch.arange(PAUSE) * 1.3)
    made = pictures(babbling).permute(0, 3, 1, 2).float()
    made = torch.nn.functional.avg_pool2d(made, 3, 1, 1).permute(0, 2, 3, 1)
    flickering = 20 + 8 * torch.arange(FRAMES).remainder(2)[:, None, None, None]
    made = torch.lerp(frames.float(), made + flickering, MOUTH).round().clamp(0, 255).to(torch.uint8)
    made[:, :3, :3] += 9
    write(folder / "broken.mkv", made, lossless=True)
    return quality(folder / "broken.mkv", VideoReader(folder / "source.mkv"), audio, FixedFollower())


def test_a_source_is_of_its_own_quality(equal):
    assert equal.frames == FRAMES and equal.notes == ()
    assert equal.sharpness_ratio == pytest.approx(1) and equal.flicker == 0 and equal.seam == 0
    assert equal.outside_equal and equal.outside_psnr == 100
    assert 10 <= equal.pause_frames <= PAUSE and equal.silent_frames >= equal.pause_frames - 3
    assert equal.pauses_moving == 0 and equal.closed_in_silence == 1
    assert equal.opening_correlation > 0.5 and abs(equal.opening_lag) <= 2
    assert json.loads(json.dumps(equal.to_dict()))["pause_frames"] == equal.pause_frames


def test_every_fault_is_seen(broken, equal):
    assert broken.pauses_moving > 0.6 and broken.closed_in_silence < 0.5
    assert broken.sharpness_ratio < 0.8 and broken.flicker > 4 and broken.seam > 10
    assert broken.outside_equal is False and 50 < broken.outside_psnr < 80
    assert (broken.frames, broken.pause_frames) == (equal.frames, equal.pause_frames)


def test_a_source_that_is_played_back_and_forth_is_compared_in_that_order(clip, equal):
    folder, _, frames, audio = clip
    count = 20
    write(folder / "short.mkv", frames[:count])
    order = [*range(count), *range(count - 2, 0, -1), *range(count)][: count + 25]
    write(folder / "long.mkv", frames[order])
    with VideoReader(folder / "short.mkv") as short:
        sound = Audio(audio.waveform[:, : len(order) * 640], 16_000)
        plan = planned(short, sound, DurationPolicy())
    found = quality(folder / "long.mkv", VideoReader(folder / "short.mkv"), sound, FixedFollower(), plan)
    assert found.frames == len(order) and found.outside_equal and found.sharpness_ratio == pytest.approx(1)


class Absent(FixedFollower):
    """Sees the face in no frame, and says so two frames late."""

    def __init__(self) -> None:
        super().__init__()
        self._held: Followed = []

    def push(self, frame) -> Followed:
        self._held += [(frame, Seen(False)) for frame, _ in super().push(frame)]
        done, self._held = self._held[:-2], self._held[-2:]
        return done

    def finish(self) -> Followed:
        return self._held


def test_without_a_face_only_the_picture_is_compared(clip):
    folder, _, _, audio = clip
    found = quality(folder / "source.mkv", VideoReader(folder / "source.mkv"), audio, Absent())
    nothing = Quality(0, None, 0, None, 0, None, None, None, None, None, True, 100.0)
    assert replace(found, notes=()) == nothing and "No face" in found.notes[0]
    assert FRAMES > OUTSIDE_EVERY


def test_pictures_of_another_size_are_refused(clip):
    folder, _, frames, audio = clip
    write(folder / "small.mkv", frames[:3, :80, :80])
    with pytest.raises(InputError, match=r"is 80x80 and .*120x160"):
        quality(folder / "small.mkv", VideoReader(folder / "source.mkv"), audio, FixedFollower())
