"""Names for the shapes that pass between stages.

Point   a pytree of arrays: where we stand. For a formula a dict of numbers, `{"x": 4.0, "y": 3.0}`.
Part    one named leaf of a point: `x`, `layers/0/weight`.
Table   whatever people have: a file's path, a mapping of columns, a Polars or pandas frame.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

Point: TypeAlias = Any
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
