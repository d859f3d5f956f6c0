"""What `spconvify export` says of the folder that it made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from spconvify.deploy.latencies import AgainstOriginal
from spconvify.deploy.manifest import Manifest
from spconvify.engines import registry
from spconvify.report.units import interval, median, quantity, times, times_interval


def export_lines(folder: Path, manifest: Manifest) -> Iterator[str]:
    """A few lines: engine, files, forms, latency, exactness, and how to load it."""
    version = manifest.facts["version"]
    yield f"{folder}: {registry.label(manifest.engine)} {version}, input {_input(manifest)}"
    for name, size in manifest.files.items():
        yield f"  {name:<18} {quantity(size, 'B')}"
    yield f"  {'network':<18} {quantity(manifest.params)} parameters, {quantity(manifest.macs)} MACs"
    if manifest.forms:
        forms = Counter(manifest.forms.values()).most_common()
        yield f"  {'forms':<18} {', '.join(f'{form} ({number})' for form, number in forms)}"
    if manifest.dense_again:
        yield f"  {'dense again':<18} {_dense_again(manifest)}"
    threads = "1 thread" if manifest.threads == 1 else f"{manifest.threads} threads"
    given = "x".join(map(str, manifest.input_shape))
    of = given if manifest.dynamic_size else f"batch {manifest.input_shape[0]}"
    where = f"{of}, {threads}, {manifest.facts['processor']}"
    yield f"  {'latency':<18} {median(manifest.latency)} ({interval(manifest.latency)}), {where}"
    if manifest.against_original is not None:
        yield f"  {'original':<18} {_against_original(manifest.against_original)}"
    yield f"  {'checked':<18} {_checked(manifest.error)}"
    engine, how = registry.engine(manifest.engine), {"deleted_passes": manifest.deleted_passes}
    for index, line in enumerate(engine.load_hint(folder, list(manifest.files), how)):
        yield f"  {'' if index else 'load':<18} {line}"


def _checked(error: float | None) -> str:
    if error is None:
        return "not compared: all outputs were empty or one number"
    return f"largest error {error:.1e} of the output's scale"


def _against_original(found: AgainstOriginal) -> str:
    """Whether the files are worth anything beside the original."""
    before, after = found.original, found.exported
    said = f"{median(before)} ({interval(before)}) by turns with {median(after)} ({interval(after)}): "
    ratio = f"{times(before, after)} ({times_interval(before, after)})"
    if found.verdict == "slower":
        return f"{said}{ratio}; slower than the original: deploy that one"
    if found.verdict in ("no difference", "too small to gain"):
        return f"{said}{found.verdict} ({times_interval(before, after)}), and the original is more exact"
    return said + ratio


def _dense_again(manifest: Manifest) -> str:
    """What a converted layer that is a dense one in the files is good for."""
    number, of = manifest.dense_again, len(manifest.forms)
    if number == of:
        return (
            "all converted layers: no form is faster here, so these files are as fast as the original's "
            "and less exact; deploy the original"
        )
    return f"{number} of {of} converted layers: no faster than the original's, and less exact"


def _input(manifest: Manifest) -> str:
    """3x224x224 behind the batch; of several inputs with their names."""

    def text(shape: Sequence[int], free: Sequence[int]) -> str:
        return "x".join("any" if axis in free else str(size) for axis, size in enumerate(shape))

    free = manifest.free_axes
    if not manifest.inputs:
        return text(manifest.input_shape, next(iter(free.values())))
    return ", ".join(f"{name} {text(shape, free[name])}" for name, shape in manifest.inputs.items())
