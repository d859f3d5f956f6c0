"""Pages of text with what stands in every line and where: drawn with Pillow, a seed says which."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZES = ((320, 320), (320, 480), (480, 480), (480, 640))  # (H, W); detectors want multiples of 32
FONTS = (15, 18, 21, 24, 28, 34)  # pixels
_TURN, _NOISE = 2.5, 10.0  # at most: degrees, and the standard deviation of a pixel
_MARGIN = 14
_WORDS = (
    "the of and to in is was that for with as his they at be this from have or by one had not but what "
    "all were when we there can an your which their said if do will each about how up out them then she "
    "many some so these would other into has more her two like him see time could no make than first "
    "been its who now people my made over did down only way find use may water long little very after "
    "words called just where most know Paris Invoice Total Amount Street Number Monday Order Customer "
    "Delivery Account Receipt Address Quantity Exhibit Warning Platform Museum Quick Jumped Waltz Zebra"
).split()


@dataclass
class Line:
    """A line of text, and the corners (4, 2) of its box: x and y, from the upper left one clockwise."""

    text: str
    corners: np.ndarray


@dataclass
class Page:
    """Pixels uint8 (H, W, 3), RGB, and the lines on them."""

    pixels: np.ndarray
    lines: list[Line] = field(default_factory=list)


def pages(count: int, seed: int) -> list[Page]:
    """So many pages: of all sizes, in one or two columns, dark on light or light on dark."""
    return [page(np.random.default_rng([seed, number]), number) for number in range(count)]


def page(random: np.random.Generator, number: int) -> Page:
    """One page; its number says the size and which of text and paper is dark, the rest is chance."""
    height, width = SIZES[number % len(SIZES)]
    dark, light = random.integers(0, 70, 3), random.integers(185, 256, 3)
    paper, ink = (light, dark) if number % 3 else (dark, light)
    image = Image.new("RGB", (width, height), tuple(map(int, paper)))
    draw = ImageDraw.Draw(image)
    columns = 2 if width >= 480 and random.random() < 0.4 else 1
    lines = []
    for column in range(columns):
        left = _MARGIN + column * width // columns
        lines += _column(draw, random, (left, (column + 1) * width // columns - _MARGIN, height), ink)
    return _photographed(image, lines, tuple(map(int, paper)), random)


def _column(
    draw, random: np.random.Generator, place: tuple[int, int, int], ink: np.ndarray
) -> list[Line]:
    """Lines from the top to the bottom between two x, with a rule under some of them."""
    left, right, height = place
    lines, y = [], _MARGIN + int(random.integers(0, 12))
    while True:
        size = int(random.choice(FONTS))
        if y + 1.5 * size + _MARGIN > height:
            return lines
        font = ImageFont.load_default(size)
        text = _text(random, font, int((right - left) * random.uniform(0.35, 1)))
        if text:
            draw.text((left, y), text, tuple(map(int, ink)), font=font)
            x0, y0, x1, y1 = font.getbbox(text)
            corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
            lines.append(Line(text, np.array(corners, float) + (left, y)))
            if random.random() < 0.15:
                under = y + 1.35 * size
                draw.line((left, under, right, under), tuple(map(int, ink)), int(random.integers(1, 3)))
        y += int(size * random.uniform(1.5, 2.3))


def _text(random: np.random.Generator, font, width: int) -> str:
    """Words and numbers, as many as there is room for."""
    text = ""
    while True:
        word = str(random.choice(_WORDS)) if random.random() < 0.8 else f"{random.integers(1, 100_000)}"
        longer = f"{text} {word}".strip()
        if font.getlength(longer) > width:
            return text
        text = longer


def _photographed(image, lines: list[Line], paper: tuple[int, ...], random: np.random.Generator) -> Page:
    """Turned a little, and with noise."""
    degrees = float(random.uniform(-_TURN, _TURN)) if random.random() < 0.5 else 0.0
    turned = image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=paper)
    angle, centre = np.deg2rad(degrees), np.array(image.size) / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    noise = random.standard_normal((*turned.size[::-1], 3)) * random.uniform(0, _NOISE)
    pixels = np.clip(np.asarray(turned) + noise, 0, 255).astype(np.uint8)
    moved = [Line(line.text, (line.corners - centre) @ turn.T + centre) for line in lines]
    return Page(pixels, moved)
