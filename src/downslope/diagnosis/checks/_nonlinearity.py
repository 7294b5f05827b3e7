"""Several layers that amount to one: `missing_nonlinearity`."""

from __future__ import annotations

from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence, unseen_kernels

MISSING_NONLINEARITY = Symptom(
    "missing_nonlinearity",
    Severity.PROBLEM,
    order=80,
    meaning="The hidden layers have no activation between them.",
    quantity="training_score",
    remedies=("relu",),
)


@check(MISSING_NONLINEARITY, needs=("network.nested", "network.activations"), hidden_by=unseen_kernels)
def missing_nonlinearity(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find hidden layers without an activation between them.

    Quantity: the activations of the hidden layers. Theory: a product of matrices is a matrix, so that such layers can
    do no more than one. Threshold: every hidden layer linear.
    """
    hidden = [evidence.activations[index] for index in evidence.hidden]
    # What is not seen may hold an activation.
    if not hidden or evidence.inside.unseen:
        return None
    if not all(hidden):
        return NotRun(MISSING_NONLINEARITY.key, "not every activation is known")
    if any(name != "linear" for name in hidden):
        return None
    which = "The hidden layer is" if len(hidden) == 1 else f"All {len(hidden)} hidden layers are"
    return training_finding(
        evidence,
        MISSING_NONLINEARITY,
        f"{which} linear: together with the output that is no more than one layer.",
        "an activation in at least one hidden layer",
        numbers={"hidden_layers": len(hidden)},
        parts=tuple(evidence.layers[index] for index in evidence.hidden),
        causes=("an activation was forgotten",),
        remedies=("relu in the hidden layers",),
    )
