"""The moving half of a drawn face: eyes, brows, glasses and the mouth, as functions of head-space coordinates.

Coordinates are template px (see ``portrait``): ``x`` counted from the midline, ``y`` down; tensors are [t, h, w] and
per-frame parameters [t, 1, 1]. ``edge`` is the width of one output pixel in template px.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .identity import Identity
from .portrait import blend, smooth

BROW_Y = 112.0
BROW_X = 114.8


def _cover(distance: Tensor, edge: float) -> Tensor:
    """Coverage of the inside (negative) of a distance field, linear over one pixel."""
    return (0.5 - distance / edge).clamp(0, 1)


def _slanted(implicit: Tensor, slope: Tensor) -> Tensor:
    """Distance to a curve y = f(x) from the vertical offset and f'."""
    return implicit / (1 + slope * slope).sqrt()


def draw_eye(who: Identity, side: float, x: Tensor, y: Tensor, blink: Tensor, look: Tensor, picture: Tensor,
             clear: Tensor, edge: float) -> Tensor:  # fmt: skip
    """One eye and its brow line over ``picture`` [t, h, w, 3]; ``side`` -1 is the left one in the image."""
    u = (x - 106 * side) / who.eye_width  # -1 and 1 are the corners
    v = y - who.eye_y + who.eye_tilt * (x - 106 * side) * side
    bow = (1 - u * u).clamp_min(0)
    lid = bow.sqrt() * 0.35 + bow * 0.65
    skew = 1 + 0.22 * u * side * -1  # the highest point of the upper lid lies towards the nose
    low = who.eye_height * 0.74 * lid
    high = -who.eye_height * 1.12 * lid * skew
    top = torch.lerp(high, low - 0.5, blink)
    slope = -2 * u * who.eye_height / who.eye_width
    gap = torch.maximum(top - v, v - low)
    opening = _cover(torch.maximum(_slanted(gap, slope), (u.abs() - 1) * who.eye_width), edge) * clear
    # Ball: white, shaded by the lid and towards the corners.
    shade = 0.90 - 0.30 * smooth(v - top, 13, 0) - 0.16 * u * u
    ball = torch.stack((shade, shade * 0.985, shade * 0.97), -1)
    ix, iy = x - 106 * side - look[..., 0] * 1.0, v + 2.0 - look[..., 1]
    radius = (ix * ix + iy * iy).sqrt()
    ring = who.iris_radius
    iris = torch.tensor(who.iris, device=x.device)
    glow = 0.72 + 0.55 * smooth(iy, -ring * 0.6, ring * 0.9) - 0.5 * smooth(radius, ring * 0.72, ring)
    glow = glow - 0.35 * smooth(v - top, 11, 0)
    ball = blend(ball, (iris * glow.unsqueeze(-1)).clamp(0, 1), _cover(radius - ring, edge + 1.5))
    ball = blend(ball, (0.03, 0.025, 0.03), _cover(radius - ring * 0.44, edge + 1.0))
    lx = 6.0 if who.light[0] > 0 else -6.0
    spark = ((ix - lx) ** 2 + (iy + 7) ** 2).sqrt() - 5.2
    ball = blend(ball, (1.0, 1.0, 1.0), 0.95 * _cover(spark, edge))
    ball = blend(ball, (1.0, 1.0, 1.0), 0.35 * _cover(((ix + lx) ** 2 + (iy - 8) ** 2).sqrt() - 3.4, edge + 1))
    picture = blend(picture, ball, opening)
    dark = torch.tensor(who.skin, device=x.device) ** 1.3 * 0.5
    within = smooth(u.abs(), 1.10, 0.95) * clear
    crease = (v - torch.lerp(high, low, 0.55 * blink) + 8.5) / 2.6
    picture = blend(picture, dark, 0.5 * torch.exp(-crease * crease) * within * smooth(u.abs(), 1.05, 0.6))
    outer = 0.55 + 0.45 * (u * side).clamp(-1, 1)
    thick = who.lashes * (0.55 + 0.6 * outer)
    stroke = _slanted((v - top + thick * 0.4).abs(), slope) - thick * 0.62
    picture = blend(picture, (0.07, 0.05, 0.05), 0.92 * _cover(stroke, edge + 1) * within)
    lower = _slanted((v - low).abs(), slope) - 0.8
    return blend(picture, dark, 0.5 * _cover(lower, edge + 1.5) * within)


def draw_brow(who: Identity, side: float, x: Tensor, y: Tensor, lift: Tensor, picture: Tensor, clear: Tensor,
              edge: float) -> Tensor:  # fmt: skip
    """One brow over ``picture``; its upper edge averages to the template's anchor."""
    u = (x - BROW_X * side) * side / 56  # -1 at the nose, 1 at the temple
    curve = BROW_Y - lift + who.brow_arch * (u * u - 0.35 + 0.25 * u) - who.brow_tilt * 56 * u
    slope = who.brow_arch * (2 * u + 0.25) / 56
    body = who.brow_thickness * (1 - 0.78 * smooth(u, -0.1, 1.05)) * (0.35 + 0.65 * smooth(u, -1.15, -0.55))
    middle = curve + 0.5 * who.brow_thickness
    # Round ends: beyond them the distance is taken to the end point of the middle line.
    beyond = (u.abs() - 0.95).clamp_min(0) * 56
    distance = ((y - middle) ** 2 / (1 + slope * slope) + beyond * beyond).sqrt() - 0.5 * body
    hair = 0.92 + 0.08 * torch.sin(x * side * 0.9 + (y - curve) * 0.7)
    return blend(picture, who.brow, 0.86 * hair * smooth(distance, 1.6 + edge / 2, -1.6 - edge / 2) * clear)


