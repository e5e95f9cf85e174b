"""The demonstration: a bundled clip is lip-synchronised to a speech it was not recorded with, and measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..faces.follow import FixedFollower
from ..media import AudioSource, VideoReader, VideoWriter, extended_frames
from ..output import check_new_file, new_file, writing
from ..pipeline import SyncOptions, SyncResult, sync_file
from ..timeline import FPS, SAMPLE_RATE
from . import family
from .measure import MouthFigures, measure, read_crops, small_crop

CLIP, SPEECH = "ada", "moon"


@dataclass(frozen=True)
class Demo:
    """Files and figures of a demonstration.

    Attributes:
        result: the run.
        side_by_side, plot: further files beside the result.
        before, after: figures of the clip and of the result, both against the new speech.
    """

    result: SyncResult
    side_by_side: Path
    plot: Path
    before: MouthFigures
    after: MouthFigures


def run_demo(
    out: Path, seed: int = 42, device: str = "cpu", progress: Callable[[int, int, Tensor], None] | None = None
) -> Demo:
    """Write ``result.mp4``, ``side_by_side.mp4`` (source | result) and ``mouth.png`` into the folder ``out``.

    Raises:
        InputError: they cannot be written.
    """
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    for name in ("result.mp4", "side_by_side.mp4", "mouth.png"):
        check_new_file(out / name)
    clip, speech = (str(family.SAMPLES / name) for name in (f"{CLIP}.mp4", f"{SPEECH}.wav"))
    wanted = torch.tensor(json.loads((family.SAMPLES / "tracks.json").read_text())[SPEECH])
    tiny = family.tiny_family(device)
    options = SyncOptions(seed=seed)
    with VideoReader(clip) as reader:
        speech_source = AudioSource(speech)
        result = sync_file(tiny, reader, speech_source, out / "result.mp4", FixedFollower(), options, progress)
        source = [frame.image for frame in extended_frames(reader, result.plan)]
    side_by_side = write_side_by_side(source, result, AudioSource(speech), out / "side_by_side.mp4")
    after = measure(read_crops(str(result.path)), speech, wanted)
    before = measure(torch.stack([small_crop(image) for image in source]), speech, wanted)
    plot = out / "mouth.png"
    plot_openings(plot, wanted, before, after, AudioSource(speech).mono16k())
    return Demo(result, side_by_side, plot, before, after)


def write_side_by_side(source: list[Tensor], result: SyncResult, speech: AudioSource, path: Path) -> Path:
    """Source and result next to each other, with the new audio."""
    with VideoReader(result.path) as reader:
        info = reader.info
        options = {"time_base": info.time_base, "colour": info.colour, "audio": speech}
        with VideoWriter(path, 2 * info.width, info.height, info.frame_rate, **options) as writer:
            for before, frame in zip(source, reader.frames()):
                writer.write(torch.cat((before, frame.image), dim=1), frame.time)
    return path


def plot_openings(path: Path, wanted: Tensor, before: MouthFigures, after: MouthFigures, waveform: Tensor) -> None:
    """Draw the audio, the mouth opening it calls for, and the openings before and after."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    seconds = torch.arange(len(wanted)) / FPS
    figure, (sound, mouth) = pyplot.subplots(2, sharex=True, figsize=(9, 4.6), height_ratios=(1, 3))
    sound.plot(torch.arange(len(waveform)) / SAMPLE_RATE, waveform, linewidth=0.3, color="0.4")
    sound.set(yticks=[], ylabel="speech")
    mouth.plot(seconds, wanted, color="0.6", linewidth=4, label="what the speech calls for")
    for figures, name, colour in ((before, "source", "tab:orange"), (after, "result", "tab:blue")):
        label = f"{name} (correlation {figures.correlation:.2f})"
        mouth.plot(torch.arange(len(figures.opening)) / FPS, figures.opening, color=colour, label=label)
    mouth.set(xlabel="seconds", ylabel="mouth opening", xlim=(0, seconds[-1]), ylim=(-0.05, 1.2))
    mouth.legend(loc="upper center", ncols=3, fontsize=8)
    figure.tight_layout()
    with new_file(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
    pyplot.close(figure)
