"""Layers that are one layer: `missing_nonlinearity`."""

from __future__ import annotations

from downslope.diagnosis._finding import Finding, NotRun
from downslope.diagnosis._training import TrainingEvidence
from downslope.diagnosis._verdict import found


def missing_nonlinearity(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find hidden layers without an activation between them.

    Quantity: the activations of the hidden layers. Theory: a product of matrices is a matrix, so that such layers can
    do no more than one. Threshold: every hidden layer linear.
    """
    hidden = [evidence.activations[place] for place in evidence.hidden]
    if not hidden:
        return None
    if not all(hidden):
        return NotRun("missing_nonlinearity", "not every activation is known")
    if any(name != "linear" for name in hidden):
        return None
    return found(
        evidence,
        "missing_nonlinearity",
        f"All {len(hidden)} hidden layers are linear: together they can do no more than one layer.",
        "an activation in at least one hidden layer",
        numbers={"hidden_layers": len(hidden)},
        parts=tuple(evidence.layers[place] for place in evidence.hidden),
        causes=("an activation was forgotten",),
        remedies=("relu in the hidden layers",),
    )
