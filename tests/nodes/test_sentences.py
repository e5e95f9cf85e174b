"""The Chinese of js/sentences.js knows what the server says: patterns are held to sentences that the pack makes."""

from __future__ import annotations

import importlib
import re
from fractions import Fraction
from pathlib import Path

import pytest

from lipforcing.media import DurationPolicy
from lipforcing.pipeline import Passed, SyncResult

from .stand_in import LOADED_AS, PACK, load_pack

SOURCE = (PACK / "js" / "sentences.js").read_text(encoding="utf-8")
PATTERNS = [re.compile(pattern, re.DOTALL) for pattern in re.findall(r"^  \[/(\^.+?\$)/s?, ", SOURCE, re.MULTILINE)]
REASONS = ("no face", "turned away", "mouth hidden", "pause", "face outside the picture")


def pack(name: str):
    load_pack()
    return importlib.import_module(f"{LOADED_AS}.nodes.{name}")


def known(text: str) -> bool:
    """As js/sentences.js looks for it: as a whole, or sentence by sentence."""
    sentences = re.split(r"(?<=\.) (?=[A-Z\d])", text)
    return any(map(lambda one: one.match(text), PATTERNS)) or all(
        any(pattern.match(sentence) for pattern in PATTERNS) for sentence in sentences
    )


@pytest.mark.parametrize("damaged", [0, 1, 2])
@pytest.mark.parametrize("passed", [0, 1, 7])
def test_what_a_run_reports(damaged, passed):
    plan = DurationPolicy().plan(2.0, Fraction(25), 3.0, 75)
    ranges = tuple(Passed(n, n + 0.5, 12, REASONS[n % 5]) for n in range(passed))
    notes = ("3 samples of a. wav became silence, being no numbers.",)
    done = SyncResult(Path("o.mp4"), plan, 50, ranges, 2.0, 0, damaged, notes, 4.0, 0.5, {})
    assert known(done.description), done.description


def test_reasons_are_those_of_the_engine():
    said = re.search(r"const REASONS = \{(.+?)\}", SOURCE, re.DOTALL)[1]
    assert re.findall(r'^  "?([a-z ]+?)"?: ', said, re.MULTILINE) == [*REASONS]
    follower = (PACK / "lipforcing" / "faces" / "follow.py").read_text(encoding="utf-8")
    assert {*re.findall(r'return "([a-z ]+)"', follower)} <= {*REASONS}


def test_the_errors_met_most_often():
    errors = importlib.import_module(f"{load_pack().__name__}.lipforcing.errors")
    said = [pack("tracked").NO_FACE, pack("sampling").OTHER_CROP]
    with pytest.raises(errors.InputError) as empty:
        pack("values").audio_of(None)
    said.append(str(empty.value))
    loaders = pack("loaders")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loaders.host, "model_path", lambda *_: None)
        patch.setattr(loaders.host, "model_folder", lambda _: "/models/diffusion_models")
        with pytest.raises(errors.InputError) as missing:
            loaders.model_file("lipforcing_14b.pth", loaders.STUDENT_URL)
        said.append(str(missing.value))
    assert [sentence for sentence in said if not known(sentence)] == []
    assert not known("Something else went wrong.")
