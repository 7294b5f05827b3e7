"""A value or gradient that is no number any more: `not_finite`."""

from __future__ import annotations

import numpy as np

from downslope.diagnosis._end_state import EndState
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import Finding, Severity, Symptom, check
from downslope.diagnosis._wording import number

NOT_FINITE = Symptom(
    "not_finite",
    Severity.PROBLEM,
    order=30,
    meaning="A value or a gradient is no finite number.",
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
    overflowed = abs(float(evidence.value[-1])) > _HUGE
    return Finding(
        NOT_FINITE.key,
        Severity.PROBLEM,
        f"At step {step} {what} was no longer a finite number. {_why(evidence, step, overflowed)}",
        {
            "step": step,
            "part": part,
            **evidence.numbers("value", "gradient_norm", "learning_rate", "largest_stable_rate"),
        },
        "every value and every gradient must be a finite number",
        (step, step),
        parts=() if part == "value" else (part,),
        causes=_causes(step, overflowed),
        remedies=_remedies(step),
    )


def _why(evidence: Evidence, step: int, overflowed: bool) -> str:
    """Return what led to it."""
    if step == 0:
        return "The objective has no value or no slope at the start."
    if overflowed:
        return f"The numbers had grown to {number(evidence.value[-1])} before and overflowed."
    return f"The value before was an ordinary {number(evidence.value[-1])}: a step left where the objective is defined."


def _causes(step: int, overflowed: bool) -> tuple[str, ...]:
    """Return the likely causes."""
    if step == 0:
        return ("the start lies outside the objective's domain",)
    if overflowed:
        return ("the steps grew without bound",)
    return (
        "a step left the domain: a logarithm or root of a negative number, a division by zero",
        "overflow in one step",
    )


def _remedies(step: int) -> tuple[str, ...]:
    """Return what to change."""
    if step == 0:
        return ("another start",)
    return (
        "a smaller learning rate",
        "clip the gradient's norm",
        "another start, farther from the edge of the domain",
    )
