"""Information in a score that new rows would not have: `data_leak`."""

from __future__ import annotations

from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

DATA_LEAK = Symptom(
    "data_leak",
    Severity.PROBLEM,
    order=11,
    meaning="The score rests on what new rows will not have: the number of a row, or rows on both sides of the split.",
    quantity="score_gap",
)

_NEARLY_ALL = 0.9  # of what the reference gains over guessing
# Of the rows held back, those that are also among the training rows; a few of them change no score.
_SOME, _MANY = 0.01, 0.1
_BEYOND_CHANCE = 3.0
_FEWEST = 2


@check(
    DATA_LEAK,
    needs=(
        *("data.row_number?", "data.row_number_score?", "data.score_without?"),
        *("data.reference_score?", "data.chance_score?"),
    ),
)
def leaking_column(evidence: TrainingEvidence) -> Finding | None:
    """Find a column that numbers the rows and tells the targets.

    Quantity: the leave-one-out score of nearest neighbours by that column alone, beside that of all columns and of all
    others. Theory: rows that are numbered in the order of their targets tell each other's, and the number of a new row
    tells nothing (Kaufman et al. 2012). Threshold: nine tenths of what the reference gains over guessing.
    """
    data = evidence.data
    name, alone, without = data["row_number"], data["row_number_score"], data["score_without"]
    reference, chance = data["reference_score"], data["chance_score"] or 0.0
    if name is None or alone is None or reference is None or not evidence.is_learnable:
        return None
    rest = chance if without is None else without
    if alone - chance < _NEARLY_ALL * (reference - chance) or alone - rest < evidence.margin:
        return None
    return training_finding(
        evidence,
        DATA_LEAK,
        f"Column {name} numbers the rows, and tells their targets: nearest neighbours by it alone score "
        f"{number(alone)}, and without it {number(rest)}. The number of a new row says nothing.",
        "a column that numbers the rows and scores nine tenths of the reference",
        numbers={"row_number_score": alone, "score_without": rest},
        causes=("rows sorted by their targets, with their number among the columns",),
        remedies=(f"leave the column out: drop={name!r}",),
        problem=True,
    )


@check(
    DATA_LEAK,
    order=9,
    needs=("data.rows_on_both_sides?", "data.share_on_both_sides?", "data.repeats_by_chance?"),
)
def rows_on_both_sides(evidence: TrainingEvidence) -> Finding | None:
    """Find rows held back that are also among the training rows.

    Quantity: their share of the rows held back. Theory: a repeated row is no test. Threshold: a tenth, a hundredth for
    a note, and three times what columns of few values would repeat by chance.
    """
    data = evidence.data
    many, share, chance = data["rows_on_both_sides"], data["share_on_both_sides"], data["repeats_by_chance"] or 0.0
    if many is None or many < _FEWEST or share is None or share <= max(_SOME, _BEYOND_CHANCE * chance):
        return None
    return training_finding(
        evidence,
        DATA_LEAK,
        f"{number(100 * share)} % of the rows held back are also among the training rows ({many} rows): the "
        "score on them is no test.",
        f"{number(100 * _MANY)} % of the rows held back",
        numbers={"rows_on_both_sides": many, "share_on_both_sides": share},
        causes=("rows repeated before they were split", "the same rows given for training and validation"),
        remedies=("remove repeated rows before the split", "keep all copies of a row on one side"),
        problem=share > _MANY and _has_gained(evidence),
    )


def _has_gained(evidence: TrainingEvidence) -> bool:
    """Tell whether the score may be one that rows on both sides gave: a leak makes no network fall short."""
    if evidence.falls_short:
        return False
    if evidence.score is None or evidence.chance is None:
        return True
    return evidence.score > evidence.chance + (evidence.score_error or 0.0)
