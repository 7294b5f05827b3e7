"""Fits by groups: jointly, with shared parameters, or thousands of groups in parallel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from downslope._errors import DataError, SettingError
from downslope._numbers import median
from downslope._text import listed
from downslope.executors import Crew
from downslope.fitting._constraints import Constraints, checked_start, constraints
from downslope.fitting._group_errors import group_errors
from downslope.fitting._group_starts import GroupedTask, fitted_groups
from downslope.fitting._grouped_fit import GroupedFit
from downslope.fitting._groups import (
    Grouping,
    Groups,
    apart,
    check_members,
    expanded,
    expanded_constraints,
    groups_of,
    member,
    starts_by_group,
)
from downslope.fitting._model import EquationModel
from downslope.fitting._rows import CompleteRows, rows_of
from downslope.tables import Table

_MOST_TOGETHER = 60  # free parameters of groups that share none: beyond, they are fitted side by side
_MOST_SHARED = 600  # free parameters of a joint fit, whose Jacobian is dense


def grouped_task(
    model: EquationModel, table: Table, by: tuple[str, ...], chosen: Mapping[str, Any], crew: Crew
) -> GroupedTask:
    """Return the task of a fit by groups, checked.

    Args:
        model: the equation.
        table: every column of the table.
        by: the columns that tell groups apart.
        chosen: the choices of the fit.
        crew: fits parts of many groups.

    Raises:
        DataError: for a column of groups that the equation uses, or where every row has a missing cell.
    """
    used = [name for name in by if name in model.columns]
    if used:
        raise DataError(f"{used[0]} defines the groups, so it cannot be in the equation")
    split = {name: apart(chosen[name]) for name in ("bounds", "fixed", "ties")}
    if split["ties"][1]:
        raise SettingError("a tie holds in all groups", hint='for example ties={"b": "2a"}')
    limits = constraints(model, split["fixed"][0], split["ties"][0], split["bounds"][0])
    rows = rows_of(model, table, chosen["sigma"], chosen["weights"], chosen["rows"], chosen["where"], chosen["sigma_x"])
    rows, groups = _in_groups(rows, groups_of(table, by))
    for what, name in (("bounded", "bounds"), ("fixed", "fixed")):
        check_members(what, split[name][1], limits.free, groups.labels)
    start = chosen["start"]
    checked_start(model, apart(start)[0])
    return GroupedTask(
        model,
        limits,
        rows,
        groups,
        split["bounds"][1],
        split["fixed"][1],
        start,
        chosen["loss"],
        1.0 if chosen["loss_scale"] is None else chosen["loss_scale"],
        chosen["seed"],
        crew,
    )


def _in_groups(rows: CompleteRows, groups: Groups) -> tuple[CompleteRows, Groups]:
    """Return the rows that are in a group, and their groups; a group without any such row is left out.

    Args:
        rows: the rows that take part.
        groups: the groups of all rows of the table.
    """
    index = groups.index[rows.numbers - 1]
    inside = index >= 0
    if not inside.any():
        raise DataError(f"every row has a missing cell in {listed(groups.by)}, so none is in a group")
    if not inside.all():
        rows = replace(
            rows,
            columns={name: column[inside] for name, column in rows.columns.items()},
            measured=rows.measured[inside],
            weight=rows.weight[inside],
            deviations=rows.deviations and {name: column[inside] for name, column in rows.deviations.items()},
            numbers=rows.numbers[inside],
            left_out=tuple(sorted({*rows.left_out, *map(int, rows.numbers[~inside])})),
        )
        index = index[inside]
    present = np.flatnonzero(np.bincount(index, minlength=len(groups.labels)))
    if len(present) == len(groups.labels):
        return replace(rows, aside_groups=groups.index[rows.aside_numbers - 1]), replace(groups, index=index)
    renamed = np.full(len(groups.labels) + 1, -1)  # the last for rows in no group
    renamed[present] = np.arange(len(present))
    rows = replace(rows, aside_groups=renamed[groups.index[rows.aside_numbers - 1]])
    return rows, replace(
        groups,
        labels=tuple(groups.labels[number] for number in present),
        index=renamed[index],
        cells={name: tuple(cells[number] for number in present) for name, cells in groups.cells.items()},
    )


def is_joint(task: GroupedTask, shared: tuple[str, ...]) -> bool:
    """Return whether the groups are fitted as one equation: where they share parameters, or are few.

    Raises:
        SettingError: for more parameters than a joint fit can have.
    """
    own = [name for name in task.limits.free if name not in shared]
    count = len(own) * len(task.groups.labels) + len(shared)
    if not own or not shared:
        return count <= _MOST_TOGETHER or not own or bool(task.fixed)
    if count > _MOST_SHARED:
        raise SettingError(
            f"{len(task.groups.labels)} groups that share {listed(shared)} have {count} parameters, "
            f"more than the {_MOST_SHARED} of a joint fit",
            hint="share nothing, fix the shared parameters, or fit fewer groups",
        )
    return True


class StartedFit(NamedTuple):
    """An equation, its rows and where its fit starts; groups that are fitted jointly are one equation.

    Args:
        model: the equation, over all groups if there are any.
        limits: its constraints.
        rows: the rows, with a column for each group.
        start: where to start, shape (free,), NaN for parameters that it lacks; None to search for one.
        moved: notes on values of the start that lay outside their bounds.
    """

    model: EquationModel
    limits: Constraints
    rows: CompleteRows
    start: np.ndarray | None
    moved: tuple[str, ...]


def joint(task: GroupedTask, shared: tuple[str, ...]) -> StartedFit:
    """Return the groups as one equation, with a start from fits of the single groups.

    Args:
        task: the groups.
        shared: the parameters that all of them have in common.
    """
    by = ",".join(task.groups.by)
    grouping = Grouping(
        task.model,
        task.groups.by,
        task.groups.labels,
        shared,
        tuple(f"[{by} = {label}]" for label in task.groups.labels),
    )
    rows = replace(task.rows, columns={**task.rows.columns, **grouping.columns(task.groups)})
    limits = expanded_constraints(grouping, task.limits, task.bounds, task.fixed)
    starts, notes = _starts(task)
    if starts is None:
        starts = _searched_joint(task, shared)
    by_member = {
        member(name, label): starts[row, column]
        for row, name in enumerate(task.limits.free)
        for column, label in enumerate(task.groups.labels)
    }
    by_member |= {name: float(median(starts[row])) for row, name in enumerate(task.limits.free) if name in shared}
    moved = () if task.start is None else limits.moved(by_member)
    start = np.clip(np.array([by_member[name] for name in limits.free]), limits.low, limits.high)
    return StartedFit(expanded(grouping), limits, rows, start, (*notes, *moved))


def _starts(task: GroupedTask) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return a start of each group, shape (free, groups), None without any, and notes on it.

    What the given start lacks in all groups is searched for in each, with the others held there.
    """
    free = task.limits.free
    plain, single = apart(task.start)
    values = {name: float(plain[name]) for name in free if name in plain}
    if not values and not single:
        return None, ()
    absent = [name for name in free if name not in values]
    if single or not absent:
        return starts_by_group(task.start, free, task.groups.labels), ()
    searched = fitted_groups(replace(task, limits=task.limits.holding(values), start=None), None).free
    by_name = dict(zip(absent, searched, strict=True))
    whole = [by_name.get(name, np.full(len(task.groups.labels), values.get(name, np.nan))) for name in free]
    return np.array(whole), (f"the start has no {listed(absent)}: searched for beside {listed(list(values))}",)


