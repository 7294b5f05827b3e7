"""A quantity: one number of a trace, and which way a remedy is to move it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Quantity:
    """A number of a trace that a remedy is to move.

    Args:
        words: what it is.
        wanted: "lower", "higher", or "nearer to 1" (by its logarithm).
        of: what computes it from the evidence; None or NaN where it is not known.
        needs: what a training must look at for it: "layers", "curvature", or "" for neither.
    """

    words: str
    wanted: str
    of: Callable[[Any], float | None]
    needs: str = ""
