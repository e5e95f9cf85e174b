"""Records what Silero's own model finds, for the tests of ``lipforcing/audio/voice_activity.py``.

    pip install --no-deps silero-vad==6.2.3
    python -m tools.record_silero

writes ``tests/data/silero_vad.safetensors``: ``<sound>/probabilities`` [k] and ``<sound>/segments`` [n, 2], in samples,
of the sounds of ``tests/audio/sounds.py``.
"""

from __future__ import annotations

from pathlib import Path

import silero_vad
import torch
from safetensors.torch import save_file
from silero_vad.utils_vad import get_speech_timestamps_from_probs

from tests.audio.sounds import sounds

FILE = Path(__file__).parents[1] / "tests" / "data" / "silero_vad.safetensors"


def main() -> None:
    model = torch.jit.load(Path(silero_vad.__file__).parent / "data" / "silero_vad.jit")
    result = {}
    for name, samples in sounds():
        model.reset_states()
        chunks = torch.nn.functional.pad(samples, (0, -len(samples) % 512)).split(512)
        with torch.no_grad():
            probabilities = torch.cat([model(chunk, 16_000)[0] for chunk in chunks])
        found = get_speech_timestamps_from_probs(probabilities.tolist(), audio_length_samples=len(samples))
        result[f"{name}/probabilities"] = probabilities
        result[f"{name}/segments"] = torch.tensor([[one["start"], one["end"]] for one in found]).view(-1, 2)
    save_file(result, FILE, {"source": "silero-vad 6.2.3, tools/record_silero.py"})
    print(f"{FILE}: {len(result)} tensors, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
