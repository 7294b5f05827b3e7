"""A value or gradient that is no longer a number: `not_finite`.

A run that met one says so in its outcome. A trace may hold one all the same: a file was changed, a row was made by
hand, a norm overflowed. Whatever its origin, such a trace is not healthy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np

from downslope._text import in_words
from downslope.diagnosis._cells import not_measured
from downslope.diagnosis._end_state import EndState
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number
from downslope.diagnosis._surroundings import Failure
from downslope.diagnosis.checks._skipped import skipped_rows
from downslope.trace import Outcome, Trace

NOT_FINITE = Symptom(
    "not_finite",
    Severity.PROBLEM,
    order=30,
    meaning="A value or a gradient is not finite.",
    quantity="highest_value",
    remedies=(
        "rate_from_curvature",
        "best_rate",
        "smaller_rate",
        "far_smaller_rate",
        "other_start",
        "clipping",
        "newton",
        "adam",
    ),
)

# Squares of numbers past the square root of the largest float overflow; past its fourth root they are nearly there.
_HUGE = float(np.finfo(float).max) ** 0.25


@check(NOT_FINITE)
def not_finite(evidence: Evidence, state: EndState) -> Finding | None:
    """Find the first step and part that were not finite, and whether they overflowed or left the domain."""
    if state is not EndState.NOT_FINITE:
        return None
    trace = evidence.trace
    step = trace.not_finite_step if trace.not_finite_step is not None else trace.last_step + 1
    if trace.last_step == 0 and abs(evidence.value[0]) < _HUGE and not np.isfinite(evidence.gradient_norm[0]):
        step = 0
    part = trace.not_finite_part or "value"
    what = "the value" if part == "value" else f"the gradient along {part}"
    failing = _failing(evidence, step, part)
    return Finding(
        NOT_FINITE.key,
        Severity.NOTE if failing.harmless else Severity.PROBLEM,
        f"At step {step} {what} was no longer a finite number. {failing.why}",
        {
            "step": step,
            "part": part,
            **evidence.numbers("value", "gradient_norm", "learning_rate", "largest_stable_rate"),
        },
        "every value and every gradient must be a finite number",
        (step, step),
        parts=() if part == "value" else (part,),
        causes=failing.causes,
        remedies=failing.remedies,
    )


class _Failing(NamedTuple):
    """The origin of a value or gradient that is not finite.

    Args:
        why: a sentence.
        causes: the likely causes.
        remedies: what to change.
        harmless: whether the step landed on a minimum all the same.
    """

    why: str
    causes: tuple[str, ...]
    remedies: tuple[str, ...] = ("a smaller learning rate", "clip the gradient's norm", "another start")
    harmless: bool = False


def _failing(evidence: Evidence, step: int, part: str) -> _Failing:
    """Return the origin, as far as the trace shows it."""
    value = number(evidence.value[-1])
    if step == 0:
        return _Failing(
            "The objective has no value or no slope at the start.",
            ("the start lies outside the objective's domain",),
            ("another start",),
        )
    if abs(float(evidence.value[-1])) > _HUGE:
        return _Failing(f"The numbers had grown to {value} before and overflowed.", ("the steps grew without bound",))
    if _is_singular(evidence):
        return _Failing(
            "The Hessian is singular at the last point, so Newton's method has no step.",
            ("no curvature along some direction: the objective is linear or flat there",),
            ("gradient descent, which needs no curvature", "another start"),
        )
    failure = None if evidence.around is None else evidence.around.failure
    if failure is not None and evidence.around is not None:
        return _at_point(evidence.around.at(failure.point), failure, value)
    if part != "value":
        return _Failing(
            f"The value there is finite, but it has no slope along {part}; the value before was {value}.",
            ("a root or a quotient whose slope is infinite or undefined at that point",),
            ("another start, from which no step lands there", "a smaller learning rate"),
        )
    return _Failing(
        f"The value before was {value}: one step led to where the objective has no finite value.",
        ("a step left the domain, such as a logarithm of a negative number", "overflow in one step"),
        ("a smaller learning rate", "clip the gradient's norm", "another start, farther from the edge of the domain"),
    )


def _is_singular(evidence: Evidence) -> bool:
    """Tell whether a method that divides by the curvature met none along some direction."""
    eigenvalues = None if evidence.end.spectrum is None else np.abs(evidence.end.spectrum.eigenvalues)
    if evidence.method.name != "newton" or eigenvalues is None:
        return False
    return bool(np.min(eigenvalues) <= evidence.end.rounding)


def _at_point(where: str, failure: Failure, before: str) -> _Failing:
    """Return the origin, from the values at the point that the step led to."""
    if failure.kind == "outside":
        return _Failing(
            f"The value before was {before}: the step went outside the domain, to {where}.",
            ("a logarithm or an even root of a negative number",),
            ("a smaller learning rate", "another start, farther from the edge of the domain"),
        )
    if failure.kind == "infinite":
        return _Failing(
            f"The value before was {before}: the step led to {where}, where the value is infinite.",
            ("a division by zero", "overflow in one step"),
        )
    if failure.lowest:
        return _Failing(
            f"The step landed on a minimum, {where} with the value {number(failure.value)}: the value rises all "
            "around, but the objective has no derivative at that point.",
            ("a root or a quotient that has no derivative at the minimum",),
            ("a rate that does not land exactly on that point", "a form of the objective without the root"),
            harmless=True,
        )
    return _Failing(
        f"The step led to {where}: the value there is {number(failure.value)}, but it has no slope.",
        ("a root or a quotient whose slope is infinite or undefined at that point",),
        ("another rate or start, from which no step lands there",),
    )


def recorded_not_finite(trace: Trace, names: Collection[str]) -> Finding | None:
    """Find a value, gradient or coordinate in the rows that is no finite number, though the run says nothing of it.

    Rows end at the last finite point, so that nothing else can be judged of such a trace.

    Args:
        trace: the trace.
        names: what to look at: columns, "the point", "the gradient".
    """
    if trace.outcome is Outcome.NOT_FINITE:
        return None
    columns = {"step": trace.recorded["step"], "value": trace.recorded["value"]}
    columns |= {name: trace.recorded[name] for name in ("gradient_norm",) if name in trace.recorded}
    matrices = {"the point": trace.coordinates, "the gradient": trace.gradients}
    columns |= {name: matrix for name, matrix in matrices.items() if matrix is not None}
    looked_at = [(name, np.asarray(column)) for name, column in columns.items() if name in names]
    return _finding(trace, ((name, column, _bad_rows(column)) for name, column in looked_at))


def measured_not_finite(trace: Trace) -> Finding | None:
    """Find a measurement that is no finite number, where it was taken: of the steps, the layers, the end.

    Evaluations have a symptom of their own, `evaluation_mismatch`.
    """
    if trace.outcome is Outcome.NOT_FINITE:
        return None
    return _finding(trace, _measurements(trace))


def _measurements(trace: Trace) -> Iterator[tuple[str, np.ndarray, Any]]:
    """Yield name, numbers and rows that are not finite of each measurement."""
    for name, column in trace.recorded.items():
        numbers = np.broadcast_to(np.asarray(column, dtype=float), trace.recorded["step"].shape)
        due = _is_known(trace, name)
        skipped = not_measured(trace, name, trace.recorded["step"])
        bad = np.isinf(numbers) | (np.isnan(numbers) & (due if skipped is None else due & ~skipped))
        if name == "gradient_norm" and trace.is_training:
            bad &= ~skipped_rows(trace)
        yield name, numbers, bad
    for name, column in {**trace.layer_columns, **trace.part_columns}.items():
        yield name, column, np.isinf(column).any(axis=1)
    for name, leaf in trace.end.items():
        numbers = np.atleast_1d(np.asarray(leaf, dtype=float))
        yield f"the end of {name}", numbers, _bad_rows(numbers)


# Of the step that leaves a row, so that the last row has none.
_LEAVING = frozenset({"update_norm", "update_curvature", "actual_decrease", "predicted_decrease"})


def _is_known(trace: Trace, name: str) -> np.ndarray:
    """Return the rows in which a column of a descent should have a number; of a training, none but the rates."""
    rows = np.ones(len(trace), dtype=bool)
    numbers = np.broadcast_to(np.asarray(trace.recorded[name], dtype=float), rows.shape)
    if not np.isfinite(numbers).any() or (trace.layer_steps is not None and name != "learning_rate"):
        return ~rows
    if name == "curvature":  # along a gradient of no length there is none
        return np.asarray(trace.columns["gradient_norm"], dtype=float) > 0
    # A rate that changes is that of the step that leaves a row, too; one that does not is written into all of them.
    if name in _LEAVING or (name == "learning_rate" and trace.plan.get("schedule") != "constant"):
        rows[-1:] = False
        return rows
    return rows if name == "learning_rate" else ~rows


def _bad_rows(numbers: np.ndarray) -> np.ndarray:
    """Return the rows in which some number is not finite."""
    finite = np.isfinite(np.asarray(numbers, dtype=float))
    return np.asarray(~finite.all(axis=tuple(range(1, finite.ndim))))


def _finding(trace: Trace, columns: Iterator[tuple[str, np.ndarray, np.ndarray]]) -> Finding | None:
    """Return the finding for the first row that is not finite of the first column with one."""
    for name, numbers, bad in columns:
        if not np.any(bad):
            continue
        row = int(np.flatnonzero(bad)[0])
        what = name if name.startswith("the ") else f"the {in_words(name)}"
        where = f"In row {row} {what} is" if len(numbers) > 1 else f"{what.capitalize()} is"
        return Finding(
            NOT_FINITE.key,
            Severity.PROBLEM,
            f"{where} no finite number, though the run itself met none. It was overwritten, damaged, or too large for "
            "its type.",
            {"part": name, "row": row},
            "every value and every gradient must be a finite number",
            (row, row),
            causes=("the numbers of the trace are not those that were computed", "a norm overflowed"),
            remedies=("run it again",),
        )
    return None
