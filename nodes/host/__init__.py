"""Everything of the host outside its public node API: `comfy.*`, `comfy_api` values, `folder_paths`, `server`.

Those modules change without notice, so the rest of the pack reaches them only through this package: values, folders and
feedback here, its MODEL in `patchers`, its VAE and AUDIO_ENCODER in `codecs`. They are imported when a function is
called, never when the pack loads. `tests/host/contract.py` and `contract_patchers.py` check every function inside a
real host.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import io
import os
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class VideoSource:
    """Where to read the frames of a VIDEO value.

    `file` is a path or a seekable buffer that PyAV opens; of it, the seconds from `start` on belong to the video, for
    `duration` seconds or, where that is None, to the end.
    """

    file: str | io.BytesIO
    start: float
    duration: float | None


@contextlib.contextmanager
def video_source(video: Any) -> Iterator[VideoSource]:
    """The file behind a VIDEO value, without decoding it.

    A video that exists only as frames in memory, or that carries edits which its file does not show yet (crop, resize;
    hosts from 0.35 on), is written once to a temporary file that is deleted on leaving.
    """
    if _is_file_backed(video):
        start, duration = video.get_active_trim_window()
        yield VideoSource(video.get_stream_source(), start, duration or None)
        return
    path = temp_path("source", ".mp4")
    # Nearly lossless where the host lets us choose: this is an input, encoded again after the lip sync.
    quality = {"crf": 4} if "crf" in inspect.signature(video.save_to).parameters else {}
    try:
        video.save_to(path, **quality)
        yield VideoSource(path, 0.0, None)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def _is_file_backed(video: Any) -> bool:
    from comfy_api.latest import InputImpl

    if not isinstance(video, InputImpl.VideoFromFile):
        return False
    if hasattr(video, "has_pending_frame_edits"):
        return not video.has_pending_frame_edits()
    # Some hosts crop without saying so: then the size is not that of the file.
    whole = InputImpl.VideoFromFile(video.get_stream_source())
    return not hasattr(video, "as_cropped") or video.get_dimensions() == whole.get_dimensions()


def video_from_file(path: str) -> Any:
    """A VIDEO value that refers to the file at `path`; nothing is read."""
    from comfy_api.latest import InputImpl

    return InputImpl.VideoFromFile(path)


def temp_path(stem: str, suffix: str) -> str:
    """A path for a new file in the host's temporary folder, which the host empties when it starts and ends."""
    import folder_paths

    folder = folder_paths.get_temp_directory()
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, f"lipforcing_{stem}_{uuid.uuid4().hex[:12]}{suffix}")


def model_path(category: str, name: str) -> str | None:
    """Path of the model file `name` in the host's model folders of `category`, None where it is in none of them."""
    import folder_paths

    return folder_paths.get_full_path(category, name)


def input_path(name: str) -> str | None:
    """Path of a file that a node of the host loads from its input folder by `name`; None where there is none."""
    import folder_paths

    path = folder_paths.get_annotated_filepath(name)
    return path if os.path.isfile(path) else None


def sha256(path: str) -> str:
    """Hash of a file in hexadecimal digits; a cancel point every few megabytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 24):
            digest.update(block)
            check_cancelled()
    return digest.hexdigest()


def model_names(category: str) -> list[str]:
    """Names of the files in the host's model folders of `category`, as its own loaders show them."""
    import folder_paths

    return folder_paths.get_filename_list(category)


def model_folder(category: str) -> str:
    """Where to tell the user to put a file: the host's model folder that is named like `category`, or the first of it.

    `diffusion_models` for example also has the folder `unet` of older hosts.
    """
    import folder_paths

    folders = folder_paths.get_folder_paths(category)
    return next((folder for folder in folders if os.path.basename(folder) == category), folders[0])


def serve_help_pages(pack: str, folder: str) -> None:
    """Have the host serve `folder` where the front end looks for the help pages of the nodes in the folder `pack`.

    That is `/extensions/<pack>/docs`, but of a name like `lip-forcing-1.2` or `lip-forcing@nightly` the front end takes
    only what stands before the dot or the @. Whole names are left to `WEB_DIRECTORY`.
    """
    import nodes

    asked = re.split("[.@]", pack)[0]
    if asked != pack:
        nodes.EXTENSION_WEB_DIRS[f"{asked}/docs"] = folder


def blocked(message: str) -> Any:
    """A value for an output that has none: whatever is connected to it does not run and shows `message`."""
    from comfy_execution.graph import ExecutionBlocker

    return ExecutionBlocker(message)


def takes_lists(class_type: str) -> bool:
    """Whether nodes of a class are given all parts of a list at once."""
    import nodes

    return bool(getattr(nodes.NODE_CLASS_MAPPINGS.get(class_type), "INPUT_IS_LIST", False))


def check_cancelled() -> None:
    """Raise the host's interrupt once the user has asked to stop.

    The host's own check also withdraws the request, so that only one thread of a run would hear of it; here it stands
    until the host withdraws it, when the next prompt begins.
    """
    import comfy.model_management as management

    if management.processing_interrupted():
        raise management.InterruptProcessingException


@contextlib.contextmanager
def still_cancelled() -> Iterator[None]:
    """What the host's layers hear of a request to stop does not withdraw it, see `check_cancelled`."""
    import comfy.model_management as management

    try:
        yield
    except management.InterruptProcessingException:
        management.interrupt_current_processing()
        raise


def compute_device() -> Any:
    """The torch.device on which the host runs its models."""
    import comfy.model_management

    return comfy.model_management.get_torch_device()


def progress_bar(preview_size: int = 512) -> Callable[[int, int, Any], None]:
    """A function `report(done, total, picture)` that moves the running node's progress bar.

    `picture`, uint8 [H, W, 3] RGB or None, is shown in the node at most `preview_size` pixels wide and high. Each call
    is a cancel point: it raises the host's interrupt exception once the user has asked to stop.
    """
    import comfy.utils
    from PIL import Image

    bar = comfy.utils.ProgressBar(1)

    def report(done: int, total: int, picture: Any = None) -> None:
        # The bar drops updates that come too quickly, and with them its own look at the interrupt flag.
        check_cancelled()
        preview = None if picture is None else ("JPEG", Image.fromarray(picture.cpu().numpy()), preview_size)
        bar.update_absolute(done, total, preview)

    return report


def send_event(name: str, data: dict) -> None:
    """Send the event `name` to the client that runs the prompt; without a server nothing happens.

    The prompt's id is added to `data` as the host's own events have it, so that clients can tell prompts apart.
    """
    from comfy_execution.utils import get_executing_context
    from server import PromptServer

    server, context = getattr(PromptServer, "instance", None), get_executing_context()
    if server is not None:
        prompt = {} if context is None else {"prompt_id": context.prompt_id}
        server.send_sync(name, {**data, **prompt}, server.client_id)


def intermediate(tensor: Any) -> Any:
    """A result where and in the type in which the host keeps them between nodes."""
    import comfy.model_management

    return tensor.to(comfy.model_management.intermediate_device()).float()


def latent_value(latents: Any) -> dict[str, Any]:
    """Normalised latents [1, 16, f, h, w] as the host's LATENT, which is not normalised."""
    import comfy.latent_formats

    return {"samples": intermediate(comfy.latent_formats.Wan21().process_out(latents.float().cpu()))}
