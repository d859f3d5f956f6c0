"""Settings that several commands and calls share, and their limits. Needs no Paddle."""

from __future__ import annotations

from spconvify.errors import ArgumentError

DEFAULT_ENGINE = "inference"
UNTRACED_ENGINE = "eager"  # runs what no other engine can trace
LARGEST_SEED = 2**32 - 1  # that NumPy and Paddle both take


def check_seed(seed: int) -> None:
    """Refuse a seed that random generators don't take.

    Raises:
        ArgumentError: names the seed and the largest one.
    """
    if seed > LARGEST_SEED:
        raise ArgumentError(f"seed {seed} is more than {LARGEST_SEED}")
