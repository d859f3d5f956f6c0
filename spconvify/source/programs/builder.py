"""Build the network of a program: its operators become layers and calls of functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.errors import CheckpointError
from spconvify.network.failures import first_line
from spconvify.source.programs.arguments import Arguments
from spconvify.source.programs.biases import bias_behind
from spconvify.source.programs.making import constants_of
from spconvify.source.programs.naming import Names
from spconvify.source.programs.network import ProgramNetwork
from spconvify.source.programs.program import Node, Program, each, unsupported
from spconvify.source.programs.steps import Ref, Step, pruned, refs
from spconvify.source.programs.sublayers import SUBLAYERS, Shapes, SubLayer
from spconvify.source.programs.table import FUNCTIONS

_ODD = {"float16": "float16", "float64": "float64", "uint16": "bfloat16"}  # NumPy has no bfloat16


def build(
    program: Program, state: Mapping[str, np.ndarray], structured: Mapping[str, str]
) -> ProgramNetwork:
    """The network, in eval mode.

    Args:
        program: what it computes.
        state: its parameters by name.
        structured: what the network called them, where that is known.

    Raises:
        CheckpointError: names the operators that can't be made again.
    """
    missing = Counter(n.op for n in program.nodes if n.op not in FUNCTIONS and n.op not in SUBLAYERS)
    if missing:
        listed = ", ".join(f"{op} ({count})" for op, count in missing.items())
        raise unsupported(f"the operator{'s' * (len(missing) > 1)} {listed}")
    dtypes = {str(array.dtype) for array in state.values() if array.dtype != np.float32}
    odd = sorted(_ODD[dtype] for dtype in dtypes if dtype in _ODD)
    if odd:
        raise unsupported(f"parameters in {' and '.join(odd)}")
    with paddle.utils.unique_name.guard():
        return _Builder(program, state, structured).build()


class _Builder:
    def __init__(self, program: Program, state: Mapping[str, np.ndarray], structured: Mapping[str, str]):
        self.program, self.state = program, state
        self.network = ProgramNetwork()
        self.names = Names(self.network, program, structured)
        self.shapes = Shapes(program.parameters, program.shapes)
        self.constants = constants_of(program.nodes)
        self.origins = {output: node for node in program.nodes for output in node.results()}
        self.fetched = {fetch.id for fetch in program.fetches}
        self.users: dict[str, list[Node]] = defaultdict(list)
        for node in program.nodes:
            for source in each(node.inputs):
                self.users[source].append(node)
        self._layers: dict[tuple[Any, ...], str] = {}  # what a layer is made of -> its name
        self._done: set[int] = set()  # nodes that are part of an earlier one's layer

    def build(self) -> ProgramNetwork:
        steps = [self._step(node) for node in self.program.nodes if id(node) not in self._done]
        network, wanted = self.network, [fetch.id for fetch in self.program.fetches]
        network.feeds = tuple(self.program.feeds)
        network.output_names = tuple(fetch.name for fetch in self.program.fetches)
        network._fetched = tuple(wanted)
        network.steps = pruned(steps, wanted)
        for source in (*refs([[step.args, step.kwargs] for step in network.steps]), *wanted):
            if source in self.program.parameters and source not in network._loose:
                network._loose[source] = self._loose(source)
        network.eval()
        return network

    def _step(self, node: Node) -> Step:
        try:
            arguments = Arguments(node, self.constants, self.origins)
            made = SUBLAYERS[node.op](arguments, self.shapes) if node.op in SUBLAYERS else None
            if made is not None:
                return self._layer_step(node, made)
            call, args, kwargs = FUNCTIONS[node.op](arguments)
            return Step(call, args, kwargs, node.results(), op=node.op)
        except CheckpointError:
            raise
        except MemoryError:
            raise
        except Exception as error:  # an attribute of another version, or a damaged one
            what = f"{type(error).__name__}: {first_line(error)}"
            raise unsupported(f"a {node.op} of a form that isn't known ({what})") from error

    # -- layers
    def _layer_step(self, node: Node, made: SubLayer) -> Step:
        bias, addition = None, None
        if made.bias_axis is not None:
            bias, addition = bias_behind(self, node, made.channels, made.bias_axis)
        values = {**made.values, **({"bias": bias} if bias else {})}
        name = self._layer(made, values)
        if addition is not None:
            self._done.add(id(addition))
        output = (addition or node).outputs[0]
        return Step(name, [Ref(node.inputs[0])], {}, [output], op=node.op)

    def _layer(self, made: SubLayer, values: Mapping[str, str | None]) -> str:
        """The name of the layer; one that is called twice is one layer."""
        key = (*made.settings, *sorted((k, v) for k, v in values.items() if v))
        if key not in self._layers:
            layer = made.make("bias" in values)
            for name, source in values.items():
                if source is not None:
                    own = getattr(layer, name)
                    own.set_value(np.ascontiguousarray(self._array(source)).reshape(own.shape))
            first = next((source for source in values.values() if source), None)
            self._layers[key] = self.names.place_layer(layer, first, made.settings[0])
        return self._layers[key]

    def _array(self, source: str) -> np.ndarray:
        return self.state[self.program.parameters[source]]

    def _loose(self, source: str) -> tuple[str, str]:
        """A parameter that no known layer takes, registered under its own name."""
        array = self._array(source)

        def make(parent: nn.Layer) -> Any:
            zero = nn.initializer.Constant(0)
            made = parent.create_parameter(
                list(array.shape), dtype=str(array.dtype), default_initializer=zero
            )
            made.set_value(np.ascontiguousarray(array))
            return made

        return self.names.place_parameter(make, source)
