"""A small network that segments garments: what conversion and recovery leave of its mIoU.

    python benchmarks/segmentation.py --data-dir DIR --train examples/segmenter.pdparams --steps 900
    python benchmarks/segmentation.py --data-dir DIR --calibration examples/segmenter_pictures.npz
    python benchmarks/segmentation.py --data-dir DIR
    python benchmarks/segmentation.py --data-dir DIR --judge slim.pdparams tuned.pdparams

Garments of Fashion-MNIST on textured backgrounds; every pixel is background, top, trousers, dress, shoe
or bag. The third line measures everything on 200 pictures of test garments, the fourth adds checkpoints
to the table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from dense_outputs import Task, run
from dense_training import train
from garment_scenes import scenes

CLASSES, NOISE = 6, 0.02


def pictures(count: int, mode: str, data_dir: Path | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return scenes(count, mode, data_dir, seed, NOISE)


def learn(network: Any, inputs: np.ndarray, classes: np.ndarray, out: Path, steps: int) -> None:
    from paddle.nn.functional import cross_entropy

    targets = classes[:, None].astype(np.int64)
    train(network, lambda y, t: cross_entropy(y, t, axis=1), inputs, targets, out, steps, 16, crop=32)


def mean_iou(scores: np.ndarray, classes: np.ndarray) -> float:
    """Per cent: over the classes' pixels in all pictures, then the mean over the classes."""
    found, shares = scores.argmax(1), []
    for index in range(CLASSES):
        ours, theirs = found == index, classes == index
        if (ours | theirs).any():
            shares.append((ours & theirs).sum() / (ours | theirs).sum())
    return 100 * float(np.mean(shares))


def agreement(scores: np.ndarray, original: np.ndarray) -> float:
    return mean_iou(scores, original.argmax(1))


UNITS = ("mIoU, %", "mIoU with the original, %")
TASK = Task("segmenter", 0.5, 0.25, pictures, learn, mean_iou, agreement, UNITS)

if __name__ == "__main__":
    run(TASK, __doc__)
