"""A training that ended on its way down: `too_few_steps`."""

from __future__ import annotations

from downslope._text import count
from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.diagnosis.checks._training_rate import reach_of

TOO_FEW_STEPS = Symptom(
    "too_few_steps",
    Severity.PROBLEM,
    order=200,
    meaning="The loss was still falling when the steps ran out.",
    quantity="still_falling",
    remedies=("larger_rate", "adam", "more_steps", "momentum"),
)

# A loss that falls by more than this over the last fifth of a run has not settled.
_FALLS = 0.01
_FEW = 200


@check(TOO_FEW_STEPS)
def too_few_steps(evidence: TrainingEvidence) -> Finding | None:
    """Find a loss that was still falling when the steps ran out.

    Quantity: the fall of the loss over the last fifth of the run, where it is above its scatter. Threshold: one part in
    a hundred; or so few steps that the weights moved by less than half their size.
    """
    if not evidence.underfits or evidence.failed or evidence.loss_rose:
        return None
    reach = reach_of(evidence)
    hardly = evidence.last_step < _FEW and (reach is None or reach < 0.5)
    if not evidence.still_falling > _FALLS and not hardly:
        return None
    fall = "the loss had hardly moved"
    if evidence.still_falling:
        fall = f"the loss was still falling, by {number(100 * evidence.still_falling)} % over the last fifth"
    return training_finding(
        evidence,
        TOO_FEW_STEPS,
        f"{count(evidence.last_step).capitalize()} were not enough: {fall}.",
        f"a fall of {number(100 * _FALLS)} % over the last fifth of the run",
        numbers={"still_falling": evidence.still_falling, "epochs": evidence.epochs},
        causes=("too few steps", "a learning rate that is rather small"),
        remedies=(f"{count(4 * max(evidence.last_step, 1), 'step')}", "a larger learning rate"),
    )
