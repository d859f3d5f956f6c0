"""The SPConv paper's experiment: train a network and its SPConv twin from scratch, with the same seed.

    python benchmarks/train_from_scratch.py                                   # ResNet-18, CIFAR-10
    python benchmarks/train_from_scratch.py --network resnet20 --archive cifar-10-python.tar.gz
    python benchmarks/train_from_scratch.py --network resnet18 --ratio-for 'layer4.*=0.25'
    python benchmarks/train_from_scratch.py --data fashion-mnist --network resnet20 --epochs 2

ResNet-18 is trained with Adam at 3e-4; ResNet-20 and VGG-16 as the paper does: SGD with momentum 0.9,
a learning rate of 0.1, ten times less after half and three quarters of the epochs, weight decay 1e-4.
Batches of 128, crops and mirrored images. Curves go to VisualDL if it is installed. Every epoch leaves
a checkpoint in --work-dir; started again, the training goes on from it.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
import zlib  # noqa: F401 - before paddle: on 2.6 a later import can crash
from pathlib import Path

from spconvify.cli.paddle_setup import load_paddle

load_paddle()  # before anything else imports it: fast matrix products on AMD
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "examples"))

import fashion_mnist  # noqa: E402
import numpy as np  # noqa: E402
import paddle  # noqa: E402
from results import Results, machine, markdown  # noqa: E402

import spconvify  # noqa: E402
from spconvify.cli.values import parse_ratios  # noqa: E402
from spconvify.zoo import cifar  # noqa: E402

# The mean and the standard deviation of CIFAR-10's training images, in [0, 1].
MEAN, STD = np.float32([0.4914, 0.4822, 0.4465]), np.float32([0.2470, 0.2435, 0.2616])
ADAM = ("resnet18",)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=("resnet18", "resnet20", "vgg16"), default="resnet18")
    parser.add_argument("--data", choices=("cifar10", "fashion-mnist"), default="cifar10")
    parser.add_argument("--archive", type=Path, help="cifar-10-python.tar.gz (default: download)")
    parser.add_argument("--data-dir", type=Path, help="Fashion-MNIST's IDX files (default: download)")
    parser.add_argument("--twins", nargs="+", choices=("dense", "spconv"), default=["dense", "spconv"])
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--groups", type=int, default=2)
    parser.add_argument("--fusion", choices=("gap", "sum"), default="gap")
    parser.add_argument("--ratio-for", action="append", metavar="GLOB=R", help="ratio of some layers")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work-dir", type=Path, default=Path("runs/from_scratch"))
    parser.add_argument("--out", type=Path, default=HERE / "results" / "from_scratch.json")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    results = Results(args.out, {"machine": machine(), "paddle": paddle.__version__})
    test = datasets_of("test", args)
    for twin in args.twins:
        name = run_name(twin, args)
        if not results.has(name):
            with paddle.utils.unique_name.guard():  # by these names a checkpoint's momenta are found
                results.add(name, run(name, twin, test, args))
        print(f"{name}: top-1 {results.jobs[name]['top1']:.2f} %")
    args.out.with_suffix(".md").write_text(table(results.jobs))


def table(jobs: dict) -> str:
    rows = [["training", "MACs, M", "params, M", "top-1"]]
    for name, job in jobs.items():
        millions = [f"{job[key] / 1e6:.2f}" for key in ("macs", "params")]
        rows.append([name, *millions, f"{job['top1']:.2f}"])
    return markdown(rows)


def run_name(twin: str, args: argparse.Namespace) -> str:
    """All that makes this training another one than the rest."""
    spconv = "-".join(["", f"{args.ratio:g}", f"g{args.groups}", args.fusion, *(args.ratio_for or [])])
    settings = f"{args.epochs}-epochs-of-{args.batch_size}-seed-{args.seed}"
    return f"{args.data}-{args.network}-{twin}{spconv if twin == 'spconv' else ''}-{settings}"


def network(twin: str, args: argparse.Namespace) -> paddle.nn.Layer:
    """With random weights that the seed gives."""
    paddle.seed(args.seed)
    channels = 3 if args.data == "cifar10" else 1
    if args.network == "resnet18":
        model = paddle.vision.models.resnet18(num_classes=10)
        if channels == 1:
            model.conv1 = paddle.nn.Conv2D(1, 64, 7, stride=2, padding=3, bias_attr=False)
    else:
        build = cifar.resnet20 if args.network == "resnet20" else cifar.vgg16_cifar
        model = build(num_classes=10, in_channels=channels)
    if twin == "dense":
        return model
    return spconvify.convert(
        model, args.ratio, args.groups, fusion=args.fusion, ratios=parse_ratios(args.ratio_for),
        init="none", input_shape=input_shape(args),
    )  # fmt: skip


def input_shape(args: argparse.Namespace) -> tuple[int, ...]:
    return (1, 3, 32, 32) if args.data == "cifar10" else (1, 1, 28, 28)


def optimizer_of(model: paddle.nn.Layer, steps: int, args: argparse.Namespace):
    parameters = model.parameters()
    if args.network in ADAM:
        return paddle.optimizer.Adam(3e-4, parameters=parameters)
    falls = sorted({args.epochs * steps // 2, args.epochs * steps * 3 // 4})
    rate = paddle.optimizer.lr.MultiStepDecay(0.1, falls)
    return paddle.optimizer.Momentum(rate, 0.9, parameters=parameters, weight_decay=1e-4)


class EpochCheckpoint(paddle.callbacks.Callback):
    """Keep weights, optimizer, curve and the number of finished epochs; the number is written last."""

    def __init__(self, folder: Path, done: int):
        super().__init__()
        self.folder, self.done = folder, done

    def on_epoch_end(self, epoch, logs=None):
        done = self.done + epoch + 1
        self.model.save(str(self.folder / f"epoch{done}"))
        (self.folder / "done.tmp").write_text(str(done))
        (self.folder / "done.tmp").replace(self.folder / "done")
        for old in self.folder.glob(f"epoch{done - 1}.*"):
            old.unlink()


def run(name: str, twin: str, test, args: argparse.Namespace) -> dict:
    folder = args.work_dir / name
    folder.mkdir(parents=True, exist_ok=True)
    done = int((folder / "done").read_text()) if (folder / "done").exists() else 0
    train = datasets_of("train", args, done)
    net = network(twin, args)
    model = paddle.Model(net)
    optimizer = optimizer_of(net, len(train) // args.batch_size, args)
    model.prepare(optimizer, paddle.nn.CrossEntropyLoss(), paddle.metric.Accuracy())
    if done:
        model.load(str(folder / f"epoch{done}"))
    callbacks = [EpochCheckpoint(folder, done)]
    if importlib.util.find_spec("visualdl"):
        callbacks.append(paddle.callbacks.VisualDL(str(folder / "visualdl")))
    start = time.perf_counter()
    np.random.seed(args.seed + done)  # the loader shuffles with it: the twins see the same batches
    loader = paddle.io.DataLoader(train, batch_size=args.batch_size, shuffle=True, drop_last=True)
    judge = paddle.io.DataLoader(test, batch_size=250)
    model.fit(loader, epochs=args.epochs - done, verbose=2, log_freq=50, callbacks=callbacks)
    accuracy = 100.0 * model.evaluate(judge, verbose=0)["acc"]
    cost = spconvify.cost(net, input_shape(args))
    return {
        "top1": accuracy,
        "macs": cost.macs,
        "params": cost.params,
        "epochs": args.epochs,
        "seed": args.seed,
        "seconds": round(time.perf_counter() - start, 1),
        "resumed_after_epochs": done,
    }


def datasets_of(mode: str, args: argparse.Namespace, done: int = 0):
    """A twin needs its own: crops come from a generator that goes on from image to image."""
    seed = args.seed + done
    if args.data == "fashion-mnist":
        transform = fashion_mnist.Augment(seed) if mode == "train" else fashion_mnist.normalise
        return fashion_mnist.dataset(mode, args.data_dir, transform)
    file = None if args.archive is None else str(args.archive)
    transform = Crop(seed) if mode == "train" else standardise
    return paddle.vision.datasets.Cifar10(file, mode=mode, transform=transform, backend="cv2")


def standardise(image: np.ndarray) -> np.ndarray:
    """(32, 32, 3) of 0..255 -> float32 (3, 32, 32)."""
    return ((np.asarray(image, np.float32) / 255.0 - MEAN) / STD).transpose(2, 0, 1)


class Crop:
    """Pad by 4 pixels, cut 32x32 out anywhere, mirror every second image."""

    def __init__(self, seed: int):
        self._random = np.random.default_rng(seed)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        top, left = self._random.integers(0, 9, 2)
        padded = np.pad(np.asarray(image), ((4, 4), (4, 4), (0, 0)))[top : top + 32, left : left + 32]
        return standardise(padded[:, ::-1] if self._random.random() < 0.5 else padded)


if __name__ == "__main__":
    main()
