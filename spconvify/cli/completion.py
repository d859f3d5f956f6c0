"""What the shell offers for an option's value: the names in the registries, when Tab is pressed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable


def _starting(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    return lambda incomplete: [name for name in names() if name.startswith(incomplete)]


def _architectures() -> Iterable[str]:
    from spconvify.zoo import names

    return names()


def _engines() -> Iterable[str]:
    from spconvify.engines import registry

    return [*registry.names(), "all"]


def _exporting_engines() -> Iterable[str]:
    from spconvify.engines import registry

    return registry.exporting()


def _formats() -> Iterable[str]:
    from spconvify.report import FORMATS

    return FORMATS


def _fusions() -> Iterable[str]:
    from spconvify.operators.spconv.settings import FUSIONS

    return FUSIONS


def _inits() -> Iterable[str]:
    from spconvify.operators.inits import names

    return names()


def _normalizations() -> Iterable[str]:
    from spconvify.data.normalizations import NORMALIZATIONS

    return NORMALIZATIONS


architectures, engines, formats = _starting(_architectures), _starting(_engines), _starting(_formats)
exporting_engines = _starting(_exporting_engines)
fusions, inits = _starting(_fusions), _starting(_inits)
normalizations = _starting(_normalizations)
