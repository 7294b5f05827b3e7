"""Learning the rows by heart: `overfitting`."""

from __future__ import annotations

import numpy as np

from downslope.diagnosis._course import Course
from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

OVERFITTING = Symptom(
    "overfitting",
    Severity.PROBLEM,
    order=210,
    meaning="The loss on rows held back rose while that on the rows trained on went on falling.",
    quantity="score_gap",
    remedies=("early_stopping", "weight_decay", "dropout"),
)

_RISEN = 0.2  # of the lowest validation loss: what it rose by since
# A rise by less than this share of the whole fall is no loss to speak of: 1e-6 may well have been 5e-7.
_WORTH = 0.01
_GAP = 0.1  # between the scores on rows trained on and held back
_FEW = 5  # evaluations; fewer do not show their scatter


@check(OVERFITTING, needs=("metrics.validation_loss", "metrics.training_loss|steps.value"))
def overfitting(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find a validation loss that rose from its lowest while the training loss went on falling.

    Quantity: the validation loss at the end over its lowest, in windows, beside its scatter; the difference of the two
    scores where they are known. Theory: the gap between empirical and expected risk (Vapnik). Threshold: a fifth above
    the lowest and three standard errors; a note where the scores lie within a tenth.
    """
    steps = np.asarray(evidence.trace.metrics.get("step", ()))
    held = Course(steps, np.asarray(evidence.trace.metrics["validation_loss"], dtype=float))
    if len(held) < _FEW:
        return NotRun(OVERFITTING.key, f"the validation loss was measured less than {_FEW} times")
    lowest, since = held.lowest
    rise = held.last - lowest
    worth = max(_RISEN * abs(lowest), _WORTH * (held.first - lowest))
    if rise <= worth or not held.rose_since_lowest() or not evidence.course.fell_since(since):
        return None
    score, training = evidence.last(f"validation_{evidence.metric}"), evidence.training_score
    gap = None if evidence.metric == "loss" or score is None or training is None else training - score
    return training_finding(
        evidence,
        OVERFITTING,
        f"The loss on rows held back was lowest at {number(lowest)} and is {number(held.last)} now, while "
        f"that on the rows trained on fell to {number(evidence.course.last)}: the rows are learnt by heart.",
        "a fifth above the lowest validation loss and three standard errors, with a tenth between the two scores",
        numbers={"lowest_validation_loss": lowest, "validation_loss": held.last, "gap": gap},
        causes=("more weights than the rows can settle", "too many steps"),
        remedies=("stop early: patience", "dropout or a penalty", "more rows"),
        problem=None if gap is None or gap >= _GAP else False,
        if_unknown=gap is None,
    )
