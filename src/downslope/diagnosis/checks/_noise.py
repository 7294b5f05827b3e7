"""Batches too small for their noise: `noise_dominated`."""

from __future__ import annotations

import numpy as np

from downslope._numbers import median
from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number, training_finding, unjudged
from downslope.diagnosis._training_evidence import TrainingEvidence

NOISE_DOMINATED = Symptom(
    "noise_dominated",
    Severity.PROBLEM,
    order=220,
    meaning="Steps are nearly all noise, and the loss no longer falls.",
    quantity="noise_ratio",
    remedies=("larger_batch", "cosine", "smaller_rate"),
)

# At a noise scale of B a batch of B is half noise. Near a minimum every gradient is noise; a hundred times says more.
_MUCH = 100.0


@check(NOISE_DOMINATED, needs=("metrics.noise_scale", "plan.batches"))
def noise_dominated(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find steps that are nearly all noise, on a loss that no longer falls and is not low.

    Quantity: the gradient noise scale tr Σ / ‖G‖² over the examples of a step. Theory: McCandlish et al. 2018.
    Threshold: a hundred, in half of the looks at least.
    """
    scale = np.asarray(evidence.trace.metrics.get("noise_scale", ()), dtype=float)
    scale = scale[~np.isnan(scale)][1:]
    if not len(scale) or not evidence.batch:
        return NotRun(NOISE_DOMINATED.key, "the gradient's noise was not measured")
    ratio = float(median(scale)) / evidence.batch
    learns = (evidence.fell_by or 0) > 0.1
    if ratio <= _MUCH or evidence.underfits is False or evidence.still_falling or not learns:
        return None
    if evidence.underfits is None:
        return unjudged(evidence, NOISE_DOMINATED)
    return training_finding(
        evidence,
        NOISE_DOMINATED,
        f"A batch of {evidence.batch} is nearly all noise: {_equal(ratio * evidence.batch)}.",
        f"a noise scale up to {number(_MUCH)} times the examples of a step",
        numbers={"noise_scale": ratio * evidence.batch if np.isfinite(ratio) else None, "batch": evidence.batch},
        causes=("batches too small for this stage", "a rate that should decay by now"),
        remedies=("larger batches", "a learning rate that decays"),
        confidence=0.6,
    )


def _equal(scale: float) -> str:
    """Return the clause on the number of examples at which signal and noise are equal."""
    if not np.isfinite(scale):
        return "no signal shows in the sample at all"
    return f"about {number(scale)} examples would make signal and noise equal"
