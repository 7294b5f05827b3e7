"""The position of each row of a log in its run, and the boundaries between runs in one file.

A log may hold several runs: sessions that were appended, folds, a run that went on from an earlier step. There its
count of steps goes back. Only the last one is judged: its beginning is what its end is compared with.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from downslope.watching.logs._log import Log, LogColumn
from downslope.watching.logs._names import is_epoch, is_step, step_rank

_OF_CALLS = "_step"  # W&B counts with it how often something was logged
_MOSTLY = 0.9  # of the rows: a column that counts them ascends from row to row
_SEAMS = 0.2  # of the rows: a count that goes back more often counts something else
_FEWEST = 3  # losses of a run that is judged
_EPOCHS_BESIDE = 0.5  # of the step at which an evaluation stands: one that counts less by itself counts epochs


@dataclass(frozen=True)
class Axis:
    """How far the run has come at each row.

    Args:
        unit: what is counted: "step", "epoch", or "row" where the log counts neither.
        name: the column that counts; "" for rows.
        at: the count at each row of the file, shape (rows,), carried on from the row before where it is missing.
        own: whether a row has a count of its own, shape (rows,).
    """

    unit: str
    name: str
    at: np.ndarray
    own: np.ndarray


def in_order(log: Log, losses: np.ndarray, said: str | None) -> Log | None:
    """Return a log whose rows were shuffled, or stand last first, by the column that counts them; None for any other.

    A count that goes back again and again, and never comes twice, numbers rows that another program has sorted. One
    that starts anew, of a run that was resumed or of the steps within an epoch, has numbers that come twice.
    """
    for name in _counting(log, said):
        column = log.columns[name]
        at, own = _carried(column, log.length)
        here = at[losses]
        if not np.all(own[losses]) or not _counts(here):
            continue
        forward = np.mean(np.diff(here) > 0) if len(here) > 1 else 1.0
        if len(here) < _FEWEST or forward >= 1 - _SEAMS or len(np.unique(here)) < len(here):
            return None
        order = np.argsort(at, kind="stable")
        position = np.argsort(order, kind="stable")
        return dataclasses.replace(log, columns={each: _moved(log.columns[each], position) for each in log.columns})
    return None


def _moved(column: LogColumn, position: np.ndarray) -> LogColumn:
    """Return a column whose rows stand at other positions."""
    rows = position[column.rows]
    order = np.argsort(rows)
    return LogColumn(rows[order], column.numbers[order])


def _counting(log: Log, said: str | None) -> list[str]:
    """Return the columns that may count the rows of a log, the surest first."""
    steps = sorted((name for name in log.columns if is_step(name) and name != _OF_CALLS), key=step_rank)
    named = [name for name in (said, log.axis) if name is not None and name in log.columns]
    calls = [name for name in log.columns if name == _OF_CALLS]
    return list(dict.fromkeys([*named, *steps, *filter(is_epoch, log.columns), *calls]))


def _begins_anew_each_epoch(log: Log, here: np.ndarray, losses: np.ndarray) -> bool:
    """Tell whether a count of losses goes back where an epoch begins, and there alone: it counts within epochs."""
    back = np.flatnonzero(np.diff(here) < 0)
    epochs = next((log.columns[name] for name in log.columns if is_epoch(name)), None)
    if not len(back) or epochs is None:
        return False
    return bool(np.all(np.diff(_carried(epochs, log.length)[0][losses])[back] > 0))


def _counts(here: np.ndarray) -> bool:
    """Tell whether numbers can be counts."""
    return bool(np.all(np.isfinite(here)) and np.all(here == np.round(here)) and np.all(here >= 0))


def axis_of(log: Log, losses: np.ndarray, said: str | None) -> Axis:
    """Return the axis of a log, from the column that counts the rows of its losses.

    Args:
        log: the log.
        losses: the rows that have a loss, ascending.
        said: the name of the column, if it is known.
    """
    for name in _counting(log, said):
        at, own = _carried(log.columns[name], log.length)
        here = at[losses]
        if not _counts(here) or (name != said and _begins_anew_each_epoch(log, here, losses)):
            continue
        if name == said or len(here) < 2 or np.mean(np.diff(here) > 0) >= min(_MOSTLY, 1 - 1 / len(here)):
            return Axis("epoch" if is_epoch(name) else "row" if name == _OF_CALLS else "step", name, at, own)
    counted = np.searchsorted(losses, np.arange(log.length), side="right") - 1.0
    return Axis("row", "", np.maximum(counted, 0), np.zeros(log.length, dtype=bool))


def last_piece(log: Log, axis: Axis, losses: np.ndarray) -> tuple[slice, int]:
    """Return the rows of the last run in a file, and how many runs there are."""
    counts = axis.at
    if axis.unit == "row":
        epochs = next((log.columns[name] for name in log.columns if is_epoch(name)), None)
        if epochs is None:
            return slice(0, log.length), 1
        counts = _carried(epochs, log.length)[0]
    back = np.flatnonzero(np.diff(counts[losses]) < 0) + 1
    if not len(back) or len(back) > _SEAMS * len(losses):
        return slice(0, log.length), 1
    bounds = [0, *back.tolist(), len(losses)]
    sizes = np.diff(bounds)
    judged = [index for index, size in enumerate(sizes) if size >= _FEWEST]
    index = judged[-1] if judged else int(np.argmax(sizes))
    first = 0 if index == 0 else _beginning(counts, losses, bounds[index])
    last = log.length if index == len(sizes) - 1 else _beginning(counts, losses, bounds[index + 1])
    return slice(first, last), len(sizes)


def _beginning(counts: np.ndarray, losses: np.ndarray, loss: int) -> int:
    """Return the row at which a run begins: that of its first loss, or of an evaluation just before it."""
    row = int(losses[loss])
    while row - 1 > losses[loss - 1] and counts[row - 1] < counts[losses[loss - 1]]:
        row -= 1
    return row


def steps_of(column: LogColumn, axis: Axis, losses: np.ndarray) -> np.ndarray:
    """Return the counts at which an evaluation was taken, in the unit of the losses.

    In some files evaluations count epochs where losses count steps; then the loss before them in the file says when
    they were taken.
    """
    beside = axis.at[losses[np.maximum(np.searchsorted(losses, column.rows, side="right") - 1, 0)]]
    own = axis.at[column.rows]
    if not np.all(axis.own[column.rows]) or not len(own):
        return np.where(axis.own[column.rows], own, beside)
    counts_epochs = len(own) > 2 and np.all(np.diff(own) <= 1) and own[-1] < _EPOCHS_BESIDE * beside[-1]
    return beside if counts_epochs else own


def _carried(column: LogColumn, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a column at all rows of a file, carried on where it is missing, and the rows in which it is not.

    Before its first number it is that number.
    """
    own = np.zeros(length, dtype=bool)
    own[column.rows] = True
    before = np.maximum(np.searchsorted(column.rows, np.arange(length), side="right") - 1, 0)
    return column.numbers[before], own
