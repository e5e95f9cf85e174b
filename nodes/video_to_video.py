"""Lip-sync a whole video in one node, streamed from file to file."""

from __future__ import annotations

from ..lipforcing.errors import InputError, NoFaceError
from . import host, inputs, sockets
from .engine import running_family
from .family import Parts
from .graph import looked_at
from .memory import MemoryWatch
from .needs import check_student
from .node_api import io
from .origins import Origins
from .progress import FrameProgress
from .report import report_text
from .results import RESULTS
from .tracked import NO_FACE, Cancellable, check_boxes, follower_for, open_reader, refuse_parts
from .values import audio_of, part_of

CODECS = {"auto": ".mp4", "h264": ".mp4", "hevc": ".mp4", "prores": ".mov", "vp9": ".mkv", "ffv1": ".mkv"}
REPORT = 1  # output that gives the report
QUALITY = 16.0  # the engine's own choice


class LipForcingVideoToVideo(io.ComfyNode):
    """VIDEO + AUDIO -> VIDEO: the mouth re-rendered to the new speech, everything else left as it was."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingVideoToVideo",
            display_name="Lip Forcing Video to Video Lip Sync",
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
                sockets.Family.Input(
                    "family",
                    optional=True,
                    lazy=True,
                    tooltip=(
                        "All models in one wire, from Lip Forcing Family. What is connected to a single input replaces "
                        "the family's. Open: the tiny family that is built in."
                    ),
                ),
                inputs.speakers("audio and face are the first one's, and all that is said is mixed on the sound track"),
                io.Audio.Input(
                    "mix",
                    optional=True,
                    advanced=True,
                    tooltip="Another sound track for the result, such as a finished mix.",
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    lazy=True,
                    advanced=True,
                    tooltip="The student. Open: the tiny one that is built in.",
                ),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    lazy=True,
                    advanced=True,
                    tooltip="wan_2.1_vae for the released student. Open: the tiny codec.",
                ),
                inputs.decoder(advanced=True),
                io.AudioEncoder.Input(
                    "audio_encoder",
                    optional=True,
                    lazy=True,
                    advanced=True,
                    tooltip=(
                        "wav2vec2-base-960h for the released student. Open: the file of that content, whatever its "
                        "name; for the tiny student its own ear."
                    ),
                ),
                inputs.positive("student", lazy=True, advanced=True),
                inputs.sigmas(advanced=True),
                *inputs.known_faces(),
                inputs.window_seconds(),
                inputs.pauses(),
                inputs.lip_strength(),
                inputs.part(
                    "start_seconds", "Begin this far into the video, and as far into the speech, 0 to 36000 seconds."
                ),
                inputs.part(
                    "limit_seconds",
                    "Take only this much of both, to try things out: 0 to 36000 seconds; 0 is everything.",
                ),
                io.Combo.Input(
                    "video_codec",
                    options=[*CODECS],
                    default="auto",
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "auto: H.264, HEVC above 8 bits, ProRes or VP9 where the source is transparent. ffv1 is "
                        "lossless. prores gives a .mov, vp9 and ffv1 a .mkv; Save Video keeps them with format mkv."
                    ),
                ),
                io.Float.Input(
                    "quality",
                    default=QUALITY,
                    min=0.0,
                    max=51.0,
                    step=1.0,
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "Of lossy H.264, HEVC and VP9 on x264's scale (CRF), 0 to 51, lower is better; 16 is hardly to "
                        "be told from the source."
                    ),
                ),
                io.Boolean.Input(
                    "measure",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "Look through the result once more for the report: the mouth in pauses and silence, sharpness, "
                        "flicker, seam, and whether anything changed outside of the mouth. Takes 0.1 to 0.3 s per "
                        "frame on a CPU."
                    ),
                ),
            ],
            outputs=[
                io.Video.Output("synced_video", display_name="video", tooltip="The video with the new speech."),
                io.String.Output(
                    "run_report",
                    display_name="report",
                    tooltip=(
                        "What was done, with what, and where the time went, as JSON; with measure also how good it is."
                    ),
                ),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            has_intermediate_output=True,
        )

    @classmethod
    def fingerprint_inputs(cls, **values) -> int:
        return RESULTS.token(cls.hidden.unique_id, values)

    @classmethod
    def check_lazy_status(cls, **values) -> list[str]:
        check_student(cls.hidden.prompt, cls.hidden.unique_id)
        return [*values]

    @classmethod
    def execute(
        cls,
        video,
        audio,
        seed: int,
        face: str,
        length: str = "audio",
        fill: str = "pingpong",
        family: Parts | None = None,
        speakers=(),
        mix=None,
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
        start_seconds: float = 0.0,
        limit_seconds: float = 0.0,
        video_codec: str = "auto",
        quality: float = QUALITY,
        measure: bool = False,
    ) -> io.NodeOutput:
        from ..lipforcing.audio.manner import Manner
        from ..lipforcing.evaluation.quality import quality as measured
        from ..lipforcing.media import DurationPolicy, Mix
        from ..lipforcing.pipeline import SyncOptions, sync_file

        refuse_parts(cls.hidden.prompt, cls.hidden.unique_id)
        options = SyncOptions(
            seed,
            DurationPolicy(length, fill),
            quality=None if quality == QUALITY else quality,
            video_codec=video_codec,
            streams=False,  # the host's layers bring weights to the device in its own order, on its own stream
            manner=Manner(pauses, lip_strength),
            check=host.check_cancelled,
            audit=measure,
        )
        part = {"start": start_seconds, "limit": limit_seconds or None}
        said = [part_of(one, **part) for one in (audio_of(audio), *(speaker.audio for speaker in speakers))]
        sound = part_of(audio_of(mix), **part) if mix is not None else Mix(said) if speakers else said[0]
        parts = Parts(model, vae, decoder, audio_encoder, positive).or_those_of(family)
        memory, result = MemoryWatch(), RESULTS.new(cls.hidden.unique_id, "synced", CODECS[video_codec])
        graph, node = cls.hidden.prompt or {}, cls.hidden.unique_id
        with (
            open_reader(video, **part) as reader,
            running_family(parts, sigmas, window_seconds) as models,
            Origins(graph, node, models.student.info, looked_at(graph, node, REPORT)) as origins,
        ):
            info = reader.info
            check_boxes(bboxes, info.width, info.height)
            frames = info.frame_count or round(info.duration * info.frame_rate)
            others = [speaker.face for speaker in speakers]
            known = (face_landmarks, bboxes, face_detection_model)

            def follower():
                return Cancellable(follower_for(face, *known, frames, fill, others, models.layout))

            progress = FrameProgress(cls.hidden.unique_id, float(info.frame_rate))
            try:
                done = sync_file(models, reader, sound, result, follower(), options, progress, said)
            except NoFaceError:
                raise InputError(NO_FACE) from None
            figures = measured(result, reader, said[0], follower(), done.plan) if measure else None
            text = report_text(done, models, options, memory, figures, origins.entries())
            ui = progress.ui(memory, models.student, done.description)
        return io.NodeOutput(host.video_from_file(str(result)), text, ui=ui)
