"""SyncNet's cepstra against python_speech_features (golden values)."""

import torch

from lipforcing.audio.mfcc import mfcc


def test_golden(golden, parity):
    g = golden("syncnet")
    parity("syncnet", "mfcc", mfcc(g["mfcc/waveform"]), g["mfcc/mfcc"], 1e-6)
    parity("syncnet", "mfcc", mfcc(g["pipeline/waveform"]).T, g["pipeline/mfcc"], 1e-6)


def test_frame_counts():
    for samples, frames in ((1, 1), (400, 1), (401, 2), (560, 2), (561, 3), (51_840, 323)):
        assert mfcc(torch.ones(samples)).shape == (frames, 13)


def test_silence_is_finite():
    assert mfcc(torch.zeros(1000)).isfinite().all()
