"""What the keys and shapes of a converted checkpoint say of its SPConvs. Needs no Paddle."""

from __future__ import annotations

from dataclasses import dataclass

from spconvify.errors import CheckpointError
from spconvify.operators.recognised import Shapes, join
from spconvify.operators.spconv.settings import SPConvSettings

_WEIGHTS = ("gwc.weight", "pwc.weight", "conv1x1.weight")
_NORMS = tuple(
    f"{bn}.{key}" for bn in ("bn1", "bn2") for key in ("weight", "bias", "_mean", "_variance")
)
_BIAS, _CHANNELS = "conv1x1.bias", "channels"


@dataclass(frozen=True)
class SPConvKeys:
    """The settings of one SPConv that follow from its parameters; stride and dilation don't.

    Attributes:
        in_channels: C; out_channels: L.
        representative: how many of the C are representative.
        groups: groups of the 3x3 convolution.
        fusion: "gap" if it has the two BatchNorms, otherwise "sum".
        bias: whether `conv1x1` has one.
        channels: whether the input channels are permuted.
    """

    in_channels: int
    out_channels: int
    representative: int
    groups: int
    fusion: str
    bias: bool
    channels: bool

    @property
    def keys(self) -> frozenset[str]:
        """Its keys, without the name of the site."""
        optional = [*([_BIAS] if self.bias else []), *([_CHANNELS] if self.channels else [])]
        return frozenset([*_WEIGHTS, *optional, *(_NORMS if self.fusion == "gap" else [])])

    @property
    def settings(self) -> SPConvSettings:
        """What the layer was made with; the ratio is the effective one."""
        ratio = self.representative / self.in_channels
        return SPConvSettings(ratio, self.groups, self.fusion, self.bias, self.channels)

    @property
    def permutations(self) -> frozenset[str]:
        """The order of the input channels."""
        return frozenset({_CHANNELS} if self.channels else ())


def spconv_sites(shapes: Shapes) -> dict[str, SPConvKeys]:
    """Every SPConv in a state dict by the name of its site; "" is the root itself.

    Args:
        shapes: structured name -> shape of every parameter and buffer.

    Raises:
        CheckpointError: if the keys of a site are incomplete, or their shapes don't fit each other.
    """
    return {site: _read(site, shapes) for site in _site_names(shapes)}


def _site_names(shapes: Shapes) -> list[str]:
    """Sites in the order of the keys: two of the three weights, as any network may have one so named."""
    seen: dict[str, int] = {}
    for key in shapes:
        for weight in _WEIGHTS:
            if key == weight or key.endswith(f".{weight}"):
                site = key[: -len(weight) - 1]
                seen[site] = seen.get(site, 0) + 1
    return [site for site, weights in seen.items() if weights > 1]


def _read(site: str, shapes: Shapes) -> SPConvKeys:
    own = {key: tuple(shapes[join(site, key)]) for key in _possible() if join(site, key) in shapes}
    norms = [key for key in _NORMS if key in own]
    for key in (*_WEIGHTS, *(_NORMS if norms else ())):
        if key not in own:
            raise _damaged(site, f"{join(site, key)!r} is missing")
    gwc, pwc, conv1x1 = (own[key] for key in _WEIGHTS)
    if [len(gwc), len(pwc), len(conv1x1)] != [4, 4, 4] or 0 in gwc + pwc + conv1x1:
        raise _damaged(site, f"weights of shape {gwc}, {pwc} and {conv1x1} aren't those of convolutions")
    out_channels, representative, uncertain = gwc[0], pwc[1], conv1x1[1]
    in_channels = representative + uncertain
    wanted = {
        "gwc.weight": (out_channels, gwc[1], 3, 3),
        "pwc.weight": (out_channels, representative, 1, 1),
        "conv1x1.weight": (out_channels, uncertain, 1, 1),
        _CHANNELS: (in_channels,),
    }
    for key, shape in own.items():
        expected = wanted.get(key, (out_channels,))
        if shape != expected:
            raise _damaged(
                site, f"{join(site, key)!r} has shape {shape}, and {expected} would fit the others"
            )
    groups, rest = divmod(representative, gwc[1])
    if rest or out_channels % groups:
        raise _damaged(
            site,
            f"{representative} representative and {out_channels} output channels don't fit groups of "
            f"{gwc[1]} channels",
        )
    return SPConvKeys(
        in_channels,
        out_channels,
        representative,
        groups,
        "gap" if norms else "sum",
        _BIAS in own,
        _CHANNELS in own,
    )


def _possible() -> tuple[str, ...]:
    return (*_WEIGHTS, *_NORMS, _BIAS, _CHANNELS)


def _damaged(site: str, what: str) -> CheckpointError:
    where = repr(site) if site else "the root"
    return CheckpointError(f"SPConv at {where}: {what}; is the checkpoint complete?")
