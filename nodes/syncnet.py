"""Measuring: is it in sync?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ..lipforcing.errors import InputError
from . import inputs, sockets
from .loaders import choices, model_file
from .node_api import io
from .progress import StepProgress, panel
from .tracked import open_reader
from .values import audio_of

FOLDER = "detection"
SYNCNET_URL = "https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model"
OUTPUT = "lipforcing_sync"  # key of the node's `ui` output that js/lipforcing.js draws


@dataclass(frozen=True)
class LoadedSyncNet:
    """A SyncNet whose memory the host manages.

    Attributes:
        network: lipforcing.syncnet.SyncNet in evaluation mode.
        patcher: has to be loaded before the network is used.
    """

    network: Any
    patcher: Any


class LipForcingSyncNetLoader(io.ComfyNode):
    """File -> LIPFORCING_SYNCNET."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingSyncNetLoader",
            display_name="Lip Forcing SyncNet Loader",
            category="lip forcing/loaders",
            description=(
                "Loads SyncNet, which measures whether a mouth fits the sound. Published figures are those of SyncNet "
                "v2; the tiny one that comes with the pack knows drawn faces only."
            ),
            search_aliases=["lse-c", "lse-d", "sync confidence"],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=choices(sockets.TINY, FOLDER),
                    default=sockets.TINY,
                    tooltip="File in models/detection: syncnet_v2.model, or the tiny one, which needs no file.",
                ),
            ],
            outputs=[sockets.SyncNet.Output("syncnet", tooltip="For Lip Forcing Sync Score.")],
        )

    @classmethod
    def execute(cls, model_name: str) -> io.NodeOutput:
        import torch

        from ..lipforcing.checkpoints import Kind, load_module
        from ..lipforcing.tiny import family
        from .host import patchers

        if model_name == sockets.TINY:
            network = family.load("syncnet")
        else:
            file = model_file(model_name, SYNCNET_URL, FOLDER)
            network, _ = load_module(file, Kind.SYNCNET, dtype=torch.float32)  # distances of half precision are coarse
        return io.NodeOutput(LoadedSyncNet(network, patchers.patcher_of(network)))


class LipForcingSyncScore(io.ComfyNode):
    """SyncNet, VIDEO or IMAGE, AUDIO -> confidence, distance, offset, plot, report."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingSyncScore",
            display_name="Lip Forcing Sync Score",
            category="lip forcing",
            description=(
                "Measures how well the mouth follows the sound: Sync-C (LSE-C, higher is better), Sync-D (LSE-D, lower "
                "is better) and the offset in frames. Where nothing can be said (silence, no face, too short, an input "
                "that cannot be used) it says so instead of a number and does not stop the run."
            ),
            search_aliases=["sync-c", "lse-c", "lse-d", "av offset", "lip sync error"],
            inputs=[
                sockets.SyncNet.Input("syncnet", tooltip="From Lip Forcing SyncNet Loader."),
                inputs.footage(),
                io.Audio.Input("audio", tooltip="The sound to compare with; it starts with the video."),
                io.Combo.Input(
                    "face",
                    options=["auto", "full"],
                    default="auto",
                    tooltip=(
                        "auto: find the faces and score the one that is seen longest. full: every frame is a face crop "
                        "already."
                    ),
                ),
                inputs.fps(optional=True),
            ],
            outputs=[
                io.Float.Output("confidence", tooltip="Sync-C (LSE-C); not a number (NaN) where nothing can be said."),
                io.Float.Output("distance", tooltip="Sync-D (LSE-D); not a number (NaN) where nothing can be said."),
                io.Int.Output("offset", tooltip="Frames of 40 ms by which the sound is ahead; 0 where unknown."),
                io.Image.Output("plot", tooltip="Distance over offset, and confidence over time."),
                io.String.Output("report", tooltip="Everything as JSON: verdict, problem, every face, curves."),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, syncnet: LoadedSyncNet, video, audio, face: str, fps: float = 25.0) -> io.NodeOutput:
        from ..lipforcing.syncnet.plot import plot_report
        from ..lipforcing.syncnet.report import SyncReport, Verdict
        from ..lipforcing.syncnet.video import VideoScore

        problem = None
        try:
            score = cls._score(syncnet, video, audio, face, fps)
            report = score.report
        except InputError as error:
            # An error would end the run, and the host may not have saved yet what was to be scored.
            score, report, problem = VideoScore(()), SyncReport.without_figures(Verdict.UNUSABLE), str(error)
        nan = float("nan")
        return io.NodeOutput(
            nan if report.confidence is None else report.confidence,
            nan if report.distance is None else report.distance,
            report.offset or 0,
            plot_report(report)[None].float() / 255,
            json.dumps({**score.to_dict(), "verdict": report.verdict and report.verdict.value, "problem": problem}),
            ui=panel(OUTPUT, {**widget_values(report), "problem": problem}),
        )

    @staticmethod
    def _score(syncnet: LoadedSyncNet, video, audio, face: str, fps: float):
        """The engine's `VideoScore` of a VIDEO or an IMAGE with `fps`."""
        from ..lipforcing.syncnet.video import clock_pictures, score_pictures
        from ..lipforcing.timeline import FPS
        from .host import patchers

        waveform = audio_of(audio).mono16k()
        patchers.load_together([syncnet.patcher])
        with open_reader(video, fps) as reader:
            passes = 2 if face == "auto" else 1
            progress = StepProgress(passes * round(reader.info.duration * FPS))

            def pictures():
                for picture in clock_pictures(reader):
                    progress.step()
                    yield picture

            return score_pictures(syncnet.network, pictures, waveform, face)


def widget_values(report) -> dict:
    """What the front end draws of a report; at most a few hundred points of the curve."""
    step = max(1, report.windows // 400)
    figures = report.padded
    return {
        "verdict": None if report.verdict is None else report.verdict.value,
        "confidence": report.confidence,
        "distance": report.distance,
        "offset": report.offset,
        "mean_distances": [] if figures is None else figures.to_dict()["distances"],
        "curve": report.curve[::step].tolist(),
        "seconds": report.seconds[::step].tolist(),
    }
