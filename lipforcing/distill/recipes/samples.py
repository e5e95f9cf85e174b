"""Prepared samples (``lipforcing prepare``, or the reference's own) as the transformer sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ...codecs.base import VideoCodec, decode
from ...errors import InputError
from ...faces.mask import latent_mask
from ...media import AudioSource
from ...models import Inputs, WanConfig
from ..prepare import CLIP, FEATURES, LATENTS, REFERENCE, SOUND, TEXT
from ..validation import levels
from .latents import Shown

UNSEEN_SHARE, UNSEEN_MOST = 0.1, 4  # of the samples, kept from training to validate on


@dataclass(frozen=True)
class PreparedSamples:
    """Folders in the reference's layout, read when they are asked for.

    Attributes:
        folders: of a sample each; the last tenth of them, four at most, is what trainings are validated on.
    """

    folders: tuple[Path, ...]

    @classmethod
    def listed(cls, path: str | Path) -> PreparedSamples:
        """Those that ``train.txt`` lists, one folder a line, wherever it was moved with them; or the folder it lies in.

        Raises:
            InputError: there is none, or it lists nothing.
        """
        table = Path(path) / "train.txt" if Path(path).is_dir() else Path(path)
        if not table.is_file():
            raise InputError(f"{table} was not found; give the folder that 'lipforcing prepare' has made, or its list.")
        lines = [line.strip() for line in table.read_text().splitlines() if line.strip()]
        if len(lines) < 2:
            raise InputError(f"{table} lists {len(lines)} samples; give two or more, one to be validated on.")
        moved = table.parent / "samples"
        return cls(tuple(Path(line) if Path(line).is_dir() else moved / Path(line).name for line in lines))

    def __len__(self) -> int:
        """Samples to learn from."""
        return len(self.folders) - min(UNSEEN_MOST, max(1, int(UNSEEN_SHARE * len(self.folders))))

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Of the latents of a sample, [16, f, h, w]."""
        return tuple(load(self.folders[0] / LATENTS)["input_latents"].shape)

    def to(self, device: torch.device) -> PreparedSamples:
        """The same: they are read when they are asked for, wherever they go."""
        return self

    @property
    def made_of(self) -> dict:
        """The names of the samples, which tell their content."""
        return {"samples": [folder.name for folder in self.folders]}

    def inputs(self, rows: Tensor, config: WanConfig) -> tuple[Tensor, Inputs]:
        """Targets [B, 16, f, h, w] and inputs of the samples ``rows``.

        Raises:
            InputError: a file is missing or has other sizes than the first sample, or than the network takes.
        """
        columns = zip(*(self._sample(self.folders[row], config) for row in rows.tolist()))
        target, masked, source, audio, text = map(torch.stack, columns)
        mask = latent_mask(*target.shape[-2:]).float().expand(len(rows), 1, 1, -1, -1)
        return target, Inputs(source[:, :, :1], mask, masked, source, audio, text)

    def unseen(self, config: WanConfig, codec: VideoCodec) -> Iterator[Shown]:
        """What is never learnt from; its pictures are what the codec makes of its latents."""
        for row in range(len(self), len(self.folders)):
            target, inputs = self.inputs(torch.tensor([row]), config)
            source, truth = (levels(decode(codec, one)[0]) for one in (inputs.ref_sequence, target))
            yield Shown(inputs, source, truth, AudioSource(self.folders[row] / SOUND).mono16k())

    def _sample(self, folder: Path, config: WanConfig) -> tuple[Tensor, ...]:
        latents, seen = load(folder / LATENTS), load(folder / REFERENCE)
        audio, text = load(folder / FEATURES)["audio_emb"], load(folder / TEXT)
        parts = latents["input_latents"], latents["masked_latents"], seen["ref_sequence_latents"]
        if any(tuple(part.shape) != self.shape for part in parts):
            raise InputError(f"{folder} has latents of another size than {self.folders[0]}; prepare them together.")
        found, wanted = (audio.shape[-1], text.shape[-1]), (config.audio_dim, config.text_dim)
        if found != wanted:
            raise InputError(
                f"{folder} has audio and text features of {found}, the network takes {wanted}; "
                "prepare it with the audio encoder and the text embedding of this model."
            )
        return *(part.float() for part in parts), audio.float(), text.flatten(0, -2).float()


def load(path: Path):
    """Tensors of a file of a sample.

    Raises:
        InputError: it is missing.
    """
    if not path.is_file():
        raise InputError(f"{path} was not found; prepare the sample again ({CLIP} and the rest lie beside it).")
    return torch.load(path, map_location="cpu", weights_only=True)
