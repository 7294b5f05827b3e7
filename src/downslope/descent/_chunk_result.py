"""The rows of one compiled chunk, truncated at the actual stopping step."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax
from downslope._types import Columns, Point
from downslope.descent._recipe import UNROLLED, Arguments, Chunk, LoopProgram, LoopState, Status
from downslope.trace import Outcome


@dataclass(frozen=True)
class ChunkResult:
    """The rows of one chunk, and where it ended.

    Args:
        columns: the record, an array a name, every row of which counts.
        like: a point of the same parts, for its shape.
        state: the state at the last row; None where the row says it all.
        step: the step of the last row.
        outcome: how the chunk ended; `Outcome.STEPS_USED` if only because it was full.
        bad_part: index of the part that was not finite, 0 for the value itself; else None.
        hessians: Hessian at the first and at the last row, shape (2, size, size), or None.
        preconditioner: the rule's scale at the last row, or None.
    """

    columns: Columns
    like: Point
    state: LoopState | None
    step: int
    outcome: Outcome
    bad_part: int | None
    hessians: np.ndarray | None
    preconditioner: Any

    @functools.cached_property
    def point(self) -> Point:
        """The point at the last row."""
        if self.state is not None:
            return self.state.point
        return _point(self.columns["coordinates"][-1], self.like)

    @property
    def value(self) -> float:
        """The objective's value at the last row."""
        return float(self.columns["value"][-1])

    @property
    def unfinished(self) -> bool:
        """Whether the chunk ended only because it was full."""
        return self.outcome is Outcome.STEPS_USED


def result_of(program: LoopProgram, chunk: Chunk, last: int, arguments: Arguments, like: Point) -> ChunkResult:
    """Return the rows of a chunk up to the first at which the descent should have stopped.

    Args:
        program: what made the chunk; run again for no step at all where the chunk ended past the stop.
        chunk: what the program returned.
        last: the step at which it should end at the latest.
        arguments: the arguments it was run with.
        like: a point of the objective.
    """
    status = Status(*np.asarray(chunk.status).tolist())
    columns = _columns(program, np.asarray(chunk.record)[:, : status.rows])
    if not program.ahead or (status.step <= last and status.finite and status.steep and status.moving):
        return _whole(chunk, columns, status, like)
    # The program ran a few steps past the stop: cut the rows there, and go back to that row's point.
    index, outcome, bad_part = _stop(columns, status, last, float(arguments.tolerance))
    if index == status.rows - 1 and outcome is not Outcome.NOT_FINITE:
        return _whole(chunk, columns, status, like)
    kept = {name: np.array(column[: index + 1]) for name, column in columns.items()}
    if "update_curvature" in kept:
        kept["update_curvature"][-1] = np.nan  # the step that leaves the last row is not taken
    step = status.step - (status.rows - 1 - index)
    end = _point(kept["coordinates"][-1], like)
    hessians = None
    if chunk.hessians is not None:
        # The Hessian belongs to where the program ended; a run of no steps from the true end measures it there.
        again = program.begin(end, np.int64(step), np.int64(0), arguments)
        hessians = np.stack([np.asarray(chunk.hessians)[0], np.asarray(again.hessians)[1]])
    return ChunkResult(kept, like, None, step, outcome, bad_part, hessians, chunk.preconditioner)


def _columns(program: LoopProgram, record: np.ndarray) -> dict[str, np.ndarray]:
    """Return the quantities of the record by name: shape (rows,), or (rows, width) for those of several numbers."""
    several = ("coordinates", "gradients")
    return {
        name: record[index : index + width].T if name in several or name.startswith("parts/") else record[index]
        for name, (index, width) in program.layout.items()
    }


def joined(results: list[ChunkResult], every: int) -> dict[str, np.ndarray]:
    """Return all rows as one record, with the step of each.

    The last row of a piece is the first of the next, which knows the step that leaves it; it is kept from there.
    """
    if len(results) == 1:
        recorded = dict(results[0].columns)
    else:
        ends = [-1] * (len(results) - 1) + [None]
        recorded = {
            name: np.concatenate([piece.columns[name][:end] for piece, end in zip(results, ends, strict=True)])
            for name in results[0].columns
        }
    step = np.arange(len(recorded["value"])) * every
    step[-1] = results[-1].step
    return {"step": step} | recorded


def _whole(chunk: Chunk, columns: Columns, status: Status, like: Point) -> ChunkResult:
    """Return a chunk that ended where it should."""
    if not status.finite:
        outcome = Outcome.NOT_FINITE
    elif not status.steep:
        outcome = Outcome.CONVERGED
    else:
        outcome = Outcome.STEPS_USED if status.moving else Outcome.STALLED
    hessians = None if chunk.hessians is None else np.asarray(chunk.hessians)
    bad_part = None if status.finite else status.bad_part
    return ChunkResult(columns, like, chunk.state, status.step, outcome, bad_part, hessians, chunk.preconditioner)


def _stop(columns: Columns, status: Status, last: int, tolerance: float) -> tuple[int, Outcome, int | None]:
    """Return the row to end at, why, and which part was not finite; only the rows since the last look can be it."""
    first = max(status.rows - 1 - UNROLLED, 0)
    for row in range(first, status.rows):
        value, gradient = columns["value"][row], columns["gradients"][row]
        finite = np.isfinite(np.concatenate([[value], gradient]))
        if not finite.all():
            return max(row - 1, 0), Outcome.NOT_FINITE, int(np.argmin(finite))
        with np.errstate(over="ignore"):
            squared = float(gradient @ gradient)
        if squared <= tolerance**2:
            return row, Outcome.CONVERGED, None
        if (
            row > first
            and not status.moving
            and np.array_equal(columns["coordinates"][row], columns["coordinates"][row - 1])
        ):
            return row, Outcome.STALLED, None
        if status.step - (status.rows - 1 - row) >= last:
            return row, Outcome.STEPS_USED, None
    return status.rows - 1, Outcome.STEPS_USED, None


def _point(row: np.ndarray, like: Any) -> Any:
    """Return the point whose numbers, leaf after leaf, are those of a row."""
    if _tree.is_flat(like) and len(like) == len(row):
        return dict(zip(sorted(like), row, strict=True))
    leaves, shape = jax().tree.flatten(like)
    ends = np.cumsum([leaf.size for leaf in leaves])[:-1]
    numbers = [
        np.reshape(piece, leaf.shape).astype(leaf.dtype)
        for piece, leaf in zip(np.split(row, ends), leaves, strict=True)
    ]
    return jax().tree.unflatten(shape, numbers)
