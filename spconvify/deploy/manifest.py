"""What an exported folder holds: the content of its manifest.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spconvify.deploy.latencies import AgainstOriginal
from spconvify.engines import Latency

_DENSE_AGAIN = "dense"  # the form that is one dense 3x3, see `spconvify.operators.spconv.sum_forms`


@dataclass
class Manifest:
    """One export: what was written, for which engine, how fast and how exact it is there."""

    spconvify: str
    paddle: str
    engine: str
    input_shape: tuple[int, ...]
    threads: int
    environment: dict[str, str]  # variables that the process of the latency had, and a server should
    deleted_passes: list[str]  # of Paddle Inference, which a server should delete too
    facts: dict[str, str]  # engine version, processor, dtype
    files: dict[str, int]  # name -> bytes
    forms: dict[str, str]  # layer -> form
    params: int
    macs: int
    latency: Latency
    # Largest difference from the network in Python, in parts of the output's scale; None where all
    # outputs were empty or one number, so that nothing was compared.
    error: float | None
    inputs: Mapping[str, Sequence[int]] = field(default_factory=dict)  # by name, if there are several
    free_axes: Mapping[str, Sequence[int]] = field(default_factory=dict)  # of each: those of any size
    checksums: Mapping[str, str] = field(default_factory=dict)  # sha256 by name
    against_original: AgainstOriginal | None = None  # where that was measured

    @property
    def dynamic_batch(self) -> bool:
        """Whether the files take any N."""
        return any(0 in axes for axes in self.free_axes.values())

    @property
    def dynamic_size(self) -> bool:
        """Whether they take pictures of other heights and widths."""
        return any(set(axes) - {0} for axes in self.free_axes.values())

    @property
    def dense_again(self) -> int:
        """How many converted layers are written as the dense convolution that they took the place of."""
        return sum(form == _DENSE_AGAIN for form in self.forms.values())

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "spconvify": self.spconvify,
            "paddle": self.paddle,
            "engine": self.engine,
            **{f"engine_{key}": value for key, value in self.facts.items()},
            "input_shape": list(self.input_shape),
            **({"inputs": {name: list(s) for name, s in self.inputs.items()}} if self.inputs else {}),
            "dynamic_batch": self.dynamic_batch,
            "dynamic_size": self.dynamic_size,
            "free_axes": {name: list(axes) for name, axes in self.free_axes.items()},
            "threads": self.threads,
            "environment": self.environment,
            "deleted_passes": self.deleted_passes,
            "bytes": self.files,
            "forms": self.forms,
            "params": self.params,
            "macs": self.macs,
            "latency_ms": self.latency.to_dict(),
            "max_relative_error": self.error,
            "against_original": self.against_original and self.against_original.to_dict(),
            **({"checksums": dict(self.checksums)} if self.checksums else {}),
        }

    @classmethod
    def of(cls, data: dict[str, Any]) -> Manifest:
        """The manifest that `to_dict` describes."""
        latency, against = data["latency_ms"], data.get("against_original")
        facts = ("version", "processor", "dtype")
        return cls(
            data["spconvify"],
            data["paddle"],
            data["engine"],
            tuple(data["input_shape"]),
            data["threads"],
            data["environment"],
            data["deleted_passes"],
            {key: data[f"engine_{key}"] for key in facts},
            data["bytes"],
            data["forms"],
            data["params"],
            data["macs"],
            Latency(latency["median"], latency["p10"], latency["p90"], 0),
            data["max_relative_error"],
            data.get("inputs", {}),
            data.get("free_axes", _of_older(data)),
            data.get("checksums", {}),
            against and AgainstOriginal.of(against),
        )


def _of_older(data: Mapping[str, Any]) -> dict[str, list[int]]:
    """The free axes of a manifest that says no more than whether the batch is free."""
    return {name: [0] if data["dynamic_batch"] else [] for name in data.get("inputs", {}) or ("x",)}
