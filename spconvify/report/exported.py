"""What `spconvify export` says of the folder that it made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from spconvify.deploy.manifest import Manifest
from spconvify.engines import ENGINES
from spconvify.report.units import interval, median, quantity

_LOAD = {
    "inference": 'paddle.inference.Config("{program}", "{parameters}")',
    "openvino": 'paddle.inference.Config("{program}", "{parameters}"), with enable_openvino_engine()',
    "onnxruntime": 'onnxruntime.InferenceSession("{program}")',
}
_PROGRAMS = (".json", ".pdmodel", ".onnx")


def export_lines(folder: Path, manifest: Manifest) -> Iterator[str]:
    """A few lines: engine, files, forms, latency, exactness, and how to load it."""
    batch = "any" if manifest.dynamic_batch else str(manifest.input_shape[0])
    shape = "x".join((batch, *map(str, manifest.input_shape[1:])))
    version = manifest.facts["version"]
    yield f"{folder}: {ENGINES[manifest.engine]} {version}, input {shape}"
    for name, size in manifest.files.items():
        yield f"  {name:<18} {quantity(size, 'B')}"
    yield f"  {'network':<18} {quantity(manifest.params)} parameters, {quantity(manifest.macs)} MACs"
    if manifest.forms:
        forms = Counter(manifest.forms.values()).most_common()
        yield f"  {'forms':<18} {', '.join(f'{form} ({number})' for form, number in forms)}"
    threads = "1 thread" if manifest.threads == 1 else f"{manifest.threads} threads"
    where = f"batch {manifest.input_shape[0]}, {threads}, {manifest.facts['processor']}"
    yield f"  {'latency':<18} {median(manifest.latency)} ({interval(manifest.latency)}), {where}"
    yield f"  {'checked':<18} largest error {manifest.error:.1e} of the output's scale"
    program = next(name for name in manifest.files if Path(name).suffix in _PROGRAMS)
    paths = {"program": folder / program, "parameters": (folder / program).with_suffix(".pdiparams")}
    yield f"  {'load':<18} {_LOAD[manifest.engine].format(**paths)}"
    if manifest.deleted_passes:
        text = "after config.delete_pass() for each of the deleted_passes in manifest.json"
        yield f"  {'':<18} {text}"
