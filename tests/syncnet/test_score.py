"""Scoring: reference values, offsets, streaming, verdicts."""

import json

import pytest
import torch

from lipforcing.models.syncnet import WINDOW_FRAMES, SyncNet, SyncNetConfig
from lipforcing.syncnet.report import MIN_WINDOWS, SHIFTS, Verdict, figures, report
from lipforcing.syncnet.score import score
from lipforcing.syncnet.windows import AudioTrack, LipTrack, to_pcm16
from lipforcing.timeline import SAMPLES_PER_FRAME

from ..golden_weights import procedural_weights, sha256, syncnet_rule
from .distances import LOUD, SMALL, rows_of, rows_of_stream

FEWEST = MIN_WINDOWS + WINDOW_FRAMES  # frames


def lip_embeddings(model: SyncNet, crops: torch.Tensor, batch: int) -> list[torch.Tensor]:
    track = LipTrack(model)
    return [track(part) for part in crops.split(batch)]


@pytest.fixture(scope="module")
def model() -> SyncNet:
    torch.manual_seed(1)
    return SyncNet(SMALL).eval()


@pytest.fixture(scope="module")
def clip() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    crops = torch.randint(0, 256, (60, 64, 64, 3), generator=generator, dtype=torch.uint8)
    return crops, 0.1 * torch.randn(60 * SAMPLES_PER_FRAME + 100, generator=generator)


@torch.no_grad()
def test_golden_pipeline(golden, parity):
    g = golden("syncnet")
    procedure = g.meta["weights_procedure"]
    weights = procedural_weights(procedure["key_shapes"], procedure["seed"], syncnet_rule)
    assert sha256(weights) == procedure["sha256"]
    convolutions = ("0", "4", "8", "11", "14", "18")
    config = SyncNetConfig(
        image_size=g["pipeline/frames_bgr_u8"].shape[-1],
        lip_channels=tuple(len(weights[f"netcnnlip.{index}.bias"]) for index in convolutions),
        audio_channels=tuple(len(weights[f"netcnnaud.{index}.bias"]) for index in convolutions),
        embedding=len(weights["netfclip.3.bias"]),
    )
    model = SyncNet(config)
    model.load_state_dict(weights)
    model.eval()
    crops = g["pipeline/frames_bgr_u8"].permute(0, 2, 3, 1).flip(-1)
    pcm = g["pipeline/waveform"]
    audio = AudioTrack(model, pcm)
    windows = len(g["pipeline/lip_embeddings"])
    lips = torch.cat(lip_embeddings(model, crops, 4))[:windows]
    sounds = audio.embeddings(0, windows)
    rows = rows_of_stream(lip_embeddings(model, crops, 32), audio.embeddings, audio.windows)
    parity("syncnet", "lip embeddings", lips, g["pipeline/lip_embeddings"], 3e-4)
    parity("syncnet", "audio embeddings", sounds, g["pipeline/audio_embeddings"], 3e-4)
    parity("syncnet", "distances", rows, g["pipeline/distances"], 3e-4)
    result = report(rows, pcm)
    assert result.windows == windows
    parity("syncnet", "distances", result.padded.mean_distances, g["pipeline/mean_distances"], 3e-4)
    parity("syncnet", "LSE-D", torch.tensor([result.padded.distance]), g["pipeline/lse_d"], 3e-4)
    parity("syncnet", "LSE-C", torch.tensor([result.padded.confidence]), g["pipeline/lse_c"], 3e-4)


@pytest.mark.parametrize("case", ["dist_random", "dist_shifted"])
def test_golden_distances(golden, parity, case):
    g = golden("syncnet")
    rows = rows_of(g["dist/lip_embeddings"], g[f"{case}/audio_embeddings"])
    parity("syncnet", "distances", rows, g[f"{case}/distances"], 3e-4)
    result = figures(rows.mean(0))
    parity("syncnet", "distances", result.mean_distances, g[f"{case}/mean_distances"], 3e-4)
    parity("syncnet", "LSE-D", torch.tensor([result.distance]), g[f"{case}/lse_d"], 3e-4)
    parity("syncnet", "LSE-C", torch.tensor([result.confidence]), g[f"{case}/lse_c"], 3e-4)
    assert result.offset == g[f"{case}/offset"].item()
    assert len(rows) == len(g["dist/lip_embeddings"])


