"""What `recover` gives on the shipped ResNet-20: accuracy after so many steps, and what a step costs.

    python benchmarks/recovery.py --data-dir DIR                     # all jobs, hours
    python benchmarks/recovery.py --data-dir DIR --only sum-600 cost

Every job starts from a network calibrated with the 256 images of this folder, or with the first 1,024 of
Fashion-MNIST's 60,000 training images. It trains without labels on those 60,000 (or on the 256), and is
judged once, at its end, on the 10,000 test images: no weights are chosen with them. Results are written
after each job; one that was interrupted goes on from its checkpoint, and those that are done stay.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import zlib  # noqa: F401 - before paddle: on 2.6 a later import can crash
from pathlib import Path

import fashion_mnist_arrays as arrays
import numpy as np
import paddle
from results import Results, machine, markdown

import spconvify
from spconvify.data.augment import flip_and_shift
from spconvify.evaluation.accuracy import top1
from spconvify.recovery.recipe import DEFAULT_LEARNING_RATE
from spconvify.recovery.statistics import batches_to_average

RESULTS = Path(__file__).resolve().parent / "results" / "recovery.json"
# name -> fusion, and what differs from the defaults
JOBS: dict[str, dict] = {
    "sum-600": {"fusion": "sum", "steps": 600},
    "sum-600-augmented": {"fusion": "sum", "steps": 600, "augment": True},
    "sum-600-augmented-features": {
        "fusion": "sum", "steps": 600, "augment": True, "feature_weight": 1.0,
    },
    "gap-600": {"fusion": "gap", "steps": 600},
    "sum-2000": {"fusion": "sum", "steps": 2000},
    "sum-2000-of-1024": {"fusion": "sum", "steps": 2000, "calibration_images": 1024},
    "sum-2000-of-1024-seed-1": {
        "fusion": "sum", "steps": 2000, "calibration_images": 1024, "seed": 1,
    },
    "sum-2000-augmented": {"fusion": "sum", "steps": 2000, "augment": True},
    "gap-2000": {"fusion": "gap", "steps": 2000},
    "sum-600-of-256-images": {"fusion": "sum", "steps": 600, "augment": True, "few_images": True},
}  # fmt: skip


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*JOBS, "cost"]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="some of the jobs")
    parser.add_argument("--data-dir", type=Path, help="folder of the IDX files (default: download)")
    parser.add_argument("--learning-rate", type=float, help="default: that of spconvify.recover")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work-dir", type=Path, default=Path("runs/recovery"), help="for checkpoints")
    parser.add_argument("--render", action="store_true", help="only write the tables anew")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    results = Results(args.out, {"machine": machine(), "paddle": paddle.__version__})
    for name in [] if args.render else args.only:
        if not results.has(name):
            result = cost(args) if name == "cost" else run(name, args)
            results.add(name, result)
            print(json.dumps(result), flush=True)
    args.out.with_suffix(".md").write_text(table(results.jobs))
    if results.has("cost"):
        args.out.with_name(f"{args.out.stem}_cost.md").write_text(cost_table(results.jobs["cost"]))


def table(jobs: dict) -> str:
    """A row for every training; the cost has no accuracy."""
    rows = [["start", "steps of 128", "training images", "before", "after", "original", "minutes"]]
    for job in jobs.values():
        if "top1" in job:
            kind = f"{job['fusion']}, calibrated with {job.get('calibration_images', 256):,}"
            kind += ", mirrored and shifted images" if job.get("augment") else ""
            weight = job.get("feature_weight")
            kind += f", feature weight {weight:g}" if weight else ""
            kind += f", seed {job['seed']}" if job["seed"] else ""
            statistics = job.get("statistics_batches")
            kind += f", statistics of {statistics} batches" if statistics else ""
            accuracies = [f"{job[key]:.2f}" for key in ("top1_calibrated", "top1", "top1_original")]
            minutes = f"{job['seconds'] / 60:.0f}"
            rows.append([kind, f"{job['steps']:,}", f"{job['images']:,}", *accuracies, minutes])
    return markdown(rows)


def cost_table(job: dict) -> str:
    rows = [["of 128 images", "seconds"]]
    rows.append(["forward + backward of the student", f"{job['student_seconds']:.3f}"])
    rows.append(["forward of the teacher", f"{job['teacher_seconds']:.3f}"])
    rows.append(["a step of recover", f"{job['step_seconds']:.3f}"])
    rows.append(["a step, as a multiple of the two", f"{job['share_of_bare']:.2f}"])
    return markdown(rows)


def networks(fusion: str, images: np.ndarray):
    """(student, teacher): the shipped network, and the same converted and calibrated with `images`."""
    teacher = spconvify.load(arrays.NETWORK)
    options = {"init": "lstsq", "calibration": [images]}
    return spconvify.convert(teacher, fusion=fusion, **options), teacher


def run(name: str, args: argparse.Namespace) -> dict:
    options = dict(JOBS[name])
    count = options.pop("calibration_images", None)
    first = arrays.train(args.data_dir)[0][:count] if count else arrays.calibration()
    student, teacher = networks(options.pop("fusion"), first)
    seed = options.pop("seed", args.seed)
    images = arrays.calibration() if options.pop("few_images", False) else arrays.train(args.data_dir)[0]
    tests, labels = arrays.test(args.data_dir)
    before = top1(student, tests, labels)
    augment = flip_and_shift if options.pop("augment", False) else None
    if args.learning_rate:
        options["learning_rate"] = args.learning_rate
    checkpoint, start = args.work_dir / f"{name}.safetensors", time.perf_counter()
    losses: list[float] = []

    def report(now) -> None:
        losses.append(now.loss)
        if now.step % 20 == 0:
            print(f"{name}: {now.step}/{now.steps}, loss {now.loss:.4f}, {now.seconds_left:.0f} s left")

    spconvify.recover(
        student, teacher, images, **options, augment=augment, seed=seed, checkpoint=checkpoint,
        progress=report,
    )  # fmt: skip
    return {
        **JOBS[name],
        "calibration_images": len(first),
        "images": len(images),
        "batch_size": 128,
        "learning_rate": args.learning_rate or DEFAULT_LEARNING_RATE,
        "statistics_batches": batches_to_average(options["steps"]),
        "seed": seed,
        "top1_original": top1(teacher, tests, labels),
        "top1_calibrated": before,
        "top1": top1(student, tests, labels),
        "loss": float(np.mean(losses[-20:])) if losses else None,
        "seconds": round(time.perf_counter() - start, 1),
    }


def cost(args: argparse.Namespace, rounds: int = 7) -> dict:
    """Medians of seconds, measured in turns: a step of `recover`, and what it can't do without."""
    student, teacher = networks("sum", arrays.calibration())
    batch = paddle.to_tensor(arrays.calibration()[:128])
    times: dict[str, list[float]] = {"step": [], "student": [], "teacher": []}
    for _ in range(rounds):
        times["student"].append(_seconds(lambda: _forward_backward(student, batch)))
        times["teacher"].append(_seconds(lambda: _forward(teacher, batch)))
        times["step"].append(_step_seconds(student, teacher, batch))
    medians = {f"{name}_seconds": statistics.median(values) for name, values in times.items()}
    bare = medians["student_seconds"] + medians["teacher_seconds"]
    return {**medians, "batch_size": 128, "share_of_bare": medians["step_seconds"] / bare}


def _step_seconds(student, teacher, batch) -> float:
    """The last of three steps: the first ones make the optimizer's state."""
    ends: list[float] = []

    def note(_) -> None:
        ends.append(time.perf_counter())

    spconvify.recover(student, teacher, batch, steps=3, batch_size=128, progress=note)
    return ends[2] - ends[1]


def _seconds(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _forward_backward(student, batch) -> None:
    student.train()
    student(batch).square().mean().backward()
    student.clear_gradients()


def _forward(teacher, batch) -> None:
    teacher.eval()
    with paddle.no_grad():
        teacher(batch)


if __name__ == "__main__":
    main()
