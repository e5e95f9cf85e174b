"""Lip-sync a whole video in one node, streamed from file to file."""

from __future__ import annotations

from . import host
from .node_api import io
from .progress import FrameProgress
from .values import audio_of, face_tracker


class LipForcingVideoToVideo(io.ComfyNode):
    """VIDEO + AUDIO -> VIDEO: the mouth re-rendered to the new speech, everything else left as it was."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingVideoToVideo",
            display_name="Lip Forcing Video to Video",
            category="lip forcing",
            description=(
                "Makes the person in a video speak the given audio. Works from file to file, chunk by chunk, so the "
                "length of the video does not matter for memory. Size, frame rate and everything outside the mouth "
                "region stay as they are; the new audio becomes the sound track."
            ),
            search_aliases=["lip sync", "lipsync", "dubbing", "talking head", "wav2lip", "latentsync"],
            inputs=[
                io.Video.Input("video", tooltip="The video to change: any size, frame rate and length."),
                io.Audio.Input(
                    "audio", tooltip="The speech to follow: any sample rate, kept as it is on the result's sound track."
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Seed of the noise, 0 to 18446744073709551615. The same seed gives the same frames.",
                ),
                io.Combo.Input(
                    "face",
                    options=["auto", "center", "full"],
                    default="auto",
                    tooltip=(
                        "auto: find the largest face and follow it. center: the one nearest the middle of the picture. "
                        "Both need yunet_final.pth in models/detection. full: every frame is a face crop already."
                    ),
                ),
                io.Combo.Input(
                    "length",
                    options=["audio", "video"],
                    default="audio",
                    optional=True,
                    tooltip=(
                        "How long the result is. audio: as long as the audio, a longer video is cut, a shorter one "
                        "filled. video: every frame of the video, longer audio is cut, shorter audio ends in silence."
                    ),
                ),
                io.Combo.Input(
                    "fill",
                    options=["pingpong", "loop", "hold"],
                    default="pingpong",
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "What fills the time when the audio is longer than the video. pingpong: play back and forth. "
                        "loop: repeat from the start. hold: keep the last frame."
                    ),
                ),
            ],
            outputs=[io.Video.Output("synced_video", display_name="video", tooltip="The video with the new speech.")],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls, video, audio, seed: int, face: str, length: str = "audio", fill: str = "pingpong"
    ) -> io.NodeOutput:
        from ..lipforcing.media import DurationPolicy, VideoReader
        from ..lipforcing.pipeline import SyncOptions, sync_file
        from ..lipforcing.tiny import family

        models = family.models(host.compute_device())
        options = SyncOptions(seed, DurationPolicy(length, fill))
        result = host.temp_path("synced", ".mp4")
        with host.video_source(video) as source, VideoReader(source.file, source.start, source.duration) as reader:
            progress = FrameProgress(cls.hidden.unique_id, float(reader.info.frame_rate))
            sync_file(models, reader, audio_of(audio), result, face_tracker(face), options, progress)
        return io.NodeOutput(host.video_from_file(result), ui=progress.ui())
