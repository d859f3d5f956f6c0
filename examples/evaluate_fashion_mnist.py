"""Top-1 accuracy of checkpoints, dense or converted, on the 10,000 test images of Fashion-MNIST.

python examples/evaluate_fashion_mnist.py --data-dir DIR resnet20.pdparams sp.pdparams
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import paddle
from fashion_mnist import dataset

import spconvify


def accuracy(network: paddle.nn.Layer, images: paddle.io.Dataset, batch_size: int = 500) -> float:
    """Share of `images` whose largest logit is their label, in per cent."""
    network.eval()
    right = 0
    with paddle.no_grad():
        for x, label in paddle.io.DataLoader(images, batch_size=batch_size):
            right += int((network(x).argmax(axis=1) == label.flatten()).sum())
    return 100 * right / len(images)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--data-dir", type=Path, help="folder of the IDX files (default: download)")
    parser.add_argument("--first", type=int, help="only the first images of the test set")
    args = parser.parse_args()
    images = dataset("test", args.data_dir)
    if args.first:
        images = paddle.io.Subset(images, np.arange(args.first))
    for path in args.checkpoints:
        top1 = accuracy(spconvify.load(path), images)
        print(f"{path}: top-1 {top1:.2f} % of {len(images):,} test images", flush=True)


if __name__ == "__main__":
    main()
