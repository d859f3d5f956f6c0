"""Everything that spconvify does, on every network that it knows: a row each, and what went wrong.

    python tools/matrix.py                                  # the catalogue and PaddleClas: an hour
    python tools/matrix.py --only resnet18 paddleclas:HRNet_W18_C

Find the sites, convert (fusion gap and sum in turn), run at an even and an odd size, train a step, save
and load, fuse, export to Paddle Inference, count. PaddleClas's backbones are left out where the package
isn't installed. Results are added to the file's, one by one; exits with 1 if a network failed.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import sys
import tempfile
import time
import traceback
import warnings
import zlib  # noqa: F401 - before paddle: on 2.6 a later import can crash
from pathlib import Path
from typing import Any

import paddle
import pytest

import spconvify
from spconvify import NoEffectWarning, zoo
from spconvify.network.run import evaluating

sys.path.insert(0, str(Path(__file__).resolve().parent))

from network_checks import (
    ROOT,
    check_fused,
    check_runs,
    check_same_bits,
    check_unchanged_by_converting,
    lacking_gradients,
    refusal_of_original,
    runs,
    scattered,
)
from results import Results, machine, markdown

PADDLECLAS = """
    ResNet18 ResNet50_vd ResNet50_vc SE_ResNet50_vd HRNet_W18_C RepVGG_A0 DarkNet53 CSPDarkNet53 DLA34
    Res2Net50_26w_4s Res2Net50_vd_26w_4s DenseNet121 PPHGNet_tiny PPHGNetV2_B0 HarDNet68 PeleeNet
    InceptionV3 InceptionV4 EfficientNetV2_S MobileViT_S FasterNet_T0 GhostNet_x1_0 PPLCNet_x1_0
    RegNetX_4GF SwinTransformer_tiny_patch4_window7_224 VGG16 Xception41 ResNeSt50_fast_1s1x64d VAN_B0
    StarNet_S1 DPN68 SqueezeNet1_1 GoogLeNet
""".split()
CLASSES = 7
SIZES = ((64, 75), (96, 107), (224, 225))  # even and odd; the first pair that the network runs at


def names() -> list[str]:
    """The catalogue's, and PaddleClas's."""
    return [*zoo.names(), *(f"paddleclas:{name}" for name in PADDLECLAS)]


def architecture(name: str, classes: int = CLASSES) -> Any:
    if name.startswith("paddleclas:"):
        return zoo.PaddleClasArchitecture(name, classes)
    return zoo.find(name, classes)


def check(name: str, folder: Path, fusion: str = "gap", exports: bool = True) -> dict[str, Any]:
    """The network's row.

    Raises:
        AssertionError, or whatever spconvify raises: where it doesn't hold.
    """
    paddle.seed(0)
    known = architecture(name)
    usual = architecture(name, 10 if known.input_shape[-1] < 64 else 1000)
    row = counted(usual.build(), known.input_shape, fusion)
    model = known.build()
    if not row["eligible"]:
        with pytest.warns(NoEffectWarning, match="none of the"):
            spconvify.convert(model, inplace=True)
        check_fused(model, map(three_images, filter(None, sizes(model, known.input_shape))))
        return row
    even, odd = sizes(model, known.input_shape)
    given = list(filter(None, (even, odd)))
    converted = spconvify.convert(model, fusion=fusion, input_shape=even)
    check_runs(model, converted, given)
    check_unchanged_by_converting(converted)
    # Some backbones of PaddleClas have parameters that nothing uses.
    unused = lacking_gradients(model, even) if ":" in name else set()
    assert lacking_gradients(converted, even) <= unused, "gradients"
    other = scattered(converted)
    round_trip(other, known, folder, even)
    for network in (converted, other):
        check_fused(network, map(three_images, given))
    if exports:
        row["exported"] = not refusal_of_original(converted, model, folder, even)
    return {**row, "sizes": [shape[-1] for shape in given]}


def three_images(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (3, *shape[1:])


def counted(model: Any, shape: tuple[int, ...], fusion: str) -> dict[str, Any]:
    """Convolutions and costs before and after, at the network's own input."""
    sites = spconvify.find_sites(model)
    eligible = [site for site in sites if site.eligible]
    with evaluating(model):
        before = spconvify.cost(model, shape)
    row = {"convolutions": len(sites), "eligible": len(eligible), "fusion": fusion}
    row |= {"input": list(shape), "macs": before.macs, "params": before.params}
    row["paddle_flops"] = paddle_flops(model, shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffectWarning)
        after = spconvify.cost(spconvify.convert(model, fusion=fusion, init="none"), shape)
    layers = {layer.name: layer.macs for layer in before.layers}
    share = sum(layers.get(site.name, 0) for site in eligible) / before.macs
    return {**row, "share": share, "macs_after": after.macs, "params_after": after.params}


