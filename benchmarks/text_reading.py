"""From a detector's map to text: regions, crops, a recogniser's characters, and how many are right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

THRESHOLD, SURE, GROWN = 0.3, 0.6, 1.5  # of PP-OCR: of the map, of a region's mean, of its borders
HEIGHT, NARROWEST = 48, 320  # of what a recogniser is given
_SMALLEST = 3  # pixels
_STEP = 80  # of the widths: an engine prepares itself for every new one
_LONG = 2.0  # from this length to height on, a region shows how it is turned


def regions(score: np.ndarray) -> list[np.ndarray]:
    """The corners (4, 2) of the text in a map (H, W), from the upper left one clockwise."""
    found = []
    for rows, columns in connected(score > THRESHOLD):
        if score[rows, columns].mean() >= SURE:
            box = rectangle(np.stack([columns, rows], 1).astype(float))
            if box is not None:
                found.append(box)
    return found


def connected(mask: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The rows and columns of every connected part of a mask, by the runs in its rows."""
    runs: list[tuple[int, int, int]] = []  # row, first column, column behind the last
    parents: list[int] = []

    def root(run: int) -> int:
        while parents[run] != run:
            run = parents[run]
        return run

    before: list[int] = []
    for row, line in enumerate(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8)):
        edges = np.flatnonzero(np.diff(line))
        now = []
        for start, end in edges.reshape(-1, 2).tolist():
            run = len(runs)
            runs.append((row, start, end))
            parents.append(run)
            for other in before:
                if runs[other][1] <= end and start <= runs[other][2]:  # corners count
                    parents[root(other)] = root(run)
            now.append(run)
        before = now
    parts: dict[int, list[tuple[int, int, int]]] = {}
    for run, place in enumerate(runs):
        parts.setdefault(root(run), []).append(place)
    return [_pixels(places) for places in parts.values()]


def _pixels(places: Sequence[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray]:
    columns = [np.arange(start, end) for _, start, end in places]
    rows = [np.full(end - start, row) for row, start, end in places]
    return np.concatenate(rows), np.concatenate(columns)


def rectangle(points: np.ndarray) -> np.ndarray | None:
    """The rectangle around points (N, 2), turned as they are, and grown as PP-OCR does; None if tiny."""
    middle = points.mean(0)
    width, height = np.ptp(points, axis=0) + 1
    along = np.array([1.0, 0.0])
    if width > _LONG * height:
        _, vectors = np.linalg.eigh(np.cov((points - middle).T))
        along = vectors[:, 1] * np.sign(vectors[0, 1])
    axes = np.stack([along, [-along[1], along[0]]])
    places = (points - middle) @ axes.T
    low, high = places.min(0) - 0.5, places.max(0) + 0.5
    sides = high - low
    if sides.min() < _SMALLEST:
        return None
    grown = sides.prod() * GROWN / (2 * sides.sum())
    low, high = low - grown, high + grown
    corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    return corners @ axes + middle


def crop(pixels: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """That part of (H, W, 3), upright and `HEIGHT` high."""
    across, down = np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[3] - corners[0])
    width = max(HEIGHT // 4, round(HEIGHT * across / down))
    quad = tuple(corners[[0, 3, 2, 1]].reshape(-1))  # as Pillow counts them
    image = Image.fromarray(pixels)
    return np.asarray(
        image.transform((width, HEIGHT), Image.Transform.QUAD, quad, Image.Resampling.BILINEAR)
    )


def as_input(part: np.ndarray) -> np.ndarray:
    """A crop as a recogniser takes it: (1, 3, 48, W), BGR in -1..1, padded with 0 to a usual width."""
    width = max(NARROWEST, -(-part.shape[1] // _STEP) * _STEP)
    values = np.zeros((1, 3, HEIGHT, width), np.float32)
    values[0, :, :, : part.shape[1]] = part[:, :, ::-1].transpose(2, 0, 1) / 127.5 - 1
    return values


def decoded(scores: np.ndarray, characters: Sequence[str]) -> str:
    """The text of (T, characters): the best one at every place, repeated ones once, without blanks."""
    best = scores.argmax(1)
    kept = best[np.flatnonzero(np.diff(best, prepend=-1))]
    return "".join(characters[index] for index in kept if index)


def character_table(folder: Path) -> list[str]:
    """What a recogniser's outputs mean: blank, then those of the file beside it, then the space.

    Args:
        folder: that of the recogniser, or of the wheel that it is in.
    """
    described = next(folder.glob("**/*rec*/inference.yml"), None)
    if described is not None:
        import yaml

        found = yaml.safe_load(described.read_text(encoding="utf-8"))["PostProcess"]["character_dict"]
    else:
        found = next(folder.glob("**/ppocr_keys_v1.txt")).read_text(encoding="utf-8").split("\n")
        found = found[:-1] if not found[-1] else found
    return ["", *map(str, found), " "]


def right(text: str, wanted: str) -> int:
    """How many characters of `wanted` are read right: all but the edits between the two."""
    row = list(range(len(text) + 1))
    for done, letter in enumerate(wanted, 1):
        above, row[0] = row[0], done
        for index, other in enumerate(text, 1):
            best = min(row[index] + 1, row[index - 1] + 1, above + (letter != other))
            above, row[index] = row[index], best
    return max(0, len(wanted) - row[-1])
