"""What `init="lstsq"` costs and gives: seconds, peak memory and accuracy, as JSON.

    python benchmarks/calibration.py --out calibration.json            # all of it
    python benchmarks/calibration.py --only resnet20-256 resnet20-64

Every measurement runs in a process of its own, so that its peak memory is its own. ResNet-20 is the
trained network of this folder, judged on the test images beside it (or on all 10,000 of Fashion-MNIST
with --data-dir); the networks at 224 have random weights and see noise: they are about cost.
Results are added to the file's, with a Markdown table beside it; several seeds give mean and range
(and the first one its seconds).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
# name -> (network, images, settings); the limit is in seconds on two cores
JOBS = {
    "resnet20-256": ("resnet20", 256, {}, 60),
    "resnet20-64": ("resnet20", 64, {}, 60),
    "resnet20-1024": ("resnet20", 1024, {}, None),
    "resnet20-256-gap": ("resnet20", 256, {"fusion": "gap"}, 60),
    "resnet20-64-gap": ("resnet20", 64, {"fusion": "gap"}, 60),
    "resnet20-256-quarter": ("resnet20", 256, {"ratio": 0.25}, 60),
    "resnet18-64": ("resnet18", 64, {}, 300),
    "resnet18-256": ("resnet18", 256, {}, None),
    "vgg16-32": ("vgg16", 32, {}, 600),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=JOBS, default=list(JOBS), help="some of the jobs")
    parser.add_argument("--data-dir", type=Path, help="folder of Fashion-MNIST's four IDX files")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the calibration images and the fit")
    parser.add_argument("--out", type=Path, help="also write the JSON here")
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.job:
        print(json.dumps(measure(args)))
        return
    results = json.loads(args.out.read_text()) if args.out and args.out.exists() else []
    for job in args.only:
        result = run_alone(args, job)
        print(json.dumps(result), flush=True)
        others = [old for old in results if (old["job"], old["seed"]) != (job, args.seed)]
        results = sorted([*others, result], key=lambda one: (list(JOBS).index(one["job"]), one["seed"]))
        if args.out:
            args.out.write_text(json.dumps(results, indent=2) + "\n")
            args.out.with_suffix(".md").write_text(to_markdown(results))


def to_markdown(results: list[dict]) -> str:
    """A row for each job; accuracies of several seeds as mean and range."""
    lines = ["| network | images | top-1 | of the original's | seconds | peak memory |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    for job in JOBS:
        runs = [result for result in results if result["job"] == job]
        if not runs:
            continue
        network, images, settings, _ = JOBS[job]
        what = f"{network}, {settings.get('fusion', 'sum')}, ratio {settings.get('ratio', 0.5):g}"
        kept = spread([100 * run["kept"] for run in runs]) + " %" if "kept" in runs[0] else "–"
        top1 = spread([run["top1"] for run in runs]) + " %" if "top1" in runs[0] else "–"
        seconds, peak = runs[0]["seconds"], max(run["peak_mib"] for run in runs) / 1024
        lines.append(f"| {what} | {images} | {top1} | {kept} | {seconds:.0f} | {peak:.1f} GiB |")
    return "\n".join(lines) + "\n"


def spread(values: list[float]) -> str:
    """The mean, and the range if there are several."""
    text = f"{sum(values) / len(values):.2f}"
    return text if len(values) == 1 else f"{text} ({min(values):.2f}–{max(values):.2f})"


def run_alone(args: argparse.Namespace, job: str) -> dict:
    """One measurement in a fresh process: thread counts are read when the libraries load."""
    command = [sys.executable, __file__, "--job", job, "--seed", str(args.seed)]
    if args.data_dir:
        command += ["--data-dir", str(args.data_dir)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(args.threads))
    print(f"{job} ...", file=sys.stderr, flush=True)
    done = subprocess.run(command, env={**os.environ, **threads}, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{job} failed")
    result = json.loads(done.stdout.strip().splitlines()[-1])
    return {**result, "threads": args.threads}


def measure(args: argparse.Namespace) -> dict:
    import numpy as np

    import spconvify

    network, count, settings, limit = JOBS[args.job]
    model, images, judge = (trained if network == "resnet20" else untrained)(network, count, args)
    batches = [images[i : i + 32] for i in range(0, count, 32)]
    before, start = peak_mib(), time.perf_counter()
    options = {"fusion": "sum", **settings}
    converted = spconvify.convert(
        model, init="lstsq", calibration=batches, seed=args.seed, progress=show, **options
    )
    result = {
        "job": args.job,
        "seed": args.seed,
        "images": count,
        **options,
        "seconds": time.perf_counter() - start,
    }
    result |= {"limit_seconds": limit, "peak_mib": peak_mib(), "peak_mib_before": before}
    if judge is not None:
        original, share = judge(model), judge(converted)
        result |= {"top1_original": original, "top1": share, "kept": share / original}
    return {
        key: round(value, 4) if isinstance(value, (float, np.floating)) else value
        for key, value in result.items()
    }


def trained(_network: str, count: int, args: argparse.Namespace):
    """ResNet-20 on Fashion-MNIST, `count` training images, and a function that gives top-1."""
    import numpy as np

    import spconvify
    from spconvify.evaluation.accuracy import top1

    sys.path.insert(0, str(EXAMPLES))
    from fashion_mnist import dataset, normalise

    model = spconvify.load(EXAMPLES / "resnet20_fashion_mnist.pdparams")
    if args.data_dir:
        train, test = dataset("train", args.data_dir), dataset("test", args.data_dir)
        chosen = np.random.default_rng(args.seed).permutation(len(train))[:count]
        images = np.stack([train[int(i)][0] for i in chosen])
        tests, labels = np.stack([x for x, _ in test]), np.array([y.item() for _, y in test])
    else:
        images = np.stack(
            [*map(normalise, np.load(EXAMPLES / "fashion_mnist_calibration.npz")["images"])]
        )
        test = np.load(EXAMPLES / "fashion_mnist_test.npz")
        tests, labels = np.stack([*map(normalise, test["images"])]), test["labels"]
        if len(images) < count:
            raise SystemExit(f"{args.job} needs {count} images; {len(images)} are here: give --data-dir")
    return model, images[:count], lambda network: top1(network, tests, labels)


def untrained(network: str, count: int, args: argparse.Namespace):
    """A network of paddle.vision with random weights, `count` images of smooth noise at 224."""
    import numpy as np
    import paddle

    paddle.seed(args.seed)
    model = getattr(paddle.vision.models, network)()
    noise = np.random.default_rng(args.seed).standard_normal((count, 3, 28, 28), dtype="float32")
    return model, noise.repeat(8, axis=2).repeat(8, axis=3), None


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def show(done: int, total: int, text: str) -> None:
    print(f"\r{done}/{total} {text:48}", end="\n" if done == total else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
