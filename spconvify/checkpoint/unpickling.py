"""Unpickle the arrays of a .pdparams file, and nothing else.

``paddle.load`` unpickles whatever a file says, so a file made for it runs code. Here a pickle may use
the instructions that numpy's and Paddle's pickles are made of, and name a few things, each of which is
replaced by a function that can only make an array, a tuple or a dict. Nothing that a file claims is
allocated before the file has shown it.
"""

from __future__ import annotations

import math
import pickle
import re
from collections import OrderedDict
from typing import Any, BinaryIO, Callable

import numpy as np

from spconvify.checkpoint.nesting import DEEPEST
from spconvify.errors import CheckpointError
from spconvify.printable import one_line, printable

_LONGEST_TUPLE = 64
_DTYPE = re.compile(r"b1|[biufc][0-9]{1,2}")
PythonUnpickler: Any = pickle._Unpickler  # type: ignore[attr-defined,unused-ignore]
# The C unpickler can't be told what not to do: one instruction of seven bytes has it allocate
# gigabytes for its memo. The one in Python has a method for each instruction, and a dict.
_INSTRUCTIONS = (
    "PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT "
    "BINUNICODE SHORT_BINUNICODE BINBYTES SHORT_BINBYTES BINBYTES8 "
    "EMPTY_DICT EMPTY_LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 APPEND APPENDS SETITEM SETITEMS "
    "GLOBAL STACK_GLOBAL REDUCE BUILD BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET"
)


class _NdarrayType:
    """What ``numpy.ndarray`` becomes: an argument of `_Array`, not something to call."""


class _Dtype:
    """``numpy.dtype`` with its state: a name of numbers, and a byte order."""

    def __init__(self, name: Any, align: Any = False, copy: Any = True):
        if not isinstance(name, str) or not _DTYPE.fullmatch(name):
            raise pickle.UnpicklingError("an array that isn't one of numbers")
        self.value = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        order: Any = state[1]
        if order not in ("<", ">", "|", "=") or any(part for part in state[2:5]):
            raise pickle.UnpicklingError("an array that isn't one of numbers")
        if order != "|":
            self.value = self.value.newbyteorder(order)


class _Array:
    """``numpy.ndarray`` the only way that numpy pickles it: empty first, then its state."""

    def __init__(self, subtype: Any, shape: Any, typecode: Any):
        if subtype is not _NdarrayType or not isinstance(shape, tuple) or shape != (0,):
            raise pickle.UnpicklingError("an array that numpy didn't write")
        self.value: np.ndarray = np.empty(0, "int8")

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _Dtype) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("an array that isn't one of numbers")
        if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
            raise pickle.UnpicklingError("an array of an impossible shape")
        if math.prod(shape) * dtype.value.itemsize != len(content):
            raise pickle.UnpicklingError("an array of another shape than its data")
        flat = np.frombuffer(content, dtype.value)
        self.value = flat.reshape(shape, order="F" if fortran else "C")


def _tuple(items: Any) -> tuple:
    """Of a few things; one of bytes would have an element of 8 bytes for each."""
    if not isinstance(items, (list, tuple)) or len(items) > _LONGEST_TUPLE:
        raise pickle.UnpicklingError("a tuple that no checkpoint of weights has")
    return tuple(items)


def _ordered_dict() -> dict:
    """An empty one, as it is pickled; the entries come one by one."""
    return OrderedDict()


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _NdarrayType,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): "encode",  # a method of the unpickler
    ("builtins", "tuple"): _tuple,
    ("collections", "OrderedDict"): _ordered_dict,
}


class ArrayUnpickler(PythonUnpickler):  # type: ignore[misc,unused-ignore]
    """An unpickler that knows only what a state dict of arrays is made of; `size`: of its file."""

    def __init__(self, file: BinaryIO, size: int):
        super().__init__(file)
        self._bytes_left = size

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """What a pickle may name.

        Raises:
            CheckpointError: for everything else; nothing of it has been imported or run.
        """
        if (module, name) not in _ALLOWED:
            wanted = printable(f"{module}.{name}")
            raise CheckpointError(
                f"it refers to {wanted}, which a checkpoint of weights has no use for; nothing of it "
                "was run. If you trust the file, load it with Paddle and save model.state_dict() again"
            )
        wanted = _ALLOWED[module, name]
        return self._latin1 if wanted == "encode" else wanted

    def _latin1(self, text: Any, encoding: Any) -> bytes:
        """How Python 3 writes bytes in protocol 2: all of them together are no more than the file."""
        if not isinstance(encoding, str) or encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError("bytes of an unknown encoding")
        self._bytes_left -= len(text)
        if self._bytes_left < 0:
            raise pickle.UnpicklingError("more bytes than the file has")
        return text.encode("latin-1")

    def load_setitem(self) -> None:
        """Put a value into a dict, under a name."""
        _check_names(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        """Put values into a dict, under their names."""
        _check_names(self.stack[::2])
        super().load_setitems()

    def load_build(self) -> None:
        """Give an array or its dtype the state: nothing else has one."""
        if not isinstance(self.stack[-2], (_Array, _Dtype)):
            raise pickle.UnpicklingError("an object with a state")
        super().load_build()

    def refuse(self) -> None:
        """For any other instruction."""
        raise pickle.UnpicklingError("an instruction that a checkpoint of weights has no use for")

    dispatch = dict.fromkeys(range(256), refuse)
    dispatch |= {
        code: PythonUnpickler.dispatch[code]
        for code in (getattr(pickle, name)[0] for name in _INSTRUCTIONS.split())
    }
    dispatch |= {
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.BUILD[0]: load_build,
    }


def _check_names(keys: list[Any]) -> None:
    """A tuple of tuples of tuples of itself could keep Python busy for ever, computing its hash."""
    for key in keys:
        if type(key) is not str:
            raise CheckpointError(
                f"it holds a key that is a {type(key).__name__} and not a name; save model.state_dict()"
            )


def unpickle(file: BinaryIO, end: int) -> Any:
    """Read one pickle that fills `file` up to the byte `end`.

    Raises:
        CheckpointError: if it is damaged, goes on behind its end, or holds something else.
    """
    try:
        content = ArrayUnpickler(file, end).load()
    except CheckpointError:
        raise
    except EOFError as error:
        raise CheckpointError("it ends too early: the file is truncated; fetch it again") from error
    # A damaged pickle can raise almost anything.
    except Exception as error:
        detail = one_line(str(error)) or type(error).__name__
        raise CheckpointError(f"it is damaged or truncated ({detail}); fetch it again") from error
    if file.tell() != end:
        raise CheckpointError("there is more data behind its end: the file is damaged")
    return _with_arrays(content, {}) if isinstance(content, dict) else content


def _with_arrays(content: dict[str, Any], done: dict[int, dict], depth: int = 0) -> dict[str, Any]:
    """A state dict's arrays in the place of what stood for them; alone or as Paddle's (name, array).

    Dictionaries in it likewise, each once: a file may name one at many places, or in itself.
    """
    result: dict[str, Any] = done.setdefault(id(content), {})
    for key, value in content.items():
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], _Array):
            value = value[1]
        if isinstance(value, dict) and depth < DEEPEST:
            known = id(value) in done
            value = done[id(value)] if known else _with_arrays(value, done, depth + 1)
        result[key] = value.value if isinstance(value, _Array) else value
    return result
