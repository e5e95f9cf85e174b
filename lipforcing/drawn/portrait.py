"""The still half of a drawn face: the two pictures that do not change while it talks.

Everything is drawn in *template space*: x right 0..420, y down 0..560, the aligned crop of the reference pipeline
(docs/model.md, Face crop: brows at (95.2, 112) and (324.8, 112), nose at (210, 224)). ``X = x - 210`` counts from the
face's midline. Colours are floats in [0, 1], RGB.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .identity import Colour, Identity

TEMPLATE_WIDTH, TEMPLATE_HEIGHT = 420.0, 560.0
MIDLINE = 210.0
# The head texture reaches beyond the crop so that head motion never uncovers its border.
REGION = (-40.0, -40.0, 460.0, 600.0)


def smooth(value: Tensor, low: float, high: float) -> Tensor:
    """Smoothstep: 0 at ``low``, 1 at ``high``, level at both ends; ``low > high`` falls instead."""
    t = ((value - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def blob(x: Tensor, y: Tensor, cx: float, cy: float, rx: float, ry: float) -> Tensor:
    """Gaussian spot, 1 in its centre."""
    return torch.exp(-(((x - cx) / rx) ** 2) - ((y - cy) / ry) ** 2)


def blend(under: Tensor, colour: Tensor | Colour, alpha: Tensor) -> Tensor:
    """``colour`` over ``under`` [..., 3] with ``alpha`` [...]."""
    over = torch.as_tensor(colour, dtype=under.dtype, device=under.device)
    return torch.lerp(under, over.expand_as(under), alpha.unsqueeze(-1))


def grid(size: tuple[int, int], region: tuple[float, float, float, float]) -> tuple[Tensor, Tensor]:
    """Template coordinates x, y [h, w] of the pixel centres of a picture of ``region`` (x0, y0, x1, y1)."""
    (h, w), (x0, y0, x1, y1) = size, region
    y = y0 + (torch.arange(h) + 0.5) * ((y1 - y0) / h)
    x = x0 + (torch.arange(w) + 0.5) * ((x1 - x0) / w)
    y, x = torch.meshgrid(y, x, indexing="ij")
    return x.contiguous(), y.contiguous()


def face_outline(who: Identity, x: Tensor, y: Tensor) -> Tensor:
    """Implicit face outline, negative inside: a dome above the cheeks, a tapering superellipse below them."""
    cheek = 205.0
    below = smooth(y, cheek, who.chin)
    width = who.face_width * (1 - who.jaw_taper * below)
    power = torch.where(y > cheek, who.jaw_power, 2.6)
    rise = torch.where(y > cheek, (y - cheek) / (who.chin - cheek), (cheek - y) / (cheek + 190))
    return ((x.abs() / width) ** power + rise**power) ** (1 / power) - 1


class _Painter:
    """Canvas of one still picture; masks are made from implicit functions with edges one output pixel wide."""

    def __init__(self, size: tuple[int, int], region: tuple[float, float, float, float], edge: float):
        self.x, self.y = grid(size, region)
        self.mid = self.x - MIDLINE
        self.step = ((region[3] - region[1]) / size[0], (region[2] - region[0]) / size[1])
        self.edge = edge
        self.rgb = torch.zeros(*size, 3)
        self.alpha = torch.zeros(size)

    def distance(self, implicit: Tensor) -> Tensor:
        """First-order distance in template px of an implicit function."""
        dy, dx = torch.gradient(implicit, spacing=list(self.step))
        return implicit / (dx * dx + dy * dy).sqrt().clamp_min(1e-4)

    def inside(self, implicit: Tensor, soft: float = 0.0) -> Tensor:
        """Coverage of implicit < 0; ``soft`` widens the edge, in template px."""
        width = self.edge + soft
        return smooth(self.distance(implicit), width / 2, -width / 2)

    def paint(self, colour: Tensor | Colour, mask: Tensor) -> None:
        """``colour`` over what is there; on an empty canvas that leaves premultiplied colour."""
        self.rgb = blend(self.rgb, colour, mask)
        self.alpha = self.alpha + (1 - self.alpha) * mask

    def shade(self, factor: Tensor) -> None:
        self.rgb = self.rgb * factor.unsqueeze(-1)


def noise(seed: int, x: Tensor, y: Tensor) -> Tensor:
    """Smooth value noise in [-1, 1] with one knot per unit of ``x`` and ``y``; continues mirrored outside +-64."""
    knots = torch.rand(1, 1, 129, 129, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    where = torch.stack(((x + 9.3) / 64, (y - 21.7) / 64), -1)
    return functional.grid_sample(knots, where[None], mode="bicubic", padding_mode="reflection", align_corners=True)[
        0, 0
    ]


def _spots(seed: int, x: Tensor, y: Tensor, spacing: float) -> Tensor:
    """Round spots [h, w] in [0, 1], one in each square of ``spacing`` px, of varied place, size and strength."""
    table = torch.rand(64, 64, 4, generator=torch.Generator().manual_seed(seed))
    row, column = (y / spacing).floor(), (x / spacing).floor()
    cx, cy, radius, strength = table[row.long() % 64, column.long() % 64].unbind(-1)
    away = (x / spacing - column - 0.3 - 0.4 * cx) ** 2 + (y / spacing - row - 0.3 - 0.4 * cy) ** 2
    return torch.exp(-away / (0.08 + 0.10 * radius) ** 2) * strength


def background(who: Identity, size: tuple[int, int]) -> Tensor:
    """The wall behind the head as [H, W, 3]: a gradient, a few soft discs of light, a vignette."""
    x, y = grid(size, (0, 0, TEMPLATE_WIDTH, TEMPLATE_HEIGHT))
    rng = np.random.default_rng((who.seed, 1))
    along = ((x - 210) * np.cos(who.wall_angle) + (y - 280) * np.sin(who.wall_angle)) / 700 + 0.5
    picture = torch.lerp(torch.tensor(who.wall), torch.tensor(who.wall_far), along[..., None].clamp(0, 1))
    for _ in range(7):
        cx, cy, radius = rng.uniform(-20, 440), rng.uniform(0, 560), rng.uniform(25, 80)
        tint = torch.tensor(rng.uniform(0.75, 1.0, 3), dtype=torch.float32)
        disc = smooth(((x - cx) ** 2 + (y - cy) ** 2).sqrt(), radius * 1.25, radius * 0.75)
        picture = blend(picture, tint, disc * float(rng.uniform(0.05, 0.22)))
    return picture * (1 - 0.25 * smooth(((x - 210) ** 2 + (y - 280) ** 2).sqrt(), 180, 420))[..., None]


def head(who: Identity, size: tuple[int, int], edge: float) -> Tensor:
    """The person without eyes, brows and mouth, as premultiplied [5, h, w] over ``REGION``.

    Channels red, green, blue, opacity, and the opacity of hair that hangs in front of the brows. ``edge`` is the width
    of one pixel of the final picture in template px.
    """
    p = _Painter(size, REGION, edge)
    outline = face_outline(who, p.mid, p.y)
    strands, front, back = _hair(who, p, outline)
    p.paint(strands * 0.72, back)
    _body(who, p)
    _ears(who, p)
    face = p.inside(outline)
    p.paint(_skin(who, p, p.distance(outline)), face)
    shadow = p.inside(p.y - _hairline(who, p) - 14, 26.0) * face * (0.0 if who.hair_style == "buzz" else 1.0)
    p.shade(1 - 0.22 * shadow * (1 - front))
    p.paint(strands, front)
    return torch.cat((p.rgb.permute(2, 0, 1), p.alpha[None], front[None]))


def _lamp(who: Identity, x: Tensor, y: Tensor, width: float, height: float) -> Tensor:
    """Lambert shading in [0, 1] of an ellipsoid around (0, 270)."""
    nx, ny = (x / width).clamp(-0.97, 0.97), ((y - 270) / height).clamp(-0.97, 0.97)
    nz = (1 - nx * nx - ny * ny).clamp_min(0.02).sqrt()
    lx, ly = who.light
    return ((nx * lx + ny * ly + nz) / (1 + lx * lx + ly * ly) ** 0.5).clamp(0, 1)


def _skin(who: Identity, p: _Painter, distance: Tensor) -> Tensor:
    """Skin of the face [h, w, 3] with nose, cheeks, sockets, stubble and freckles."""
    x, y, base = p.mid, p.y, torch.tensor(who.skin)
    dark = base**1.25 * torch.tensor((0.72, 0.56, 0.52))
    rosy = base * torch.tensor((1.0, 0.72, 0.70))
    lamp = _lamp(who, x, y, who.face_width * 1.22, 330)
    skin = base * (1 + who.light_strength * (lamp - 0.74))[..., None]
    skin = blend(skin, dark, 0.5 * smooth(distance, -46, 4))
    side = 1.0 if who.light[0] > 0 else -1.0
    for s in (-1.0, 1.0):
        far = 1.0 if s == -side else 0.55  # the side turned away from the lamp
        skin = blend(skin, rosy, 0.45 * who.blush * blob(x, y, 108 * s, 282, 58, 42))
        skin = blend(skin, dark, 0.34 * blob(x, y, 100 * s, who.eye_y - 22, 58, 24))  # socket
        skin = blend(skin, dark, 0.20 * blob(x, y, 66 * s, who.eye_y + 4, 22, 34))
        skin = blend(skin, dark, 0.15 * blob(x, y, 105 * s, who.eye_y + 33, 42, 8))  # below the eye
        skin = blend(skin, dark, 0.30 * far * blob(x, y, 34 * s, 190, 14, 52))  # bridge
        wing = p.distance(((x - who.nose_width * 0.80 * s) / 19) ** 2 + ((y - who.nose_base + 14) / 18) ** 2 - 1)
        skin = blend(
            skin,
            dark,
            0.42 * far * torch.exp(-((wing / 6) ** 2)) * smooth(x * s, 0.85 * who.nose_width, 1.25 * who.nose_width),
        )
        fold = x * s - who.nose_width - 16 - 0.42 * (y - who.nose_base)
        skin = blend(skin, dark, 0.16 * torch.exp(-((fold / 9) ** 2)) * blob(y, y, 300, 300, 60, 60))
        skin = blend(skin, (1.0, 0.97, 0.92), 0.16 * (1.3 - far) * blob(x, y, 118 * s, 244, 40, 22))
    skin = blend(skin, rosy, 0.25 * blob(x, y, 0, 238, 34, 26))
    skin = blend(skin, dark, 0.42 * blob(x, y, 0, who.nose_base + 9, who.nose_width, 11))  # shadow below the nose
    skin = blend(skin, dark, 0.12 * blob(x, y, 0, who.nose_base + 40, 9, 24))  # philtrum
    shine = (1.0, 0.97, 0.92)
    drift = 10 * who.light[0]
    skin = blend(skin, shine, 0.30 * blob(x, y, drift * 0.7, 185, 11, 46))
    skin = blend(skin, shine, 0.40 * blob(x, y, drift, 232, 13, 13))
    skin = blend(skin, shine, 0.12 * blob(x, y, drift * 6, 60, 90, 40))
    skin = blend(skin, shine, 0.12 * blob(x, y, drift * 2, who.chin - 40, 36, 20))
    for s in (-1.0, 1.0):
        hole = ((x - who.nose_width * 0.42 * s) / 12) ** 2 + ((y - who.nose_base - 0.12 * x * s) / 6.0) ** 2 - 1
        skin = blend(skin, dark * 0.45, 0.8 * p.inside(hole, 5))
    if who.freckles:
        spots = _spots(who.seed + 11, x, y, 13.0)
        zone = blob(x.abs(), y, 80, 245, 75, 45) + 0.6 * blob(x, y, 0, 215, 40, 30)
        skin = blend(skin, dark, 0.55 * who.freckles * spots * zone.clamp(0, 1))
    if who.stubble:
        grain = 0.75 + 0.25 * noise(who.seed + 12, x / 3.5, y / 3.5)
        cheek = smooth(y - 0.45 * (who.face_width - x.abs()), 245, 300)
        lip = blob(x, y, 0, who.nose_base + 48, 82, 24)
        growth = (smooth(y, 330, 400) * (1 - 0.5 * blob(x, y, 0, 385, 60, 16)) * cheek + lip).clamp(0, 1)
        skin = blend(skin, torch.tensor(who.brow) * 0.9, 0.75 * who.stubble * growth * grain)
    return skin.clamp(0, 1)


def _ears(who: Identity, p: _Painter) -> None:
    """Ears peeping out behind the cheeks."""
    base = torch.tensor(who.skin)
    for s in (-1.0, 1.0):
        x = p.mid - s * (who.face_width + 4)
        tilted = x + 0.16 * s * (p.y - 215)
        ear = p.inside((tilted / 22) ** 2 + ((p.y - 215) / 46) ** 2 - 1)
        p.paint(base * torch.tensor((0.93, 0.80, 0.76)), ear)
        p.paint(
            base**1.3 * torch.tensor((0.66, 0.48, 0.44)),
            0.7 * p.inside(((tilted - 3 * s) / 11) ** 2 + ((p.y - 213) / 30) ** 2 - 1, 8),
        )


def _body(who: Identity, p: _Painter) -> None:
    """Neck, its shadow below the chin, shoulders and shirt."""
    x, y, base = p.mid, p.y, torch.tensor(who.skin)
    neck_width = who.face_width * 0.60
    neck = x.abs() - neck_width - 0.0016 * (y - 455).clamp_min(0) ** 2.0 - smooth(y, 500, 600) * 40
    lamp = 0.86 + who.light_strength * 0.35 * (x / neck_width * who.light[0]).clamp(-1, 1)
    skin = base * lamp[..., None] * torch.tensor((0.93, 0.88, 0.86))
    under = smooth(y, who.chin + 62, who.chin + 6)
    skin = blend(skin, base**1.3 * torch.tensor((0.60, 0.45, 0.42)), 0.75 * under)
    p.paint(skin, p.inside(neck))
    shoulder = 600 - 86 * torch.exp(-((x / 250) ** 4))
    dip = {"crew": 30, "vee": 40, "roll": -6}[who.collar]
    opening = (
        dip * (1 - (x.abs() / (neck_width + 16))).clamp_min(0)
        if who.collar == "vee"
        else dip * torch.sqrt((1 - (x / (neck_width + 16)) ** 2).clamp_min(0))
    )
    top = (
        torch.maximum(shoulder, 516 + opening)
        if who.collar != "roll"
        else torch.where(x.abs() < neck_width + 10, 508 + 0.0004 * x * x, shoulder)
    )
    cloth = torch.tensor(who.shirt) * (0.92 + 0.12 * noise(who.seed + 5, x / 40, y / 60))[..., None]
    cloth = cloth * (0.8 + 0.3 * smooth(x * (1 if who.light[0] > 0 else -1), -200, 200))[..., None]
    p.paint(cloth, p.inside(top - y))
    p.paint(cloth * 0.78, 0.8 * p.inside((y - top - 9).abs() - 1.2, 1.5))


def _hairline(who: Identity, p: _Painter) -> Tensor:
    """y of the lower border of the hair in front of the forehead [h, w]."""
    x, u = p.mid, p.mid.abs() / who.face_width
    line, side = who.hair_line, who.hair_side
    if who.hair_style == "long":
        return line - 34 + 90 * smooth((x - 36 * side).abs(), 0, 190) + 170 * (u - 0.8).clamp_min(0)
    if who.hair_style in ("fringe", "bob"):
        return 72 + 5 * noise(who.seed + 3, x / 14, x * 0) + 150 * (u - 0.72).clamp_min(0) ** 1.2 * 2
    if who.hair_style == "sweep":
        return line - 12 + 52 * smooth(x * side, 120, -150) + 170 * (u - 0.55).clamp_min(0) ** 1.5
    if who.hair_style == "curly":
        return line + 14 + 11 * noise(who.seed + 3, x / 22, x * 0) + 260 * (u - 0.62).clamp_min(0) ** 1.4
    if who.hair_style == "tied":
        return line + 75 * u**4
    return line + 125 * u**6


def _hair(who: Identity, p: _Painter, outline: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Colour [h, w, 3], opacity in front of the face and behind it [h, w]."""
    x, y, style = p.mid, p.y, who.hair_style
    volume, end = {
        "short": (14, 190), "long": (46, 900), "fringe": (36, 470), "sweep": (18, 200),
        "buzz": (4, 170), "curly": (44, 330), "tied": (6, 170), "bob": (40, 400),
    }[style]  # fmt: skip
    wave = 8 * noise(who.seed + 4, y / 60, x * 0) if style in ("long", "fringe", "bob") else 0
    wave = 9 * noise(who.seed + 4, x / 20, y / 20) if style == "curly" else wave
    reach = p.distance(outline) - volume - wave
    falling = x.abs() - who.face_width - volume - wave
    behind = torch.where(y < 230, reach, falling) if end > 300 else reach
    tip = end + 7 * noise(who.seed + 9, x / 11, x * 0) - 0.0012 * x * x
    back = p.inside(behind) * p.inside(y - tip)
    front = p.inside(y - _hairline(who, p), 2.0) * p.inside(p.distance(outline) - min(8, volume - 5))
    if style in ("long", "fringe", "bob"):
        lock = who.face_width - 20 + 7 * noise(who.seed + 6, y / 70, x * 0) + 0.10 * (y - 250).clamp_min(0)
        front = torch.maximum(front, p.inside(torch.maximum(lock - x.abs(), falling)) * p.inside(y - tip))
    if style == "buzz":
        front = front * 0.55
    bend = x * 1.0 + 0.12 * (y - 60) * torch.sign(x) if end > 300 else x + 0.5 * y * who.hair_side
    fine = noise(who.seed + 7, bend / 3.2, y / 90) * 0.6 + noise(who.seed + 8, bend / 9, y / 140)
    if style == "curly":
        fine = noise(who.seed + 7, x / 9, y / 9) * 1.2
    gloss = torch.exp(-(((y - 45 - 0.0012 * x * x) / 22) ** 2)) * 0.25
    lamp = _lamp(who, x, y, 260, 400)
    tone = 0.82 + 0.16 * fine + gloss + 0.5 * who.light_strength * (lamp - 0.6)
    colour = torch.tensor(who.hair) * tone[..., None] + 0.05 * gloss[..., None]
    return colour.clamp(0, 1), front, back