def paddle_flops(model: Any, shape: tuple[int, ...]) -> int | None:
    """What Paddle's own counter says, which sees layers and no functions; None where it fails."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return int(paddle.flops(copy.deepcopy(model), list(shape)))
        except Exception:
            return None


def sizes(model: Any, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Small inputs of an even and an odd size; None where the network takes no odd one."""
    own = shape[-1]
    pairs = ((own, own + 1),) if own < SIZES[0][0] else SIZES
    for even, odd in pairs:
        if even < own // 4:  # maps may become empty
            continue
        fitting = [(2, shape[1], size, size) for size in (even, odd)]
        fitting = [one for one in fitting if runs(model, one)]
        if fitting and fitting[0][-1] == even:
            return fitting[0], fitting[1] if len(fitting) > 1 else None
    raise AssertionError(f"runs at none of {pairs}")


def round_trip(model: Any, known: Any, folder: Path, shape: tuple[int, ...]) -> None:
    """Saved, identified from its keys, loaded: the same bits."""
    path = spconvify.save(model, folder / "network.safetensors")
    source = spconvify.source.loading.open_source(str(path))
    found = source.architecture
    assert found.num_classes == CLASSES, "number of classes"
    # PaddleClas has networks whose parameters are those of one in paddle.vision.
    assert ":" in known.name or known.name in (found.name, *found.ambiguous_with), found.name
    for loaded in (source.build(), spconvify.load(path, known.name)):
        check_same_bits(loaded, model, shape)


def table(jobs: dict[str, Any]) -> str:
    """Conv2D layers, eligible ones, their fusion and share of the MACs, and costs before and after."""
    heads = "network, Conv2D, eligible, fusion, share of MACs, MACs (G), after, paddle.flops"
    rows = [[*heads.split(", "), "params (M)", "after", "exported"]]
    for name, job in jobs.items():
        if "error" in job:
            rows.append([name, "failed", *[""] * 9])
            continue
        macs = [f"{job[key] / 1e9:.2f}" for key in ("macs", "macs_after")]
        params = [f"{job[key] / 1e6:.2f}" for key in ("params", "params_after")]
        fusion = job["fusion"] if job["eligible"] else "–"
        found = map(str, (job["convolutions"], job["eligible"]))
        rows.append([name, *found, fusion, f"{job['share']:.0%}"])
        flops = f"{job['paddle_flops'] / 1e9:.2f}" if job["paddle_flops"] else "–"
        export = {True: "right", False: "not the original either"}.get(job.get("exported"), "–")
        rows[-1] += [*macs, flops, *params, export]
    return markdown(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=names(), default=names(), metavar="NAME")
    parser.add_argument("--no-export", action="store_true", help="leave the exports out")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "zoo.json")
    args = parser.parse_args()
    results = Results(args.out, {"machine": machine(), "paddle": paddle.__version__, "ratio": 0.5})
    for name in args.only:
        if results.has(name) and "error" not in results.jobs[name]:
            continue
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            fusion = ("gap", "sum")[names().index(name) % 2]
            try:
                row = check(name, Path(folder), fusion, not args.no_export)
            except Exception as error:
                if name.startswith("paddleclas:") and "needs PaddleClas" in str(error):
                    print(f"{name}: PaddleClas isn't installed", flush=True)
                    continue
                traceback.print_exc()
                row = {"error": f"{type(error).__name__}: {error}"}
        results.add(name, row)
        print(f"{name}: {row.get('error', 'right')}, {time.perf_counter() - start:.0f} s", flush=True)
    in_order = {name: results.jobs[name] for name in names() if results.has(name)}
    args.out.with_suffix(".md").write_text(table(in_order))
    raise SystemExit(any("error" in job for job in results.jobs.values()))


if __name__ == "__main__":
    main()
