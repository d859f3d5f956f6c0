"""What the two networks with pictures as outputs have in common: training, judging, tables.

A module of its own for each gives a `Task`; `run` is its command line.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fashion_mnist_arrays import EXAMPLES
from results import Results, machine, markdown

OUT = Path(__file__).resolve().parent / "results"
CALIBRATION, LEFT_OUT = 96, 200  # pictures; the first are in examples/
STEPS, BATCH, RECOVERY = 200, 8, 2000  # of a recovery: steps, pictures in one, pictures in all
# (fusion, start) -> the feature weights to recover with
_RECOVERED = {
    ("sum", "fitted"): (0.0, 1.0),
    ("gap", "fitted"): (1.0,),
    ("sum", "copied"): (0.0, 1.0),
    ("gap", "copied"): (1.0,),
}


@dataclass
class Task:
    """A network, its pictures, and how good its outputs are.

    Attributes:
        name: of the network: `examples/NAME.pdparams`, and the factory in examples/garment_networks.py.
        mean: of its input's pixels in 0..1, and `std`.
        pictures: (count, "train" or "test", folder of the data, seed) -> uint8 inputs (N, H, W) and the
            right answers.
        train: (network, inputs, answers, checkpoint to write, steps).
        quality: (outputs, right answers) -> a number, named `unit`.
        likeness: (outputs, the original's outputs) -> a number.
        units: of these two, as the table has them.
    """

    name: str
    mean: float
    std: float
    pictures: Callable[[int, str, Any, int], tuple[np.ndarray, np.ndarray]]
    train: Callable[..., None]
    quality: Callable[[np.ndarray, np.ndarray], float]
    likeness: Callable[[np.ndarray, np.ndarray], float]
    units: tuple[str, str]

    def inputs(self, pixels: np.ndarray) -> np.ndarray:
        """The network's input, float32 (N, 1, H, W)."""
        mean, std = np.float32(self.mean), np.float32(self.std)
        return ((pixels.astype(np.float32) / 255 - mean) / std)[:, None]

    def network(self, checkpoint: Path) -> Any:
        import garment_networks

        import spconvify

        return spconvify.load(checkpoint, getattr(garment_networks, self.name)())


def run(task: Task, description: str) -> None:
    """The command line of a task."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, help="folder of the IDX files (default: download)")
    parser.add_argument("--train", type=Path, metavar="F.pdparams", help="train the network, and stop")
    parser.add_argument("--steps", type=int, default=1500, help="of --train")
    parser.add_argument("--calibration", type=Path, metavar="F.npz", help="write these, and stop")
    parser.add_argument("--pictures", type=Path, metavar="F.npz", help="write training pictures")
    parser.add_argument("--judge", nargs="+", type=Path, default=[], help="add these checkpoints")
    parser.add_argument("--out", type=Path, default=OUT / f"{task.name}.json")
    args = parser.parse_args()
    if args.train:
        import garment_networks
        import paddle

        paddle.seed(0)
        pixels, answers = task.pictures(3000, "train", args.data_dir, 1)
        network = getattr(garment_networks, task.name)()
        task.train(network, task.inputs(pixels), answers, args.train, args.steps)
    elif args.calibration:
        write(task, args.calibration, task.pictures(CALIBRATION, "train", args.data_dir, 2)[0])
    elif args.pictures:
        write(task, args.pictures, task.pictures(RECOVERY, "train", args.data_dir, 3)[0])
    else:
        judge(task, args)


def write(task: Task, path: Path, pixels: np.ndarray) -> None:
    """As the command line reads them."""
    np.savez_compressed(path, images=pixels, mean=np.float32(task.mean), std=np.float32(task.std))


def judge(task: Task, args: argparse.Namespace) -> None:
    """The original first, then what conversion and recovery make of it, and the table."""
    results = Results(args.out, {"machine": machine()})
    pixels, answers = task.pictures(LEFT_OUT, "test", args.data_dir, 4)
    original = task.network(EXAMPLES / f"{task.name}.pdparams")
    expected = outputs(original, task.inputs(pixels))

    def add(name: str, network: Any, seconds: float | None = None) -> None:
        found = outputs(network, task.inputs(pixels))
        shape = (1, 1, *pixels.shape[1:])
        results.add(name, {
            "macs": spconvify.cost(network, shape).macs, "seconds": seconds,
            "quality": task.quality(found, answers), "likeness": task.likeness(found, expected),
        })  # fmt: skip
        print(name, results.jobs[name], flush=True)
        args.out.with_suffix(".md").write_text(table(task, results.jobs))

    import spconvify

    if not results.has("original"):
        add("original", original)
    for path in args.judge:
        add(f"command line: {path.stem}", task.network(path))
    if not args.judge:
        conversions(task, args, results, original, add)


def conversions(task: Task, args: argparse.Namespace, results: Results, original: Any, add: Any) -> None:
    """Both fusions, copied and fitted; recovered without and with the layers' outputs in the loss."""
    import spconvify

    with np.load(EXAMPLES / f"{task.name}_pictures.npz") as file:
        calibration = task.inputs(file["images"])
    training = task.inputs(task.pictures(RECOVERY, "train", args.data_dir, 3)[0])
    for (fusion, start), weights in _RECOVERED.items():
        name = f"{fusion}, {start}"
        names = {f"{name}, recovered, feature weight {weight:g}": weight for weight in weights}
        if all(results.has(wanted) for wanted in (name, *names)):
            continue
        options = {"init": "lstsq", "calibration": [calibration]} if start == "fitted" else {}
        began = time.monotonic()
        slim = spconvify.convert(original, fusion=fusion, **options)
        if not results.has(name):
            add(name, slim, time.monotonic() - began)
        for recovered, weight in names.items():
            if results.has(recovered):
                continue
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                student = task.network(spconvify.save(slim, Path(folder) / "slim.pdparams"))
            spconvify.recover(
                student, original, training, steps=STEPS, batch_size=BATCH, feature_weight=weight
            )
            add(recovered, student, time.monotonic() - began)


def outputs(network: Any, inputs: np.ndarray) -> np.ndarray:
    """In eval mode, by batches."""
    import paddle

    network.eval()
    with paddle.no_grad():
        parts = np.split(inputs, range(50, len(inputs), 50))
        return np.concatenate([network(paddle.to_tensor(part)).numpy() for part in parts])


def table(task: Task, jobs: dict[str, Any]) -> str:
    """Markdown."""
    rows = [["network", "million MACs", *task.units]]
    for name, job in jobs.items():
        numbers = [f"{job['quality']:.2f}", f"{job['likeness']:.2f}" if name != "original" else ""]
        rows.append([name, f"{job['macs'] / 1e6:.1f}", *numbers])
    return markdown(rows)
