"""Labels that the inputs do not determine: `label_problem`."""

from __future__ import annotations

from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

LABEL_PROBLEM = Symptom(
    "label_problem",
    Severity.PROBLEM,
    order=10,
    meaning="The labels are unrelated to the inputs, or all of one class.",
    quantity="score_gap",
    remedies=("early_stopping", "weight_decay", "dropout"),
)

# Of what there is to gain: where three deviations are more, hardly any score would stand out of those by luck.
_ROOM = 1 / 3
_FEWEST = 50  # rows of the rarest of uneven classes
_DEVIATIONS = 3.0
_OUTLYING = 6.0  # deviations; of a million numbers of a bell curve none lies there


@check(
    LABEL_PROBLEM,
    reads=(
        *("data.class_counts|data.target_low", "data.class_counts|data.target_high", "data.reference_score"),
        *("data.shuffled_score", "data.shuffled_deviation", "data.chance_score"),
    ),
)
def label_problem(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find labels unrelated to the inputs, or a single class.

    Quantity: the leave-one-out score of nearest neighbours (or ridge regression) on the labels, beside its scores on
    the same labels shuffled. Theory: a permutation test; if shuffling changes nothing, the inputs tell nothing that a
    neighbourhood could. Threshold: three deviations of the shuffled scores, where these are less than a third of
    what there is to gain, and the rarest of uneven classes has 50 rows.
    """
    data = evidence.data
    counts = data.get("class_counts") or []
    low, high = data.get("target_low"), data.get("target_high")
    if sum(count > 0 for count in counts) == 1 or (low is not None and low == high):
        return _constant(evidence)
    if evidence.is_learnable or not (evidence.score is None or evidence.falls_short or _guesses(evidence)):
        return None
    room = _ROOM * (1 - (data.get("chance_score") or 0.0))
    if _DEVIATIONS * (data.get("shuffled_deviation") or 0.0) > room:
        return NotRun(LABEL_PROBLEM.key, "the rows are too few to tell labels from shuffled ones")
    rarest = min((count for count in counts if count), default=_FEWEST)
    if evidence.metric == "balanced_accuracy" and rarest < _FEWEST:
        return NotRun(
            LABEL_PROBLEM.key, f"the rarest class has too few rows to tell labels from shuffled ones: {rarest}"
        )
    return _unrelated(evidence)


def _constant(evidence: TrainingEvidence) -> Finding:
    """Return the finding for targets that are all the same."""
    same = "of one class" if evidence.data.get("class_counts") else "of one target"
    return training_finding(
        evidence,
        LABEL_PROBLEM,
        f"All rows are {same}: there is nothing to learn.",
        "at least two classes, or numbers that differ",
        numbers={"classes": 1},
        causes=("a wrong target column", "rows sorted by class and cut"),
        remedies=("check the target column",),
        problem=True,
    )


def _guesses(evidence: TrainingEvidence) -> bool:
    """Tell whether the network does no better than guessing."""
    if evidence.score is None or evidence.chance is None:
        return True
    return evidence.score <= evidence.chance + evidence.margin


def _unrelated(evidence: TrainingEvidence) -> Finding:
    """Return the finding for labels that shuffling makes no worse."""
    data, far = evidence.data, _farthest(evidence)
    causes = ("rows of inputs and targets out of step", "wrong labels", "inputs without the information")
    remedies: tuple[str, ...] = ("check that each row's target is its own",)
    tail = ""
    if far is not None and far > _OUTLYING:
        tail = f" Some targets lie {number(far)} deviations from their mean: so few rows may hide what the others show."
        causes = ("a few targets that are wrong or in another unit", *causes)
        remedies = ("look at the lowest and highest targets", "a Huber loss or mean absolute error", *remedies)
    by = str(data.get("reference_by") or "a simple learner")
    by += " score" if by.endswith("s") else " scores"
    if data.get("features") and data.get("constant_features") == data["features"]:
        tail = " No input varies from row to row."
        causes, remedies = ("inputs that were filled with one value",), ("look at the columns of the inputs",)
    return training_finding(
        evidence,
        LABEL_PROBLEM,
        f"The targets have nothing to do with the inputs, as far as similar rows tell: {by} "
        f"{number(data['reference_score'])} on them and {number(data['shuffled_score'])} on shuffled ones.{tail}",
        "three deviations of the score on shuffled targets",
        numbers={name: data.get(name) for name in ("reference_score", "shuffled_score", "shuffled_deviation")},
        causes=causes,
        remedies=remedies,
        problem=True,
    )


def _farthest(evidence: TrainingEvidence) -> float | None:
    """Return how many deviations the farthest target lies from their mean; None for classes, or where not known."""
    low, high, mean, deviation = (evidence.data.get(f"target_{name}") for name in ("low", "high", "mean", "deviation"))
    if low is None or high is None or mean is None or not deviation:
        return None
    return float(max(high - mean, mean - low) / deviation)
