"""Time and memory where things get large: they should grow as the input does, and no faster.

    python benchmarks/limits.py

Checkpoints up to 1 GB (written with their checksum, read, checked), networks of up to 1,000 convolutions
(sites found, converted, verified by a forward pass, counted, saved, loaded), names of up to 500
characters, heads of up to 20,000 classes (identified, converted). Each measurement has a process of its
own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import zlib  # noqa: F401 - before paddle: on 2.6 a later import can crash
from collections.abc import Callable
from pathlib import Path

from results import Results, machine, markdown

OUT = Path(__file__).resolve().parent / "results" / "limits.json"
# what grows -> its sizes, each twice the one before (or nearly)
SIZES = {
    "checkpoint, .pdparams, MB": (125, 250, 500, 1000),
    "checkpoint, .safetensors, MB": (125, 250, 500, 1000),
    "convolutions in a network": (125, 250, 500, 1000),
    "letters in a layer's name": (60, 125, 250, 500),
    "classes": (2500, 5000, 10_000, 20_000),
}
_CONVOLUTIONS_OF_LONG_NAMES = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--job", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        print(json.dumps(measure(args.job[0], int(args.job[1]))))
        return
    results = Results(args.out, {"machine": machine()})
    for what, sizes in SIZES.items():
        rows = []
        for size in sizes:
            command = [sys.executable, __file__, "--job", what, str(size)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            rows.append({"size": size, **json.loads(done.stdout.splitlines()[-1])})
            print(what, rows[-1], flush=True)
        results.add(what, rows)
    args.out.with_suffix(".md").write_text(table(results.jobs))


def table(jobs: dict) -> str:
    """A row for every size: seconds, memory beyond what the libraries take, and both per unit."""
    rows = [["what", "size", "seconds", "ms per unit", "more memory, MiB", "KiB per unit"]]
    for what, sizes in jobs.items():
        for row in sizes:
            seconds, memory = row["seconds"], row["peak_mib"] - row["peak_mib_before"]
            rows.append(
                [what, f"{row['size']:,}", f"{seconds:.2f}", f"{1000 * seconds / row['size']:.2f}"]
            )
            rows[-1] += [f"{memory:.0f}", f"{1024 * memory / row['size']:.0f}"]
    return markdown(rows)


def measure(what: str, size: int) -> dict[str, float]:
    """Seconds of the work, peak memory before and after."""
    prepare = {"checkpoint": checkpoint, "convolutions": deep, "letters": named, "classes": wide}
    with tempfile.TemporaryDirectory() as folder:
        work = prepare[what.split(",")[0].split()[0]](size, Path(folder), what)
        before, start = peak_mib(), time.perf_counter()
        work()
        return {
            "seconds": round(time.perf_counter() - start, 4),
            "peak_mib_before": round(before, 1),
            "peak_mib": round(peak_mib(), 1),
        }


def checkpoint(megabytes: int, folder: Path, what: str) -> Callable[[], None]:
    """Write, read and check a file of so many MB."""
    import numpy as np

    from spconvify.checkpoint import read_state, write_state
    from spconvify.checkpoint.integrity import check_file

    noise = np.random.default_rng(0).standard_normal(250_000, dtype="float32")  # 1 MB
    state = {f"layer{number}.weight": noise for number in range(megabytes)}
    path = folder / ("x" + next(part for part in what.split(", ") if part.startswith(".")))

    def work() -> None:
        write_state(path, state)
        read_state(path)
        check_file(path)

    return work


def deep(convolutions: int, folder: Path, _: str) -> Callable[[], None]:
    """Everything that `convert` and a later `load` do, on a chain of so many convolutions."""
    return _all_of_it(_chain([str(number) for number in range(convolutions)]), folder)


def named(letters: int, folder: Path, _: str) -> Callable[[], None]:
    """The same with names of so many letters."""
    names = [f"{number:03}" + "x" * (letters - 3) for number in range(_CONVOLUTIONS_OF_LONG_NAMES)]
    return _all_of_it(_chain(names), folder)


def _chain(names: list[str]):
    from paddle import nn

    class Residual(nn.Sequential):
        """However many there are, the maps stay of one size."""

        def forward(self, x):
            return x + 0.01 * super().forward(x)

    model = nn.Sequential()
    for name in names:
        model.add_sublayer(name, Residual(nn.Conv2D(8, 8, 3, padding=1)))
    return model


def _all_of_it(model, folder: Path) -> Callable[[], None]:
    import copy

    import spconvify

    other = copy.deepcopy(model)

    def work() -> None:
        slim = spconvify.convert(model, fusion="gap", input_shape=(1, 8, 8, 8))
        spconvify.cost(slim, (1, 8, 8, 8))
        spconvify.save(slim, folder / "x.pdparams")
        spconvify.load(folder / "x.pdparams", other)

    return work


def wide(classes: int, folder: Path, _: str) -> Callable[[], None]:
    """Identify, load, convert and save a ResNet-18 with so many classes."""
    import paddle

    import spconvify

    path = folder / "x.pdparams"
    spconvify.save(paddle.vision.models.resnet18(num_classes=classes), path)

    def work() -> None:
        network, shape = spconvify.load(path), (1, 3, 32, 32)
        slim = spconvify.convert(network, fusion="gap", input_shape=shape, inplace=True)
        spconvify.save(slim, folder / "y.pdparams")

    return work


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
