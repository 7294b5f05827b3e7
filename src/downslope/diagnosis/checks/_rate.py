"""A learning rate that does not fit the curvature: `rate_too_large` and `rate_too_small`."""

from __future__ import annotations

import math

from downslope._text import apart, count
from downslope.diagnosis._advice import advised_rate
from downslope.diagnosis._end_state import FLOOR, SLOW_PACE, EndState
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import DIGITS, ROUNDING, Finding, NotRun, Severity, Symptom, check, number
from downslope.diagnosis._steps_to_go import is_quadratic

RATE_TOO_LARGE = Symptom(
    "rate_too_large",
    Severity.PROBLEM,
    order=10,
    meaning="Steps overshoot the valley and grow: the learning rate is above the largest stable one.",
    quantity="end_stability",
    remedies=(
        "rate_from_curvature",
        "best_rate",
        "smaller_rate",
        "far_smaller_rate",
        "clipping",
        "newton",
        "adam",
        "warm_up",
    ),
)

RATE_TOO_SMALL = Symptom(
    "rate_too_small",
    Severity.PROBLEM,
    order=80,
    meaning="Steps are short even against the steepest curvature, while most of the distance remains.",
    quantity="distance",
    remedies=(
        "best_rate",
        "rate_from_curvature",
        "rate_for_the_way",
        "larger_rate",
        "far_larger_rate",
        "newton",
        "momentum",
        "adam",
        "bfgs",
    ),
)


@check(RATE_TOO_LARGE)
def rate_too_large(evidence: Evidence, state: EndState) -> Finding | NotRun | None:
    """Find steps that overshoot the valley and grow: α above the largest stable rate, the value no longer falling."""
    if state not in (EndState.RISING, EndState.NOT_FINITE, EndState.BOUNCING):
        return None
    if state is EndState.BOUNCING and evidence.swing <= FLOOR:
        return None
    failure = None if evidence.around is None else evidence.around.failure
    if failure is not None and failure.lowest:
        return None  # the step that failed landed on the minimum
    # α·λ/bound above 1 explains the rise; below it, only an early step from steeper ground can have thrown it up.
    if evidence.stability is not None:
        if evidence.stability > 1 + ROUNDING:
            return _above_bound(evidence, state)
        return _jumped(evidence) if state is EndState.RISING and evidence.jumped else None
    if state is EndState.RISING and evidence.jumped:
        return _jumped(evidence)
    # Without a measured curvature the angle between steps has to do: in an overshot valley they point back and forth.
    if state is not EndState.RISING or (evidence.cosine_late or 0) > -0.5:
        return _unmeasured(evidence)
    return Finding(
        RATE_TOO_LARGE.key,
        Severity.PROBLEM,
        f"The value rises and successive steps point against each other (cosine {number(evidence.cosine_late)}): "
        "each step overshoots the valley.",
        evidence.numbers("learning_rate", "cosine", "observed_contraction", "start_value", "value"),
        "the value rises while the cosine of successive updates is below -0.5",
        evidence.all_steps,
        confidence=0.7,
        causes=("the learning rate is too large for the curvature, which was not measured",),
        remedies=("a tenth of the learning rate",),
    )


def _above_bound(evidence: Evidence, state: EndState) -> Finding:
    """Return the finding for a rate above the largest stable one."""
    rate, largest = apart(evidence.learning_rate or math.nan, evidence.largest_stable_rate or math.nan, DIGITS)
    first = "Each step overshoots the valley and lands farther from the bottom than it started"
    if state is EndState.BOUNCING:
        first = "Steps overshoot the valley again and again, and the value no longer falls"
    better = advised_rate(evidence, state)
    return Finding(
        RATE_TOO_LARGE.key,
        Severity.PROBLEM,
        f"{first}: α = {rate} is above the largest stable rate {largest}.{_try(evidence, better)}",
        evidence.numbers(
            "learning_rate",
            "largest_stable_rate",
            "best_rate",
            "predicted_contraction",
            "observed_contraction",
            "highest_eigenvalue",
        ),
        f"the learning rate against the largest stable rate {largest}, "
        f"which is {number(evidence.bound)} / {number(evidence.seen_curvature)}",
        evidence.all_steps,
        causes=("the learning rate is too large for the steepest curvature",),
        remedies=(
            f"learning rate {number(better)}" if better else f"a learning rate far below {largest}",
            "a second-order method, which finds its own step",
        ),
    )


