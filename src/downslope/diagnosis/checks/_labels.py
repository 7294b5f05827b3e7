"""Labels that the inputs do not tell: `label_problem`."""

from __future__ import annotations

from downslope.diagnosis._finding import Finding, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

LABEL_PROBLEM = Symptom(
    "label_problem",
    Severity.PROBLEM,
    order=10,
    meaning="The labels are unrelated to the inputs, of one class, or of classes with next to no rows.",
    quantity="score_gap",
    remedies=("early_stopping", "weight_decay", "dropout"),
)

# A class of which there are fewer rows than a tenth of an even share is hardly ever seen in a batch.
_RARE = 0.1


@check(
    LABEL_PROBLEM,
    reads=(
        "data.class_counts|data.target_mean",
        "data.reference_score",
        "data.shuffled_score",
        "data.shuffled_deviation",
    ),
)
def label_problem(evidence: TrainingEvidence) -> Finding | None:
    """Find labels unrelated to the inputs, a single class, or classes of which there are next to none.

    Quantity: the leave-one-out score of nearest neighbours (or ridge regression) on the labels, beside its scores on
    the same labels shuffled. Theory: a permutation test; if shuffling changes nothing, the inputs tell nothing that a
    neighbourhood could. Threshold: three deviations of the shuffled scores.
    """
    data = evidence.data
    counts = data.get("class_counts") or []
    if sum(count > 0 for count in counts) == 1:
        return training_finding(
            evidence,
            LABEL_PROBLEM,
            "All rows are of one class: there is nothing to tell apart.",
            "at least two classes",
            numbers={"classes": 1},
            causes=("a wrong target column", "rows sorted by class and cut"),
            remedies=("look at the target column",),
            problem=True,
        )
    if not evidence.is_learnable and (evidence.score is None or evidence.falls_short or _guesses(evidence)):
        return _unrelated(evidence)
    rare = [index for index, count in enumerate(counts) if count < _RARE * sum(counts) / len(counts)]
    return _unbalanced(evidence, counts, rare) if rare else None


def _guesses(evidence: TrainingEvidence) -> bool:
    """Tell whether the network does no better than guessing."""
    if evidence.score is None or evidence.chance is None:
        return True
    return evidence.score <= evidence.chance + evidence.margin


def _unrelated(evidence: TrainingEvidence) -> Finding:
    """Return the finding for labels that shuffling makes no worse."""
    data = evidence.data
    return training_finding(
        evidence,
        LABEL_PROBLEM,
        f"The targets have nothing to do with the inputs, as far as similar rows tell: {data['reference_by']} score "
        f"{number(data['reference_score'])} on them and {number(data['shuffled_score'])} on shuffled ones.",
        "three deviations of the score on shuffled targets",
        numbers={name: data.get(name) for name in ("reference_score", "shuffled_score", "shuffled_deviation")},
        causes=("rows of inputs and targets out of step", "wrong labels", "inputs without the information"),
        remedies=("check that each row's target is its own",),
        problem=True,
    )


def _unbalanced(evidence: TrainingEvidence, counts: list[int], rare: list[int]) -> Finding:
    """Return the finding for classes that are next to absent."""
    fewest, most = min(counts), max(counts)
    return training_finding(
        evidence,
        LABEL_PROBLEM,
        f"{len(rare)} of {len(counts)} classes are hardly there: the rarest has {fewest} rows, the commonest {most}.",
        "a class with less than a tenth of an even share of the rows",
        numbers={"fewest_rows": fewest, "most_rows": most},
        causes=("classes drawn unevenly",),
        remedies=("more rows of the rare classes", "weights that make up for it"),
    )
