"""Key layouts in which the weights of the Wan 2.1 autoencoder are found.

- flat, as published and as ComfyUI holds it: ``encoder.downsamples.0.residual.2.weight``;
- the same below a prefix, usually ``model.``;
- diffusers (``AutoencoderKLWan``): ``encoder.down_blocks.0.conv1.weight``, also below a prefix.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ..errors import InputError

# One key that each layout must contain; what stands before it is the prefix.
FLAT_MARK = "decoder.middle.0.residual.0.gamma"
DIFFUSERS_MARK = "decoder.mid_block.resnets.0.norm1.gamma"

# Layers of a residual block.
BLOCK_NAMES = {
    "norm1.gamma": "residual.0.gamma",
    "conv1.weight": "residual.2.weight",
    "conv1.bias": "residual.2.bias",
    "norm2.gamma": "residual.3.gamma",
    "conv2.weight": "residual.6.weight",
    "conv2.bias": "residual.6.bias",
    "conv_shortcut.weight": "shortcut.weight",
    "conv_shortcut.bias": "shortcut.bias",
}
# Everything around the blocks.
PART_NAMES = {
    "down_blocks": "downsamples",
    "quant_conv": "conv1",
    "post_quant_conv": "conv2",
    "conv_in": "conv1",
    "norm_out": "head.0",
    "conv_out": "head.2",
    "mid_block.resnets.0": "middle.0",
    "mid_block.attentions.0": "middle.1",
    "mid_block.resnets.1": "middle.2",
}
BLOCK = re.compile(r"(.*(?:down_blocks|resnets)\.\d+)\.(.+)")
PART = re.compile(r"\b(?:" + "|".join(map(re.escape, PART_NAMES)) + r")\b")
UP_RESIDUAL = re.compile(r"up_blocks\.(\d+)\.resnets\.(\d+)")
UP_SAMPLER = re.compile(r"up_blocks\.(\d+)\.upsamplers\.0")


def normalise_vae_keys(keys: Iterable[str]) -> dict[str, str]:
    """Map the keys of a state dict to those of ``WanVAE``.

    Args:
        keys: keys in any of the layouts above. Keys outside the prefix of the autoencoder are left out.

    Returns:
        given key -> ``WanVAE`` key.

    Raises:
        InputError: no Wan 2.1 autoencoder among the keys.
    """
    keys = list(keys)
    for mark, rename in ((FLAT_MARK, str), (DIFFUSERS_MARK, _diffusers_renamer(keys))):
        prefix = next((key.removesuffix(mark) for key in keys if key.endswith(mark)), None)
        if prefix is not None:
            return {key: rename(key.removeprefix(prefix)) for key in keys if key.startswith(prefix)}
    raise InputError(
        f"these weights are not a Wan 2.1 autoencoder: none of the {len(keys)} tensors is called {FLAT_MARK} "
        f"or {DIFFUSERS_MARK}; choose wan_2.1_vae.safetensors or the vae folder of a diffusers Wan 2.1 model"
    )


def _diffusers_renamer(keys: list[str]) -> Callable[[str], str]:
    """diffusers groups the decoder's layers by level; the flat numbering runs through all levels."""
    per_level = 2 + max((int(found[2]) for key in keys if (found := UP_RESIDUAL.search(key))), default=0)

    def rename(key: str) -> str:
        if found := BLOCK.fullmatch(key):
            key = f"{found[1]}.{BLOCK_NAMES.get(found[2], found[2])}"
        key = UP_RESIDUAL.sub(lambda at: f"upsamples.{int(at[1]) * per_level + int(at[2])}", key)
        key = UP_SAMPLER.sub(lambda at: f"upsamples.{int(at[1]) * per_level + per_level - 1}", key)
        return PART.sub(lambda part: PART_NAMES[part[0]], key)

    return rename
