"""Models and conditions built from golden sets, or at random."""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from lipforcing.models import Inputs, WanConfig, WanTransformer
from lipforcing.sampling.causal import CausalStream, NetworkStudent

from .oracle import CausalOracle, Clip, Oracle

SIGMAS = (0.999, 0.769, 0.0)
FIELDS = ("dim", "ffn_dim", "num_heads", "num_layers", "in_dim", "out_dim", "text_dim", "text_len", "freq_dim", "eps")


def config_of(golden) -> WanConfig:
    sizes = {name: golden.config[name] for name in FIELDS}
    return WanConfig(**sizes, audio_dim=golden.config["audio_in"], audio_hidden=golden.config["audio_hidden"])


def model_of(golden) -> WanTransformer:
    model = WanTransformer(config_of(golden), device="meta")
    model.load_state_dict(golden.group("weights"), strict=True, assign=True)
    return model.requires_grad_(False).eval()


def inputs_of(golden, text="cond/text_embeds", audio=None) -> Inputs:
    return Inputs(
        ref_latent=golden["cond/ref_latent"],
        mouth_mask=(1 - golden["cond/mask"])[None, None, None],  # the reference's polarity is 1 = keep
        masked_video=golden["cond/masked_video"],
        ref_sequence=golden["cond/ref_sequence"],
        audio=golden["cond/audio_emb"] if audio is None else audio,
        text=golden[text],
    )


def small_model(seed: int = 0, **overrides) -> WanTransformer:
    """A random model with weights large enough that every path matters."""
    sizes = {"dim": 24, "ffn_dim": 32, "num_heads": 2, "num_layers": 6, "text_dim": 8, "text_len": 4, "freq_dim": 16}
    config = WanConfig(**{**sizes, "audio_dim": 6, "audio_hidden": 8, **overrides})
    torch.manual_seed(seed)
    model = WanTransformer(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=max(parameter.shape[-1], 1) ** -0.5)
    return model.requires_grad_(False).eval()


def random_inputs(
    config: WanConfig, latents: int, batch: int = 1, height: int = 4, width: int = 6, seed: int = 1
) -> Inputs:
    """Inputs of a clip; every sample of the batch with a mask of its own."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn((batch, *shape), generator=generator)

    return Inputs(
        ref_latent=normal(16, 1, height, width),
        mouth_mask=(normal(1, 1, height, width) > 0).float(),
        masked_video=normal(16, latents, height, width),
        ref_sequence=normal(16, latents, height, width),
        audio=normal(4 * latents - 3, config.audio_dim),
        text=normal(config.text_len, config.text_dim),
    )


def random_noise(inputs: Inputs, steps: int = 2, seed: int = 5) -> Tensor:
    """Noise of every chunk of a clip: [chunks, steps, B, 16, 3, h, w]."""
    batch, channels, latents, height, width = inputs.masked_video.shape
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((latents // 3, steps, batch, channels, 3, height, width), generator=generator)


def spans(whole, latents: int) -> list:
    """A clip's inputs or conditioning chunk by chunk."""
    return [whole.span(start, start + 3) for start in range(0, latents, 3)]


def stream_of(model: WanTransformer, inputs: Inputs, sigmas=SIGMAS) -> CausalStream:
    return CausalStream(NetworkStudent(model), inputs.ref_latent, sigmas)


def oracle_of(model: WanTransformer) -> Oracle:
    """The oracle over the same parameters."""
    return Oracle(dict(model.named_parameters()), model.config.num_heads)


def causal_oracle(model: WanTransformer, inputs: Inputs) -> CausalOracle:
    clip = Clip(**{field.name: getattr(inputs, field.name) for field in fields(Inputs)})
    return CausalOracle(oracle_of(model), clip)
