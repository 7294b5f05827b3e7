"""The search for the initial values of many groups that are fitted in parallel, and the fits from them.

A few groups are searched first. Where each of them is also reached from the ends of the others, these ends are starts
enough for all groups. Else there are other minima, as of a wave, and each group gets guesses of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from downslope._copies import fields_alone
from downslope._numbers import evenly_spread, median
from downslope.executors import Crew, Unit
from downslope.fitting._constraints import Constraints
from downslope.fitting._equivalent import as_written
from downslope.fitting._groups import Groups, member
from downslope.fitting._lanes import (
    SEARCHING,
    LaneEnds,
    by_length,
    fitted_lanes,
    lane_data,
    linear_parameters,
    parts_of,
)
from downslope.fitting._model import EquationModel
from downslope.fitting._problem import FitArguments, FitProblem
from downslope.fitting._rows import CompleteRows
from downslope.fitting._starts import drawn_guesses, rates_of

_QUICK_GROUPS, _QUICK_GUESSES, _QUICK_FITS = 4, 256, 8  # groups sampled, guesses and fits in each
_WITNESSES = 3  # fits of a sampled group that must reach its lowest squares for these guesses to do
_MOST_AGREE = 0.7  # share of fits of these groups from each other's ends: with fewer, each group is searched by itself
_EACH_GUESSES, _EACH_FITS = 512, 8  # guesses and fits in each group then
_LANES = 4096  # of guesses and groups at once
_LEVEL = 1e-6  # of the squares: ends nearer to each other are equally good
_SEEDS = 6  # ends of good groups from which the others are tried again
_POOR = 6  # standard deviations of its squares above the median of all groups: such a group is tried again
_STEPS = 500


@dataclass(frozen=True, eq=False)
class GroupedTask:
    """An equation over a table in groups, with its constraints.

    Args:
        model: the equation as it was written.
        limits: its constraints, which hold in each group.
        rows: the rows without missing cells.
        groups: the groups of these rows.
        bounds: bounds of single groups' parameters, by member.
        fixed: values of single groups' parameters, by member.
        start: a start by parameter or by member; None to search for all.
        loss: the name of the loss.
        loss_scale: the scale of a robust loss.
        seed: seed of the search.
        crew: fits parts of many groups.
    """

    model: EquationModel
    limits: Constraints
    rows: CompleteRows
    groups: Groups
    bounds: Mapping[str, Any]
    fixed: Mapping[str, Any]
    start: Mapping[str, float] | None
    loss: str
    loss_scale: float
    seed: int
    crew: Crew = field(default_factory=Crew, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**fields_alone(self), "crew": Crew()}  # a worker has nobody to share with

    @functools.cached_property
    def problem(self) -> FitProblem:
        """The structure of the fit of one group."""
        limits = self.limits
        return FitProblem(self.model.equation.right.body, self.model.parameters, limits.free, limits.ties, self.loss)

    @functools.cached_property
    def arguments(self) -> FitArguments:
        """The data of all groups."""
        return FitArguments(
            columns={name: self.rows.columns[name] for name in self.model.equation.right.columns},
            measured=self.rows.measured,
            weight=self.rows.weight,
            fixed={name: np.float64(value) for name, value in self.limits.fixed.items()},
            loss_scale=np.float64(self.loss_scale),
            deviations=self.rows.deviations,
        )

    @property
    def ends_by_group(self) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest value of each free parameter in each group, each of shape (free, groups)."""
        count = len(self.groups.labels)
        low, high = (np.repeat(ends[:, None], count, axis=1) for ends in self.limits.bounds)
        for row, name in enumerate(self.limits.free):
            for column, label in enumerate(self.groups.labels if self.bounds else ()):
                pair = self.bounds.get(member(name, label))
                if pair is not None:
                    low[row, column] = -np.inf if pair[0] is None else pair[0]
                    high[row, column] = np.inf if pair[1] is None else pair[1]
        return low, high


def fitted_groups(task: GroupedTask, starts: np.ndarray | None) -> LaneEnds:
    """Fit every group, from a start or from searched ones."""
    if starts is not None:
        low, high = task.ends_by_group
        return _fitted_from(task, np.clip(starts, low, high))
    if task.rows.deviations:
        # As if columns had no errors first: from there on, every row has its nearest point of the curve within reach.
        exact = replace(task, rows=replace(task.rows, deviations=None))
        return _tried_again(task, _fitted_from(task, fitted_groups(exact, None).free))
    problem, bounds = task.problem, task.ends_by_group
    count = len(task.groups.labels)
    linear = linear_parameters(problem)
    if len(linear) == len(problem.free):
        return _fitted_from(task, np.clip(np.zeros((len(linear), count)), *bounds))
    candidates = _quick_candidates(task)
    if candidates is not None:
        return _tried_again(task, _fitted_from(task, _nearest(task, candidates)))
    return _tried_again(task, _fitted_from(task, _searched_in_each(task)))


