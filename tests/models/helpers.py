"""Models and conditions built from golden sets, or at random."""

from __future__ import annotations

import torch

from lipforcing.models import Conditioning, WanConfig, WanTransformer

FIELDS = ("dim", "ffn_dim", "num_heads", "num_layers", "in_dim", "out_dim", "text_dim", "text_len", "freq_dim", "eps")


def config_of(golden) -> WanConfig:
    sizes = {name: golden.config[name] for name in FIELDS}
    return WanConfig(**sizes, audio_dim=golden.config["audio_in"], audio_hidden=golden.config["audio_hidden"])


def model_of(golden) -> WanTransformer:
    model = WanTransformer(config_of(golden), device="meta")
    model.load_state_dict(golden.group("weights"), strict=True, assign=True)
    return model.requires_grad_(False).eval()


def conditioning_of(golden, model, text="cond/text_embeds", audio=None) -> Conditioning:
    return Conditioning(
        ref_latent=golden["cond/ref_latent"],
        mouth_mask=1 - golden["cond/mask"],  # the reference's polarity is 1 = keep
        masked_video=golden["cond/masked_video"],
        ref_sequence=golden["cond/ref_sequence"],
        audio=model.embed_audio(golden["cond/audio_emb"] if audio is None else audio),
        text=model.embed_text(golden[text]),
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


def random_conditioning(model, latents: int, height: int = 4, width: int = 6, seed: int = 1) -> Conditioning:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    config = model.config
    return Conditioning(
        ref_latent=normal(1, 16, 1, height, width),
        mouth_mask=(normal(height, width) > 0).float(),
        masked_video=normal(1, 16, latents, height, width),
        ref_sequence=normal(1, 16, latents, height, width),
        audio=model.embed_audio(normal(1, 4 * latents - 3, config.audio_dim)),
        text=model.embed_text(normal(1, config.text_len, config.text_dim)),
    )
