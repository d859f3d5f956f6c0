"""Latency before and after SPConv where networks are deployed: JSON, Markdown tables and a plot.

    python benchmarks/latency.py --out benchmarks/results/latency.json

Every timing runs the original network with its BatchNorms folded, the converted one in the article's
plain form, and the converted one fused, alternately in processes of their own. Timings that the JSON
file has already are kept: a run that was interrupted goes on, and `--again` measures anew. With `--tune`
the forms are chosen by measurement first; with `--free-tensors` Paddle frees tensors as it does by
default, not as in spconvify's other timings; with `--scattered` the representative channels lie all over
the map, where calibration finds them, and not at the front. The networks have random weights: they
change no latency.
"""

from __future__ import annotations

import argparse
import json
import os
import zlib  # noqa: F401 - on Paddle 2.6 importing it after Paddle can crash
from pathlib import Path

import numpy as np
import paddle

import spconvify
from spconvify import SPConv2D
from spconvify.checkpoint.writing import atomic
from spconvify.deploy.timing import time_networks
from spconvify.engines.memory import KEEP_TENSORS

NETWORKS = {"resnet18": {}, "vgg16": {"batch_norm": True}, "resnet50": {}}
FUSIONS = ("sum", "gap")
ENGINES = ("inference", "openvino", "onnxruntime")
SETTINGS = ((1, 1), (1, 2), (8, 1))  # batch, threads
SIZE = 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("latency.json"))
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--fusions", nargs="+", choices=FUSIONS, default=list(FUSIONS))
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--settings", nargs="+", metavar="BATCHxTHREADS", default=None)
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--tune", action="store_true", help="choose the forms by measurement first")
    parser.add_argument("--free-tensors", action="store_true", help="with Paddle's own memory setting")
    parser.add_argument("--scattered", action="store_true", help="channels as calibration chooses them")
    parser.add_argument("--again", action="store_true", help="measure what the file has already, too")
    parser.add_argument("--list", action="store_true", help="only print what would be measured")
    args = parser.parse_args()
    if args.free_tensors:
        os.environ |= dict.fromkeys(KEEP_TENSORS, "0")
    settings = [tuple(map(int, text.split("x"))) for text in args.settings or []] or SETTINGS
    found = json.loads(args.out.read_text()) if args.out.exists() else {}
    for network in args.networks:
        for fusion in args.fusions:
            for engine in args.engines:
                for batch, threads in settings:
                    name = f"{network} {fusion} {engine} {batch}x{threads}"
                    name += " scattered" if args.scattered else ""
                    if name in found and not args.again:
                        continue
                    if args.list:
                        print(name)
                        continue
                    found[name] = measure(network, fusion, engine, batch, threads, args)
                    with atomic(args.out) as file:
                        file.write((json.dumps(found, indent=1) + "\n").encode())
                    print(f"{name}: {line(found[name])}", flush=True)
    if found and not args.list:
        from latency_report import save_plot, write_tables

        write_tables(found, args.out.with_suffix(".md"))
        save_plot(found, args.out.with_suffix(".png"))


def measure(network: str, fusion: str, engine: str, batch: int, threads: int, args) -> dict:
    """One timing of one converted network."""
    paddle.seed(0)
    before = getattr(paddle.vision.models, network)(**NETWORKS[network])
    before.eval()
    after = spconvify.convert(before, ratio=args.ratio, fusion=fusion, init="none")
    if args.scattered:
        scatter_channels(after)
    shape = (batch, 3, SIZE, SIZE)
    macs = spconvify.cost(before, shape).macs / spconvify.cost(after, shape).macs
    timing = time_networks(before, after, shape, engine, threads, tune=args.tune)
    return {
        "network": network,
        "fusion": fusion,
        "ratio": args.ratio,
        "macs_ratio": macs,
        "tuned": args.tune,
        "frees_tensors": args.free_tensors,
        "scattered": args.scattered,
        **timing.to_dict(),
        "ratio_fused": timing.before.median / timing.fused.median,
        "ratio_plain": timing.before.median / timing.after.median,
    }


def scatter_channels(model: paddle.nn.Layer) -> None:
    """Make channels all over the map representative; what a layer computes changes, its cost doesn't."""
    random = np.random.default_rng(0)
    for layer in model.sublayers(include_self=True):
        if isinstance(layer, SPConv2D):
            layer.channels = paddle.to_tensor(random.permutation(layer.in_channels).astype("int64"))


def line(entry: dict) -> str:
    """One timing for the terminal."""
    before, after, fused = (entry[f"{key}_ms"]["median"] for key in ("before", "after", "fused"))
    return (
        f"{before:.2f} ms, plain {after:.2f} ms ({entry['ratio_plain']:.2f}x), "
        f"fused {fused:.2f} ms ({entry['ratio_fused']:.2f}x of {entry['macs_ratio']:.2f}x)"
    )


if __name__ == "__main__":
    main()
