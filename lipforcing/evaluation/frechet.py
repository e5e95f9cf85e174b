"""FID and FVD: distances between the features of all results and of all references."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import InputError
from .batches import Batch
from .weights import read_state

CLIP_FRAMES = range(20, 36)  # of each clip, as published; earlier ones where a clip is shorter
SIZE = 224
INCEPTION = "torch-fidelity's Inception (weights-inception-2015-12-05-6726825d.pth)"
I3D = "I3D as TorchScript (i3d_torchscript.pt)"


class FidMeasure:
    """FID over the face crops of all clips, pooled (torchmetrics).

    Args:
        metric: a ``torchmetrics.image.FrechetInceptionDistance``.
    """

    def __init__(self, metric: nn.Module) -> None:
        self._metric = metric
        self._clips = 0

    def start_clip(self) -> None:
        """A new pair begins."""
        self._clips += 1

    def update(self, batch: Batch) -> None:
        """Continue with the next frames."""
        for crops, real in ((batch.reference, True), (batch.result, False)):
            self._metric.update(crops.permute(0, 3, 1, 2).to(self._metric.device), real=real)

    def values(self) -> dict[str, float]:
        """The figure of all clips."""
        return {"fid": float(self._metric.compute())} if self._clips else {}


def load_fid(path: Path, device: torch.device | str = "cpu") -> FidMeasure:
    """FID with Inception weights from a file.

    Raises:
        InputError: torchmetrics or torch-fidelity is not installed, or the file holds something else.
    """
    read_state(path, INCEPTION)  # torch-fidelity opens the file itself, with whatever torch.load does by default
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance

        metric = FrechetInceptionDistance(feature=2048, feature_extractor_weights_path=str(path))
    except ImportError as error:  # torchmetrics says so of torch-fidelity only when the metric is made
        raise InputError("FID needs two packages: pip install torchmetrics torch-fidelity.") from error
    except Exception as error:  # unpickling foreign bytes fails in arbitrary ways
        raise InputError(f"{path} is not the right file; give {INCEPTION}.") from error
    return FidMeasure(metric.to(device))


class FvdMeasure:
    """FVD over 16 face crops of every clip.

    Args:
        network: [N, 3, 16, 224, 224] in [-1, 1] to features [N, D].
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._held: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._seen = 0
        self._features: list[tuple[torch.Tensor, torch.Tensor]] = []

    def start_clip(self) -> None:
        """A new pair begins."""
        self._close()

    def update(self, batch: Batch) -> None:
        """Continue with the next frames."""
        for ours, theirs in zip(batch.result, batch.reference):
            if self._seen < CLIP_FRAMES.stop:
                self._held = [*self._held, (ours, theirs)][-len(CLIP_FRAMES) :]
            self._seen += 1

    @torch.inference_mode()
    def _close(self) -> None:
        """Features of the clip that ends."""
        if len(self._held) == len(CLIP_FRAMES):
            self._features.append(tuple(self._embed(torch.stack(crops)) for crops in zip(*self._held)))
        self._held, self._seen = [], 0

    def _embed(self, crops: torch.Tensor) -> torch.Tensor:
        frames = F.interpolate(crops.permute(0, 3, 1, 2).float(), (SIZE, SIZE), mode="area")
        video = (frames / 127.5 - 1).transpose(0, 1)[None]
        return self._network(video).flatten().double().cpu()

    def values(self) -> dict[str, float]:
        """The figure of all clips, from two of 16 frames on."""
        self._close()
        if len(self._features) < 2:
            return {}
        ours, theirs = (torch.stack(features) for features in zip(*self._features))
        return {"fvd": frechet_distance(ours, theirs)}


def load_fvd(path: Path, device: torch.device | str = "cpu") -> FvdMeasure:
    """FVD with I3D from a TorchScript file.

    Unlike all other weights this is a program, which torch's interpreter runs. It is not Python, but its operations can
    read and write files, so take it only from a source that is trusted.

    Raises:
        InputError: the file is missing or no TorchScript.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give {I3D}.")
    try:
        network = torch.jit.load(str(path), map_location=device).eval()
    except RuntimeError as error:
        raise InputError(f"{path} is no TorchScript file; give {I3D}.") from error

    def features(video: torch.Tensor) -> torch.Tensor:
        return network(video.to(device), rescale=False, resize=False, return_features=True)

    return FvdMeasure(features)


def frechet_distance(first: torch.Tensor, second: torch.Tensor) -> float:
    """Squared Frechet distance of two Gaussians fitted to features [N, D] and [M, D], N and M at least 2."""
    means = [features.mean(0) for features in (first, second)]
    a, b = (torch.cov(features.T) for features in (first, second))
    # trace of the square root of a b: the square roots of its eigenvalues, which are real and not negative
    root = torch.linalg.eigvals(a @ b).real.clamp(min=0).sqrt().sum()
    return ((means[0] - means[1]).square().sum() + a.trace() + b.trace() - 2 * root).item()
