"""Unpickle the arrays of a .pdparams file, and nothing else.

``paddle.load`` unpickles whatever a file says, so a file made for it runs code. Here a pickle can
name six things, and each of them is replaced by a function that can only make an array, a tuple or a
dict.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import Any, BinaryIO, Callable

import numpy as np

from spconvify.errors import CheckpointError


class _NdarrayType:
    """What ``numpy.ndarray`` becomes: an argument of `_empty_array`, not something to call."""


def _empty_array(subtype: Any, shape: Any, typecode: Any) -> np.ndarray:
    """``_reconstruct`` for the only way that numpy calls it: the contents come with the state."""
    if subtype is not _NdarrayType or tuple(shape) != (0,):
        raise pickle.UnpicklingError("an array that numpy didn't write")
    return np.empty(0, "int8")


def _dtype(name: Any, align: Any = False, copy: Any = True) -> np.dtype:
    if not isinstance(name, str) or not name or name[0] not in "biufc":
        raise pickle.UnpicklingError(f"an array of dtype {name!r}")
    return np.dtype(name)


def _latin1(text: Any, encoding: Any) -> bytes:
    """How Python 3 writes bytes in protocol 2."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"bytes encoded as {encoding!r}")
    return text.encode("latin-1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("numpy.multiarray", "_reconstruct"): _empty_array,
    ("numpy", "ndarray"): _NdarrayType,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _latin1,
    ("builtins", "tuple"): tuple,
    ("collections", "OrderedDict"): OrderedDict,
}


class ArrayUnpickler(pickle.Unpickler):
    """An unpickler that knows only what a state dict of arrays is made of."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """What a pickle may name.

        Raises:
            CheckpointError: for everything else; nothing of it has been imported or run.
        """
        if (module, name) not in _ALLOWED:
            raise CheckpointError(
                f"it refers to {module}.{name}, which a checkpoint of weights has no use for; "
                "nothing of it was run. If you trust the file, load it with Paddle and save "
                "model.state_dict() again"
            )
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """Refuse objects that lie outside of the file."""
        raise CheckpointError("it refers to data outside of the file")


def unpickle(file: BinaryIO, end: int) -> Any:
    """Read one pickle that fills `file` up to the byte `end`.

    Raises:
        CheckpointError: if it is damaged, goes on behind its end, or holds something else.
    """
    try:
        content = ArrayUnpickler(file).load()
    except CheckpointError:
        raise
    except EOFError as error:
        raise CheckpointError("it ends too early: the file is truncated; fetch it again") from error
    # A damaged pickle can raise almost anything, from inside numpy too.
    except Exception as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(f"it is damaged or truncated ({detail}); fetch it again") from error
    if file.tell() != end:
        raise CheckpointError("there is more data behind its end: the file is damaged")
    return content
