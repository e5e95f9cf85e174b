"""Lip-sync a whole video in one node, streamed from file to file."""

from __future__ import annotations

from . import host, sockets
from .engine import running_models
from .node_api import io
from .progress import FrameProgress
from .speech import ear
from .tracked import open_reader, tracker_of
from .values import audio_of


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
                io.Model.Input("model", optional=True, tooltip="The student. Open: the tiny one that is built in."),
                io.Vae.Input(
                    "vae", optional=True, tooltip="wan_2.1_vae for the released student. Open: the tiny codec."
                ),
                io.Vae.Input(
                    "decoder",
                    optional=True,
                    tooltip="Another VAE to decode with, such as taew2_1, which is many times faster. Open: vae.",
                ),
                io.AudioEncoder.Input(
                    "audio_encoder",
                    optional=True,
                    tooltip="wav2vec2-base-960h for the released student. Open: the tiny family's ear.",
                ),
                io.Conditioning.Input(
                    "positive",
                    optional=True,
                    tooltip='Prompt from Wan\'s text encoder: "a person talking". The tiny student takes none.',
                ),
                io.Sigmas.Input("sigmas", optional=True, tooltip="Noise levels. Open: those the student was made for."),
                sockets.FaceLandmarks.Input(
                    "face_landmarks",
                    optional=True,
                    tooltip=(
                        "Landmarks of the host's Detect Face Landmarks (MediaPipe) for every frame of this video: the "
                        "alignment that the released models were trained with."
                    ),
                ),
                io.BoundingBox.Input(
                    "bboxes",
                    optional=True,
                    force_input=True,
                    tooltip="Face boxes, one list per frame, or a single box for a face that stays where it is.",
                ),
                io.Float.Input(
                    "window_seconds",
                    default=0.0,
                    min=0.0,
                    max=600.0,
                    step=1.0,
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "How much audio the released student's ear attends to at once, 0 to 600 seconds; 0 is all, as "
                        "it was trained. Time grows with the square of it, so for many minutes choose 30 or more."
                    ),
                ),
                sockets.FaceDetectionModel.Input(
                    "face_detection_model",
                    optional=True,
                    tooltip=(
                        "MediaPipe's face mesh (Load Face Detection Model): finds the face frame by frame in the "
                        "alignment that the released models were trained with. Takes the place of YuNet."
                    ),
                ),
            ],
            outputs=[io.Video.Output("synced_video", display_name="video", tooltip="The video with the new speech.")],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        video,
        audio,
        seed: int,
        face: str,
        length: str = "audio",
        fill: str = "pingpong",
        model=None,
        vae=None,
        decoder=None,
        audio_encoder=None,
        positive=None,
        sigmas=None,
        face_landmarks=None,
        bboxes=None,
        window_seconds: float = 0.0,
        face_detection_model=None,
    ) -> io.NodeOutput:
        from ..lipforcing.media import DurationPolicy
        from ..lipforcing.pipeline import SyncOptions, sync_file

        options = SyncOptions(seed, DurationPolicy(length, fill))
        result = host.temp_path("synced", ".mp4")
        sound = audio_of(audio)
        with (
            open_reader(video) as reader,
            running_models(model, vae, decoder, positive, sigmas, ear(audio_encoder, window_seconds)) as models,
        ):
            info = reader.info
            frames = info.frame_count or round(info.duration * info.frame_rate)
            tracker = tracker_of(face, face_landmarks, bboxes, face_detection_model, frames, fill)
            progress = FrameProgress(cls.hidden.unique_id, float(info.frame_rate))
            sync_file(models, reader, sound, result, tracker, options, progress)
        return io.NodeOutput(host.video_from_file(result), ui=progress.ui())
