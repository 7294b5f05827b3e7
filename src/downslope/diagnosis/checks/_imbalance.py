"""Classes of few rows that are not recognised: `imbalanced_classes`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from downslope.diagnosis._finding import Finding, NotRun, Quantity, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._training_evidence import TrainingEvidence

IMBALANCED_CLASSES = Symptom(
    "imbalanced_classes",
    Severity.PROBLEM,
    order=13,
    meaning="Some classes have few rows, and a network that ignores them is right about most rows.",
    quantity="lowest_recall",
    remedies=("balanced_weights", "more_steps", "adam", "larger_rate"),
)

_RARE = 0.5  # of an even share of the rows
_SHOWN = 6  # classes


def _lowest_recall(evidence: TrainingEvidence) -> float | None:
    """Return the recall of the class that is recognised least."""
    recalls = [recall for recall in (_scores(evidence) or {}).get("recall", ()) if recall is not None]
    return min(recalls) if recalls else None


def _scores(evidence: TrainingEvidence) -> Mapping[str, Any] | None:
    """Return the scores at the end on rows held back, or on those trained on where none were."""
    scores = evidence.trace.facts.get("scores") or {}
    return scores.get("validation") or scores.get("training")


@check(
    IMBALANCED_CLASSES,
    needs=("data.class_counts?", "scores.validation?"),
    quantities=(Quantity("lowest_recall", "recall of the class that is recognised least", "higher", _lowest_recall),),
)
def imbalanced_classes(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find classes with less than half of an even share of the rows, with the recall of each.

    Quantity: the recall of each class on rows held back, and their mean, the balanced accuracy. Theory: a cross-entropy
    counts rows, so that a class of one row in fifty weighs a fiftieth; the mean of the recalls counts classes
    (Brodersen et al. 2010). Threshold: a problem where a class is never recognised, or only the share of right rows is as it
    should be, and the balanced accuracy falls short of that of nearest neighbours.
    """
    counts = evidence.data["class_counts"] or []
    present = [count for count in counts if count]
    if len(present) < 2 or min(present) >= _RARE * sum(present) / len(present):
        return None
    scores = _scores(evidence)
    if not scores or "recall" not in scores:
        return NotRun(IMBALANCED_CLASSES.key, "the recall of each class was not measured")
    recalls = zip(_labels(evidence, len(counts)), scores["recall"], strict=False)
    known = {label: recall for label, recall in recalls if recall is not None}
    missed = [label for label, recall in known.items() if recall == 0]
    ignores = scores["accuracy"] >= max(present) / sum(present) - 2 * scores["accuracy_error"]
    short = evidence.falls_short
    problem = bool(missed) if short is None else short and (bool(missed) or ignores)
    lowest = sorted(known, key=lambda label: known[label])[:_SHOWN]
    each = ", ".join(f"{label} {number(known[label])}" for label in lowest)
    rarest = min(present)
    return training_finding(
        evidence,
        IMBALANCED_CLASSES,
        f"The rarest of {len(present)} classes has {rarest} of {sum(present)} rows, so accuracy says little. "
        f"{'Recall by class, the lowest first' if len(known) > _SHOWN else 'Recall by class'}: {each}.",
        "every class recognised, and a balanced accuracy within the margin of nearest neighbours",
        numbers={
            "fewest_rows": rarest,
            "most_rows": max(present),
            "lowest_recall": min(known.values()) if known else None,
            "balanced_accuracy": scores["balanced_accuracy"],
        },
        causes=("rows that are counted, not classes",),
        remedies=('class_weights="balanced"', "more rows of the rare classes", "a lower threshold for them"),
        problem=problem,
    )


def _labels(evidence: TrainingEvidence, classes: int) -> list[str]:
    """Return the labels of the classes, or their indices."""
    target = (evidence.trace.facts.get("encoding") or {}).get("target") or {}
    labels = [str(label) for label in target.get("categories") or ()]
    return labels if len(labels) == classes else [str(index) for index in range(classes)]
