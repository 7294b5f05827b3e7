"""The derived columns of a trace (norms, decreases, angles), and its tables as Polars frames.

Derived columns are computed by NumPy when they are first read, so recording costs the loop nothing. In frames a missing
number is null, never NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._types import Columns

if TYPE_CHECKING:
    import polars

    from downslope.trace._trace import Trace

_BLOCK = 1 << 16  # rows of a block: its temporary arrays fit in a cache


def median_over_looks(rows: np.ndarray) -> np.ndarray:
    """Return the median over looks of the finite entries; NaN where no entry is finite.

    Args:
        rows: shape (looks, …).

    Returns:
        Shape (…).
    """
    known = np.isfinite(rows)
    some = known.any(axis=0)
    medians = np.full(rows.shape[1:], np.nan)
    medians[some] = np.nanmedian(np.where(known, rows, np.nan)[:, some], axis=0)
    return medians


class DerivedColumns(Mapping[str, np.ndarray]):
    """All columns of a trace: the recorded ones, and those that follow from coordinates and gradients.

    Each is computed when it is first read. A trace of ten million steps would not fit in memory with all of them.

    Args:
        recorded: arrays with one entry per row, or a single number for a constant.
        coordinates: shape (rows, size), or None.
        gradients: shape (rows, size), or None.
    """

    def __init__(self, recorded: Columns, coordinates: np.ndarray | None, gradients: np.ndarray | None) -> None:
        self._recorded, self._coordinates, self._gradients = recorded, coordinates, gradients
        step = np.asarray(recorded["step"])
        self._known = {"step": step, "value": np.asarray(recorded["value"], dtype=float)}
        self._shape = step.shape
        self._every_step = len(step) > 0 and bool(np.all(step[1:] - step[:-1] == 1))

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._known:
            if name not in _ORDER:
                raise KeyError(name)
            with np.errstate(all="ignore"):
                self._known[name] = self._column(name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_ORDER)

    def __len__(self) -> int:
        return len(_ORDER)

    def _column(self, name: str) -> np.ndarray:
        """Return a column: computed where the trace holds what it follows from, else recorded, else NaN."""
        moves = self._coordinates is not None and self._every_step
        if name == "gradient_norm" and self._gradients is not None:
            return self._by_block(lambda _, gradients: np.sqrt(np.sum(gradients * gradients, axis=1)), 0)
        if name == "update_norm" and moves:
            return _leaving(self._by_block(lambda points, _: _lengths(np.diff(points, axis=0)), 1))
        if name == "cosine" and moves:
            cosines = self._by_block(lambda points, _: _cosines(np.diff(points, axis=0)), 2)
            return _leaving(np.concatenate([np.full(min(1, self._shape[0] - 1), np.nan), cosines]))
        if name == "actual_decrease" and self._every_step:
            return _leaving(self["value"][:-1] - self["value"][1:])
        if name == "predicted_decrease" and moves and self._gradients is not None:
            return _leaving(self._predicted())
        column = np.asarray(self._recorded.get(name, np.nan), dtype=float)
        return np.broadcast_to(column, self._shape)

    def _predicted(self) -> np.ndarray:
        """Return the decrease −gᵀu − uᵀHu/2 that the quadratic model predicts for each update u.

        For u = −αg it is α‖g‖² − α²gᵀHg/2, so the curvature along g is enough. Others record `update_curvature`, uᵀHu.
        """
        first_order = self._by_block(
            lambda points, gradients: -np.sum(gradients[:-1] * np.diff(points, axis=0), axis=1), 1
        )
        if "update_curvature" in self._recorded:
            curved = np.broadcast_to(np.asarray(self._recorded["update_curvature"], dtype=float), self._shape)
            return first_order - curved[:-1] / 2
        squares = self._by_block(lambda points, _: np.sum(np.diff(points, axis=0) ** 2, axis=1), 1)
        return first_order - self["curvature"][:-1] * squares / 2

    def _by_block(self, compute: Callable[[Any, Any], np.ndarray], overlap: int) -> np.ndarray:
        """Compute a column from coordinates and gradients, a block of rows at a time.

        Args:
            compute: takes coordinates and gradients, shape (n + overlap, size) each or None; returns shape (n,).
            overlap: the number of rows that a block shares with the next.
        """
        rows = max(self._shape[0] - overlap, 0)
        column = np.empty(rows)
        for first in range(0, rows, _BLOCK):
            last = min(first + _BLOCK, rows)
            # The order in memory decides the order of summation: a loaded trace must give the same last bit as the
            # original, so each block is laid out alike.
            blocks = (
                None if array is None else np.asfortranarray(array[first : last + overlap])
                for array in (self._coordinates, self._gradients)
            )
            column[first:last] = compute(*blocks)
        return column


def part_norms(trace: Trace) -> Columns:
    """Return the norms by part, shape (rows, parts) each, from the recorded coordinates and gradients."""
    if trace.coordinates is None or trace.gradients is None:
        return {}
    # By size, since the name of a part may hold brackets as well.
    owner = np.repeat(np.arange(len(trace.part_names)), [np.size(trace.start[part]) for part in trace.part_names])
    updates = np.vstack([np.diff(trace.coordinates, axis=0), np.full((1, len(owner)), np.nan)])

    def by_part(rows: np.ndarray) -> np.ndarray:
        squares = np.zeros((len(rows), len(trace.part_names)))
        with np.errstate(over="ignore"):
            for column, part in enumerate(owner):
                squares[:, part] += rows[:, column] ** 2
        return np.sqrt(squares)

    return {
        "parameter_norm": by_part(trace.coordinates),
        "gradient_norm": by_part(trace.gradients),
        "update_norm": by_part(updates),
    }


_ORDER = (
    "step",
    "value",
    "gradient_norm",
    "update_norm",
    "learning_rate",
    "cosine",
    "curvature",
    "predicted_decrease",
    "actual_decrease",
)


def _leaving(column: np.ndarray) -> np.ndarray:
    """Append NaN for the last row, which no step leaves."""
    return np.append(column, np.nan)


def _lengths(updates: np.ndarray) -> np.ndarray:
    """Return the norm of each update."""
    return np.sqrt(np.sum(updates * updates, axis=1))


def _cosines(updates: np.ndarray) -> np.ndarray:
    """Return the cosine between each update after the first and the one before; NaN for updates of length 0."""
    norms = _lengths(updates)
    products = np.sum(updates[1:] * updates[:-1], axis=1)
    return products / (norms[1:] * norms[:-1])


_NORMS = ("parameter_norm", "gradient_norm", "update_norm")


def steps_frame(trace: Trace) -> polars.DataFrame:
    """Return the columns, the coordinates by name, and their gradients as `gradient(x)`, one row per recorded step."""
    table: dict[str, Any] = dict(trace.columns)
    if trace.coordinates is not None:
        table |= {heading: trace.coordinates[:, i] for i, heading in enumerate(trace.coordinate_headings)}
    if trace.gradients is not None:
        table |= {f"gradient({name})": trace.gradients[:, i] for i, name in enumerate(trace.coordinate_names)}
    return _frame(table)


def coordinate_headings(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return headings for coordinates: `coordinate(value)` for one that has the name of another column."""
    taken = {*_ORDER, *(f"gradient({name})" for name in names)}
    headings, used = [], taken | set(names)
    for name in names:
        heading = name if name not in taken else f"coordinate({name})"
        while heading != name and heading in used:
            heading = f"coordinate({heading})"
        headings.append(heading)
        used.add(heading)
    return tuple(headings)


