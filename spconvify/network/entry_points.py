"""The doors through which dygraph code runs an operator or takes a tensor's values: what can be seen.

Seen are

1. Paddle's operators, which are C++ functions (`paddle._C_ops`, its legacy twin, custom operators), by
   whatever name a loaded module has them: ``F.sigmoid`` of Paddle 3 is such a function itself;
2. the same functions where a layer or its class has them as an attribute, also inside a list, a
   tuple's place or a dictionary (`in_layer`);
3. the methods of ``paddle.Tensor`` that are C++ and go past these functions: Python's operators and
   comparisons, indexing, ``clone``, ``detach``, ``numpy`` …, and the attribute ``data``. All are watched
   but those that ask for no values (`INQUIRIES`): a method that a later Paddle adds is watched too.

What Python code does is seen by the operators that it calls. A function that is held where nobody can
replace it (in a closure, a ``functools.partial``) runs unseen; Paddle's own count of operators tells,
see `spconvify.network.operations`.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import types
from collections.abc import Collection, Iterator
from typing import Any, Callable

import paddle
from paddle import _C_ops, _legacy_C_ops, nn
from paddle.base import core

# C++ methods of a tensor that tell nothing of its values, or concern its gradient or its storage alone.
INQUIRIES = frozenset(
    """__new__ _apply_backward_hook _bump_inplace_version _clear _clear_dataptr
    _clear_to_zero_allocation _copy_gradient_from _grad_ivar _grad_name _grad_value _holder_size
    _inplace_version _is_dense_tensor_hold_allocation _is_initialized _is_shared_buffer_with
    _is_shared_underline_tensor_with _offset _register_backward_hook _register_grad_hook
    _remove_grad_hook _reset_grad_inplace_version _set_grad_type _tensor_use_gpudnn
    _unset_fake_empty _zero_grads clear_gradient data_ptr dense_dim element_size get_strides
    is_coalesced is_contiguous is_dense is_dist is_same_shape is_selected_rows is_sparse is_sparse_coo
    is_sparse_csr nnz retain_grads set_string_list set_vocab sparse_dim stride""".split()
)
# What the operators are called that the methods run; others have the method's own name.
_METHODS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "truediv": "divide",
    "floordiv": "floor_divide", "mod": "remainder", "pow": "pow", "matmul": "matmul",
    "eq": "equal", "ne": "not_equal", "lt": "less_than", "le": "less_equal", "gt": "greater_than",
    "ge": "greater_equal", "clone": "assign", "_getitem_dygraph": "getitem",
    "_getitem_from_offset": "getitem", "_setitem_dygraph": "setitem",
}  # fmt: skip
_REFLECTED = frozenset(f"__r{name}__" for name in _METHODS)
_LEGACY = {"elementwise_add": "add", "matmul_v2": "matmul"}
_CUSTOM = "_run_custom_op"  # ``custom``: an operator that somebody compiled
# Where Paddle's own modules take the operators from: nobody calls them there.
_INSIDE = frozenset(
    f"paddle.{name}"
    for name in ("_pir_ops", "base.libpaddle.pir.ops", "base.libpaddle.eager.ops",
                 "base.libpaddle.eager.ops.legacy")
)  # fmt: skip
_WATCHED = "spconvify_watched"  # an attribute of what stands in a function's place: that function
_DEPTH = 2  # of lists and dictionaries in attributes


class Door:
    """One place that holds a C++ function or method: `owner`'s attribute or item `key`."""

    def __init__(self, owner: Any, key: Any, name: str, reflected: bool = False):
        self.owner, self.key, self.name, self.reflected = owner, key, name, reflected
        items = isinstance(owner, (dict, list))
        self._held = owner[key] if items else vars(owner)[key]  # a method as it is, bound to nothing

    @property
    def function(self) -> Callable[..., Any]:
        """What stands there, as a function that takes the tensor as its first argument."""
        if isinstance(self._held, types.GetSetDescriptorType):
            return self._held.__get__
        return getattr(self._held, "__func__", self._held)

    def open(self, watcher: Callable[..., Any]) -> None:
        """Put `watcher` in the function's place."""
        setattr(watcher, _WATCHED, self.function)
        if isinstance(self._held, types.GetSetDescriptorType):
            self._put(property(watcher, self._held.__set__))
        elif isinstance(self.owner, type) and not isinstance(self._held, types.MethodDescriptorType):
            self._put(staticmethod(watcher))  # a function of C++ isn't bound to an instance
        else:
            self._put(watcher)

    def close(self) -> None:
        """Put the function back."""
        self._put(self._held)

    def _put(self, value: Any) -> None:
        if isinstance(self.owner, (dict, list)):
            self.owner[self.key] = value
        else:
            setattr(self.owner, self.key, value)


