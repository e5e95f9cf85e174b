"""Makes the bundled samples: two driving clips with their own speech, and two unrelated recordings.

    python -m tools.make_samples FOLDER

Writes them into FOLDER, and the tests' speech, which no recipe trains on, as ``unseen_speech.safetensors``.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path

import torch
from safetensors.torch import save_file

from lipforcing.drawn.faces import Identity, render, sample_head
from lipforcing.drawn.speech import Utterance, speak, utterance
from lipforcing.drawn.visemes import viseme_track
from lipforcing.media import Audio, VideoWriter
from lipforcing.timeline import FPS, SAMPLE_RATE, samples_for_frames

PORTRAIT = (384, 288)  # height, width: the 420 x 560 crop at 0.69
CLIPS = {
    "ada": (
        9_000_005,
        "en-us+f2",
        155,
        "The little boat rolled slowly over the bright blue water, and nobody spoke a word.",
    ),
    "ben": (
        9_000_014,
        "en+m3",
        150,
        "Most people find their way back home before the heavy summer rain begins to fall.",
    ),
}
SPEECHES = {
    "market": ("en-us+f4", 150, "Fresh apples, warm bread, and a bowl of tomato soup: what more would anybody want?"),
    "moon": ("en+f1", 145, "We all saw the moon come up above the farm, five minutes before half past four."),
}
UNSEEN_SEED = 77_000_000
LEAD_IN = 0.2  # seconds of silence before and after the words


def spoken(text: str, voice: str, rate: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Waveform [samples] of whole video frames, and the mouth track [frames, 5] it calls for."""
    said: Utterance = speak(text, voice, rate)
    frames = int((said.waveform.numel() / SAMPLE_RATE + 2 * LEAD_IN) * FPS) + 1
    waveform = torch.zeros(samples_for_frames(frames))
    start = int(LEAD_IN * SAMPLE_RATE)
    waveform[start : start + said.waveform.numel()] = said.waveform
    phonemes = [(symbol, begin + LEAD_IN, end + LEAD_IN) for symbol, begin, end in said.phonemes]
    return waveform, viseme_track(phonemes, frames, waveform=waveform)


def make_samples(folder: Path) -> None:
    """Write clips (.mp4), recordings (.wav) and ``tracks.json``, the mouth opening that each speech calls for."""
    import wave

    folder.mkdir(parents=True, exist_ok=True)
    tracks = {}
    for name, (who, voice, rate, text) in CLIPS.items():
        waveform, mouth = spoken(text, voice, rate)
        frames = render(Identity.sample(who), mouth, sample_head(who, len(mouth)), PORTRAIT)
        audio = Audio(waveform[None], SAMPLE_RATE)
        with VideoWriter(folder / f"{name}.mp4", PORTRAIT[1], PORTRAIT[0], Fraction(FPS), audio=audio) as writer:
            for i, frame in enumerate(frames):
                writer.write(frame, i / FPS)
        tracks[name] = mouth
    for name, (voice, rate, text) in SPEECHES.items():
        waveform, tracks[name] = spoken(text, voice, rate)
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes((waveform * 32767).round().clamp(-32768, 32767).to(torch.int16).numpy().tobytes())
    openings = {name: [round(value, 3) for value in track[:, 0].tolist()] for name, track in tracks.items()}
    (folder / "tracks.json").write_text(json.dumps(openings))


def make_unseen_speech(path: Path, count: int = 8, frames: int = 93) -> None:
    """Write the tests' utterances, which no recipe trains on: int16 waveforms and mouth tracks as safetensors."""
    said = [utterance(UNSEEN_SEED + i, frames / FPS) for i in range(count)]
    waveforms, mouths = (torch.stack(parts) for parts in zip(*said))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"waveform": (waveforms * 32767).round().to(torch.int16), "mouth": mouths}, path)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    make_samples(folder)
    make_unseen_speech(folder / "unseen_speech.safetensors")


if __name__ == "__main__":
    main()
