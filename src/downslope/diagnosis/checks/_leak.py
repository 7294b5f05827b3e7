"""Information in a score that new rows would not have: `data_leak`."""

from __future__ import annotations

from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._needs import lacking
from downslope.diagnosis._training_evidence import TrainingEvidence

DATA_LEAK = Symptom(
    "data_leak",
    Severity.PROBLEM,
    order=11,
    meaning="The score relies on what new rows lack: a row's number, its target among the inputs, or a copy of it.",
    quantity="score_gap",
)

_NEARLY_ALL = 0.9  # of what the reference gains over guessing
# Of the rows held back, those that are also among the training rows; a few of them change no score.
_SOME, _MANY = 0.01, 0.1
_BEYOND_CHANCE = 3.0
_FEWEST = 2
_OF_COPIES = ("copy_column", "copy_explained", "score_without_copy")


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


@check(DATA_LEAK, order=8, reads=("data.reference_score?", "data.chance_score?"))
def copied_targets(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find a column that holds the targets again.

    Quantity: the share of a column's variance that the targets explain, and the score of a simple learner without it.
    Theory: what is known only with the target tells nothing of a new row (Kaufman et al. 2012); a column that a
    threshold on it made classes of keeps most of its variance within them. Threshold: 95 % for classes, 99.9 % for
    numbers, and a reference that falls by the margin without it; a note where that is no better than guessing.
    """
    data = evidence.data
    name, explained, rest = (data.get(key) for key in _OF_COPIES)
    if name is None and explained is None and rest is None:
        return None
    lacks = lacking([f"data.{key}" for key in _OF_COPIES], evidence.trace)
    if lacks is not None:
        return NotRun(DATA_LEAK.key, lacks)
    lacks = lacking(("data.every_combination", "data.chance_score"), evidence.trace)
    if lacks is not None or evidence.reference is None:
        return NotRun(DATA_LEAK.key, lacks or "what a simple learner makes of the same rows is not known")
    assert explained is not None
    assert rest is not None
    if data["every_combination"] or evidence.reference - rest < evidence.margin or evidence.falls_short:
        return None
    return training_finding(
        evidence,
        DATA_LEAK,
        f"Column {name} holds the targets again: they explain {number(100 * explained)} % of it. Without it a "
        f"simple learner scores {number(rest)}, with it {number(evidence.reference)}. If it is known only with the "
        "target, the score is worth nothing for new rows.",
        "95 % of a column explained by classes, 99.9 % by numbers, and a reference that falls by the margin without it",
        numbers={"explained": explained, "score_without": rest},
        causes=("the target, or what follows from it, among the inputs", "a column filled in after the event"),
        remedies=(f"leave the column out: drop={name!r}",),
        # Where the others tell nothing, the column may be what the target follows from.
        problem=rest > (data["chance_score"] or 0.0) + evidence.margin,
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
