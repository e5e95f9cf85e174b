"""Clips as the transformer sees them."""

from __future__ import annotations

import pytest
import torch

from lipforcing.codecs.tiny import TinyCodec, TinyCodecConfig
from lipforcing.distill.recipes import latents
from lipforcing.distill.recipes.data import SpeechClips, Spoken
from lipforcing.distill.recipes.latents import WINDOW, LatentClips, encode_clips, latent_clips
from lipforcing.distill.recipes.workshop import Workshop
from lipforcing.models.config import tiny
from lipforcing.tiny import family

SIZE = (32, 32)
STRIDE = 17  # windows overlap here, so that one can be compared with another
FRAMES = WINDOW + STRIDE


@pytest.fixture
def clips(monkeypatch) -> LatentClips:
    """Two windows of one clip whose target differs from its source in the mouth only."""
    monkeypatch.setattr(latents, "SIZE", SIZE)
    torch.manual_seed(0)
    source = torch.randint(0, 255, (1, FRAMES, *SIZE, 3), dtype=torch.uint8)
    target = source.clone()
    target[:, :, latents.pixel_mask(*SIZE)] = 99
    waveform = 0.1 * torch.randn(1, FRAMES * 640)
    codec = TinyCodec(TinyCodecConfig(width=8, blocks=1, decoder_width=8, decoder_blocks=1, smooth_width=4)).eval()
    return encode_clips(SpeechClips(source, target, torch.zeros(1, FRAMES, 5), waveform), codec, STRIDE)


def test_windows_overlap_and_the_mouth_is_greyed_out(clips):
    assert len(clips) == 2 and clips.target.shape == clips.masked.shape == (2, 16, 9, 4, 4)
    assert clips.audio.shape == (2, WINDOW, tiny().audio_dim)
    torch.testing.assert_close(clips.audio[0, STRIDE:], clips.audio[1, : WINDOW - STRIDE])  # one clip, shifted
    assert not torch.equal(clips.target, clips.source) and not torch.equal(clips.target, clips.masked)


def test_inputs_of_some_windows(clips):
    target, inputs = clips.inputs(torch.tensor([1, 0, 1]), tiny())
    assert torch.equal(target[1], clips.target[0].float()) and target.shape[0] == 3
    assert torch.equal(inputs.ref_latent[0], clips.source[1, :, :1].float())
    assert torch.equal(inputs.masked_video[2], clips.masked[1].float()) and inputs.audio.shape[:2] == (3, WINDOW)
    assert not inputs.text.any() and inputs.mouth_mask.shape[0] == 3


def test_latents_are_those_of_the_workshops_codec(monkeypatch, tmp_path):
    """Made once for an encoder, whatever decoder it has, and anew for another one."""
    asked = []

    def encode_all(clips, codec, stride, device):
        asked.append(codec.encoder.linear.bias[0].item())
        return LatentClips(*(torch.full((2, 3), asked[-1]) for _ in range(4)))

    monkeypatch.setattr(latents, "speech_clips", lambda *_: None)
    monkeypatch.setattr(latents, "encode_clips", encode_all)
    workshop = Workshop(tmp_path)
    first = latent_clips(Spoken(), workshop)
    assert torch.equal(latent_clips(Spoken(), workshop).target, first.target) and len(asked) == 1
    codec = family.load("codec")
    codec.smooth[0].bias += 1
    family.save("codec", codec, {}, workshop.weights)
    assert torch.equal(latent_clips(Spoken(), workshop).target, first.target) and len(asked) == 1
    codec.encoder.linear.bias += 1
    family.save("codec", codec, {}, workshop.weights)
    assert not torch.equal(latent_clips(Spoken(), workshop).target, first.target) and len(asked) == 2
