"""The Wan 2.1 autoencoder against the reference (tests/data/goldens/README.md, 3.7)."""

from __future__ import annotations

import pytest
import torch

from lipforcing.codecs.base import decode, encode
from lipforcing.codecs.wan_vae import LATENT_MEAN, LATENT_STD, WanVAE, WanVAEConfig

LIMIT = 2e-5
SET = "wan_vae_stream"


@pytest.fixture(scope="module")
def reference(golden):
    golden_set = golden(SET)
    sizes = golden_set.config
    config = WanVAEConfig(
        dim=sizes["dim"],
        z_dim=sizes["z_dim"],
        dim_mult=tuple(sizes["dim_mult"]),
        num_res_blocks=sizes["num_res_blocks"],
        temporal_downsample=tuple(sizes["temperal_downsample"]),
    )
    vae = WanVAE(config)
    vae.load_state_dict(golden_set.group("weights"), strict=True)
    return golden_set, vae


def test_constants(reference, parity):
    golden_set, _ = reference
    parity(SET, "mean", torch.tensor(LATENT_MEAN), golden_set["constants/mean"], 1e-7)
    parity(SET, "std", torch.tensor(LATENT_STD), golden_set["constants/std"], 1e-7)


@torch.no_grad()
def test_encoder_matches_the_reference(reference, parity):
    golden_set, vae = reference
    parity(SET, "latents", encode(vae, golden_set["inputs/frames"]), golden_set["outputs/latents"], LIMIT)


@torch.no_grad()
def test_encoder_streams_as_the_reference_does(reference, parity):
    golden_set, vae = reference
    stream = vae.encode_stream()
    for index, (start, end) in enumerate(golden_set["outputs/encode_groups"].tolist()):
        latent = stream(golden_set["inputs/frames"][:, :, start:end])
        expected = golden_set["outputs/latents"][:, :, index : index + 1]
        parity(SET, "streamed latents", latent, expected, LIMIT)


@torch.no_grad()
def test_decoder_matches_the_reference(reference, parity):
    golden_set, vae = reference
    latents = golden_set["outputs/latents"]
    raw = decode(vae, latents, clamp=False)
    parity(SET, "raw frames", raw, golden_set["outputs/decoded_raw"], LIMIT)
    parity(SET, "frames", decode(vae, latents), golden_set["outputs/decoded"], LIMIT)
    raw = decode(vae, golden_set["inputs/random_latents"], clamp=False)
    parity(SET, "raw frames of noise", raw, golden_set["outputs/random_decoded_raw"], LIMIT)


@torch.no_grad()
def test_decoder_streams_as_the_reference_does(reference, parity):
    golden_set, vae = reference
    stream = vae.decode_stream(clamp=False)
    parts = [stream(latent) for latent in golden_set["outputs/latents"].split(1, 2)]
    assert [part.shape[2] for part in parts] == golden_set["outputs/frames_per_latent"].tolist()
    parity(SET, "streamed raw frames", torch.cat(parts, 2), golden_set["outputs/decoded_raw"], LIMIT)


def test_published_size():
    with torch.device("meta"):
        vae = WanVAE()
    assert len(vae.state_dict()) == 194
    assert round(sum(parameter.numel() for parameter in vae.parameters()) / 1e6, 1) == 126.9
