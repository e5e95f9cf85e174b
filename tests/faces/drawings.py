"""Faces as painters, animators and children draw them: how far the detectors of the package reach."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

SIZE = (640, 480)  # width and height


def painted(head: Image.Image) -> Image.Image:
    """In broad strokes of few colours."""
    return ImageOps.posterize(_on_grey(head).filter(ImageFilter.ModeFilter(9)), 3)


def sketched(head: Image.Image) -> Image.Image:
    """With a pencil: what is darker than its surroundings."""
    grey = _on_grey(head).convert("L")
    around = ImageOps.invert(grey).filter(ImageFilter.GaussianBlur(8))
    lines = np.asarray(grey, float) * 255 / (256 - np.asarray(around, float))
    return Image.fromarray(lines.clip(0, 255).astype(np.uint8)).convert("RGB")


def animated() -> Image.Image:
    """Large eyes, hardly a nose, a mouth of one line."""
    image = Image.new("RGB", SIZE, (200, 220, 240))
    draw = ImageDraw.Draw(image)
    for shape in ((210, 60, 430, 380), [(210, 220), (430, 220), (320, 410)]):
        (draw.ellipse if isinstance(shape, tuple) else draw.polygon)(shape, fill=(255, 225, 205))
    draw.pieslice((195, 30, 445, 330), 180, 360, fill=(60, 40, 120))
    for x in (265, 375):
        draw.ellipse((x - 32, 200, x + 32, 285), fill="white", outline=(20, 20, 40), width=4)
        draw.ellipse((x - 20, 210, x + 20, 282), fill=(70, 110, 200))
        draw.ellipse((x - 9, 225, x + 9, 265), fill=(10, 10, 30))
    draw.polygon([(318, 300), (324, 308), (316, 308)], fill=(230, 180, 160))
    draw.arc((300, 325, 340, 345), 20, 160, fill=(150, 50, 50), width=3)
    return image


def cat() -> Image.Image:
    """Ears, slit eyes, a muzzle."""
    image = Image.new("RGB", SIZE, (150, 170, 130))
    draw = ImageDraw.Draw(image)
    for ear in ([(190, 190), (200, 40), (300, 120)], [(450, 190), (440, 40), (340, 120)]):
        draw.polygon(ear, fill=(190, 140, 90))
    draw.ellipse((180, 90, 460, 400), fill=(190, 140, 90))
    for x in (260, 380):
        draw.ellipse((x - 30, 190, x + 30, 250), fill=(190, 220, 60))
        draw.ellipse((x - 8, 192, x + 8, 248), fill="black")
    draw.ellipse((250, 270, 390, 370), fill=(240, 225, 205))
    draw.polygon([(300, 280), (340, 280), (320, 302)], fill=(200, 90, 100))
    for x in (285, 320):
        draw.arc((x, 305, x + 35, 340), 10, 170, fill=(60, 30, 30), width=3)
    return image


def smiley() -> Image.Image:
    """Two dots and a line on yellow."""
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((170, 90, 470, 390), fill=(255, 220, 0), outline="black", width=6)
    for x in (265, 375):
        draw.ellipse((x - 18, 180, x + 18, 230), fill="black")
    draw.arc((230, 200, 410, 340), 20, 160, fill="black", width=8)
    return image


def _on_grey(head: Image.Image) -> Image.Image:
    image = Image.new("RGB", SIZE, (120, 130, 140))
    image.paste(head.resize((288, 384)), (176, 48))
    return image
