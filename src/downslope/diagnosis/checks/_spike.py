"""A sudden leap of the loss: `loss_spike`."""

from __future__ import annotations

import numpy as np

from downslope._numbers import median
from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

LOSS_SPIKE = Symptom(
    "loss_spike",
    Severity.PROBLEM,
    order=230,
    meaning="At some step the loss leapt far out of the range of those around it.",
    quantity="highest_loss",
    remedies=("clipping", "smaller_rate", "warm_up", "clipping_later", "smaller_rate_later"),
)

_LEAP = 10.0  # times the median around it
_DEVIATIONS = 20.0  # median absolute deviations around it
_AROUND = 50


@check(LOSS_SPIKE)
def loss_spike(evidence: TrainingEvidence) -> Finding | None:
    """Find a step at which the loss leapt far out of the range of those around it.

    Quantity: the loss of a step over the median of the fifty before, and its distance in median absolute deviations.
    Threshold: ten times, and twenty deviations.
    """
    loss = evidence.loss
    if len(loss) < 2 * _AROUND:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(loss, _AROUND)[:-1]
    with np.errstate(all="ignore"):
        middle = median(windows)
        spread = median(np.abs(windows - middle[:, None]))
        later = loss[_AROUND:]
        leaps = (later > _LEAP * middle) & (later > middle + _DEVIATIONS * spread) & (later > loss[0] / 10)
    if not np.any(leaps):
        return None
    index = int(np.argmax(np.where(leaps, later, -np.inf)))
    step = int(evidence.step[index + _AROUND])
    return training_finding(
        evidence,
        LOSS_SPIKE,
        f"At step {step} the loss leapt to {number(later[index])} from about {number(middle[index])}.",
        f"{number(_LEAP)} times the median of the fifty steps before",
        numbers={"step": step, "loss": float(later[index]), "before": float(middle[index])},
        causes=("a rate at the edge of what the curvature bears", "a batch with broken rows", "a tiny epsilon in Adam"),
        remedies=("clip the gradient's norm", "a smaller learning rate"),
    )
