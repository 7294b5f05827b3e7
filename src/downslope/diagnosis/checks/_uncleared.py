"""Gradients that add up from step to step: `uncleared_gradients`."""

from __future__ import annotations

from downslope.diagnosis._finding import Finding, Severity, Symptom, check, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

UNCLEARED_GRADIENTS = Symptom(
    "uncleared_gradients",
    Severity.PROBLEM,
    order=52,
    meaning="Each step follows the sum of the gradients of all steps before it.",
    quantity="highest_loss",
    remedies=("smaller_rate",),
)


@check(UNCLEARED_GRADIENTS, reads=("network.gradients_kept",))
def uncleared_gradients(evidence: TrainingEvidence) -> Finding | None:
    """Find backward passes that add to the gradient of the step before.

    Quantity: whether the gradient that a step used was still there when the backward pass of the next began. Theory: a
    sum over all steps is momentum of 1, whose effective rate grows with each step, so that no rate is small enough.
    Threshold: at every look.
    """
    if not evidence.network.get("gradients_kept"):
        return None
    return training_finding(
        evidence,
        UNCLEARED_GRADIENTS,
        "Gradients are not cleared between steps: each step follows the sum of all gradients before it.",
        "gradients that are cleared before each backward pass",
        causes=("optimizer.zero_grad() is not called", "zero_grad() is called on another model or optimizer"),
        remedies=("optimizer.zero_grad() after each step",),
        if_unknown=True,
    )
