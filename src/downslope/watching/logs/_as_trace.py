"""From the columns of a log to a trace: the last run in it, on one count of steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from downslope.trace import LogFacts, Trace, TraceFacts, TracePlan, trace_from
from downslope.watching.logs._log import Log, LogColumn, refusal
from downslope.watching.logs._moving_target import moving_target
from downslope.watching.logs._names import parse
from downslope.watching.logs._pieces import Axis, axis_of, in_order, last_piece, steps_of
from downslope.watching.logs._roles import Roles, roles_of

_FIRST, _GOES_ON = 3, 0.7  # losses at the start of a run, and the share of those of the first one
_BESIDE = 0.5  # of the losses: as many evaluations are of epochs
_MOVES = 0.25  # of its size: what a tenth of a column is above or below another
_PERCENT = 1.5  # an accuracy above it is in per cent
_LATE = 2.0  # distances between rows; a run whose first row is further from 0 had begun before
_UNITS = {"epoch": "a row is an epoch", "row": "rows are counted, since no column counts the steps"}


def trace_of(log: Log, name: str, names: Mapping[str, str] | None = None) -> Trace:
    """Return the trace of the last run in a log.

    Args:
        log: what its reader left.
        name: the name of the file, for titles and messages.
        names: the columns by what they are, where their names do not say.
    """
    if not log.length:
        facts = LogFacts(kind=log.kind, unit="step", pieces=0, begins_late=False, planned="steps" in log.plan)
        empty = trace_from({"loss": []}, plan=TracePlan(read_as=f"{log.kind}: {name}"), facts=TraceFacts(log=facts))
        return dataclasses.replace(empty, facts={**empty.facts, "notes": ["nothing was logged yet"]})
    roles = roles_of(log, name, names)
    loss = _sum(log, roles.loss)
    if not len(loss.rows):
        raise refusal(name, f"has no row with all of {', '.join(roles.loss)}")
    ordered = in_order(log, loss.rows, roles.step)
    if ordered is not None:
        log, loss = ordered, _sum(ordered, roles.loss)
    axis = axis_of(log, loss.rows, roles.step)
    piece, pieces = last_piece(log, axis, loss.rows)
    first, loss = loss.numbers[:_FIRST], _within(loss, piece)
    kept = _last_of_each(axis.at[loss.rows])
    losses = LogColumn(loss.rows[kept], loss.numbers[kept])
    steps = axis.at[losses.rows].astype(np.int64)
    recorded: dict[str, Any] = {"step": steps, "loss": losses.numbers}
    if roles.rate is not None:
        recorded["learning_rate"] = _carried_to(log.columns[roles.rate], losses.rows)
    if roles.norm is not None:
        recorded["gradient_norm"] = _beside(log.columns[roles.norm], axis, losses.rows)
    evaluations = _evaluations(log, roles, axis, piece, losses.rows)
    if _counts_epochs(log, roles, axis, steps, evaluations):
        axis = dataclasses.replace(axis, unit="epoch")
    spacing = float(np.median(np.diff(steps))) if len(steps) > 1 else 1.0
    late = axis.unit != "row" and bool(steps[0] > _LATE * spacing + 1)
    # A run that starts far below the first one in the file goes on from it.
    late |= pieces > 1 and bool(np.median(losses.numbers[:_FIRST]) < _GOES_ON * np.median(first))
    facts = _facts(log, roles, axis, piece, pieces, late)
    trace = trace_from(
        recorded, evaluations=evaluations, plan=_plan(log, name, recorded, axis), facts=TraceFacts(log=facts)
    )
    notes = _notes(roles, axis, pieces, late, int(steps[0]))
    if ordered is not None:
        notes.append(f"rows put in order by {axis.name}")
    return dataclasses.replace(trace, facts={**trace.facts, "notes": notes}, caveats=(*trace.caveats, *log.caveats))


def _counts_epochs(
    log: Log, roles: Roles, axis: Axis, steps: np.ndarray, evaluations: Mapping[str, Any] | None
) -> bool:
    """Tell whether what is called a step is an epoch: counted one by one, with an evaluation beside most losses."""
    if axis.unit != "step" or len(steps) < 2 or float(np.median(np.diff(steps))) != 1:
        return False
    held = len((evaluations or {}).get("step", ()))
    return parse(roles.loss[0]).per == "epoch" or held >= _BESIDE * len(steps)


# --- columns ---------------------------------------------------------------------------------------------------------


def _sum(log: Log, names: Sequence[str]) -> LogColumn:
    """Return the sum of some columns, in the rows that have all of them.

    Where they are logged in turn, as by the optimizers of a generator and its critic, a row has the last of each.
    """
    columns = [log.columns[name] for name in names]
    rows = columns[0].rows
    for column in columns[1:]:
        rows = np.intersect1d(rows, column.rows)
    if not len(rows):
        latest = max(columns, key=lambda column: column.rows[0])
        return LogColumn(latest.rows, np.sum([_carried_to(column, latest.rows) for column in columns], axis=0))
    return LogColumn(rows, np.sum([column.numbers[np.searchsorted(column.rows, rows)] for column in columns], axis=0))


def _within(column: LogColumn, piece: slice) -> LogColumn:
    """Return the part of a column in some rows of the file."""
    kept = (column.rows >= piece.start) & (column.rows < piece.stop)
    return LogColumn(column.rows[kept], column.numbers[kept])


def _last_of_each(counts: np.ndarray) -> np.ndarray:
    """Return the indices of the last entry of each count, by ascending count."""
    order = np.argsort(counts, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(counts[order])), len(order) - 1)
    return order[ends]


def _carried_to(column: LogColumn, rows: np.ndarray) -> np.ndarray:
    """Return a column at some rows, carried on from the row before: a rate holds until it changes."""
    before = np.searchsorted(column.rows, rows, side="right") - 1
    return np.ma.masked_array(column.numbers[np.maximum(before, 0)], mask=before < 0)


def _beside(column: LogColumn, axis: Axis, rows: np.ndarray) -> np.ndarray:
    """Return a column at the steps of some rows, masked where it was not measured at these."""
    by_row = dict(zip(column.rows.tolist(), column.numbers.tolist(), strict=True))
    by_step = dict(zip(axis.at[column.rows].tolist(), column.numbers.tolist(), strict=True)) if axis.name else {}
    cells = [
        by_row.get(row, by_step.get(step)) for row, step in zip(rows.tolist(), axis.at[rows].tolist(), strict=True)
    ]
    mask = np.array([cell is None for cell in cells], dtype=bool)
    return np.ma.masked_array(np.array([np.nan if cell is None else cell for cell in cells], dtype=float), mask=mask)


def _evaluations(log: Log, roles: Roles, axis: Axis, piece: slice, losses: np.ndarray) -> dict[str, Any] | None:
    """Return the evaluations on one list of steps, masked where one was not taken."""
    taken: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for metric, names in roles.evaluations.items():
        if names != roles.loss:
            taken[metric] = _taken(_within(_sum(log, names), piece), axis, losses)
    for metric, column in roles.scores.items():
        steps, numbers = _taken(_within(log.columns[column], piece), axis, losses)
        # Scores are shown beside the losses; one that is no number, such as a share of nothing, says nothing.
        finite = np.isfinite(numbers)
        if finite.all() and len(numbers):
            taken[metric] = (
                steps,
                numbers / 100 if metric.endswith("accuracy") and numbers.max() > _PERCENT else numbers,
            )
    if roles.sets:
        means = [taken[name] for name in roles.sets if len(taken[name][0])]
        common = means[0][0] if means else np.zeros(0, dtype=np.int64)
        for steps, _ in means[1:]:
            common = np.intersect1d(common, steps)
        if len(common):
            rows = [numbers[np.searchsorted(steps, common)] for steps, numbers in means]
            taken["validation_loss"] = common, np.mean(rows, axis=0)
    taken = {metric: pair for metric, pair in taken.items() if len(pair[0])}
    if not taken:
        return None
    steps = np.unique(np.concatenate([steps for steps, _ in taken.values()]))
    table: dict[str, Any] = {"step": steps}
    for metric, (where, numbers) in taken.items():
        cells, mask = np.full(len(steps), np.nan), np.ones(len(steps), dtype=bool)
        rows = np.searchsorted(steps, where)
        cells[rows], mask[rows] = numbers, False
        table[metric] = np.ma.masked_array(cells, mask=mask)
    return table


def _taken(column: LogColumn, axis: Axis, losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps and the numbers of an evaluation, the last of each step."""
    if not len(column.rows):
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    steps = steps_of(column, axis, losses)
    kept = _last_of_each(steps)
    return np.round(steps[kept]).astype(np.int64), column.numbers[kept]


