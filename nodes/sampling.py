"""Generating: conditioning for the teacher, schedule and causal sampler for the student."""

from __future__ import annotations

from ..lipforcing.errors import InputError
from . import host, inputs, sockets
from .conditioning import with_face
from .engine import check_speech, running_family
from .family import Parts
from .memory import MemoryWatch
from .needs import check_student
from .node_api import io
from .progress import FrameProgress, StepProgress
from .tracked import TrackedVideo, shown

PRESETS = ("two_step", "teacher_grid", "custom")
GRID_STEPS = 50
OTHER_CROP = "The face was cropped for another family of models; see crop of Lip Forcing Face Track."


class LipForcingConditioning(io.ComfyNode):
    """CONDITIONING, VAE, track, audio -> CONDITIONING, LATENT: what the teacher sees and hears."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingConditioning",
            display_name="Lip Forcing Conditioning",
            category="lip forcing",
            description=(
                "Gives the teacher its face and its speech: use it between prompts and KSampler, with the latent from "
                "here. The negative side hears silence. The teacher sees the whole clip at once, so memory and time "
                "grow with its length; it was trained on 81 frames (3.2 seconds)."
            ),
            search_aliases=["teacher conditioning", "omniavatar"],
            inputs=[
                io.Vae.Input("vae", tooltip="wan_2.1_vae, or Lip Forcing Tiny VAE for the tiny teacher."),
                sockets.Track.Input("track", tooltip="The followed face."),
                sockets.Audio.Input("audio_features", tooltip="The encoded speech."),
                inputs.positive("teacher"),
                io.Conditioning.Input(
                    "negative",
                    optional=True,
                    tooltip="Negative prompt: an empty text, encoded (zeros spoil the mouth). The tiny one takes none.",
                ),
            ],
            outputs=[
                io.Conditioning.Output("positive_out", display_name="positive", tooltip="Prompt, face and speech."),
                io.Conditioning.Output("negative_out", display_name="negative", tooltip="The same face in silence."),
                io.Latent.Output("latent", tooltip="Empty latent of the clip's size, for KSampler."),
            ],
        )

    @classmethod
    def execute(cls, vae, track: TrackedVideo, audio_features, positive=None, negative=None) -> io.NodeOutput:
        import torch

        from ..lipforcing.faces.mask import latent_mask
        from ..lipforcing.models.conditioning import planes
        from ..lipforcing.pipeline import clock_length
        from ..lipforcing.stream.stages import driving_latents
        from ..lipforcing.timeline import frames_for_latents, latents_for_frames
        from .host import codecs, patchers

        if track.speakers > 1:
            raise InputError(
                "The teacher makes one person's mouth and the track follows several; use the student, in Lip Forcing "
                "Causal Sampler or Lip Forcing Video to Video, or leave speakers of Lip Forcing Face Track open."
            )
        codec = codecs.codec_of(vae)
        patchers.load_together([codec.patcher])
        device = host.compute_device()
        progress, pieces = StepProgress(latents_for_frames(clock_length(track.plan))), []
        with track.frames() as frames, torch.inference_mode():
            crops = crops_of(frames, track, codec.crop_size, device)
            for piece in driving_latents(codec, crops):
                pieces.append(piece)
                progress.step(piece[0].shape[2])
        reference, masked = (torch.cat(parts, dim=2) for parts in zip(*pieces))
        edge = codec.crop_size // codec.spatial_factor
        mask = latent_mask(edge, edge).to(reference)[None, None, None]
        channels = host.intermediate(planes(reference[:, :, :1], mask, masked, reference))
        features = audio_features.rows(frames_for_latents(reference.shape[2]))[None].cpu()
        latent = {"samples": torch.zeros_like(channels[:, : codec.latent_channels])}
        return io.NodeOutput(
            with_face(positive, channels, features),
            with_face(negative, channels, torch.zeros_like(features)),
            latent,
        )


def crops_of(frames, track: TrackedVideo, size: int, device):
    """Aligned crops of a tracked video for the bidirectional teacher, uint8 [9 or 12, 3, size, size] at a time.

    The teacher knows no runs: the frames that show a face follow each other, and the last one fills its piece.
    """
    from ..lipforcing.stream.chunker import FIRST, LATER
    from ..lipforcing.stream.stages import crop_places

    waiting, length = [], FIRST
    for chunk in track.chunks(frames):
        for lane in chunk.lanes:
            waiting += lane.places[shown(chunk, lane)]
        while len(waiting) >= length:
            yield crop_places(waiting[:length], size, device)
            waiting, length = waiting[length:], LATER
    if waiting:
        yield crop_places(waiting + waiting[-1:] * (length - len(waiting)), size, device)


class LipForcingSchedule(io.ComfyNode):
    """-> SIGMAS: noise levels for the causal sampler, or for the teacher."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingSchedule",
            display_name="Lip Forcing Schedule",
            category="lip forcing",
            description=(
                "Noise levels (sigmas, 1 is pure noise): the published two steps for the student, the teacher's own "
                "grid for SamplerCustom, or a list of your own."
            ),
            search_aliases=["sigmas", "scheduler"],
            inputs=[
                io.Combo.Input(
                    "preset",
                    options=list(PRESETS),
                    default=PRESETS[0],
                    tooltip=(
                        "two_step: 0.999, 0.769, 0, read from the teacher's trajectory. teacher_grid: the steps of "
                        "the teacher, shifted by 5. custom: the list below."
                    ),
                ),
                io.Int.Input(
                    "steps",
                    default=GRID_STEPS,
                    min=1,
                    max=1000,
                    optional=True,
                    tooltip="Steps of teacher_grid, 1 to 1000.",
                ),
                io.String.Input(
                    "custom",
                    default="0.999, 0.769, 0",
                    optional=True,
                    tooltip="Sigmas for custom: decreasing numbers from at most 1 down to 0, separated by commas.",
                ),
            ],
            outputs=[io.Sigmas.Output("sigmas", tooltip="Decreasing noise levels, ending with 0.")],
        )

    @classmethod
    def execute(cls, preset: str, steps: int = GRID_STEPS, custom: str = "") -> io.NodeOutput:
        import torch

        from ..lipforcing.sampling.schedules import TWO_STEP, teacher_grid

        if preset == "teacher_grid":
            return io.NodeOutput(teacher_grid(steps).float())
        return io.NodeOutput(torch.tensor(TWO_STEP if preset == "two_step" else parse_sigmas(custom)))


