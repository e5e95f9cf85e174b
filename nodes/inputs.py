"""Inputs that several nodes have: one definition, so that they mean and say the same everywhere."""

from __future__ import annotations

from . import sockets
from .node_api import io


def footage() -> io.MultiType.Input:
    """Where pictures come from: VIDEO or IMAGE, see `fps`."""
    return io.MultiType.Input(
        "video", [io.Video, io.Image], tooltip="The video, or a batch of images at the rate given by fps."
    )


def fps(**options) -> io.Float.Input:
    """Rate of an image batch."""
    tooltip = "Frames per second of an image batch, 1 to 240. A video knows its own."
    return io.Float.Input("fps", default=25.0, min=1.0, max=240.0, step=0.01, tooltip=tooltip, **options)


def face() -> io.Combo.Input:
    """Which face."""
    return io.Combo.Input(
        "face",
        options=["auto", "center", "full"],
        default="auto",
        tooltip=(
            "auto: find the largest face and follow it. center: the one nearest the middle of the picture. full: every "
            "frame is a face crop already. Of connected face_landmarks or bboxes it says which face."
        ),
    )


def length() -> io.Combo.Input:
    """What decides how long the result is."""
    return io.Combo.Input(
        "length",
        options=["audio", "video", "silence"],
        default="audio",
        optional=True,
        tooltip=(
            "How long the result is. audio: as long as the audio, a longer video is cut, a shorter one filled. video: "
            "every frame of the video, longer audio is cut, shorter audio ends in silence. silence: as long as the "
            "longer of them, shorter audio ends in silence, a shorter video is filled."
        ),
    )


def fill() -> io.Combo.Input:
    """What makes up for missing video."""
    return io.Combo.Input(
        "fill",
        options=["pingpong", "loop", "hold"],
        default="pingpong",
        optional=True,
        advanced=True,
        tooltip=(
            "What fills the time when the audio is longer than the video. pingpong: play back and forth. loop: repeat "
            "from the start. hold: keep the last frame."
        ),
    )


def known_faces() -> list:
    """Faces found by other nodes, and the model that finds them frame by frame: three inputs."""
    known = [
        sockets.FaceLandmarks.Input(
            "face_landmarks",
            optional=True,
            advanced=True,
            tooltip=(
                "Landmarks of the host's Detect Face Landmarks (MediaPipe) for every frame of this video, in place of "
                "those that the pack finds itself."
            ),
        ),
        io.BoundingBox.Input(
            "bboxes",
            optional=True,
            force_input=True,
            tooltip="Face boxes, one list per frame, or a single box for a face that stays where it is.",
        ),
        sockets.FaceDetectionModel.Input(
            "face_detection_model",
            optional=True,
            advanced=True,
            tooltip=(
                "MediaPipe's face mesh (Load Face Detection Model): finds the face frame by frame, in place of the "
                "detector that comes with the pack."
            ),
        ),
    ]
    known[1].advanced = True  # the host's class does not take it as an argument
    return known


def speakers(what: str) -> io.Custom.Input:
    """Further people who speak; `what` is done with them."""
    tooltip = f"Further people who speak (Lip Forcing Speaker): {what}."
    return sockets.Speakers.Input("speakers", optional=True, advanced=True, tooltip=tooltip)


def weight_dtype() -> io.Combo.Input:
    """How a loader keeps weights."""
    return io.Combo.Input(
        "weight_dtype",
        options=["default", "fp8_e4m3fn", "bf16", "fp16", "fp32"],
        default="default",
        advanced=True,
        tooltip=(
            "Type in which the weights are kept. default: the host decides by file and device. fp8_e4m3fn halves the "
            "memory of bf16 at some loss; a file made by Lip Forcing Convert in fp8_e4m3fn loses less."
        ),
    )


def part(name: str, tooltip: str) -> io.Float.Input:
    """Where a part of a clip begins, or how long it is, in seconds; 0 leaves it whole."""
    limits = {"default": 0.0, "min": 0.0, "max": 36000.0, "step": 0.04}
    return io.Float.Input(name, **limits, optional=True, advanced=True, tooltip=tooltip)


def seed() -> io.Int.Input:
    """Of the noise."""
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=0xFFFFFFFFFFFFFFFF,
        control_after_generate=True,
        tooltip="Seed of the noise, 0 to 18446744073709551615. The same seed gives the same frames.",
    )


def decoder(**options) -> io.Vae.Input:
    """A faster VAE."""
    tooltip = "Another VAE to decode with, such as taew2_1, which is many times faster. Open: vae."
    return io.Vae.Input("decoder", optional=True, lazy=True, tooltip=tooltip, **options)


def positive(who: str, **options) -> io.Conditioning.Input:
    """The prompt; `who` is student or teacher."""
    tooltip = f'Prompt from Wan\'s text encoder: "a person talking". The tiny {who} takes none.'
    return io.Conditioning.Input("positive", optional=True, tooltip=tooltip, **options)


def sigmas(**options) -> io.Sigmas.Input:
    """The schedule."""
    tooltip = "Noise levels. Open: those the student was made for."
    return io.Sigmas.Input("sigmas", optional=True, tooltip=tooltip, **options)


def pauses() -> io.Combo.Input:
    """What the mouth does while nobody speaks."""
    return io.Combo.Input(
        "pauses",
        options=["model", "rest", "source"],
        default="model",
        optional=True,
        advanced=True,
        tooltip=(
            "What the mouth does while nobody speaks. model: what the student makes of the sound, breath and noise "
            "included. rest: what it makes of silence. source: the mouth of the video itself, faded in and out."
        ),
    )


def lip_strength() -> io.Float.Input:
    """How strongly speech moves the mouth."""
    return io.Float.Input(
        "lip_strength",
        default=1.0,
        min=0.0,
        max=1.5,
        step=0.05,
        optional=True,
        advanced=True,
        tooltip="How strongly the speech moves the mouth, 0 to 1.5: 0 is a mouth at rest, 1 is as trained.",
    )


def window_seconds() -> io.Float.Input:
    """How far wav2vec2's attention sees."""
    return io.Float.Input(
        "window_seconds",
        default=0.0,
        min=0.0,
        max=600.0,
        step=1.0,
        optional=True,
        advanced=True,
        tooltip=(
            "How much audio wav2vec2's attention sees at once, 0 to 600 seconds; 0 is all, as the models were trained. "
            "Time grows with the square of it, so for recordings of many minutes choose 30 or more; this changes the "
            "features (see the help page)."
        ),
    )
