"""Targets on a scale that outputs do not reach: `unscaled_targets`."""

from __future__ import annotations

from downslope.diagnosis._finding import Finding, Severity, Symptom, check, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.diagnosis._wording import number

UNSCALED_TARGETS = Symptom(
    "unscaled_targets",
    Severity.PROBLEM,
    order=50,
    meaning="The targets are far larger than the outputs begin.",
    quantity="target_size",
    remedies=("scaled_targets", "adam", "larger_rate"),
)

# Outputs begin at size 1 or so. At a hundred times that, gradients of a squared error are a hundred times as large too,
# and steps of the size of the rate take as many times longer to get there.
_LARGE = 30.0


@check(UNSCALED_TARGETS)
def unscaled_targets(evidence: TrainingEvidence) -> Finding | None:
    """Find numbers to be predicted that are far larger than the outputs begin.

    Quantity: root mean square of the targets as the network sees them. Theory: the gradient of a squared error grows
    with the targets, its curvature does not; methods whose steps are as long as the rate need as many steps as the
    targets are large. Threshold: 30.
    """
    size = evidence.root_mean_square("target")
    if size is None or size <= _LARGE:
        return None
    return training_finding(
        evidence,
        UNSCALED_TARGETS,
        f"The targets are large: their root mean square is {number(size)}, where outputs begin near 1.",
        f"a root mean square of the targets up to {number(_LARGE)}",
        numbers={"target_size": size},
        parts=evidence.layers[-1:],
        causes=("targets were not scaled",),
        remedies=("scale the targets to deviation 1, and predictions back",),
    )
