"""Procedural talking faces: ``Identity.sample``, ``sample_head``, ``render``.

A picture is the aligned face crop of the reference pipeline itself: template space, 420 wide and 560 high
(docs/model.md, Face crop), stretched to the output size. Nothing here draws on global randomness: the same arguments
give the same pixels. Only pixels well inside the mouth mask (docs/model.md, Mouth mask) depend on the mouth track.

Mouth track: float32 [T, 5], every column 0..1
    opening   0 lips closed, 1 wide open
    width     0 drawn together, about 0.4 relaxed, 1 spread
    rounding  0 none, 1 pursed and protruding
    teeth     how much of the upper (and above 0.4 also the lower) teeth shows
    tongue    0 resting, 1 tip at the upper teeth
Head track: float32 [T, 8]
    dx, dy (template px), log scale, roll, yaw, pitch (radians), blink (0 open .. 1 closed), brow raise (0..1)
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from ..timeline import FPS
from .features import draw_brow, draw_eye, draw_glasses, draw_mouth, jaw_drop
from .identity import Identity
from .portrait import MIDLINE, REGION, TEMPLATE_HEIGHT, TEMPLATE_WIDTH, background, grid, head, smooth

__all__ = ["HEAD", "MOUTH", "RELAXED", "Identity", "render", "sample_head"]

MOUTH = ("opening", "width", "rounding", "teeth", "tongue")
HEAD = ("dx", "dy", "log_scale", "roll", "yaw", "pitch", "blink", "brow")
RELAXED = (0.0, 0.4, 0.0, 0.0, 0.0)

_PIVOT_Y = 170.0
_MOTION = (2.4, 2.0, 0.006, 0.011, 0.085, 0.06)  # largest swing of dx, dy, log scale, roll, yaw, pitch
_CHUNK = 32


def sample_head(seed: int, frames: int) -> Tensor:
    """Smooth idle head motion, blinks and brow raises at 25 fps as [frames, 8] (columns ``HEAD``).

    A longer track of the same seed begins with the shorter one.
    """
    rng = np.random.default_rng((seed, 2))
    t = np.arange(frames) / FPS
    track = np.zeros((frames, 8))
    for column, swing in enumerate(_MOTION):
        rates, phases = rng.uniform((0.07, 0.2, 0.45), (0.16, 0.4, 0.8)), rng.uniform(0, 2 * np.pi, 3)
        for rate, phase, weight in zip(rates, phases, (0.55, 0.33, 0.12)):
            track[:, column] += swing * weight * np.sin(2 * np.pi * rate * t + phase)
    moment = rng.uniform(0.3, 3.0)
    while moment < frames / FPS:
        length = rng.uniform(0.17, 0.26)
        phase = np.clip((t - moment) / length, 0, 1)
        track[:, 6] = np.maximum(track[:, 6], np.sin(np.pi * phase**0.8) ** 1.3)
        moment += rng.uniform(1.8, 4.8)
    rng = np.random.default_rng((seed, 5))  # its own, so that the number of blinks does not shift the brows
    moment = rng.uniform(0.0, 3.0)
    while moment < frames / FPS:
        length, height = rng.uniform(0.5, 1.3), rng.uniform(0.3, 1.0)
        track[:, 7] += height * np.sin(np.pi * np.clip((t - moment) / length, 0, 1)) ** 2
        moment += length + rng.uniform(0.8, 4.0)
    return torch.from_numpy(track).float()


def render(who: Identity, mouth: Tensor, pose: Tensor, size: tuple[int, int]) -> Tensor:
    """Draws ``who`` with ``mouth`` [T, 5] and head track ``pose`` [T, 8] as uint8 [T, H, W, 3], ``size`` = (H, W)."""
    if mouth.ndim != 2 or mouth.shape[1] != 5 or pose.shape != (mouth.shape[0], 8):
        raise InputError(
            f"mouth track {tuple(mouth.shape)} and head track {tuple(pose.shape)} do not fit: give [T, 5] and [T, 8]."
        )
    stage = _Stage(who, size)
    parts = zip(mouth.float().split(_CHUNK), pose.float().split(_CHUNK))
    return torch.cat([stage.frames(m, p) for m, p in parts])


class _Stage:
    """What one clip of one person keeps between frames: the two still pictures and per-pixel geometry."""

    def __init__(self, who: Identity, size: tuple[int, int]):
        self.who, self.size = who, size
        height, width = size
        self.edge = 0.5 * (TEMPLATE_WIDTH / width + TEMPLATE_HEIGHT / height)
        density = 1.0 + min(1.0, 128 / width)  # the texture is finer than the picture, or bilinear sampling blurs it
        rows = math.ceil((REGION[3] - REGION[1]) / TEMPLATE_HEIGHT * height * density)
        columns = math.ceil((REGION[2] - REGION[0]) / TEMPLATE_WIDTH * width * density)
        self.texture = head(who, (rows, columns), self.edge)
        self.wall = background(who, size)
        x, y = grid(size, (0, 0, TEMPLATE_WIDTH, TEMPLATE_HEIGHT))
        self.x, self.y = x - MIDLINE, y
        dome = (1 - (self.x / 230) ** 2 - ((y - 270) / 330) ** 2).clamp_min(0).sqrt()
        nose = torch.exp(-((self.x / 36) ** 2) - ((y - 236) / 44) ** 2)
        self.depth = 62 * dome + 34 * nose - 50
        self.follow = 1 - 0.6 * smooth(y, 480, 560)  # the body takes less part in the motion of the head
        # Where the mouth may move skin: an ellipse that lies inside the mouth mask with a margin.
        radius = (self.x / 172) ** 2 + ((y - 340) / 180) ** 2
        self.reach = smooth(radius, 1.0, 0.68) * smooth(y, 294, 330)
        self.jaw = self.reach * smooth(y, 345, 440) * smooth(self.x.abs(), 165, 60)
        self.eyes = self._box(-206, 206, 66, 262)
        self.lips = self._box(-138, 138, 290, 470)

    def _box(self, x0: float, x1: float, y0: float, y1: float) -> tuple[slice, slice]:
        """Rows and columns of the pixels within a template rectangle (x from the midline)."""
        rows = ((self.y[:, 0] >= y0) & (self.y[:, 0] <= y1)).nonzero().flatten()
        columns = ((self.x[0] >= x0) & (self.x[0] <= x1)).nonzero().flatten()
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)

    def frames(self, mouth: Tensor, pose: Tensor) -> Tensor:
        """uint8 [t, H, W, 3] of mouth [t, 5], pose [t, 8]."""
        x, y = self._head_coordinates(pose)
        below = y - jaw_drop(self.who, mouth).view(-1, 1, 1) * self.jaw
        left, top, right, bottom = REGION
        where = torch.stack(
            ((x + MIDLINE - left) * (2 / (right - left)) - 1, (below - top) * (2 / (bottom - top)) - 1), -1
        )
        texture = self.texture.expand(len(mouth), -1, -1, -1)
        sampled = functional.grid_sample(texture, where, mode="bilinear", padding_mode="border", align_corners=False)
        sampled = sampled.permute(0, 2, 3, 1)
        picture = sampled[..., :3] + (1 - sampled[..., 3:4]) * self.wall
        self._draw_eyes(picture, x, y, sampled[..., 4], pose)
        rows, columns = self.lips
        patch = picture[:, rows, columns]
        drawn = draw_mouth(self.who, x[:, rows, columns], y[:, rows, columns], mouth, patch, self.edge)
        picture[:, rows, columns] = torch.lerp(patch, drawn, self.reach[rows, columns, None])
        return (picture * 255 + 0.5).clamp(0, 255).to(torch.uint8)

    def _head_coordinates(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Where each pixel lies on the head at rest: x from the midline and y, [t, H, W], template px."""
        dx, dy, scale, roll, yaw, pitch = (column.view(-1, 1, 1) for column in pose[:, :6].unbind(-1))
        across, down = self.x - dx, self.y - dy - _PIVOT_Y
        cos, sin = torch.cos(roll) * torch.exp(-scale), torch.sin(roll) * torch.exp(-scale)
        x = cos * across + sin * down - yaw * self.depth
        y = cos * down - sin * across + _PIVOT_Y - pitch * self.depth
        return torch.lerp(self.x, x, self.follow), torch.lerp(self.y, y, self.follow)

    def _draw_eyes(self, picture: Tensor, x: Tensor, y: Tensor, hidden: Tensor, pose: Tensor) -> None:
        rows, columns = self.eyes
        blink, raised = pose[:, 6].view(-1, 1, 1), pose[:, 7].view(-1, 1, 1)
        look = torch.stack((-25 * pose[:, 4], -25 * pose[:, 5]), -1).view(-1, 1, 1, 2)  # the gaze stays on the camera
        middle = (columns.start + columns.stop) // 2
        for side, half in ((-1.0, slice(columns.start, middle)), (1.0, slice(middle, columns.stop))):
            px, py, patch = x[:, rows, half], y[:, rows, half], picture[:, rows, half]
            clear = 1 - hidden[:, rows, half]
            patch = draw_eye(self.who, side, px, py, blink, look, patch, clear, self.edge)
            patch = draw_brow(self.who, side, px, py, 9 * raised, patch, clear, self.edge)
            if self.who.glasses:
                patch = draw_glasses(self.who, px, py, patch, self.edge)
            picture[:, rows, half] = patch
