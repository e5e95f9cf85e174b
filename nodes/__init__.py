"""The ComfyUI nodes: one module per topic; a node is a schema and a few lines of glue around the engine."""

from __future__ import annotations

from .node_api import ComfyExtension, io
from .samples import LipForcingSample
from .video_to_video import LipForcingVideoToVideo


class LipForcingExtension(ComfyExtension):
    """What the host loads: the list of nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [LipForcingVideoToVideo, LipForcingSample]