# --- what the log says beside its columns ----------------------------------------------------------------------------


def _plan(log: Log, name: str, recorded: Mapping[str, Any], axis: Axis) -> TracePlan:
    """Return what was to be done, as far as a log says so."""
    plan = TracePlan(read_as=f"{log.kind}: {name}")
    rates = recorded.get("learning_rate")
    known = np.ma.compressed(rates) if rates is not None else np.zeros(0)
    known = known[np.isfinite(known)]
    if len(known):
        plan["learning_rate"] = float(known.max())
    last = int(recorded["step"][-1])
    if "steps" in log.plan and axis.unit == "step":
        plan["steps"] = max(int(log.plan["steps"]), last)
    if "batches" in log.plan:
        plan["batches"] = log.plan["batches"]
    return plan


def _facts(log: Log, roles: Roles, axis: Axis, piece: slice, pieces: int, late: bool) -> LogFacts:
    """Return what is known of a log and of its columns."""
    facts = LogFacts(kind=log.kind, unit=axis.unit, pieces=pieces, begins_late=late, planned="steps" in log.plan)
    facts["columns"] = {"loss": " + ".join(roles.loss)} | {
        metric: " + ".join(names) for metric, names in roles.evaluations.items()
    }
    # Parts that move against each other may leave their sum where it was.
    facts["parts_move"] = any(_moves(_within(log.columns[column], piece).numbers) for column in roles.parts.values())
    if log.means_of is not None:
        facts["means_of"] = log.means_of
    target = moving_target(log.columns)
    if target is not None:
        facts["moving_target"] = target
    return facts


def _moves(numbers: np.ndarray) -> bool:
    """Tell whether a column goes up or down, on the whole or for a while."""
    tenths = [float(np.median(tenth)) for tenth in np.array_split(numbers, 10) if len(tenth)]
    return bool(np.ptp(tenths) > _MOVES * abs(float(np.mean(tenths)))) if tenths else False


def _notes(roles: Roles, axis: Axis, pieces: int, late: bool, first: int) -> list[str]:
    """Return what was read of the columns, as short sentences."""
    notes = [f"loss: {' + '.join(roles.loss)}"]
    main = roles.evaluations.get("validation_loss")
    if main is not None and main != roles.loss:
        notes.append(f"validation loss: {' + '.join(main)}")
    elif roles.sets:
        notes.append(f"validation loss: the mean over {len(roles.sets)} sets")
    notes.append(_UNITS.get(axis.unit) or f"steps: {axis.name}")
    if pieces > 1:
        notes.append(f"{pieces} runs in one file, the last of which is judged")
    if late:
        notes.append(f"begins at {axis.unit} {first}, as a resumed run does")
    return notes
