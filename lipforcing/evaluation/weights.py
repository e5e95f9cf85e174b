"""Reading the weights of measuring networks; nothing is downloaded and nothing in a file is run."""

from __future__ import annotations

from pathlib import Path

import torch

from ..checkpoints.files import open_tensors
from ..errors import InputError


def read_state(path: Path, wanted: str) -> dict[str, torch.Tensor]:
    """State dict of a weight file in any container, backed by the file; ``wanted`` names the right one for messages.

    Raises:
        InputError: the file is missing or holds no tensors.
    """
    try:
        return dict(open_tensors(path))
    except InputError as error:
        raise InputError(f"{path} holds no weights that can be read ({error}); give {wanted}.") from None
