"""Whole folders: pairs, problems, figures, and what they are printed as."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.evaluation import METRICS, Options, evaluate
from lipforcing.evaluation.run import _sync_values
from lipforcing.faces.landmarks import Face
from lipforcing.media import VideoWriter
from lipforcing.syncnet import SyncNet, SyncNetConfig, Verdict
from lipforcing.syncnet.report import report

from .clips import clip
from .drawn import pictures, speech, write

pytest.importorskip("skimage")

SMALL = SyncNetConfig(64, (2, 3, 4, 5, 6, 7), (3, 4, 5, 6, 7, 8), 9, aligned=True)


@pytest.fixture(scope="module")
def options() -> Options:
    torch.manual_seed(1)
    second = SyncNet(replace(SMALL, sound="logmel")).eval()
    return Options(SyncNet(SMALL).eval(), "full", second=second)


def test_equal_videos(tmp_path, options):
    for folder in ("a", "b"):
        clip(tmp_path / folder / "one.mkv", frames=45)
    (tmp_path / "a" / "one.json").write_text('{"fps": 11, "first_frame_seconds": 0.1}')
    speed = tmp_path / "a" / next(path.name for path in (tmp_path / "a").glob("one.*") if path.suffix != ".json")
    speed.with_name(f"{speed.name}.report.json").write_text('{"fps": 31.5, "first_frame_seconds": 0.5}')
    told = []
    result = evaluate(tmp_path / "a", tmp_path / "b", options, lambda *progress: told.append(progress))
    values = result.clips["one"]
    assert values["ssim_face"] == values["ssim_mouth"] == values["ssim_outside"] == pytest.approx(1)
    assert values["psnr_mouth"] == values["psnr_outside"] == 100 and values["fps"] == 31.5
    assert values["sync_c"] == values["sync_c_reference"] and values["sync_d"] == values["sync_d_reference"]
    assert values["sync_c_second"] > 0 and values["sync_d_second"] not in (0, values["sync_d"])
    assert (values["sharpness"], values["flicker"], values["seam"], values["outside_changed"]) == (1, 0, 0, 0)
    assert result.not_measured["lpips_mouth"] == "needs --lpips-weights FILE" and "fid" in result.not_measured
    assert told == [(0, 1, "one")] and set(values) <= {metric.key for metric in METRICS}
    assert json.loads(json.dumps(result.to_dict()))["metrics"]["psnr_mouth"]["n"] == 1


def test_what_cannot_be_compared_is_listed(tmp_path, options):
    a, b = tmp_path / "a", tmp_path / "b"
    for name in ("good", "short", "small", "mute", "broken"):
        clip(b / f"{name}.mkv")
    clip(a / "good.mkv", seed=1)
    clip(a / "short.mkv", frames=8)
    clip(a / "small.mkv", size=(24, 20))
    clip(a / "mute.mkv", sound=False)
    (a / "broken.mkv").write_text("no video")
    (a / "good.json").write_text("no json")
    clip(a / "lonely.mkv")
    clip(b / "missing.mkv")
    clip(b / "good.mp4")
    (a / "notes.txt").write_text("not a video")
    result = evaluate(a, b, options)
    assert sorted(result.clips) == ["good", "mute", "short", "small"]
    said = "\n".join(result.problems)
    for words in (
        "no reference of this name: lonely.mkv",
        "no result of this name: missing.mkv",
        "short: 8 frames against 12",
        "small: the result is 20x24, the reference 40x48",
        "mute.mkv: nothing is compared with its sound",
        "broken: ",
        "good.json: not of the form",
        "good: no sync figures: too few frames",
        "good.mp4: left out beside good.mkv",
    ):
        assert words in said, words
    assert "sync_c" in result.not_measured and "notes" not in said
    assert result.clips["good"]["psnr_mouth"] < 20


def test_lips_are_measured_where_they_are_seen(tmp_path, options):
    mouth, waveform = speech(1, 30, 14)
    for folder, track in (("a", mouth), ("b", mouth), ("c", mouth[[0]].expand(44, -1))):
        write(tmp_path / folder / "talk.mkv", pictures(track), waveform)
    write(tmp_path / "b" / "more.mkv", pictures(mouth)[:2])
    write(tmp_path / "a" / "more.mkv", pictures(mouth)[:2])
    (tmp_path / "said").mkdir()
    (tmp_path / "said" / "talk.json").write_text('[["m", 0.0, 0.04], ["a", 0.04, 1.2]]')
    told = replace(options, phonemes=tmp_path / "said")
    result = evaluate(tmp_path / "a", tmp_path / "b", told)
    values = result.clips["talk"]
    assert values["opening"] == pytest.approx(1) and values["opening_lag"] == 0 and values["silence_closed"] == 1
    assert values["closure_recall"] in (0, 1) and "closure_f1" in values
    assert any(problem.startswith("more: ") and "has no phonemes of it" in problem for problem in result.problems)
    still = evaluate(tmp_path / "c", tmp_path / "b", options)
    assert still.clips["talk"]["opening"] < 0.5 and still.not_measured["closure_f1"] == "needs --phonemes DIR"


def test_nothing_to_compare_is_an_error(tmp_path, options):
    clip(tmp_path / "a" / "one.mkv")
    clip(tmp_path / "b" / "other.mkv")
    with pytest.raises(InputError, match=r"no reference of this name: one\.mkv"):
        evaluate(tmp_path / "a", tmp_path / "b", options)
    with pytest.raises(InputError, match="is no folder"):
        evaluate(tmp_path / "a", tmp_path / "nowhere", options)


def test_an_offset_at_the_edge_counts_and_is_told():
    """Leaving out the clips that are worst in sync would flatter a system."""
    rows = torch.full((60, 31), 9.0)
    rows[:, 0] = 4.0
    problems: list[str] = []
    at_the_edge = report(rows, torch.arange(70 * 640).remainder(7).mul(1000).to(torch.int16))
    values = _sync_values(at_the_edge, "", "x", problems)
    assert values["sync_c"] == 5 and values["offset"] == 15 and "edge" in problems[0]
    silent = report(rows, torch.zeros(70 * 640, dtype=torch.int16))
    assert _sync_values(silent, "", "x", problems) == {} and "silent" in problems[1]


def test_unclear_sync_counts():
    rows = torch.full((60, 31), 9.0)
    rows[:, 0] = 8.9
    unclear = report(rows, torch.arange(70 * 640).remainder(7).mul(1000).to(torch.int16), clear=7.0)
    assert unclear.verdict is Verdict.UNCLEAR and _sync_values(unclear, "", "x", [])["sync_c"] < 0.2


class Corner:
    """A detector that finds a face of 30 pixels in the corner whose pixel is black."""

    def __call__(self, picture, known=(), search=True):
        frame = picture.rgb()
        if frame[0, 0].max() == 0:
            return [Face(torch.tensor([0.0, 0, 110, 110]), 1.0, torch.zeros(5, 2), "yunet5")]
        if frame[-1, -1].max() == 0:
            return [Face(torch.tensor([50.0, 50, 160, 160]), 1.0, torch.zeros(5, 2), "yunet5")]
        return []


def test_both_videos_are_cropped_at_the_references_face(tmp_path, options):
    """The result's face lies elsewhere: at the reference's box the two differ, each at its own they agree."""
    generator = torch.Generator().manual_seed(0)
    face = torch.randint(1, 256, (110, 110, 3), generator=generator, dtype=torch.uint8)
    for folder, at in (("a", 50), ("b", 0)):
        (tmp_path / folder).mkdir()
        with VideoWriter(tmp_path / folder / "x.mkv", 160, 160, Fraction(25), lossless=True) as writer:
            for n in range(6):
                picture = torch.full((160, 160, 3), 90, dtype=torch.uint8)
                picture[at : at + 110, at : at + 110] = face
                picture[(0, 0) if at == 0 else (-1, -1)] = 0
                writer.write(picture, n / 25)
    found = replace(options, face="auto", detector=Corner())
    at_reference = evaluate(tmp_path / "a", tmp_path / "b", found).clips["x"]
    at_own = evaluate(tmp_path / "a", tmp_path / "b", replace(found, boxes="own")).clips["x"]
    assert at_own["ssim_mouth"] > 0.95 > 0.3 > at_reference["ssim_mouth"]


def test_no_face_is_a_problem_of_the_clip(tmp_path, options):
    clip(tmp_path / "a" / "x.mkv")
    clip(tmp_path / "b" / "x.mkv")
    with pytest.raises(InputError, match="no face was found in the reference"):
        evaluate(tmp_path / "a", tmp_path / "b", replace(options, face="auto", detector=Corner()))
