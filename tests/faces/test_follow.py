"""People are told apart, kept, held through gaps, given up and found again; the same at every frame rate."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.faces.align import TEMPLATE, box_matrix, full_frame_matrix
from lipforcing.faces.follow import (
    EVERY,
    FADE,
    HOLD,
    DetectingFollower,
    FixedFollower,
    RecordedFollower,
    Seen,
    Track,
)
from lipforcing.faces.landmarks import Face, anchors
from lipforcing.faces.warp import transform
from lipforcing.media import Frame, ImagePicture

SIZE = (90, 160)


def face(x: float, y: float = 40.0, width: float = 24.0) -> Face:
    """A face whose eyes' middle lies at (x, y)."""
    eyes = torch.tensor([[x - width / 4, y], [x + width / 4, y]])
    box = torch.tensor([x - width / 2, y - width / 2, x + width / 2, y + width])
    return Face(box, 0.9, torch.cat([eyes, torch.zeros(3, 2)]), "yunet5")


class Numbered(ImagePicture):
    """A picture that knows its number."""

    number = 0


def frames(grey: list[int], rate: float = 25) -> list[Frame]:
    """Frames of a few shots: equal numbers are one shot."""
    out = []
    for n, g in enumerate(grey):
        small = torch.randint(0, 256, (9, 16), generator=torch.Generator().manual_seed(g))
        image = small.repeat_interleave(10, 0).repeat_interleave(10, 1).to(torch.uint8)[..., None].expand(-1, -1, 3)
        picture = Numbered(image)
        object.__setattr__(picture, "number", n)
        out.append(Frame(picture, n / rate, n, n))
    return out


def follow(script: list[list[Face]], choices=("largest",), shots=None, rate: float = 25, every: float = 0.0):
    """What is seen in every frame; by default with a detection in each."""
    asked = []

    def detector(picture, known, search):
        asked.append(picture.number)
        return script[picture.number]

    follower = DetectingFollower(detector, choices, every)
    done = []
    for frame in frames(shots or [0] * len(script), rate):
        done += follower.push(frame)
    done += follower.finish()
    assert [frame.index for frame, _ in done] == list(range(len(script)))
    return [seen for _, seen in done], asked


def opacities(seen: list[Seen], speaker: int = 0) -> list[float]:
    return [next((s.opacity for s in one.sightings if s.speaker == speaker), 0.0) for one in seen]


def centres(seen: list[Seen], speaker: int = 0) -> list[float]:
    """x in the frame of the middle of the brows, per frame in which the speaker is seen."""
    brows, found = TEMPLATE[:2].mean(0), []
    for one in seen:
        for sighting in one.sightings:
            if sighting.speaker == speaker:
                inverse = torch.linalg.inv(sighting.matrix[:, :2])
                found.append(float((inverse @ (brows - sighting.matrix[:, 2]))[0]))
    return found


def test_anchors_go_to_the_template():
    (seen,), _ = follow([[face(50)]])
    at = transform(seen.sightings[0].matrix, anchors(face(50)))
    assert torch.allclose(at.mean(0), TEMPLATE.mean(0), atol=0.01)
    assert (at - TEMPLATE).abs().max() < 20  # six numbers to match with four
    assert seen.starts_shot


def test_the_face_is_kept_when_a_larger_one_comes():
    script = [[face(40)], [face(41), face(110, width=40)], [face(110, width=40), face(42)], [face(43)]]
    seen, _ = follow(script)
    assert centres(seen) == pytest.approx([40, 41, 42, 43], abs=1.5)
    assert len({one.sightings[0].person for one in seen}) == 1


def test_a_short_gap_is_bridged_in_full_strength():
    script = [[face(50 + 2 * i)] for i in range(10)] + [[]] * 2 + [[face(74)]]
    seen, _ = follow(script)
    assert opacities(seen) == [1] * 13
    assert 67 < centres(seen)[11] < 74  # it moves on, and comes to rest
    assert len({one.sightings[0].person for one in seen}) == 1


@pytest.mark.parametrize("rate", [25, 50, 60])
def test_a_long_gap_fades_out_passes_through_and_fades_in(rate):
    """Held for HOLD seconds, the last FADE of them fading; then somebody new, fading in."""
    gap = round(rate)
    seen, _ = follow([[face(50)]] * 6 + [[]] * gap + [[face(90)]] * 20, rate=rate)
    found = opacities(seen)
    full = round((HOLD - FADE) * rate)
    assert found[: 6 + full] == [1] * (6 + full)
    fading = found[6 + full : 6 + round(HOLD * rate)]
    assert all(a > b for a, b in pairwise(fading)) and fading[0] == pytest.approx(1 - 1 / (FADE * rate), abs=0.15)
    assert not any(found[7 + round(HOLD * rate) : 6 + gap])
    rising = found[6 + gap : 6 + gap + round(FADE * rate) + 1]
    assert rising[0] == pytest.approx(1 / (FADE * rate), abs=0.02) and rising[-1] == pytest.approx(1)
    assert len({s.person for one in seen for s in one.sightings}) == 2
    assert centres(seen)[-10:] == pytest.approx([90] * 10, abs=0.6)  # nothing of the old place is left


