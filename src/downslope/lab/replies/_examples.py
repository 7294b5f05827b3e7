"""Examples of the pages: worked examples and pitfalls of descents, and networks that train well or fail."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

import downslope as ds
from downslope._numbers import evenly_spread
from downslope._text import number
from downslope.lab._messages import LIMITS, UploadedFile
from downslope.lab.replies._request import RequestError, rounded


@dataclass(frozen=True)
class Example:
    """A formula with a start and a plan.

    Args:
        title: its name in the list.
        what: what it shows, in a sentence.
        formula: the text.
        start: the start by variable.
        rate: the learning rate, or None for a rate that suits the start.
        method: the name of the method.
        steps: the number of steps.
        view: low and high of each axis, or None for a view that fits the path.
    """

    title: str
    what: str
    formula: str
    start: dict[str, float]
    rate: float | None = 0.1
    method: str = "gradient descent"
    steps: int = 100
    view: tuple[float, ...] | None = None


EXAMPLES = (
    Example(
        "Finding the lowest point",
        "From 0 with α = 0.1 the steps shrink as the slope does.",
        "f(x) = x² - 4x + 5",
        {"x": 0.0},
        steps=20,
    ),
    Example(
        "A phone battery",
        "A straight line: its slope is −10 everywhere, and there is no lowest point.",
        "Battery(time) = 100 - 10×time",
        {"time": 0.0},
        steps=10,
    ),
    Example(
        "A coffee shop's profit",
        "The profit upside down: the slope is 0 at the best price, p = 5.",
        "Loss(p) = -(-20p² + 200p - 300)",
        {"p": 2.0},
        0.01,
    ),
    Example(
        "The perfect cookie",
        "Temperature and time at once; the valley is narrow, so that one rate suits both badly.",
        "Loss(T, t) = -(-0.01T² - 0.5t² + 3T + 10t)",
        {"T": 100.0, "t": 2.0},
        1.0,
    ),
    Example(
        "A hill in the fog",
        "The height upside down; the arrow −∇f is perpendicular to the lines of equal height.",
        "f(x, y) = -(100 - x² - 2y²)",
        {"x": 3.0, "y": 1.0},
    ),
    Example(
        "House prices",
        "The loss of a line through three houses; far too small a rate is what such numbers need.",
        "Loss(w) = ((100 - 50w)² + (200 - 100w)² + (300 - 150w)²)/3",
        {"w": 0.0},
        0.00001,
    ),
    Example(
        "A rate too large",
        "With α = 1 it jumps from 10 to −10 and back, for ever.",
        "f(x) = x²",
        {"x": 10.0},
        1.0,
        steps=20,
    ),
    Example(
        "A rate too small",
        "With α = 0.001 it is still at 1.4 after a thousand steps.",
        "f(x) = x²",
        {"x": 10.0},
        0.001,
        steps=1000,
    ),
    Example(
        "A rate just right",
        "With α = 0.1, each step covers a fifth of the distance.",
        "f(x) = x²",
        {"x": 10.0},
        0.1,
        steps=20,
    ),
    Example(
        "A local minimum",
        "From the right it ends in the higher valley; start at −1 to find the lower one.",
        "f(x) = x⁴ - 4x² + x",
        {"x": 2.0},
        0.02,
        view=(-2.5, 2.5),
    ),
    Example(
        "A saddle point",
        "It runs straight onto the saddle; move the start a little off the line.",
        "f(x, y) = x² - y²",
        {"x": 3.0, "y": 0.0},
    ),
    Example(
        "A vanishing gradient",
        "Far out the sigmoid is so flat that nothing moves.",
        "f(x) = 1/(1 + exp(-x))",
        {"x": 12.0},
        view=(-14.0, 14.0),
    ),
    Example(
        "An exploding gradient",
        "The slope grows with the cube of the distance, and one step too far is enough.",
        "f(x) = x⁴",
        {"x": 4.0},
        0.1,
    ),
    Example(
        "A narrow valley",
        "Rosenbrock's valley is quickly found and slowly followed; let other methods race.",
        "f(x, y) = (1 - x)² + 100(y - x²)²",
        {"x": -1.2, "y": 1.0},
        0.001,
        steps=1000,
        view=(-1.8, 1.8, -0.6, 1.8),
    ),
    Example(
        "Several valleys",
        "Where it ends depends on where it starts: drag the ring.",
        "f(x, y) = (x² + y - 11)² + (x + y² - 7)²",
        {"x": 0.0, "y": 0.0},
        0.01,
        view=(-6.0, 6.0, -6.0, 6.0),
    ),
)


def examples(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the examples of descents."""
    return {"examples": [asdict(example) for example in EXAMPLES]}


