"""Evaluations that say something else than the steps do: `evaluation_mismatch`."""

from __future__ import annotations

import numpy as np

from downslope._text import in_words
from downslope.diagnosis._cells import CellState, evaluated_states
from downslope.diagnosis._finding import Finding, Quantity, Severity, Symptom, check, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

EVALUATION_MISMATCH = Symptom(
    "evaluation_mismatch",
    Severity.PROBLEM,
    order=175,
    meaning="Evaluation is not finite, or far from the loss of the steps on the same rows.",
    quantity="lost_evaluations",
    remedies=("layer_normalisation", "smaller_rate"),
)


def _lost(evidence: TrainingEvidence) -> float | None:
    """Return the largest share of the evaluations of one kind that are not finite."""
    shares = [
        np.mean(evaluated_states(evidence.trace, name) == CellState.NOT_FINITE) for name in _evaluations(evidence)
    ]
    return float(max(shares)) if shares else None


def _evaluations(evidence: TrainingEvidence) -> list[str]:
    """Return the names of the evaluations, the losses first."""
    names = [name for name in evidence.trace.metrics if name.partition("_")[0] in ("training", "validation")]
    return sorted(names, key=lambda name: not name.endswith("_loss"))


@check(
    EVALUATION_MISMATCH,
    quantities=(Quantity("lost_evaluations", "share of evaluations that are not finite", "lower", _lost),),
)
def evaluation_mismatch(evidence: TrainingEvidence) -> Finding | None:
    """Find evaluations that are not finite, while the steps are.

    Quantity: the state of each evaluation: finite, not finite, not measured. Theory: evaluation computes what training
    does, but for dropout and for the statistics of a normalisation. Threshold: any.
    """
    if evidence.failed:
        return None  # the weights themselves are not finite, and every evaluation with them
    for name in _evaluations(evidence):
        lost = np.flatnonzero(evaluated_states(evidence.trace, name) == CellState.NOT_FINITE)
        if not len(lost):
            continue
        steps = np.asarray(evidence.trace.metrics.get("step", np.arange(lost[-1] + 1)))
        lasts = len(lost) > 1 and lost[-1] - lost[0] == len(lost) - 1 and lost[-1] == len(steps) - 1
        when = f"from step {steps[lost[0]]} on" if lasts else f"at step {steps[lost[0]]}"
        return training_finding(
            evidence,
            EVALUATION_MISMATCH,
            f"The {in_words(name)} is not finite {when}, while the loss of every step is: evaluation computes "
            "something else than training, or reads other rows.",
            "evaluations that are finite where the steps are",
            numbers={"evaluation": name, "step": int(steps[lost[0]]), "evaluations": len(lost)},
            causes=(
                "running statistics that are not finite or never move",
                "missing or huge numbers in rows held back",
                "half precision in evaluation",
            ),
            remedies=(
                "look at the rows held back",
                "look at the running means and variances",
                "a normalisation by layer",
            ),
            problem=True,
        )
    return None
