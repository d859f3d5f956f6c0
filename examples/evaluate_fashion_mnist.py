"""Top-1 accuracy of checkpoints, dense or converted, on the 10,000 test images of Fashion-MNIST.

python examples/evaluate_fashion_mnist.py --data-dir DIR resnet20.pdparams sp.pdparams
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from fashion_mnist import dataset

import spconvify
from spconvify.evaluation.accuracy import top1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--data-dir", type=Path, help="folder of the IDX files (default: download)")
    parser.add_argument("--first", type=int, help="only the first images of the test set")
    args = parser.parse_args()
    pairs = list(dataset("test", args.data_dir))[: args.first]
    images = np.stack([image for image, _ in pairs])
    labels = np.array([label.item() for _, label in pairs])
    for path in args.checkpoints:
        percent = top1(spconvify.load(path), images, labels)
        print(f"{path}: top-1 {percent:.2f} % of {len(images):,} test images", flush=True)


if __name__ == "__main__":
    main()
