"""Converts MediaPipe's face networks to the weight files of ``lipforcing/faces/weights``.

    pip install tflite==2.18.0
    pip download --no-deps mediapipe==0.10.21
    python -m tools.convert_mediapipe mediapipe-0.10.21-*.whl

The originals store their weights in half precision, so nothing is lost. The same wheel gives the same bytes.
"""

from __future__ import annotations

import argparse
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tflite
import torch
from safetensors.torch import save_file
from torch import nn

from lipforcing.faces.blazeface_networks import FullRange, ShortRange
from lipforcing.faces.face_mesh_network import AttentionMesh

MODULES = "mediapipe/modules"
FOLDER = Path(__file__).parents[1] / "lipforcing" / "faces" / "weights"


@dataclass(frozen=True)
class Operator:
    """A convolution or PReLU of a graph: its kind, the name of its weights; weights and, where there is one, bias."""

    kind: int
    name: str
    weights: list[np.ndarray]


class Graph:
    """The constants of a TFLite file with one subgraph whose weights are float16, dense or sparse."""

    def __init__(self, data: bytes) -> None:
        self.model = tflite.Model.GetRootAsModel(data, 0)
        self.graph = self.model.Subgraphs(0)
        self.operators = [self.graph.Operators(i) for i in range(self.graph.OperatorsLength())]
        self.producer = {int(op.Outputs(0)): op for op in self.operators}

    def learned(self) -> Iterator[Operator]:
        """Operators with weights, in the order of the file."""
        wanted = (
            tflite.BuiltinOperator.CONV_2D,
            tflite.BuiltinOperator.DEPTHWISE_CONV_2D,
            tflite.BuiltinOperator.PRELU,
        )
        for op in self.operators:
            kind = self._kind(op)
            if kind in wanted:
                inputs = [int(i) for i in op.InputsAsNumpy()[1:]]
                name = self.graph.Tensors(inputs[0]).Name().decode()
                yield Operator(kind, name, [self._constant(i) for i in inputs])

    def _kind(self, op: tflite.Operator) -> int:
        return self.model.OperatorCodes(op.OpcodeIndex()).BuiltinCode()

    def _constant(self, index: int) -> np.ndarray:
        """A constant behind the operators that widen and unpack it: float16."""
        while index in self.producer:
            index = int(self.producer[index].Inputs(0))
        tensor = self.graph.Tensors(index)
        values = self.model.Buffers(tensor.Buffer()).DataAsNumpy().view(np.float16)
        shape = tuple(int(n) for n in tensor.ShapeAsNumpy())
        return values.reshape(shape) if tensor.Sparsity() is None else _dense(values, shape, tensor.Sparsity())


def _dense(values: np.ndarray, shape: tuple[int, ...], sparsity: tflite.SparsityParameters) -> np.ndarray:
    """Unpacks weights [O, 1, 1, I] of which each row stores its non-zero columns only."""
    assert sparsity.TraversalOrderAsNumpy().tolist() == [0, 1, 2, 3] and shape[1:3] == (1, 1)
    columns = sparsity.DimMetadata(3)
    starts, positions = _indices(columns, "Segments"), _indices(columns, "Indices")
    result = np.zeros((shape[0], shape[3]), np.float16)
    result[np.repeat(np.arange(shape[0]), np.diff(starts)), positions] = values
    return result.reshape(shape)


def _indices(metadata: tflite.DimensionMetadata, which: str) -> np.ndarray:
    kind = getattr(metadata, f"Array{which}Type")()
    table = {
        tflite.SparseIndexVector.Int32Vector: tflite.Int32Vector,
        tflite.SparseIndexVector.Uint16Vector: tflite.Uint16Vector,
        tflite.SparseIndexVector.Uint8Vector: tflite.Uint8Vector,
    }[kind]()
    found = getattr(metadata, f"Array{which}")()
    table.Init(found.Bytes, found.Pos)
    return table.ValuesAsNumpy().astype(np.int64)


