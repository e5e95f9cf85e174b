from __future__ import annotations

import hashlib
import json

import pytest
import torch

from lipforcing import __version__
from lipforcing.pipeline import SyncOptions
from lipforcing.report import Hashes, manifest
from lipforcing.tiny import family


def test_hashes_are_those_of_the_files_and_a_folder_is_all_in_it(tmp_path):
    (tmp_path / "shards").mkdir()
    contents = {"one.bin": b"1" * 5_000_000, "shards/a": b"a", "shards/b": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    hashes = Hashes({"student": tmp_path / "one.bin", "codec": str(tmp_path / "shards")})
    entries = hashes.entries()
    hashes.close()
    assert {role: (entry["file"], entry["bytes"], entry["sha256"]) for role, entry in entries.items()} == {
        "student": ("one.bin", 5_000_000, hashlib.sha256(contents["one.bin"]).hexdigest()),
        "codec/a": ("a", 1, hashlib.sha256(b"a").hexdigest()),
        "codec/b": ("b", 0, hashlib.sha256(b"").hexdigest()),
    }


def test_closing_does_not_wait_for_a_large_file(tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    Hashes({"student": tmp_path / "large"}).close()  # hashing it would take half an hour


def test_a_manifest_is_plain_and_says_what_a_run_needs():
    tiny, options = family.tiny_family(dtype=torch.bfloat16), SyncOptions(seed=7, lossless=True)
    entry = {"video": {"file": "a.mp4", "bytes": 1, "sha256": "0"}}
    said = json.loads(json.dumps(manifest(tiny, options, {}, entry)))
    assert (said["precision"], said["inputs"], said["weights"]) == ("bfloat16", entry, {})
    assert said["options"]["seed"] == 7 and said["options"]["lossless"] and said["options"]["manner"]["strength"] == 1
    assert said["software"]["lipforcing"] == __version__ and said["software"]["torch"] == torch.__version__
    assert said["attention"].endswith("_attention") and said["sigmas"] == pytest.approx([0.999, 0.769, 0], abs=1e-3)


def test_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    path, read = tmp_path / "a.bin", []
    compute = hashlib.sha256
    monkeypatch.setattr(hashlib, "sha256", lambda *given: read.append(1) or compute(*given))

    def entry() -> str:
        hashes = Hashes({"student": path})
        return hashes.entries()["student"]["sha256"]

    path.write_bytes(b"1")
    assert entry() == entry() == compute(b"1").hexdigest() and len(read) == 1
    path.write_bytes(b"22")
    assert entry() == compute(b"22").hexdigest() and len(read) == 2


def test_who_waits_for_hashes_is_told_how_far_they_are_and_can_leave(tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    told = []

    def leave(done, total):
        told.append((done, total))
        if done or len(told) > 50:
            raise KeyboardInterrupt

    hashes = Hashes({"student": tmp_path / "large"})
    with pytest.raises(KeyboardInterrupt):
        hashes.entries(leave)
    hashes.close()
    assert 0 < told[-1][0] < told[-1][1] == 1 << 40