def test_batching_and_pieces_do_not_matter(model, clip):
    crops, waveform = clip
    whole = score(model, crops, waveform, batch=1000)
    assert whole.windows == 55
    for pieces, batch in ((crops, 3), (crops.split(1), 8), (crops.split(50), 20)):
        other = score(model, pieces, waveform, batch=batch)
        torch.testing.assert_close(other.padded.mean_distances, whole.padded.mean_distances)
        torch.testing.assert_close(other.overlap.mean_distances, whole.overlap.mean_distances)
        torch.testing.assert_close(other.curve, whole.curve)


@torch.no_grad()
def test_streaming_equals_the_written_down_formula(model, clip):
    crops, waveform = clip
    pcm = to_pcm16(waveform)
    n = 60 - 5
    lips = torch.cat(lip_embeddings(model, crops, 1000))[:n]
    audio = torch.nn.functional.pad(AudioTrack(model, pcm).embeddings(0, n), (0, 0, 15, 15))
    expected = torch.stack([torch.nn.functional.pairwise_distance(lips, audio[j : j + n]) for j in range(SHIFTS)], 1)
    result = score(model, crops, waveform, batch=9)
    torch.testing.assert_close(result.padded.mean_distances, expected.mean(0))
    torch.testing.assert_close(report(expected, pcm).curve, result.curve)


def test_shorter_of_the_two_counts(model, clip):
    crops, waveform = clip
    assert score(model, crops[:45], waveform).windows == 40
    assert score(model, crops, waveform[: 50 * SAMPLES_PER_FRAME - 1]).windows == 44


@pytest.mark.parametrize("frames", [0, 4, 5, 6, 20, FEWEST - 1])
def test_too_few_frames(model, clip, frames):
    for crops, waveform in ((clip[0][:frames], clip[1]), (clip[0], clip[1][: frames * SAMPLES_PER_FRAME])):
        result = score(model, crops, waveform)
        assert result.verdict is Verdict.TOO_SHORT and result.windows == max(0, frames - 5)
        assert result.confidence is result.distance is result.offset is None
        assert len(result.curve) == len(result.seconds) == result.windows


def test_fewest_frames_give_figures(model, clip):
    result = score(model, clip[0][:FEWEST], clip[1])
    assert result.verdict is not Verdict.TOO_SHORT


@pytest.mark.parametrize("level", [0.0, 5e-4])
def test_silence_gets_a_verdict(model, clip, level):
    crops, waveform = clip
    result = score(model, crops, level * waveform / waveform.std() + 0.01)
    assert result.verdict is Verdict.SILENT and result.confidence is None


def test_silence_before_speech_is_no_silence(model, clip):
    waveform = clip[1].clone()
    waveform[: 30 * SAMPLES_PER_FRAME] = 0
    assert score(model, clip[0], waveform).verdict is not Verdict.SILENT


def test_report_as_plain_values(model, clip):
    world = torch.randn(120, 6, generator=torch.Generator().manual_seed(3))
    result = report(rows_of(world[20:80], world[17:77]), LOUD)
    plain = json.loads(json.dumps(result.to_dict()))
    assert plain["windows"] == len(plain["curve"]) == 60 and len(plain["per_second"]) == 3
    assert plain["offset"] == -3 == plain["per_second"][1]["own_offset"]
    assert plain["padded"]["distances"][15 + result.padded.offset] == plain["padded"]["distance"]
    assert plain["verdict"] is None and plain["confidence"] == plain["padded"]["confidence"]
    short = json.loads(json.dumps(score(model, clip[0][:9], clip[1]).to_dict()))
    assert short["verdict"] == "too few frames" and short["confidence"] is None and short["overlap"] is None


def test_training_mode_is_refused(clip):
    with pytest.raises(ValueError, match="evaluation mode"):
        score(SyncNet(SMALL).train(), *clip)
