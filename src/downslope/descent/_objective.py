"""The objective: a differentiable scalar of a point, perhaps over data."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from downslope._errors import ObjectiveError
from downslope._types import Columns, Plain, Point
from downslope.formula import Formula, evaluate, formula, jax_functions


@dataclass(frozen=True, eq=False)
class Objective:
    """A differentiable scalar of a point.

    Args:
        function: the value of a point given the data, `function(point, data)`; JAX can trace it.
        name: how it is called in tables and pictures.
        read_as: how it was read: a formula in book notation, or the name of a callable.
        names: the coordinates' names in order, for a formula; None where any point goes.
        data: columns by name, handed to `function` as its second argument; empty if there are none.
        formula: the formula it came from, or None.
        units: units by name, the objective's own under `name`.
        precision: "float64" or "float32".
    """

    function: Callable[[Point, Columns], Any]
    name: str
    read_as: str
    names: tuple[str, ...] | None = None
    data: Columns = field(default_factory=dict)
    formula: Formula | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    precision: str = "float64"

    def __call__(self, point: Point) -> float:
        """Return the value at `point`, as a float."""
        from downslope._engine import double_precision

        with double_precision():
            return float(self.function(point, self.data))

    def describe(self) -> Plain:
        """Return what there is to say of it, as plain data."""
        return {
            "name": self.name,
            "read_as": self.read_as,
            "names": list(self.names) if self.names is not None else None,
            "columns": sorted(self.data),
            "units": dict(self.units),
            "precision": self.precision,
        }