def parse_sigmas(text: str) -> list[float]:
    """ "0.999, 0.769, 0" -> its numbers.

    Raises:
        InputError: not numbers, not decreasing, or not from at most 1 down to 0.
    """
    from ..lipforcing.sampling.schedules import check_schedule

    try:
        sigmas = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        sigmas = []
    return list(check_schedule(sigmas, f"custom is {text!r}"))


class LipForcingCausalSampler(io.ComfyNode):
    """MODEL, VAE, track, audio, CONDITIONING, SIGMAS, seed -> LATENT, IMAGE (faces)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingCausalSampler",
            display_name="Lip Forcing Causal Sampler",
            category="lip forcing",
            description=(
                "Re-renders the mouth chunk by chunk: three latent frames (12 video frames) at a time, two denoising "
                "steps each, no guidance, with a rolling key/value cache. Changing only the seed re-runs only this "
                "node and what follows. Faces of long videos fill memory; Lip Forcing Video to Video does not keep any."
            ),
            search_aliases=["two step sampler", "ar sampler", "ksampler"],
            inputs=[
                io.Model.Input("model", lazy=True, tooltip="The student."),
                io.Vae.Input("vae", lazy=True, tooltip="wan_2.1_vae, or Lip Forcing Tiny VAE for the tiny student."),
                sockets.Track.Input("track", lazy=True, tooltip="The followed face."),
                sockets.Audio.Input("audio_features", lazy=True, tooltip="The encoded speech."),
                inputs.seed(),
                inputs.decoder(),
                inputs.positive("student", lazy=True),
                inputs.sigmas(),
            ],
            outputs=[
                io.Latent.Output("latent", tooltip="The generated latent; after a cut in the video it starts anew."),
                io.Image.Output(
                    "faces",
                    tooltip="The generated faces, one per tick of the model's clock, for Lip Forcing Composite.",
                ),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            has_intermediate_output=True,
        )

    @classmethod
    def check_lazy_status(cls, **values) -> list[str]:
        check_student(cls.hidden.prompt, cls.hidden.unique_id)
        return [*values]

    @classmethod
    def execute(
        cls,
        model,
        vae,
        track: TrackedVideo,
        audio_features,
        seed: int,
        decoder=None,
        positive=None,
        sigmas=None,
    ) -> io.NodeOutput:
        import torch

        from ..lipforcing.media import ImagePicture
        from ..lipforcing.session import LipSyncSession
        from ..lipforcing.stream.voice import Voice
        from ..lipforcing.timeline import FPS, frame_at

        progress, memory = FrameProgress(cls.hidden.unique_id, FPS), MemoryWatch()
        count = frame_at((track.plan.frames - 1) / float(track.plan.frame_rate)) + 1
        latents, faces, done = [], [], 0

        def collect(chunk) -> None:
            nonlocal done
            for lane in chunk.lanes:
                latents.append(lane.latents.float().cpu())
                made = lane.faces[shown(chunk, lane)].permute(0, 2, 3, 1).add(1).div(2)
                faces.append(host.intermediate(made))
                done += len(made)
                progress(done, max(done, count), ImagePicture(made[-1].float().cpu()))

        parts = Parts(model, vae, decoder, positive=positive)
        with running_family(parts, sigmas) as family, track.frames() as frames:
            voices = []
            for said in track.spoken(audio_features):
                check_speech(said, family.student.config)
                voice = Voice(None, family.student, family.text, manner=said.manner, rest=said.rest)
                voice.push_activity(said.active)
                with torch.inference_mode():
                    voice.push_rows(said.features)
                voice.finish_rows()
                voices.append(voice)
            options = {"seed": seed, "paste": False, "write": collect, "overlapped": True, "streams": False}
            options["check"] = host.check_cancelled
            with LipSyncSession(family, track.follower(), voices, **options) as session:
                for frame in frames:
                    session.push_frame(frame)
                session.finish()
            note = "" if track.layout in (None, family.layout) else OTHER_CROP
            ui = progress.ui(memory, family.student, note)
        return io.NodeOutput(host.latent_value(torch.cat(latents, dim=2)), torch.cat(faces), ui=ui)
