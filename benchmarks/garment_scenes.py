"""Pictures with a known answer: garments of Fashion-MNIST on textured backgrounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from fashion_mnist_arrays import dataset

SIZE = 48  # height and width of a picture
# Of Fashion-MNIST's ten labels: tops (4 of them), trousers, dress, shoes (3) and bag; 0 is background.
_CLASS_OF = np.array([1, 2, 1, 3, 1, 4, 1, 4, 5, 4], np.uint8)
_VISIBLE = 20  # of 255: darker pixels of a garment are the black that it was photographed on


def scenes(
    count: int, mode: str, data_dir: Path | None, seed: int, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures with one to three garments each, and what every pixel shows.

    Args:
        count: of the pictures.
        mode: "train" or "test": whose garments.
        data_dir: folder of the IDX files; None lets Paddle download them.
        seed: of all that is drawn.
        noise: standard deviation of the pixels' noise, of a range of 1.

    Returns:
        uint8 (count, 48, 48) pixels, and uint8 (count, 48, 48) classes.
    """
    garments = dataset(mode, data_dir, transform=lambda image: np.asarray(image, np.uint8))
    random = np.random.default_rng(seed)
    pictures, classes = zip(*(_scene(garments, random, noise) for _ in range(count)))
    return np.stack(pictures), np.stack(classes)


def _scene(garments, random: np.random.Generator, noise: float) -> tuple[np.ndarray, np.ndarray]:
    picture, classes = _background(random), np.zeros((SIZE, SIZE), np.uint8)
    for _ in range(random.integers(1, 4)):
        image, label = garments[int(random.integers(len(garments)))]
        pixels = _resized(image.reshape(28, 28), int(random.integers(20, 37)))
        if random.random() < 0.5:
            pixels = pixels[:, ::-1]
        top, left = random.integers(0, SIZE + 1 - len(pixels), 2)
        place = (slice(top, top + len(pixels)), slice(left, left + len(pixels)))
        shown = pixels > _VISIBLE
        darker = random.uniform(0.6, 1.0)
        picture[place] = np.where(shown, darker * pixels / 255, picture[place])
        classes[place] = np.where(shown, _CLASS_OF[int(np.asarray(label).item())], classes[place])
    picture = picture + noise * random.standard_normal(picture.shape)
    return np.rint(255 * picture.clip(0, 1)).astype(np.uint8), classes


def _background(random: np.random.Generator) -> np.ndarray:
    """Clouds and two gratings, (48, 48) around a grey of 0.2 to 0.7."""
    down, right = np.mgrid[:SIZE, :SIZE] / SIZE
    picture = np.full((SIZE, SIZE), random.uniform(0.2, 0.7))
    picture += 0.12 * _resized(random.standard_normal((7, 7)), SIZE)
    for _ in range(2):
        waves, turn, phase = random.uniform(2, 16), random.uniform(0, np.pi), random.uniform(0, 7)
        along = np.cos(turn) * down + np.sin(turn) * right
        picture += random.uniform(0, 0.12) * np.sin(2 * np.pi * waves * along + phase)
    return picture


def _resized(values: np.ndarray, size: int) -> np.ndarray:
    """Square `values` brought to another size, between pixels in proportion."""
    at = np.linspace(0, len(values) - 1, size)
    low = np.minimum(at.astype(int), len(values) - 2)
    part = at - low
    rows = values[low] * (1 - part)[:, None] + values[low + 1] * part[:, None]
    return rows[:, low] * (1 - part) + rows[:, low + 1] * part
