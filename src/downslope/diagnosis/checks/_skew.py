"""Targets over orders of magnitude: `skewed_targets`."""

from __future__ import annotations

from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._needs import lacking
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.trace import judged_scores

SKEWED_TARGETS = Symptom(
    "skewed_targets",
    Severity.PROBLEM,
    order=15,
    meaning="The targets spread over orders of magnitude, and their logarithm is learnt better.",
    quantity="training_score",
)

_RATIO = 30.0  # of the 95th percentile over the 5th: from here on an error of usual size is far from most targets
_SHORT = 0.1  # of what is known of the logarithms


@check(
    SKEWED_TARGETS,
    needs=(
        *("data.target_ratio?", "data.log_reference_score?", "data.log_reference_of_logs?", "data.reference_score?"),
    ),
)
def skewed_targets(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find positive targets over orders of magnitude of which the logarithm would be learnt better.

    Quantity: R² of the reference on the logarithms of the targets, taken back, beside its R² on the targets and that of
    the network; R² of the logarithms of what the network predicts. Theory: a squared error counts the largest targets
    alone, and effects that multiply add up in the logarithm (Box and Cox 1964). Threshold: the margin of the score; for
    a spread of 30 and more also a tenth of what the reference knows of the logarithms, if that is more.
    """
    data = evidence.data
    ratio, taken_back, reference = data["target_ratio"], data["log_reference_score"], data["reference_score"]
    if ratio is None or taken_back is None or reference is None:
        return None
    scores = judged_scores(evidence.trace.facts)
    score, of_logs, allowed = scores.get("r2"), scores.get("r2_of_logs"), data["log_reference_of_logs"] or 0.0
    is_better = taken_back > reference + evidence.margin
    # A square spreads as far, but its logarithm is no easier to learn than itself.
    easier = ratio > _RATIO and allowed > reference + evidence.margin
    if not (is_better or easier):
        return None
    lacks = lacking(("scores.validation?",), evidence.trace)
    if lacks is not None:
        return NotRun(SKEWED_TARGETS.key, lacks)
    below = is_better and (score is None or score < taken_back - evidence.margin)
    far_off = easier and of_logs is not None and of_logs < (1 - _SHORT) * allowed - _SHORT / 2
    if not (is_better or far_off):
        return None
    learnt = (
        f"the simple learner has R² {number(reference)} on them and {number(taken_back)} by way of their logarithms"
    )
    return training_finding(
        evidence,
        SKEWED_TARGETS,
        f"The targets spread over a factor of {number(ratio)}: "
        + (
            f"{learnt}."
            if is_better
            else f"R² of their logarithms is {number(of_logs or 0.0)}, where a simple learner has {number(allowed)}."
        ),
        "a reference by way of logarithms within the margin of that without",
        numbers={"target_ratio": ratio, "log_reference_score": taken_back, "r2_of_logs": of_logs},
        causes=("effects that multiply", "errors in proportion to the targets"),
        remedies=("train on the logarithm of the target, and take predictions back by exp",),
        problem=below or far_off,
    )
