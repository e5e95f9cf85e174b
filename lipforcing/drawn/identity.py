"""Who is drawn: ``Identity.sample(seed)``. Lengths in template px (see ``portrait``), colours RGB in [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]
HAIR_STYLES = ("short", "long", "fringe", "sweep", "buzz", "curly", "tied", "bob")
COLLARS = ("crew", "vee", "roll")

_SKIN = ("fbe3d3", "f6d2b8", "eebf9c", "e0a67c", "cc8d61", "b3744a", "945a38", "74432a", "57311f", "412317")
_HAIR = ("16130f", "2b1d15", "46301f", "6a4326", "8c4a22", "b5652b", "c99a55", "e2c58a", "9b9a99", "d9d6d2", "5a1f33")
_IRIS = ("3b2314", "55351d", "7a5230", "6f7a3a", "4f7d5b", "4a7fa5", "6f9cc4", "7d8791")
_SHIRT = ("22304a", "f1efe9", "7b2d34", "2f5d50", "d9a441", "3a3a3f", "7fa8c9", "c46b4e", "5b4b7a", "a9b8a0")
_WALL = ("c9d6df", "e9dccb", "b8c9b5", "d8c3c9", "6f8296", "46505e", "8a7f73", "d5d2e4", "f0e4d2", "3f5a5c")


def rgb(code: str) -> Colour:
    """The colour of a six-digit hexadecimal code."""
    return tuple(int(code[i : i + 2], 16) / 255 for i in (0, 2, 4))


@dataclass(frozen=True)
class Identity:
    """Everything that stays the same about one drawn person and the room. Lengths in template px, colours RGB 0..1."""

    seed: int
    face_width: float  # half width at the cheeks
    jaw_power: float  # 2 = oval, 3 = square
    jaw_taper: float  # 0 = straight sides, 0.3 = pointed chin
    chin: float  # y of the chin at rest
    skin: Colour
    blush: float
    hair_style: str
    hair: Colour
    hair_side: float  # -1 or 1: the side of the parting
    hair_line: float
    brow: Colour
    brow_thickness: float
    brow_arch: float
    brow_tilt: float
    eye_y: float
    eye_width: float  # half width
    eye_height: float  # half height when open
    eye_tilt: float
    iris: Colour
    iris_radius: float
    lashes: float
    nose_width: float  # half width of the wings
    nose_base: float  # y of the nostrils
    mouth_y: float
    mouth_width: float  # half width, relaxed
    upper_lip: float  # thickness
    lower_lip: float
    cupid: float
    lip: Colour
    gape: float  # inner gap at opening 1
    stubble: float
    freckles: float
    glasses: float  # rim thickness, 0 = none
    glasses_colour: Colour
    glasses_round: float
    light: tuple[float, float]  # towards the lamp, x right, y down
    light_strength: float
    wall: Colour
    wall_far: Colour
    wall_angle: float
    shirt: Colour
    collar: str

    @classmethod
    def sample(cls, seed: int) -> Identity:
        """A person drawn at random from ``seed``; the same seed is the same person."""
        rng = np.random.default_rng(seed)

        def span(low: float, high: float) -> float:
            return float(rng.uniform(low, high))

        def pick(codes: tuple[str, ...]) -> Colour:
            return _jitter(rng, rgb(codes[int(rng.integers(len(codes)))]), 0.025)

        tone = span(0, len(_SKIN) - 1)
        low = rgb(_SKIN[int(tone)])
        high = rgb(_SKIN[min(int(tone) + 1, len(_SKIN) - 1)])
        skin = _jitter(rng, _mix(low, high, tone % 1), 0.015)
        # Dark skin with pale hair is rare: pale codes sit at the end of the list and are reached by light skin only.
        hair = pick(_HAIR[: 4 if tone > 4.5 and rng.random() < 0.8 else len(_HAIR)])
        rose = _mix((0.80, 0.36, 0.36), (0.72, 0.22, 0.30), span(0, 1))
        lip = _mix(tuple(c * 0.93 for c in skin), rose, span(0.42, 0.78) * (1.0 if tone < 5 else 0.7))
        style = str(rng.choice(HAIR_STYLES, p=(0.22, 0.17, 0.11, 0.15, 0.07, 0.11, 0.08, 0.09)))
        bearded = style in ("short", "sweep", "buzz", "curly", "tied") and rng.random() < 0.4
        return cls(
            seed=seed,
            face_width=span(172, 192),
            jaw_power=span(2.1, 2.7),
            jaw_taper=span(0.0, 0.16),
            chin=span(462, 476),
            skin=skin,
            blush=span(0.1, 0.7),
            hair_style=style,
            hair=hair,
            hair_side=1.0 if rng.random() < 0.5 else -1.0,
            hair_line=span(26, 52),
            brow=_mix(hair, (0.10, 0.07, 0.05), span(0.35, 0.65)),
            brow_thickness=span(8, 15),
            brow_arch=span(6, 16),
            brow_tilt=span(-0.05, 0.07),
            eye_y=span(178, 186),
            eye_width=span(42, 50),
            eye_height=span(17, 23),
            eye_tilt=span(-0.04, 0.10),
            iris=pick(_IRIS[: 3 if tone > 5 else len(_IRIS)]),
            iris_radius=span(18.5, 21.5),
            lashes=span(2.8, 6.0),
            nose_width=span(36, 50),
            nose_base=span(256, 268),
            mouth_y=span(340, 350),
            mouth_width=span(70, 84),
            upper_lip=span(13, 22),
            lower_lip=span(19, 29),
            cupid=span(0.15, 0.45),
            lip=lip,
            gape=span(62, 76),
            stubble=span(0.25, 0.75) if bearded else 0.0,
            freckles=span(0.4, 1.0) if rng.random() < 0.25 else 0.0,
            glasses=span(3.0, 6.0) if rng.random() < 0.22 else 0.0,
            glasses_colour=_mix((0.08, 0.07, 0.07), (0.45, 0.25, 0.12), span(0, 1)),
            glasses_round=span(22, 46),
            light=(span(-0.75, 0.75), span(-0.75, -0.25)),
            light_strength=span(0.25, 0.5),
            wall=pick(_WALL),
            wall_far=pick(_WALL),
            wall_angle=span(0, 2 * np.pi),
            shirt=pick(_SHIRT),
            collar=str(rng.choice(COLLARS)),
        )


def _mix(a: Colour, b: Colour, amount: float) -> Colour:
    return tuple(p + (q - p) * amount for p, q in zip(a, b))


def _jitter(rng: np.random.Generator, colour: Colour, amount: float) -> Colour:
    return tuple(float(np.clip(c + rng.normal(0, amount), 0, 1)) for c in colour)
