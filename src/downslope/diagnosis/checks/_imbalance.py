"""Rare classes that are not recognised: `imbalanced_classes`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from downslope.diagnosis._finding import Finding, NotRun, Quantity, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._needs import lacking, without
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.trace import class_labels

IMBALANCED_CLASSES = Symptom(
    "imbalanced_classes",
    Severity.PROBLEM,
    order=13,
    meaning="Some classes have few rows, and a network that ignores them is right about most rows.",
    quantity="lowest_recall",
    remedies=("balanced_weights", "more_steps", "adam", "larger_rate"),
)

_RARE = 0.5  # of an even share of the rows
_SHORT = 0.1  # of what the reference gains over guessing
_SHOWN = 6  # classes
_MANY = 10  # classes; of more, as of words, some are never the likeliest, and nothing says what the data allow
_SETS = ("validation", "training")
_OF_EACH = ("rows",)
_OF_THE_SCORE = (*_OF_EACH, "accuracy", "accuracy_error", "balanced_accuracy")


def _judged(evidence: TrainingEvidence) -> Mapping[str, Any]:
    """Return the scores with recalls, of rows held back or else of those trained on; {} without any."""
    scores = evidence.trace.facts.get("scores") or {}
    return next((entry for of in _SETS if (entry := scores.get(of)) and entry.get("recall")), {})


def _unmeasured(evidence: TrainingEvidence) -> str | None:
    """Return what the scores with recalls lack; None where nothing is missing."""
    scores, judged = evidence.trace.facts.get("scores") or {}, _judged(evidence)
    for of in _SETS:
        entry = scores.get(of) or {}
        names = _OF_THE_SCORE if entry is judged else _OF_EACH
        missing = next((name for name in names if entry.get(name) is None), None) if entry.get("recall") else None
        if missing is not None:
            return without(f"scores.{of}.{missing}")
    return None


def _lowest_recall(evidence: TrainingEvidence) -> float | None:
    """Return the recall of the class that is recognised least."""
    recalls = [recall for recall in _judged(evidence).get("recall") or () if recall is not None]
    return min(recalls) if recalls else None


def _pooled(evidence: TrainingEvidence) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of each class whose recall is known, held back or not, and it: of a rare one each row counts."""
    scores = (evidence.trace.facts.get("scores") or {}).values()
    known = [_known(entry) for entry in scores if entry and entry.get("recall")]
    rows = np.sum([rows for rows, _ in known], axis=0)
    right = np.sum([rows * recall for rows, recall in known], axis=0)
    present = rows > 0
    return rows[present], right[present] / rows[present]


def _known(scores: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and recall by class, with no rows where the recall is not known."""
    recalls = scores["recall"]
    rows = [0.0 if recall is None else float(rows) for rows, recall in zip(scores["rows"], recalls, strict=True)]
    return np.array(rows), np.array([recall or 0.0 for recall in recalls])


def _falls_short(evidence: TrainingEvidence) -> bool | None:
    """Tell whether the balanced accuracy over all rows is below the reference; None without one."""
    rows, recall = _pooled(evidence)
    is_own = evidence.metric == "balanced_accuracy"
    reference = evidence.reference if is_own else evidence.data.get("balanced_reference_score")
    if reference is None:
        return evidence.falls_short
    chance = (evidence.chance or 0.0) if is_own else 1 / len(rows)
    seen = evidence.data.get("rows")
    if not is_own and seen:
        # Batches show the same rows again, which are no new ones, and of each the learners saw one.
        rows = rows * min(seen / rows.sum(), 1.0)
    # So many rows of even classes would know the mean of the recalls as well.
    even = len(rows) ** 2 / float(np.sum(1 / rows))
    likely = min(max(reference, 0.05), 0.95)
    margin = max(_SHORT * (reference - chance), 2 * math.sqrt(likely * (1 - likely) / even))
    return bool(evidence.falls_short) or float(np.mean(recall)) < reference - margin


@check(
    IMBALANCED_CLASSES,
    needs=("data.class_counts?",),
    quantities=(Quantity("lowest_recall", "recall of the class that is recognised least", "higher", _lowest_recall),),
)
def imbalanced_classes(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find classes with less than half of an even share of the rows, with the recall of each.

    Quantity: the recall of each class on rows held back, and their mean, the balanced accuracy. Theory: a cross-entropy
    counts rows, so that a class of one row in fifty weighs a fiftieth; the mean of the recalls counts classes
    (Brodersen et al. 2010). Threshold: a problem where the balanced accuracy falls short of that of nearest neighbours,
    and a class is never recognised or the share of right rows is as it should be.
    """
    counts = evidence.data["class_counts"] or []
    present = [count for count in counts if count]
    if len(present) < 2 or min(present) >= _RARE * sum(present) / len(present):
        return None
    lacks = lacking(("scores.validation?", "scores.training?"), evidence.trace)
    if lacks is not None:
        return NotRun(IMBALANCED_CLASSES.key, lacks)
    scores = _judged(evidence)
    if not scores:
        return NotRun(IMBALANCED_CLASSES.key, "the recall of each class was not measured")
    lacks = _unmeasured(evidence)
    if lacks is not None:
        return NotRun(IMBALANCED_CLASSES.key, lacks)
    recalls = zip(class_labels(evidence.trace.facts, len(counts)), scores["recall"], strict=False)
    known = {label: recall for label, recall in recalls if recall is not None}
    missed = bool(np.any(_pooled(evidence)[1] == 0)) or (bool(evidence.falls_short) and min(known.values()) == 0)
    ignores = scores["accuracy"] >= max(present) / sum(present) - 2 * scores["accuracy_error"]
    short = _falls_short(evidence)
    problem = (missed and len(present) <= _MANY) if short is None else short and (missed or ignores)
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
        causes=("a loss that counts rows, not classes",),
        remedies=('class_weights="balanced"', "more rows of the rare classes", "a lower threshold for them"),
        problem=problem,
    )
