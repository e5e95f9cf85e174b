"""The face detector: its file, its decoding, its coordinates."""

from __future__ import annotations

import pickle

import pytest
import torch

from lipforcing.errors import InputError
from lipforcing.faces import yunet
from lipforcing.faces.yunet import YuNetDetector
from lipforcing.faces.yunet_network import YuNet
from lipforcing.media import ImagePicture


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "yunet.pth"
    torch.save(YuNet().state_dict(), path)
    return path


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.pth.*yunet_final\.pth"):
        YuNetDetector(tmp_path / "gone.pth")


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0\0\x18ftypmp42", b"not weights", pickle.dumps({"a": 1}), pickle.dumps(pickle.loads)],
    ids=["empty", "video", "text", "dict", "code"],
)
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"other\.pth is not a YuNet"):
        YuNetDetector(path)


def test_weights_of_another_model_are_refused(tmp_path, weights):
    state = torch.load(weights, weights_only=True)
    for wrong in ({"weight": torch.zeros(2, 2)}, dict(list(state.items())[:-1]), [1, 2]):
        path = tmp_path / "wrong.pth"
        torch.save(wrong, path)
        with pytest.raises(InputError, match=r"wrong\.pth is not a YuNet"):
            YuNetDetector(path)


def test_code_in_a_file_does_not_run(tmp_path):
    torch.save({"weight": torch.zeros(2), "extra": print}, tmp_path / "code.pth")
    with pytest.raises(InputError, match=r"code\.pth is not a YuNet weight file .*asks to run '__builtin__\.print'"):
        YuNetDetector(tmp_path / "code.pth")


def test_decoding_is_that_of_kornia():
    processors = pytest.importorskip("kornia.models.yunet.processors", reason="older kornia keeps it elsewhere")
    torch.manual_seed(0)
    height, width = 96, 160
    sizes = [list(level) for level in yunet.PRIOR_SIZES]
    priors = processors.PriorBox(sizes, list(yunet.STRIDES), False, (height, width))()
    offsets = torch.randn(len(priors), 14)
    expected = processors.decode(offsets, priors, list(yunet.VARIANCES)).view(-1, 7, 2) * torch.tensor([width, height])
    decoded = yunet._decode(offsets[None], height, width)[0]
    assert torch.allclose(decoded.view(-1, 7, 2), expected, atol=1e-3)


def test_boxes_of_one_face_are_merged_and_come_back_in_frame_coordinates(weights, monkeypatch):
    detector = YuNetDetector(weights, max_side=64, min_score=0.5)
    count = len(yunet._priors(64, 64))

    class Network(torch.nn.Module):
        """Reports two priors of one face, and one of another, at the centres of their cells."""

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, pixels):
            assert pixels.shape == (1, 3, 64, 64)  # 64 x 30, filled up to the least the network takes
            assert (pixels[:, 0, :30] == 9).all() and (pixels[:, 2, :30] == 200).all()  # blue first
            conf = torch.zeros(1, count, 2)
            # Priors of stride 8 come in threes; row 1, columns 1 and 6.
            conf[:, [3 * 9 + 1, 3 * 9 + 2, 3 * 14 + 2], 1] = torch.tensor([0.8, 0.4, 0.9])
            return torch.zeros(1, count, 14), conf[..., 1], torch.ones(1, count)

    monkeypatch.setattr(detector, "network", Network())
    frame = torch.tensor([200, 100, 9], dtype=torch.uint8).expand(60, 128, 3)  # twice the network's input
    first, second = detector(ImagePicture(frame))
    assert (first.layout, first.points.shape) == ("yunet5", (5, 2))
    # Prior centre (52, 12) of the input: its twofold enlargement puts it at 2 * (52 + 0.5) - 0.5.
    assert first.points[0].tolist() == pytest.approx([104.5, 24.5])
    assert second.points[0].tolist() == pytest.approx([24.5, 24.5])
    assert first.score == pytest.approx(0.9**0.5)
    assert float(first.box[2] - first.box[0]) == pytest.approx(48)
    share = 0.4**0.5 / (0.8**0.5 + 0.4**0.5)  # boxes of 16 and 24 pixels, averaged by score
    assert float(second.box[2] - second.box[0]) == pytest.approx(2 * (16 + 8 * share), abs=1e-3)


@pytest.mark.parametrize("size", [(8, 8), (48, 32), (31, 200)])
def test_tiny_pictures_have_no_face_and_do_not_crash(weights, size):
    assert YuNetDetector(weights)(ImagePicture(torch.full((*size, 3), 99, dtype=torch.uint8))) == []
