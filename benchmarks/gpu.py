"""Does SPConv gain on a GPU? Time exported networks with PyTorch; such a machine may have no Paddle.

    python benchmarks/gpu.py files runs/gpu                    # needs spconvify: writes graphs
    python benchmarks/gpu.py measure runs/gpu --out gpu.json   # needs a GPU, PyTorch and onnx
    python benchmarks/gpu.py table gpu.json                    # Markdown

The files hold the networks as `spconvify.export` writes them for ONNX Runtime, originals fused by the
same rules, without their weights: those are random where the time is measured. All variants of a network
take turns; a time is the median of single forwards, each waited for. With --device cpu the eager modes
run without a GPU, which shows that the script works and nothing else.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

NETWORKS = ("resnet18", "resnet50", "vgg16")
VARIANTS: dict[str, dict[str, Any] | None] = {
    "original": None,
    "sum": {"ratio": 0.5, "groups": 2, "fusion": "sum"},
    "gap": {"ratio": 0.5, "groups": 2, "fusion": "gap"},
    "sum, 1/4, g=1": {"ratio": 0.25, "groups": 1, "fusion": "sum"},
}
BATCHES = (1, 64)
PRECISIONS = ("fp32", "tf32", "fp16")
MODES = ("eager", "channels_last", "graph", "graph channels_last", "compile")
_ROUNDS = 5
_SECONDS = 0.04  # of each variant's turn, at least three forwards


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    files = commands.add_parser("files", help="write the graphs")
    files.add_argument("folder", type=Path)
    measuring = commands.add_parser("measure", help="time them")
    measuring.add_argument("folder", type=Path)
    measuring.add_argument("--out", type=Path, default=Path("gpu.json"))
    measuring.add_argument("--device", default="cuda")
    measuring.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    measuring.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    measuring.add_argument("--precisions", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    measuring.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
    measuring.add_argument("--seconds", type=float, default=280.0, help="start nothing new after these")
    table = commands.add_parser("table", help="print the results as Markdown")
    table.add_argument("results", type=Path)
    args = parser.parse_args()
    if args.command == "files":
        write_files(args.folder)
    elif args.command == "measure":
        measure(args)
    else:
        print(markdown(json.loads(args.results.read_text())))


def write_files(folder: Path) -> None:
    """One ONNX graph a network, variant and batch: ``resnet18-sum-64.onnx``."""
    import zlib  # noqa: F401 - on Paddle 2.6 importing it after Paddle can crash

    import paddle

    import spconvify
    from spconvify.deploy.timing import fuse_for_deployment
    from spconvify.deploy.tune import choose_forms
    from spconvify.engines.measure import hand_over
    from spconvify.files.scratch import scratch_folder

    folder.mkdir(parents=True, exist_ok=True)
    for name in NETWORKS:
        with paddle.utils.unique_name.guard():
            model = getattr(paddle.vision.models, name)()
        model.eval()
        for variant, settings in VARIANTS.items():
            network = model if settings is None else spconvify.convert(model, **settings)
            for batch in BATCHES:
                target = folder / _file(name, variant, batch)
                if target.exists():
                    continue
                shape = (batch, 3, 224, 224)
                choice = choose_forms(network, shape, "onnxruntime", 1, measure_them=False)
                fused = fuse_for_deployment(network, (1, *shape[1:]), "onnxruntime", choice)
                with scratch_folder() as place:
                    hand_over("onnxruntime", fused, place, shape)
                    _without_weights(place / "model.onnx", target)
                print(f"{target}  {target.stat().st_size:,} bytes")


def _file(name: str, variant: str, batch: int) -> str:
    plain = "".join(character if character.isalnum() else "_" for character in variant)
    return f"{name}-{plain}-{batch}.onnx"


def _without_weights(source: Path, target: Path) -> None:
    """Write the graph of an ONNX file, with the shapes of its larger weights but not their values."""
    import numpy as np
    import onnx

    model = onnx.load(str(source))
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims) > 64:
            for field in ("raw_data", "float_data"):
                tensor.ClearField(field)
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="left-behind")
    target.write_bytes(model.SerializeToString())


def measure(args: argparse.Namespace) -> None:
    """Time everything that was asked for until the time is up, and keep each result at once."""
    import torch

    if args.device == "cuda" and not torch.cuda.is_available():
        result = {"facts": {"card": None, "pytorch": torch.__version__}, "rows": []}
        args.out.write_text(json.dumps(result, indent=1) + "\n")
        print("there is no GPU here: nothing was measured")
        return
    start = time.monotonic()
    torch.backends.cudnn.benchmark = True
    card = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
    facts = {"card": card, "pytorch": torch.__version__, "cudnn": torch.backends.cudnn.version()}
    rows: list[dict[str, Any]] = []
    late = 0
    for mode, name, batch, precision in _settings(args):
        if time.monotonic() - start > args.seconds:
            late += 1
            continue
        row = {"network": name, "batch": batch, "precision": precision, "mode": mode}
        try:
            row["ms"] = _take_turns(args.folder, args.device, row)
        except Exception as error:  # a mode that a version of PyTorch can't do is a result too
            row["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        rows.append(row)
        print(f"{time.monotonic() - start:5.0f} s  {row}", flush=True)
        facts["not_measured_for_want_of_time"] = late
        args.out.write_text(json.dumps({"facts": facts, "rows": rows}, indent=1) + "\n")
    if late:
        facts["not_measured_for_want_of_time"] = late
        args.out.write_text(json.dumps({"facts": facts, "rows": rows}, indent=1) + "\n")
        print(f"{late} settings weren't measured: the {args.seconds:g} seconds were over")


def _settings(args: argparse.Namespace) -> Iterator[tuple[str, str, int, str]]:
    """Compiling, which takes longest, comes last."""
    quick = [mode for mode in args.modes if mode != "compile"]
    for name in args.networks:
        for batch in args.batches:
            for precision in args.precisions:
                for mode in quick:
                    yield mode, name, batch, precision
    if "compile" in args.modes:
        for precision in reversed(args.precisions):
            for name in args.networks:
                for batch in args.batches:
                    yield "compile", name, batch, precision


def _take_turns(folder: Path, device: str, row: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The variants' times in ms, with their middle 80 per cent."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = row["precision"] == "tf32"
    torch.backends.cudnn.allow_tf32 = row["precision"] == "tf32"
    files = {variant: folder / _file(row["network"], variant, row["batch"]) for variant in VARIANTS}
    runs = {variant: _runner(file, device, row) for variant, file in files.items() if file.exists()}
    samples: dict[str, list[float]] = {variant: [] for variant in runs}
    for _ in range(_ROUNDS):
        for variant, run in runs.items():
            run()
            end = time.perf_counter() + _SECONDS
            count = 0
            while count < 3 or time.perf_counter() < end:
                before = time.perf_counter()
                run()
                samples[variant].append(1000.0 * (time.perf_counter() - before))
                count += 1
    return {variant: _summary(values) for variant, values in samples.items()}


def _summary(values: list[float]) -> dict[str, float]:
    deciles = statistics.quantiles(values, n=10)
    return {
        "median": round(statistics.median(values), 4),
        "p10": round(deciles[0], 4),
        "p90": round(deciles[-1], 4),
    }


def _runner(path: Path, device: str, row: dict[str, Any]) -> Callable[[], None]:
    """A function that runs the network once and waits for it."""
    import torch
    from onnx_torch import OnnxNetwork

    dtype = torch.float16 if row["precision"] == "fp16" else torch.float32
    network: Any = OnnxNetwork(path).eval().to(device, dtype)
    image = torch.randn(network.input_shape, device=device, dtype=dtype)
    if "channels_last" in row["mode"] or row["mode"] == "compile":
        network = network.to(memory_format=torch.channels_last)
        image = image.to(memory_format=torch.channels_last)
    if row["mode"] == "compile":
        torch._dynamo.reset()
        network = torch.compile(network, mode="reduce-overhead")
    with torch.inference_mode():
        for _ in range(3):
            network(image)
    graph = _graph(network, image) if row["mode"].startswith("graph") else None

    def run() -> None:
        with torch.inference_mode():
            # Both are named here so that they live on: a graph keeps addresses, and not what is there.
            graph.replay() if graph is not None else network(image)
            if device == "cuda":
                torch.cuda.synchronize()

    return run


def _graph(network: Any, image: Any) -> Any:
    """A CUDA graph of one forward; it needs `network` and `image` to live as long as it does."""
    import torch

    graph = torch.cuda.CUDAGraph()
    with torch.inference_mode():
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            network(image)
        torch.cuda.current_stream().wait_stream(stream)
        with torch.cuda.graph(graph):
            network(image)
    return graph


def markdown(results: dict[str, Any]) -> str:
    """The times of the originals in ms, and how many times faster each variant is."""
    facts = results["facts"]
    if not facts["card"]:
        return "No GPU was there: nothing was measured.\n"
    variants = [variant for variant in VARIANTS if variant != "original"]
    lines = [
        f"{facts['card']}, PyTorch {facts['pytorch']}, cuDNN {facts['cudnn']}; medians;",
        "the last columns are original / converted: above 1 is faster.",
        "",
        f"| network | batch | precision | mode | original, ms | {' | '.join(variants)} |",
        f"| --- | ---: | --- | --- | ---: |{' ---: |' * len(variants)}",
    ]
    for row in results["rows"]:
        head = f"| {row['network']} | {row['batch']} | {row['precision']} | {row['mode']} |"
        if "error" in row:
            lines.append(f"{head} {row['error']} |{' |' * len(variants)}")
            continue
        original = row["ms"]["original"]["median"]
        ratios = [
            f"{original / row['ms'][variant]['median']:.2f}" if variant in row["ms"] else "not there"
            for variant in variants
        ]
        lines.append(f"{head} {original:.3f} | {' | '.join(ratios)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
