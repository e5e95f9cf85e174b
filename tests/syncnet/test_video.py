"""Scoring whole videos: which faces, which sound, at which memory."""

import weakref

import pytest
import torch

from lipforcing.faces.landmarks import Face
from lipforcing.media import AudioSource, ImagePicture, Picture, VideoReader
from lipforcing.syncnet import SyncNet, SyncNetConfig, Verdict, score, score_pictures, score_video
from lipforcing.syncnet.tracks import square_crop, whole_crop
from lipforcing.syncnet.video import find_faces
from lipforcing.timeline import SAMPLES_PER_FRAME
from lipforcing.tiny import family

SMALL = SyncNetConfig(image_size=64, lip_channels=(2, 3, 4, 5, 6, 7), audio_channels=(3, 4, 5, 6, 7, 8), embedding=9)
FRAMES = 70


class Detector:
    """Finds squares of 40 pixels by the marker that the test puts into their first pixel."""

    def __call__(self, picture: Picture, known=(), search=True) -> list[Face]:
        corners = (picture.rgb()[..., 0] == 255).nonzero().tolist()
        boxes = [torch.tensor([x, y, x + 40, y + 40]).float() for y, x in corners]
        return [Face(box, 0.99, torch.zeros(5, 2), "yunet5") for box in boxes]


def video(places) -> list[ImagePicture]:
    """Frames with a noisy square whose upper left corner is given for every frame; several or none per frame."""
    generator = torch.Generator().manual_seed(4)
    # stripes, beside which a face that comes or goes is no change of shot
    ground = (torch.arange(160) // 40 % 2 * 240).to(torch.uint8)[None, :, None].repeat(90, 1, 3)
    frames = []
    for corners in places:
        frame = ground.clone()
        for x, y in corners:
            frame[y : y + 40, x : x + 40] = torch.randint(0, 250, (40, 40, 3), generator=generator, dtype=torch.uint8)
            frame[y, x] = 255
        frames.append(ImagePicture(frame))
    return frames


@pytest.fixture(scope="module")
def model() -> SyncNet:
    torch.manual_seed(1)
    return SyncNet(SMALL).eval()


@pytest.fixture(scope="module")
def waveform() -> torch.Tensor:
    return 0.1 * torch.randn(FRAMES * SAMPLES_PER_FRAME, generator=torch.Generator().manual_seed(5))


def test_every_face_meets_the_sound_of_its_own_frames(model, waveform):
    frames = video([[(10, 20)] if i < 15 else [(10, 20), (100, 30)] for i in range(FRAMES)])
    result = score_pictures(model, lambda: frames, waveform, detector=Detector(), min_face=30)
    assert [(face.first, face.frames) for face in result.faces] == [(0, 70), (15, 55)]
    square = torch.tensor([120.0, 50.0, 20.0])
    # the median filter sees zeros beyond the ends: with a still face that changes nothing
    crops = torch.stack([square_crop(frame.rgb(), square, 64) for frame in frames[15:]])
    expected = score(model, crops, waveform[15 * SAMPLES_PER_FRAME :])
    torch.testing.assert_close(result.faces[1].report.padded.mean_distances, expected.padded.mean_distances)
    assert result.main is result.faces[0] and result.faces[1].box == pytest.approx((100, 30, 140, 70))
    plain = result.to_dict()
    assert plain["faces"][1]["start"] == 0.6 and plain["faces"][1]["windows"] == 50
    assert plain["verdict"] == plain["faces"][0]["verdict"]


def test_frames_without_a_face_are_bridged(model, waveform):
    frames = video([[] if 30 <= i < 40 else [(60, 20)] for i in range(FRAMES)])
    result = score_pictures(model, lambda: frames, waveform, detector=Detector(), min_face=30)
    assert [(face.first, face.frames) for face in result.faces] == [(0, FRAMES)]


def test_no_face_is_a_verdict(model, waveform):
    result = score_pictures(model, lambda: video([[]] * 40), waveform, detector=Detector())
    assert result.faces == () and result.report.verdict is Verdict.NO_FACE and result.report.confidence is None
    assert result.to_dict()["verdict"] == "no face"


def test_too_few_frames_is_another_verdict(model, waveform):
    result = score_pictures(model, lambda: video([[(60, 20)]] * 20), waveform, detector=Detector(), min_face=30)
    assert result.report.verdict is Verdict.TOO_SHORT


@pytest.mark.parametrize("aligned", [False, True])
def test_box_and_whole_picture(aligned, waveform):
    torch.manual_seed(1)
    model = SyncNet(SyncNetConfig(**{**vars(SMALL), "aligned": aligned})).eval()
    frames = video([[(60, 20)]] * 50)
    whole = score_pictures(model, lambda: frames, waveform, "full")
    expected = score(model, torch.stack([whole_crop(frame.rgb(), 64) for frame in frames]), waveform)
    torch.testing.assert_close(whole.report.padded.mean_distances, expected.padded.mean_distances)
    boxed = score_pictures(model, lambda: frames, waveform, (60, 20, 100, 60))
    assert boxed.faces[0].frames == 50 and boxed.report.windows == 45
    assert not torch.equal(boxed.report.padded.mean_distances, whole.report.padded.mean_distances)
    if not aligned:
        found = score_pictures(model, lambda: frames, waveform, detector=Detector(), min_face=30, min_track=20)
        torch.testing.assert_close(found.report.padded.mean_distances, boxed.report.padded.mean_distances)


def test_pictures_are_not_kept(model, waveform):
    """Scoring holds a batch of pictures, however long the video is."""
    places = [[(60, 20)]]
    alive: list[weakref.ref] = []
    most = 0

    def pictures():
        nonlocal most
        for _ in range(FRAMES):
            picture = video(places)[0]
            alive.append(weakref.ref(picture))
            yield picture
            del picture
            most = max(most, sum(one() is not None for one in alive))

    score_pictures(model, pictures, waveform, detector=Detector(), min_face=30)
    assert 1 <= most <= 9


class Recorder(Detector):
    """Remembers what it was told beside the picture."""

    def __init__(self) -> None:
        self.asked = []

    def __call__(self, picture: Picture, known=(), search=True) -> list[Face]:
        self.asked.append((len(known), search))
        return super().__call__(picture)


def test_known_faces_are_followed_and_new_ones_looked_for_twice_a_second():
    recorder = Recorder()
    find_faces(video([[(60, 20)]] * 26), recorder)
    assert recorder.asked == [(int(n > 0), n in (0, 12, 24)) for n in range(26)]


def test_bundled_clip_is_in_sync_with_its_own_sound():
    path = family.SAMPLES / "ben.mp4"
    with VideoReader(path) as reader:
        result = score_video(family.load("syncnet"), reader, AudioSource(path).mono16k(), "full").report
    assert result.verdict is None and result.offset == 0 and result.confidence > 1.5
