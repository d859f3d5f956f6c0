"""Operators that Paddle 3 traces into its new representation only, as Paddle 2 had them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable

import paddle

Given = Mapping[str, Any]

_CODES = {
    "bool": 0, "int16": 1, "int32": 2, "int64": 3, "float16": 4, "float32": 5, "float64": 6,
    "uint8": 20, "int8": 21, "bfloat16": 22,
}  # fmt: skip


@dataclass(frozen=True)
class Older:
    """One of Paddle 2's operators.

    Attributes:
        name: what it is called.
        slots: of its inputs, as {slot: the newer function's argument}.
        attributes: from the newer function's arguments.
        dtype: of the result, from the same; the first input's where this is None.
    """

    name: str
    slots: Mapping[str, str]
    attributes: Callable[[Given], dict[str, Any]] = lambda given: {}
    dtype: Callable[[Given], Any] | None = None

    def trace(self, given: Given) -> Any:
        """Append it to the program that is being traced; its result."""
        from paddle.base.layer_helper import LayerHelper

        inputs = {slot: given[argument] for slot, argument in self.slots.items()}
        dtype = self.dtype(given) if self.dtype is not None else next(iter(inputs.values())).dtype
        helper = LayerHelper(self.name)
        output = helper.create_variable_for_type_inference(dtype)
        helper.append_op(
            type=self.name, inputs=inputs, outputs={"Out": output}, attrs=self.attributes(given)
        )
        return output


_ONE, _TWO = {"X": "x"}, {"X": "x", "Y": "y"}


def _bool(given: Given) -> str:
    return "bool"


def _name(dtype: Any) -> str:
    """Of a dtype in any of the ways that Paddle has for it."""
    from paddle.base.data_feeder import convert_dtype

    return str(convert_dtype(dtype))


def _over_axes(given: Given) -> dict[str, Any]:
    axes = given["axis"]
    axes = [axes] if isinstance(axes, int) else list(axes or ())
    return {"dim": axes or [0], "keep_dim": given["keepdim"], "reduce_all": not axes}


def _sum_dtype(given: Given) -> Any:
    """Integers and truths are added up as int64."""
    if given["dtype"] is not None:
        return given["dtype"]
    return "int64" if _name(given["x"].dtype) in ("bool", "int32") else given["x"].dtype


def _sum(given: Given) -> dict[str, Any]:
    return {
        **_over_axes(given),
        "in_dtype": _CODES[_name(given["x"].dtype)],
        "out_dtype": _CODES[_name(_sum_dtype(given))],
    }


def _arg(given: Given) -> dict[str, Any]:
    is_flat = given["axis"] is None
    return {
        "axis": 0 if is_flat else given["axis"],
        "keepdims": given["keepdim"],
        "flatten": is_flat,
        "dtype": _CODES[_name(given["dtype"])],
    }


def _triangle(lower: bool) -> Older:
    return Older("tril_triu", _ONE, lambda g: {"diagonal": g["diagonal"], "lower": lower})


_UNARY = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf", "exp",
    "expm1", "floor", "log", "log10", "log1p", "log2", "round", "rsqrt", "sigmoid", "sign", "sin",
    "sinh", "sqrt", "tan", "tanh",
)  # fmt: skip
_OLDER = {
    **{name: Older(name, _ONE) for name in _UNARY},
    "multiply": Older("elementwise_mul", _TWO),
    "maximum": Older("elementwise_max", _TWO),
    "minimum": Older("elementwise_min", _TWO),
    **{
        name: Older(name, _TWO, dtype=_bool)
        for name in ("greater_than", "logical_and", "logical_or", "logical_xor")
    },
    "logical_not": Older("logical_not", _ONE, dtype=_bool),
    **{name: Older(f"{name}_v2", _ONE, dtype=_bool) for name in ("isnan", "isinf", "isfinite")},
    "bmm": Older("bmm", _TWO),
    "dot": Older("dot", _TWO),
    "matmul": Older(
        "matmul_v2", _TWO, lambda g: {"trans_x": g["transpose_x"], "trans_y": g["transpose_y"]}
    ),
    "gelu": Older("gelu", _ONE, lambda g: {"approximate": g["approximate"]}),
    "softplus": Older("softplus", _ONE, lambda g: {"beta": g["beta"], "threshold": g["threshold"]}),
    "sum": Older("reduce_sum", _ONE, _sum, _sum_dtype),
    "any": Older("reduce_any", _ONE, _over_axes, _bool),
    "all": Older("reduce_all", _ONE, _over_axes, _bool),
    "amax": Older("reduce_amax", _ONE, _over_axes),
    "amin": Older("reduce_amin", _ONE, _over_axes),
    "logsumexp": Older(
        "logsumexp",
        _ONE,
        lambda g: {
            "axis": _over_axes(g)["dim"],
            "keepdim": g["keepdim"],
            "reduce_all": _over_axes(g)["reduce_all"],
        },
    ),
    "argmax": Older("arg_max", _ONE, _arg, lambda g: g["dtype"]),
    "argmin": Older("arg_min", _ONE, _arg, lambda g: g["dtype"]),
    "roll": Older(
        "roll", _ONE, lambda g: {"shifts": _numbers(g["shifts"]), "axis": _numbers(g["axis"])}
    ),
    "expand_as": Older("expand_as_v2", _TWO, lambda g: {"target_shape": list(g["y"].shape)}),
    "tril": _triangle(lower=True),
    "triu": _triangle(lower=False),
}
# What the newer functions take behind their tensors, where Paddle doesn't say it.
_PLACES = {
    "matmul": (("transpose_x", False), ("transpose_y", False)),
    "gelu": (("approximate", False),),
    "softplus": (("beta", 1.0), ("threshold", 20.0)),
}


def _numbers(value: Any) -> list[int]:
    return [value] if isinstance(value, int) else list(value or ())


def traced_functions() -> Iterator[tuple[Any, Callable[..., Any]]]:
    """Every newer function of the table, and what is to be called in its place while it is traced."""
    for name, older in _OLDER.items():
        usual = getattr(paddle._C_ops, name, None)
        if usual is not None:
            yield usual, _traced(name, usual, older)


def _traced(name: str, usual: Any, older: Older) -> Callable[..., Any]:
    defaults = _defaults(name, older)

    def traced(*args: Any, **kwargs: Any) -> Any:
        if paddle.in_dynamic_mode():
            return usual(*args, **kwargs)
        names = {**dict(zip(defaults, args)), **kwargs}
        if "input" in names:  # as it is called elsewhere
            names["x"] = names.pop("input")
        if "dim" in names:
            names["axis"] = names.pop("dim")
        return older.trace({**defaults, **names})

    return traced


def _defaults(name: str, older: Older) -> dict[str, Any]:
    """The newer function's arguments in order, with their defaults; None for its tensors."""
    if name not in _PLACES:
        function = getattr(paddle, name, None)
        try:
            parameters = inspect.signature(function).parameters if function is not None else {}
        except (TypeError, ValueError):
            parameters = {}
        usual = {p.name: p.default for p in parameters.values() if p.kind is not p.KEYWORD_ONLY}
        if set(older.slots.values()) <= set(usual):
            return {
                key: None if value is inspect.Parameter.empty else value for key, value in usual.items()
            }
    return {**dict.fromkeys(older.slots.values()), **dict(_PLACES.get(name, ()))}
