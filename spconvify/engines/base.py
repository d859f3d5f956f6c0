"""Engine: one thing that runs networks, and all that is known of it.

Everything else in the package asks an engine that it finds through the registry, and knows none by name.
Needs no Paddle until a method that takes a network is called.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, ClassVar

from spconvify.engines.devices import CPU, check_gpu, kind_of
from spconvify.engines.feeds import Shapes, Values
from spconvify.engines.memory import KEEP_MEMORY, KEEP_TENSORS
from spconvify.errors import EngineError, Option
from spconvify.settings import DEFAULT_ENGINE

if TYPE_CHECKING:
    from paddle import nn


@dataclass(frozen=True)
class HandOver:
    """One of several networks that are handed over: what `Engine.write` takes, made when it is due."""

    network: Callable[[], nn.Layer]
    folder: Path
    input_shape: Shapes


class Engine(ABC):
    """What runs networks: `write` hands one over as files, `load` runs those in a process of its own.

    What has a body here suits an engine of Paddle's, or one that says nothing.

    Attributes:
        name: what options, manifests and remembered timings call it.
        label: what tables call it.
        devices: the kinds of device that it runs on, of "cpu" and "gpu".
        exports: whether its files are for a server, too.
        runs_float64: whether it runs a network that computes in float64.
        tolerance: the largest error of exported files that is right, in parts of an output's scale.
        rounding_of_one: how far numbers from 0 to 1 may be off whatever their scale is: an engine may
            compute a sigmoid to so many digits behind the point.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    devices: ClassVar[Sequence[str]] = ("cpu", "gpu")
    exports: ClassVar[bool] = False
    runs_float64: ClassVar[bool] = False
    tolerance: ClassVar[float] = 1e-4
    rounding_of_one: ClassVar[float] = 0.0

    def check(self, device: str = "cpu") -> None:
        """Refuse what isn't there: what the engine needs, or the device ("cpu" or "gpu:0").

        Raises:
            ArgumentError: for a device that is unknown.
            EngineError: says what to do.
        """
        self.check_installed()
        kind = kind_of(device)
        if kind not in self.devices:
            if kind == "cpu":
                gpu, other = Option("device", "gpu:0"), Option("engine", DEFAULT_ENGINE)
                raise EngineError(f"engine {self.name} needs a GPU; use ", gpu, ", or ", other)
            raise EngineError(f"engine {self.name} runs on the CPU; use ", CPU, f", not {device}")
        if kind == "gpu":
            check_gpu(device)

    def check_installed(self) -> None:  # noqa: B027 - most need nothing but Paddle
        """Refuse to run where something is missing beside Paddle, without loading it.

        Raises:
            EngineError: says how to install it.
        """

    def version(self) -> str:
        """For captions and remembered timings; Paddle's own by default."""
        import paddle

        return paddle.__version__

    def memory(self, device: str = "cpu") -> Mapping[str, str]:
        """The variables that make a process keep its memory; a GPU's tensors are freed as usual."""
        return {**KEEP_MEMORY, **(KEEP_TENSORS if device == "cpu" else {})}

    def preferred_forms(self, spatial_scattered: bool, pointwise_scattered: bool) -> Sequence[str]:
        """Names of the forms that are fastest in most layers, of any operator; the best first.

        A layer gets the first that it can have, and its operator's usual one where it can have none.

        Args:
            spatial_scattered: whether the channels that the layer's 3x3 takes don't lie side by side.
            pointwise_scattered: whether those that only its 1x1 takes don't.
        """
        return ()

    def runs_form(self, form: str) -> bool:
        """Whether it runs layers in the form of that name ("NAME" or "NAME+VARIANT")."""
        return True

    @abstractmethod
    def write(self, network: nn.Layer, folder: Path, input_shape: Shapes) -> None:
        """Write `network`, which comes back unchanged, into `folder` as `load` reads it there.

        Where it `exports`, all that is in the folder becomes the export. Its files are called
        ``model.SUFFIX`` then: others are never replaced by a later export.

        Args:
            network: the network; it runs in eval mode.
            folder: an empty folder.
            input_shape: (N, C, H, W), or `Inputs` where there is more to say than the shape of one
                tensor of floats; an N, H or W of -1 makes files that take any.

        Raises:
            EngineError: if the network can't be handed over; says what in it is to blame.
        """

    def write_all(self, networks: Sequence[HandOver]) -> dict[int, EngineError]:
        """`write` each of them, where an engine may share some of the work; a network goes once it is
        written.

        Returns:
            The errors of those that couldn't be made or written, by their places in the sequence.
        """
        problems = {}
        for place, one in enumerate(networks):
            try:
                self.write(one.network(), one.folder, one.input_shape)
            except EngineError as problem:
                problems[place] = problem
        return problems

    @abstractmethod
    def load(
        self, folder: Path, values: Values, threads: int = 1, device: str = "cpu"
    ) -> Callable[[], Sequence[Any]]:
        """In the process that runs it: what `write` has written, ready to run on `values`.

        These are an array, or several by the names of the inputs, see `spconvify.engines.feeds.by_name`.

        Returns:
            A function that runs it once, waits for the device, and gives its outputs as arrays, or as
            tensors, flattened. If it has an attribute `how` (of what JSON holds), `keep` is given that.
        """

    def keep(self, folder: Path, how: Mapping[str, Any]) -> None:  # noqa: B027 - most write one program
        """Leave only what a server needs of a folder that was run as `how` says."""

    def load_kept(
        self, folder: Path, how: Mapping[str, Any], values: Values, threads: int, device: str
    ) -> Callable[[], Sequence[Any]]:
        """Like `load`, of what `keep` has left, in the very way that it was run when `how` was told."""
        return self.load(folder, values, threads, device)

    def load_hint(self, folder: Path, files: Sequence[str], how: Mapping[str, Any]) -> Sequence[str]:
        """How a server loads an export, in a line or two of Python's words.

        Args:
            folder: where it lies.
            files: the names of its files.
            how: of what the function that `load` gave told as its `how`, what a manifest keeps.
        """
        return [f"the files in {folder}"]
