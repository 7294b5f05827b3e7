"""The three states of a recorded number: finite, not finite, not measured.

Both of the last two are NaN in a column. A trace may say which cells were not measured: `not_measured` among its facts.
Where it does not, an evaluation that is NaN was measured and is not finite if another measurement of the same rows was
taken at that step, such as an accuracy; or if the rows of the other set were evaluated there, and it never comes back,
longer than any gap before. Infinity is always a measurement.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import numpy as np

from downslope.trace import Trace

_SETS = ("training", "validation")


class CellState(enum.IntEnum):
    """The state of a recorded number."""

    NOT_MEASURED = 0
    FINITE = 1
    NOT_FINITE = 2


def evaluated_states(trace: Trace, metric: str) -> np.ndarray:
    """Return the state of each cell of an evaluation, such as `validation_loss`, shape (evaluations,)."""
    column = _numbers(trace.metrics.get(metric, ()))
    states = np.where(np.isfinite(column), CellState.FINITE, CellState.NOT_MEASURED)
    states[np.isinf(column)] = CellState.NOT_FINITE
    unknown = np.isnan(column)
    for_sure = not_measured(trace, metric, trace.metrics.get("step", ()))
    if for_sure is not None:
        states[unknown & ~for_sure] = CellState.NOT_FINITE
        return states
    of, _, what = metric.partition("_")
    # A share of what is explained is NaN for targets that are all equal, and not because of the network.
    if of not in _SETS or (what != "loss" and not np.isfinite(column).any()):
        return states
    beside = _taken(trace.metrics, of, metric, len(column))
    lost = unknown & _taken(trace.metrics, next(name for name in _SETS if name != of), metric, len(column))
    states[(unknown & beside) | (lost & _after_the_end(unknown))] = CellState.NOT_FINITE
    return states


def stepped_states(trace: Trace, name: str) -> np.ndarray:
    """Return the state of each row of a recorded column, shape (rows,)."""
    if name not in trace.recorded:
        return np.full(len(trace), CellState.NOT_MEASURED)
    column = np.broadcast_to(_numbers(trace.recorded[name]), (len(trace),))
    states = np.where(np.isfinite(column), CellState.FINITE, CellState.NOT_FINITE)
    for_sure = not_measured(trace, name, trace.recorded["step"])
    if for_sure is not None:
        states[np.isnan(column) & for_sure] = CellState.NOT_MEASURED
    elif name != "value" and len(trace) and np.isnan(column).all() and np.ptp(_numbers(trace.recorded["value"])) > 0:
        # A loss that changes shows that the weights moved, which no gradient that is NaN makes them do.
        states[:] = CellState.NOT_MEASURED
    return states


def not_measured(trace: Trace, name: str, steps: object) -> np.ndarray | None:
    """Return which rows of a column the trace says were not measured; None where it says nothing of the column."""
    by_name = trace.facts.get("not_measured") or {}
    return np.isin(np.asarray(steps), by_name[name]) if name in by_name else None


def _numbers(column: object) -> np.ndarray:
    return np.asarray(column, dtype=float)


def _taken(metrics: Mapping[str, np.ndarray], of: str, but: str, rows: int) -> np.ndarray:
    """Return the rows in which some measurement of a set, other than one, is finite."""
    others = [_numbers(column) for name, column in metrics.items() if name != but and name.startswith(f"{of}_")]
    return np.any([np.isfinite(column) for column in others], axis=0) if others else np.zeros(rows, dtype=bool)


def _after_the_end(unknown: np.ndarray) -> np.ndarray:
    """Return the rows after the last known one, where they are more than were ever missing between two known ones."""
    known = np.flatnonzero(~unknown)
    last = int(known[-1]) if len(known) else -1
    # Rows before the first known one count as a gap, too.
    gap = int(np.max(np.diff(known, prepend=-1), initial=1)) - 1
    ended = np.arange(len(unknown)) > last
    return ended & (len(unknown) - 1 - last > gap)
