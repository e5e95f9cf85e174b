"""Several people who speak in one video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import sockets
from .node_api import io
from .values import audio_of

if TYPE_CHECKING:
    from ..lipforcing.faces.selection import FaceChoice
    from ..lipforcing.media import Audio


@dataclass(frozen=True)
class Speaker:
    """Somebody who speaks.

    Attributes:
        audio: what.
        face: whose it is.
    """

    audio: Audio
    face: FaceChoice


class LipForcingSpeaker(io.ComfyNode):
    """AUDIO and whose it is -> LIPFORCING_SPEAKERS; one node per person, in a chain."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingSpeaker",
            display_name="Lip Forcing Speaker",
            category="lip forcing",
            description=(
                "One more person who speaks in the same video, with a speech of their own. Chain one node per person "
                "and connect the last to Lip Forcing Video to Video, whose own audio and face are the first speaker, "
                "or to both Lip Forcing Face Track and Lip Forcing Audio Encode."
            ),
            search_aliases=["two speakers", "multiple people", "conversation", "dialogue"],
            inputs=[
                io.Audio.Input("audio", tooltip="What this person says; it starts with the video."),
                io.Combo.Input(
                    "face",
                    options=["number", "point", "auto", "center"],
                    default="number",
                    tooltip=(
                        "Who: number counts the faces from the left when a shot starts; point is a place in the "
                        "picture; auto is the largest face that is left, center the one nearest the middle."
                    ),
                ),
                io.Int.Input(
                    "number", default=1, min=0, max=99, tooltip="Which face for number, 0 to 99 from the left."
                ),
                io.Int.Input(
                    "x", default=0, min=0, max=16384, tooltip="For point: pixels from the left edge, 0 to 16384."
                ),
                io.Int.Input(
                    "y", default=0, min=0, max=16384, tooltip="For point: pixels from the top edge, 0 to 16384."
                ),
                sockets.Speakers.Input("speakers", optional=True, tooltip="Those before, from another speaker node."),
            ],
            outputs=[
                sockets.Speakers.Output(
                    "speakers_out", display_name="speakers", tooltip="For another speaker, or Video to Video."
                )
            ],
        )

    @classmethod
    def execute(cls, audio, face: str, number: int, x: int, y: int, speakers=()) -> io.NodeOutput:
        choice = {"number": number, "point": (float(x), float(y)), "auto": "auto", "center": "center"}[face]
        return io.NodeOutput((*speakers, Speaker(audio_of(audio), choice)))
