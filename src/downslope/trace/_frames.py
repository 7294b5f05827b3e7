"""The tables of a trace as Polars frames: a number that is not there is null, never NaN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._types import Columns
from downslope.trace._columns import part_norms

if TYPE_CHECKING:
    import polars

    from downslope.trace._trace import Trace

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
