"""What fitting a network of real size costs: seconds, CPU seconds, peak memory, and the errors, as JSON.

    python benchmarks/fit.py --out fit.json                       # all of it
    python benchmarks/fit.py --only resnet18-64 --threads 1
    PYTHONPATH=other/checkout python benchmarks/fit.py --only …   # another version, to compare

Every measurement runs in a process of its own, so that its peak memory is its own. The networks have
random weights, the pictures are smooth noise. `fit_error` is the mean of the layers' errors that are to
be expected on positions left out, `output_error` is that of the network's output on 16 pictures that no
fit has seen. On a machine that is shared compare CPU seconds, on one thread.
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
from typing import Any

from results import Results, machine, markdown

# name -> (network, pictures, their size, limit in seconds on two cores)
JOBS = {
    "resnet18-16": ("resnet18", 16, 224, None),
    "resnet18-64": ("resnet18", 64, 224, 60),
    "vgg16-32": ("vgg16", 32, 224, 150),
    "dbnet-8": ("dbnet", 8, 64, None),
}
LEFT_OUT = 16


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=JOBS, default=list(JOBS), help="some of the jobs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="also write the JSON here, and a table beside it")
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.job:
        print(json.dumps(measure(args.job)))
        return
    print(f"{machine()}, {args.threads} threads", file=sys.stderr)
    facts = {"machine": machine(), "threads": args.threads}
    results = Results(args.out, facts) if args.out else None
    for job in args.only:
        if results is not None and results.has(job):
            continue
        result = run_alone(job, args.threads)
        print(json.dumps({"job": job, **result}), flush=True)
        if results is not None:
            results.add(job, result)
            args.out.with_suffix(".md").write_text(table(results.jobs))


def table(jobs: dict[str, Any]) -> str:
    rows = [
        ["network", "pictures", "seconds", "CPU seconds", "peak memory", "fit error", "output error"]
    ]
    for job, run in jobs.items():
        network, pictures, size, _ = JOBS[job]
        rows.append([f"{network} at {size}", str(pictures), f"{run['seconds']:.0f}"])
        rows[-1] += [f"{run['cpu_seconds']:.0f}", f"{run['peak_mib'] / 1024:.1f} GiB"]
        rows[-1] += [f"{run['fit_error']:.4f}", f"{run['output_error']:.4f}"]
    return markdown(rows)


def run_alone(job: str, threads: int) -> dict[str, Any]:
    """One measurement in a fresh process: thread counts are read when the libraries load."""
    counts = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    command = [sys.executable, __file__, "--job", job]
    done = subprocess.run(command, env={**os.environ, **counts}, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{job} failed")
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(job: str) -> dict[str, Any]:
    import numpy as np

    from spconvify.cli.paddle_setup import load_paddle

    load_paddle()  # as the commands do: on AMD its matrix products are several times as fast then
    import paddle

    import spconvify

    name, count, size, limit = JOBS[job]
    paddle.seed(0)
    model = detector() if name == "dbnet" else getattr(paddle.vision.models, name)()
    model.eval()
    noise = np.random.default_rng(0).standard_normal((count + LEFT_OUT, 3, size // 8, size // 8))
    pictures = noise.astype("float32").repeat(8, axis=2).repeat(8, axis=3)
    fitted, left_out = pictures[:count], pictures[count:]
    before, wall, cpu = peak_mib(), time.perf_counter(), time.process_time()
    with collected() as reports:
        slim = spconvify.convert(model, ratio=0.5, fusion="sum", init="lstsq", calibration=[fitted])
    result = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    result |= {"limit_seconds": limit, "peak_mib": peak_mib(), "peak_mib_before": before}
    result["fit_error"] = float(np.mean(list(reports[0].values())))
    slim.eval()
    with paddle.no_grad():
        wanted, got = (network(paddle.to_tensor(left_out)).numpy() for network in (model, slim))
    about_mean = np.square(wanted - wanted.mean(0)).sum()
    result["output_error"] = float(np.square(wanted - got).sum() / about_mean)
    return {key: round(value, 5) if isinstance(value, float) else value for key, value in result.items()}


def collected():
    """Where `convert` keeps what its fit reports: a list that fills up."""
    import contextlib
    from unittest import mock

    from spconvify.surgery import convert

    @contextlib.contextmanager
    def patched():
        reports: list[Any] = []
        calibrate = convert.calibrate
        keep = lambda *args, **kwargs: reports.append(calibrate(*args, **kwargs)) or reports[-1]  # noqa: E731
        with mock.patch.object(convert, "calibrate", keep):
            yield reports

    return patched()


def detector():
    """As the text detector DB-R18: a ResNet-18, a pyramid of 256 channels, and a head."""
    import paddle
    from paddle import nn

    class Detector(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.body = paddle.vision.models.resnet18(num_classes=0, with_pool=False)
            self.sides = nn.LayerList([nn.Conv2D(c, 256, 1) for c in (64, 128, 256, 512)])
            self.smooth = nn.LayerList([nn.Conv2D(256, 64, 3, padding=1) for _ in range(4)])
            self.head = nn.Conv2D(256, 64, 3, padding=1)
            self.out = nn.Conv2D(64, 1, 1)

        def forward(self, x: paddle.Tensor) -> paddle.Tensor:
            body, maps = self.body, []
            x = body.maxpool(body.relu(body.bn1(body.conv1(x))))
            for layer in (body.layer1, body.layer2, body.layer3, body.layer4):
                x = layer(x)
                maps.append(x)
            sides = [side(one) for side, one in zip(self.sides, maps)]
            for low in (2, 1, 0):
                sides[low] = sides[low] + nn.functional.interpolate(sides[low + 1], scale_factor=2)
            smooth = [conv(one) for conv, one in zip(self.smooth, sides)]
            size = smooth[0].shape[2:]
            joined = paddle.concat([nn.functional.interpolate(one, size) for one in smooth], axis=1)
            return self.out(nn.functional.relu(self.head(joined))).mean([2, 3])

    return Detector()


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
