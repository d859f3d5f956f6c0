"""Make the image files that the README's commands use, from Fashion-MNIST.

    python tools/make_fashion_mnist_samples.py --data-dir DIR

256 training images without labels for calibration, and the first 2,000 test images with labels. Each
file also holds the mean and the standard deviation that the shipped network was trained with.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

from fashion_mnist import MEAN, STD, dataset  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, help="folder of the IDX files (default: download)")
    args = parser.parse_args()
    train = dataset("train", args.data_dir, transform=lambda image: image)
    chosen = np.random.default_rng(0).choice(len(train), 256, replace=False)
    save("fashion_mnist_calibration.npz", images=np.stack([pixels(train, i) for i in chosen]))
    test = dataset("test", args.data_dir, transform=lambda image: image)
    images = np.stack([pixels(test, i) for i in range(2000)])
    labels = np.array([test[i][1].item() for i in range(2000)])
    save("fashion_mnist_test.npz", images=images, labels=labels)


def pixels(images, index: int) -> np.ndarray:
    return np.asarray(images[index][0]).astype(np.uint8)


def save(name: str, **arrays: np.ndarray) -> None:
    np.savez_compressed(EXAMPLES / name, **arrays, mean=np.float32(MEAN), std=np.float32(STD))
    print(f"wrote {EXAMPLES / name}: {len(arrays['images']):,} images")


if __name__ == "__main__":
    main()
