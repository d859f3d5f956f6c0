"""Do times of single layers add up to that of a network? JSON, and a Markdown table beside it.

    python benchmarks/layer_times.py --out benchmarks/results/layer_times.json

Networks at 224 with random weights, one thread, batch 1. In each of several mixes every block has its
inner channels narrowed, its 3x3 convolutions replaced by SPConv, both, or neither. The time of a mix is
predicted by `LayerTimes`: that of the dense network, plus the differences of all layers that are others.
It is measured as the minimum of repeated runs of the whole network, fused as it would be deployed.
A job of the JSON file (a network in an engine) is kept: a run that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
import zlib  # noqa: F401 - on Paddle 2.6 importing it after Paddle can crash
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn
from results import Results, machine, markdown

import spconvify
from spconvify import SPConv2D
from spconvify.deploy.layer_times import LayerShape, LayerTimes
from spconvify.deploy.times_cache import TimesCache
from spconvify.engines import describe, registry
from spconvify.engines.minima import SmallNetwork, minima
from spconvify.operators.spconv.settings import SPConvSettings
from spconvify.surgery.planning import Plan

ENGINES = ("onnxruntime", "openvino", "inference")
NETWORKS = ("resnet18", "resnet50", "vgg16")
SHAPE = (1, 3, 224, 224)
HALF, QUARTER = (0.5, 2), (0.25, 2)
# The share of inner channels that stays; SPConv's ratio and groups in the first 3x3, and in the second.
OPTIONS = [
    (1, None, None),
    (0.5, None, None),
    (0.25, None, None),
    (1, HALF, HALF),
    (1, QUARTER, QUARTER),
    (0.5, HALF, None),
    (0.5, HALF, HALF),
]
UNIFORM = {"half pruned": 1, "SPConv 1/2": 3, "half pruned, SPConv 1/2 first": 5, "both": 6}
MIXES, SEED = 3, 1  # of random options
SECONDS = 0.2  # of a whole network's turn
Option = tuple[float, Any, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("layer_times.json"))
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--passes", type=int, default=1, help="more, where others use the machine, too")
    args = parser.parse_args()
    results = Results(args.out, {"machine": machine(), "paddle": paddle.__version__})
    for network in args.networks:
        for engine in args.engines:
            name = f"{network} {engine}"
            if not results.has(name):
                print(name, flush=True)
                results.add(name, compare(network, engine, args.passes))
                args.out.with_suffix(".md").write_text(table(results.jobs))
    print(table(results.jobs))


def compare(network: str, engine: str, passes: int) -> dict[str, Any]:
    """Predicted and measured times of all mixes of a network, from the minima of all passes."""
    mixes = mixes_of(network)
    layers = {name: layers_of(network, options) for name, options in mixes.items()}
    shapes = list(dict.fromkeys(shape for found in layers.values() for shape in found.values()))
    measured, own = dict.fromkeys(mixes, math.inf), dict.fromkeys(shapes, math.inf)
    seconds = []
    for number in range(passes):
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            times = LayerTimes(engine, cache=TimesCache(Path(folder, "times.json")))
            times.measure(shapes)
        seconds.append(time.perf_counter() - start)
        own = {shape: min(time, times[shape]) for shape, time in own.items()}
        found = whole_networks(network, mixes, engine)
        measured = {name: min(time, found[name]) for name, time in measured.items()}
        predicted = predictions(layers, own, measured["dense"])
        ratios = [f"{predicted[name] / measured[name]:.3f}" for name in mixes]
        print(f"  pass {number + 1}, {seconds[-1]:.0f} s for layers: {' '.join(ratios)}", flush=True)
    return {
        **describe(engine),
        "measured_ms": measured,
        "predicted_ms": predicted,
        "sum_of_dense_layers_ms": sum(own[shape] for shape in layers["dense"].values()),
        "layers": len(shapes),
        "passes": passes,
        "seconds_for_layers": min(seconds),
        "options": mixes,
    }


def predictions(
    layers: dict[str, dict[str, LayerShape]], times: dict[LayerShape, float], dense: float
) -> dict[str, float]:
    """The time of the dense network, and by how much the layers of every mix differ from its layers."""
    usual = layers["dense"]
    return {
        name: dense + sum(times[own[layer]] - times[usual[layer]] for layer in usual)
        for name, own in layers.items()
    }


def whole_networks(network: str, mixes: dict[str, list[Option]], engine: str) -> dict[str, float]:
    """The minimum of repeated runs of every mix."""
    found = minima(
        {
            name: SmallNetwork(partial(deployed, network, options, engine), SHAPE)
            for name, options in mixes.items()
        },
        engine=engine,
        seconds=SECONDS,
    )
    return {name: float(value) for name, value in found.items()}  # type: ignore[arg-type]


def mixes_of(network: str) -> dict[str, list[Option]]:
    """By name: an option of every block (of VGG every convolution that another one follows)."""
    blocks = len(blocks_of(dense_network(network)))
    mixes = {"dense": [OPTIONS[0]] * blocks}
    mixes |= {name: [OPTIONS[index]] * blocks for name, index in UNIFORM.items()}
    random = np.random.default_rng(SEED)
    for number in range(MIXES):
        chosen = random.integers(0, len(OPTIONS), blocks)
        mixes[f"mix {number + 1}"] = [OPTIONS[index] for index in chosen]
    return mixes


def dense_network(network: str) -> Any:
    options = {"batch_norm": True} if network == "vgg16" else {}
    with paddle.utils.unique_name.guard():
        paddle.seed(0)
        model = getattr(paddle.vision.models, network)(**options)
    model.eval()
    return model


def blocks_of(model: Any) -> list[list[str]]:
    """The names of the convolutions of every block, in order; of VGG's chain, of each alone."""
    convs = [name for name, layer in model.named_sublayers() if type(layer) is nn.Conv2D]
    if hasattr(model, "features"):
        return [[name] for name in convs[:-1]]  # the channels of the last one are the head's
    inner: dict[str, list[str]] = {}
    for name in convs:
        block, _, own = name.rpartition(".")
        if own.startswith("conv") and block:
            inner.setdefault(block, []).append(name)
    return list(inner.values())


