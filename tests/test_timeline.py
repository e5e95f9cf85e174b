"""Frame, latent, chunk and sample arithmetic."""

from __future__ import annotations

from itertools import pairwise

from lipforcing import timeline


def test_chunks_tile_latents_and_frames():
    assert [timeline.chunk_frames_span(c) for c in range(3)] == [(0, 9), (9, 21), (21, 33)]
    for chunk in range(50):
        assert timeline.chunk_frames_span(chunk)[1] == timeline.chunk_frames_span(chunk + 1)[0]
        first, end = timeline.chunk_latents_span(chunk)
        spans = [timeline.latent_frames_span(latent) for latent in range(first, end)]
        assert (spans[0][0], spans[-1][1]) == timeline.chunk_frames_span(chunk)
        assert all(a[1] == b[0] for a, b in pairwise(spans))


def test_reference_lengths():
    assert timeline.latents_for_frames(81) == 21 and timeline.frames_for_latents(21) == 81
    assert timeline.frames_for_chunks(7) == 81
    assert timeline.frames_for_samples(51_840) == 81
    assert timeline.frames_for_samples(51_841) == 82
    assert timeline.samples_for_frames(81) == 51_840 and timeline.samples_for_frames(0) == 0


def test_nearest_frame():
    assert [timeline.frame_at(n / 30) for n in range(6)] == [0, 1, 2, 3, 3, 4]
    assert [timeline.frame_at(n / 50) for n in range(200)] == [(n + 1) // 2 for n in range(200)]