def fill(layer: nn.Module, operator: Operator) -> None:
    """Copy an operator's weights into the layer that stands for it."""
    weight = torch.from_numpy(operator.weights[0].copy())
    if operator.kind == tflite.BuiltinOperator.CONV_2D:  # O, H, W, I
        weight = weight.permute(0, 3, 1, 2)
    elif operator.kind == tflite.BuiltinOperator.DEPTHWISE_CONV_2D:  # 1, H, W, C
        weight = weight.permute(3, 0, 1, 2)
    else:
        weight = weight.flatten()
    values = [weight, *(torch.from_numpy(bias.copy()) for bias in operator.weights[1:])]
    for target, value in zip(layer.parameters(), values, strict=True):
        assert target.shape == value.shape, (operator.name, target.shape, value.shape)
        target.data.copy_(value)


def learned_layers(network: nn.Module) -> list[nn.Module]:
    """Layers with weights, in the order in which the network names them."""
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.PReLU)]


def short_range(graph: Graph) -> ShortRange:
    network = ShortRange()
    for layer, operator in zip(learned_layers(network), graph.learned(), strict=True):
        fill(layer, operator)
    return network


def full_range(graph: Graph) -> FullRange:
    """In the file a convolution beside the trunk comes directly behind the block that it reads."""
    network = FullRange()
    stages: list[nn.Module] = [network.stem]
    laterals = iter(network.lateral_convs)
    for number, block in enumerate(network.backbone):
        stages += [block, next(laterals)] if number in network.TAPS else [block]
    for narrow, level in zip((network.top_conv, *network.decoder_reduce_convs), network.decoder_levels):
        stages += [narrow, level]
    stages += [network.cls_conv, network.cls_dw, network.reg_conv, network.reg_dw]
    layers = [layer for stage in stages for layer in learned_layers(stage)]
    for layer, operator in zip(layers, graph.learned(), strict=True):
        fill(layer, operator)
    return network


def attention_mesh(graph: Graph) -> AttentionMesh:
    """The file interleaves the branches, but its names are numbered in the order in which they were built, branch by
    branch as here; only the last convolution of each head has a name of its own."""
    network = AttentionMesh()
    ends = {
        "output_mesh": network.mesh,
        "conv_faceflag": network.presence,
        "conv_lips": network.lips[1][-1],
        "conv_left_eye": network.left_eye.eye[-1],
        "conv_left_iris": network.left_eye.iris[-1],
        "conv_right_eye": network.right_eye.eye[-1],
        "conv_right_iris": network.right_eye.iris[-1],
    }
    operators = {operator.name.split("/")[-2]: operator for operator in graph.learned()}
    for name, layer in ends.items():
        fill(layer, operators.pop(name))
    numbered: dict[str, dict[int, Operator]] = {}
    for name, operator in operators.items():
        kind, number = re.fullmatch(r"(\w+?)(?:_(\d+))?", name).groups()
        numbered.setdefault(kind, {})[int(number or 0)] = operator
    queues = {kind: iter([found[number] for number in sorted(found)]) for kind, found in numbered.items()}
    for layer in learned_layers(network):
        if layer in ends.values():
            continue
        kind = "p_re_lu" if isinstance(layer, nn.PReLU) else "depthwise_conv2d" if layer.groups > 1 else "conv2d"
        fill(layer, next(queues[kind]))
    assert all(next(queue, None) is None for queue in queues.values())
    return network


FILES = {
    "blazeface_short": ("face_detection/face_detection_short_range.tflite", short_range),
    "blazeface_full": ("face_detection/face_detection_full_range_sparse.tflite", full_range),
    "attention_mesh": ("face_landmark/face_landmark_with_attention.tflite", attention_mesh),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="mediapipe 0.10.21 for any Python and system")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write (default: into the package)")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(arguments.wheel) as wheel:
        for name, (member, build) in FILES.items():
            network = build(Graph(wheel.read(f"{MODULES}/{member}")))
            tensors = {key: value.half().contiguous() for key, value in network.state_dict().items()}
            path = arguments.folder / f"{name}.safetensors"
            save_file(tensors, path, {"source": f"mediapipe 0.10.21, {member}, Apache-2.0"})
            print(f"{path}: {len(tensors)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
