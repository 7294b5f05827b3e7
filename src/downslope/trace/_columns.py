"""The derived columns of a trace (norms, decreases, angles), and its tables as Polars frames.

Derived columns are computed by NumPy when they are first read, so recording costs the loop nothing. In frames a missing
number is null, never NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._types import Columns

if TYPE_CHECKING:
    import polars

    from downslope.trace._trace import Trace


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


def complete_columns(recorded: Columns, coordinates: np.ndarray | None, gradients: np.ndarray | None) -> Columns:
    """Return all columns of a trace: the recorded ones, and those that follow from coordinates and gradients.

    Args:
        recorded: arrays with one entry per row, or a single number for a constant.
        coordinates: shape (rows, size), or None.
        gradients: shape (rows, size), or None.
    """
    step = np.asarray(recorded["step"])
    value = np.asarray(recorded["value"], dtype=float)
    columns = {"step": step, "value": value}
    every_step = len(step) > 0 and bool(np.all(np.diff(step) == 1))
    # The order in memory decides the order of summation: a loaded trace must give the same last bit as the original.
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
    """Return the norms by part, shape (rows, parts) each, from the recorded coordinates and gradients."""
    if trace.coordinates is None or trace.gradients is None:
        return {}
    owner = [trace.part_names.index(name.split("[")[0]) for name in trace.coordinate_names]
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


def _cosines(updates: np.ndarray) -> np.ndarray:
    """Return the cosine between each update and the one before; NaN for the first and for updates of length 0."""
    norms = np.sqrt(np.sum(updates * updates, axis=1))
    products = np.sum(updates[1:] * updates[:-1], axis=1)
    return np.concatenate([np.full(min(1, len(updates)), np.nan), products / (norms[1:] * norms[:-1])])


def _predicted(columns: Columns, gradients: np.ndarray, updates: np.ndarray) -> np.ndarray:
    """Return the decrease −gᵀu − uᵀHu/2 that the quadratic model predicts for each update u.

    For u = −αg it is α‖g‖² − α²gᵀHg/2, so the curvature along g is enough. Others record `update_curvature`, uᵀHu.
    """
    first_order = -np.sum(gradients[:-1] * updates, axis=1)
    if "update_curvature" in columns:
        return first_order - columns["update_curvature"][:-1] / 2
    curvature = columns.get("curvature", np.full(len(gradients), np.nan))[:-1]
    return first_order - curvature * np.sum(updates * updates, axis=1) / 2


_NORMS = ("parameter_norm", "gradient_norm", "update_norm")


def steps_frame(trace: Trace) -> polars.DataFrame:
    """Return the columns, the coordinates by name, and their gradients as `gradient(x)`, one row per recorded step."""
    table: dict[str, Any] = dict(trace.columns)
    if trace.coordinates is not None:
        table |= {name: trace.coordinates[:, i] for i, name in enumerate(trace.coordinate_names)}
    if trace.gradients is not None:
        table |= {f"gradient({name})": trace.gradients[:, i] for i, name in enumerate(trace.coordinate_names)}
    return _frame(table)


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