def draw_glasses(who: Identity, x: Tensor, y: Tensor, picture: Tensor, edge: float) -> Tensor:
    """Rims, bridge and temples of glasses, with a faint reflection on the lenses."""
    ax, cy = x.abs(), who.eye_y + 8
    dx, dy, corner = (
        (ax - 104).abs() - (70 - who.glasses_round),
        (y - cy).abs() - (50 - who.glasses_round),
        who.glasses_round,
    )
    lens = (dx.clamp_min(0) ** 2 + dy.clamp_min(0) ** 2).sqrt() + torch.maximum(dx, dy).clamp_max(0) - corner
    glare = smooth((x * 0.8 + y - cy).remainder(150), 30, 0) * 0.10
    picture = blend(picture, (1.0, 1.0, 1.0), glare * _cover(lens, edge))
    bridge = torch.maximum((y - cy + 14 + 0.008 * x * x - 6).abs() - who.glasses * 0.5, ax - 35)
    arm = torch.maximum((y - cy + 18).abs() - who.glasses * 0.6, 172 - ax)
    rim = torch.minimum(torch.minimum(lens.abs() - who.glasses * 0.5, bridge), arm)
    picture = picture * (1 - 0.18 * smooth(torch.minimum(lens.abs(), bridge) - 2, 9, 0)).unsqueeze(-1)
    return blend(picture, who.glasses_colour, 0.95 * _cover(rim, edge))


def jaw_drop(who: Identity, mouth: Tensor) -> Tensor:
    """How far the chin moves down, template px, of mouth [..., 5]."""
    return 0.36 * who.gape * mouth[..., 0]


def draw_mouth(who: Identity, x: Tensor, y: Tensor, mouth: Tensor, picture: Tensor, edge: float) -> Tensor:
    """Lips, teeth, tongue and cavity over ``picture`` [t, h, w, 3] for ``mouth`` [t, 5] (see ``faces.MOUTH``)."""
    opening, width, rounding, teeth, tongue = (column.view(-1, 1, 1) for column in mouth.unbind(-1))
    y = y - who.mouth_y
    half = who.mouth_width * (0.82 + 0.36 * width) * (1 - 0.42 * rounding) * (1 - 0.05 * opening)
    gap = who.gape * opening
    s = (x / half).clamp(-1, 1)
    bow = (1 - s * s).clamp_min(1e-4)
    pout = 1 + 0.35 * rounding - 0.14 * width - 0.12 * opening
    tuck = 1 - 0.35 * teeth * smooth(opening, 0.16, 0.05)  # the lower lip under the teeth of f and v

    inner = ((1 - (s / 0.93) ** 2).clamp_min(0)) ** (0.75 - 0.2 * rounding)
    corner = 0.22 * gap + 3 * s * s * (1 - 2.2 * width)
    rest = 2.2 * torch.cos(s * 4.5) * bow  # the wavy line of a closed mouth
    lip_top = corner * (1 - inner) - 0.24 * gap * inner - rest * (1 - opening)
    lip_low = corner * (1 - inner) + 0.76 * gap * inner - rest * (1 - opening)
    cupid = torch.exp(-((x / (0.15 * who.mouth_width)) ** 2))
    peak = torch.exp(-(((x.abs() - 0.24 * who.mouth_width) / (0.22 * who.mouth_width)) ** 2))
    above = who.upper_lip * pout * bow**0.62 * (0.88 - who.cupid * cupid * (1 - 0.4 * rounding) + 0.22 * peak)
    below = who.lower_lip * pout * tuck * bow**0.55 * (0.94 + 0.06 * cupid)
    outer_top, outer_low = lip_top - above, lip_low + below

    aspect = (who.upper_lip + 0.5 * gap) / half
    slope = 1.6 * aspect * s.abs() / bow.sqrt().clamp_min(0.35)
    ends = x.abs() - half
    lips = torch.maximum(_slanted(torch.maximum(outer_top - y, y - outer_low), slope), ends)
    hole = torch.maximum(_slanted(torch.maximum(lip_top - y, y - lip_low), slope), ends)

    skin = torch.tensor(who.skin, device=x.device)
    dark = skin**1.25 * torch.tensor((0.68, 0.52, 0.48), device=x.device)
    # Skin around: shadow below the lower lip, corners, a hint of a fold beside a wide mouth.
    below_lip = torch.exp(-(((y - outer_low - 9) / 9) ** 2)) * smooth(x.abs() / half, 0.95, 0.10)
    picture = blend(picture, dark, 0.38 * below_lip)
    tips = torch.exp(-(((x.abs() - half - 3) / 9) ** 2) - ((y - corner) / 10) ** 2)
    picture = blend(picture, dark, (0.34 + 0.25 * width) * tips)
    # Lips: the upper one in shade, the lower one catching the light.
    lip = torch.tensor(who.lip, device=x.device)
    upper = smooth(y - (lip_top + lip_low) / 2, 3, -3)
    depth_up = ((y - outer_top) / above.clamp_min(1)).clamp(0, 1)
    depth_low = ((y - lip_low) / below.clamp_min(1)).clamp(0, 1)
    tone = torch.lerp(1.10 - 0.26 * depth_low, 0.90 - 0.16 * depth_up, upper) * (1 - 0.14 * s * s)
    colour = lip * tone.unsqueeze(-1)
    drift = 14 * who.light[0]
    shine = torch.exp(-(((x - drift) / (0.40 * half)) ** 2) - ((depth_low - 0.42) / 0.24) ** 2) * (1 - upper)
    shine = (
        shine
        + 0.4
        * torch.exp(-((((x - drift * 0.5).abs() - 0.2 * half) / (0.16 * half)) ** 2) - ((depth_up - 0.25) / 0.2) ** 2)
        * upper
    )
    colour = blend(colour, (1.0, 0.93, 0.92), (0.30 * shine).clamp(0, 1))
    picture = blend(picture, colour.clamp(0, 1), smooth(lips, 1.2 + edge / 2, -1.2 - edge / 2))
    # Cavity: darkest in the middle, warmer towards the lips.
    depth = ((y - lip_top) / (gap + 2)).clamp(0, 1)
    wall = torch.stack((0.20 + 0.10 * depth, 0.055 + 0.02 * depth, 0.06 + 0.025 * depth), -1)
    cavity = wall * (0.6 + 0.4 * smooth(s.abs(), 0.2, 1.0)).unsqueeze(-1)
    cavity = _tongue(x, y, half, lip_low, gap, tongue, cavity, edge)
    cavity = _teeth(who, x, y, s, lip_top, lip_low, teeth, cavity, edge)
    under_lip = smooth(y - lip_top, 9, 0)
    cavity = cavity * (1 - 0.45 * under_lip).unsqueeze(-1)
    # A closed mouth keeps a soft dark line about 2.4 px thick.
    line = smooth(hole - 1.2, edge * 0.5 + 0.8, -edge * 0.5 - 0.8) * smooth(x.abs() / half, 1.02, 0.9)
    return blend(picture, cavity, line)


