"""Levenberg–Marquardt for many groups of rows in parallel in NumPy, each group with its own parameters.

Each group is a lane: its rows are a column of arrays of shape (rows, lanes), short groups are padded with rows of
weight 0. With a few parameters and thousands of lanes, JᵀJ and its Cholesky factors are built entry by entry, each an
array over the lanes; that costs a few operations on long arrays, where a QR for each lane would be thousands of calls.
JᵀJ has half the digits of J, so lanes in which it is nearly singular go on with the QR of `_levenberg_marquardt`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from downslope._types import Columns
from downslope.fitting._levenberg_marquardt import many_in_numpy
from downslope.fitting._orthogonal import effective_weight, movable_model, settled_slopes
from downslope.fitting._problem import FitArguments, FitProblem, bend_of_loss, rows_of_loss, scores_of_loss
from downslope.formulas import ARRAYS, Formula, NumericFormula, linear_names, with_trees

_FIRST_DAMPING, _SMALLEST_DAMPING, _LARGEST_DAMPING = 1e-2, 1e-14, 1e30
_GROWTH = 16.0  # of the damping when a step fails; faster than for one fit, since the slowest lane decides
_STILL = 1e-14  # a relative step below it changes no digit that matters
_FLAT = 1e-12  # a predicted decrease, in squared errors of the parameters: at most 1e-6 of an error is left
_LEVEL = 1e-13  # of the squares: what sums of rounded squares may differ by
_NEARLY_SINGULAR = 1e-7  # a squared pivot of scaled JᵀJ: its 16 digits leave fewer than nine to the step
_BLOCK = 1 << 19  # numbers of a column at once: what a fit holds in memory
SEARCHING = 60  # steps of fits that only look for a start
_TRIES = 200  # steps by QR of the lanes that need them


@dataclass(frozen=True, eq=False)
class LaneData:
    """The rows of many groups, a column of each array for each group.

    Args:
        columns: the columns of the right side of the equation, each of shape (rows, lanes).
        measured: the left side, shape (rows, lanes).
        weight: the factor on each residual, 0 for padding, shape (rows, lanes).
        fixed: the fixed parameters, by name.
        loss_scale: as in `FitArguments`.
        deviations: of the columns that are measured with errors, each of shape (rows, lanes); None without any.
    """

    columns: Columns
    measured: np.ndarray
    weight: np.ndarray
    fixed: dict[str, Any]
    loss_scale: float
    deviations: Columns | None = None

    def lanes(self, chosen: np.ndarray) -> LaneData:
        """Return the data of some of the groups."""
        # Not array[:, chosen], whose result NumPy lays out lanes by rows.
        return LaneData(
            {name: np.take(column, chosen, axis=1) for name, column in self.columns.items()},
            np.take(self.measured, chosen, axis=1),
            np.take(self.weight, chosen, axis=1),
            self.fixed,
            self.loss_scale,
            self.deviations and {name: np.take(each, chosen, axis=1) for name, each in self.deviations.items()},
        )


def lane_data(arguments: FitArguments, index: np.ndarray) -> LaneData:
    """Return data by groups.

    Args:
        arguments: the data of all rows.
        index: the numbers of each group's rows, −1 for padding, shape (rows, lanes).
    """
    # Padding repeats a row of its own group: a model that is finite on the data is finite there.
    # Rows by lanes in memory, as sums run over the rows and parameters over the lanes: a third faster.
    rows = np.ascontiguousarray(np.where(index < 0, index[0], index))
    return LaneData(
        {name: np.asarray(column, float)[rows] for name, column in arguments.columns.items()},
        arguments.measured[rows],
        np.where(index < 0, 0.0, arguments.weight[rows]),
        dict(arguments.fixed),
        float(arguments.loss_scale),
        arguments.deviations and {name: np.asarray(each, float)[rows] for name, each in arguments.deviations.items()},
    )


@functools.lru_cache(maxsize=64)
def linear_parameters(problem: FitProblem) -> tuple[str, ...]:
    """Return the free parameters that a model without ties is linear in."""
    return () if problem.ties else linear_names(problem.right, problem.free)


def by_length(counts: np.ndarray) -> list[np.ndarray]:
    """Return the lanes in sets of similar length, so that padding never doubles the work.

    >>> [lanes.tolist() for lanes in by_length(np.array([20, 300, 17, 32]))]
    [[0, 2, 3], [1]]
    """
    power = np.ceil(np.log2(counts))
    return [np.flatnonzero(power == length) for length in np.unique(power)]


class Linearised(NamedTuple):
    """The sums that a step needs, at a point of each lane.

    Args:
        squares: half the sum of squares, shape (lanes,).
        gradient: Jᵀr, shape (free, lanes).
        normal: JᵀJ, shape (free, free, lanes).
    """

    squares: np.ndarray
    gradient: np.ndarray
    normal: np.ndarray


class LaneProblem:
    """The residuals of many groups and their derivatives.

    Args:
        problem: the structure of the fit of one group.
        data: the rows of the groups.
    """

    def __init__(self, problem: FitProblem, data: LaneData) -> None:
        self.problem, self.data = problem, data
        right = problem.right
        for name, tie in reversed(problem.ties):
            right = with_trees(right, {name: tie})
        known = {**data.columns, **{name: np.float64(value) for name, value in data.fixed.items()}}
        self._model = NumericFormula(Formula(None, problem.free, right, tuple(known)), ARRAYS, known)
        self._plain = (  # the usual case, a third faster
            problem.loss == "linear" and not data.deviations and bool(np.all(data.weight == 1))
        )
        self._movable = None
        if data.deviations:
            self._movable = movable_model(right, problem.free, known, data.columns, tuple(data.deviations))

    def predicted(self, free: np.ndarray) -> np.ndarray:
        """Return the predictions, shape (rows, lanes), at points of shape (free, lanes)."""
        with np.errstate(all="ignore"):
            return np.broadcast_to(self._model.value(list(free)), self.data.measured.shape)

    def predicted_with_slopes(self, free: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the predictions and their derivatives by each free parameter, each of shape (rows, lanes)."""
        shape = self.data.measured.shape
        with np.errstate(all="ignore"):
            value, slopes = self._model.value_and_slopes(list(free))
        return np.broadcast_to(value, shape), [np.broadcast_to(slope, shape) for slope in slopes]

    def rows(self, free: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the residuals, weighted and transformed by the loss, and the columns of their Jacobian."""
        if self._movable is not None:
            return self._orthogonal(free)
        predicted, slopes = self.predicted_with_slopes(free)
        with np.errstate(all="ignore"):
            if self._plain:
                return predicted - self.data.measured, slopes
            rows = rows_of_loss(self.problem.loss, predicted, self.data)
            known = scores_of_loss(self.problem.loss, predicted, self.data)
            factor = self.data.weight if known is None else self.data.weight * bend_of_loss(rows, known)
            return rows, [slope * factor for slope in slopes]

    def _orthogonal(self, free: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the orthogonal distances, signed, and the columns of their Jacobian; see `_orthogonal`."""
        data, shape = self.data, self.data.measured.shape
        assert self._movable is not None
        assert data.deviations is not None
        columns = np.stack([data.columns[name] for name in data.deviations])
        deviations = np.stack(list(data.deviations.values()))

        def shaped(value: Any) -> np.ndarray:
            return np.broadcast_to(value, shape)

        # Padding has a weight of 0 and is drawn by no measurement: its shifts are 0, and so are its rows.
        with np.errstate(all="ignore"):
            rows = data.measured, data.weight, deviations, columns
            best, slopes = settled_slopes(self._movable.value_and_slopes, list(free), shaped, *rows)
            factor = effective_weight(data.weight, deviations, best.slopes)
            distances = np.copysign(np.sqrt(best.squares), best.predicted - data.measured)
            return distances, [slope * factor for slope in slopes]

    def linearised(self, free: np.ndarray) -> Linearised:
        """Return the sums that a step needs."""
        rows, slopes = self.rows(free)
        with np.errstate(all="ignore"):
            gradient = np.array([_dot(slope, rows) for slope in slopes])
            return Linearised(_dot(rows, rows) / 2, gradient, normal_of(slopes))


def normal_of(slopes: Sequence[np.ndarray]) -> np.ndarray:
    """Return JᵀJ of each lane, shape (free, free, lanes), from the columns of J, each of shape (rows, lanes)."""
    count = len(slopes)
    normal = np.empty((count, count, slopes[0].shape[1]))
    for first in range(count):
        for second in range(first + 1):
            normal[first, second] = normal[second, first] = _dot(slopes[first], slopes[second])
    return normal


def _times(normal: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Return JᵀJ times a change, shape (free, lanes)."""
    return np.einsum("ijl,jl->il", normal, change)


def _dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the products summed over the rows, shape (lanes,)."""
    return np.einsum("rl,rl->l", first, second)


class LaneEnds(NamedTuple):
    """The ends of the fits of the lanes.

    Args:
        free: shape (free, lanes).
        squares: half the sums of squares, shape (lanes,).
        still: whether each converged, shape (lanes,).
    """

    free: np.ndarray
    squares: np.ndarray
    still: np.ndarray


def parts_of(lanes: int, rows: int) -> list[np.ndarray]:
    """Return the numbers of lanes in parts that are fitted at once: as much as memory should hold, and a unit of work.

    Args:
        lanes: how many.
        rows: of the longest.
    """
    block = max(1, _BLOCK // max(rows, 1))
    every = np.arange(lanes)
    return [every] if lanes <= 2 * block else np.array_split(every, -(-lanes // block))


def fitted_lanes(
    problem: FitProblem, data: LaneData, starts: np.ndarray, bounds: tuple[np.ndarray, np.ndarray], steps: int
) -> LaneEnds:
    """Fit every group from its start; there are no more than `parts_of` puts together.

    Args:
        problem: the structure of the fit of one group.
        data: the rows of the groups.
        starts: shape (free, lanes).
        bounds: lowest and highest values, each of shape (free, lanes).
        steps: the most steps of a lane to try; up to `SEARCHING`, as in a search for starts, nothing is refined by QR.
    """
    with np.errstate(all="ignore"):
        free, squares, still, poor = _by_normal_equations(problem, data, starts, bounds, steps)
        # What JᵀJ cannot resolve goes on from where it stands: a lane in a narrow valley, or one out of steps.
        again = np.flatnonzero(np.isfinite(squares) & (poor | ~still))
        if len(again) and steps > SEARCHING:
            ended = _by_qr(problem, data, free, bounds, again, min(steps, _TRIES))
            free[:, again], squares[again], still[again] = ended
    return LaneEnds(free, squares, still & np.isfinite(squares))


def _by_normal_equations(
    problem: FitProblem, data: LaneData, starts: np.ndarray, bounds: tuple[np.ndarray, np.ndarray], steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return points, half squares, which lanes converged, and in which JᵀJ was nearly singular."""
    count = starts.shape[1]
    ends = np.array(starts, dtype=float)
    ended, still, poor = np.full(count, np.nan), np.zeros(count, bool), np.zeros(count, bool)
    lanes, bounded = np.arange(count), bool(np.isfinite(bounds[0]).any() or np.isfinite(bounds[1]).any())
    low, high = bounds
    current = LaneProblem(problem, data)
    free, here = ends.copy(), current.linearised(ends)
    damping, growth = np.full(count, _FIRST_DAMPING), np.full(count, _GROWTH)
    scale = _lengths(here.normal)
    ended[:] = here.squares
    active = np.isfinite(here.squares)
    # The first step solves for the parameters that the model is linear in, alone: whatever start they have, they then
    # fit the others'. Without it a tenth of the groups wander off at first, and all wait for them.
    linear = () if bounded or data.deviations else linear_parameters(problem)
    nonlinear = np.array([[name not in linear] for name in problem.free])
    flat = _FLAT / max(1, len(data.measured) - len(problem.free))
    for taken in range(steps):
        if not active.any():
            break
        solves_linear = bool(linear) and not taken
        held = None
        if bounded:
            held = ((free <= low) & (here.gradient > 0)) | ((free >= high) & (here.gradient < 0))
        elif solves_linear:
            held = np.repeat(nonlinear, len(lanes), axis=1)
        change, pivots = _change(here, free, (low, high) if bounded else None, held, scale, damping)
        predicted = -_dot(change, here.gradient + _times(here.normal, change) / 2)
        poor[lanes] = np.where(active, pivots < _NEARLY_SINGULAR, poor[lanes])
        if not solves_linear:  # the linear ones may be at their best already
            small = np.all(np.abs(change) <= _STILL * (np.abs(free) + _STILL), axis=0)
            settled = active & (small | (np.abs(predicted) <= flat * here.squares))
            still[lanes] |= settled
            active = active & ~settled
        # Lanes that settled would be evaluated once more for a step that changes nothing: a tenth of the time.
        if 5 * np.count_nonzero(active) < 4 * len(lanes):
            if not active.any():
                break
            data, lanes = data.lanes(np.flatnonzero(active)), lanes[active]
            current, here = LaneProblem(problem, data), Linearised(*_chosen(active, *here))
            free, change, scale, low, high = _chosen(active, free, change, scale, low, high)
            predicted, damping, growth, active = _chosen(active, predicted, damping, growth, active)
        reached = free + change
        there = current.linearised(reached)
        # A step that changes nothing but rounding has a gain of any size, which must not decide the damping.
        gain = np.clip((here.squares - there.squares) / np.where(predicted > 0, predicted, 1.0), 0.0, 1.0)
        level = (there.squares <= here.squares * (1 + _LEVEL)) & (predicted <= 1e-9 * here.squares)
        finite = np.isfinite(there.squares) & np.isfinite(there.normal).all(axis=(0, 1))
        good = active & finite & ((there.squares < here.squares) | level)
        stuck = active & ~good & (damping >= _LARGEST_DAMPING)
        longer = np.maximum(scale, _lengths(there.normal))
        if good.all():  # mostly
            free, here, scale = reached, there, longer
        else:
            free, scale = np.where(good, reached, free), np.where(good, longer, scale)
            here = Linearised(*(np.where(good, new, old) for new, old in zip(there, here, strict=True)))
        shrink = np.maximum(1 / 3, 1 - (2 * gain - 1) ** 3)
        damping = np.where(good, np.maximum(damping * shrink, _SMALLEST_DAMPING), damping * growth)
        growth = np.where(good, _GROWTH, growth * 2)
        ends[:, lanes], ended[lanes] = free, here.squares
        still[lanes] |= stuck
        active = active & ~stuck
    return ends, ended, still, poor


def _change(
    here: Linearised,
    free: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray] | None,
    held: np.ndarray | None,
    scale: np.ndarray,
    damping: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the change of the parameters within their bounds, 0 where it is not finite, and the smallest pivots."""
    change, pivots = _step(here, here.gradient, held, scale, damping)
    if bounds is not None and held is not None:
        # As in `_levenberg_marquardt`: those that would leave go to their bound, the others are solved for again.
        low, high = bounds
        reached = free + change
        leaves = ((reached < low) | (reached > high)) & ~held
        partway = np.where(leaves, np.clip(reached, low, high) - free, 0.0)
        moved = here.gradient + _times(here.normal, partway)
        rest, _ = _step(here, moved, held | leaves, scale, damping)
        change = np.clip(free + np.where(leaves, partway, rest), low, high) - free
    return np.where(np.isfinite(change), change, 0.0), pivots


def _chosen(lanes: np.ndarray, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the chosen lanes of arrays whose last axis runs over the lanes."""
    return tuple(array[..., lanes] for array in arrays)


def _step(
    here: Linearised, gradient: np.ndarray, held: np.ndarray | None, scale: np.ndarray, damping: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the δ with (JᵀJ + μD²)δ = −Jᵀr, 0 for held parameters, and the smallest squared pivot of D⁻¹JᵀJD⁻¹."""
    scaled, right = here.normal / (scale[:, None] * scale), -gradient / scale
    if held is not None:
        scaled, right = np.where(held[:, None] | held, 0.0, scaled), np.where(held, 0.0, right)
    for index in range(len(scale)):
        scaled[index, index] += damping if held is None else damping + held[index]
    lower, pivots = cholesky(scaled)
    return substituted(lower, right) / scale, pivots


def _lengths(normal: np.ndarray) -> np.ndarray:
    """Return the lengths of the Jacobian's columns, 1 for a column of zeros, shape (free, lanes)."""
    lengths = np.sqrt(np.einsum("iil->il", normal))
    return np.where((lengths > 0) & np.isfinite(lengths), lengths, 1.0)


def cholesky(matrix: np.ndarray) -> tuple[list[list[Any]], np.ndarray]:
    """Return the rows of L with LLᵀ = matrix in each lane, and the smallest squared pivot, shape (lanes,).

    Args:
        matrix: shape (free, free, lanes).
    """
    lower: list[list[Any]] = []
    pivots = np.full(matrix.shape[-1], np.inf)
    for row in range(len(matrix)):
        entries: list[Any] = []
        for column in range(row + 1):
            above = entries if column == row else lower[column]
            rest = matrix[row, column]
            for k in range(column):
                rest = rest - entries[k] * above[k]
            if column < row:
                entries.append(rest / above[column])
            else:
                pivots = np.minimum(pivots, np.where(np.isnan(rest), -np.inf, rest))
                entries.append(np.sqrt(rest))
        lower.append(entries)
    return lower, pivots


def substituted(lower: Sequence[Sequence[Any]], right: np.ndarray) -> np.ndarray:
    """Return the solution of LLᵀx = right in each lane, shape (free, lanes)."""
    count = len(lower)
    forward: list[Any] = []
    for row in range(count):
        forward.append((right[row] - sum(lower[row][k] * forward[k] for k in range(row))) / lower[row][row])
    solved: list[Any] = [None] * count
    for row in reversed(range(count)):
        known = sum(lower[k][row] * solved[k] for k in range(row + 1, count))
        solved[row] = (forward[row] - known) / lower[row][row]
    return np.array(solved)


def _by_qr(
    problem: FitProblem,
    data: LaneData,
    free: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray],
    chosen: np.ndarray,
    steps: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points, half squares and whether they converged of some lanes, fitted by QR from where they stand."""
    lanes = LaneProblem(problem, data.lanes(chosen))

    def linearised(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows, slopes = lanes.rows(points.T)
        return rows.T, np.stack([slope.T for slope in slopes], axis=-1)

    low, high = bounds[0][:, chosen].T, bounds[1][:, chosen].T
    bounded = bool(np.isfinite(low).any() or np.isfinite(high).any())
    ends, squares, still = many_in_numpy(linearised, free[:, chosen].T, (low, high), bounded, steps)
    return ends.T, squares, still
