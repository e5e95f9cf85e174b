"""Nothing in a pickle is ever run."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import struct
import zipfile

import pytest
import torch

from lipforcing.checkpoints import pickles
from lipforcing.checkpoints.files import open_tensors
from lipforcing.checkpoints.pickles import Named, is_harmless, read_pickle
from lipforcing.checkpoints.storage import File
from lipforcing.errors import InputError


class Attack:
    """Pickles to a call of ``function``."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def attacks(marker):
    return {
        "os.system": Attack(os.system, f"touch {marker}"),
        "eval": Attack(eval, f"open({str(marker)!r}, 'w')"),
        "getattr": Attack(getattr, "x", "upper"),
        "torch.load": Attack(torch.load, str(marker)),
    }


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("which", ["os.system", "eval", "getattr", "torch.load"])
def test_code_in_checkpoints_does_not_run(tmp_path, zipped, which):
    marker = tmp_path / "was_run"
    path = tmp_path / "lipforcing_14b.pth"
    content = {"weight": torch.ones(3), "extra": attacks(marker)[which]}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match="asks to run"):
        open_tensors(path)
    path.write_bytes(path.read_bytes()[:-20])  # an incomplete download is looked into as well
    with pytest.raises(InputError, match="asks to run"):
        open_tensors(path)
    assert not marker.exists()


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_code_in_bare_and_distributed_pickles_does_not_run(tmp_path, protocol):
    marker = tmp_path / "was_run"
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "a.pt", tmp_path / "folder" / ".metadata"):
        path.write_bytes(pickle.dumps(attacks(marker)["os.system"], protocol))
    for path in (tmp_path / "a.pt", tmp_path / "folder"):
        with pytest.raises(InputError, match="asks to run" if protocol > 1 or path.is_dir() else "neither"):
            open_tensors(path)
    assert not marker.exists()


def test_harmless_names():
    for name in (
        "collections.OrderedDict",
        "torch.FloatStorage",
        "torch.bfloat16",
        "torch._utils._rebuild_tensor_v2",
        "torch.distributed.checkpoint.metadata.Metadata",
    ):
        assert is_harmless(name), name
    for name in (
        "posix.system",
        "builtins.eval",
        "torch.load",
        "torch.hub.load",
        "torch._utils.os.system",
        "os.torch",
        "torch.distributed.checkpoint.format_utils.dcp_to_torch_save",  # reads a pickle when it is called
    ):
        assert not is_harmless(name), name


@pytest.fixture
def read(tmp_path):
    """``read(data)`` gives what the first pickle in ``data`` holds, and the bytes behind it."""

    def first(data, **options):
        (tmp_path / "x.pth").touch()
        stream = io.BytesIO(data)
        return read_pickle(stream, File(tmp_path / "x.pth"), **options), stream.read()

    return first


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_come_back(read, protocol):
    shared = [1, 2]
    value = {"a": [1, 2.5, None, True], "b": shared, "c": shared, 3: "text", "d": -(2**40), "e": 2**70, "f": b"\xff"}
    if protocol == 2:
        value.pop("f")  # before protocol 3, bytes are a call
    found, rest = read(pickle.dumps(value, protocol) + b"rest")
    assert found == value and found["b"] is found["c"] and rest == b"rest"


@pytest.mark.parametrize("value", [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {1}, frozenset([1])])
def test_tuples_and_sets_come_back_as_lists(read, value):
    assert list(read(pickle.dumps(value, 4))[0]) == list(value)


def test_objects_are_named_not_made(read):
    found, _ = read(pickle.dumps({"dtype": torch.float32, "size": torch.Size([2, 3])}, 4))
    assert isinstance(found["dtype"], Named) and found["dtype"].name == "torch.float32" and found["size"] == [2, 3]
    found, _ = read(pickle.dumps(torch.device("cpu"), 2))
    assert isinstance(found, Named) and found.name == "torch.device"
    found, _ = read(pickle.dumps(torch.device("cpu"), 2), calls={"torch.device": lambda name: name.upper()})
    assert found == "CPU"


def test_python_2_ordered_dict_takes_its_items_as_argument(read):
    data = b"\x80\x02ccollections\nOrderedDict\nq\x01]q\x02]q\x03(U\x01aK\x01ea\x85Rq\x04."
    assert list(pickletools.genops(data))  # a valid program
    assert read(data)[0] == {"a": 1}


HOSTILE = {
    "memo index on an empty stack": b"\x80\x02r\xff\xff\xff\xff.",
    "memo index for which the unpickler in C takes 32 GB": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "petabyte of text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 50) + b"x.",
    "petabyte of bytes": b"\x80\x05\x96" + struct.pack("<Q", 1 << 50) + b"x.",
    "text behind the end": b"\x80\x04X\xff\xff\xff\xff.",
    "marks": b"\x80\x02" + b"(" * 100_000 + b".",
    "nested tuple": b"\x80\x02" + b")\x85" * 200_000 + b".",
    "nested tuple as a key, on which the unpickler in C crashes": b"\x80\x02})" + b"\x85" * 300_000 + b"K\x01s.",
    "call of a number": b"\x80\x02K\x01)R.",
    "new object of a number": b"\x80\x02K\x01)\x81.",
    "state of a number": b"\x80\x02K\x01}b.",
    "unfinished name": b"\x80\x02c",
    "call of nothing": b"\x80\x02R.",
    "nothing": b"\x80\x02.",
    "cut off": b"\x80",
    "empty": b"",
}


HARMLESS = ("memo index for which the unpickler in C takes 32 GB", "nested tuple", "state of a number")


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_pickles_end_in_a_message_or_a_value(read, case):
    try:
        read(HOSTILE[case])
        assert case in HARMLESS
    except InputError as error:
        assert str(error).startswith("x.pth ")


def test_steps_are_counted(read, monkeypatch):
    monkeypatch.setattr(pickles, "MAX_STEPS", 100)
    assert read(pickle.dumps([1] * 30, 2))[0] == [1] * 30
    with pytest.raises(InputError, match="more than 100 steps"):
        read(pickle.dumps([1] * 100, 2))


def test_exponential_sharing_is_bounded(tmp_path):
    # Thirty dicts, each holding the next one twice: a billion paths.
    body = b"}q\x00"
    for level in range(1, 31):
        body = b"}(U\x01a" + body + b"U\x01bh" + bytes([level - 1]) + b"uq" + bytes([level])
    path = tmp_path / "a.pt"
    torch.save({"w": torch.ones(1)}, path)
    replace_entry(path, "/data.pkl", b"\x80\x02" + body + b".")
    with pytest.raises(InputError, match=r"deeply nested|no tensors"):
        open_tensors(path)


def replace_entry(path, suffix, data):
    with zipfile.ZipFile(path) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries:
            archive.writestr(name, data if name.endswith(suffix) else content)
