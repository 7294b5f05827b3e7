"""Validation rows from another distribution: `shifted_validation`."""

from __future__ import annotations

from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

SHIFTED_VALIDATION = Symptom(
    "shifted_validation",
    Severity.PROBLEM,
    order=14,
    meaning="The rows held back differ from the others, so the score is for other data.",
    quantity="score_gap",
)

_AREA = 0.75
_ERRORS = 4.0  # the best of up to 64 features lies two to three above a half by chance


@check(
    SHIFTED_VALIDATION,
    needs=("data.shift_auc?", "data.shift_error?", "data.shift_column?", "data.shift_column_auc?"),
)
def shifted_validation(evidence: TrainingEvidence) -> Finding | None:
    """Find rows held back whose neighbours, or one of whose features, tell them from the rows for training.

    Quantity: the area under the curve by which the share of held-back rows among the 15 nearest ones, or a feature,
    tells a held-back row from another. Theory: a two-sample test by a classifier (Lopez-Paz and Oquab 2017); a score on
    other rows than those that were learnt from is one of extrapolation. Threshold: 0.75 and four standard errors; a
    problem where the score falls short of what the rows for training allow.
    """
    data = evidence.data
    near, error, column, alone = (data[f"shift_{name}"] for name in ("auc", "error", "column", "column_auc"))
    area = max(near or 0.0, alone or 0.0)
    if error is None or area <= max(_AREA, 0.5 + _ERRORS * error):
        return None
    by = f"by {column} alone" if (alone or 0.0) >= (near or 0.0) else "by its nearest rows"
    own = data.get("reference_score")
    below = None if evidence.score is None or own is None else evidence.score < own - evidence.margin
    return training_finding(
        evidence,
        SHIFTED_VALIDATION,
        f"The rows held back differ from the training rows: {by}, the two are told apart "
        f"{number(100 * area)} times in 100, where chance would be 50.",
        f"an area under the curve of {_AREA}",
        numbers={"shift_auc": near, "shift_column_auc": alone},
        causes=("the end of a sorted table was held back", "rows of another time or another source"),
        remedies=("draw the rows to hold back at random: validation=0.2", "more rows like those that are to come"),
        problem=bool(evidence.falls_short or below),
    )
