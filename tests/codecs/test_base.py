"""What every codec promises about its streams, in float64 so that the limits can be tight."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lipforcing.codecs.base import decode, encode, extended
from lipforcing.codecs.taehv import TAEHV, TAEHVConfig
from lipforcing.codecs.taehv import tiny as taehv_tiny
from lipforcing.codecs.tiny import TinyCodec, TinyCodecConfig
from lipforcing.codecs.wan_vae import WanVAE, WanVAEConfig

LIMIT = 1e-10
MAKERS = {
    "taehv": lambda **kwargs: TAEHV(TAEHVConfig(widths=(6, 5, 4, 3), encoder_width=4, blocks=2), **kwargs),
    "taehv_tiny": lambda **kwargs: TAEHV(taehv_tiny(), **kwargs),
    "tiny": lambda **kwargs: TinyCodec(
        TinyCodecConfig(width=6, blocks=2, decoder_width=6, decoder_blocks=2, smooth_width=4), **kwargs
    ),
    "wan": lambda **kwargs: WanVAE(WanVAEConfig(dim=4, num_res_blocks=1), **kwargs),
}
SIZE = (16, 24)


@pytest.fixture(scope="module", params=MAKERS)
def codec(request):
    """Weights large enough that one frame of memory more or less is far above the limit."""
    torch.manual_seed(0)
    codec = MAKERS[request.param](dtype=torch.float64)
    for parameter in codec.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return codec.requires_grad_(False)


def make_video(frames: int, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch, 3, frames, *SIZE, generator=generator, dtype=torch.float64) * 2 - 1


def pieces(codec, video: torch.Tensor, *groups: int) -> list[torch.Tensor]:
    """A video as an encoder stream takes it: in groups that run ahead by what the codec wants to see."""
    return list(extended(video, codec.look_ahead).split([groups[0] + codec.look_ahead, *groups[1:]], 2))


def make_latents(frames: int, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(batch, 16, frames, 2, 3, generator=generator, dtype=torch.float64)


def same(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=LIMIT)


GROUPINGS = [[1, 4, 4, 4, 4, 4, 4], [9, 12, 4], [1, 12, 12], [5, 8, 12]]


@pytest.mark.parametrize("groups", GROUPINGS, ids=str)
def test_encoder_does_not_see_the_grouping(codec, groups):
    video, stream = make_video(25), codec.encode_stream()
    parts = [stream(frames) for frames in pieces(codec, video, *groups)]
    assert [part.shape[2] for part in parts] == [-(-group // 4) for group in groups]
    same(torch.cat(parts, 2), encode(codec, video))


@pytest.mark.parametrize("groups", [[1, 1, 1, 1, 1, 1], [3, 3], [1, 5], [2, 1, 3]], ids=str)
def test_decoder_does_not_see_the_grouping(codec, groups):
    latents, stream = make_latents(6), codec.decode_stream(clamp=False)
    parts = [stream(group) for group in latents.split(groups, 2)]
    assert [part.shape[2] for part in parts] == [4 * groups[0] - 3, *(4 * group for group in groups[1:])]
    same(torch.cat(parts, 2), decode(codec, latents, clamp=False))


def test_a_batch_is_independent_runs(codec):
    video, latents = make_video(9, batch=2), make_latents(3, batch=2)
    encoder, decoder = codec.encode_stream(), codec.decode_stream(clamp=False)
    encoded = torch.cat([encoder(frames) for frames in pieces(codec, video, 5, 4)], 2)
    decoded = torch.cat([decoder(group) for group in latents.split([1, 2], 2)], 2)
    for index in range(2):
        same(encoded[index], encode(codec, video[index : index + 1])[0])
        same(decoded[index], decode(codec, latents[index : index + 1], clamp=False)[0])


def test_interleaved_streams_do_not_meet(codec):
    video, latents = make_video(9), make_latents(3)
    encoders = [codec.encode_stream() for _ in range(2)]
    decoders = [codec.decode_stream(clamp=False) for _ in range(2)]
    encoded, decoded = ([], []), ([], [])
    for frames in pieces(codec, video, 5, 4):
        for sign, stream, out in zip((1, -1), encoders, encoded):
            out.append(stream(sign * frames))
    for group in latents.split([1, 2], 2):
        for sign, stream, out in zip((1, -1), decoders, decoded):
            out.append(stream(sign * group))
    for sign, out in zip((1, -1), encoded):
        same(torch.cat(out, 2), encode(codec, sign * video))
    for sign, out in zip((1, -1), decoded):
        same(torch.cat(out, 2), decode(codec, sign * latents, clamp=False))


def test_a_copy_goes_on_by_itself(codec):
    """From where the stream was, whatever the stream itself has done since."""
    first, second, third = pieces(codec, make_video(13), 5, 4, 4)
    encoder = codec.encode_stream()
    encoder(first)
    saved = encoder.copy()
    expected = encoder(third)
    encoder(second)
    again = saved.copy()
    same(saved(third), expected)
    same(again(third), expected)
    latents = make_latents(3)
    decoder = codec.decode_stream(clamp=False)
    decoder(latents[:, :, :1])
    saved = decoder.copy()
    decoder(latents[:, :, 1:2])
    same(saved(latents[:, :, 2:]), decode(codec, latents[:, :, [0, 2]], clamp=False)[:, :, 1:])


def test_streams_remember(codec):
    """The grouping tests would also hold without any memory; it must matter, and matter beyond one group."""
    video, latents = make_video(13), make_latents(4)
    other_video, other_latents = video.clone(), latents.clone()
    other_video[:, :, :5], other_latents[:, :, :1] = 0, 0
    assert (encode(codec, video) - encode(codec, other_video))[:, :, 2].abs().max() > 1e-6
    change = decode(codec, latents, clamp=False) - decode(codec, other_latents, clamp=False)
    assert change[:, :, 4].abs().max() > 1e-6


def test_results_are_causal(codec):
    video, latents = make_video(9), make_latents(3)
    """An encoder may look ahead, by as much as it says and no further."""
    for ahead in {0, codec.look_ahead}:
        changed = video.clone()
        changed[:, :, 5 + ahead :] = 0
        if ahead == codec.look_ahead:
            same(encode(codec, changed)[:, :, :2], encode(codec, video)[:, :, :2])
        else:
            assert (encode(codec, changed) - encode(codec, video))[:, :, 1].abs().max() > 1e-6
    same(decode(codec, latents[:, :, :2]), decode(codec, latents)[:, :, :5])


def test_frames_are_limited_unless_asked(codec):
    latents = 10 * make_latents(2)
    raw = decode(codec, latents, clamp=False)
    assert raw.abs().max() > 1
    same(decode(codec, latents), raw.clamp(-1, 1))


@pytest.mark.parametrize(
    ("first", "then", "words"),
    [
        (4, None, "1 \\+ 4k(?: \\+ 3)? frames, got"),
        (3, None, "got"),
        (0, None, "got"),
        (1, 5, "groups of 4 frames, got 5"),
        (1, 1, "got 1"),
        (1, 0, "got 0"),
    ],
)
def test_wrong_groups_are_refused(codec, first, then, words):
    stream, video = codec.encode_stream(), make_video(12)
    first = video[:, :, : first + codec.look_ahead]
    if then is not None:
        stream(first)
    with pytest.raises(ValueError, match=words):
        stream(first if then is None else video[:, :, :then])


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (make_video(4)[..., :20], "16 x 20; pad or crop"),
        (make_video(4)[:, :, :, :12], "12 x 24; pad or crop"),
        (make_video(4)[:, :2], "expects frames"),
        (make_video(4)[0], "expects frames"),
    ],
)
def test_wrong_frames_are_refused(codec, frames, words):
    with pytest.raises(ValueError, match=words):
        codec.encode_stream()(frames)


def test_a_refused_call_leaves_the_stream_intact(codec):
    video, stream = make_video(9), codec.encode_stream()
    first, second = pieces(codec, video, 5, 4)
    parts = [stream(first)]
    with pytest.raises(ValueError):
        stream(second[:, :, :3])
    same(torch.cat([*parts, stream(second)], 2), encode(codec, video))


@pytest.mark.parametrize("latents", [make_latents(1)[:, :8], make_latents(1)[:, :, :0], make_latents(1)[0]])
def test_wrong_latents_are_refused(codec, latents):
    with pytest.raises(ValueError, match="expects latents"):
        codec.decode_stream()(latents)


def held_tensors(codec, stream) -> list[torch.Tensor]:
    """The state of a stream, wherever its family keeps it."""
    if isinstance(codec, TAEHV):
        return list(stream.stream.memory.values())
    if isinstance(codec, WanVAE):
        return list(stream.cache.frames.values())
    return stream.memory


def test_state_does_not_grow(codec):
    encoder, decoder = codec.encode_stream(), codec.decode_stream()
    held = []
    for frames, latents in zip(pieces(codec, make_video(25), 1, 4, 4, 16), make_latents(7).split([1, 1, 1, 4], 2)):
        encoder(frames), decoder(latents)
        tensors = held_tensors(codec, encoder) + held_tensors(codec, decoder)
        held.append(sum(tensor.untyped_storage().nbytes() for tensor in tensors))
    assert held[0] > 0
    assert held[1] == held[2] == held[3]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_layers_come_from_the_given_operations(make):
    class Conv2d(nn.Conv2d):
        pass

    class Conv3d(nn.Conv3d):
        pass

    codec = make(operations=SimpleNamespace(Conv2d=Conv2d, Conv3d=Conv3d), device="meta", dtype=torch.bfloat16)
    assert all(p.device.type == "meta" and p.dtype == torch.bfloat16 for p in codec.parameters())
    layers = [module for module in codec.modules() if isinstance(module, nn.Conv2d | nn.Conv3d)]
    assert layers and all(type(layer) in (Conv2d, Conv3d) for layer in layers)
