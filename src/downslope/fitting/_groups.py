"""Groups of rows with their own parameters: labels from columns, and the equation written out over all groups.

A parameter Vm of two groups becomes Vm[a]·a + Vm[b]·b, with a and b columns that are 1 in the rows of their group and 0
elsewhere. So a joint fit is an ordinary one, and whatever reads an ordinary fit reads it too.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from downslope._errors import DataError, PointError, SettingError, described, nearest
from downslope._types import Columns
from downslope.fitting._constraints import Constraints
from downslope.fitting._model import EquationModel
from downslope.formulas import Equation, Name, names_in, product_of, sum_of, with_trees
from downslope.tables import Table, TableColumn, is_missing, listed, texts_of


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of the rows of a table.

    Args:
        by: the columns that tell groups apart.
        labels: a name for each group, in order of appearance.
        index: the group of each row of the table, −1 where a cell is missing, shape (rows,).
        cells: the cell of each column of `by`, by group.
    """

    by: tuple[str, ...]
    labels: tuple[str, ...]
    index: np.ndarray
    cells: Mapping[str, tuple[Any, ...]]

    @functools.cached_property
    def counts(self) -> np.ndarray:
        """The number of rows of each group, shape (groups,)."""
        return np.bincount(self.index[self.index >= 0], minlength=len(self.labels))

    @functools.cached_property
    def rows(self) -> np.ndarray:
        """The numbers of each group's rows, −1 for padding, shape (longest, groups); each group must have a row."""
        # Groups that follow one another, as in most tables, need no sorting.
        in_order = bool(np.all(self.index[1:] >= self.index[:-1]))
        order = np.arange(len(self.index)) if in_order else np.argsort(self.index, kind="stable")
        position = np.arange(self.counts.max())[:, None]
        first = np.cumsum(self.counts) - self.counts
        numbers = order[np.minimum(position, self.counts - 1) + first]
        return np.where(position < self.counts, numbers, -1)


def group_columns(by: Any, table: Table) -> tuple[str, ...]:
    """Return the columns that tell groups apart, checked.

    Raises:
        SettingError: for something that is no name and no names.
        DataError: for a name that is no column.
    """
    names = _listed_names(by, table)
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise SettingError(f"by is a column's name, or several, not {described(by)}", hint='for example by="patient"')
    return tuple(table.name_of(name) for name in names)


def _listed_names(names: Any, known: Collection[str]) -> Any:
    """Return names that were typed as one text, `K,b`, as several, unless the text itself is known."""
    if not isinstance(names, str):
        return names
    return (names,) if names in known else tuple(name.strip() for name in names.split(","))


def with_merged_cells(table: Table, by: tuple[str, ...]) -> Table:
    """Return a table whose columns of groups have a cell in every row, where merged cells left it to the first one.

    A note says so. Cells are merged if each name stands once, with an empty cell below it.
    """
    merged = [column for column in table.columns if column.name in by and _has_merged_cells(column)]
    columns = [_filled_down(column) if column in merged else column for column in table.columns]
    notes = [f"{column.name}: an empty cell belongs to the group above it, as of merged cells" for column in merged]
    return replace(table, columns=tuple(columns), notes=(*table.notes, *notes))


def _has_merged_cells(column: TableColumn) -> bool:
    missing = column.missing
    if column.fault is not None or missing[0] or not missing[-1]:
        return False
    names = np.flatnonzero(~missing)
    return bool(missing[names + 1].all()) and len({*column.cells[names].tolist()}) == len(names)


def _filled_down(column: TableColumn) -> TableColumn:
    missing = column.missing
    return replace(column, cells=column.cells[np.maximum.accumulate(np.where(missing, 0, np.arange(len(missing))))])


def groups_of(table: Columns, by: tuple[str, ...]) -> Groups:
    """Return the groups of a table's rows, in order of appearance.

    >>> table = {"dose": np.array([3.0, 3.0, 10.0])}
    >>> groups_of(table, ("dose",)).labels
    ('3', '10')
    """
    labelled = {name: _labels(table, name) for name in by}
    columns = [_numbered(labelled[name]) for name in by]
    count = len(columns[0][0])
    missing = np.any([codes < 0 for codes, _ in columns], axis=0)
    combined = np.zeros(count, dtype=np.int64)
    for codes, kinds in columns:
        combined = combined * len(kinds) + np.maximum(codes, 0)
    if missing.any() or len(columns) > 1 or np.any(np.diff(combined) < 0):
        values, first, index = np.unique(combined[~missing], return_index=True, return_inverse=True)
    else:  # in order already, as tables by groups mostly are: nothing to sort
        index, values = combined, np.arange(len(columns[0][1]))
        first = np.searchsorted(combined, values)
    order = np.argsort(first)
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.arange(len(values))
    numbers = np.full(count, -1, dtype=np.int64)
    numbers[~missing] = rank[index]
    rows = np.flatnonzero(~missing)[first[order]]
    first_cells = {name: labelled[name][rows] for name in by}
    cells = {name: tuple(column.tolist()) for name, column in first_cells.items()}
    names = [texts_of(column) for column in first_cells.values()]
    labels = tuple(names[0]) if len(names) == 1 else tuple(",".join(label) for label in zip(*names, strict=True))
    return Groups(by, labels, numbers, cells)


