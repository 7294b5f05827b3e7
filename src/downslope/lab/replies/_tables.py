"""Tables: uploaded files and those that ship, and equations that may suit two of their columns."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import downslope as ds
from downslope._text import number
from downslope.lab._limits import LIMITS
from downslope.lab._messages import UploadedFile
from downslope.lab.replies._request import RequestError

SAMPLES = ("coffee.csv", "houses.csv")

_PREVIEW_ROWS = 5
_SHAPES = (
    ("a line", "{y} = {0}·{x} + {1}"),
    ("a parabola", "{y} = {0}·{x}² + {1}·{x} + {2}"),
    ("exponential, to a level", "{y} = {0} + {1}·e^(-{2}·{x})"),
    ("exponential", "{y} = {0}·e^({1}·{x})"),
    ("a power", "{y} = {0}·{x}^{1}"),
    ("a logarithm", "{y} = {0} + {1}·ln({x})"),
    ("logistic", "{y} = {0}/(1 + e^(-{1}·({x} - {2})))"),
    ("saturation", "{y} = {0}·{x}/({1} + {x})"),
    ("a bump", "{y} = {0} + {1}·e^(-(({x} - {2})/{3})²)"),
    ("a wave", "{y} = {0} + {1}·sin({2}·{x} + {3})"),
)
_LETTERS = ("a", "b", "c", "d", "k", "m", "p", "q")

Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Proposal:
    """An equation to choose.

    Args:
        title: the name of its curve.
        formula: its text.
    """

    title: str
    formula: str


def columns(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a table, its first rows, and equations that may suit two of its columns."""
    name, table = table_of(fields)
    numbers = [title for title, column in table.items() if column.dtype != object]
    if len(numbers) < 2:
        raise ds.DataError(f"{name} has {len(numbers)} columns of numbers; a fit needs two")
    y = _choice(fields.get("y"), numbers, numbers[-1])
    others = [title for title in numbers if title != y]
    x = _choice(fields.get("x"), others, others[0])
    return {
        "name": name,
        **preview_of(table),
        "numbers": numbers,
        "x": x,
        "y": y,
        "proposals": [{"title": proposal.title, "formula": proposal.formula} for proposal in proposals(x, y)],
    }


def samples(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the names of the tables that ship."""
    return {"samples": list(SAMPLES)}


def proposals(x: str, y: str) -> list[Proposal]:
    """Return equations of a column over another, as they are typed; none where a name cannot be typed.

    >>> proposals("size", "price")[0].formula
    'price = a·size + b'
    """
    letters = [letter for letter in _LETTERS if letter not in (x, y)]
    equations = [Proposal(title, shape.format(*letters, x=x, y=y)) for title, shape in _SHAPES]
    try:
        ds.equation(equations[0].formula, {x: [0.0], y: [0.0]})
    except ds.FormulaError:
        return []
    return equations


def preview_of(columns: Columns) -> dict[str, Any]:
    """Return the number of rows, the names of the columns, and the first rows as text."""
    rows = len(next(iter(columns.values())))
    cells = [[_cell(column[row]) for column in columns.values()] for row in range(min(_PREVIEW_ROWS, rows))]
    return {"rows": rows, "headings": list(columns), "cells": cells}


def table_of(fields: Mapping[str, Any]) -> tuple[str, Columns]:
    """Return the name and the columns of a request's table.

    Raises:
        DataError: for a table that cannot be used.
        RequestError: for a request without a table.
    """
    table = fields.get("table")
    if isinstance(table, UploadedFile):
        return table.name, _columns_of(table)
    if fields.get("sample") in SAMPLES:
        return fields["sample"], ds.read_table(fields["sample"])
    raise RequestError("The request has no table.")


# Each slide of a control sends the same table again; parsing it each time would take longer than the fit.
@functools.lru_cache(maxsize=4)
def _columns_of(table: UploadedFile) -> Columns:
    file = io.BytesIO(table.data)
    file.name = table.name
    columns = ds.read_table(file)
    rows = len(next(iter(columns.values())))
    if rows > LIMITS.table_rows or len(columns) > LIMITS.table_columns:
        raise ds.DataError(
            f"this table has {rows} rows and {len(columns)} columns; the lab takes up to {LIMITS.table_rows} and "
            f"{LIMITS.table_columns}",
            hint="in Python there is no such limit",
        )
    return columns


def _choice(name: Any, among: list[str], usual: str) -> str:
    return name if name in among else usual


def _cell(cell: Any) -> str:
    return str(cell) if isinstance(cell, str) or cell is None else number(float(cell)) if np.isfinite(cell) else "–"
