"""From phonemes to mouth shapes."""

import pytest
import torch

from lipforcing.drawn.faces import RELAXED
from lipforcing.drawn.visemes import is_pause, shapes_of, viseme_track


def test_track_at_rest_without_phonemes():
    assert torch.equal(viseme_track([], 5), torch.tensor(RELAXED).expand(5, 5))


def test_each_kind_of_sound_shapes_the_mouth():
    def middle(symbol):
        return viseme_track([(symbol, 0.2, 0.6)], 20)[9]

    assert middle("A:")[0] > 0.8 and middle("i:")[1] > 0.7 and middle("u:")[2] > 0.8
    assert middle("m")[0] == 0 and middle("s")[3] > 0.8 and middle("T")[4] > 0.8
    assert middle("f")[0] < 0.15 and middle("f")[3] > 0.6


@pytest.mark.parametrize("closure", ["p", "b", "m"])
@pytest.mark.parametrize("shift", [0.0, 0.011, 0.023, 0.035])
def test_short_closures_between_open_vowels_show(closure, shift):
    track = viseme_track(
        [("A:", 0.1, 0.4 + shift), (closure, 0.4 + shift, 0.45 + shift), ("A:", 0.45 + shift, 0.8)], 25
    )
    assert track[9:13, 0].min() < 0.1 and track[7, 0] > 0.7 and track[14, 0] > 0.7


def test_mouth_knows_only_the_near_audio():
    """A changed sound leaves the track untouched more than 120 ms away."""
    before, after = ([("A:", 0.0, 1.0), (symbol, 1.0, 1.1), ("A:", 1.1, 2.0)] for symbol in ("p", "u:"))
    changed = (viseme_track(before, 50) - viseme_track(after, 50)).abs().amax(1) > 0
    times = (torch.arange(50) + 0.5) / 25
    assert changed.any() and not changed[(times < 1.0 - 0.12) | (times > 1.1 + 0.12)].any()


def test_marks_that_are_not_known_are_ignored():
    assert shapes_of("A:") == shapes_of("A") == shapes_of("A#2") and shapes_of("?!") == shapes_of("h")
    assert len(shapes_of("aI")) == 2 and len(shapes_of("aI@")) == 3 and shapes_of("*") == shapes_of("@")
    assert is_pause("_:") and not is_pause("p")


def test_vowels_open_wider_where_it_is_loud():
    loud = torch.sin(torch.arange(16_000) * 0.3)
    soft = torch.cat((0.05 * loud[:8000], loud[8000:]))
    spoken = [("A:", 0.0, 1.0)]
    opening = viseme_track(spoken, 25, waveform=soft)[:, 0]
    assert opening[5] < 0.85 * opening[20] and torch.equal(
        viseme_track(spoken, 25)[3:22, 0].unique().round(decimals=3), torch.ones(1)
    )
