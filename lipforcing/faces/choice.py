"""Which of several faces is meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

import torch
from torch import Tensor

#: "largest"; "center" (nearest the middle of the picture); its number counted from the left; (x, y), the face there;
#: (x0, y0, x1, y1), the face that overlaps this box most.
Choice = str | int | tuple[float, ...]


class Boxed(Protocol):
    """Anything with a box [4]: left, top, right, bottom in pixels."""

    box: Tensor


AnyBoxed = TypeVar("AnyBoxed", bound=Boxed)


def choose(faces: Iterable[AnyBoxed], choice: Choice, picture_size: tuple[int, int]) -> AnyBoxed | None:
    """The face that ``choice`` names in a picture (H, W); None where there is no such face."""
    faces = list(faces)
    if choice == "largest":
        return max(faces, key=lambda face: area(face.box), default=None)
    if choice == "center":
        middle = torch.tensor([picture_size[1] - 1, picture_size[0] - 1]) / 2
        return min(faces, key=lambda face: distance(centre(face.box), middle), default=None)
    if isinstance(choice, int):
        in_order = sorted(faces, key=lambda face: float(centre(face.box)[0]))
        return in_order[choice] if choice < len(in_order) else None
    if len(choice) == 2:
        point = torch.tensor(choice, dtype=torch.float32)
        there = [face for face in faces if (point >= face.box[:2]).all() and (point <= face.box[2:]).all()]
        return min(there, key=lambda face: distance(centre(face.box), point), default=None)
    box = torch.tensor(choice, dtype=torch.float32)
    there = [face for face in faces if overlap(face.box, box) > 0]
    return max(there, key=lambda face: overlap(face.box, box), default=None)


def overlap(a: Tensor, b: Tensor) -> float:
    """Intersection over union of two boxes [4], 0 to 1; 0 for boxes without an area."""
    shared = float((torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp(min=0).prod())
    return shared / (area(a) + area(b) - shared) if shared else 0.0


def area(box: Tensor) -> float:
    """Pixels of a box [4]."""
    return float((box[2:] - box[:2]).clamp(min=0).prod())


def centre(box: Tensor) -> Tensor:
    """(x, y) of the middle of a box [4]."""
    return (box[:2] + box[2:]) / 2


def distance(a: Tensor, b: Tensor) -> float:
    """Of two points [2]."""
    return float((a - b).norm())
