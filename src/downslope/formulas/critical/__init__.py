"""Critical points: where a gradient is zero or does not exist, proved by ball arithmetic.

The proofs are imported on first use, since a descent needs no more than `surface`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from downslope.formulas.critical._surface import is_within_borders, lengths_within_borders, overflows, surface

if TYPE_CHECKING:
    from downslope.formulas.critical._points import CriticalPoint, CriticalPoints, critical_points

__all__ = [
    "CriticalPoint",
    "CriticalPoints",
    "critical_points",
    "is_within_borders",
    "lengths_within_borders",
    "overflows",
    "surface",
]


def __getattr__(name: str) -> Any:
    """Import the critical points on first use."""
    if name not in __all__:
        raise AttributeError(f"module 'downslope.formulas.critical' has no attribute {name!r}")
    return getattr(importlib.import_module("downslope.formulas.critical._points"), name)
