"""Names for the shapes that pass between stages.

Point   a pytree of arrays: where we stand. For a formula a dict of numbers, `{"x": 4.0, "y": 3.0}`.
Part    one named leaf of a point: `x`, `layers/0/weight`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

Point: TypeAlias = Any
Columns: TypeAlias = Mapping[str, np.ndarray]
Plain: TypeAlias = Mapping[str, Any]