def _searched_joint(task: GroupedTask, shared: tuple[str, ...]) -> np.ndarray:
    """Return a start of each group: fitted alone, then again with the shared parameters at their medians."""
    ends = fitted_groups(task, None)
    common = [name for name in task.limits.free if name in shared]
    if not common or len(common) == len(task.limits.free):
        return ends.free
    rows = [task.limits.free.index(name) for name in common]
    medians = median(ends.free[rows][:, ends.still] if ends.still.any() else ends.free[rows])
    others = np.array([name not in shared for name in task.limits.free])
    held = replace(task, limits=task.limits.holding(dict(zip(common, map(float, medians), strict=True))))
    again = fitted_groups(held, ends.free[others])
    free = np.empty_like(ends.free)
    free[rows], free[others] = medians[:, None], again.free
    return free


def side_by_side(task: GroupedTask, confidence: float, absolute: bool, notes: tuple[str, ...]) -> GroupedFit:
    """Fit groups that share nothing, all at once.

    Args:
        task: the groups.
        confidence: level of the intervals.
        absolute: whether the weights are 1/σ with known σ.
        notes: how the equation was interpreted.
    """
    starts, more = _starts(task)
    ends = fitted_groups(task, starts)
    counts = task.groups.counts
    if np.max(counts) < len(task.limits.free):
        raise DataError(
            f"no group has the {len(task.limits.free)} rows that {', '.join(task.limits.free)} need",
            hint="share some of them",
        )
    low, high = task.ends_by_group
    errors = group_errors(task.problem, task.arguments, task.groups.rows, ends.free, (low, high), absolute)
    return GroupedFit(
        model=task.model,
        groups=task.groups,
        problem=task.problem,
        arguments=task.arguments,
        data=task.rows.columns,
        row_numbers=task.rows.numbers,
        left_out=task.rows.left_out,
        notes=(*notes, *task.rows.notes, *more),
        confidence=confidence,
        loss=task.loss,
        loss_scale=task.loss_scale,
        free_values=ends.free,
        converged=ends.still,
        errors=errors,
        aside=task.rows.aside,
        aside_groups=task.rows.aside_groups,
    )
