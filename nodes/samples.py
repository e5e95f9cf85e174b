"""The bundled clips and speeches, so that a first workflow runs with nothing to download or upload."""

from __future__ import annotations

from pathlib import Path

from ..lipforcing import tiny
from . import host
from .node_api import io

SAMPLES = Path(tiny.__file__).parent / "samples"
CLIP, SPEECH = ".mp4", ".wav"


def sample_names(suffix: str) -> list[str]:
    """Names, without `suffix`, of the bundled files that have it."""
    return sorted(path.stem for path in SAMPLES.glob(f"*{suffix}"))


class LipForcingSample(io.ComfyNode):
    """A bundled clip and a bundled speech."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingSample",
            display_name="Lip Forcing Sample",
            category="lip forcing",
            description=(
                "A short clip of a drawn, talking face and a recording of speech that come with the pack, to try the "
                "nodes with. For your own files use Load Video and Load Audio instead."
            ),
            search_aliases=["lip sync example", "demo video"],
            inputs=[
                io.Combo.Input("clip", options=sample_names(CLIP), tooltip="The clip: a few seconds at 25 fps."),
                io.Combo.Input("speech", options=sample_names(SPEECH), tooltip="The speech: a few seconds, mono."),
            ],
            outputs=[
                io.Video.Output("sample_video", display_name="video", tooltip="The clip with its own sound."),
                io.Audio.Output("sample_audio", display_name="audio", tooltip="The speech."),
            ],
        )

    @classmethod
    def execute(cls, clip: str, speech: str) -> io.NodeOutput:
        from ..lipforcing.media import read_audio

        sound = read_audio(SAMPLES / f"{speech}{SPEECH}")
        audio = {"waveform": sound.waveform[None], "sample_rate": sound.sample_rate}
        return io.NodeOutput(host.video_from_file(str(SAMPLES / f"{clip}{CLIP}")), audio)