def parts_frame(trace: Trace) -> polars.DataFrame:
    """Return the norms by part, one row per step and part."""
    steps, norms = _norms_by_part(trace)
    return _long(steps, "part", trace.part_names, norms)


def layers_frame(trace: Trace) -> polars.DataFrame:
    """Return the norms by layer and the recorded layer columns, one row per step and layer.

    The norm of a layer is √(Σ‖part‖²) over its parts.
    """
    if not trace.layer_names:
        return _empty("step", "layer", *_NORMS, *trace.layer_columns)
    steps = trace.columns["step"] if trace.layer_steps is None else trace.layer_steps
    steps_of_parts, by_part = _norms_by_part(trace)
    if not np.array_equal(steps, steps_of_parts):
        by_part = {}
    unknown = np.full((len(steps), len(trace.layer_names)), np.nan)
    norms = {name: _over_layers(by_part[name], trace) if name in by_part else unknown for name in _NORMS}
    return _long(steps, "layer", trace.layer_names, norms | dict(trace.layer_columns))


def evaluations_frame(trace: Trace) -> polars.DataFrame:
    """Return the metrics, one row per evaluation."""
    return _frame(trace.metrics) if trace.metrics else _empty("step")


def _norms_by_part(trace: Trace) -> tuple[np.ndarray, Columns]:
    """Return the steps of the rows of norms by part, and the norms, shape (rows, parts) each."""
    if not trace.part_columns:
        return trace.columns["step"], part_norms(trace)
    return trace.columns["step"] if trace.layer_steps is None else trace.layer_steps, trace.part_columns


def _over_layers(by_part: np.ndarray, trace: Trace) -> np.ndarray:
    """Combine norms by part to norms by layer, shape (rows, layers)."""
    norms = np.asarray(by_part, dtype=float)
    owned = [
        [part == layer or part.startswith(f"{layer}/") for part in trace.part_names] for layer in trace.layer_names
    ]
    with np.errstate(over="ignore"):  # a diverged run overflows to ∞, which is what the table should say
        squares = norms * norms
        return np.column_stack([np.sqrt(np.sum(squares[:, parts], axis=1)) for parts in owned])


def _long(steps: np.ndarray, kind: str, names: tuple[str, ...], columns: Columns) -> polars.DataFrame:
    """Return columns of shape (rows, names) as a frame with one row per step and name."""
    table: dict[str, Any] = {"step": np.repeat(steps, len(names)), kind: list(names) * len(steps)}
    table |= {name: np.asarray(column).reshape(-1) for name, column in columns.items()}
    return _frame(table)


def _frame(table: Mapping[str, Any]) -> polars.DataFrame:
    """Return columns as a frame, with null for NaN."""
    import polars

    return polars.DataFrame(dict(table)).with_columns(polars.selectors.float().fill_nan(None))


def _empty(*names: str) -> polars.DataFrame:
    """Return an empty frame with the column types of a filled one."""
    import polars

    types: dict[str, Any] = {"step": polars.Int64, "layer": polars.String}
    return polars.DataFrame(schema={name: types.get(name, polars.Float64) for name in names})
