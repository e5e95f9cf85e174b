"""Windows of picture and sound, and their embeddings."""

from __future__ import annotations

import pytest
import torch

from lipforcing.audio.logmel import LogMelEncoder
from lipforcing.models.syncnet import SOUND_ROWS, SyncNet
from lipforcing.syncnet.windows import AudioTrack, LipTrack, prepare_crops, sound_windows, to_pcm16
from lipforcing.timeline import SAMPLES_PER_FRAME

from .distances import SMALL


@pytest.fixture(scope="module")
def model() -> SyncNet:
    torch.manual_seed(1)
    return SyncNet(SMALL).eval()


@pytest.fixture(scope="module")
def clip() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    crops = torch.randint(0, 256, (12, 64, 64, 3), generator=generator, dtype=torch.uint8)
    return crops, 0.1 * torch.randn(60 * SAMPLES_PER_FRAME, generator=generator)


@torch.no_grad()
def test_audio_windows_do_not_depend_on_the_piece(model, clip):
    audio = AudioTrack(model, to_pcm16(clip[1]))
    torch.testing.assert_close(audio.embeddings(17, 29), audio.embeddings(0, 40)[17:29])


@pytest.mark.parametrize("sound", SOUND_ROWS)
def test_windows_of_sound_do_not_depend_on_the_piece(clip, sound):
    pcm = to_pcm16(clip[1])
    whole = sound_windows(sound, pcm, 0, 55)
    assert whole.shape == (55, 1, SOUND_ROWS[sound], 20)
    torch.testing.assert_close(sound_windows(sound, pcm, 17, 55), whole[17:])
    assert torch.equal(whole[1, 0, :, :-4], whole[0, 0, :, 4:])


def test_bands_are_those_that_the_student_hears(clip):
    pcm = to_pcm16(clip[1])
    stream = LogMelEncoder().stream()
    rows = torch.cat([stream.push(pcm / 32768), stream.finish()])  # of frames i - 1, i, i + 1, hop by hop
    heard = sound_windows("logmel", pcm, 3, 4)[0, 0]
    torch.testing.assert_close(heard.T.reshape(5, -1), rows[3:8].view(5, 3, -1)[:, 1])


def test_crops_become_bgr_and_are_resized():
    crops = torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    crops[..., 0] = 200
    frames = prepare_crops(crops, 4)
    assert frames.shape == (3, 2, 4, 4)
    assert frames[2].unique().tolist() == [200] and frames[:2].unique().tolist() == [0]


def test_samples_become_those_of_a_wav_file():
    samples = torch.tensor([0.0, 1.0, -1.0, 0.5, 1.0 / 32768, 2.0])
    assert to_pcm16(samples).tolist() == [0, 32767, -32768, 16384, 1, 32767]


@torch.no_grad()
def test_lips_come_window_by_window_however_the_frames_come(model, clip):
    crops, _ = clip
    whole = LipTrack(model)(crops)
    assert whole.shape == (8, SMALL.embedding)
    track = LipTrack(model)
    pieces = [track(part) for part in crops.split((1, 2, 1, 5, 3))]
    assert [len(piece) for piece in pieces] == [0, 0, 0, 5, 3]
    torch.testing.assert_close(torch.cat(pieces), whole)


@pytest.mark.parametrize(("frames", "windows"), [(0, 0), (5, 0), (6, 1), (60, 55)])
def test_one_window_fewer_than_fits_is_heard(model, frames, windows):
    assert AudioTrack(model, torch.zeros(frames * SAMPLES_PER_FRAME + 9, dtype=torch.int16)).windows == windows
