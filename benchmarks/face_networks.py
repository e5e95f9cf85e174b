"""Time of the face networks and of voice activity per face, frame or chunk.

    python -m benchmarks.face_networks [--threads 1] [--device cpu]

The least CPU time of several runs (on other devices wall time), on noise: it does not depend on the values.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from lipforcing.audio.voice_activity import CHUNK, VoiceActivity, load_network
from lipforcing.faces.blazeface import BATCH, FaceDetector
from lipforcing.faces.face_mesh import FaceMesh, regions

from .common import hardware, table


def least(run: Callable[[], object], device: torch.device, repeats: int = 15) -> float:
    """Milliseconds of the fastest run after a first one."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    times = []
    for _ in range(repeats + 1):
        start = clock()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(clock() - start)
    return 1000 * min(times[1:])


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="default: 1")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="default: cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = arguments.device
    detector, mesh, listener = FaceDetector(device), FaceMesh(device), VoiceActivity(load_network(device))
    rois = torch.tensor([[960.0, 400.0, 700.0, 0.1]], device=device)
    runs: dict[str, Callable[[int], object]] = {}
    for name, network in zip(("short-range network", "full-range network"), detector.networks):
        side = network.input_size
        pictures = torch.rand(BATCH, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
        runs[name] = lambda count, network=network, pictures=pictures: network(pictures[:count])
    crops = torch.rand(BATCH, 3, 192, 192, device=device)
    runs["mesh network"] = lambda count: mesh.network(crops[:count])
    frames = torch.randint(0, 256, (BATCH, 1080, 1920, 3), dtype=torch.uint8, device=device)
    thumbnails = frames[:, ::10, ::10].contiguous()
    runs["detection in 1080p frames"] = lambda count: detector.detect(frames[:count])
    runs["detection in their thumbnails"] = lambda count: detector.detect(thumbnails[:count], (1080, 1920))
    runs["points of a face of 470 px in 1080p frames"] = lambda count: mesh.landmarks(
        *regions(frames[:count], rois.expand(count, -1)), rois.expand(count, -1)
    )
    sound = torch.rand(BATCH * CHUNK, device=device)
    runs["voice activity, chunk of 32 ms"] = lambda count: listener.push(sound[: count * CHUNK])
    print(f"{hardware()}; {device}, {arguments.threads} threads")
    rows = [
        [name, *(f"{least(lambda run=run, n=count: run(n), device) / count:.1f} ms" for count in (1, BATCH))]
        for name, run in runs.items()
    ]
    print(table(["", "one at a time", f"{BATCH} at a time, each"], rows))


if __name__ == "__main__":
    main()
