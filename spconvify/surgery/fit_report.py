"""What a fit gave: the error of every layer, the layers that it couldn't improve, and the agreement."""

from __future__ import annotations

from typing import Optional

from spconvify.evaluation.agreement import Agreement


class FitReport(dict[str, float]):
    """Relative error by layer, to be expected on other images.

    `copied` has the layers that keep the copied weights, each with the reason; `agreement` compares
    the outputs of both networks on images (None if there were none to compare them on).
    """

    def __init__(self) -> None:
        super().__init__()
        self.copied: dict[str, str] = {}
        self.agreement: Optional[Agreement] = None