def _jumped(evidence: Evidence) -> Finding:
    """Return the finding for a value that an early step threw above its start, and that has not come back below it."""
    first, last = number(evidence.value[0]), number(evidence.value[-1])
    end = f"it was {first} at the start and is {last} at the end, though it no longer rises"
    if first == last:
        end = f"at the end it is {last}, as at the start"
    return Finding(
        RATE_TOO_LARGE.key,
        Severity.PROBLEM,
        f"An early step jumped to a higher value: {end}.",
        evidence.numbers("learning_rate", "largest_stable_rate", "start_value", "value", "gradient_norm"),
        "the value at the end is above that of the start",
        evidence.all_steps,
        confidence=0.8,
        causes=("the first steps were too long for where they began",),
        remedies=("a tenth of the learning rate", "a schedule that warms up"),
    )


def _unmeasured(evidence: Evidence) -> NotRun | None:
    """Return why no rate can be compared, if the check could not run for that reason."""
    if evidence.method.bound is None and not evidence.searches_line:
        return NotRun(RATE_TOO_LARGE.key, evidence.method.no_theory)
    if evidence.searches_line or evidence.end.spectrum is not None:
        return None
    return NotRun(RATE_TOO_LARGE.key, "the curvature was not measured, so no stable rate is known")


@check(RATE_TOO_SMALL)
def rate_too_small(evidence: Evidence, state: EndState) -> Finding | None:
    """Find steps that are short even against the steepest curvature, while most of the distance remains."""
    if state is not EndState.CRAWLING:
        return None
    better = advised_rate(evidence, state)
    return Finding(
        RATE_TOO_SMALL.key,
        Severity.PROBLEM,
        f"{_how_short(evidence)} {_how_long(evidence)}{_try(evidence, better, is_quadratic(evidence))}",
        evidence.numbers(
            "learning_rate",
            "largest_stable_rate",
            "best_rate",
            "steps_to_go",
            "predicted_contraction",
            "observed_contraction",
            "pace",
            "gradient_norm",
        ),
        f"a pace αλ/2 of {number(SLOW_PACE)}: below it, even the steepest curvature takes over 50 steps for each digit",
        evidence.all_steps,
        causes=("the learning rate is too small for the curvature",),
        remedies=(f"learning rate {number(better)}",) if better else ("a larger learning rate",),
    )


def _how_short(evidence: Evidence) -> str:
    """Return the sentence on the length of a step."""
    if evidence.pace is None or not evidence.pace < SLOW_PACE:
        return "The steps are too small to move the point any more, and it is not at the bottom."
    return f"A step covers only {number(2 * evidence.pace)} of the way to the bottom even where the ground is steepest."


def _how_long(evidence: Evidence) -> str:
    """Return the sentence on the steps that would be needed."""
    if not evidence.steps_to_go:
        return f"After {count(evidence.last_step)} most of the distance remains."
    pace = "this pace" if evidence.learning_rate is None else f"α = {number(evidence.learning_rate)}"
    return f"At {pace} about {count(evidence.steps_to_go, 'more step')} are needed."


def _try(evidence: Evidence, better: float | None, bound: bool = False) -> str:
    """Return the rate to try, and what it would have to stay below."""
    if better is None:
        return ""
    if not bound or evidence.largest_stable_rate is None or evidence.method.scaled:
        return f" Try {number(better)}."
    return f" Try {number(better)}; rates below {number(evidence.largest_stable_rate)} are stable."
