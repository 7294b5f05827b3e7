"""Type aliases for values that pass between stages, and conversion to plain data.

Point   a pytree of arrays: where we stand. For a formula a dict of numbers, `{"x": 4.0, "y": 3.0}`.
Tree    any pytree of arrays: a batch, the memory of a network, parameters.
Part    one named leaf of a point: `x`, `layers/0/weight`.
Table   whatever people have: a file's path, a mapping of columns, a Polars or pandas frame.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

Point: TypeAlias = Any
Tree: TypeAlias = Any
Columns: TypeAlias = Mapping[str, np.ndarray]
Plain: TypeAlias = Mapping[str, Any]


@runtime_checkable
class Frame(Protocol):
    """A frame of columns: Polars', pandas' or PyArrow's."""

    @property
    def columns(self) -> Any:
        """The columns, or their names."""
        ...


TableLike: TypeAlias = str | os.PathLike[str] | Mapping[str, Sequence[Any] | np.ndarray | Iterable[Any]] | Frame


def plain(value: Any) -> Any:
    """Return a value as JSON holds it: NumPy's as Python's, None for a number that is not finite, text for the rest.

    >>> plain({"rates": np.array([0.1, np.inf]), 2: (np.int64(1), True)})
    {'rates': [0.1, None], '2': [1, True]}
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return [plain(entry) for entry in value] if isinstance(value, Sequence) else str(value)
