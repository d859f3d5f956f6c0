"""What an engine's process runs a network on: one array, or several by the names of the inputs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from spconvify.files.scratch import NO_ROOM

if TYPE_CHECKING:  # NumPy takes its time, and the registry of engines is asked before anything is run
    import numpy as np

    from spconvify.network.inputs import Inputs

Shapes = Union[Sequence[int], "Inputs"]  # (N, C, H, W), or what says more
Values = Union["np.ndarray", Mapping[str, "np.ndarray"]]
_HEADERS = 1 << 16  # bytes that an .npz has beside the numbers, at most


def save_values(values: Values, folder: Path) -> str:
    """Write them into a file in `folder`, for `read_values`; its path."""
    import numpy as np

    if isinstance(values, Mapping):  # not by keyword: an input may be called "file"
        path = (folder / "input.npz").absolute()
        save_arrays(path, values.values(), names=np.array(list(values)))
    else:
        path = (folder / "input.npy").absolute()
        np.save(path, values)
    return str(path)


def save_arrays(path: Path, arrays: Iterable[np.ndarray], **named: np.ndarray) -> None:
    """Write an .npz that is whole, or not there: on a full disk, or where the process is killed.

    Raises:
        OSError: if it can't be written.
    """
    import numpy as np

    arrays, part = list(arrays), path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        _reserve(file.fileno(), sum(array.nbytes for array in (*arrays, *named.values())))
        whole: Any = named  # NumPy's stubs take the names for settings
        np.savez(file, *arrays, **whole)
        file.truncate()
    os.replace(part, path)


def _reserve(file: int, size: int) -> None:
    """Meet a full disk before a ZipFile is open: one that fails prints a traceback at its end."""
    try:
        os.posix_fallocate(file, 0, size + _HEADERS)
    except AttributeError:  # macOS, Windows
        return
    except OSError as error:
        if error.errno in NO_ROOM:
            raise


def read_values(path: str) -> Values:
    """What `save_values` has written."""
    import numpy as np

    found = np.load(path)
    if isinstance(found, np.ndarray):
        return found
    with found:
        return {str(name): found[f"arr_{index}"] for index, name in enumerate(found["names"])}


def by_name(values: Values, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The array of every input that an engine knows: what nothing uses may have been left out."""
    if isinstance(values, Mapping):
        return {name: values[name] for name in names}
    return {names[0]: values}


def shapes_of(values: Values) -> list[tuple[int, ...]] | dict[str, tuple[int, ...]]:
    """Of each input by name; a list of the only one's where it has no name."""
    if isinstance(values, Mapping):
        return {name: array.shape for name, array in values.items()}
    return [values.shape]


def batch_of(values: Values) -> int:
    """N of the first array."""
    return len(next(iter(values.values())) if isinstance(values, Mapping) else values)


def described(inputs: Shapes) -> Any:
    """A shape, or every tensor's dtype and shape by name of `Inputs`: in JSON's words.

    What may be of any height and width has here its usual ones; a batch of any size stays -1.
    """
    if isinstance(inputs, Sequence):
        return list(inputs)
    return {
        name: [tensor.dtype or "float32", *tensor.shape[:1], *tensor.sizes[1:]]
        for name, tensor in inputs.tensors.items()
    }


def random_feeds(description: Any, dynamic: int) -> Values:
    """Random numbers of the shapes that are `described`; axes of any size are as large as `dynamic`."""
    from spconvify.network.random_values import random_values

    def sizes(shape: Sequence[int]) -> list[int]:
        return [size if size > 0 else dynamic for size in shape]

    if isinstance(description, Mapping):
        return {
            name: random_values(sizes(shape), dtype, [0, index])
            for index, (name, (dtype, *shape)) in enumerate(description.items())
        }
    return random_values(sizes(description))
