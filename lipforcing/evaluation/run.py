"""Evaluating a folder of results against a folder of references, clip by clip."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from ..errors import InputError
from ..faces.landmarks import LandmarkDetector
from ..faces.selection import FaceChoice
from ..media import AudioSource, ImagePicture, VideoReader
from ..syncnet import SyncNet, SyncReport, Verdict
from ..syncnet.tracks import SquareTrack, fixed_square
from ..syncnet.video import FaceScorer, clock_pictures, detector_of, find_faces
from .articulation import ArticulationMeasure
from .batches import Place, Shown, in_batches, side_by_side
from .fidelity import FidelityMeasure, outside_values
from .frechet import FidMeasure, FvdMeasure
from .identity import IdentityMeasure
from .lips import LipReader
from .metrics import METRICS
from .mouth import MouthMeasure, MouthPoints
from .pairs import Pair, find_pairs
from .perceptual import PerceptualMeasure
from .phonemes import SUFFIXES, Phoneme, read_phonemes
from .pixels import PixelMeasure
from .statistics import Summary, summarise

#: The option of the command line that a metric needs.
NEEDS = {
    "sync_c_second": "--model tiny, which has a second one beside it",
    "sync_d_second": "--model tiny, which has a second one beside it",
    "closure_f1": "--phonemes DIR",
    "closure_precision": "--phonemes DIR",
    "closure_recall": "--phonemes DIR",
    "closure_f1_reference": "--phonemes DIR",
    "lmd": "--landmarks FILE",
    "lmd_face": "--landmarks FILE",
    "lpips_mouth": "--lpips-weights FILE",
    "lpips_outside": "--lpips-weights FILE",
    "identity_face": "--identity-weights FILE",
    "identity_frame": "--identity-weights FILE",
    "fid": "--fid-weights FILE",
    "fvd": "--fvd-weights FILE",
    "fps": "the report of the run beside each result (sync --report)",
    "first_frame_seconds": "the report of the run beside each result (sync --report)",
}


@dataclass(frozen=True)
class Options:
    """What is measured, and where the faces are.

    Attributes:
        syncnet: in evaluation mode.
        face: "auto" (the face seen longest), "full" for footage that is a face crop, or the box of a still face.
        detector: finds faces, for "auto"; by default the package's own.
        boxes: whose faces place the crops of both videos: the reference's (pixels are compared with the pixels they
            replace), or each video's own (the field's older habit).
        lips: reads the gaps between lips; by default a new ``LipReader``.
        second: another SyncNet that scores the results as well.
        phonemes: folder of what is said in the clips, by their stems (``phonemes.read_phonemes``).
        mouth_points, lpips, identity, fid, fvd: what the metrics of these names need; None leaves them out.
    """

    syncnet: SyncNet
    face: FaceChoice = "auto"
    detector: LandmarkDetector | None = None
    boxes: Literal["reference", "own"] = "reference"
    lips: LipReader | None = None
    second: SyncNet | None = None
    phonemes: Path | None = None
    mouth_points: MouthPoints | None = None
    lpips: nn.Module | None = None
    identity: nn.Module | None = None
    fid: FidMeasure | None = None
    fvd: FvdMeasure | None = None


@dataclass(frozen=True)
class Evaluation:
    """Figures of a system.

    Attributes:
        clips: per clip, by stem, the value of every metric (``Metric.key``) that could be measured.
        whole: values of the metrics of whole sets.
        problems: what could not be compared, and what was measured under reservation, a sentence each.
    """

    clips: dict[str, dict[str, float]]
    whole: dict[str, float]
    problems: list[str]

    @property
    def summaries(self) -> dict[str, Summary]:
        """Statistics of every metric measured on at least one clip, in the order of the table."""
        columns = {m.key: [values[m.key] for values in self.clips.values() if m.key in values] for m in METRICS}
        return {key: summarise(values) for key, values in columns.items() if values}

    @property
    def not_measured(self) -> dict[str, str]:
        """Metrics without any value, and what they need."""
        measured = {*self.whole, *(key for values in self.clips.values() for key in values)}
        return {
            metric.key: f"needs {NEEDS[metric.key]}" if metric.key in NEEDS else "no clip allowed it (see problems)"
            for metric in METRICS
            if metric.key not in measured
        }

    def to_dict(self) -> dict:
        """Plain values for JSON: ``metrics`` (mean, median, low, high, n), ``whole``, ``not_measured``, ``problems``,
        ``clips``."""
        return {
            "metrics": {key: summary.to_dict() for key, summary in self.summaries.items()},
            "whole": self.whole,
            "not_measured": self.not_measured,
            "problems": self.problems,
            "clips": self.clips,
        }


def evaluate(
    results: Path, reference: Path, options: Options, progress: Callable[[int, int, str], None] | None = None
) -> Evaluation:
    """Compare the videos of two folders that have the same stems.

    Args:
        results, reference: folders.
        options: see ``Options``; ``fid`` and ``fvd`` are used up.
        progress: called with (pairs done, pairs in all, stem) before each pair.

    Raises:
        InputError: a folder is missing, or no pair could be evaluated.
    """
    pairs, problems = find_pairs(results, reference)
    clips: dict[str, dict[str, float]] = {}
    lips = options.lips or LipReader(next(options.syncnet.parameters()).device)
    for done, pair in enumerate(pairs):
        if progress is not None:
            progress(done, len(pairs), pair.stem)
        try:
            clips[pair.stem] = evaluate_pair(pair, options, lips, problems)
        except InputError as error:
            problems.append(f"{pair.stem}: {error}")
    if not clips:
        raise InputError(
            f"No video of {results} could be compared with one of {reference}"
            f" ({'; '.join(problems[:3]) or 'both are empty'}); results and references need the same names."
        )
    whole = {}
    for measure in (options.fid, options.fvd):
        whole |= measure.values() if measure is not None else {}
    return Evaluation(clips, whole, problems)


def evaluate_pair(pair: Pair, options: Options, lips: LipReader, problems: list[str]) -> dict[str, float]:
    """Values of all metrics of one clip; appends to ``problems`` what was left out.

    Raises:
        InputError: a file cannot be read, or shows no face.
    """
    with VideoReader(pair.result) as result, VideoReader(pair.reference) as reference:
        place = locate(reference, options, "the reference")
        own = place if options.boxes == "reference" else locate(result, options, "the result")
        sizes = [(video.info.width, video.info.height) for video in (result, reference)]
        if sizes[0] != sizes[1]:
            made, wanted = (f"{width}x{height}" for width, height in sizes)
            problems.append(f"{pair.stem}: the result is {made}, the reference {wanted}; it was resized to compare")
        sounds = [_sound(path, problems) for path in (pair.result, pair.reference)]
        scorers = _scorers(options, (own, place), sounds)
        counts: list[int] = []
        images = ((picture.rgb() for picture in clock_pictures(video)) for video in (result, reference))
        frames = side_by_side(*images, counts)
        measures = _measures(options, lips, sounds[0], phonemes_of(pair.stem, options.phonemes, problems))
        for batch in in_batches(_scored(frames, scorers), own, place):
            for measure in measures:
                measure.update(batch)
    if abs(counts[0] - counts[1]) > 1:
        problems.append(f"{pair.stem}: {counts[0]} frames against {counts[1]}; the shorter length was compared")
    values = _speed(pair.result, problems)
    for one in scorers:
        name = f"{pair.stem}{one.suffix.replace('_', ', ')}"
        values |= _sync_values(one.scorer.score().report, one.suffix, name, problems)
    for measure in measures:
        if not isinstance(measure, FidMeasure | FvdMeasure):
            values |= measure.values()
    if sizes[0] == sizes[1]:
        values |= outside_values(pair, place)
    return {metric.key: values[metric.key] for metric in METRICS if metric.key in values}


def locate(video: VideoReader, options: Options, name: str) -> Place:
    """The face of a video.

    Raises:
        InputError: there is none.
    """
    if options.face == "full":
        return Place(None, True)
    if options.face != "auto":
        return Place(SquareTrack(0, fixed_square(*options.face)[None]), True)
    tracks = find_faces(clock_pictures(video), options.detector or detector_of(options.syncnet)).tracks()
    if not tracks:
        raise InputError(f"no face was found in {name}; name its box, or say that the footage is a face crop (full)")
    return Place(max(tracks, key=lambda track: (len(track.squares), track.squares[:, 2].mean())), False)


def phonemes_of(stem: str, folder: Path | None, problems: list[str]) -> tuple[Phoneme, ...] | None:
    """What is said in a clip; None, and a problem, where the folder does not say it."""
    if folder is None:
        return None
    try:
        return read_phonemes(next(path for path in (folder / f"{stem}{s}" for s in SUFFIXES) if path.is_file()))
    except StopIteration:
        problems.append(f"{stem}: {folder} has no phonemes of it ({' or '.join(stem + s for s in SUFFIXES)})")
    except InputError as error:
        problems.append(f"{stem}: {error}")
    return None


def _measures(
    options: Options, lips: LipReader, waveform: torch.Tensor | None, phonemes: tuple[Phoneme, ...] | None
) -> list:
    measures = [PixelMeasure(), ArticulationMeasure(lips, waveform, phonemes), FidelityMeasure()]
    if options.mouth_points is not None:
        measures.append(MouthMeasure(options.mouth_points))
    if options.lpips is not None:
        measures.append(PerceptualMeasure(options.lpips))
    if options.identity is not None:
        measures.append(IdentityMeasure(options.identity))
    for whole in (options.fid, options.fvd):
        if whole is not None:
            whole.start_clip()
            measures.append(whole)
    return measures


def _sound(path: Path, problems: list[str]) -> torch.Tensor | None:
    """Mono sound [samples] of a video at 16 kHz; None, and a problem, where it has none."""
    try:
        return AudioSource(path).mono16k()
    except InputError as error:
        problems.append(f"{path.name}: nothing is compared with its sound: {error}")
        return None


@dataclass(frozen=True)
class _SideScorer:
    """A scorer of the result (0) or of the reference (1), and what its figures' names end in."""

    side: int
    suffix: str
    scorer: FaceScorer


