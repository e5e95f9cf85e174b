"""From the latents of one codec to those of another."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lipforcing.codecs.base import encode
from lipforcing.codecs.tiny import TinyCodec, TinyCodecConfig
from lipforcing.distill.recipes import denoiser
from lipforcing.distill.recipes.data import Spoken, pixels, random_faces
from lipforcing.distill.recipes.rebase import LatentMap, latent_map, rebased
from lipforcing.distill.recipes.workshop import Workshop
from lipforcing.models import Inputs, WanTransformer
from lipforcing.models.config import tiny
from lipforcing.tiny import family


def invertible(seed: int) -> torch.Tensor:
    return torch.eye(16) + 0.1 * torch.randn(16, 16, generator=torch.Generator().manual_seed(seed))


def turned(codec: TinyCodec, matrix: torch.Tensor, offset: torch.Tensor) -> TinyCodec:
    """A codec whose latents are ``matrix @ latents + offset``."""
    other = TinyCodec(codec.config)
    other.load_state_dict(codec.state_dict())
    for layer in (other.encoder.linear, other.encoder.leave):
        layer.weight.data = torch.einsum("ec,cdhw->edhw", matrix, layer.weight)
        layer.bias.data = matrix @ layer.bias
    other.encoder.linear.bias.data += offset
    return other.requires_grad_(False)


def test_a_linear_map_between_codecs_is_found():
    torch.manual_seed(1)
    earlier = TinyCodec(TinyCodecConfig(width=8, blocks=1)).requires_grad_(False)
    matrix, offset = invertible(2), torch.randn(16)
    later = turned(earlier, matrix, offset)
    video = torch.rand(2, 3, 9, 32, 32) * 2 - 1
    found = latent_map(earlier, later, video)
    torch.testing.assert_close(found.matrix, torch.linalg.inv(matrix), atol=1e-3, rtol=1e-3)
    back = torch.einsum("ec,bcfhw->befhw", found.matrix, encode(later, video)) + found.offset[:, None, None, None]
    torch.testing.assert_close(back, encode(earlier, video), atol=1e-4, rtol=1e-4)


def test_a_network_does_the_same_to_the_other_latents():
    generator = torch.Generator().manual_seed(3)
    network = family.load("teacher")
    to = LatentMap(invertible(4), 0.1 * torch.randn(16, generator=generator))
    other = WanTransformer(tiny()).requires_grad_(False)
    other.load_state_dict(rebased(network, to))

    def earlier(latents: torch.Tensor, offset: float = 1) -> torch.Tensor:
        return torch.einsum("ec,bcfhw->befhw", to.matrix, latents) + offset * to.offset[:, None, None, None]

    clean, masked, sequence, noisy = torch.randn(4, 2, 16, 3, 16, 16, generator=generator)
    mask, text = torch.ones(2, 1, 1, 16, 16), torch.zeros(2, 1, 8)
    audio, sigma = torch.randn(2, 9, 384, generator=generator), torch.tensor([0.3, 0.9])
    later = Inputs(clean[:, :, :1], mask, masked, sequence, audio, text)
    before = replace(
        later, **{name: earlier(getattr(later, name)) for name in ("ref_latent", "masked_video", "ref_sequence")}
    )
    with torch.no_grad():
        expected = network(earlier(noisy, 0), sigma, network.prepare(before))
        found = other(noisy, sigma, other.prepare(later))
    # velocities are eps - x0: noise has no offset, latents have
    torch.testing.assert_close(earlier(found, -1), expected, atol=1e-4, rtol=1e-4)


def test_a_training_goes_on_in_the_latents_of_the_workshops_codec(tmp_path):
    """As good there as it was at home, where weights that know nothing of the other codec are worse."""
    workshop, codec = Workshop(tmp_path), family.load("codec")
    turn = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(5)))[0]
    family.save("codec", turned(codec, turn, torch.zeros(16)), {}, workshop.weights)
    recipe = replace(denoiser.TEACHER, spoken=Spoken(count=1, frames=33), go_on=True, validate_every=0)
    weights = denoiser.TeacherTask(recipe, workshop).first_weights()
    videos = pixels(random_faces(7, 2, 33, workshop.data)[0])
    noise = torch.randn(2, 16, 9, 16, 16, generator=torch.Generator().manual_seed(6))

    def error(state, latents, noise) -> float:
        network = WanTransformer(tiny())
        network.load_state_dict(state)
        rest = torch.ones(2, 1, 1, 16, 16), latents, latents, torch.zeros(2, 33, 384), torch.zeros(2, 1, 8)
        with torch.no_grad():
            conditioning = network.prepare(Inputs(latents[:, :, :1], *rest))
            v = network(0.1 * latents + 0.9 * noise, torch.full((2,), 0.9), conditioning)
        return float((v - (noise - latents)).square().mean())

    earlier, later = encode(codec, videos), encode(workshop.part("codec"), videos)
    packaged = family.load("teacher").state_dict()
    turned_noise = torch.einsum("ec,bcfhw->befhw", turn, noise)
    at_home = error(packaged, earlier, noise)
    assert error(weights, later, turned_noise) < 1.01 * at_home
    assert error(packaged, later, turned_noise) > 1.1 * at_home


def test_where_latents_stay_the_package_s_network_stays_bit_for_bit(tmp_path, monkeypatch):
    """A codec whose decoder alone has learnt more: nothing is fitted, no faces are drawn."""
    monkeypatch.setattr(denoiser, "random_faces", lambda *_: pytest.fail("faces were drawn"))
    codec = family.load("codec")
    codec.decoder.linear.bias.data += 1
    family.save("codec", codec, {}, tmp_path / "weights")
    recipe = replace(denoiser.TEACHER, spoken=Spoken(count=1, frames=33), go_on=True, validate_every=0)
    first = denoiser.TeacherTask(recipe, Workshop(tmp_path)).first_weights()
    for name, value in family.load("teacher").state_dict().items():
        assert torch.equal(first[name], value), name