def everywhere(names: Collection[str] | None = None) -> Iterator[Door]:
    """The doors that don't belong to a layer, as they are now; only of operators of these names."""
    for place in _everywhere(len(sys.modules)):
        if names is None or place[2] in names:
            with contextlib.suppress(LookupError):  # a module's variable that has been deleted since
                yield Door(*place)


_Place = tuple[Any, Any, str, bool]  # of a door: the arguments that make it


@functools.lru_cache(maxsize=1)
def _everywhere(modules: int) -> list[_Place]:
    del modules  # only when others are loaded are there other doors
    doors: list[_Place] = []
    seen: set[tuple[int, int]] = set()  # every module has the dictionary of Python's own functions
    for name, module in list(sys.modules.items()):
        if isinstance(module, types.ModuleType) and name not in _INSIDE:
            for key, value in list(vars(module).items()):
                doors += _doors(vars(module), key, value, seen=seen)
    return doors + list(_of_tensors())


def _of_tensors() -> Iterator[_Place]:
    for key, method in vars(paddle.Tensor).items():
        if isinstance(method, types.MethodDescriptorType) and key not in INQUIRIES:
            reflected = key in _REFLECTED
            plain = key[3:-2] if reflected else key.strip("_") if key.startswith("__") else key
            yield paddle.Tensor, key, _METHODS.get(plain, key), reflected
    yield paddle.Tensor, "data", "data", False


def in_layer(layer: nn.Layer) -> Iterator[Door]:
    """The doors that `layer` or its class has as attributes."""
    attributes = vars(layer)
    for key, value in list(attributes.items()):
        for place in _doors(attributes, key, value):
            yield Door(*place)
    for cls in type(layer).__mro__:
        if not cls.__module__.startswith("paddle."):
            for key, value in list(vars(cls).items()):
                name = operator_name(getattr(value, "__func__", value))
                if name is not None:
                    yield Door(cls, key, name)


def operator_name(value: Any) -> str | None:
    """The operator that a C++ function runs, watched or not; None for anything else."""
    if isinstance(value, types.FunctionType):
        value = vars(value).get(_WATCHED)
    return _names().get(id(value)) if isinstance(value, types.BuiltinFunctionType) else None


def _doors(
    owner: Any, key: Any, value: Any, depth: int = _DEPTH, seen: set[tuple[int, int]] | None = None
) -> Iterator[_Place]:
    """The doors at one place; `seen` has the containers that were looked into, and how deep."""
    name = operator_name(value)
    if name is not None:
        yield owner, key, name, False
    elif depth and type(value) in (dict, list):
        if seen is not None:
            if (id(value), depth) in seen:
                return
            seen.add((id(value), depth))
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for inner, item in list(items):
            yield from _doors(value, inner, item, depth - 1, seen)


@functools.lru_cache(maxsize=1)
def _names() -> dict[int, str]:
    """Operator name by the id of its function: found once, before anything is patched."""
    names = {}
    for module in (_legacy_C_ops, core.eager.ops, core.pir.ops, _C_ops):
        for name, function in vars(module).items():
            is_operator = not name.startswith("_") and "_grad" not in name
            if is_operator and isinstance(function, types.BuiltinFunctionType):
                names[id(function)] = _LEGACY.get(name, name)
    for module in (core.eager, _C_ops):
        if hasattr(module, _CUSTOM):
            names[id(getattr(module, _CUSTOM))] = "custom"
    return names
