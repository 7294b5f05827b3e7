"""A schedule that ended before the training: `rate_ended_early`."""

from __future__ import annotations

import numpy as np

from downslope._numbers import median
from downslope.diagnosis._course import Course
from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.diagnosis.checks._training_rate import reach_of

RATE_ENDED_EARLY = Symptom(
    "rate_ended_early",
    Severity.PROBLEM,
    order=195,
    meaning="The learning rate was gone long before the run ended, while the loss still fell.",
    quantity="still_falling",
    remedies=("adam", "more_steps"),
)

_GONE = 0.05  # of the highest rate: steps at less hardly move the weights
_REST = 0.3  # of the steps; a cosine over all of them leaves a seventh at such a rate, a straight line a twentieth
# Of its average pace by the way, which is the sum of the rates: less, and the loss had settled before the rate went.
_PACE = 0.5
_TOP, _ROWS = 0.5, 20  # of the highest rate, and rows at such rates that show a pace
_ON = 0.05  # of the fall before: a loss that falls on by more has a rate that is small and not gone


@check(RATE_ENDED_EARLY, needs=("steps.learning_rate",))
def rate_ended_early(evidence: TrainingEvidence) -> Finding | None:
    """Find a learning rate that was nearly 0 for a third of the steps, though the loss fell while there was one.

    Quantity: the share of the steps at a rate below a twentieth of the highest; the pace of the loss by the sum of the
    rates before these, late over average. Theory: what steps move is in proportion to their rate, so that a descent by
    the way slows down only where it settles. Threshold: three tenths of the steps; half of the average pace.
    """
    # Where the weights are known, it is a short way that `rate_too_small` measures.
    if evidence.failed or evidence.falls_short is False or reach_of(evidence) is not None:
        return None
    rates = np.broadcast_to(np.asarray(evidence.trace.columns["learning_rate"], dtype=float), evidence.step.shape)
    known = np.isfinite(rates) & np.isfinite(evidence.loss)
    steps, rates, loss = evidence.step[known].astype(float), rates[known], evidence.loss[known]
    if not len(rates) or not rates.max() > 0:
        return None
    last = int(np.flatnonzero(rates >= _GONE * rates.max())[-1])
    rest = (steps[-1] - steps[last]) / max(steps[-1] - steps[0], 1.0)
    if rest < _REST:
        return None
    way = np.cumsum(rates * np.diff(steps, prepend=steps[0]))
    # Under steps of the rate a loss rests, and falls again after each: whether it had come to rest is seen at the top.
    top = int(np.flatnonzero(rates >= _TOP * rates.max())[-1]) + 1
    ends = top if top >= _ROWS else last + 1
    pace = Course(way[:ends], loss[:ends]).late_pace
    if pace is None or pace < _PACE or _falls_on(loss, last + 1):
        return None
    at = int(steps[last])
    return training_finding(
        evidence,
        RATE_ENDED_EARLY,
        f"From {evidence.unit} {at} on the learning rate is below {number(100 * _GONE)} % of its highest, "
        f"{number(rates.max())}, and the loss, which fell until then, stays at about {number(evidence.course.last)}.",
        f"at most {number(100 * _REST)} % of the {evidence.unit}s at such a rate, unless the loss had settled before",
        numbers={"step": at, "share_left": float(rest), "pace": pace, "loss": evidence.course.last},
        causes=("a schedule counted for fewer steps than were taken", "a decay that is too fast"),
        remedies=("a schedule that decays over all steps", "a constant learning rate"),
        problem=evidence.underfits,
        if_unknown=True,
    )


def _falls_on(loss: np.ndarray, last: int) -> bool:
    """Tell whether a loss fell on after a row."""
    size = max(len(loss) // 20, 1)
    first, then, now = (float(median(rows)) for rows in (loss[:size], loss[max(last - size, 0) : last], loss[-size:]))
    return then - now > _ON * max(first - then, 0.0)
