"""Which result belongs to which reference."""

from __future__ import annotations

import pytest

from lipforcing.errors import InputError
from lipforcing.evaluation.pairs import find_pairs


def fill(folder, *names):
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def test_files_of_one_stem_belong_together(tmp_path):
    made = fill(tmp_path / "a", "b.mp4", "a.MKV", "alone.mp4", "notes.txt", ".hidden.mp4")
    wanted = fill(tmp_path / "b", "a.mp4", "b.webm", "b.mp4", "other.mov")
    pairs, problems = find_pairs(made, wanted)
    assert [(pair.stem, pair.result.name, pair.reference.name) for pair in pairs] == [
        ("a", "a.MKV", "a.mp4"),
        ("b", "b.mp4", "b.mp4"),
    ]
    assert sorted(problems) == [
        f"b.webm: left out beside b.mp4 in {wanted}",
        "no reference of this name: alone.mp4",
        "no result of this name: other.mov",
    ]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere is no folder"):
        find_pairs(fill(tmp_path / "a", "a.mp4"), tmp_path / "nowhere")
