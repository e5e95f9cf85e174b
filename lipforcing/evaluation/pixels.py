"""SSIM and PSNR inside the mouth mask, outside it, and over the whole face crop (scikit-image)."""

from __future__ import annotations

import functools
import math

import numpy as np
import torch

from ..errors import InputError
from ..faces.mask import mouth_mask
from .batches import Batch

LUMA = torch.tensor([0.299, 0.587, 0.114])  # ITU-R BT.601, the grey of image libraries
MOST = 100.0  # dB, for pictures that are equal


class PixelMeasure:
    """Mean SSIM over the frames of a clip, and PSNR of the clip's mean squared error."""

    def __init__(self) -> None:
        self._similarity = _scikit_image()
        self._ssim: list[tuple[float, float, float]] = []
        self._errors: list[tuple[float, float]] = []

    def update(self, batch: Batch) -> None:
        """Continue with the next frames."""
        mouth = mask()
        greys = ((crops.float() @ LUMA).numpy() for crops in (batch.result, batch.reference))
        for ours, theirs in zip(*greys):
            mean, similar = self._similarity(ours, theirs, data_range=255, full=True)
            self._ssim.append((similar[mouth].mean(), similar[~mouth].mean(), mean))
        squared = (batch.result.float() - batch.reference.float()).square().mean(-1).numpy()
        self._errors += [(error[mouth].mean(), error[~mouth].mean()) for error in squared]

    def values(self) -> dict[str, float]:
        """Figures of the clip."""
        names = ("ssim_mouth", "ssim_outside", "ssim_face", "psnr_mouth", "psnr_outside")
        errors = np.mean(self._errors, axis=0)
        return dict(zip(names, [*map(float, np.mean(self._ssim, axis=0)), *map(psnr, errors)]))


def psnr(mean_squared_error: float) -> float:
    """Signal to noise of 8-bit values in dB, at most 100."""
    return min(MOST, 10 * math.log10(255**2 / mean_squared_error)) if mean_squared_error > 0 else MOST


@functools.lru_cache(maxsize=1)
def mask() -> np.ndarray:
    """The mouth mask on the crop: bool [256, 256]."""
    return mouth_mask().numpy()


def _scikit_image():
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise InputError("evaluate needs scikit-image: pip install scikit-image.") from error
    return structural_similarity
