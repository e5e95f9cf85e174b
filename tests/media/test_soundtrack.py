"""The sound of a video: copied where that can be, encoded else, never ahead of the pictures."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from lipforcing.media import Audio, AudioSource, VideoWriter
from lipforcing.media.soundtrack import CopiedSoundtrack, EncodedSoundtrack, add_soundtrack

from .clips import tone


@pytest.fixture
def aac(tmp_path):
    """A second of AAC in MP4."""
    path = tmp_path / "aac.mp4"
    with VideoWriter(path, 16, 16, Fraction(25), audio=Audio(torch.from_numpy(tone(1.0)), 48_000)) as writer:
        for n in range(25):
            writer.write(torch.zeros(16, 16, 3, dtype=torch.uint8), n / 25)
    return path


@pytest.mark.parametrize(
    ("container", "pad", "lossless", "kind"),
    [
        ("mp4", False, False, CopiedSoundtrack),
        ("matroska", False, False, CopiedSoundtrack),
        ("mp4", True, False, EncodedSoundtrack),  # silence has to follow
    ],
)
def test_packets_are_copied_where_they_can_be(aac, tmp_path, container, pad, lossless, kind):
    with av.open(str(tmp_path / "out"), "w", format=container) as output:
        track = add_soundtrack(output, AudioSource(aac), pad, lossless)
        assert type(track) is kind
        track.finish(0.1)
        track.close()


@pytest.mark.parametrize(
    ("container", "lossless", "codec"),
    [("mp4", False, "aac"), ("mp4", True, "alac"), ("matroska", True, "flac"), ("matroska", False, "aac")],
)
def test_sound_from_memory_is_encoded(tmp_path, container, lossless, codec):
    with av.open(str(tmp_path / "out"), "w", format=container) as output:
        track = add_soundtrack(output, Audio(torch.from_numpy(tone(0.5)), 48_000), False, lossless)
        assert output.streams.audio[0].codec_context.name == codec
        track.finish(0.5)


class Counted(Audio):
    """A recording that is given out a tenth of a second at a time and counts."""

    given = 0

    def blocks(self):
        for block in self.waveform.split(4800, dim=1):
            Counted.given += 1
            yield block


def test_sound_is_pulled_up_to_the_time_of_the_pictures(tmp_path):
    pulled = []
    with av.open(str(tmp_path / "out.mkv"), "w") as output:
        track = add_soundtrack(output, Counted(torch.from_numpy(tone(2.0)), 48_000), False, True)
        for seconds in (0.5, 0.5, 1.25):
            track.write_until(seconds)
            pulled.append(Counted.given)
        track.finish(1.5)
    assert pulled == [5, 5, 13] and AudioSource(tmp_path / "out.mkv").seconds == pytest.approx(1.5, abs=1e-3)


def test_channels_without_a_layout_are_mixed(tmp_path):
    samples = torch.stack([torch.full((4800,), value) for value in np.linspace(-0.3, 0.3, 9)]).float() + 0.1
    with av.open(str(tmp_path / "out.mkv"), "w") as output:
        track = add_soundtrack(output, Audio(samples, 48_000), False, True)
        track.finish(0.1)
    heard = AudioSource(tmp_path / "out.mkv").read().waveform
    assert heard.shape == (1, 4800) and (heard - 0.1).abs().max() < 1e-4
