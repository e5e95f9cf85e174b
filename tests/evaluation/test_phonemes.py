"""Phoneme timings from files."""

from __future__ import annotations

import pytest

from lipforcing.errors import InputError
from lipforcing.evaluation.phonemes import is_bilabial, is_pause, read_phonemes

GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 0.9
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 0.9
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 0.9
            text = "map"
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 0.9
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.25
            text = "M"
        intervals [2]:
            xmin = 0.25
            xmax = 5e-1
            text = "AE1"
        intervals [3]:
            xmin = 0.5
            xmax = 0.9
            text = ""
"""


def test_a_text_grid_is_read_by_its_tier_of_phones(tmp_path):
    (tmp_path / "a.TextGrid").write_text(GRID, encoding="utf-8")
    assert read_phonemes(tmp_path / "a.TextGrid") == (("M", 0, 0.25), ("AE1", 0.25, 0.5), ("", 0.5, 0.9))


def test_a_list_is_read(tmp_path):
    (tmp_path / "a.json").write_text('[["m", 0, 0.1], ["æ", 0.1, 0.5]]', encoding="utf-8")
    assert read_phonemes(tmp_path / "a.json") == (("m", 0.0, 0.1), ("æ", 0.1, 0.5))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "[1, 2]"),
        ("a.json", "{"),
        ("a.json", '[["m", "soon", 1]]'),
        ("a.TextGrid", GRID.replace("phones", "tones")),
        ("a.json", None),
    ],
)
def test_anything_else_is_refused(tmp_path, name, text):
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="holds no phonemes; give a JSON list"):
        read_phonemes(tmp_path / name)


def test_bilabials_of_several_alphabets():
    assert all(map(is_bilabial, ("p", "b", "m", "P", "B", "M", "pʰ", "m̩", "\u02c8m", "p#", "b_<")))
    assert not any(map(is_bilabial, ("", "sil", "f", "v", "w", "_:", "AE1", "n", "EM")))
    assert all(map(is_pause, ("", "sil", "SP", "_:", "_"))) and not is_pause("s")
