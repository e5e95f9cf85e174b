from itertools import pairwise

import pytest

from benchmarks.instruments import clip_hashes, espeak_version, frozen, network_hashes, processor
from benchmarks.tiny_student import CLIPS

TABLE = frozen()


def as_frozen(i):
    found, wanted = clip_hashes(i), TABLE["clips"][str(i)]
    if processor() != TABLE["processor"]:  # last bits of pictures and of filtered sound depend on it
        assert found.keys() == wanted.keys()
        pytest.skip(f"frozen with {TABLE['processor']}, this is {processor()}")
    return found == wanted


needs_the_same_voice = pytest.mark.skipif(
    espeak_version() != TABLE["espeak-ng"],
    reason=f"frozen with espeak-ng {TABLE['espeak-ng']}, found {espeak_version() or 'none'}",
)


def test_the_networks_are_those_of_v1():
    assert network_hashes() == TABLE["networks"]


def test_the_table_is_whole():
    clips = [TABLE["clips"][str(i)] for i in range(CLIPS)]
    assert len(clips) == len(TABLE["clips"])
    assert len({clip["speech"] for clip in clips}) == len({clip["reference mouth"] for clip in clips}) == CLIPS
    assert all(a["reference mouth"] == b["source mouth"] for a, b in pairwise(clips))  # the clip before's words


@needs_the_same_voice
@pytest.mark.parametrize("i", [0, 30])
def test_a_few_clips_are_those_of_v1(i):
    assert as_frozen(i)


@needs_the_same_voice
@pytest.mark.slow
@pytest.mark.parametrize("i", range(CLIPS))
def test_every_clip_is_that_of_v1(i):
    assert as_frozen(i)
