"""What each part of SPConv is worth: the paper's ablation, on ResNet-20 and Fashion-MNIST.

    python benchmarks/ablation.py --data-dir DIR                      # all variants and seeds
    python benchmarks/ablation.py --data-dir DIR --only paper sum --seeds 0
    python benchmarks/ablation.py --render                            # table and plot again

Every variant starts from the shipped network with copied weights (the first channels of each layer stay
3x3) and has the same short distillation, without labels; the last two rows start from calibrated
weights, on the first channels and on chosen ones. One accuracy a seed, at the end, on the 10,000 test
images. Results are written one by one; what is done is left out when it runs again.
"""

from __future__ import annotations

import argparse
import zlib  # noqa: F401 - before paddle: on 2.6 a later import can crash
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import fashion_mnist_arrays as arrays
import paddle
from ablation_report import render
from results import Results, machine

import spconvify
from spconvify.evaluation.accuracy import top1
from spconvify.operators.spconv.layer import SPConv2D
from spconvify.surgery.sites import find_sites

HERE = Path(__file__).resolve().parent
SHAPE = (1, 1, 28, 28)


class Nothing(paddle.nn.Layer):
    """In the place of a convolution that is left out."""

    def forward(self, _):
        return 0.0


class Strided(SPConv2D):
    """The 1x1 convolutions take every second pixel: what a convolution of stride 2 does."""

    def _pool(self, x):
        return x if self.stride == 1 else x[:, :, :: self.stride, :: self.stride]


@dataclass(frozen=True)
class Variant:
    """How a variant differs from the paper's layer; `channels` calibrates: "first" or "chosen"."""

    text: str
    groups: int = 2
    fusion: str = "gap"
    pwc: bool = True
    strided: bool = False
    channels: str | None = None


VARIANTS = {
    "paper": Variant("as published: gap, g = 2, PWC, average pooling"),
    "without-pwc": Variant("without PWC", pwc=False),
    "groups-1": Variant("g = 1", groups=1),
    "groups-4": Variant("g = 4", groups=4),
    "strided": Variant("strided 1x1 instead of pooling", strided=True),
    "sum": Variant("sum instead of gap", fusion="sum"),
    "sum-without-pwc": Variant("sum, without PWC", fusion="sum", pwc=False),
    "sum-first": Variant("sum, calibrated, first channels", fusion="sum", channels="first"),
    "sum-chosen": Variant("sum, calibrated, chosen channels", fusion="sum", channels="chosen"),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--render", action="store_true", help="only write table and plot anew")
    parser.add_argument("--data-dir", type=Path, help="folder of the IDX files (default: download)")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "ablation.json")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    settings = {key: getattr(args, key) for key in ("steps", "batch_size", "ratio")}
    facts = {"machine": machine(), "paddle": paddle.__version__, **settings}
    results = Results(args.out, facts)
    teacher = spconvify.load(arrays.NETWORK)
    for seed in args.seeds if not args.render else ():  # a whole table first, then the next seed
        for name in args.only:
            result = dict(results.jobs.get(name, {"text": VARIANTS[name].text, "top1": {}}))
            if str(seed) not in result["top1"]:
                result |= measured(VARIANTS[name], teacher, args, seed, result)
                results.add(name, result)
                print(f"{name}, seed {seed}: top-1 {result['top1'][str(seed)]:.2f} %", flush=True)
    render(args.out)


def measured(variant: Variant, teacher, args: argparse.Namespace, seed: int, known: dict) -> dict:
    student = converted(variant, teacher, args.ratio)
    tests = arrays.test(args.data_dir)
    start, cost = top1(student, *tests), spconvify.cost(student, SHAPE)
    spconvify.recover(
        student, teacher, arrays.train(args.data_dir)[0], steps=args.steps, batch_size=args.batch_size,
        seed=seed,
    )  # fmt: skip
    return {
        "macs": cost.macs,
        "share": cost.macs / spconvify.cost(teacher, SHAPE).macs,
        "start": start,
        "top1": {**known["top1"], str(seed): top1(student, *tests)},
    }


def converted(variant: Variant, teacher, ratio: float):
    options = {"ratio": ratio, "groups": variant.groups, "fusion": variant.fusion}
    if variant.channels is not None:
        options |= {"init": "lstsq", "calibration": [arrays.calibration()]}
    with first_channels(variant.channels == "first"):
        student = spconvify.convert(teacher, **options)
    for site in find_sites(student):
        layer = site.layer
        if isinstance(layer, SPConv2D):
            layer.pwc = layer.pwc if variant.pwc else Nothing()
            layer.__class__ = Strided if variant.strided else SPConv2D  # same weights
    return student


def first_channels(really: bool):
    """Inside this block a calibration takes the channels as they come."""

    def as_they_come(problem, per_group: int, _proposals: int) -> list[list[int]]:
        groups = range(len(problem.cross))
        return [list(range(group * per_group, (group + 1) * per_group)) for group in groups]

    from spconvify.operators.spconv import reconstruct

    choose = as_they_come if really else reconstruct.choose_channels
    return mock.patch.object(reconstruct, "choose_channels", choose)


if __name__ == "__main__":
    main()