def test_a_face_that_leaves_the_picture_leaves_no_mouth_behind():
    script = [[face(145 + n)] for n in range(6)] + [[]] * 5
    seen, _ = follow(script)
    assert opacities(seen) == [1] * 6 + [0] * 5


def test_somebody_else_is_not_taken_for_a_lost_face():
    script = [[face(40), face(110)]] + [[face(110 + i / 2)] for i in range(25)] + [[face(60), face(122)]] * 2
    seen, _ = follow(script, [(40.0, 45.0)])
    assert not any(opacities(seen)[14:26])
    assert centres(seen)[-1] == pytest.approx(60, abs=1.5)


def test_a_cut_picks_anew_at_once():
    script = [[face(40), face(110, width=20)]] * 3 + [[face(100), face(30, width=40)]] * 2 + [[]] * 2
    seen, _ = follow(script, shots=[0, 0, 0, 1, 1, 2, 2])
    assert centres(seen) == pytest.approx([40, 40, 40, 30, 30], abs=1.5)
    assert opacities(seen) == [1, 1, 1, 1, 1, 0, 0]
    assert [one.starts_shot for one in seen] == [True, False, False, True, False, True, False]


def test_frames_before_the_first_face_show_nobody():
    seen, _ = follow([[], [], [face(50)], [face(50)]])
    assert opacities(seen) == pytest.approx([0, 0, 0.25, 0.5])


def test_two_speakers_keep_to_their_faces_when_these_pass_each_other():
    left = [face(30 + 2 * n, 30) for n in range(40)]
    right = [face(120 - 2 * n, 60) for n in range(40)]
    seen, _ = follow([[a, b] if n % 2 else [b, a] for n, (a, b) in enumerate(zip(left, right))], [0, 1])
    assert centres(seen, 0) == pytest.approx([30 + 2 * n for n in range(40)], abs=2)
    assert centres(seen, 1) == pytest.approx([120 - 2 * n for n in range(40)], abs=2)
    assert len({(s.speaker, s.person) for one in seen for s in one.sightings}) == 2


def test_no_two_speakers_share_a_face():
    seen, _ = follow([[face(50)]] * 3, ["largest", "center"])
    assert all(len(one.sightings) == 1 for one in seen)


def test_faces_move_evenly_between_detections():
    """Every third frame is looked at; frames come out late, and lie between."""
    script = [[face(40 + 2 * n)] for n in range(31)]
    seen, asked = follow(script, every=0.12)
    assert asked == list(range(0, 31, 3))
    assert centres(seen) == pytest.approx([40 + 2 * n for n in range(31)], abs=1.0)
    step = torch.tensor(centres(seen)[12:]).diff()
    assert (step - 2).abs().max() < 0.2


def test_the_last_frames_of_a_shot_are_looked_at():
    """No frame waits beyond a cut, and the one before it is seen as it is."""
    script = [[face(40 + n)] for n in range(8)] + [[face(100)]] * 5
    seen, asked = follow(script, shots=[0] * 8 + [1] * 5, every=0.2)
    assert asked == [0, 5, 7, 8, 12]
    assert centres(seen) == pytest.approx([40 + n for n in range(8)] + [100] * 5, abs=1.2)


def test_a_head_that_is_turned_too_far_is_left_alone_and_comes_back():
    """Beyond 45 degrees the mouth goes, at 38 it returns; in between it stays as it is."""
    degrees = [0] * 4 + [42] * 4 + [50] * 8 + [42] * 4 + [35] * 8
    seen, _ = follow([[replace(face(50), yaw=angle)] for angle in degrees])
    levels = opacities(seen)
    assert levels[:8] == [1.0] * 8
    assert levels[8:20] == [0.0] * 12
    assert levels[20:24] == pytest.approx([0.25, 0.5, 0.75, 1.0]) and levels[24:] == [1.0] * 4
    assert {s.person for one in seen for s in one.sightings} == {0}
    assert {one.absence for one in seen if not one.sightings} == {"turned away"}


def test_a_shot_may_start_with_a_turned_head():
    seen, _ = follow([[replace(face(50), yaw=80.0)]] * 4 + [[face(50)]] * 6)
    assert opacities(seen) == pytest.approx([0] * 4 + [0.25, 0.5, 0.75, 1, 1, 1])


def test_a_covered_mouth_is_left_alone_and_comes_back():
    seen_skin, something = torch.rand(2, 468, 3, generator=torch.Generator().manual_seed(0))
    textures = [seen_skin] * 8 + [something] * 8 + [seen_skin] * 8
    seen, _ = follow([[replace(face(50), texture=texture)] for texture in textures])
    levels = opacities(seen)
    assert levels[:8] == [1.0] * 8
    assert levels[8:16] == [0.0] * 8
    assert levels[16:] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 1])
    assert {one.absence for one in seen if not one.sightings} == {"mouth hidden"}


