"""Converts Silero's voice activity detector to ``lipforcing/audio/weights/silero_vad.safetensors``.

    pip download --no-deps silero-vad==6.2.3
    python -m tools.convert_silero silero_vad-6.2.3-*.whl

The weights are those of the wheel's TorchScript file; its safetensors file is another model. The same wheel gives the
same bytes.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from lipforcing.audio.voice_activity import WEIGHTS, SileroVAD

MEMBER = "silero_vad/data/silero_vad.jit"
NAMES = {
    "_model.encoder.0.reparam_conv": "conv1",
    "_model.encoder.1.reparam_conv": "conv2",
    "_model.encoder.2.reparam_conv": "conv3",
    "_model.encoder.3.reparam_conv": "conv4",
    "_model.decoder.rnn": "lstm_cell",
    "_model.decoder.decoder.2": "final_conv",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="silero-vad 6.2.3")
    parser.add_argument("--file", type=Path, default=WEIGHTS, help="what to write (default: into the package)")
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.wheel) as wheel:
        original = torch.jit.load(io.BytesIO(wheel.read(MEMBER)), map_location="cpu").state_dict()
    tensors = {}
    for key, value in original.items():
        module, _, name = key.rpartition(".")
        if module in NAMES:
            tensors[f"{NAMES[module]}.{name}"] = value.contiguous()
    SileroVAD().load_state_dict(tensors)  # strict: nothing is missing, nothing is too much
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, arguments.file, {"source": f"silero-vad 6.2.3, {MEMBER}, MIT"})
    print(f"{arguments.file}: {len(tensors)} tensors, {arguments.file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
