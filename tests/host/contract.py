"""What the pack needs of a host, checked inside one: started by `test_contract.py` with the host's own Python.

    python contract.py HOST_FOLDER BASE_FOLDER PACK_FOLDER

loads the pack the way the host does, runs every `check_*` below and prints one JSON object: what loading cost and
touched, and for each check the empty string or the traceback of its failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import inspect
import io
import json
import os
import socket
import sys
import time
import traceback
import types
from pathlib import Path


def enter_host(folder: str, base: str) -> None:
    """Bring up the host's modules as its main.py does, without the server."""
    sys.path.insert(0, folder)
    os.chdir(folder)
    sys.argv = ["main.py", "--cpu", "--base-directory", base, "--disable-api-nodes"]
    import comfy.options

    comfy.options.enable_args_parsing()
    import folder_paths

    folder_paths.set_temp_directory(os.path.join(base, "temp"))
    # The order matters as in main.py: `nodes` puts a folder on the path whose utils.py hides the host's `utils`.
    for name in ("utils.extra_config", "comfy.utils", "server", "nodes", "comfy_config.config_parser"):
        importlib.import_module(name)


def state() -> dict:
    """What of the process and the host a pack could change by being loaded."""
    import comfy.model_management
    import comfy.utils
    import folder_paths

    modules = [comfy.model_management, comfy.utils, folder_paths, os, sys.modules["tempfile"]]
    return {
        "sys.path": list(sys.path),
        "environ": dict(os.environ),
        "folders": {key: list(value[0]) for key, value in folder_paths.folder_names_and_paths.items()},
        "temp": folder_paths.get_temp_directory(),
        "functions": {
            f"{module.__name__}.{name}": id(value)
            for module in modules
            for name, value in vars(module).items()
            if isinstance(value, types.FunctionType | type)
        },
    }


def load_pack(folder: str) -> dict:
    """Load the pack with the host's loader; returns seconds, the modules that came with it and what it changed."""
    import torch

    nodes = importlib.import_module("nodes")
    attempts: list[str] = []

    def refuse(self, address):
        attempts.append(str(address))
        raise OSError("no network while loading")

    before, modules, connect = state(), set(sys.modules), socket.socket.connect
    socket.socket.connect = refuse
    start = time.perf_counter()
    try:
        loaded = asyncio.run(nodes.load_custom_node(folder))
    finally:
        seconds = time.perf_counter() - start
        socket.socket.connect = connect
    after = state()
    return {
        "loaded": loaded,
        "seconds": seconds,
        "modules": sorted(set(sys.modules) - modules),
        "changed": [key for key in before if before[key] != after[key]],
        "network": attempts,
        "cuda": torch.cuda.is_initialized(),
        "nodes": sorted(name for name in nodes.NODE_CLASS_MAPPINGS if name.startswith("LipForcing")),
    }


def adapter():
    """The pack's `nodes/host` as the host loaded it."""
    return next(
        module for name, module in sys.modules.items() if name.endswith(".nodes.host") and hasattr(module, "temp_path")
    )


@contextlib.contextmanager
def cancelled():
    """The user has asked to stop; leaving it, the next prompt begins."""
    import comfy.model_management

    comfy.model_management.interrupt_current_processing(True)
    try:
        yield
    finally:
        comfy.model_management.interrupt_current_processing(False)


