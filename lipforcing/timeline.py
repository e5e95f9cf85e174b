"""All arithmetic between video frames, latent frames, chunks, audio samples and seconds.

The model runs on one clock: 25 video frames per second, 16 kHz audio. The video codec turns the first frame into one
latent frame and every later group of four frames into another; the student generates three latent frames at a time.

    chunk    0           1                    2
    latents  0  1  2     3  4  5              6 ...
    frames   0  1-4 5-8  9-12 13-16 17-20     21 ...      9 frames in the first chunk, 12 in every other
"""

from __future__ import annotations

FPS = 25
SAMPLE_RATE = 16_000
SAMPLES_PER_FRAME = SAMPLE_RATE // FPS
TEMPORAL_FACTOR = 4
CHUNK_LATENTS = 3


def latents_for_frames(frames: int) -> int:
    """Number of latent frames that a codec makes of ``frames`` video frames (trailing 1-3 frames are not covered)."""
    return 1 + (frames - 1) // TEMPORAL_FACTOR


def frames_for_latents(latents: int) -> int:
    """Number of video frames that ``latents`` latent frames decode to."""
    return 1 + TEMPORAL_FACTOR * (latents - 1)


def latent_frames_span(latent: int) -> tuple[int, int]:
    """Half-open range of video frames that latent frame ``latent`` covers: (0, 1), (1, 5), (5, 9), ..."""
    return (0, 1) if latent == 0 else (TEMPORAL_FACTOR * latent - 3, TEMPORAL_FACTOR * latent + 1)


def chunk_latents_span(chunk: int) -> tuple[int, int]:
    """Half-open range of latent frames of ``chunk``."""
    return CHUNK_LATENTS * chunk, CHUNK_LATENTS * (chunk + 1)


def chunk_frames_span(chunk: int) -> tuple[int, int]:
    """Half-open range of video frames of ``chunk``: (0, 9), (9, 21), (21, 33), ..."""
    first, end = chunk_latents_span(chunk)
    return latent_frames_span(first)[0], latent_frames_span(end - 1)[1]


def frames_for_chunks(chunks: int) -> int:
    """Number of video frames of ``chunks`` chunks: 9, 21, 33, ..."""
    return chunk_frames_span(chunks - 1)[1]


def frames_for_samples(samples: int) -> int:
    """Number of 25 fps frames needed to cover ``samples`` audio samples; a started frame counts as a whole one."""
    return -(-samples // SAMPLES_PER_FRAME)


def samples_for_frames(frames: int) -> int:
    """Number of audio samples that ``frames`` 25 fps frames last."""
    return frames * SAMPLES_PER_FRAME


def frame_at(seconds: float) -> int:
    """Index of the 25 fps frame nearest to a time in seconds; half-way rounds up, through float noise as well."""
    return int(seconds * FPS + 0.5 + 1e-6)
