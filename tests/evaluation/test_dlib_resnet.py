"""dlib's face network: its file, and its descriptors beside those of face-api itself."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.evaluation.dlib_resnet import MANIFEST, DlibResNet, load_face_api

PLAIN = "conv64_down.conv1.conv.weight"  # in float32, as in the published file; the rest has eight bits


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = DlibResNet().eval().requires_grad_(False)
    torch.nn.init.normal_(network.fc, std=0.05)
    return network


def write(network: DlibResNet, path: Path) -> Path:
    """The network in face-api's format; its weights become those of the file."""
    data, entries = b"", []
    for name, value in network.state_dict().items():
        stored = value.permute(2, 3, 1, 0) if value.ndim == 4 else value
        published = name.replace("conv.weight", "conv.filters")
        published = published.replace(".weights", ".scale.weights").replace(".biases", ".scale.biases")
        entry = {"name": published.replace(".", "/"), "shape": [*stored.shape], "dtype": "float32"}
        if name == PLAIN:
            data += stored.contiguous().numpy().tobytes()
        else:
            low, scale = float(stored.min()), max(float(stored.max() - stored.min()) / 255, 1e-9)
            levels = ((stored - low) / scale).round().to(torch.uint8)
            entry["quantization"] = {"dtype": "uint8", "scale": scale, "min": low}
            data += levels.contiguous().numpy().tobytes()
            read = (levels.double() * scale + low).float()
            value.copy_(read.permute(3, 2, 0, 1) if value.ndim == 4 else read)
        entries.append(entry)
    path.write_bytes(data)
    manifest = [{"paths": [path.name], "weights": entries}]
    path.with_name(path.stem + MANIFEST).write_text(json.dumps(manifest))
    return path


def test_a_file_is_read_as_it_was_written(network, tmp_path):
    loaded = load_face_api(write(network, tmp_path / "face.bin"))
    pictures = torch.rand(2, 3, 150, 150, generator=torch.Generator().manual_seed(1)) * 2 - 1
    expected = network(pictures)
    assert expected.shape == (2, 128) and expected.std() > 1e-3
    torch.testing.assert_close(loaded(pictures), expected, rtol=0, atol=0)


@pytest.mark.parametrize("broken", ["cut", "other names", "no manifest", "no list"])
def test_another_file_is_refused_in_one_sentence(network, tmp_path, broken):
    path = write(network, tmp_path / "face.bin")
    manifest = path.with_name(path.stem + MANIFEST)
    if broken == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif broken == "other names":
        manifest.write_text(manifest.read_text().replace("conv32_1", "conv32_9"))
    elif broken == "no list":
        manifest.write_text("{}")
    else:
        manifest.unlink()
    with pytest.raises(InputError, match=r"give face_recognition_model\.bin"):
        load_face_api(path)


def test_sizes_are_those_of_the_published_file():
    assert sum(math.prod(value.shape) for value in DlibResNet().state_dict().values()) == 5_614_592


def test_descriptors_are_those_of_face_api():
    """Version 1.7.15 with TensorFlow.js's CPU back end, ``computeFaceDescriptor`` of the same two pictures."""
    named = os.environ.get("LIPFORCING_FACE_API")
    if not named:
        pytest.skip("LIPFORCING_FACE_API names no face_recognition_model.bin (npm pack @vladmandic/face-api)")
    y, x = np.mgrid[0:150, 0:150]
    noise = np.random.default_rng(7).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    slopes = np.stack([(1.7 * x) % 256, (1.3 * y) % 256, (x + y) % 256], -1).astype(np.uint8)
    pictures = torch.from_numpy(np.stack([noise, slopes])).permute(0, 3, 1, 2).float() / 127.5 - 1
    recorded = torch.tensor(json.loads((Path(__file__).parent / "face_api.json").read_text()))
    torch.testing.assert_close(load_face_api(Path(named))(pictures), recorded, rtol=0, atol=2e-6)
