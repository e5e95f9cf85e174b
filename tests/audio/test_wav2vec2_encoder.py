"""wav2vec2 as an encoder: reference rows and counts as a whole, and what is promised of the windowed mode."""

import math
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lipforcing.audio import wav2vec2_encoder as module
from lipforcing.audio.base import LIVE, LONG, Window, encode_audio
from lipforcing.audio.wav2vec2 import Wav2Vec2, Wav2Vec2Config, encoder_state_dict, normalise
from lipforcing.audio.wav2vec2_encoder import WHOLE_MEMORY, RunningNorm, Wav2Vec2Encoder

from .streams import check_look_ahead, check_snapshot, in_pieces, memory_of_an_hour
from .test_wav2vec2 import SMALL, config_of, loudness_varied

SHORT = Window(before=6, step=4, after=3)


@pytest.fixture(scope="module")
def whole() -> Wav2Vec2Encoder:
    torch.manual_seed(4)
    return Wav2Vec2Encoder(Wav2Vec2(SMALL).eval())


@pytest.fixture(scope="module")
def windowed(whole) -> Wav2Vec2Encoder:
    return whole.windowed(SHORT)


def test_golden(golden, parity):
    g = golden("wav2vec_features")
    network = Wav2Vec2(config_of(g)).eval()
    network.load_state_dict(encoder_state_dict(g.group("weights")))
    cases = sorted({name.split("/")[0] for name in g.tensors if name.startswith("case")})
    assert cases
    for case in cases:
        frames, total = g[f"{case}/n_vid"].item(), g[f"{case}/T"].item()
        rows = encode_audio(Wav2Vec2Encoder(network), g["inputs/waveform"], frames)
        assert len(rows) == total
        parity("wav2vec_features", "features", rows[None], g[f"{case}/features"], 2e-5)
        parity("wav2vec_features", "audio_emb", rows[None, :frames], g[f"{case}/audio_emb"], 2e-5)


@pytest.mark.parametrize("mode", ["whole", "windowed"])
@pytest.mark.parametrize(
    "samples, frames, rows", [(0, 0, 0), (1, 0, 1), (1, 3, 3), (640, 0, 1), (641, 1, 2), (12_801, 0, 21), (700, 30, 30)]
)
def test_there_is_a_row_per_started_frame_or_as_many_as_are_shown(whole, windowed, mode, samples, frames, rows):
    encoder = whole if mode == "whole" else windowed
    found = encode_audio(encoder, 0.1 * torch.ones(samples), frames)
    assert found.shape == (rows, encoder.feature_dim) and found.isfinite().all()


def test_whole_pads_to_whole_rows_after_normalisation_and_no_further(whole):
    waveform = loudness_varied(30)[:-100] + 0.3
    padded = torch.nn.functional.pad(normalise(waveform), (0, 100))
    assert torch.equal(encode_audio(whole, waveform), whole.network(padded))
    # The reason: silence that is asked for changes every row.
    more = encode_audio(whole, waveform, 46)[:30]
    assert ((more - encode_audio(whole, waveform)).square().mean(1) > 0).all()


@given(
    samples=st.integers(0, 14_000),
    sizes=st.lists(st.integers(0, 4000), min_size=1, max_size=4),
    frames=st.integers(0, 25),
)
@settings(max_examples=25, deadline=None)
def test_rows_do_not_depend_on_the_pushes(whole, windowed, samples, sizes, frames):
    waveform = loudness_varied(25)[:samples]
    for encoder in (whole, windowed):
        if samples or not frames:  # of nothing at all there is no variance
            rows = in_pieces(encoder.stream(), waveform, [*sizes, 1000], frames)
            assert torch.equal(rows, encode_audio(encoder, waveform, frames))


def test_look_ahead_is_what_is_stated(whole, windowed):
    assert whole.look_ahead == math.inf and windowed.look_ahead == 7 * 640
    for row in (0, 4, 12):  # the first of a step waits longest
        check_look_ahead(windowed, loudness_varied(40), row)


def test_whole_gives_nothing_before_the_end(whole):
    stream = whole.stream()
    assert stream.push(loudness_varied(50)).shape == (0, whole.feature_dim)
    assert len(stream.finish()) == 50


def test_a_copy_is_a_snapshot(windowed):
    check_snapshot(windowed, loudness_varied(40), 9000)


def test_a_window_over_everything_is_whole_but_for_the_statistics(whole):
    """With the reference's statistics put in place of the running ones, one window gives the whole's rows."""
    waveform = loudness_varied(30)
    encoder = whole.windowed(Window(0, 30, 0))
    rows, full = encode_audio(encoder, waveform), encode_audio(whole, waveform)
    assert 1e-3 < relative(rows, full) < 0.3

    class Known:
        def updated(self, _samples):
            return self

        def scale_and_shift(self):
            scale, shift = whole.network.feature_extractor.norm_of_recording(normalise(waveform))
            deviation = waveform.std(correction=0)
            return scale / deviation, shift - scale * waveform.mean() / deviation * bias()[:, None]

    def bias():
        return whole.network.feature_extractor.conv_layers[0].conv.weight.sum((1, 2))

    stream = encoder.stream()
    stream._norm = Known()
    torch.testing.assert_close(in_pieces(stream, waveform, [len(waveform)]), full, rtol=0, atol=1e-4)


