"""TAEHV against the reference (tests/data/goldens/README.md, 3.8) and what is particular to the tiny codec."""

from __future__ import annotations

import pytest
import torch

from lipforcing.codecs.base import WARM_UP_FRAMES, decode, encode, extended
from lipforcing.codecs.taehv import TAEHV, taew2_1, tiny

from ..golden_weights import procedural_weights, sha256, taehv_rule

LIMIT = 1e-5


@pytest.fixture(scope="module")
def reference(golden):
    golden_set = golden("taehv_stream")
    procedure = golden_set.meta["weights_procedure"]
    weights = procedural_weights(procedure["key_shapes"], procedure["seed"], taehv_rule(procedure["gain"]))
    assert sha256(weights) == procedure["sha256"]
    codec = TAEHV(taew2_1())
    codec.load_state_dict(weights, strict=True)
    return golden_set, codec


def to_video(tensor: torch.Tensor) -> torch.Tensor:
    """The golden's [N, T, C, H, W] in [0, 1] as [B, C, T, H, W] in [-1, 1]."""
    return tensor.transpose(1, 2) * 2 - 1


def to_golden(video: torch.Tensor) -> torch.Tensor:
    return (video.transpose(1, 2) + 1) / 2


@torch.no_grad()
def test_decoder_matches_the_reference(reference, parity):
    golden_set, codec = reference
    latents = golden_set["inputs/latents"].transpose(1, 2)
    raw = golden_set["outputs/decoded_raw_all"][:, WARM_UP_FRAMES:]
    parity("taehv_stream", "raw frames", to_golden(decode(codec, latents, clamp=False)), raw, LIMIT)
    parity("taehv_stream", "frames", to_golden(decode(codec, latents)), golden_set["outputs/frames"], LIMIT)


@torch.no_grad()
def test_decoder_streams_as_the_reference_does(reference, parity):
    golden_set, codec = reference
    stream = codec.decode_stream()
    parts = [stream(latent) for latent in golden_set["inputs/latents"].transpose(1, 2).split(1, 2)]
    assert [part.shape[2] for part in parts] == golden_set["outputs/frames_per_latent"].tolist()
    frames = to_golden(torch.cat(parts, 2))
    parity("taehv_stream", "streamed frames", frames, golden_set["outputs/frames"], LIMIT)


@torch.no_grad()
def test_encoder_matches_the_reference(reference, parity):
    """As the class itself pads: the last frame repeated at the end."""
    golden_set, codec = reference
    video, expected = to_video(golden_set["inputs/video"]), golden_set["outputs/encoded_endpad"]
    parity("taehv_stream", "latents", encode(codec, video).transpose(1, 2), expected, LIMIT)
    stream, groups = codec.encode_stream(), video.shape[2] // 4
    ahead = extended(video, codec.look_ahead).split([4, *[4] * groups], 2)
    streamed = torch.cat([stream(frames) for frames in ahead], 2)
    parity("taehv_stream", "streamed latents", streamed.transpose(1, 2), expected, LIMIT)


@torch.no_grad()
def test_layers_match_what_the_release_does_with_them(reference, parity):
    """It pads in front instead, which shifts every latent by three frames: right layers, wrong lips."""
    golden_set, codec = reference
    video, expected = to_video(golden_set["inputs/video"]), golden_set["outputs/encoded_frontpad"]
    padded = torch.cat((video[:, :, :1].expand(-1, -1, 3, -1, -1), video), dim=2)
    parity("taehv_stream", "latents, padded in front", codec.encode_stream()(padded).transpose(1, 2), expected, LIMIT)


def test_published_layout(golden):
    shapes = golden("taehv_stream").meta["weights_procedure"]["key_shapes"]
    with torch.device("meta"):
        codec = TAEHV(taew2_1())
    assert {name: list(value.shape) for name, value in codec.state_dict().items()} == shapes


def test_tiny_is_small_and_has_the_common_geometry():
    codec = TAEHV(tiny())
    assert sum(parameter.numel() for parameter in codec.parameters()) < 1_000_000
    with torch.no_grad():
        latents = encode(codec, torch.rand(1, 3, 5, 24, 40))
        assert latents.shape == (1, 16, 2, 3, 5)
        assert decode(codec, latents).shape == (1, 3, 5, 24, 40)


def test_every_parameter_learns_also_across_calls():
    torch.manual_seed(0)
    codec = TAEHV(tiny())
    video = (torch.rand(1, 3, 9, 16, 16) * 2 - 1).requires_grad_()
    encoder, decoder = codec.encode_stream(), codec.decode_stream(clamp=False)
    parts = [decoder(encoder(frames)) for frames in extended(video, codec.look_ahead).split([8, 4], 2)]
    parts[1].square().mean().backward()
    assert video.grad[:, :, :8].abs().max() > 0, "the second call learns through the memory of the first"
    for name, parameter in codec.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_unclamped_frames_keep_their_gradient():
    codec = TAEHV(tiny())
    torch.nn.init.constant_(codec.decoder[-1].bias, 5.0)
    latents = torch.randn(1, 16, 1, 2, 2, requires_grad=True)
    assert decode(codec, latents).max() == 1
    frames = decode(codec, latents, clamp=False)
    assert frames.min() > 1
    frames.sum().backward()
    assert latents.grad.abs().max() > 0


@torch.no_grad()
def test_latents_of_a_student_in_half_precision_are_decoded_in_the_decoders_own():
    codec, latents = TAEHV(tiny()), torch.randn(1, 16, 2, 4, 4).bfloat16()
    frames = decode(codec, latents)
    assert frames.dtype == torch.float32 and torch.equal(frames, decode(codec, latents.float()))
