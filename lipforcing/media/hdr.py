"""What the master of a high-dynamic-range video was graded for, carried from decoder to encoder."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import av


@dataclass(frozen=True)
class Hdr:
    """Static metadata (SMPTE ST 2086, CTA-861.3), written as x264 and x265 take it; None where a file has none.

    ``mastering_display``: "G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)", chromaticities in 0.00002, light in 0.0001 cd/m2.
    ``content_light``: "largest,average" light of the brightest picture in cd/m2.
    """

    mastering_display: str | None
    content_light: str | None

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Hdr | None:
        """From a decoded frame; None where it has neither."""
        display, light = (frame.side_data.get(kind) for kind in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"))
        found = cls(_display(bytes(display)) if display else None, _light(bytes(light)) if light else None)
        return found if found != cls(None, None) else None


def _display(data: bytes) -> str | None:
    """AVMasteringDisplayMetadata: ten fractions (red, green, blue, white as x and y; least, most light), two flags."""
    *numbers, has_primaries, has_luminance = struct.unpack_from("=22i", data)
    if not (has_primaries and has_luminance):
        return None
    values = [above / below for above, below in zip(numbers[::2], numbers[1::2])]
    red, green, blue, white = (
        "({},{})".format(*(round(value * 50_000) for value in values[at : at + 2])) for at in (0, 2, 4, 6)
    )
    least, most = (round(value * 10_000) for value in values[8:])
    return f"G{green}B{blue}R{red}WP{white}L({most},{least})"


def _light(data: bytes) -> str:
    """AVContentLightMetadata."""
    return "{},{}".format(*struct.unpack_from("=2I", data))
