"""Records what MediaPipe itself finds, for the parity tests of the face networks.

    python3.11 -m venv VENV; VENV/bin/pip install mediapipe==0.10.21 "numpy<2" safetensors av
    VENV/bin/python tools/record_mediapipe.py drawn
    VENV/bin/python tools/record_mediapipe.py clips --clips FOLDER

``drawn`` writes ``tests/data/mediapipe_drawn.safetensors``: seeded noise and frames of the drawn samples. ``clips``
writes ``tests/data/mediapipe_clips.safetensors``: frames of recordings that are not part of this project.

Everything runs on MediaPipe's own graphs. The pictures come from ``tests/faces/pictures.py``, in integer arithmetic.

Keys: ``<picture>/short`` and ``/full``, the network's raw outputs for the picture's middle at 128 or 192 pixels, one
after the other in the order of the file, every ``pictures.THIN``-th value; ``/mesh``, the same for the square around
the face at ``/square`` (x, y, step); ``/detections_short`` and ``/detections_full``, [N, 17], score, box and keypoints
in pixels of the whole picture; ``/points``, [478, 3] in pixels of the whole picture, of recordings every
``pictures.THIN_POINTS``-th.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import mediapipe as mp
import numpy as np
from mediapipe.python._framework_bindings import calculator_graph, resource_util
from safetensors.numpy import save_file

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.faces import pictures  # noqa: E402

GRAPH = """
input_stream: "picture"
node {{
  calculator: "ToImageCalculator" input_stream: "IMAGE:picture" output_stream: "IMAGE:image"
}}
node {{
  calculator: "TfLiteCustomOpResolverCalculator" output_side_packet: "OP_RESOLVER:resolver"
}}
node {{
  calculator: "ImageToTensorCalculator" input_stream: "IMAGE:image" output_stream: "TENSORS:input"
  options {{ [mediapipe.ImageToTensorCalculatorOptions.ext] {{
    output_tensor_width: {side} output_tensor_height: {side} output_tensor_float_range {{ min: {low} max: 1 }}
  }} }}
}}
node {{
  calculator: "InferenceCalculatorCpu" input_stream: "TENSORS:input" output_stream: "TENSORS:outputs"
  input_side_packet: "OP_RESOLVER:resolver"
  options {{ [mediapipe.InferenceCalculatorOptions.ext] {{
    model_path: "mediapipe/modules/{model}.tflite" delegate {{ xnnpack {{}} }}
  }} }}
}}
"""
SPLIT = """
node {{
  calculator: "SplitTensorVectorCalculator" input_stream: "outputs" {streams}
  options {{ [mediapipe.SplitVectorCalculatorOptions.ext] {{ {ranges} }} }}
}}
"""
FLOATS = """
node {{
  calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:output{i}" output_stream: "FLOATS:floats{i}"
}}
"""


def network(model: str, side: int, low: int, outputs: int) -> Callable[[np.ndarray], np.ndarray]:
    """A TFLite file of the wheel as a function of uint8 [side, side, 3]: its outputs one after the other."""
    text = GRAPH.format(model=model, side=side, low=low)
    text += SPLIT.format(
        streams=" ".join(f'output_stream: "output{i}"' for i in range(outputs)),
        ranges=" ".join(f"ranges {{ begin: {i} end: {i + 1} }}" for i in range(outputs)),
    )
    text += "".join(FLOATS.format(i=i) for i in range(outputs))
    graph = calculator_graph.CalculatorGraph(graph_config=text)
    found: dict[str, list[float]] = {}
    for i in range(outputs):
        graph.observe_output_stream(
            f"floats{i}", lambda name, packet: found.update({name: mp.packet_getter.get_float_list(packet)})
        )
    graph.start_run()
    moments = iter(range(1 << 30))

    def run(picture: np.ndarray) -> np.ndarray:
        frame = mp.packet_creator.create_image_frame(
            data=np.ascontiguousarray(picture), image_format=mp.ImageFormat.SRGB
        )
        graph.add_packet_to_input_stream("picture", frame.at(next(moments)))
        graph.wait_until_idle()
        return np.concatenate([found[f"floats{i}"] for i in range(outputs)]).astype(np.float32)

    return run


def detections(solution, picture: np.ndarray) -> np.ndarray:
    """[N, 17] of MediaPipe's detection solution."""
    size = np.array([picture.shape[1], picture.shape[0]])
    rows = []
    for found in solution.process(picture).detections or []:
        data = found.location_data
        box = data.relative_bounding_box
        corner = np.array([box.xmin, box.ymin])
        points = [corner, corner + [box.width, box.height], *([point.x, point.y] for point in data.relative_keypoints)]
        rows.append([found.score[0], *(np.array(points) * size).ravel()])
    return np.array(rows, np.float32).reshape(-1, 17)


def points(solution, picture: np.ndarray) -> np.ndarray:
    """[478, 3] of the first face that MediaPipe's mesh solution finds."""
    height, width = picture.shape[:2]
    (face,) = solution.process(picture).multi_face_landmarks
    return np.array([(one.x, one.y, one.z) for one in face.landmark], np.float32) * np.float32([width, height, width])


def record(named: Iterable[tuple[str, np.ndarray]], every: int) -> dict[str, np.ndarray]:
    """All keys of the file; of the points of whole pictures every ``every``-th."""
    resource_util.set_resource_dir(str(Path(mp.__file__).parents[1]))
    short = network("face_detection/face_detection_short_range", 128, -1, 2)
    full = network("face_detection/face_detection_full_range_sparse", 192, -1, 2)
    mesh = network("face_landmark/face_landmark_with_attention", 192, 0, 7)
    find_near = mp.solutions.face_detection.FaceDetection(0.5, model_selection=0)
    find_far = mp.solutions.face_detection.FaceDetection(0.6, model_selection=1)
    find_points = mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True)
    result = {}
    for name, picture in named:
        found = {"short": short(pictures.middle(picture, 128)), "full": full(pictures.middle(picture, 192))}
        if name.startswith("noise"):
            found["mesh"] = mesh(picture)
        else:
            near = detections(find_near, picture)
            place = pictures.around(picture, near[0, 1:5], 192)
            found["mesh"] = mesh(pictures.square(picture, *place, 192))
            result[f"{name}/square"] = np.array(place, np.int32)
            result[f"{name}/detections_short"] = near
            result[f"{name}/detections_full"] = detections(find_far, picture)
            result[f"{name}/points"] = points(find_points, picture)[::every].copy()
        for kind, values in found.items():
            result[f"{name}/{kind}"] = values[:: pictures.THIN[kind]].copy()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["drawn", "clips"])
    parser.add_argument("--clips", type=Path, help="folder of the recordings")
    arguments = parser.parse_args()
    if arguments.what == "drawn":
        found = record([*pictures.noise(), *pictures.drawn()], 1)
    else:
        found = record(pictures.recorded(arguments.clips), pictures.THIN_POINTS)
    path = ROOT / "tests" / "data" / f"mediapipe_{arguments.what}.safetensors"
    save_file(found, path, {"source": "mediapipe 0.10.21, tools/record_mediapipe.py"})
    print(f"{path}: {len(found)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