def test_a_mouth_is_gone_by_the_picture_that_shows_what_covers_it():
    """Also where the face moves, and is looked at in every second picture."""
    seen_skin, something = torch.rand(2, 468, 3, generator=torch.Generator().manual_seed(0))
    textures = [seen_skin] * 8 + [something] * 4 + [seen_skin] * 6
    script = [[replace(face(50 + 2 * n), texture=texture)] for n, texture in enumerate(textures)]
    seen, asked = follow(script, every=0.08)
    assert {8, 10} <= {*asked}
    levels = opacities(seen)
    assert levels[:7] == [1.0] * 7 and levels[7:9] == pytest.approx([0.5, 0]) and levels[9:12] == [0.0] * 3
    assert levels[12] > 0 and levels[-1] == 1


def test_a_turned_head_is_not_taken_for_a_covered_mouth():
    """What its skin looks like from the side is neither judged nor learnt."""
    seen_skin, side = torch.rand(2, 468, 3, generator=torch.Generator().manual_seed(0))
    turned = replace(face(50), texture=side, yaw=80.0)
    seen, _ = follow(
        [[replace(face(50), texture=seen_skin)]] * 4 + [[turned]] * 6 + [[replace(face(50), texture=seen_skin)]] * 6
    )
    assert opacities(seen)[10:] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])
    assert {one.absence for one in seen if not one.sightings} == {"turned away"}


def test_still_faces_are_looked_at_half_as_often():
    script = [[face(50)] for _ in range(20)] + [[face(50 + 2 * n)] for n in range(20)]
    _, asked = follow(script, every=0.08)
    assert asked == [0, 2, 6, 10, 14, 18, 22, 24, 26, 28, 30, 32, 34, 36, 38, 39]


def test_a_detector_is_told_who_is_known_and_when_to_look_for_others():
    calls = []

    def detector(picture, known, search):
        calls.append((picture.number, [float(one.box[0]) for one in known], search))
        return [face(50)]

    follower = DetectingFollower(detector, every=0.0)
    for frame in frames([0] * 26 + [1] * 2):
        follower.push(frame)
    assert [number for number, _, search in calls if search] == [0, 24, 26]
    assert [number for number, known, _ in calls if not known] == [0, 26]
    assert all(known in ([], [38.0]) for _, known, _ in calls)


def test_who_misses_is_looked_for_sooner():
    asked = []

    def detector(picture, known, search):
        asked.append(search)
        return [face(50)]

    follower = DetectingFollower(detector, ["largest", 1], every=0.0)
    for frame in frames([0] * 26):
        follower.push(frame)
    assert [number for number, search in enumerate(asked) if search] == [0, 12, 24]


def test_who_names_somebody_comes_first():
    seen, _ = follow([[face(40), face(110, width=40.0)]] * 3, ("largest", 1))
    assert centres(seen, 0) == pytest.approx([40] * 3, abs=1.2)
    assert centres(seen, 1) == pytest.approx([110] * 3, abs=1.2)


def test_the_look_ahead_is_kept():
    follower = DetectingFollower(lambda *_: [face(50)])
    assert follower.look_ahead == 2 * EVERY
    waiting = 0
    for frame in frames([0] * 50, 50):
        waiting += 1 - len(follower.push(frame))
        assert waiting <= 2 * EVERY * 50


def test_the_state_does_not_grow():
    script = [[face(40), face(110)], [face(40)], [], [face(110)]] * 100
    follower = DetectingFollower(lambda picture, *_: script[picture.number])
    for frame in frames([0] * len(script)):
        follower.push(frame)
        assert len(follower._people) <= 8 and len(follower._waiting) <= 3


def test_fixed_followers():
    shots = frames([0, 0, 1])
    full = FixedFollower()
    seen = [full.push(frame)[0][1] for frame in shots]
    assert all(torch.equal(one.sightings[0].matrix, full_frame_matrix(*SIZE)) for one in seen)
    assert [one.starts_shot for one in seen] == [True, False, True]
    assert [one.sightings[0].person for one in seen] == [0, 0, 1] and full.finish() == []
    box = box_matrix(30, 20, 60, 55)
    assert torch.equal(FixedFollower(box).push(shots[0])[0][1].sightings[0].matrix, box)


def test_recorded_track_is_given_out_frame_by_frame():
    shots = frames([0, 0, 1])
    fixed = FixedFollower()
    track = Track(tuple(fixed.push(frame)[0][1] for frame in shots), SIZE)
    assert track.found == len(track) == 3
    recorded = RecordedFollower(track)
    assert [recorded.push(frame)[0][1] for frame in shots] == list(track.seen)
    with pytest.raises(InputError, match="of 3 frames of 160 x 90 pixels and does not fit"):
        recorded.push(shots[0])
    other = Frame(ImagePicture(torch.zeros(20, 10, 3, dtype=torch.uint8)), 0.0, 0, 0)
    with pytest.raises(InputError, match="frame 1: 10 x 20"):
        RecordedFollower(track).push(other)
