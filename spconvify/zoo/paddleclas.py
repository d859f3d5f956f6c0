"""The backbones of PaddleClas: ``--arch paddleclas:HRNet_W18_C``, if the package is installed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from spconvify.errors import ArgumentError
from spconvify.zoo.architecture import set_in_channels
from spconvify.zoo.catalogue import near

if TYPE_CHECKING:
    from paddle import nn

PREFIX = "paddleclas:"
_PACKAGE = "paddleclas"
_IN_CHANNELS = 3
_BACKBONES = f"{_PACKAGE}.ppcls.arch.backbone"
# Their __init__ import what only training and serving need: faiss, scikit-learn, OpenCV ...
_BARE = (_PACKAGE, f"{_PACKAGE}.ppcls", f"{_PACKAGE}.ppcls.arch", f"{_PACKAGE}.ppcls.utils")
_SIZES = {"384": 384, "448": 448, "256": 256, "InceptionV3": 299, "InceptionV4": 299, "Xception": 299}
_INSTALL = "pip install --no-deps paddleclas==2.6.0 && pip install tqdm requests pyyaml six"


@dataclass(frozen=True)
class PaddleClasArchitecture:
    """A backbone of PaddleClas, by its function's name with ``paddleclas:`` before it.

    Attributes:
        name: as ``--arch`` takes it.
        num_classes: width of its head.
        in_channels: channels of its input.
        ambiguous_with: other names that have the same parameters.
    """

    name: str
    num_classes: int = 1000
    in_channels: int = _IN_CHANNELS
    ambiguous_with: tuple[str, ...] = ()

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(1, C, H, W): 299 for Inception and Xception, what a name says, otherwise 224."""
        function = self.name[len(PREFIX) :]
        size = next((size for part, size in _SIZES.items() if part in function), 224)
        return (1, self.in_channels, size, size)

    def build(self, lazy: bool = False) -> nn.Layer:
        """Call the function; never lazily, since some backbones compute with their weights.

        Raises:
            ArgumentError: if PaddleClas isn't installed, or has no such backbone.
        """
        import paddle

        function = self.name[len(PREFIX) :]
        backbones = import_backbones(self.name)
        if not callable(getattr(backbones, function, None)):
            nearest = near(function, [name for name in vars(backbones) if name[0].isupper()])
            hint = f"did you mean {' or '.join(PREFIX + name for name in nearest)}?" if nearest else ""
            raise ArgumentError(
                f"PaddleClas has no backbone {function!r}; {hint or 'see its model zoo'}"
            )
        with paddle.utils.unique_name.guard():
            try:
                network = getattr(backbones, function)(class_num=self.num_classes)
            except Exception as error:
                raise ArgumentError(
                    f"architecture {self.name!r} can't be built with {self.num_classes} classes: "
                    f"{type(error).__name__}: {error}"
                ) from error
            set_in_channels(network, _IN_CHANNELS, self.in_channels)
        return network


def import_backbones(wanted: str) -> ModuleType:
    """PaddleClas's module of backbones, without the rest of it.

    Raises:
        ArgumentError: if PaddleClas, or what its backbones import, isn't installed.
    """
    if _BACKBONES in sys.modules:
        return sys.modules[_BACKBONES]
    spec = None if _PACKAGE in sys.modules else importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ArgumentError(f"architecture {wanted!r} needs PaddleClas: {_INSTALL}")
    root = Path(next(iter(spec.submodule_search_locations)))
    for name in _BARE:
        module = ModuleType(name)
        module.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = module
    try:
        backbones = importlib.import_module(_BACKBONES)
        # Without a logger of its own, a backbone's warning is an AttributeError.
        importlib.import_module(f"{_PACKAGE}.ppcls.utils.logger").init_logger(log_level="ERROR")
    except ImportError as error:
        raise ArgumentError(f"PaddleClas's backbones can't be imported: {error}; {_INSTALL}") from error
    finally:  # whoever imports the whole package later gets the whole package
        for name in _BARE:
            sys.modules.pop(name, None)
    return backbones