def write_clip(path: Path, frames: int = 10) -> str:
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for index in range(frames):
            picture = np.full((64, 64, 3), 20 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return str(path)


def count_frames(file) -> int:
    import av

    with av.open(file) as container:
        return sum(1 for _ in container.decode(video=0))


def check_video_source_of_a_file(host, folder: Path) -> None:
    from comfy_api.latest import InputImpl

    path = write_clip(folder / "clip.mp4")
    with host.video_source(InputImpl.VideoFromFile(path)) as source:
        assert source == host.VideoSource(path, 0.0, None), source
    assert os.path.exists(path), "the user's file was deleted"


def check_video_source_of_a_buffer(host, folder: Path) -> None:
    from comfy_api.latest import InputImpl

    buffer = io.BytesIO(Path(write_clip(folder / "clip.mp4")).read_bytes())
    with host.video_source(InputImpl.VideoFromFile(buffer)) as source:
        assert count_frames(source.file) == 10


def check_video_source_of_a_trimmed_file(host, folder: Path) -> None:
    from comfy_api.latest import InputImpl

    video = InputImpl.VideoFromFile(write_clip(folder / "clip.mp4"))
    with host.video_source(video.as_trimmed(0.08, 0.2, strict_duration=False)) as source:
        assert abs(source.start - 0.08) < 1e-9 and abs(source.duration - 0.2) < 1e-9, source
    with host.video_source(InputImpl.VideoFromFile(write_clip(folder / "clip.mp4"), start_time=-0.2)) as source:
        assert abs(source.start - 0.2) < 0.05 and source.duration is None, source


def check_video_source_of_frames_in_memory(host, folder: Path) -> None:
    from fractions import Fraction

    import torch
    from comfy_api.latest import InputImpl, Types

    parts = Types.VideoComponents(images=torch.rand(7, 64, 64, 3), audio=None, frame_rate=Fraction(25))
    with host.video_source(InputImpl.VideoFromComponents(parts)) as source:
        assert count_frames(source.file) == 7
        path = source.file
    assert not os.path.exists(path), "the temporary copy is still there"


def check_video_source_shows_pending_edits(host, folder: Path) -> None:
    from comfy_api.latest import InputImpl

    class Edited(InputImpl.VideoFromFile):
        def has_pending_frame_edits(self):
            return True

    path = write_clip(folder / "clip.mp4")
    with host.video_source(Edited(path)) as source:
        assert source.file != path and count_frames(source.file) == 10


def check_video_source_shows_a_crop_that_is_not_announced(host, folder: Path) -> None:
    """Hosts of about 0.35 crop a VideoFromFile and have no `has_pending_frame_edits`: a stand-in, not a real one."""
    from comfy_api.latest import InputImpl

    class Cropped(InputImpl.VideoFromFile):
        has_pending_frame_edits = property()  # missing, also where the host's class has it

        def as_cropped(self, x=0, y=0, width=0, height=0):
            return self

        def get_dimensions(self):
            return (32, 48)

    class Whole(Cropped):
        def get_dimensions(self):
            return InputImpl.VideoFromFile.get_dimensions(self)

    path = write_clip(folder / "clip.mp4")
    with host.video_source(Cropped(path)) as source:
        assert source.file != path and count_frames(source.file) == 10
    with host.video_source(Whole(path)) as source:
        assert source == host.VideoSource(path, 0.0, None), source


def check_video_source_of_joined_videos(host, folder: Path) -> None:
    """`VideoFromList` of hosts from about 0.38 is no `VideoFromFile`: a stand-in for it, not a real one."""
    from comfy_api.latest import Input, InputImpl

    class Joined(Input.Video):
        def __init__(self, videos):
            self.videos = videos

        def get_components(self):
            raise AssertionError("all frames were held in memory")

        def save_to(self, path, format="auto", codec="auto", metadata=None, bit_depth=None, crf=None, color_space=None):
            self.videos[0].save_to(path)

        def as_trimmed(self, *_, **__):
            raise NotImplementedError

    with host.video_source(Joined([InputImpl.VideoFromFile(write_clip(folder / "clip.mp4"))])) as source:
        assert count_frames(source.file) == 10
    assert not os.path.exists(source.file)


def check_takes_lists(host, folder: Path) -> None:
    import nodes

    nodes.NODE_CLASS_MAPPINGS["TakesLists"] = type("TakesLists", (), {"INPUT_IS_LIST": True})
    assert host.takes_lists("TakesLists") and not host.takes_lists("LoadImage") and not host.takes_lists("nothing")
    del nodes.NODE_CLASS_MAPPINGS["TakesLists"]


def check_sha256_and_cancelling(host, folder: Path) -> None:
    import hashlib

    import comfy.model_management

    (folder / "file").write_bytes(b"weights")
    assert host.sha256(str(folder / "file")) == hashlib.sha256(b"weights").hexdigest()
    host.check_cancelled()

    def in_a_layer_of_the_host() -> None:
        with host.still_cancelled():
            comfy.model_management.throw_exception_if_processing_interrupted()

    for asked in (host.check_cancelled, in_a_layer_of_the_host, lambda: host.sha256(str(folder / "file"))):
        with cancelled():
            for _thread in range(2):  # all of a run hear of it
                try:
                    asked()
                except comfy.model_management.InterruptProcessingException:
                    continue
                raise AssertionError("an interrupt did not reach the node")


def check_video_from_file(host, folder: Path) -> None:
    from comfy_api.latest import Input

    video = host.video_from_file(write_clip(folder / "clip.mp4"))
    assert isinstance(video, Input.Video) and video.get_dimensions() == (64, 64)
    video.save_to(str(folder / "saved.mp4"))
    assert count_frames(str(folder / "saved.mp4")) == 10


def check_temp_path(host, folder: Path) -> None:
    import folder_paths

    first, second = host.temp_path("video", ".mp4"), host.temp_path("video", ".mp4")
    assert first != second and Path(first).parent == Path(folder_paths.get_temp_directory())
    assert Path(first).parent.is_dir() and not os.path.exists(first)


def check_model_path_and_folder(host, folder: Path) -> None:
    place = Path(host.model_folder("detection"))
    assert place.name == "detection" and Path(host.model_folder("diffusion_models")).name == "diffusion_models"
    assert host.model_path("detection", "probe.pth") is None
    (place / "probe.pth").write_bytes(b"x")
    assert host.model_path("detection", "probe.pth") == str(place / "probe.pth")
    (place / "probe.pth").unlink()


def check_compute_device(host, folder: Path) -> None:
    import torch

    assert host.compute_device() == torch.device("cpu")


def check_progress_bar(host, folder: Path) -> None:
    import comfy.model_management
    import comfy.utils
    import torch

    seen = []
    comfy.utils.set_progress_bar_global_hook(lambda *args, node_id=None, **kw: seen.append(args))
    report = host.progress_bar()
    report(0, 10)
    report(5, 10, torch.full((4, 8, 3), 9, dtype=torch.uint8))
    (_, _, nothing), (done, total, (kind, picture, size)) = seen
    assert nothing is None and (done, total, kind, size) == (5, 10, "JPEG", 512), seen
    assert picture.size == (8, 4) and picture.getpixel((0, 0)) == (9, 9, 9)
    with cancelled():
        try:
            report(6, 10)
        except comfy.model_management.InterruptProcessingException:
            return
    raise AssertionError("an interrupt did not reach the node")


def check_model_names(host, folder: Path) -> None:
    place = Path(host.model_folder("detection"))
    (place / "listed.safetensors").write_bytes(b"x")
    assert "listed.safetensors" in host.model_names("detection")
    (place / "listed.safetensors").unlink()


def check_serve_help_pages(host, folder: Path) -> None:
    import nodes

    before = dict(nodes.EXTENSION_WEB_DIRS)
    for pack in ("whole-name", "of.version-1.2", "of@nightly"):
        host.serve_help_pages(pack, pack)
    added = {key: value for key, value in nodes.EXTENSION_WEB_DIRS.items() if before.get(key) != value}
    assert added == {"of/docs": "of@nightly"}, added


def check_blocked(host, folder: Path) -> None:
    assert host.blocked("turn it on").message == "turn it on"


def check_intermediate_and_latent_value(host, folder: Path) -> None:
    import comfy.latent_formats
    import torch

    assert host.intermediate(torch.ones(2, dtype=torch.float16)).dtype == torch.float32
    latents = torch.randn(1, 16, 3, 4, 4)
    samples = host.latent_value(latents)["samples"]
    assert torch.allclose(comfy.latent_formats.Wan21().process_in(samples), latents, atol=1e-5)


def check_send_event(host, folder: Path) -> None:
    from comfy_execution.utils import CurrentNodeContext
    from server import PromptServer

    PromptServer.instance = None
    host.send_event("lipforcing.test", {"node": "7"})
    sent = []
    PromptServer.instance = types.SimpleNamespace(send_sync=lambda *a: sent.append(a), client_id="me")
    host.send_event("lipforcing.test", {"node": "7"})
    with CurrentNodeContext("a prompt", "7"):
        host.send_event("lipforcing.test", {"node": "7"})
    assert sent == [
        ("lipforcing.test", {"node": "7"}, "me"),
        ("lipforcing.test", {"node": "7", "prompt_id": "a prompt"}, "me"),
    ], sent
    assert list(inspect.signature(PromptServer.send_sync).parameters) == ["self", "event", "data", "sid"]


def check_float8_files_of_ours_load_into_the_hosts_layers(host, folder: Path) -> None:
    """A layer of the converted tiny student, read by the host as it reads any file: same weight, same output."""
    import comfy.ops
    import comfy.utils
    import torch

    pack = adapter().__name__.removesuffix(".nodes.host")
    checkpoints = importlib.import_module(f"{pack}.lipforcing.checkpoints")
    family = importlib.import_module(f"{pack}.lipforcing.tiny.family")
    file = checkpoints.convert(family.weights_path("student"), folder / "student.safetensors", "fp8_e4m3fn")
    tensors, metadata = comfy.utils.load_torch_file(str(file), return_metadata=True)
    tensors, _ = comfy.utils.convert_old_quants(tensors, metadata=metadata)
    ours = checkpoints.open_checkpoint(file).weights
    for layer in ("blocks.0.self_attn.q", "blocks.5.cross_attn.o", "blocks.2.ffn.2"):
        state = {key[len(layer) + 1 :]: value for key, value in tensors.items() if key.startswith(f"{layer}.")}
        assert set(state) == {"weight", "weight_scale", "bias", "comfy_quant"}, state.keys()
        weight, bias = ours[f"{layer}.weight"].float(), ours[f"{layer}.bias"].float()
        operations = comfy.ops.mixed_precision_ops({}, torch.float32, full_precision_mm=True)
        linear = operations.Linear(weight.shape[1], weight.shape[0], dtype=torch.float32)
        linear.load_state_dict(state, strict=True)
        assert type(linear.weight).__name__ == "QuantizedTensor", type(linear.weight)
        # Ours is rounded to bfloat16.
        torch.testing.assert_close(linear.weight.dequantize().float(), weight, rtol=2**-8, atol=0)
        x = torch.randn(7, weight.shape[1])
        expected = torch.nn.functional.linear(x, weight, bias)
        assert (linear(x) - expected).abs().max() < 0.02 * expected.abs().max()


CHECKS = {name: value for name, value in globals().items() if name.startswith("check_")}


def main(host_folder: str, base: str, pack: str) -> None:
    import tempfile

    enter_host(host_folder, base)
    report = {"load": load_pack(pack), "checks": {}}
    sys.path.append(str(Path(__file__).parent))
    import contract_patchers
    import torch

    checks = {name: functools.partial(check, adapter()) for name, check in CHECKS.items()} | contract_patchers.CHECKS
    for name, check in checks.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                with torch.inference_mode():  # as the host runs its nodes
                    check(Path(folder))
                report["checks"][name] = ""
            except Exception:
                report["checks"][name] = traceback.format_exc()
    print("REPORT" + json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
