"""Reading the weights of measuring networks; nothing is downloaded and nothing in a file is run."""

from __future__ import annotations

from pathlib import Path

import torch

from ..errors import InputError


def read_state(path: Path, wanted: str) -> dict[str, torch.Tensor]:
    """State dict of a .pth or .safetensors file; ``wanted`` names the right file for messages.

    Raises:
        InputError: the file is missing or no state dict.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give {wanted}.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling foreign bytes fails in arbitrary ways
        raise InputError(f"{path} holds no weights that can be read; give {wanted}.") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path} holds no plain state dict; give {wanted}.")
    return state
