"""Where a program's layers and parameters go in the network, with the names that they had."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Callable

from paddle import nn

from spconvify.source.programs.program import Program

_DEEPEST = 32  # parts of a name
_WITHOUT_OWNER = "parameters"


class Names:
    """Gives every layer and parameter of `network` a place of its own.

    Args:
        network: the network that is being built.
        program: knows the parameters' names ("conv2d_3.w_0").
        structured: what the exported network called them ("backbone.conv1.weight").
    """

    def __init__(self, network: nn.Layer, program: Program, structured: Mapping[str, str]):
        self._network, self._program, self._structured = network, program, structured
        self._tried: Counter[tuple[int, str]] = Counter()  # names that were taken, in each layer

    def place_layer(self, layer: nn.Layer, source: str | None, kind: str) -> str:
        """Register a layer as that of the parameter `source`, or by its kind; its name."""
        path, _ = self._path(source) if source else ([], "")
        *parents, key = path or [kind]
        parent, parents = self._container(parents)
        key = self._free(parent, key)
        parent.add_sublayer(key, layer)
        return ".".join([*parents, key])

    def place_parameter(self, make: Callable[[nn.Layer], Any], source: str) -> tuple[str, str]:
        """Register the parameter that `make` gives: (name of its layer, its name there)."""
        path, key = self._path(source)
        parent, path = self._container(path or [_WITHOUT_OWNER])
        key = self._free(parent, key)
        parent.add_parameter(key, make(parent))
        return ".".join(path), key

    def _path(self, source: str) -> tuple[list[str], str]:
        """(names of the layers, name of the parameter)."""
        name = self._program.parameters[source]
        *path, key = self._structured.get(name, name).split(".")
        if not key or not all(path) or len(path) > _DEEPEST:  # not one that a layer can have
            return [], name.replace(".", "_") or "parameter"
        return path, key

    def _container(self, path: list[str]) -> tuple[Any, list[str]]:
        """(the layer at `path`, its real path): a name that a layer can't have gets another one."""
        at: Any = self._network
        found = []
        for key in path:
            if key not in at._sub_layers:
                key = self._free(at, key)
                at.add_sublayer(key, nn.Layer())
            at = at._sub_layers[key]
            found.append(key)
        return at, found

    def _free(self, parent: nn.Layer, key: str) -> str:
        """`key`, or the next name that nothing in `parent` has: "conv_", "conv_2", "conv_3"."""
        free = key
        while free in parent._sub_layers or hasattr(parent, free):
            self._tried[id(parent), key] += 1  # so that thousands of one name don't each try all others
            count = self._tried[id(parent), key]
            free = f"{key}_{count if count > 1 else ''}"
        return free
