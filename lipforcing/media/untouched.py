"""Whether a finished picture is the source's own outside of the rectangles that were generated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .picture import DecodedPicture, Picture, Rectangle
from .pixels import layout_of, samples


def changed_outside(before: Picture, after: Picture, rectangles: Sequence[Rectangle]) -> int:
    """How many samples differ between a picture and one made from it, outside of rectangles.

    A chroma sample lies in a rectangle if any pixel of its block does.

    Args:
        before, after: pictures of one kind, format and size, not yet encoded.
        rectangles: where they may differ.
    """
    if after is before:
        return 0
    if not isinstance(before, DecodedPicture):
        differ = (before.image != after.image).numpy(force=True)
        for top, left, height, width in rectangles:
            differ[top : top + height, left : left + width] = False
        return int(differ.sum())
    turn, layout = before.orientation, layout_of(before.frame.format.name)
    changed = 0
    for number in range(len(layout.places)):
        differ = np.not_equal(samples(before.frame, number), samples(after.frame, number))
        across, down = (layout.across, layout.down) if layout.is_chroma(number) else (1, 1)
        for top, left, height, width in rectangles:
            top, left = turn.stored_corner(top, left, (height, width), (before.height, before.width))
            width, height = turn.size(width, height)
            differ[top // down : -(-(top + height) // down), left // across : -(-(left + width) // across)] = False
        changed += int(differ.sum())
    return changed
