"""The tiny codec: compression, streaming, independence of streams."""

from __future__ import annotations

import pytest
import torch

from lipforcing.codecs.base import decode, encode
from lipforcing.codecs.tiny import Fine, TinyCodec, TinyCodecConfig, from_blocks, to_blocks


@pytest.fixture(scope="module", params=[0, 6], ids=["blocks alone", "fine"])
def codec(request) -> TinyCodec:
    torch.manual_seed(3)
    return TinyCodec(TinyCodecConfig(16, 12, 2, 10, 3, 4, fine=request.param)).requires_grad_(False)


@pytest.fixture(scope="module")
def video() -> torch.Tensor:
    return torch.rand(2, 3, 13, 16, 24, generator=torch.Generator().manual_seed(4)) * 2 - 1


def test_compression_is_that_of_the_real_codec(codec, video):
    latents = encode(codec, video)
    assert latents.shape == (2, 16, 4, 2, 3)
    assert decode(codec, latents).shape == video.shape


def test_first_frame_stands_alone(codec, video):
    other = video.clone()
    other[:, :, 1:] = 0
    assert torch.equal(encode(codec, video)[:, :, :1], encode(codec, other)[:, :, :1])


def test_later_frames_do_not_change_earlier_ones(codec, video):
    short, long = encode(codec, video[:, :, :9]), encode(codec, video)
    torch.testing.assert_close(short, long[:, :, :3])
    torch.testing.assert_close(decode(codec, short), decode(codec, long)[:, :, :9])


@pytest.mark.parametrize("groups", [(1, 4, 4, 4), (5, 8), (1, 12)])
def test_streaming_equals_one_shot(codec, video, groups):
    stream = codec.encode_stream()
    latents = torch.cat([stream(piece) for piece in video.split(groups, dim=2)], dim=2)
    torch.testing.assert_close(latents, encode(codec, video))
    stream = codec.decode_stream()
    frames = torch.cat([stream(piece) for piece in latents.split((1, 3), dim=2)], dim=2)
    torch.testing.assert_close(frames, decode(codec, latents))


def test_the_past_matters(codec, video):
    """Otherwise the streaming tests would prove nothing."""
    alone = codec.encode_stream()
    alone(video[:, :, :1] * 0)
    assert not torch.allclose(alone(video[:, :, 1:5]), encode(codec, video)[:, :, 1:2], atol=1e-3)


def test_batch_is_independent_runs(codec, video):
    torch.testing.assert_close(encode(codec, video)[1:], encode(codec, video[1:]))


def test_blocks_are_a_rearrangement(video):
    assert torch.equal(from_blocks(to_blocks(video[:, :, :12])), video[:, :, :12])


@pytest.mark.parametrize("frames, match", [(3, "1 \\+ 4k"), (4, "1 \\+ 4k")])
def test_wrong_group_is_refused(codec, video, frames, match):
    with pytest.raises(ValueError, match=match):
        codec.encode_stream()(video[:, :, :frames])


def test_fine_details_are_added_to_the_right_pixels():
    """A feature of one block and its frames: what it adds lies in and around that block's pixels."""
    torch.manual_seed(5)
    fine = Fine(3, 4, torch.nn).requires_grad_(False)
    features = torch.zeros(2, 3, 4, 5)
    features[1, :, 2, 3] = 5
    difference = (fine(features) - fine(torch.zeros_like(features))).abs().sum(1)
    assert difference.shape == (2, 4, 32, 40) and not difference[0].any()
    rows, columns = (difference[1].sum(0).sum(axis).nonzero().flatten().tolist() for axis in (1, 0))
    assert all(difference[1, frame].any() for frame in range(4))
    assert 16 - 8 <= rows[0] <= 16 and 23 <= rows[-1] < 32 and 24 - 8 <= columns[0] <= 24 and 31 <= columns[-1] < 40
