"""The ComfyUI nodes: one module per topic; a node is a schema and a few lines of glue around the engine."""

from __future__ import annotations

from pathlib import Path

from ..lipforcing.errors import InputError
from . import host
from .analysis import LipForcingTrajectoryAnalysis
from .convert import LipForcingConvert
from .faces import LipForcingComposite, LipForcingFaceTrack
from .family import LipForcingFamily
from .loaders import LipForcingStudentLoader, LipForcingTeacherLoader, LipForcingTinyVAE
from .node_api import ComfyExtension, io
from .samples import LipForcingSample
from .sampling import LipForcingCausalSampler, LipForcingConditioning, LipForcingSchedule
from .speakers import LipForcingSpeaker
from .speech import LipForcingAudioEncode
from .syncnet import LipForcingSyncNetLoader, LipForcingSyncScore
from .video_to_video import LipForcingVideoToVideo

PACK = Path(__file__).parents[1]


class LipForcingExtension(ComfyExtension):
    """What the host loads: the list of nodes."""

    async def on_load(self) -> None:
        # The host shows an error as its type's module and name, of built-in ones only the name.
        InputError.__module__ = "builtins"
        host.serve_help_pages(PACK.name, str(PACK / "js" / "docs"))

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            LipForcingVideoToVideo,
            LipForcingSample,
            LipForcingStudentLoader,
            LipForcingTeacherLoader,
            LipForcingTinyVAE,
            LipForcingAudioEncode,
            LipForcingFaceTrack,
            LipForcingConditioning,
            LipForcingSchedule,
            LipForcingCausalSampler,
            LipForcingComposite,
            LipForcingSyncNetLoader,
            LipForcingSyncScore,
            LipForcingSpeaker,
            LipForcingFamily,
            LipForcingConvert,
            LipForcingTrajectoryAnalysis,
        ]