def _quick_candidates(task: GroupedTask) -> np.ndarray | None:
    """Return ends of fits of a few groups from the best of some guesses, shape (free, candidates).

    None unless in each of these groups several guesses, and most ends of the others, reach the same lowest squares.
    """
    problem, bounds, sampled = task.problem, task.limits.bounds, _sampled(task, _QUICK_GROUPS)
    inside = np.isin(task.groups.index, sampled)
    pooled = task.arguments.rows(np.flatnonzero(inside))
    random = np.random.default_rng(task.seed)
    guesses = drawn_guesses(task.model, problem, pooled, bounds, random)[:_QUICK_GUESSES].T
    lanes = np.repeat(sampled, guesses.shape[1])
    free, squares = _with_linear(task, lanes, np.tile(guesses, len(sampled)))
    order = np.argsort(np.where(np.isfinite(squares), squares, np.inf).reshape(len(sampled), -1), axis=1)
    best = (order[:, :_QUICK_FITS] + np.arange(len(sampled))[:, None] * guesses.shape[1]).ravel()
    ends = _reached(task, np.clip(free[:, best], *(end[:, None] for end in bounds)), lanes[best])
    left = np.where(np.isfinite(ends.squares) & ends.still, ends.squares, np.inf).reshape(len(sampled), -1)
    lowest = left.min(axis=1, keepdims=True)
    witnesses = np.sum(left <= lowest * (1 + _LEVEL), axis=1)
    if not np.isfinite(lowest).all() or witnesses.min() < _WITNESSES:
        return None
    chosen = np.argmin(left, axis=1) + np.arange(len(sampled)) * left.shape[1]
    # Each of these groups must be reached from the others' ends too, as all groups will be.
    crossed = _reached(task, np.tile(ends.free[:, chosen], len(sampled)), np.repeat(sampled, len(sampled)))
    reached = crossed.squares.reshape(len(sampled), -1) <= lowest * (1 + _LEVEL)
    if np.mean(reached) < _MOST_AGREE:
        return None
    return np.column_stack([_conventional(task, ends.free[:, lane], int(lanes[best[lane]])) for lane in chosen])


