"""The one channel that is listened to."""

from __future__ import annotations

import pytest
import torch

from lipforcing.media.downmix import Listening, usual_layout

TONE = torch.sin(torch.arange(1000.0) / 7)
SURROUND = ("FL", "FR", "FC", "LFE", "SL", "SR")


def heard(speakers, *channels: torch.Tensor) -> tuple[Listening, torch.Tensor]:
    """Listened to in two pieces."""
    listening, block = Listening(speakers), torch.stack(channels)
    for piece in block.split(600, dim=1):
        listening.hear(piece)
    return listening, listening.mix(block)


def test_mono_and_stereo_are_the_mean():
    other = torch.cos(torch.arange(1000.0) / 5)
    assert torch.equal(heard(("FC",), TONE)[1], TONE)
    torch.testing.assert_close(heard(("FL", "FR"), TONE, other)[1], (TONE + other) / 2)
    torch.testing.assert_close(heard(("NONE",) * 3, TONE, other, other)[1], (TONE + 2 * other) / 3)


@pytest.mark.parametrize("speaker, share", [("FC", 1), ("FL", 0.5**0.5), ("LFE", 0), ("SL", 0.5)])
def test_shares_of_surround_sound(speaker, share):
    channels = [TONE if name == speaker else torch.zeros(1000) for name in SURROUND]
    torch.testing.assert_close(heard(SURROUND, *channels)[1], TONE * share / (2 + 2 * 0.5**0.5))


def test_channels_that_cancel_each_other_give_way_to_the_loudest():
    listening, mixed = heard(("FL", "FR"), TONE, -0.9 * TONE)
    assert listening.cancelled and torch.equal(mixed, TONE)
    assert not heard(("FL", "FR"), TONE, torch.zeros(1000))[0].cancelled
    assert not heard(("FL", "FR"), torch.zeros(1000), torch.zeros(1000))[0].cancelled


def test_what_is_no_number_is_silence_and_counted():
    broken = TONE.clone()
    broken[[5, 700]] = torch.tensor([float("nan"), float("inf")])
    listening = Listening(("FC",))
    silenced = listening.hear(broken[None])[0]
    assert listening.broken == 2 and listening.samples == 1000
    assert not silenced[[5, 700]].any() and torch.equal(silenced[:5], TONE[:5])


@pytest.mark.parametrize("channels, layout", [(1, "mono"), (2, "stereo"), (4, "4.0"), (6, "5.1"), (8, "7.1")])
def test_usual_layouts(channels, layout):
    name, speakers = usual_layout(channels)
    assert name == layout and len(speakers) == channels and "NONE" not in speakers


def test_a_number_of_channels_that_means_nothing():
    assert usual_layout(11)[1] == ("NONE",) * 11
