"""Fuzz the reader of checkpoints: damaged and hostile files by the thousand, and what became of them.

    python tools/fuzz_checkpoints.py --files 10000

Each file is a good one (both formats, with and without checksum, pickle protocols 2 to 4), changed: cut
off, bits flipped, pieces removed, doubled, replaced, taken from another file, or with a call put between
its instructions. A file is read in a process that may take 1 GiB more and 10 seconds; it must give one
line that names the file, or a state dict, which must be the right one if the file had a checksum.
Exits with 1 if there was an execution, a hang, a traceback or a wrong answer.
"""

from __future__ import annotations

import collections
import io
import pickle
import pickletools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from fuzzing import byte_changes, command_line, ended, in_processes
from safetensors.numpy import save

from spconvify.checkpoint import read_state, write_state
from spconvify.errors import CheckpointError

MORE_MEMORY, SECONDS, BATCH = 1 << 30, 10, 100
STATE = {
    "conv.weight": np.arange(24, dtype="float32").reshape(2, 3, 2, 2),
    "bn._mean": np.array([1.5, -2.0], "float64"),
    "order": np.array([2, 0, 1], "int64"),
    "scalar": np.array(3.0, "float32"),
}


class Source(NamedTuple):
    """A good file's content, and whether it has a checksum."""

    content: bytes
    checksum: bool


def sources(folder: Path) -> list[Source]:
    found = []
    for suffix in (".pdparams", ".safetensors"):
        write_state(folder / f"good{suffix}", STATE)
        found.append(Source((folder / f"good{suffix}").read_bytes(), True))
    found += [Source(pickle.dumps(STATE, protocol), False) for protocol in (2, 3, 4)]
    named = collections.OrderedDict((key, (key, array)) for key, array in STATE.items())
    found.append(Source(pickle.dumps(named, 4), False))
    found.append(Source(save(STATE), False))
    return found


def hostile_instructions(canary: Path) -> list[bytes]:
    """Calls that would touch the canary or take memory and time, to be put anywhere in a pickle."""
    command = f"touch {canary}".encode()
    text = b"X" + len(command).to_bytes(4, "little") + command
    code = f"open({str(canary)!r}, 'w')".encode()
    return [
        b"cos\nsystem\n" + text + b"\x85R",
        b"cposix\nsystem\n(" + text + b"tR",
        b"\x8c\x05posix\x8c\x06system\x93" + text + b"\x85R",
        b"(" + text + b"ios\nsystem\n",
        b"cbuiltins\neval\nX" + len(code).to_bytes(4, "little") + code + b"\x85R",
        b"cbuiltins\ngetattr\n" + text + text + b"\x86R",
        b"cfunctools\npartial\ncos\nsystem\n" + text + b"\x86R",
        b"cspconvify.checkpoint.unpickling\nnp\n",
        b"r\xff\xff\xff\x7f",
        b"\x96" + (1 << 40).to_bytes(8, "little"),
        b"\x8e" + (1 << 40).to_bytes(8, "little"),
        b"Ppid\n",
        b"Q",
        b"\x82\x01",
    ]


def mutations(canary: Path, random: np.random.Generator) -> dict[str, Callable[[bytes, bytes], bytes]]:
    """Name -> function of a content and another file's content."""
    hostile = hostile_instructions(canary)

    def called(content: bytes, _: bytes) -> bytes:
        at = random.choice(boundaries(content))
        return content[:at] + hostile[random.integers(len(hostile))] + content[at:]

    return {**byte_changes(random), "called": called}


def boundaries(content: bytes) -> list[int]:
    """Where a pickle's instructions begin; anywhere, in another file."""
    if content[:1] != b"\x80":
        return list(range(len(content)))
    return [position for _, _, position in pickletools.genops(io.BytesIO(content)) if position >= 2]


def verdict(path: Path, checksum: bool) -> str:
    """What came of reading a file; everything that begins with a capital letter is wrong."""
    try:
        state = read_state(path)
    except CheckpointError as error:
        one_line = str(path) in str(error) and "\n" not in str(error)
        return "refused" if one_line else f"Unclear: {error}"
    except BaseException as error:
        return f"Traceback: {type(error).__name__}: {error}"
    if all(type(key) is str and isinstance(value, np.ndarray) for key, value in state.items()):
        same = list(state) == list(STATE) and all(
            np.array_equal(value, STATE[key]) and value.dtype == STATE[key].dtype
            for key, value in state.items()
        )
        return "right" if same else "Wrong answer" if checksum else "read (nothing could tell)"
    return "Wrong answer"


def fuzz(
    count: int, seed: int, folder: Path, progress: Callable[[int], None] = lambda _: None
) -> Counter:
    """How often there was which verdict in `count` files."""
    canary, random = folder / "canary", np.random.default_rng(seed)
    good, changes = sources(folder), mutations(canary, random)
    names, verdicts, batch = list(changes), Counter(), []
    for number in range(count):
        source = good[random.integers(len(good))]
        other = good[random.integers(len(good))].content
        content = changes[names[number % len(names)]](source.content, other)
        path = folder / f"{number}{random.choice(['.pdparams', '.safetensors'])}"
        path.write_bytes(content)
        batch.append((path, source.checksum and has_checksum(content)))
        if len(batch) == BATCH or number + 1 == count:
            verdicts.update(_judged(batch))
            verdicts["Execution"] += canary.exists()
            canary.unlink(missing_ok=True)
            batch = []
            progress(number + 1)
    return +verdicts


def has_checksum(content: bytes) -> bool:
    """A file that has lost it can't be told from one that never had it."""
    return b"spconvify sha256 " in content[-64:] or b"spconvify_sha256" in content


def _judged(batch: list[tuple[Path, bool]]) -> Iterator[str]:
    """The files' verdicts; one that ended its process is kept."""
    for (path, _), found in zip(batch, in_processes(batch, _judge, SECONDS, MORE_MEMORY)):
        if not ended(found):
            path.unlink()
        yield found


def _judge(case: tuple[Path, bool]) -> str:
    return verdict(*case)


if __name__ == "__main__":
    command_line(fuzz, __doc__)
