"""Accuracy against MACs and latency: SPConv, channel pruning, both, and other slim convolutions.

    python benchmarks/frontier.py --data-dir DIR                   # all of it, hours
    python benchmarks/frontier.py --data-dir DIR --budgets 0 --only spconv-sum-0.5 ls-0.5
    python benchmarks/frontier.py --latency                        # times, in one run
    python benchmarks/frontier.py --render                         # table and plot again

One original network, the shipped ResNet-20; every 3x3 of its blocks is replaced, or every block's inner
channels are pruned; whatever a method can fit, it fits on the same 256 images. Then all have the same
recovery: `spconvify.recover` without labels, 0 and 200 steps of 64 images, and 1,000 steps for the best
three. Judged at the end of each on the 10,000 test images. Results are written one by one; what is done
is left out when it runs again.
"""

from __future__ import annotations

import argparse
import copy
import logging
import time
import zlib  # noqa: F401 - before paddle: on 2.6 a later import can crash
from pathlib import Path

import fashion_mnist_arrays as arrays
import numpy as np
import paddle
from frontier_methods import METHODS
from frontier_report import render
from results import Results, machine

import spconvify
from spconvify.evaluation.accuracy import top1

FOLDER = Path(__file__).resolve().parent / "results"
SHAPE = (1, 1, 28, 28)
BUDGETS = {0: None, 200: None, 1000: 3}  # steps -> how many of the best get them
BATCH_SIZE = 64


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD")
    parser.add_argument("--budgets", nargs="+", type=int, choices=BUDGETS, default=list(BUDGETS))
    parser.add_argument("--latency", action="store_true", help="only measure latencies")
    parser.add_argument("--threads", type=int, default=1, help="of the timed networks")
    parser.add_argument("--render", action="store_true", help="only write table and plot anew")
    parser.add_argument("--data-dir", type=Path, help="folder of the IDX files (default: download)")
    parser.add_argument("--seed", type=int, default=0, help="of the recovery")
    parser.add_argument("--out", type=Path, default=FOLDER / "frontier.json")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    logging.disable(logging.INFO)  # PaddleSlim tells every channel
    facts = {"machine": machine(), "paddle": paddle.__version__, "seed": args.seed}
    results = Results(args.out, {**facts, "batch_size": BATCH_SIZE, "calibration_images": 256})
    if not args.render:
        images = arrays.calibration()
        networks = Networks(images[:16] if args.latency else images)  # weights change no latency
        if args.latency:
            add_latencies(args, results, networks)
        else:
            original(args, results)
            for budget in args.budgets:
                add_accuracies(args, results, networks, budget)
    render(args.out)


class Networks:
    """The slim networks, fitted to `images`, each built once while this process lives."""

    def __init__(self, images: np.ndarray) -> None:
        self.teacher = spconvify.load(arrays.NETWORK)
        self.teacher.eval()
        self._images = images
        self._built: dict[str, tuple] = {}

    def get(self, name: str):
        """(a fresh copy of the network, seconds that it took to build)."""
        if name not in self._built:
            start = time.perf_counter()
            network = METHODS[name].build(self.teacher, self._images)
            network.eval()
            self._built[name] = network, time.perf_counter() - start
        network, seconds = self._built[name]
        return copy.deepcopy(network), seconds


def original(args: argparse.Namespace, results: Results) -> None:
    if not results.has("original"):
        network = spconvify.load(arrays.NETWORK)
        cost = spconvify.cost(network, SHAPE)
        accuracy = top1(network, *arrays.test(args.data_dir))
        results.add("original", {"macs": cost.macs, "params": cost.params, "top1": {"0": accuracy}})


def add_accuracies(args: argparse.Namespace, results: Results, networks: Networks, budget: int) -> None:
    names = best(results, args.only, BUDGETS[budget])
    for name in names:
        result = dict(results.jobs.get(name, {"top1": {}}))
        if str(budget) in result["top1"]:
            continue
        network, seconds = networks.get(name)
        if budget == 0:
            cost = spconvify.cost(network, SHAPE)
            result |= {"macs": cost.macs, "params": cost.params, "fit_seconds": round(seconds, 1)}
        else:
            recover(args, network, networks.teacher, budget, name)
        accuracy = top1(network, *arrays.test(args.data_dir))
        result["top1"] = {**result["top1"], str(budget): accuracy}
        results.add(name, result)
        print(f"{name}, {budget} steps: top-1 {accuracy:.2f} %", flush=True)


def recover(args: argparse.Namespace, network, teacher, steps: int, name: str) -> None:
    def report(now) -> None:
        if now.step % 100 == 0:
            print(f"{name}: {now.step}/{steps}, {now.seconds_left:.0f} s left", flush=True)

    spconvify.recover(
        network, teacher, arrays.train(args.data_dir)[0], steps=steps, batch_size=BATCH_SIZE,
        seed=args.seed, same_network=False, progress=report,
    )  # fmt: skip


def best(results: Results, names: list[str], count: int | None) -> list[str]:
    """The `count` methods that lose least per MAC saved after 200 steps, of three different kinds."""
    if count is None:
        return names
    whole = results.jobs["original"]
    chosen: dict[str, tuple[float, str]] = {}
    for name in names:
        result = results.jobs.get(name, {})
        if "200" in result.get("top1", {}):
            lost = whole["top1"]["0"] - result["top1"]["200"]
            score = max(lost, 0.05) / (1 - result["macs"] / whole["macs"])
            kind = METHODS[name].family
            chosen[kind] = min(chosen.get(kind, (score, name)), (score, name))
    return [name for _, name in sorted(chosen.values())[:count]]


def add_latencies(args: argparse.Namespace, results: Results, networks: Networks) -> None:
    """Time all networks in one run, in Paddle Inference, fused where spconvify can."""
    from spconvify.engines import measure

    fuse = getattr(spconvify, "fuse", None)
    timed = {"original": networks.teacher}
    timed |= {name: networks.get(name)[0] for name in args.only if results.has(name)}
    if fuse is not None:
        timed = {name: fuse(network) for name, network in timed.items()}
    found = measure(timed, SHAPE, threads=args.threads, progress=lambda done, total: print(done, total))
    for name, latency in found.items():
        own = {**vars(latency), "threads": args.threads, "fused": fuse is not None}
        results.add(name, {**results.jobs[name], "latency_ms": own})


if __name__ == "__main__":
    main()
