"""The columns of a trace that follow from others: norms, decreases and angles, by plain NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._types import Columns

if TYPE_CHECKING:
    import polars

    from downslope.trace._trace import Trace


def median_over_looks(rows: np.ndarray) -> np.ndarray:
    """Return the median over looks of what is finite, NaN where nothing is.

    Args:
        rows: shape (looks, …).

    Returns:
        Shape (…).
    """
    known = np.isfinite(rows)
    some = known.any(axis=0)
    found = np.full(rows.shape[1:], np.nan)
    found[some] = np.nanmedian(np.where(known, rows, np.nan)[:, some], axis=0)
    return found


def complete_columns(recorded: Columns, coordinates: np.ndarray | None, gradients: np.ndarray | None) -> Columns:
    """Return every column of a trace: those that were recorded, and those that follow from the coordinates.

    Args:
        recorded: arrays of one entry a row, or a single number where it never changes.
        coordinates: shape (rows, size), or None.
        gradients: shape (rows, size), or None.
    """
    step = np.asarray(recorded["step"])
    value = np.asarray(recorded["value"], dtype=float)
    columns = {"step": step, "value": value}
    every_step = len(step) > 0 and bool(np.all(np.diff(step) == 1))
    # One order in memory, since it decides the order of a sum: a trace that was read must give the last bit again.
    coordinates = None if coordinates is None else np.asfortranarray(coordinates)
    gradients = None if gradients is None else np.asfortranarray(gradients)
    with np.errstate(all="ignore"):
        if gradients is not None:
            columns["gradient_norm"] = np.sqrt(np.sum(gradients * gradients, axis=1))
        if coordinates is not None and every_step:
            updates = np.diff(coordinates, axis=0)
            columns["update_norm"] = _leaving(np.sqrt(np.sum(updates * updates, axis=1)))
            columns["cosine"] = _leaving(_cosines(updates))
        if every_step:
            columns["actual_decrease"] = _leaving(value[:-1] - value[1:])
        for name, column in recorded.items():
            columns.setdefault(name, np.broadcast_to(np.asarray(column, dtype=float), step.shape))
        if gradients is not None and coordinates is not None and every_step:
            columns["predicted_decrease"] = _leaving(_predicted(columns, gradients, np.diff(coordinates, axis=0)))
    return {name: columns.get(name, np.full(step.shape, np.nan)) for name in _ORDER}


def part_norms(trace: Trace) -> Columns:
    """Return the norms by part for a point of plain numbers, whose parts are its coordinates."""
    if trace.coordinates is None or trace.gradients is None:
        return {}
    owner = [trace.part_names.index(name.split("[")[0]) for name in trace.coordinate_names]
    updates = np.vstack([np.diff(trace.coordinates, axis=0), np.full((1, len(owner)), np.nan)])

    def by_part(rows: np.ndarray) -> np.ndarray:
        squares = np.zeros((len(rows), len(trace.part_names)))
        with np.errstate(over="ignore"):
            for place, part in enumerate(owner):
                squares[:, part] += rows[:, place] ** 2
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
    """Return the column with NaN for the last row, which no step leaves."""
    return np.append(column, np.nan)


def _cosines(updates: np.ndarray) -> np.ndarray:
    """Return the cosine between each update and the one before it; NaN for the first and for updates of zero length."""
    norms = np.sqrt(np.sum(updates * updates, axis=1))
    products = np.sum(updates[1:] * updates[:-1], axis=1)
    return np.concatenate([np.full(min(1, len(updates)), np.nan), products / (norms[1:] * norms[:-1])])


def _predicted(columns: Columns, gradients: np.ndarray, updates: np.ndarray) -> np.ndarray:
    """Return −gᵀu − uᵀHu/2 for each update u; for u = −αg that is α‖g‖² − α²gᵀHg/2.

    The curvature along u is the one along g where the two are parallel, else the recorded `update_curvature` (uᵀHu).
    """
    first_order = -np.sum(gradients[:-1] * updates, axis=1)
    if "update_curvature" in columns:
        return first_order - columns["update_curvature"][:-1] / 2
    curvature = columns.get("curvature", np.full(len(gradients), np.nan))[:-1]
    return first_order - curvature * np.sum(updates * updates, axis=1) / 2


# The tables of a trace as Polars frames: a number that is not there is null, never NaN.


_NORMS = ("parameter_norm", "gradient_norm", "update_norm")


def steps_frame(trace: Trace) -> polars.DataFrame:
    """Return the columns, the coordinates by name, and their gradients as `gradient(x)`."""
    table: dict[str, Any] = dict(trace.columns)
    if trace.coordinates is not None:
        table |= {name: trace.coordinates[:, i] for i, name in enumerate(trace.coordinate_names)}
    if trace.gradients is not None:
        table |= {f"gradient({name})": trace.gradients[:, i] for i, name in enumerate(trace.coordinate_names)}
    return _frame(table)


def parts_frame(trace: Trace) -> polars.DataFrame:
    """Return the norms by part, one row a step and part."""
    steps, norms = _norms_by_part(trace)
    return _long(steps, "part", trace.part_names, norms)


def layers_frame(trace: Trace) -> polars.DataFrame:
    """Return the norms by layer and what else was measured of the layers, one row a step and layer.

    A layer's norm is √(Σ‖part‖²) over the parts that it owns.
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
    """Return the metrics, one row a step at which any was measured."""
    return _frame(trace.metrics) if trace.metrics else _empty("step")


def _norms_by_part(trace: Trace) -> tuple[np.ndarray, Columns]:
    """Return the norms by part, each of shape (rows, parts), and the steps of their rows."""
    if not trace.part_columns:
        return trace.columns["step"], part_norms(trace)
    return trace.columns["step"] if trace.layer_steps is None else trace.layer_steps, trace.part_columns


def _over_layers(by_part: np.ndarray, trace: Trace) -> np.ndarray:
    """Return norms by layer, shape (rows, layers), from those by part."""
    norms = np.asarray(by_part, dtype=float)
    owned = [
        [part == layer or part.startswith(f"{layer}/") for part in trace.part_names] for layer in trace.layer_names
    ]
    with np.errstate(over="ignore"):
        squares = norms * norms
        return np.column_stack([np.sqrt(np.sum(squares[:, parts], axis=1)) for parts in owned])


def _long(steps: np.ndarray, kind: str, names: tuple[str, ...], columns: Columns) -> polars.DataFrame:
    """Return columns of shape (rows, names) as a frame of one row a step and name."""
    table: dict[str, Any] = {"step": np.repeat(steps, len(names)), kind: list(names) * len(steps)}
    table |= {name: np.asarray(column).reshape(-1) for name, column in columns.items()}
    return _frame(table)


def _frame(table: Mapping[str, Any]) -> polars.DataFrame:
    """Return a table as a frame, with null for NaN."""
    import polars

    return polars.DataFrame(dict(table)).with_columns(polars.selectors.float().fill_nan(None))


def _empty(*names: str) -> polars.DataFrame:
    """Return a frame of no rows whose columns have the types that they would have with rows."""
    import polars

    types: dict[str, Any] = {"step": polars.Int64, "layer": polars.String}
    return polars.DataFrame(schema={name: types.get(name, polars.Float64) for name in names})