_USUAL: dict[str, Any] = {
    "sample": "circles",
    "hidden": [8, 8],
    "activation": "tanh",
    "initialisation": "auto",
    "normalisation": "none",
    "skip": False,
    "dropout": 0.0,
    "class_weights": None,
    "method": "adam",
    "rate": 0.01,
    "batch": 32,
    "steps": 800,
    "seed": 0,
    "more": None,
}
_ILL: dict[str, Any] = {"method": "gradient descent", "steps": 600}
PRESETS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("Circles", "Two hidden layers bend a line into a ring.", {}),
    ("Moons", "Two half circles that reach into each other.", {"sample": "moons"}),
    (
        "Spirals",
        "The hardest of the plane: wider layers, and more steps.",
        {"sample": "spirals", "hidden": [24, 24], "steps": 2000},
    ),
    ("XOR", "No line separates these, but six hidden units do.", {"sample": "xor", "hidden": [6]}),
    ("Three blobs", "Three classes, so three outputs.", {"sample": "blobs", "hidden": [6]}),
    (
        "Digits",
        "Images of 8 × 8 pixels, ten classes.",
        {"sample": "digits", "hidden": [64, 32], "activation": "relu", "steps": 1000},
    ),
    (
        "Vanishing gradients",
        "Twelve layers of sigmoids: nothing arrives at the first.",
        {"hidden": [8] * 12, "activation": "sigmoid", "rate": 0.001, "steps": 600},
    ),
    (
        "Exploding gradients",
        "Weights far too large for ten layers.",
        {**_ILL, "hidden": [8] * 10, "activation": "relu", "initialisation": "normal_3", "rate": 0.01},
    ),
    (
        "Dead units",
        "A step so large that relu passes nothing any more.",
        {
            **_ILL,
            "sample": "moons",
            "hidden": [16, 16],
            "activation": "relu",
            "initialisation": "normal_0.05",
            "rate": 8.0,
        },
    ),
    (
        "Rate too large",
        "The loss jumps about and does not settle.",
        {**_ILL, "sample": "moons", "hidden": [16, 16], "rate": 12.0},
    ),
    ("Rate too small", "Downhill, but hardly moving.", {**_ILL, "hidden": [16], "rate": 0.0001}),
    (
        "All weights zero",
        "Every unit learns the same as its neighbour.",
        {"sample": "xor", "hidden": [8], "initialisation": "constant_0", "rate": 0.01, "steps": 600},
    ),
)


