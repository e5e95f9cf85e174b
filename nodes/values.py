"""Between the values on the host's sockets and those of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lipforcing.errors import InputError
from . import host

if TYPE_CHECKING:
    from ..lipforcing.faces.follow import Follower
    from ..lipforcing.media import Audio

DETECTOR_FILE = "yunet_final.pth"
DETECTOR_URL = "https://github.com/kornia/data/raw/main/yunet_final.pth"


def audio_of(audio: dict | None) -> Audio:
    """AUDIO -> the engine's: waveform [1, channels, samples] of a dict -> [channels, samples].

    Raises:
        InputError: None (the host's answer for a video without sound), several recordings at once, no samples.
    """
    from ..lipforcing.media import Audio

    if audio is None:
        raise InputError("The audio input is empty: its source has no sound; connect a recording of speech.")
    waveform = audio["waveform"]
    if waveform.shape[0] != 1:
        raise InputError(f"The audio input holds {waveform.shape[0]} recordings at once; connect a single one.")
    return Audio(waveform[0].float().cpu(), round(audio["sample_rate"]))  # other packs give it as 44100.0


def detector_file() -> str:
    """Path of the face detector's weights.

    Raises:
        InputError: they are not in the host's model folders; names file, address and folder.
    """
    path = host.model_path("detection", DETECTOR_FILE)
    if path is None:
        raise InputError(
            f"Finding the face needs the detector file {DETECTOR_FILE}: download it from {DETECTOR_URL} into "
            f"{host.model_folder('detection')}, or set face to 'full' if the video is a face crop already."
        )
    return path


def follower_of(face: str) -> Follower:
    """What finds the face in a video: "auto" follows the largest, "center" the one nearest the middle of the picture,
    "full" takes every frame as a face crop.

    Raises:
        InputError: the detector's weights are missing or another file's.
    """
    from ..lipforcing.faces.follow import DetectingFollower, FixedFollower

    if face == "full":
        return FixedFollower()
    from ..lipforcing.faces.yunet import YuNetDetector

    detector = YuNetDetector(detector_file(), device=host.compute_device())
    return DetectingFollower(detector, ["largest" if face == "auto" else face])