def _tongue(x: Tensor, y: Tensor, half: Tensor, lip_low: Tensor, gap: Tensor, tongue: Tensor, cavity: Tensor,
            edge: float) -> Tensor:  # fmt: skip
    """The tongue resting on the floor of the mouth, its tip at the upper teeth at ``tongue`` 1."""
    rise = gap * (0.20 + 0.66 * tongue)
    reach = half * (0.62 - 0.16 * tongue)
    top = lip_low - rise * (1 - (x / reach).clamp(-1, 1) ** 2).clamp_min(0).sqrt()
    body = _cover(torch.maximum(top - y, x.abs() - reach), edge + 2.5)
    light = 0.62 + 0.5 * smooth(y - top, 0, 10) * smooth(y - top, 40, 6) * (0.5 + 0.5 * tongue)
    light = light - 0.14 * torch.exp(-((x / 5) ** 2)) * smooth(y - top, 0, 12)
    pink = torch.tensor((0.82, 0.36, 0.38), device=x.device) * light.unsqueeze(-1)
    return blend(cavity, pink, body * smooth(gap, 2, 9))


def _teeth(who: Identity, x: Tensor, y: Tensor, s: Tensor, lip_top: Tensor, lip_low: Tensor, teeth: Tensor,
           cavity: Tensor, edge: float) -> Tensor:  # fmt: skip
    """Upper teeth hanging from under the upper lip, a rim of lower ones when they are bared."""
    tooth = who.mouth_width * 0.2
    seam = torch.cos(x * (torch.pi / tooth)).abs()
    length = (4 + 17 * teeth) * (1 - 0.45 * s * s) + 1.2 * seam
    # The gum line stays with the skull while the lip rises, so the teeth hang from the relaxed lip line.
    upper = torch.maximum(
        y - (torch.minimum(lip_top.amin((-1, -2), keepdim=True) + 3, lip_top + 3) + length), s.abs() * 50 - 42
    )
    white = (0.97 - 0.34 * s * s - 0.10 * smooth(seam, 0.25, 0)).unsqueeze(-1)
    ivory = torch.tensor((0.97, 0.945, 0.90), device=x.device) * white
    cavity = blend(cavity, ivory, _cover(upper, edge + 1) * smooth(teeth, 0.02, 0.2))
    bared = smooth(teeth, 0.35, 0.8)
    lower = torch.maximum(lip_low - 7 * bared * (1 - 0.5 * s * s) - y, s.abs() * 50 - 34)
    return blend(cavity, ivory * 0.84, _cover(lower, edge + 1) * bared)
