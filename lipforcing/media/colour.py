"""What the samples of a video mean: matrix, range, primaries, transfer curve, and where its chroma lies.

Code points are those of ITU-T H.273, which every container and codec shares. Light is not converted: RGB keeps the
primaries and the transfer curve of the source (PQ and HLG too), so a picture that is decoded and encoded again keeps
its look.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import av
import torch
from torch import Tensor

UNSPECIFIED = 2
RGB = 0
BT709 = 1
BT601 = 6
LIMITED, FULL = 1, 2
LEFT, CENTRE, TOP_LEFT = 1, 2, 3

# Share of red and blue in luma, by H.273 matrix.
_RED_BLUE = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}

# Chroma position of decoders that do not say it, or that PyAV before 19 does not ask; all others have it left.
_POSITIONS = {"mjpeg": CENTRE, "mpeg1video": CENTRE, "dvvideo": TOP_LEFT}


@dataclass(frozen=True)
class Colour:
    """How samples mean colours, in H.273 code points.

    ``range`` is 1 (limited, luma 16 to 235 of 8 bits) or 2 (full), 0 if not stated. ``siting`` tells where in its
    block of pixels a chroma sample lies: 1 left, 2 centre, 3 top left, 4 top, 5 bottom left, 6 bottom.
    """

    matrix: int = UNSPECIFIED
    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    siting: int = LEFT

    def resolved(self, width: int, height: int) -> Colour:
        """Fill in what players assume where the file is silent: BT.709 for high definition, BT.601 below; limited.

        The RGB matrix resolves the same way, because what is asked is how to code this picture as luma and chroma.
        """
        matrix = self.matrix
        if matrix not in _RED_BLUE:
            matrix = BT709 if max(width, height) >= 1280 or min(width, height) > 576 else BT601
        return replace(self, matrix=matrix, range=self.range if self.range in (LIMITED, FULL) else LIMITED)

    def levels(self, bits: int) -> tuple[int, int, int, int]:
        """Luma of black, luma from black to white, chroma of grey, chroma from one end to the other, of resolved range.

        In the code values of samples of ``bits`` bits.
        """
        if self.range == FULL:
            return 0, 2**bits - 1, 2 ** (bits - 1), 2**bits - 1
        return 16 << bits - 8, 219 << bits - 8, 128 << bits - 8, 224 << bits - 8

    def to_rgb(self, luma: Tensor, blue: Tensor, red: Tensor, bits: int) -> Tensor:
        """Code values [h, w] of luma and the two chroma differences -> [3, h, w] RGB in [0, 1]; resolved colour."""
        black, span, grey, swing = self.levels(bits)
        of_red, of_blue = _RED_BLUE[self.matrix]
        of_green = 1 - of_red - of_blue
        from_red, from_blue = 2 * (1 - of_red) / swing, 2 * (1 - of_blue) / swing
        green_red, green_blue = -of_red / of_green * from_red, -of_blue / of_green * from_blue
        luma = (luma - black) / span
        rgb = torch.empty(3, *luma.shape)
        torch.add(luma, red, alpha=from_red, out=rgb[0]).sub_(from_red * grey)
        torch.add(luma, red, alpha=green_red, out=rgb[1]).add_(blue, alpha=green_blue)
        rgb[1].sub_((green_red + green_blue) * grey)
        torch.add(luma, blue, alpha=from_blue, out=rgb[2]).sub_(from_blue * grey)
        return rgb.clamp_(0, 1)

    def from_rgb(self, rgb: Tensor, bits: int) -> Tensor:
        """[3, h, w] RGB in [0, 1] -> code values [3, h, w] of luma and the two chroma differences, not rounded."""
        black, span, grey, swing = self.levels(bits)
        of_red, of_blue = _RED_BLUE[self.matrix]
        luma = rgb[1] * (1 - of_red - of_blue)
        luma.add_(rgb[0], alpha=of_red).add_(rgb[2], alpha=of_blue)
        codes = torch.empty_like(rgb)
        torch.mul(luma, span, out=codes[0]).add_(black)
        torch.sub(rgb[2], luma, out=codes[1]).mul_(swing / (2 * (1 - of_blue))).add_(grey)
        torch.sub(rgb[0], luma, out=codes[2]).mul_(swing / (2 * (1 - of_red))).add_(grey)
        return codes


def colour_of(context: av.VideoCodecContext) -> Colour:
    """The colour tags of a decoder (complete after its first frame)."""
    siting = getattr(context, "chroma_sample_location", 0) or _POSITIONS.get(context.name, LEFT)
    return Colour(context.colorspace, context.color_range, context.color_primaries, context.color_trc, siting)


def tag(target: av.VideoCodecContext | av.VideoFrame, colour: Colour) -> None:
    """Write the colour tags of ``colour`` into an encoder, or into a frame for those that read them there (ProRes).

    PyAV before 19 cannot set the chroma position; ``encoding`` hands it to the encoders that have an option for it.
    PyAV before 17 cannot set primaries and transfer of a frame.
    """
    target.colorspace, target.color_range = colour.matrix, colour.range
    if hasattr(target, "color_primaries"):
        target.color_primaries, target.color_trc = colour.primaries, colour.transfer
    if hasattr(target, "chroma_sample_location"):
        target.chroma_sample_location = colour.siting