def _labels(table: Columns, name: str) -> np.ndarray:
    """Return the cells of a column that tells groups apart: yes and no by these words."""
    if not isinstance(table, Table) or name not in table.kinds:  # month(date) has no column
        return table[name]
    cells = table[name]  # raises for a column that cannot be used
    column = table.column(name)
    return cells if column.words is None else column.labels


def _numbered(cells: np.ndarray) -> tuple[np.ndarray, list[Any]]:
    """Return the number of each cell among the different ones, −1 where it is missing, and the different cells."""
    if cells.dtype != object:
        if not np.isnan(cells[0]) and np.all(cells[1:] >= cells[:-1]):  # NaN is never in order
            new = np.concatenate([[True], cells[1:] > cells[:-1]])
            return np.cumsum(new) - 1, list(cells[new])
        kinds, codes = np.unique(cells, return_inverse=True)
        return np.where(np.isnan(cells), -1, codes), list(kinds)
    known: dict[Any, int] = {}
    codes = np.array([-1 if is_missing(cell) else known.setdefault(cell, len(known)) for cell in cells.tolist()])
    return codes, list(known) or [None]


def member(name: str, label: str) -> str:
    """Return the name of a parameter in a group."""
    return f"{name}[{label}]"


@dataclass(frozen=True, eq=False)
class Grouping:
    """How the parameters of a joint fit follow from those of its equation.

    Args:
        model: the equation as it was written.
        by: the columns that tell groups apart.
        labels: the groups.
        shared: the parameters that all groups have in common.
        indicators: the name of the column that is 1 in the rows of a group and 0 elsewhere, by group.
    """

    model: EquationModel
    by: tuple[str, ...]
    labels: tuple[str, ...]
    shared: tuple[str, ...]
    indicators: tuple[str, ...]

    def members(self, name: str) -> tuple[str, ...]:
        """Return the names that stand for a parameter of the equation: its own, if it is shared."""
        return (name,) if name in self.shared else tuple(member(name, label) for label in self.labels)

    @property
    def sources(self) -> dict[str, str]:
        """The parameter of the equation that each name stands for."""
        return {each: name for name in self.model.parameters for each in self.members(name)}

    def columns(self, groups: Groups) -> dict[str, np.ndarray]:
        """Return the columns of the indicators for rows in groups."""
        number = numbers_of(groups, self.by, self.labels)
        return {name: (number == index).astype(float) for index, name in enumerate(self.indicators)}

    def completed(self, table: Columns) -> Columns:
        """Return a table with the columns of the indicators.

        Raises:
            DataError: if a column that tells groups apart is missing, or for a group that the fit does not have.
        """
        return {**table, **self.columns(groups_of(table, checked_by(self.by, table)))}


def checked_by(by: tuple[str, ...], table: Columns) -> tuple[str, ...]:
    """Return the columns that tell groups apart, after checking that a table to predict from has them."""
    for name in by:
        if name not in table:
            raise DataError(f"a prediction needs the column {name}, which defines the groups")
    return by


def numbers_of(groups: Groups, by: tuple[str, ...], labels: Sequence[str]) -> np.ndarray:
    """Return the number of each row's group among the groups of a fit, shape (rows,).

    Raises:
        DataError: for a row in a group that the fit does not have, or in none.
    """
    known = {label: number for number, label in enumerate(labels)}
    for label in groups.labels:
        if label not in known:
            close = nearest(label, known)
            raise DataError(
                f"the fit has no group {label!r} of {', '.join(by)}",
                hint=f"did you mean {close}?" if close else f"it has {listed(labels)}",
            )
    if np.any(groups.index < 0):
        raise DataError(f"row {int(np.argmax(groups.index < 0)) + 1}: the cell of {', '.join(by)} is missing")
    return np.array([known[label] for label in groups.labels])[groups.index]


def shared_names(shared: Any) -> tuple[str, ...]:
    """Return the names of shared parameters as they were passed: one text, `K,b`, or several.

    Raises:
        SettingError: for something that is no name and no names.
    """
    if shared is None:
        return ()
    if isinstance(shared, str):
        return tuple(name.strip() for name in shared.split(",") if name.strip())
    names: tuple[Any, ...] = (None,)
    with contextlib.suppress(TypeError):
        names = tuple(shared)
    if not all(isinstance(name, str) for name in names):
        raise SettingError(
            f"shared is a parameter's name, or several, not {described(shared)}", hint='for example shared=("k",)'
        )
    return names