def _searched_in_each(task: GroupedTask) -> np.ndarray:
    """Return the best end of each group, from the best of many guesses in that group, shape (free, groups)."""
    random, count = np.random.default_rng(task.seed), len(task.groups.labels)
    guesses = drawn_guesses(task.model, task.problem, task.arguments, task.limits.bounds, random)[:_EACH_GUESSES]
    every = np.arange(count)
    points, squares = [], []
    for some in np.array_split(guesses, -(-len(guesses) * count // _LANES)):
        point, left = _with_linear(task, np.tile(every, len(some)), np.repeat(some.T, count, axis=1))
        points.append(point.T.reshape(len(some), count, -1).transpose(0, 2, 1))
        squares.append(np.where(np.isfinite(left), left, np.inf).reshape(len(some), count))
    order = np.argsort(np.concatenate(squares), axis=0)[:_EACH_FITS]
    points = np.concatenate(points)
    ended = [_reached(task, points[rank, :, every].T) for rank in order]
    free, squares = np.array([ends.free for ends in ended]), np.array([ends.squares for ends in ended])
    squares = np.where(np.isfinite(squares), squares, np.inf)
    # On evenly spaced rows a fast wave can equal a slow one: of equally good ends the slowest is taken.
    level = squares <= squares.min(axis=0) * (1 + _LEVEL)
    rates = np.array([rates_of(task.model, task.problem, task.arguments, points.T) for points in free])
    taken = np.argmin(np.where(level, rates, np.inf), axis=0)
    ends = free[taken, :, every]
    return np.column_stack([_conventional(task, end, number) for number, end in enumerate(ends)])


def _sampled(task: GroupedTask, count: int) -> np.ndarray:
    """Return some groups that are not shorter than most."""
    counts = task.groups.counts
    able = np.flatnonzero(counts >= median(counts))
    return able[evenly_spread(len(able), count)]


def _with_linear(task: GroupedTask, chosen: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return points of some groups with the parameters that the model is linear in solved for, and half the squares."""
    ends = _fitted_from(task, free, chosen, 1)
    return ends.free, ends.squares


def _nearest(task: GroupedTask, candidates: np.ndarray) -> np.ndarray:
    """Return for each group the candidate with the lowest squares, shape (free, groups)."""
    count = len(task.groups.labels)
    free, squares = None, None
    for candidate in candidates.T:
        point, left = _with_linear(task, np.arange(count), np.repeat(candidate[:, None], count, axis=1))
        left = np.where(np.isfinite(left), left, np.inf)
        if free is None or squares is None:
            free, squares = point, left
        else:
            free, squares = np.where(left < squares, point, free), np.minimum(squares, left)
    assert free is not None
    return free


def _conventional(task: GroupedTask, end: np.ndarray, number: int) -> np.ndarray:
    """Return an end in the conventional signs and order of its parameters, so that all groups begin alike."""
    if not (task.limits.none and task.arguments.columns and np.isfinite(end).all()):
        return end
    rows = np.flatnonzero(task.groups.index == number)
    values = dict(zip(task.problem.free, map(float, end), strict=True))
    rewritten = as_written(task.model, values, task.arguments.rows(rows).columns)(values)
    return np.array([rewritten[name] for name in task.problem.free])


def _tried_again(task: GroupedTask, ends: LaneEnds) -> LaneEnds:
    """Fit groups that ended badly again, from where good ones ended."""
    counts = task.groups.counts
    freedom = np.maximum(counts - len(task.problem.free), 1)
    spread = ends.squares / freedom
    with np.errstate(all="ignore"):
        poor = ~ends.still | ~(spread <= (1 + _POOR * np.sqrt(2 / freedom)) * median(spread[np.isfinite(spread)]))
    good = np.flatnonzero(~poor)
    if not poor.any() or not len(good):
        return ends
    chosen = good[evenly_spread(len(good), _SEEDS)]
    index = np.flatnonzero(poor)
    for number in chosen:
        starts = np.repeat(ends.free[:, number : number + 1], len(index), axis=1)
        tried = _reached(task, starts, index)
        before = LaneEnds(ends.free[:, index], ends.squares[index], ends.still[index])
        after = _better(before, tried)
        ends.free[:, index], ends.squares[index], ends.still[index] = after
    refined = _fitted_from(task, ends.free[:, index], index)
    ends.free[:, index], ends.squares[index], ends.still[index] = refined
    return ends


def _better(first: LaneEnds, second: LaneEnds) -> LaneEnds:
    """Return the better end of each lane: the lower squares; of equal ones the first that converged."""
    lower = second.squares < first.squares * (1 - 1e-9)
    level = (second.squares <= first.squares * (1 + 1e-9)) & second.still & ~first.still
    take = (lower | level | ~np.isfinite(first.squares)) & np.isfinite(second.squares)
    return LaneEnds(*(np.where(take, new, old) for old, new in zip(first, second, strict=True)))


def _reached(task: GroupedTask, starts: np.ndarray, chosen: np.ndarray | None = None) -> LaneEnds:
    """Fit groups as `_fitted_from` does, in as many steps as a search for starts takes."""
    return _fitted_from(task, starts, chosen, SEARCHING)


def _fitted_from(
    task: GroupedTask, starts: np.ndarray, chosen: np.ndarray | None = None, steps: int = _STEPS
) -> LaneEnds:
    """Fit groups, those of similar length together, so that padding never doubles the work.

    Args:
        task: the groups.
        starts: shape (free, chosen groups).
        chosen: which groups; None for all.
        steps: the most steps to try.
    """
    chosen = np.arange(len(task.groups.labels)) if chosen is None else chosen
    counts = np.sum(task.groups.rows[:, chosen] >= 0, axis=0)
    free, squares = np.array(starts, dtype=float), np.full(len(chosen), np.nan)
    still = np.zeros(len(chosen), bool)
    parts = []
    for lanes in by_length(counts):
        rows = int(counts[lanes].max())
        parts += [(lanes[part], rows) for part in parts_of(len(lanes), rows)]
    units = [Unit(_fitted_part, task, (chosen[lanes], rows, free[:, lanes], steps)) for lanes, rows in parts]
    for number, ended in task.crew.each(units):
        lanes, _ = parts[number]
        free[:, lanes], squares[lanes], still[lanes] = ended
    return LaneEnds(free, squares, still)


def _fitted_part(task: GroupedTask, groups: np.ndarray, rows: int, starts: np.ndarray, steps: int) -> LaneEnds:
    """Fit some groups, of so many rows each at most, from their starts."""
    low, high = task.ends_by_group
    data = lane_data(task.arguments, task.groups.rows[:rows, groups])
    return fitted_lanes(task.problem, data, starts, (low[:, groups], high[:, groups]), steps)
