"""What the network sees of a face."""

from __future__ import annotations

import math

import pytest
import torch

from lipforcing.faces.align import CROP_SIZE, TEMPLATE, full_frame_matrix, similarity
from lipforcing.faces.crop import face_region
from lipforcing.faces.warp import invert, transform
from lipforcing.media import ImagePicture

from .pasting import crops_of


def known(scale: float, angle: float, x: float, y: float) -> torch.Tensor:
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    return torch.tensor([[c, -s, x], [s, c, y]])


def ramp(height: int, width: int) -> torch.Tensor:
    """uint8 [1, H, W, 3]: red counts columns, green rows."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y, torch.zeros_like(x)], -1).to(torch.uint8)[None]


def test_crop_holds_the_pixels_that_the_matrix_names():
    matrix = known(4.0, 0.2, 80.0, -60.0)
    crop = crops_of(ramp(240, 250), matrix[None], CROP_SIZE)[0].add(1).mul(127.5)
    for x, y in [(150, 200), (260, 300), (210, 420)]:
        image_x, image_y = transform(invert(matrix), torch.tensor([[float(x), float(y)]]))[0]
        red, green, _ = crop[:, y - 20 : y + 21, x - 20 : x + 21].mean((1, 2))  # a single pixel is rounded to 8 bits
        assert (float(red), float(green)) == pytest.approx((float(image_x), float(image_y)), abs=0.05)


def test_anchors_land_where_the_network_expects_them():
    eye = torch.tensor([[60.0, 50.0], [100.0, 52.0], [80.0, 72.0]])
    y, x = torch.meshgrid(torch.arange(140.0), torch.arange(160.0), indexing="ij")
    matrix = similarity(eye)
    at = transform(invert(matrix), TEMPLATE)  # where the template's points lie in the image
    for i, expected in enumerate([(116.16, 102.36), (396.06, 102.36), (256.11, 204.76)]):
        blob = torch.exp(-((x - at[i, 0]) ** 2 + (y - at[i, 1]) ** 2) / 8)
        frame = (blob * 255).round().to(torch.uint8)[None, :, :, None].expand(1, -1, -1, 3)
        seen = crops_of(frame, matrix[None])[0, 0].add(1)
        seen = torch.where(seen > 0.4, seen, 0)  # the blob alone, not the grey outside the frame
        window = seen[: 320 if i == 2 else 220]
        rows, columns = torch.meshgrid(*(torch.arange(float(n)) for n in window.shape), indexing="ij")
        mid_x, mid_y = ((window * c).sum() / window.sum() for c in (columns, rows))
        assert (float(mid_x), float(mid_y)) == pytest.approx(expected, abs=0.4)


def test_outside_the_frame_is_grey_127():
    frames = torch.full((2, 20, 20, 3), 255, dtype=torch.uint8)
    far = torch.tensor([[1.0, 0.0, 5000.0], [0.0, 1.0, 0.0]])
    partly = torch.tensor([[1.0, 0.0, 200.0], [0.0, 1.0, 300.0]])
    crops = crops_of(frames, torch.stack([far, partly]), CROP_SIZE)
    grey = 127 / 127.5 - 1
    assert torch.allclose(crops[0], torch.tensor(grey), atol=1e-6)
    assert torch.allclose(crops[1, :, :290], torch.tensor(grey), atol=1e-6)
    assert crops[1, 0, 310, 210] == 1


def test_a_face_much_larger_than_the_crop_does_not_alias():
    _, x = torch.meshgrid(torch.arange(560 * 3), torch.arange(420 * 3), indexing="ij")
    stripes = ((x % 3 == 1) * 255).to(torch.uint8)[None, :, :, None].expand(1, -1, -1, 3)
    matrix = torch.tensor([[1 / 3, 0.0, 0.1], [0.0, 1 / 3, 0.1]])
    inner = crops_of(stripes, matrix[None], CROP_SIZE)[0, :, 10:-10, 10:-10].add(1).mul(127.5)
    assert (inner - 85).abs().max() < 1  # bilinear sampling alone would see nothing but the bright stripes


def test_small_crops_do_not_alias():
    torch.manual_seed(0)
    noise = torch.randint(0, 256, (1, 560, 420, 3), dtype=torch.uint8)
    small = crops_of(noise, torch.eye(2, 3)[None], (32, 32))
    assert small.std() < 0.12  # the standard deviation of the noise is 0.58


def test_footage_that_is_a_crop_is_only_resized():
    frames = torch.randint(0, 256, (2, 96, 96, 3), dtype=torch.uint8)
    crops = crops_of(frames, full_frame_matrix(96, 96).expand(2, 2, 3), (96, 96))
    assert torch.allclose(crops.add(1).mul(127.5), frames.permute(0, 3, 1, 2).float(), atol=1e-3)


class Watched(ImagePicture):
    """A picture that says what was looked at."""

    asked: list[tuple[int, int, int, int]] = []  # noqa: RUF012

    def region(self, *rectangle):
        self.asked.append(rectangle)
        return super().region(*rectangle)


def test_only_the_rectangle_around_the_faces_is_looked_at_once():
    pictures = [Watched(torch.zeros(1000, 1500, 3, dtype=torch.uint8)) for _ in range(3)]
    matrices = torch.stack([known(2.0, 0.0, -1000.0 - 20 * n, -600.0) for n in range(3)])
    region = face_region(pictures, matrices)
    assert len(Watched.asked) == 3 and len(set(Watched.asked)) == 1
    top, left, height, width = Watched.asked[0]
    assert (region.top, region.left) == (top, left) and region.pixels.shape == (3, 3, height, width)
    corners = transform(invert(matrices), torch.tensor([[0.0, 0.0], [419.0, 559.0]]))
    assert left <= corners[..., 0].min() and top <= corners[..., 1].min()
    assert left + width > corners[..., 0].max() and top + height > corners[..., 1].max()
    assert width < 210 + 20 + 8 and height < 280 + 8
    corner = transform(region.to_region, torch.tensor([[float(left), float(top)]]))
    assert torch.equal(corner, torch.zeros(1, 2))


def test_crops_of_a_batch_are_those_of_every_picture_alone():
    frames = torch.randint(0, 256, (3, 120, 150, 3), dtype=torch.uint8)
    matrices = torch.stack([known(4.0, 0.1 * n, 30.0 * n - 60, -40.0) for n in range(3)])
    together = crops_of(frames, matrices, (64, 64))
    for i in range(3):
        alone = crops_of(frames[i : i + 1], matrices[i : i + 1], (64, 64))
        torch.testing.assert_close(together[i : i + 1], alone, atol=1.01 / 127.5, rtol=0)  # rounded to 8 bits
        assert (together[i : i + 1] - alone).abs().mean() < 0.1 / 127.5
