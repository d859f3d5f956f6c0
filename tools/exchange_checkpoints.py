"""Checkpoints between versions of Paddle: one writes, the other reads and computes the same.

python tools/exchange_checkpoints.py write FOLDER      # with one Paddle
python tools/exchange_checkpoints.py read FOLDER       # with another
"""

import sys
import zlib  # noqa: F401 - on Paddle 2.6 importing it after Paddle can crash
from pathlib import Path

import numpy as np
import paddle

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from networks import trained

import spconvify
from spconvify.zoo.cifar import resnet20

FUSIONS = ("sum", "gap")
SUFFIXES = (".pdparams", ".safetensors")
IMAGES = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype("float32")


def write(folder: Path) -> None:
    for fusion in FUSIONS:
        network = trained(spconvify.convert(resnet20(num_classes=7), fusion=fusion))
        np.save(folder / f"{fusion}.npy", network(paddle.to_tensor(IMAGES)).numpy())
        for suffix in SUFFIXES:
            spconvify.save(network, folder / f"{fusion}{suffix}")


def read(folder: Path) -> None:
    for fusion in FUSIONS:
        expected = np.load(folder / f"{fusion}.npy")
        for suffix in SUFFIXES:
            network = spconvify.load(folder / f"{fusion}{suffix}")
            network.eval()
            actual = network(paddle.to_tensor(IMAGES)).numpy()
            np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
            print(f"Paddle {paddle.__version__} reads {fusion}{suffix}")


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]))