def _scorers(options: Options, places: tuple[Place, Place], sounds: list[torch.Tensor | None]) -> list[_SideScorer]:
    """Of videos that have sound, each with its own."""
    models = [(0, "", options.syncnet), (1, "_reference", options.syncnet), (0, "_second", options.second)]
    return [
        _SideScorer(side, suffix, FaceScorer(model, places[side].track, places[side].still, sounds[side]))
        for side, suffix, model in models
        if model is not None and sounds[side] is not None
    ]


def _scored(frames: Iterator[Shown], scorers: list[_SideScorer]) -> Iterator[Shown]:
    """Pass frames on and show them to the scorers."""
    for shown in frames:
        for one in scorers:
            if not one.scorer.finished:
                one.scorer.show(shown.index, ImagePicture((shown.result, shown.reference)[one.side]))
        yield shown


def _sync_values(report: SyncReport, suffix: str, name: str, problems: list[str]) -> dict[str, float]:
    """Sync figures of a clip; the worst count, at the edge or unclear: to leave them out would flatter a system."""
    if report.verdict is Verdict.EDGE:
        problems.append(f"{name}: {report.verdict.value}; the figures count as the field counts them")
    elif report.confidence is None:
        problems.append(f"{name}: no sync figures: {report.verdict.value}")
        return {}
    padded = report.padded
    values = {f"sync_c{suffix}": padded.confidence, f"sync_d{suffix}": padded.distance}
    if suffix:
        return values
    return values | {"sync_c_overlap": report.overlap.confidence, "offset": float(abs(padded.offset))}


def _speed(result: Path, problems: list[str]) -> dict[str, float]:
    """``fps`` and ``first_frame_seconds`` of the run's report beside a result, or of a JSON file of its name."""
    beside = (result.with_name(f"{result.name}.report.json"), result.with_suffix(".json"))
    path = next((path for path in beside if path.is_file()), None)
    if path is None:
        return {}
    try:
        said = json.loads(path.read_text())
        return {key: float(said[key]) for key in ("fps", "first_frame_seconds") if key in said}
    except (ValueError, TypeError):
        problems.append(f'{path.name}: not of the form {{"fps": number, "first_frame_seconds": number}}')
        return {}
