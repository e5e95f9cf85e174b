"""Scoring: reference values, offsets, streaming, verdicts."""

import json
import math

import pytest
import torch

from lipforcing.models.syncnet import WINDOW_FRAMES, SyncNet, SyncNetConfig
from lipforcing.syncnet.report import MIN_WINDOWS, SHIFTS, Verdict, figures, report
from lipforcing.syncnet.score import Distances, score
from lipforcing.syncnet.windows import AudioTrack, LipTrack, prepare_crops, to_pcm16
from lipforcing.timeline import SAMPLES_PER_FRAME

from ..golden_weights import procedural_weights, sha256, syncnet_rule

FEWEST = MIN_WINDOWS + WINDOW_FRAMES  # frames

SMALL = SyncNetConfig(image_size=64, lip_channels=(2, 3, 4, 5, 6, 7), audio_channels=(3, 4, 5, 6, 7, 8), embedding=9)
LOUD = torch.arange(200 * SAMPLES_PER_FRAME).remainder(7).sub(3).mul(1000).to(torch.int16)


def rows_of(lips: torch.Tensor, audio: torch.Tensor, batch: int = 7) -> torch.Tensor:
    """Distances [N, 31] of N lip embeddings, followed by the unused last one, to N audio embeddings."""
    unused = torch.full_like(lips[:1], math.nan)
    return rows_of_stream(torch.cat([lips, unused]).split(batch), lambda first, end: audio[first:end], len(audio))


def rows_of_stream(lips, audio, audio_windows: int) -> torch.Tensor:
    stream = Distances(audio, audio_windows)
    rows = [stream.push(block) for block in lips]
    return torch.cat([*rows, stream.close()])


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


@pytest.mark.parametrize("offset", [-14, -3, 0, 8])
def test_offset_sign(offset):
    """Positive: the audio is ahead, so its window ``offset`` earlier belongs to the lips."""
    world = torch.randn(120, 6, generator=torch.Generator().manual_seed(3))
    rows = rows_of(world[20:80], world[20 + offset : 80 + offset])
    result = report(rows, LOUD)
    assert result.verdict is None and result.offset == offset == result.overlap.offset
    assert result.overlap.distance < 1e-4 < result.distance or offset == 0
    # Where each window meets its own audio, its confidence is the whole median.
    assert result.curve.shape == (60,)
    torch.testing.assert_close(result.curve.median(), result.padded.mean_distances.median())


def test_overlap_leaves_padding_out():
    rows = rows_of(torch.zeros(40, 4), torch.full((40, 4), 5.0))
    result = report(rows, LOUD)
    torch.testing.assert_close(result.overlap.mean_distances, torch.full((SHIFTS,), 10.0))
    assert result.padded.mean_distances[0] < 7 and result.padded.mean_distances[15] > 9.99


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


@torch.no_grad()
def test_audio_windows_do_not_depend_on_the_piece(model, clip):
    audio = AudioTrack(model, to_pcm16(clip[1]))
    torch.testing.assert_close(audio.embeddings(17, 29), audio.embeddings(0, 40)[17:29])


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


def test_edge_of_the_search_range_gets_a_verdict():
    world = torch.randn(120, 6, generator=torch.Generator().manual_seed(3))
    result = report(rows_of(world[20:80], world[35:95]), LOUD)
    assert result.verdict is Verdict.EDGE and result.offset is None and result.padded.offset == 15


def test_seconds_have_figures_of_their_own():
    """Half-way through, the sound starts to run ahead."""
    world = torch.randn(120, 6, generator=torch.Generator().manual_seed(3))
    audio = torch.cat([world[20:45], world[50:75]])
    result = report(rows_of(world[20:70], audio), LOUD)
    assert result.per_second.shape == (2, 3)
    assert result.per_second[:, 2].tolist() == [0, 5] and result.padded.offset in (0, 5)
    right, wrong = (0, 1) if result.padded.offset == 0 else (1, 0)
    assert result.per_second[right, 0] > result.per_second[wrong, 0] + 1
    assert (result.per_second[:, 1] > 1).all()


def test_a_second_is_twenty_five_windows():
    rows = torch.full((60, SHIFTS), 9.0)
    rows[:, 15] = torch.arange(60.0) / 10
    result = report(rows, LOUD)
    torch.testing.assert_close(result.per_second[:, 0], 9 - torch.tensor([1.2, 3.7, 5.45]))
    torch.testing.assert_close(result.per_second[:, 0], result.per_second[:, 1])


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


def test_crops_become_bgr_and_are_resized():
    crops = torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    crops[..., 0] = 200
    frames = prepare_crops(crops, 4)
    assert frames.shape == (3, 2, 4, 4)
    assert frames[2].unique().tolist() == [200] and frames[:2].unique().tolist() == [0]
