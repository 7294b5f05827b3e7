"""Learning the rows by heart: `overfitting`."""

from __future__ import annotations

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

_RISEN = 1.2  # the validation loss over its lowest
_GAP = 0.1  # between the scores on rows trained on and held back


@check(OVERFITTING)
def overfitting(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find a validation loss that rose from its lowest while the training loss went on falling.

    Quantity: the validation loss at the end over its lowest; the difference of the two scores. Theory: the gap between
    empirical and expected risk (Vapnik). Threshold: a fifth above the lowest, and a tenth between the scores.
    """
    held, own = evidence.measured("validation_loss"), evidence.measured("training_loss")
    if not len(held) or not len(own):
        return NotRun(OVERFITTING.key, "no rows were held back to validate")
    score, training = evidence.last(f"validation_{evidence.metric}"), evidence.training_score
    lowest = int(held.argmin())
    gap = None if score is None or training is None else training - score
    rises = held[-1] > _RISEN * held[lowest] and own[-1] < own[min(lowest, len(own) - 1)]
    if not rises or gap is None or gap < _GAP:
        return None
    return training_finding(
        evidence,
        OVERFITTING,
        f"The loss on rows held back was lowest at {number(held[lowest])} and is {number(held[-1])} now, while "
        f"that on the rows trained on fell to {number(own[-1])}: the rows are learnt by heart.",
        "a fifth above the lowest validation loss, with a tenth between the two scores",
        numbers={"lowest_validation_loss": float(held[lowest]), "validation_loss": float(held[-1]), "gap": gap},
        causes=("more weights than the rows can settle", "too many steps"),
        remedies=("stop early: patience", "dropout or a penalty", "more rows"),
    )
