"""Lip-sync a whole video in one node, streamed from file to file."""

from __future__ import annotations

from . import host, inputs, sockets
from .engine import running_family
from .node_api import io
from .progress import FrameProgress
from .speech import encoder_of
from .tracked import follower_for, open_reader
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
                inputs.seed(),
                inputs.face(),
                inputs.length(),
                inputs.fill(),
                io.Model.Input("model", optional=True, tooltip="The student. Open: the tiny one that is built in."),
                io.Vae.Input(
                    "vae", optional=True, tooltip="wan_2.1_vae for the released student. Open: the tiny codec."
                ),
                inputs.decoder(),
                io.AudioEncoder.Input(
                    "audio_encoder",
                    optional=True,
                    tooltip="wav2vec2-base-960h for the released student. Open: the tiny family's ear.",
                ),
                inputs.positive("student"),
                inputs.sigmas(),
                *inputs.known_faces(),
                inputs.window_seconds(),
                inputs.pauses(),
                inputs.lip_strength(),
                sockets.Speakers.Input(
                    "speakers",
                    optional=True,
                    tooltip=(
                        "Further people who speak (Lip Forcing Speaker); audio and face are the first one's. All that "
                        "is said is mixed on the sound track."
                    ),
                ),
                io.Audio.Input(
                    "mix", optional=True, tooltip="Another sound track for the result, such as a finished mix."
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
        face_detection_model=None,
        window_seconds: float = 0.0,
        pauses: str = "model",
        lip_strength: float = 1.0,
        speakers=(),
        mix=None,
    ) -> io.NodeOutput:
        from ..lipforcing.audio.manner import Manner
        from ..lipforcing.media import DurationPolicy, Mix
        from ..lipforcing.pipeline import SyncOptions, sync_file

        # The host's layers bring weights to the device in its own order, on its own stream.
        options = SyncOptions(seed, DurationPolicy(length, fill), streams=False, manner=Manner(pauses, lip_strength))
        result = host.temp_path("synced", ".mp4")
        said = [audio_of(audio), *(speaker.audio for speaker in speakers)]
        sound = audio_of(mix) if mix is not None else Mix(said) if speakers else said[0]
        with (
            open_reader(video) as reader,
            running_family(model, vae, decoder, positive, sigmas, encoder_of(audio_encoder, window_seconds)) as family,
        ):
            info = reader.info
            frames = info.frame_count or round(info.duration * info.frame_rate)
            others = [speaker.face for speaker in speakers]
            known = (face_landmarks, bboxes, face_detection_model)
            follower = follower_for(face, *known, frames, fill, others, family.layout)
            progress = FrameProgress(cls.hidden.unique_id, float(info.frame_rate))
            sync_file(family, reader, sound, result, follower, options, progress, said)
        return io.NodeOutput(host.video_from_file(result), ui=progress.ui())