def presets(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the example networks, each with all of its settings."""
    return {
        "presets": [{"title": title, "what": what, "settings": _USUAL | changes} for title, what, changes in PRESETS]
    }


# Tables: uploaded files and those that ship, and equations that may suit two of their columns.


SAMPLES = ("coffee.csv", "houses.csv")

_PREVIEW_ROWS = 5
_DRAWN = 300  # rows that are drawn while a fit is on its way
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
        title: the name of its curve.
        formula: its text.
    """

    title: str
    formula: str


def columns(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a table, its first rows, and equations that may suit two of its columns."""
    name, table = table_of(fields)
    numbers = [column.name for column in table.columns if column.kind != "text" and column.fault is None]
    if len(numbers) < 2:
        refused = next((column.fault for column in table.columns if column.fault is not None), None)
        if refused is not None:
            raise ds.DataError(refused[0], hint=refused[1])
        raise ds.DataError(f"{name} has {len(numbers)} columns of numbers; a fit needs two")
    y = _choice(fields.get("y"), numbers, numbers[-1])
    others = [title for title in numbers if title != y]
    x = _choice(fields.get("x"), others, others[0])
    return {
        "name": name,
        **preview_of(table),
        "numbers": numbers,
        "notes": list(table.notes_on([x, y])),
        "read": reading_of(table),
        "points": _points(table.column(x).cells, table.column(y).cells),
        "x": x,
        "y": y,
        "proposals": [
            {"title": proposal.title, "formula": proposal.formula}
            for proposal in proposals(table.column(x).typed_name, table.column(y).typed_name)
        ],
    }


def _points(x: np.ndarray, y: np.ndarray) -> dict[str, list[float | None]]:
    """Return two columns as the points of a picture, without the rows that lack one of them."""
    across, up = x.astype(float), y.astype(float)
    whole = np.flatnonzero(np.isfinite(across) & np.isfinite(up))
    rows = whole[evenly_spread(len(whole), _DRAWN)]
    return {"x": rounded(across[rows]), "y": rounded(up[rows])}


_SIGNS = {
    "comma": "commas",
    "semicolon": "semicolons",
    "tab": "tabs",
    "bar": "bars",
    "blanks": "blanks",
}
_SAID_ALREADY = (
    "separator",
    "the columns have no names",
    "blanks between",
    "decimal",
    "names in line ",
    "rows from line",
    "sheet",
)


def reading_of(table: ds.Table) -> dict[str, Any]:
    """Return how a file was read: in words, and as decisions; empty for a table without lines."""
    read = dict(table.read)
    is_laid_out = read.get("format") in ("text", "sheet")
    words = []
    if read.get("format") == "sheet":
        words.append(f"sheet {read['sheet']!r}")
    elif is_laid_out:
        separator = read["separator"]
        words.append(f"{_SIGNS.get(separator, repr(separator))} between the cells" if separator else "one column")
    if is_laid_out:
        words.append("decimal comma" if read.get("decimal") == "comma" else "decimal point")
        words.append(f"names in line {read['names']}" if read.get("names") else "no line with names")
        note = next(iter(table.notes), "").removeprefix(f"{table.source}: ").removesuffix(".")
        words += [piece for piece in note.split("; ") if piece and not piece.startswith(_SAID_ALREADY)]
    line = f"Read with {', '.join(words)}." if words else ""
    if "all_rows" in read:
        line += f" A sample of {table.rows} of its {read['all_rows']} rows is used here; Python uses all of them."
    return {
        "line": line,
        "format": read["format"] if is_laid_out else "",
        "separator": read.get("separator") or None,
        "decimal": read.get("decimal"),
        "names": read.get("names"),
        "sheet": read.get("sheet"),
        "sheets": list(read.get("sheets", ())),
    }


def samples(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the names of the tables that ship."""
    return {"samples": list(SAMPLES)}


def proposals(x: str, y: str) -> list[Proposal]:
    """Return equations of a column over another, both named as they are typed; none where a name cannot be typed.

    >>> proposals("size", "price")[0].formula
    'price = a·size + b'
    """
    letters = [letter for letter in _LETTERS if letter not in (x, y)]
    equations = [Proposal(title, shape.format(*letters, x=x, y=y)) for title, shape in _SHAPES]
    try:
        ds.equation(equations[0].formula, {x.strip("`"): [0.0], y.strip("`"): [0.0]})
    except ds.FormulaError:
        return []
    return equations


def preview_of(table: ds.Table) -> dict[str, Any]:
    """Return the number of rows, the names of the columns, and the first rows of the first columns as text."""
    first = table.columns[: LIMITS.preview_columns]
    cells = [[_cell_of(column, row) for column in first] for row in range(min(_PREVIEW_ROWS, table.rows))]
    all_rows = dict(table.read).get("all_rows")
    return {
        "rows": table.rows,
        "all_rows": all_rows,
        "headings": [column.name for column in table.columns],
        "cells": cells,
    }


def _cell_of(column: ds.TableColumn, row: int) -> str:
    """Return a cell as text: dates as dates."""
    if column.instants is not None:
        return str(column.instants[row].astype("datetime64[s]")).replace("T", " ").removesuffix(" 00:00:00")
    return _cell(column.cells[row])


def texts_of(fields: Mapping[str, Any], field: str) -> dict[str, str]:
    """Return the texts by name of a field: the units of columns, or how a file is read.

    Raises:
        RequestError: for anything else.
    """
    texts = fields.get(field) or {}
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise RequestError(f"{field} is a text for each name.")
    return texts


def table_of(fields: Mapping[str, Any]) -> tuple[str, ds.Table]:
    """Return the name and the columns of a request's table.

    Raises:
        DataError: for a table that cannot be used.
        RequestError: for a request without a table.
    """
    table = fields.get("table")
    if isinstance(table, UploadedFile):
        return table.name, _columns_of(table, tuple(sorted(texts_of(fields, "reading").items())))
    if fields.get("sample") in SAMPLES:
        return fields["sample"], ds.read_table(fields["sample"])
    if isinstance(sample := fields.get("sample"), str):
        raise RequestError(f"No table {sample[:40]!r} ships with the lab.", hint=f"There are {', '.join(SAMPLES)}.")
    raise RequestError("The request has no table.")


# Each slide of a control sends the same table again; parsing it each time would take longer than the fit.
@functools.lru_cache(maxsize=4)
def _columns_of(table: UploadedFile, reading: tuple[tuple[str, str], ...]) -> ds.Table:
    file = io.BytesIO(table.data)
    file.name = table.name
    columns = ds.read_table(file, **dict(reading))
    if len(columns) > LIMITS.table_columns:
        raise ds.DataError(
            f"this table has {len(columns)} columns; the lab takes up to {LIMITS.table_columns}",
            hint="save the columns that you need as a smaller file, or use Python, where there is no such limit",
        )
    return sampled(columns, LIMITS.table_rows)


def sampled(table: ds.Table, most: int) -> ds.Table:
    """Return a table with at most a given number of rows, evenly spread over a longer one.

    `read["all_rows"]` then holds how many there were.
    """
    if table.rows <= most:
        return table
    rows = evenly_spread(table.rows, most)

    def column(whole: ds.TableColumn) -> ds.TableColumn:
        instants = None if whole.instants is None else whole.instants[rows]
        return replace(whole, cells=whole.cells[rows], instants=instants)

    return replace(
        table,
        columns=tuple(map(column, table.columns)),
        read={"all_rows": table.rows, **table.read},
        lines=None if table.lines is None else table.lines[rows],
    )


def _choice(name: Any, among: list[str], usual: str) -> str:
    return name if name in among else usual


def _cell(cell: Any) -> str:
    return str(cell) if isinstance(cell, str) or cell is None else number(float(cell)) if np.isfinite(cell) else "–"
