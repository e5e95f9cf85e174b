"""What guidance does along a teacher's trajectory."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from . import host
from .node_api import io

FEW = "every fifth"


class LipForcingTrajectoryAnalysis(io.ComfyNode):
    """Teacher MODEL -> plot IMAGE, table, suggestion."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingTrajectoryAnalysis",
            display_name="Lip Forcing Trajectory Analysis",
            category="lip forcing/research",
            description=(
                "Measures a teacher of the tiny family on drawn people, as the paper did its own: fidelity and sync "
                "along the denoising trajectory with and without guidance, of every two-step schedule, and where "
                "guidance pays. About a minute per clip; needs espeak-ng, which speaks the clips."
            ),
            search_aliases=["guidance", "two-step schedule", "denoising trajectory", "cfg analysis"],
            inputs=[
                io.Model.Input("teacher", tooltip="From Lip Forcing Teacher Loader: the tiny teacher, or one like it."),
                io.Int.Input(
                    "clips",
                    default=2,
                    min=1,
                    max=52,
                    tooltip="Drawn people, 1 to 52; from some eight on, the bands mean something.",
                ),
                io.Combo.Input(
                    "landing_steps",
                    options=[FEW, "all"],
                    default=FEW,
                    tooltip="Which of the 50 steps are measured; all take five times as long.",
                ),
            ],
            outputs=[
                io.Image.Output("plot", tooltip="Six panels in the layout of the paper's figure."),
                io.String.Output("table", tooltip="Means over clips with 95 % intervals, as CSV."),
                io.String.Output("suggestion", tooltip="Where to guide and where to land the second step, in words."),
            ],
        )

    @classmethod
    def execute(cls, teacher, clips: int, landing_steps: str) -> io.NodeOutput:
        import numpy as np
        import torch
        from PIL import Image

        from ..lipforcing.analysis import plot, results, run
        from ..lipforcing.analysis.clips import drawn_clip
        from .host import patchers

        plot.require_matplotlib()
        network = patchers.tiny_teacher(teacher)
        out = Path(host.temp_path("analysis", ""))
        out.mkdir()
        steps = run.EVERY_FIFTH if landing_steps == FEW else run.EVERY
        report = host.progress_bar()  # a cancel point
        makers = [partial(drawn_clip, number) for number in range(clips)]
        rows = run.analyse(network, makers, out, steps, lambda done, total: report(done, total, None))
        name = patchers.model_info(teacher).name
        found = results.write_results(rows, out, f"{name}, {clips} clip{'s' * (clips > 1)}")
        with Image.open(out / results.FIGURE) as picture:
            figure = torch.from_numpy(np.array(picture.convert("RGB")))
        return io.NodeOutput(figure[None].float() / 255, (out / results.SUMMARY).read_text(), results.in_words(found))
