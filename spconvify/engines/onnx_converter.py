"""The converter's side: `children.run` has it write a program of Paddle's as an ONNX file.

In a process of its own, since Paddle's converter prints past Python, and a crash of its is not ours.
"""

from __future__ import annotations

import json
import re
import zlib  # noqa: F401 - on Paddle 2.6 importing it after Paddle can crash
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spconvify.engines.last_words import telling

# What a line begins with that says that the file is right, but plain.
PLAIN = "spconvify leaves the ONNX file plain: "
DONE = "spconvify has written the ONNX file"  # a line of its own behind each of several
# Numbers that Paddle writes as float64, and the converter reads as float32 only: it takes 0 for others,
# without a word. The end of an operator's name -> those of its attributes.
_DOUBLES = {
    "_interp": ("scale",),
    "1.group_norm": ("epsilon",),
    "1.leaky_relu": ("negative_slope",),
    "1.pad3d": ("pad_value",),
    "1.softplus": ("beta", "threshold"),
}
_UNNAMED = "Due to the unsupported operators"  # what it says of a program of Paddle 3, without a name
# Operators that it has, in names of Paddle 3: what is left of a program's may be what it hasn't.
_USUAL = frozenset(
    "add batch_norm_ cast concat conv2d conv2d_transpose data depthwise_conv2d divide dropout fetch "
    "flatten full full_int_array matmul max mean multiply pool2d relu reshape scale shadow_output shape "
    "shape64 sigmoid slice softmax split split_with_num squeeze subtract sum transpose unsqueeze".split()
)
_OPERATOR = re.compile(r'"#":"1\.([a-z0-9_]+)"')
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def main(job: dict[str, Any]) -> None:
    """Convert the job's "program" and "parameters" to "target", with the operators of "opset".

    "input_shape" is what the file is tried on, see `described`, before its splits are divided. Instead
    of all that, "jobs" may be a list of such jobs.
    """
    for one in job.get("jobs", ()):
        _convert(one)
        print(f"\n{DONE}", flush=True)
    if "jobs" not in job:
        _convert(job)


def _convert(job: dict[str, Any]) -> None:
    import paddle2onnx

    program = Path(job["program"])
    if program.suffix == ".json":
        _write_single_precision(program)
    paddle2onnx.export(str(program), job["parameters"], job["target"], opset_version=job["opset"])
    from spconvify.engines.onnx_check import divide_file

    problem = divide_file(Path(job["target"]), job["input_shape"])
    if problem:
        print(f"\n{PLAIN}{problem}", flush=True)


def _write_single_precision(program: Path) -> None:
    """Write numbers as float32 which Paddle takes as float64 only, and the converter as float32 only."""
    text = program.read_text()
    if not any(f'{end}"' in text for end in _DOUBLES):
        return
    content = json.loads(text)
    for attribute in _double_attributes(content):
        value = attribute["AT"]
        for number in value["D"] if value["#"].endswith("a_array") else [value]:
            number["#"] = number["#"].replace("a_f64", "a_f32")
    program.write_text(json.dumps(content))


def _double_attributes(content: Any) -> Iterator[dict[str, Any]]:
    """The attributes in `_DOUBLES` of a program's operators, in whatever block."""
    if isinstance(content, list):
        for item in content:
            yield from _double_attributes(item)
    elif isinstance(content, dict):
        kind = str(content.get("#", ""))
        names = next((names for end, names in _DOUBLES.items() if kind.endswith(end)), ())
        yield from (attribute for attribute in content.get("A", ()) if names and attribute["N"] in names)
        for item in content.values():
            yield from _double_attributes(item)


def problem_in(said: str, code: int) -> str:
    """The line that tells why nothing was written, out of all that the converter has printed."""
    lines = [_COLOURS.sub("", line).strip() for line in said.splitlines()]
    lines = [line for line in lines if line and "warn" not in line.lower()]
    named = [line.partition("[ERROR]")[2].strip() for line in lines if "[ERROR]" in line]
    found = next((line for line in named if line), None)
    others = telling(lines) or [line for line in lines if "not support" in line]
    return found or (others or lines or [f"paddle2onnx ended with code {code}"])[-1]


def among(problem: str, program: Path) -> str:
    """Which operators of the program a problem may be about, where the converter doesn't say that."""
    if _UNNAMED not in problem or program.suffix != ".json":
        return ""
    kinds = set(_OPERATOR.findall(program.read_text("utf-8", "replace"))) - _USUAL
    found = sorted(kind for kind in kinds if not kind.startswith("a_"))  # types of attributes
    return f" It is among {', '.join(found)}" if found else ""
