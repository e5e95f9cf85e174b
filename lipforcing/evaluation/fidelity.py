"""What the pictures of a clip look like beside the reference's: sharp, steady, without a seam, untouched outside."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from ..media import ImagePicture, VideoReader
from ..syncnet.video import clock_pictures
from .batches import Batch, Place
from .flicker import Flicker
from .outside import CLEAR, Outside, reencode, settings_of
from .pairs import Pair
from .seam import Seam
from .sharpness import Sharpness

EVERY = 5  # clock frames: whole pictures are compared that often
LOOSE = 0.08  # of the face's half height: where it is found is not exactly where a result was pasted


class FidelityMeasure:
    """Sharpness, flicker and seam of the mouth."""

    def __init__(self) -> None:
        self._sharpness, self._flicker, self._seam = Sharpness(), Flicker(), Seam()
        self._next = 0

    def update(self, batch: Batch) -> None:
        """Continue with the next frames."""
        if batch.indices[0] != self._next:
            self._flicker.interrupt()
        self._next = batch.indices[-1] + 1
        self._flicker.update(batch.result, batch.reference)
        self._seam.update(batch.result, batch.reference)
        for result, reference, matrix in zip(batch.result_frames, batch.reference_frames, batch.matrices[1]):
            self._sharpness.update(ImagePicture(result), ImagePicture(reference), matrix)

    def values(self) -> dict[str, float]:
        """Figures of the clip."""
        found = {"sharpness": self._sharpness.ratio, "flicker": self._flicker.levels, "seam": self._seam.levels}
        return {key: value for key, value in found.items() if value is not None}


def outside_values(pair: Pair, place: Place) -> dict[str, float]:
    """What changed outside of the mouth over a clip, in pictures of one size.

    Where anything did and the encoder noted its settings, also what these cost the reference.

    Args:
        place: of the face in the reference.

    Raises:
        InputError: a video cannot be read.
    """
    found = _outside(pair.result, pair.reference, place)
    if found.share is None:
        return {}
    values = {"outside_changed": 100 * found.share, "outside_psnr": found.psnr}
    settings = settings_of(pair.result) if found.changed else None
    if settings is not None:
        with TemporaryDirectory() as folder:
            again = Path(folder) / f"again{pair.result.suffix}"
            reencode(pair.reference, again, settings)
            values["outside_psnr_reencoded"] = _outside(again, pair.reference, place).psnr
    return values


def _outside(result: Path, reference: Path, place: Place) -> Outside:
    outside = Outside(CLEAR)
    with VideoReader(result) as made, VideoReader(reference) as wanted:
        for index, (ours, theirs) in enumerate(zip(clock_pictures(made), clock_pictures(wanted))):
            if index % EVERY == 0 and place.has(index):
                size = (theirs.height, theirs.width)
                if place.track is not None:
                    outside.margin = CLEAR + LOOSE * float(place.track.squares[:, 2].mean())
                outside.update(ours, theirs, [place.matrix(index, size)])
    return outside
