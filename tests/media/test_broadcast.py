"""Pictures and sound that are seen while they are made."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
import torch

from lipforcing.media import ImagePicture, VideoInfo, probe
from lipforcing.media.broadcast import KEY_SECONDS, Broadcast
from lipforcing.media.incoming import RATE

from .clips import number_of, numbered, tone, write_video

FRAMES = 60
PICTURES = [ImagePicture(torch.from_numpy(image)) for image in numbered(FRAMES, 64, 48)]


class Viewer:
    """Keeps what it receives; may hang up."""

    def __init__(self) -> None:
        self.received, self.flushed, self.there = bytearray(), 0, True

    def write(self, data: bytes) -> int:
        if not self.there:
            raise BrokenPipeError
        self.received += data
        return len(data)

    def flush(self) -> None:
        self.flushed = len(self.received)

    def packets(self, kind: str) -> list[av.Packet]:
        with av.open(io.BytesIO(bytes(self.received))) as container:
            return [packet for packet in container.demux(**{kind: 0}) if packet.pts is not None]


@pytest.fixture(scope="module")
def info(tmp_path_factory) -> VideoInfo:
    path = tmp_path_factory.mktemp("clip") / "in.mp4"
    return probe(write_video(path, numbered(5, 64, 48)))


def second(number: int) -> torch.Tensor:
    """The sound of frame ``number`` at 25 per second."""
    return torch.from_numpy(tone(FRAMES / 25)[0]).float().split(RATE // 25)[number]


def test_every_picture_comes_with_its_time_and_all_sound(info):
    viewer, times = Viewer(), [n / 25 + 0.01 * (n % 2) for n in range(FRAMES)]
    with Broadcast(viewer, info) as broadcast:
        for n, (picture, time) in enumerate(zip(PICTURES, times)):
            broadcast.show(picture, time)
            broadcast.sound(second(n))
        assert broadcast.samples == FRAMES * RATE // 25
    with av.open(io.BytesIO(bytes(viewer.received))) as container:
        frames = list(container.decode())
    pictures = [frame for frame in frames if isinstance(frame, av.VideoFrame)]
    assert [number_of(frame.to_ndarray(format="rgb24")) for frame in pictures] == list(range(FRAMES))
    assert [frame.time - pictures[0].time for frame in pictures] == pytest.approx(times, abs=1e-4)
    sound = [frame for frame in frames if isinstance(frame, av.AudioFrame)]
    assert sound[0].sample_rate == RATE and sound[0].layout.name == "mono"
    heard = np.concatenate([frame.to_ndarray()[0] for frame in sound])
    assert 0 <= len(heard) - FRAMES * RATE // 25 < 3 * 1024  # AAC begins with a frame of its own and fills up the last
    assert sound[0].time - pictures[0].time == pytest.approx(0, abs=1024 / RATE + 1e-3)


def test_only_the_latest_packet_waits_for_the_next(info):
    """Earlier pictures are with the viewer, and their sound but for a coder's frame."""
    viewer = Viewer()
    with Broadcast(viewer, info) as broadcast:
        for n, picture in enumerate(PICTURES[:20]):
            broadcast.sound(second(n))
            broadcast.show(picture, n / 25)
            assert viewer.flushed == len(viewer.received)
            if n % 5 == 4:
                assert len(viewer.packets("video")) == n
                assert len(viewer.packets("audio")) >= (n + 1) * RATE // 25 // 1024 - 2


def test_whoever_tunes_in_waits_a_second_at_most(info):
    viewer = Viewer()
    with Broadcast(viewer, info) as broadcast:
        for n, picture in enumerate(PICTURES):
            broadcast.show(picture, n / 25)
    keys = [n for n, packet in enumerate(viewer.packets("video")) if packet.is_keyframe]
    assert keys[0] == 0 and max(np.diff([*keys, FRAMES])) <= 25 * KEY_SECONDS


def test_no_sound_yet_is_no_harm(info):
    viewer = Viewer()
    with Broadcast(viewer, info) as broadcast:
        broadcast.sound(torch.zeros(0))
        broadcast.show(PICTURES[0], 0.0)
        assert broadcast.samples == 0
    assert len(viewer.packets("video")) == 1


def test_when_nobody_watches_any_more_it_says_so(info):
    viewer = Viewer()
    broadcast = Broadcast(viewer, info)
    broadcast.show(PICTURES[0], 0.0)
    viewer.there = False
    with pytest.raises(BrokenPipeError):
        for n in range(1, 5):
            broadcast.show(PICTURES[n], n / 25)