def narrowed_network(network: str, options: Sequence[Option]) -> tuple[Any, dict[str, SPConvSettings]]:
    """The network with fewer inner channels, and which of its convolutions SPConv is to replace."""
    model = dense_network(network)
    layers = dict(model.named_sublayers())
    convs = [name for name, layer in layers.items() if type(layer) is nn.Conv2D]
    is_chain = hasattr(model, "features")
    settings = {}
    for block, (share, *splits) in zip(blocks_of(model), options):
        following = [*block[1:]] or [convs[convs.index(block[0]) + 1]]
        if share != 1:
            for maker, taker in zip(block, following):
                narrow(model, maker, taker, share)
        spatial = [name for name in block if dict(model.named_sublayers())[name]._kernel_size == [3, 3]]
        for name, split in zip(spatial, splits):
            if split and dict(model.named_sublayers())[name]._in_channels > 3:
                # What nobody else takes, the convolution before it can give in order.
                is_shared = not is_chain and name == block[0]
                settings[name] = SPConvSettings(*split, "sum", True, is_shared)
    model.eval()
    return model, settings


def narrow(model: Any, maker: str, taker: str, share: float) -> None:
    """Give the channels between two convolutions, and the BatchNorm behind the first, that share."""
    layers = dict(model.named_sublayers())
    channels = round(share * layers[maker]._out_channels)
    names = list(layers)
    norm = next(n for n in names[names.index(maker) :] if isinstance(layers[n], nn.BatchNorm2D))
    put(model, maker, convolution(layers[maker], out_channels=channels))
    put(model, norm, nn.BatchNorm2D(channels))
    put(model, taker, convolution(layers[taker], in_channels=channels))


def convolution(like: Any, in_channels: int | None = None, out_channels: int | None = None) -> nn.Conv2D:
    return nn.Conv2D(
        in_channels or like._in_channels,
        out_channels or like._out_channels,
        like._kernel_size,
        like._stride,
        like._updated_padding,
        bias_attr=None if like.bias is not None else False,
    )


def put(model: Any, name: str, layer: nn.Layer) -> None:
    parent, _, own = name.rpartition(".")
    holder = dict(model.named_sublayers())[parent] if parent else model
    holder._sub_layers[own] = layer


def layers_of(network: str, options: Sequence[Option]) -> dict[str, LayerShape]:
    """Every convolution of the network by name, as it would be deployed."""
    model, settings = narrowed_network(network, options)
    found = {}

    def seen(name: str, layer: Any, given: Any, _: Any) -> None:
        found[name] = LayerShape.of(layer, given[0].shape, settings.get(name))

    for name, layer in model.named_sublayers():
        if type(layer) is nn.Conv2D:
            layer.register_forward_post_hook(partial(seen, name))
    with paddle.no_grad():
        model(paddle.zeros(SHAPE))
    return found


def deployed(network: str, options: Sequence[Option], engine: str) -> nn.Layer:
    """The network of that mix, fused for the engine."""
    model, settings = narrowed_network(network, options)
    if settings:
        model = spconvify.convert(model, plan=Plan(settings), init="none", inplace=True)
        random = np.random.default_rng(0)
        for layer in model.sublayers():
            if isinstance(layer, SPConv2D) and layer.channels is not None:
                channels = random.permutation(layer.in_channels)
                layer.channels = paddle.to_tensor(channels.astype("int64"))
    model.eval()
    return spconvify.fuse(model, engine=engine, input_shape=SHAPE)


def table(jobs: dict[str, Any]) -> str:
    """One row for every mix, and what it was measured on."""
    rows = [["network", "engine", "mix", "measured", "speedup", "predicted", "predicted / measured"]]
    for name, job in jobs.items():
        network, engine = name.split()
        for mix, measured in job["measured_ms"].items():
            if mix == "dense":
                continue
            predicted = job["predicted_ms"][mix]
            rows.append(
                [network, registry.label(engine), mix, f"{measured:.2f} ms",
                 f"{job['measured_ms']['dense'] / measured:.2f}x", f"{predicted:.2f} ms",
                 f"{predicted / measured:.3f}"]
            )  # fmt: skip
    facts = {
        f"{network}, {registry.label(engine)} {job['version']}: {job['layers']} layers timed in "
        f"{job['seconds_for_layers']:.0f} s, dense {job['measured_ms']['dense']:.1f} ms, "
        f"minima of {job['passes']} passes"
        for (network, engine), job in ((name.split(), job) for name, job in jobs.items())
    }
    processors = ", ".join(sorted({job["processor"] for job in jobs.values()}))
    about = [f"{processors}; one thread, batch 1, 224 x 224; minima of repeated runs.", *sorted(facts)]
    return markdown(rows) + "\n" + "\n".join(f"- {line}" for line in about) + "\n"


if __name__ == "__main__":
    main()
