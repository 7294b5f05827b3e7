"""Tables: the files that visitors gave, and those that ship."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

import downslope as ds
from downslope._text import number
from downslope._types import Columns
from downslope.fitting._model import model_of
from downslope.lab._limits import LIMITS
from downslope.lab._messages import Table
from downslope.lab.replies._request import RequestError
from downslope.tables import read_table

# Equations that often suit a column over another.


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


@dataclass(frozen=True)
class Proposal:
    """An equation to choose.

    Args:
        title: what its curve is called.
        formula: its text.
    """

    title: str
    formula: str


def proposals(x: str, y: str) -> list[Proposal]:
    """Return equations of a column over another, as they are typed; none where a name cannot be typed.

    >>> proposals("size", "price")[0].formula
    'price = a·size + b'
    """
    letters = [letter for letter in _LETTERS if letter not in (x, y)]
    made = [Proposal(title, shape.format(*letters, x=x, y=y)) for title, shape in _SHAPES]
    try:
        model_of(made[0].formula, {x: np.zeros(1), y: np.zeros(1)}, None, ())
    except ds.FormulaError:
        return []
    return made


SAMPLES = ("coffee.csv", "houses.csv")
_PREVIEW = 5  # rows


def columns(told: dict[str, Any]) -> dict[str, Any]:
    """Return what is in a table, and equations that may suit two of its columns."""
    name, there = table_of(told)
    numbers = [title for title, column in there.items() if column.dtype != object]
    if len(numbers) < 2:
        raise ds.DataError(f"{name} has {len(numbers)} columns of numbers; a fit needs two")
    y = _chosen(told.get("y"), numbers, numbers[-1])
    x = _chosen(told.get("x"), [one for one in numbers if one != y], next(one for one in numbers if one != y))
    return {
        "name": name,
        **preview_of(there),
        "numbers": numbers,
        "x": x,
        "y": y,
        "proposals": [{"title": one.title, "formula": one.formula} for one in proposals(x, y)],
    }


def samples(told: dict[str, Any]) -> dict[str, Any]:
    """Return the tables that ship."""
    return {"samples": list(SAMPLES)}


def preview_of(columns: Columns) -> dict[str, Any]:
    """Return how many rows there are, the names of the columns, and the first rows as text."""
    rows = len(next(iter(columns.values())))
    cells = [[_cell(column[row]) for column in columns.values()] for row in range(min(_PREVIEW, rows))]
    return {"rows": rows, "headings": list(columns), "cells": cells}


def table_of(told: dict[str, Any]) -> tuple[str, Columns]:
    """Return the name and the columns of the table that a request goes with.

    Raises:
        DataError: for a table that cannot be used.
        RequestError: for a request without one.
    """
    given = told.get("table")
    if isinstance(given, Table):
        return given.name, _read(given)
    if told.get("sample") in SAMPLES:
        return told["sample"], read_table(told["sample"])
    raise RequestError("The request has no table.")


@functools.lru_cache(maxsize=4)
def _read(given: Table) -> Columns:
    file = io.BytesIO(given.data)
    file.name = given.name
    columns = read_table(file)
    rows = len(next(iter(columns.values())))
    if rows > LIMITS.table_rows or len(columns) > LIMITS.table_columns:
        raise ds.DataError(
            f"this table has {rows} rows and {len(columns)} columns; the lab takes up to {LIMITS.table_rows} and "
            f"{LIMITS.table_columns}",
            hint="in Python there is no such limit",
        )
    return columns


def _chosen(asked: Any, among: list[str], usual: str) -> str:
    return asked if asked in among else usual


def _cell(cell: Any) -> str:
    return str(cell) if isinstance(cell, str) or cell is None else number(float(cell)) if np.isfinite(cell) else "–"
