"""Trace a network into the files of a static program, which Paddle's own engines and converters read."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import paddle
from paddle import nn

from spconvify.engines.autocast import without_autocast
from spconvify.engines.feeds import Shapes
from spconvify.engines.program_files import STEM
from spconvify.errors import EngineError, Option
from spconvify.files.scratch import scratch_folder
from spconvify.held_signals import held_back
from spconvify.network.failures import first_line
from spconvify.network.flat_inputs import TakesList
from spconvify.network.inputs import Inputs
from spconvify.network.run import evaluating
from spconvify.settings import UNTRACED_ENGINE

_IDLE_INPUT = "is not involved in the target_vars"


class _Traced(nn.Layer):
    """What is traced in the network's place: Paddle skips the hooks of the layer that it traces, and
    wants the first argument of its forward to be called `self`."""

    def __init__(self, network: nn.Layer):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x)


def _traced(network: nn.Layer, inputs: Inputs) -> tuple[nn.Layer, list[Any]]:
    """What is traced, and what it is given."""
    if inputs.is_plain:
        return _Traced(network), inputs.specs()
    return TakesList(network, inputs), [inputs.specs()]


@contextlib.contextmanager
def _place_for_code() -> Iterator[None]:
    """Paddle writes the code that it traces under ``~/.cache``; in a container there may be none."""
    place = Path("~/.cache/paddle/to_static_tmp").expanduser()
    with contextlib.suppress(OSError):
        place.mkdir(parents=True, exist_ok=True)
    if os.access(place, os.W_OK | os.X_OK):
        yield
        return
    before = os.environ.get("HOME")
    with scratch_folder() as folder:
        os.environ["HOME"] = str(folder)
        try:
            yield
        finally:
            os.environ.pop("HOME")
            if before is not None:
                os.environ["HOME"] = before


@held_back()  # while it traces, Paddle's C++ calls Python, and an exception there is a crash
def write(network: nn.Layer, folder: Path, input_shape: Shapes) -> None:
    """Export `network` in eval mode for one input shape or `Inputs`; it comes back unchanged.

    A batch of -1 in `input_shape` makes files that take any.

    Raises:
        EngineError: if it can't be traced into a static program; names the line.
    """
    inputs = Inputs.of(input_shape, network)
    traced, spec = _traced(network, inputs)
    running: list[str] = []
    _forget_failed_traces()
    try:
        with (
            _place_for_code(),
            _unchanged(network),
            evaluating(traced),
            _fusible_biases(),
            without_autocast(),
            _following(network, running),
        ):
            paddle.jit.save(traced, str(folder / STEM), input_spec=spec)
    except Exception as error:
        if _IDLE_INPUT in str(error):
            names = " or ".join(map(repr, inputs.tensors))
            raise EngineError(
                f"{type(network).__name__} can't be traced for Paddle Inference: the input {names} has "
                "no influence on any output, and Paddle exports no such input; give a network without it"
            ) from error
        layer = f" in layer {running[-1]!r}" if running and running[-1] else ""
        raise EngineError(
            f"{type(network).__name__} can't be traced for Paddle Inference{layer}: {_where(error)}"
            f"{first_line(error)}; try ",
            Option("engine", UNTRACED_ENGINE),
        ) from error


def _forget_failed_traces() -> None:
    """Forget the parameters of traces that raised, the user's own too.

    Paddle keeps them under the address of their program. When a later program comes to lie there, it
    is given them as well, and saving it fails with a KeyError, now and then. There are two recorders,
    one for either representation of programs; what was changed in place is kept in the same way.
    """
    for remembered in _remembered():
        remembered.clear()


def _remembered() -> Iterator[dict[Any, Any]]:
    with contextlib.suppress(ImportError, AttributeError):  # Paddle 2 has no such recorder
        module: Any = importlib.import_module("paddle.jit.dy2static.parameter_recorder")
        recorder = module._global_parameter_recorder
        yield from (recorder.params_dict, recorder.tensor2value)
    with contextlib.suppress(ImportError, AttributeError):
        module = importlib.import_module("paddle.jit.dy2static.program_translator")
        translator = module.ProgramTranslator.get_instance()
        yield from (translator._params_recorder.params_dict, translator._inplace_map.params_dict)


@contextlib.contextmanager
def _fusible_biases() -> Iterator[None]:
    """Trace a convolution's bias so that Paddle 2 folds it into the convolution.

    Paddle 2.6 traces it as an addition of the bias reshaped to (1, C, 1, 1), which its own passes
    don't recognise; the older addition along an axis they do.
    """
    if not paddle.__version__.startswith("2."):
        yield
        return
    module: Any = importlib.import_module("paddle.nn.functional.conv")
    add = importlib.import_module("paddle.tensor.math")._add_with_axis
    original = module._conv_nd
    signature = inspect.signature(original)

    def traced(*args: Any, **kwargs: Any) -> Any:
        call = signature.bind(*args, **kwargs)
        call.apply_defaults()
        bias = call.arguments.pop("bias")
        output = original(**call.arguments)
        return output if bias is None else add(output, bias, axis=call.arguments["channel_dim"])

    module._conv_nd = traced
    try:
        yield
    finally:
        module._conv_nd = original


@contextlib.contextmanager
def _following(network: nn.Layer, running: list[str]) -> Iterator[None]:
    """Keep the names of the layers that are being called in `running`, innermost last."""

    # Neither returns anything: that would change what the layer gets and gives.
    def enter(name: str) -> Callable[..., None]:
        return lambda *_: running.append(name)

    def leave(*_: Any) -> None:
        running.pop()

    hooks = []
    for name, layer in network.named_sublayers():
        hooks += [layer.register_forward_pre_hook(enter(name)), layer.register_forward_post_hook(leave)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextlib.contextmanager
def _unchanged(network: nn.Layer) -> Iterator[None]:
    """Put every layer's attributes back: Paddle 2.6 leaves a rewritten `forward` on each."""
    before = [
        (layer, dict(vars(layer)), dict(layer._original_funcs))
        for layer in network.sublayers(include_self=True)
    ]
    try:
        yield
    finally:
        for layer, attributes, functions in before:
            vars(layer).clear()
            vars(layer).update(attributes)
            layer._original_funcs.clear()
            layer._original_funcs.update(functions)


def _where(error: Exception) -> str:
    """'nets.py, line 8: ' for the deepest line that isn't Paddle's, as the tracer's error has it."""
    frames = re.findall(r'File "([^"]+)", line (\d+)', str(error))
    not_ours = (str(Path(paddle.__file__).parent), __file__)
    frames = [(file, line) for file, line in frames if not file.startswith(not_ours)]
    return f"{frames[-1][0]}, line {frames[-1][1]}: " if frames else ""
