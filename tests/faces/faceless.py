"""Pictures without a face: flat colours, gradients, noise, fractals and textures, 78 in all."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F

SIZE = (360, 640)
FLAT = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
    "navy": (0, 0, 128),
    "blue": (0, 0, 255),
    "screen blue": (16, 40, 200),
    "red": (220, 20, 20),
    "green": (0, 177, 64),
    "yellow": (250, 220, 30),
    "magenta": (255, 0, 255),
    "skin": (224, 172, 138),
    "brown": (110, 70, 45),
}
PAIRS = ((FLAT["black"], FLAT["skin"]), (FLAT["navy"], FLAT["white"]), (FLAT["brown"], FLAT["yellow"]))


def faceless() -> Iterator[tuple[str, torch.Tensor]]:
    """(name, uint8 [360, 640, 3] RGB) of every picture; the same ones every time."""
    for group in (_flat, _gradients, _noise, _fractals, _textures):
        for name, picture in group():
            yield name, picture.clamp(0, 1).mul(255).round().to(torch.uint8)


def _coordinates() -> tuple[torch.Tensor, torch.Tensor]:
    """x and y of every pixel from the middle, half the height as unit."""
    height, width = SIZE
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (x - width / 2) / (height / 2), (y - height / 2) / (height / 2)


def _mix(weight: torch.Tensor, pair: tuple) -> torch.Tensor:
    """Two colours, by weight [H, W]."""
    low, high = (torch.tensor(colour) / 255 for colour in pair)
    return low + weight.clamp(0, 1)[..., None] * (high - low)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _flat() -> Iterator[tuple[str, torch.Tensor]]:
    for name, colour in FLAT.items():
        yield f"flat {name}", (torch.tensor(colour) / 255).expand(*SIZE, 3)


def _gradients() -> Iterator[tuple[str, torch.Tensor]]:
    x, y = _coordinates()
    weights = {
        "across": x / 3.6 + 0.5,
        "down": y / 2 + 0.5,
        "spot": 1 - x.hypot(y),
        "oval": 1.5 - 1.5 * x.hypot(y / 1.3),
    }
    for name, weight in weights.items():
        for number, pair in enumerate(PAIRS):
            yield f"gradient {name} {number}", _mix(weight, pair)


def _noise() -> Iterator[tuple[str, torch.Tensor]]:
    for seed in range(3):
        random = _seeded(seed)
        colours = torch.rand(*SIZE, 3, generator=random)
        grey = torch.rand(*SIZE, 1, generator=random).expand(-1, -1, 3)
        yield f"noise in colour {seed}", colours
        yield f"noise grey {seed}", grey
        yield f"noise of grains {seed}", (grey > 0.95).float()
        for cell in (8, 24, 72):
            coarse = torch.rand(1, 3, SIZE[0] // cell + 2, SIZE[1] // cell + 2, generator=random)
            smooth = F.interpolate(coarse, size=SIZE, mode="bicubic", align_corners=False)
            yield f"noise of cells of {cell} {seed}", smooth[0].permute(1, 2, 0)


def _fractals() -> Iterator[tuple[str, torch.Tensor]]:
    frequency = torch.fft.fftfreq(SIZE[0])[:, None].hypot(torch.fft.rfftfreq(SIZE[1])[None]).clamp(min=1 / SIZE[1])
    for seed in range(3):
        for exponent in (1.0, 1.5, 2.0):
            white = torch.fft.rfft2(torch.randn(SIZE, generator=_seeded(10 + seed)))
            cloud = torch.fft.irfft2(white / frequency**exponent, SIZE)
            yield f"cloud {exponent} {seed}", _mix(0.5 + cloud / cloud.std() / 5, PAIRS[seed])
    x, y = _coordinates()
    plane = torch.complex(x, y) * 1.3
    seeds = (-0.8 + 0.156j, 0.285 + 0.01j, -0.4 + 0.6j, -0.7269 + 0.1889j, 0.355 + 0.355j, -0.123 + 0.745j)
    for number, seed in enumerate(seeds):
        yield f"Julia set {number}", _mix(_escape(plane, torch.full_like(plane, seed)), PAIRS[number % 3])
    for number, pair in enumerate(PAIRS):
        point = plane * (1, 0.2, 0.02)[number] - 0.75 + (0, 0.1, 0.11)[number] * 1j
        yield f"Mandelbrot set {number}", _mix(_escape(torch.zeros_like(point), point), pair)


def _escape(z: torch.Tensor, c: torch.Tensor, steps: int = 60) -> torch.Tensor:
    """Share of the steps that z -> z^2 + c stays small: [H, W]."""
    stays = torch.zeros(z.shape)
    for _ in range(steps):
        z = z * z + c
        small = z.abs() < 4
        z = torch.where(small, z, torch.full_like(z, 8))
        stays += small
    return stays / steps


def _textures() -> Iterator[tuple[str, torch.Tensor]]:
    x, y = _coordinates()
    for number, pair in enumerate(PAIRS):
        size = (4, 10, 25)[number]
        yield f"chequers {size}", _mix(((x * size).floor() + (y * size).floor()) % 2, pair)
        angle = torch.tensor(0.5 + number)
        yield f"stripes {number}", _mix((size * (x * angle.cos() + y * angle.sin())).sin() / 2 + 0.5, pair)
        yield f"dots {size}", _mix((((x * size) % 1 - 0.5).hypot((y * size) % 1 - 0.5) < 0.3).float(), pair)
        row = (y * size / 2).floor()
        joints = ((y * size / 2) % 1 < 0.08) | ((x * size / 4 + row / 2) % 1 < 0.04)
        yield f"bricks {size}", _mix(joints.float(), pair)
        yield f"rings {number}", _mix((x * 3).hypot(y + number).mul(size).sin() / 2 + 0.5, pair)
        points = torch.rand(40, 2, generator=_seeded(20 + number)) * torch.tensor([3.6, 2]) - torch.tensor([1.8, 1])
        nearest = (x[..., None] - points[:, 0]).hypot(y[..., None] - points[:, 1]).topk(2, largest=False).values
        yield f"cells {number}", _mix((nearest[..., 1] - nearest[..., 0]) * 4, pair)
