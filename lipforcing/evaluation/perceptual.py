"""LPIPS inside the mouth mask and outside it (torchmetrics' network, AlexNet weights from a file)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..errors import InputError
from .batches import Batch
from .pixels import mask
from .weights import read_state

WANTED = "torchvision's AlexNet (alexnet-owt-7be5be79.pth)"


class PerceptualMeasure:
    """Mean LPIPS over the frames of a clip.

    The distance is kept per pixel of the crop and averaged over a region, so a pixel near the mask's edge also feels
    what the network sees across it.

    Args:
        network: see ``load_lpips``.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._regions: list[tuple[float, float]] = []

    @torch.inference_mode()
    def update(self, batch: Batch) -> None:
        """Continue with the next frames."""
        device = next(self._network.parameters()).device
        crops = [c.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1 for c in (batch.result, batch.reference)]
        for distance in self._network(*crops)[:, 0].cpu().numpy():
            self._regions.append((distance[mask()].mean(), distance[~mask()].mean()))

    def values(self) -> dict[str, float]:
        """Figures of the clip."""
        mouth, outside = np.mean(self._regions, axis=0)
        return {"lpips_mouth": float(mouth), "lpips_outside": float(outside)}


def load_lpips(path: Path, device: torch.device | str = "cpu") -> nn.Module:
    """LPIPS of pictures [N, 3, H, W] in [-1, 1] as a map [N, 1, H, W]; its linear heads come with torchmetrics.

    Raises:
        InputError: torchmetrics is not installed, or the file holds something else than AlexNet.
    """
    try:
        from torchmetrics.functional.image.lpips import _LPIPS
    except ImportError as error:
        raise InputError("LPIPS needs torchmetrics: pip install torchmetrics.") from error
    state = read_state(path, WANTED)
    network = _LPIPS(net="alex", spatial=True, pnet_rand=True)  # the backbone would be downloaded otherwise
    for name, parameter in network.net.named_parameters():
        key = "features." + name.partition(".")[2]
        if key not in state or state[key].shape != parameter.shape:
            raise InputError(f"{path} is not the right file (it lacks {key}); give {WANTED}.")
        parameter.copy_(state[key])
    return network.to(device)
