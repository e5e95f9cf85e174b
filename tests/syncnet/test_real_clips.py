"""Scoring recordings of real people with a SyncNet v2 of random weights: everything but the number itself."""

from __future__ import annotations

from itertools import islice

import pytest
import torch

from lipforcing.faces.yunet import YuNetDetector
from lipforcing.media import AudioSource, ImagePicture, VideoReader
from lipforcing.syncnet import SyncNet, SyncNetConfig, score_video
from lipforcing.syncnet.tracks import square_crop
from lipforcing.syncnet.video import clock_pictures, find_faces
from lipforcing.syncnet.windows import AudioTrack, LipTrack, to_pcm16

FRAMES = 81


@pytest.fixture(scope="module")
def detector(assets):
    return YuNetDetector(assets / "models" / "yunet_final.pth")


@pytest.fixture(scope="module")
def model() -> SyncNet:
    """The published sizes would take minutes here; channels do not matter for what is tested."""
    torch.manual_seed(1)
    config = SyncNetConfig(224, (8, 8, 8, 8, 8, 16), (8, 8, 8, 8, 8, 16), 32)
    return SyncNet(config).eval()


def face_in(detector, crop: torch.Tensor):
    return max(detector(ImagePicture(crop)), key=lambda face: face.score)


@pytest.mark.parametrize("clip", ["hdtf_1_input", "talkvid_2_input"])
def test_one_person_is_one_track_and_the_crop_is_where_syncnet_wants_it(assets, detector, clip):
    """The second clip shows a toy with a face as well."""
    with VideoReader(assets / "clips" / f"{clip}.mp4", duration=2.4) as reader:
        tracks = find_faces(clock_pictures(reader), detector).tracks()
        assert [(track.first, len(track.squares)) for track in tracks] == [(0, 60)]
        squares = tracks[0].squares
        for index, picture in islice(enumerate(clock_pictures(reader)), 8, 52, 14):
            crop = square_crop(picture.rgb(), squares[index], 224)
            left, top, right, bottom = face_in(detector, crop).box.tolist()
            # the square of the box, 80 pixels high in a crop of 224, lies from row 0 to 160
            assert (left + right) / 2 == pytest.approx(112, abs=14) and (top + bottom) / 2 == pytest.approx(80, abs=14)
            assert max(right - left, bottom - top) == pytest.approx(160, abs=16)


def test_windows_of_picture_and_sound_belong_together(assets, detector, model):
    """Every window of the report hears the samples of the very frames that it sees."""
    path = assets / "clips" / "hallo3_1_input.mp4"
    waveform = AudioSource(path).mono16k()
    with VideoReader(path) as reader:
        result = score_video(model, reader, waveform, detector=detector)
        (face,) = result.faces
        assert (face.first, face.frames) == (0, FRAMES) and len(waveform) >= 640 * (FRAMES - 1)
        squares = find_faces(clock_pictures(reader), detector).tracks()[0].squares
        pictures = islice(clock_pictures(reader), 25, 54)
        crops = torch.stack([square_crop(picture.rgb(), squares[25 + i], 224) for i, picture in enumerate(pictures)])
    report = face.report
    assert report.windows == min(FRAMES, len(waveform) // 640) - 5 == len(report.curve)
    offset = report.padded.offset
    with torch.no_grad():
        seen = LipTrack(model)(crops)  # windows 25 ... 49, the report's second second
        heard = AudioTrack(model, to_pcm16(waveform)).embeddings(25 - offset, 50 - offset)
    distance = torch.nn.functional.pairwise_distance(seen, heard).mean()
    level = report.padded.mean_distances.median()
    assert report.per_second[1, 0].item() == pytest.approx((level - distance).item(), abs=1e-5)


def test_a_dubbed_30_fps_portrait_is_scored_on_the_25_fps_clock(assets, detector, model):
    clips = assets / "clips"
    with VideoReader(clips / "ls_demo3.mp4", duration=2.6) as reader:
        waveform = AudioSource(clips / "ls_demo3.wav").mono16k()
        result = score_video(model, reader, waveform, detector=detector)
    (face,) = result.faces
    assert (face.first, face.frames) == (0, 65) and face.report.windows == 60
    assert result.report.padded.mean_distances.isfinite().all()
