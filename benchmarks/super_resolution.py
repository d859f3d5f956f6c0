"""A small network that doubles a picture's size: what conversion and recovery leave of its PSNR.

    python benchmarks/super_resolution.py --data-dir DIR --train examples/enlarger.pdparams
    python benchmarks/super_resolution.py --data-dir DIR --calibration examples/enlarger_pictures.npz
    python benchmarks/super_resolution.py --data-dir DIR
    python benchmarks/super_resolution.py --data-dir DIR --judge slim.pdparams tuned.pdparams

Garments of Fashion-MNIST on textured backgrounds, 48x48, and the same pictures at half the size. The
third line measures everything on 200 pictures of test garments, the fourth adds checkpoints to the
table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from dense_outputs import Task, run
from dense_training import train
from garment_scenes import scenes


def pictures(count: int, mode: str, data_dir: Path | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Halved pictures in whole numbers, and the ones that they come from in 0..1."""
    whole, _ = scenes(count, mode, data_dir, seed, noise=0.0)
    height, width = (size // 2 for size in whole.shape[1:])
    halved = whole.reshape(count, height, 2, width, 2).mean((2, 4))
    return np.rint(halved).astype(np.uint8), (whole.astype(np.float32) / 255)[:, None]


def learn(network: Any, inputs: np.ndarray, targets: np.ndarray, out: Path, steps: int) -> None:
    from paddle.nn.functional import l1_loss

    train(network, l1_loss, inputs, targets, out, steps, 8, learning_rate=2e-3)


def psnr(pictures: np.ndarray, others: np.ndarray) -> float:
    """Decibels, of a range of 1, from the mean squared difference of all pixels."""
    return -10 * float(np.log10(np.mean((pictures.clip(0, 1) - others.clip(0, 1)) ** 2) + 1e-12))


TASK = Task("enlarger", 0.0, 1.0, pictures, learn, psnr, psnr, ("PSNR, dB", "PSNR to the original, dB"))

if __name__ == "__main__":
    run(TASK, __doc__)
