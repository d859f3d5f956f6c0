"""Kill commands at random moments, and look at what is left.

    python tools/kill_commands.py --times 100                   # convert, export and recover in turn
    python tools/kill_commands.py --only convert --times 30

The kills are SIGKILL, SIGTERM, SIGINT (Ctrl-C) and SIGHUP (a closed terminal) in turn. The output must
be the one of before or the new one, complete; no process may live on; after a run that is let through
nothing temporary may be left, neither beside the output nor in the system's own folder; and a recovery
that was killed ends with the weights of one that wasn't. Exits with 1 if one of these fails.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
NETWORK = str(EXAMPLES / "resnet20_fashion_mnist.pdparams")
IMAGES = str(EXAMPLES / "fashion_mnist_calibration.npz")
COMMANDS = {
    "convert": ["convert", NETWORK, "--ratio", "0.25", "--out", "out.pdparams", "--force"],
    "export": ["export", "sp.pdparams", "--no-tune", "--out", "out", "--force"],
    "recover": [
        "recover", "sp.pdparams", "--teacher", NETWORK, "--data", IMAGES, "--steps", "8",
        "--batch-size", "8", "--out", "out.pdparams", "--force",
    ],
}  # fmt: skip
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
OLD_MANIFEST = {"spconvify": "0", "engine": "inference", "bytes": {}, "old": True}
MARK = "SPCONVIFY_KILLED_TEST"
PATIENCE = 5.0  # seconds in which children must have ended


class Place:
    """A folder to work in, with an old output, and a folder for temporary files."""

    def __init__(self, folder: Path, command: str):
        self.folder, self.arguments = folder / command, COMMANDS[command]
        self.output = self.folder / self.arguments[self.arguments.index("--out") + 1]
        self.temporary = folder / f"{command}-tmp"
        self.folder.mkdir()
        self.temporary.mkdir()
        self.mark = f"{command}-{os.getpid()}"
        self.run(["convert", NETWORK, "--out", "sp.pdparams"])
        start = time.monotonic()
        self.run(self.arguments)
        self.seconds = time.monotonic() - start
        self.new = fingerprint(self.output)

    def start(self, arguments: list[str]) -> subprocess.Popen:
        code = "from spconvify.cli import main; main()"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary)}
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=self.folder,
            env={**environment, MARK: self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, arguments: list[str]) -> None:
        process = self.start(arguments)
        text = process.communicate()[0].decode()
        if process.returncode:
            raise SystemExit(f"{' '.join(arguments)} failed: {text}")

    def put_old(self) -> str:
        """Put another output there than the command makes; its fingerprint."""
        if self.output.is_dir():
            shutil.rmtree(self.output)
            self.output.mkdir()
            (self.output / "manifest.json").write_text(json.dumps(OLD_MANIFEST))
        else:
            self.output.write_bytes(b"old")
        return fingerprint(self.output)

    def processes(self) -> list[int]:
        """Those that the command has started and that live."""
        found = []
        for environment in Path("/proc").glob("[0-9]*/environ"):
            try:
                if f"{MARK}={self.mark}".encode() in environment.read_bytes().split(b"\0"):
                    found.append(int(environment.parent.name))
            except OSError:
                continue
        return found

    def left(self) -> list[str]:
        """Temporary files and folders, beside the output and in the system's place."""
        here = [path.name for path in self.folder.iterdir() if path.suffix in (".tmp", ".old")]
        return sorted([*here, *(path.name for path in self.temporary.iterdir())])


def fingerprint(output: Path) -> str:
    """What tells one complete output from another and from an incomplete one."""
    if not output.exists():
        return "missing"
    if output.is_file():
        return output.read_bytes().hex()
    try:
        manifest = json.loads((output / "manifest.json").read_text())
    except (OSError, ValueError):
        return "incomplete"
    sizes = {file.name: file.stat().st_size for file in output.iterdir() if file.name != "manifest.json"}
    if sizes != manifest["bytes"]:
        return "incomplete"
    return "old" if "old" in manifest else "new"


def kill_once(place: Place, number: int, at: float) -> list[str]:
    """Kill the command `at` seconds after its start; what is wrong then."""
    old, before = place.put_old(), place.left()
    process = place.start(place.arguments)
    time.sleep(at)
    process.send_signal(SIGNALS[number % len(SIGNALS)])
    text = process.communicate()[0].decode()
    wrong = []
    end = time.monotonic() + PATIENCE
    while place.processes() and time.monotonic() < end:
        time.sleep(0.05)
    if place.processes():
        wrong.append("a process lives on")
    # While Python starts and imports, Ctrl-C prints Python's own: no line of ours has run yet.
    if "Traceback" in text and ", in main" in text:
        wrong.append(f"traceback: {text}")
    if fingerprint(place.output) not in (old, place.new):
        wrong.append("the output is neither the old nor the new one")
    ended = process.returncode >= 0  # by itself; Paddle can crash where an exception comes up in it
    if ended and set(place.left()) - set(before):
        wrong.append(f"left: {place.left()}; {text}")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    moments, verdicts = random.Random(args.seed), Counter()
    with tempfile.TemporaryDirectory() as folder:
        places = {command: Place(Path(folder), command) for command in args.only}
        for number in range(args.times):
            command = args.only[number % len(args.only)]
            place = places[command]
            at = moments.uniform(0, place.seconds)
            wrong = kill_once(place, number // len(args.only), at)
            outcome = "new" if fingerprint(place.output) == place.new else "old"
            verdicts[f"{command}: {outcome} output, whole"] += not wrong
            for problem in wrong:
                verdicts[f"WRONG {command}: {problem}"] += 1
            print(f"\r{number + 1}/{args.times}", end="", file=sys.stderr, flush=True)
        for command, place in places.items():
            place.run(place.arguments)
            if place.left() or fingerprint(place.output) != place.new:
                verdicts[f"WRONG {command}: after all, left {place.left()}"] += 1
    print(file=sys.stderr)
    for name, times in sorted((+verdicts).items()):
        print(f"{times:4} {name}")
    raise SystemExit(any(name.startswith("WRONG") for name in +verdicts))


if __name__ == "__main__":
    main()
