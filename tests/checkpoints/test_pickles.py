"""Nothing in a pickle is ever run."""

from __future__ import annotations

import os
import pickle
import pickletools
import struct
import zipfile

import pytest
import torch

from lipforcing.checkpoints.files import open_tensors
from lipforcing.checkpoints.pickles import Global, Instance, is_harmless, read_pickle
from lipforcing.errors import InputError


class Attack:
    """Pickles to a call of ``function``."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def attacks(marker):
    command = f"touch {marker}"
    return {
        "os.system": Attack(os.system, command),
        "eval": Attack(eval, f"open({str(marker)!r}, 'w')"),
        "exec": Attack(exec, f"open({str(marker)!r}, 'w')"),
        "open": Attack(open, str(marker), "w"),
        "getattr": Attack(getattr, "x", "upper"),
        "torch.load": Attack(torch.load, str(marker)),
        "import": Attack(__import__, "antigravity"),
    }


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("which", ["os.system", "eval", "exec", "open", "getattr", "torch.load", "import"])
def test_code_in_checkpoints_does_not_run(tmp_path, zipped, which):
    marker = tmp_path / "was_run"
    path = tmp_path / "lipforcing_14b.pth"
    content = {"weight": torch.ones(3), "extra": attacks(marker)[which]}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match="asks to run"):
        open_tensors(path)
    assert not marker.exists()


def test_code_in_bare_and_distributed_pickles_does_not_run(tmp_path):
    marker = tmp_path / "was_run"
    (tmp_path / "a.pt").write_bytes(pickle.dumps(attacks(marker)["os.system"]))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / ".metadata").write_bytes(pickle.dumps(attacks(marker)["os.system"], protocol=4))
    for path in (tmp_path / "a.pt", tmp_path / "folder"):
        with pytest.raises(InputError, match="asks to run"):
            open_tensors(path)
    assert not marker.exists()


@pytest.mark.parametrize("protocol", [0, 1])
def test_text_protocols_are_refused_without_running(tmp_path, protocol):
    marker = tmp_path / "was_run"
    data = pickle.dumps(attacks(marker)["os.system"], protocol)
    with pytest.raises(InputError):
        read_pickle(data, "a.pth")
    (tmp_path / "a.pth").write_bytes(data)
    with pytest.raises(InputError):
        open_tensors(tmp_path / "a.pth")
    assert not marker.exists()


def test_harmless_names():
    for name in ("collections.OrderedDict", "torch.FloatStorage", "torch.bfloat16", "torch._utils._rebuild_tensor_v2"):
        assert is_harmless(name)
    for name in ("posix.system", "builtins.eval", "torch.load", "torch.hub.load", "torch._utils.os.system", "os.torch"):
        assert not is_harmless(name), name


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_come_back(protocol):
    shared = [1, 2]
    value = {"a": (1, 2.5, None, True), "b": shared, "c": shared, 3: "text", "d": -(2**40), "e": 2**70}
    read, taken = read_pickle(pickle.dumps(value, protocol) + b"rest", "x")
    assert read == value and taken == len(pickle.dumps(value, protocol))


def test_objects_are_described_not_made():
    data = pickle.dumps({"dtype": torch.float32, "size": torch.Size([2, 3])}, 4)
    read, _ = read_pickle(data, "x")
    assert read == {"dtype": Global("torch.float32"), "size": (2, 3)}
    read, _ = read_pickle(pickle.dumps(torch.device("cpu"), 2), "x")
    assert isinstance(read, Instance) and read.type == "torch.device" and read.args == ("cpu",)


def test_python_2_ordered_dict_takes_its_items_as_argument():
    data = b"\x80\x02ccollections\nOrderedDict\nq\x01]q\x02]q\x03(U\x01aK\x01ea\x85Rq\x04."
    assert list(pickletools.genops(data))  # a valid program
    assert read_pickle(data, "x")[0] == {"a": 1}


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02r\xff\xff\xff\xff.",  # memo index of four billion, on an empty stack
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # the C unpickler allocates 32 GB for this one
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 50) + b"x.",  # bytes of a petabyte
        b"\x80\x04X\xff\xff\xff\xff.",
        b"\x80\x02" + b"(" * 100_000 + b".",
        b"\x80\x02" + b")\x85" * 200_000 + b".",
        b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"K\x01s.",  # a deeply nested tuple as a key
        b"\x80\x02c",
        b"\x80\x02R.",
        b"\x80\x02.",
        b"\x80",
        b"",
    ],
)
def test_hostile_pickles_end_in_a_message_or_a_value(data):
    try:
        read_pickle(data, "x")
    except InputError as error:
        assert "x" in str(error)


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