def checked_shared(names: tuple[str, ...], model: EquationModel) -> tuple[str, ...]:
    """Return the shared parameters, checked.

    Raises:
        SettingError: for a name that is no parameter.
    """
    for name in names:
        if name not in model.parameters:
            close = nearest(str(name), model.parameters)
            raise SettingError(
                f"{name!r} is shared, but {model.equation.read_as} has the parameters {', '.join(model.parameters)}",
                hint=f"did you mean {close}?" if close else None,
            )
    return names


def expanded(grouping: Grouping) -> EquationModel:
    """Return the equation over all groups: each parameter of their own is a sum over the groups."""
    model = grouping.model
    trees = {
        name: sum_of(
            [
                product_of([Name(each), Name(indicator)])
                for each, indicator in zip(grouping.members(name), grouping.indicators, strict=True)
            ]
        )
        for name in model.parameters
        if name not in grouping.shared
    }
    parameters = tuple(each for name in model.parameters for each in grouping.members(name))
    right = replace(
        model.equation.right,
        variables=parameters,
        body=with_trees(model.equation.right.body, trees),
        columns=(*model.equation.right.columns, *grouping.indicators),
    )
    equation = Equation(model.equation.left, right, model.equation.text, written=model.equation.right)
    return replace(
        model,
        equation=equation,
        columns=(*model.columns, *grouping.indicators),
        parameters=parameters,
        grouping=grouping,
    )


def plain_names(names: Sequence[str]) -> list[str]:
    """Return names of parameters without their groups.

    >>> plain_names(["Vm[treated]", "K"])
    ['Vm', 'K']
    """
    return [name.partition("[")[0] for name in names]


def apart(choice: Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a choice for all groups, by parameter (`Vm`), and that for single ones, by member (`Vm[treated]`)."""
    entries = dict(choice or {})
    single = {name: value for name, value in entries.items() if isinstance(name, str) and name.endswith("]")}
    return {name: value for name, value in entries.items() if name not in single}, single


def check_members(what: str, single: Mapping[str, Any], names: Sequence[str], labels: Sequence[str]) -> None:
    """Raise for a name such as `Vm[treated]` that stands for no parameter of a group.

    Raises:
        SettingError: with the nearest name.
    """
    known = [member(name, label) for name in names for label in labels] if single else []
    for name in single:
        if name not in known:
            close = nearest(name, known)
            raise SettingError(
                f"{name!r} is {what}, but there is no such parameter of a group",
                hint=f"did you mean {close}?" if close else None,
            )


def expanded_constraints(
    grouping: Grouping, limits: Constraints, bounds: Mapping[str, Any], fixed: Mapping[str, Any]
) -> Constraints:
    """Return the constraints of the equation over all groups.

    Args:
        grouping: the groups.
        limits: the constraints of the equation as it was written, which hold in each group.
        bounds: (low, high) of single groups' parameters.
        fixed: values of single groups' parameters.

    Raises:
        SettingError: for a shared parameter that is tied to one that each group has for itself.
    """
    own = [name for name in grouping.model.parameters if name not in grouping.shared]
    ties = []
    for name, tree in limits.ties:
        foreign = [other for other in names_in(tree) if other in own]
        if name in grouping.shared and foreign:
            raise SettingError(
                f"{name} is shared by all groups, but tied to {foreign[0]}, which each group has for itself",
                hint=f"share {foreign[0]} too",
            )
        for number, each in enumerate(grouping.members(name)):
            trees = {other: Name(grouping.members(other)[number]) for other in foreign}
            ties.append((each, with_trees(tree, trees)))
    held = {each: value for name, value in limits.fixed.items() for each in grouping.members(name)}
    held |= {name: float(value) for name, value in fixed.items()}
    free, low, high = [], [], []
    for name, lowest, highest in zip(limits.free, limits.low, limits.high, strict=True):
        for each in grouping.members(name):
            if each not in held:
                ends = bounds.get(each, (lowest, highest))
                free.append(each)
                low.append(-np.inf if ends[0] is None else float(ends[0]))
                high.append(np.inf if ends[1] is None else float(ends[1]))
    return Constraints(tuple(free), held, tuple(ties), np.array(low), np.array(high))


def starts_by_group(start: Mapping[str, Any] | None, free: Sequence[str], labels: Sequence[str]) -> np.ndarray | None:
    """Return a start of each group, shape (free, groups); None where none was given.

    Raises:
        PointError: if a free parameter of a group has none.
    """
    if start is None:
        return None
    plain, single = apart(start)
    check_members("a start", single, free, labels)
    rows, lacking = [], []
    for name in free:
        if not single and name in plain:  # the usual case, at no cost by group
            rows.append(np.full(len(labels), float(plain[name])))
            continue
        values = [single.get(member(name, label), plain.get(name)) for label in labels]
        absent = [member(name, label) for label, value in zip(labels, values, strict=True) if value is None]
        lacking += [name] if len(absent) == len(labels) else absent
        rows.append(np.array([np.nan if value is None else value for value in values], dtype=float))
    if lacking:
        raise PointError(f"the start lacks {listed(lacking)}", hint="give a number for all groups, or for each")
    return np.array(rows)
