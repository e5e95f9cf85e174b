"""Two drawn people in one picture, whose paths cross, each with a speech of their own."""

from __future__ import annotations

import json

import av
import pytest
import torch
import torch.nn.functional as F

from lipforcing.cli import main
from lipforcing.media import AudioSource, Mix, VideoReader
from lipforcing.tiny import family
from lipforcing.tiny.measure import small_crop
from lipforcing.tiny.meter import correlation

SIZE, HEAD = (360, 640), (160, 120)
FRAMES = 75
PATHS = (((20, 6), (460, 6)), ((500, 190), (60, 190)))  # upper left corners of both heads, from and to


def corner(person: int, number: int) -> tuple[int, int]:
    (x0, y0), (x1, y1) = PATHS[person]
    share = number / (FRAMES - 1)
    return round(x0 + (x1 - x0) * share), round(y0 + (y1 - y0) * share)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    heads = []
    for name in ("ada", "ben"):
        frames = torch.stack([frame.picture.rgb() for frame in VideoReader(family.SAMPLES / f"{name}.mp4").frames()])
        heads.append(F.interpolate(frames[:FRAMES].permute(0, 3, 1, 2).float(), HEAD, mode="area").permute(0, 2, 3, 1))
    path = tmp_path_factory.mktemp("speakers") / "two.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = (*SIZE, "yuv420p")
        stream.options = {"crf": "10"}
        for number in range(FRAMES):
            image = torch.full((*SIZE, 3), 120, dtype=torch.uint8)
            for person, head in enumerate(heads):
                x, y = corner(person, number)
                image[y : y + HEAD[0], x : x + HEAD[1]] = head[number % len(head)].round().to(torch.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image.numpy(), format="rgb24")))
        container.mux(stream.encode(None))
    return str(path)


def speech(name: str) -> str:
    return str(family.SAMPLES / f"{name}.wav")


@pytest.fixture(scope="module")
def wanted() -> dict[str, torch.Tensor]:
    tracks = json.loads((family.SAMPLES / "tracks.json").read_text())
    return {name: torch.tensor(tracks[name])[:FRAMES] for name in ("market", "moon")}


@torch.inference_mode()
def openings(path) -> list[torch.Tensor]:
    """Mouth opening of both people as the meter reads it off their faces."""
    crops = [[], []]
    for number, frame in enumerate(VideoReader(path).frames()):
        for person in (0, 1):
            x, y = corner(person, number)
            crops[person].append(small_crop(frame.picture.rgb()[y : y + HEAD[0], x : x + HEAD[1]]))
    meter = family.load("meter")
    return [meter(torch.stack(one).permute(0, 3, 1, 2).float() / 127.5 - 1)[:, 0] for one in crops]


@pytest.fixture(scope="module")
def result(clip, tmp_path_factory):
    out = tmp_path_factory.mktemp("speakers") / "out.mkv"
    speakers = ["--speaker", f"{speech('market')}@0", "--speaker", f"{speech('moon')}@1"]
    assert main(["sync", clip, *speakers, "-o", str(out), "--length", "video", "--lossless"]) == 0
    return out


def test_everybody_says_their_own(result, wanted):
    left, right = openings(result)
    own = correlation(left, wanted["market"]), correlation(right, wanted["moon"])
    other = correlation(left, wanted["moon"]), correlation(right, wanted["market"])
    assert min(own) > 0.5
    assert max(other) < min(own) - 0.3


def test_the_sound_track_is_the_mix(result):
    heard = AudioSource(result).mono16k()
    mix = Mix([AudioSource(speech(name)) for name in ("market", "moon")]).mono16k()[: len(heard)]
    assert len(heard) == pytest.approx(FRAMES * 640, abs=640)
    assert torch.corrcoef(torch.stack((heard[: len(mix)], mix)))[0, 1] > 0.999


def test_nothing_else_changes(clip, result):
    for before, after in zip(VideoReader(clip).frames(), VideoReader(result).frames()):
        same = (before.picture.rgb() == after.picture.rgb()).all(-1)
        for person in (0, 1):
            x, y = corner(person, before.index)
            same[y : y + HEAD[0] + 10, max(0, x - 5) : x + HEAD[1] + 5] = True
        assert same.all()


def test_a_finished_mix_may_be_given(clip, tmp_path):
    out = tmp_path / "out.mp4"
    arguments = [clip, speech("market"), "--face", "0", "--speaker", f"{speech('moon')}@500,280", "-o", str(out)]
    assert main(["sync", *arguments, "--mix", speech("moon"), "--limit", "0.6"]) == 0
    heard, given = AudioSource(out).mono16k(), AudioSource(speech("moon")).mono16k()
    length = min(len(heard), 8_000)
    assert torch.corrcoef(torch.stack((heard[:length], given[:length])))[0, 1] > 0.95


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--speaker", "talk.wav"], "names no face"),
        (["--speaker", "@0"], "@0 names no sound"),
        ([], "There is no speech"),
        (["SPEECH", "--face", "full", "--speaker", "SPEECH@1"], "A face crop shows one speaker"),
        (["--speaker", "SPEECH@9999,9"], "no face in the picture"),
    ],
)
def test_speakers_that_cannot_be(clip, tmp_path, capsys, arguments, said):
    arguments = [text.replace("SPEECH", speech("moon")) for text in arguments]
    assert main(["sync", clip, *arguments, "-o", str(tmp_path / "out.mp4")]) == 2
    assert said in capsys.readouterr().err and not list(tmp_path.iterdir())
