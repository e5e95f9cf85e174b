"""What travels: everything that belongs to a few frames, filled from left to right by the stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

from ..faces.crop import Region
from ..media import Frame, Picture, Rectangle
from ..models import Conditioning

if TYPE_CHECKING:
    from .run import Run


@dataclass(eq=False)
class Place:
    """Where a run's face lies in a source frame.

    Attributes:
        frame: the source frame.
        matrix: [2, 3], pixel of the frame to pixel of the 420 x 560 crop.
        opacity: strength of the pasted mouth, 0 to 1.
        region: the part of the picture around the face, once it was looked at, and which picture of the region it is.
    """

    frame: Frame
    matrix: Tensor
    opacity: float
    region: tuple[Region, int] | None = None


@dataclass(eq=False)
class Output:
    """A source frame on its way to the result.

    Attributes:
        number: counts the frames of a session.
        frame: the source frame.
        places: of the runs that are to be pasted into it.
        low, high, share: its mouths lie ``share`` of the way from those of tick ``low`` to those of tick ``high`` of
            the chunk; -1 is the last tick of the chunk before.
        picture: the finished picture.
        pasted: where mouths were laid over it.
        absence: why none was, where nobody is in it.
    """

    number: int
    frame: Frame
    places: dict[Run, Place]
    low: int
    high: int
    share: float
    picture: Picture | None = None
    pasted: tuple[Rectangle, ...] = ()
    absence: str = ""


@dataclass(eq=False)
class Lane:
    """One run's part of a chunk.

    Attributes:
        run: whose.
        places: the run's face at the ticks that are encoded with this chunk, the codec's look-ahead included.
        offset: tick of the chunk at which the lane starts, to go on to where the chunk ends, or would if it were full.
        first: first tick of the chunk that shows the run.
        times: of the lane's ticks in seconds.
        crops: of ``places``, uint8 [N, 3, S, S].
        conditioning: of the lane's 3 latent frames.
        latents: clean [1, 16, 3, h, w].
        faces: decoded crops at the lane's ticks [T, 3, S, S] in [-1, 1].
        before: states of the run before this chunk, by the stage that keeps them.
    """

    run: Run
    places: list[Place]
    offset: int
    first: int
    times: list[float]
    crops: Tensor | None = None
    conditioning: Conditioning | None = None
    latents: Tensor | None = None
    faces: Tensor | None = None
    before: dict[str, object] = field(default_factory=dict)


@dataclass(eq=False)
class Chunk:
    """Three latent frames of everybody who is seen in them, or frames in which nobody is.

    Attributes:
        number: counts the chunks of a session.
        ticks: frames of the model's clock: 9 in the first chunk of a segment, 12 in later ones; fewer where the segment
            ends, 0 where nobody is seen.
        outputs: the source frames that leave with this chunk, in order.
        lanes: one per run.
    """

    number: int
    ticks: int
    outputs: list[Output]
    lanes: list[Lane] = field(default_factory=list)

    @property
    def pixels(self) -> int:
        """Of all source frames that leave with it."""
        return sum(output.frame.picture.height * output.frame.picture.width for output in self.outputs)
