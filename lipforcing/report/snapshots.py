"""A few pictures of a result, taken while it is made."""

from __future__ import annotations

import base64
import io
from math import ceil

from PIL import Image

from ..media import Picture

COUNT = 6
HEIGHT = 180  # pixels; a picture that is less high stays as it is
QUALITY = 82


class Snapshots:
    """Progress callback of a run that keeps ``COUNT`` small pictures, evenly spread over the frames planned.

    Attributes:
        taken: number of the frame, from 1, and the picture as JPEG.
    """

    def __init__(self) -> None:
        self.taken: list[tuple[int, bytes]] = []

    def __call__(self, done: int, total: int, picture: Picture) -> None:
        if len(self.taken) < COUNT and done >= ceil(total * (len(self.taken) + 0.5) / COUNT):
            self.taken.append((done, _jpeg(picture)))

    def links(self) -> list[tuple[int, str]]:
        """The pictures as data URLs, for a page without anything outside it."""
        return [(done, f"data:image/jpeg;base64,{base64.b64encode(data).decode()}") for done, data in self.taken]


def _jpeg(picture: Picture) -> bytes:
    height = min(HEIGHT, picture.height)
    small = picture.thumbnail(height, max(1, round(picture.width * height / picture.height)))
    data = io.BytesIO()
    Image.fromarray(small.numpy()).save(data, "JPEG", quality=QUALITY)
    return data.getvalue()