def relative(rows: torch.Tensor, full: torch.Tensor) -> float:
    return ((rows - full).square().mean().sqrt() / full.std()).item()


def test_windows_stay_near_the_whole_and_nearer_the_wider_they_are(whole):
    waveform = loudness_varied(150)
    full = encode_audio(whole, waveform)
    errors = [relative(encode_audio(whole.windowed(w), waveform), full) for w in (Window(5, 5, 1), Window(75, 25, 63))]
    assert 0 < errors[1] < errors[0] < 0.5


@torch.no_grad()
def test_running_statistics_become_those_of_the_recording(whole, monkeypatch):
    """Without the expectation of speech they equal what is measured on all rows' samples at once."""
    convolutions, waveform = (
        whole.network.feature_extractor,
        0.01 * (0.1 + loudness_varied(60)),
    )  # so quiet that eps counts
    monkeypatch.setattr(module, "PRIOR_ROWS", 1e-6)
    monkeypatch.setattr(module, "SILENCE_LEVEL", 0)
    norm = RunningNorm.start(convolutions, torch.device("cpu"))
    for first in range(0, 60, 4):
        norm = norm.updated(waveform[640 * first : 640 * (first + 4)])
    x = convolutions.conv_layers[0](waveform.unfold(0, 400, 640)[:, None]).transpose(0, 1).flatten(1)
    expected = convolutions.norm(x.mean(1), x.var(1, correction=0), waveform.unfold(0, 400, 640).square().mean())
    for found, wanted in zip(norm.scale_and_shift(), expected):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_silence_does_not_count_in_the_statistics(whole):
    norm = RunningNorm.start(whole.network.feature_extractor, torch.device("cpu")).updated(loudness_varied(20))
    after = norm.updated(torch.zeros(640 * 1000)).updated(1e-4 * torch.randn(640 * 100))
    assert torch.equal(after.moments, norm.moments) and after.rows == norm.rows
    assert not torch.equal(norm.updated(0.01 * torch.randn(640)).moments, norm.moments)


def test_noise_before_the_first_word_is_not_amplified_to_speech(whole, monkeypatch):
    """A quiet start sounds quiet: the first convolution's output for noise at -54 dB stays far below speech's."""

    def loudness(prior: float) -> float:
        monkeypatch.setattr(module, "PRIOR_ROWS", prior)
        quiet = 0.002 * torch.randn(640 * 10, generator=torch.Generator().manual_seed(2))
        convolutions = whole.network.feature_extractor
        with torch.no_grad():
            scale, _ = RunningNorm.start(convolutions, torch.device("cpu")).updated(quiet).scale_and_shift()
            return (convolutions.conv_layers[0](quiet[None, None])[0] * scale).square().mean().sqrt().item()

    weight = whole.network.feature_extractor.conv_layers[0].layer_norm.weight
    assert (weight == 1).all()
    assert loudness(module.PRIOR_ROWS) < 0.2 and loudness(1e-6) > 0.8


def test_a_long_push_keeps_no_windows(whole):
    """Of everything that the transformer gave out only the last result is still there when the next one comes."""
    alive = []

    def look(_module, _inputs, output):
        assert sum(reference() is not None for reference in alive) <= 1
        alive.append(weakref.ref(output._base))

    hook = whole.network.encoder.register_forward_hook(look)
    rows = whole.windowed(SHORT).stream().push(loudness_varied(100))
    hook.remove()
    assert len(rows) == 96 and len(alive) == 24


def test_memory_of_the_whole_is_stated():
    with torch.device("meta"):
        encoder = Wav2Vec2Encoder(Wav2Vec2(Wav2Vec2Config.base_960h()))
    assert encoder.memory(encoder.max_seconds) == pytest.approx(WHOLE_MEMORY)
    assert 900 < encoder.max_seconds < 1800
    assert encoder.memory(60) - encoder.memory(0) > 60 * 25 * 4 * encoder.feature_dim
    assert encoder.windowed().max_seconds == math.inf and encoder.windowed().window is LIVE
    assert encoder.windowed(LONG).look_ahead == (LONG.step + LONG.after) * 640


def test_an_hour_takes_no_more_memory_than_five_minutes():
    rows, grown = memory_of_an_hour(
        "from lipforcing.audio.base import Window\n"
        "from lipforcing.audio.wav2vec2 import Wav2Vec2, Wav2Vec2Config\n"
        "from lipforcing.audio.wav2vec2_encoder import Wav2Vec2Encoder\n"
        "sizes = Wav2Vec2Config(8, 1, 2, 8, (4,) * 7, position_groups=4)\n"
        "encoder = Wav2Vec2Encoder(Wav2Vec2(sizes).eval(), Window(50, 250, 50))"
    )
    assert rows == 90_000 and grown < 5
