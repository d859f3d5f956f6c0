"""Which convolutions globs over their names choose, and a clear word where a glob matches none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.surgery.sites import Site, find_sites


def chosen_sites(
    model: nn.Layer,
    include: Iterable[str] | str | None = None,
    exclude: Iterable[str] | str | None = None,
) -> set[str] | None:
    """Names of the convolutions that globs choose, as for `plan`; None without any.

    Raises:
        ArgumentError: for a glob that matches no convolution, or an `include` without any.
    """
    if include is None and exclude is None:
        return None
    sites = find_sites(model)
    included, excluded = checked_globs(sites, include, exclude)
    return {site.name for site in sites if not left_out(site, included, excluded)}


def checked_globs(
    sites: Sequence[Site], include: Iterable[str] | str | None, exclude: Iterable[str] | str | None
) -> tuple[list[str], list[str]]:
    """Both as lists, once each of their globs is known to match a site.

    Raises:
        ArgumentError: for a glob that matches none, or an `include` without any.
    """
    included, excluded = globs_of(include, "include"), globs_of(exclude, "exclude")
    if include is not None and not included:
        raise ArgumentError("include holds no glob, so nothing would be converted; None converts all")
    check_globs(sites, {"include": included, "exclude": excluded})
    return included, excluded


def globs_of(globs: Iterable[str] | str | None, argument: str) -> list[str]:
    """One glob, several, or none, as a list; `argument` is what a message calls them.

    Raises:
        ArgumentError: for what is no text.
    """
    if globs is None:
        return []
    found = [globs] if isinstance(globs, str) or not isinstance(globs, Iterable) else list(globs)
    for glob in found:
        if not isinstance(glob, str):
            raise ArgumentError(f"{argument}: {glob!r} is no glob; give layers' names, like 'layer1.*'")
    return found


def _matches(site: Site, glob: str) -> bool:
    return any(fnmatchcase(name, glob) for name in (site.name, *site.aliases))


def check_globs(sites: Sequence[Site], globs_by_option: Mapping[str, list[str]]) -> None:
    """Refuse globs that match no site.

    Raises:
        ArgumentError: names the option, the glob, and some sites that there are.
    """
    for option, globs in globs_by_option.items():
        for glob in globs:
            if not any(_matches(site, glob) for site in sites):
                some = ", ".join(repr(site.name) for site in sites[:3]) or "none"
                raise ArgumentError(
                    f"{option} {glob!r} matches no convolution of this network; it has {some}"
                    + (f" and {len(sites) - 3} more" if len(sites) > 3 else "")
                    + " (see `spconvify inspect`)"
                )


def left_out(site: Site, included: list[str], excluded: list[str]) -> str:
    """Why globs leave a site out; empty if they don't."""
    if included and not any(_matches(site, glob) for glob in included):
        return "not included"
    return "excluded" if any(_matches(site, glob) for glob in excluded) else ""


def ratio_for(site: Site, ratio: float, ratios: Mapping[str, float]) -> float:
    """The ratio of the last glob that matches a site; `ratio` if none does."""
    for glob, own in ratios.items():
        if _matches(site, glob):
            ratio = own
    return ratio
