"""The scores of a trained network at the end: for classes one by one, for numbers with their standard error."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope._errors import SettingError
from downslope._text import aligned, html_table, number
from downslope._types import Plain
from downslope.networks._losses import chosen, probabilities
from downslope.networks.data import NUMBERS, area_under_curve

_MOST_CONFUSED = 100  # classes: a matrix of more would be the largest part of a saved run
_SPREAD = 10.0  # of positive targets: beyond it their logarithms are scored as well
_COLUMNS = ("precision", "recall", "f1", "auc")


@dataclass(frozen=True, eq=False)
class ClassScores:
    """The scores of a classifier on some rows, class by class.

    Args:
        classes: the labels of the classes, in the order of the other arguments.
        rows: the rows of each class, shape (classes,).
        precision: the share of right rows among those predicted as a class; NaN if there are none.
        recall: the share of right rows among those of a class; NaN if there are none.
        f1: the harmonic mean of precision and recall.
        auc: the area under the curve of true over false positives, by the probability of a class, or its output where
            the loss makes none; NaN where the rows are of one class.
        confusion: the rows by class and predicted class, shape (classes, classes); None for more than 100 classes.
        accuracy: the share of rows predicted right.
        balanced_accuracy: the mean recall of the classes that occur.

    >>> import downslope as ds
    >>> scores = ds.train("iris", steps=300, progress=False).class_scores["validation"]
    >>> scores.classes, scores.rows.tolist(), int(scores.confusion.sum())
    (('setosa', 'versicolor', 'virginica'), [10, 10, 10], 30)
    """

    classes: tuple[Any, ...]
    rows: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    auc: np.ndarray
    confusion: np.ndarray | None
    accuracy: float
    balanced_accuracy: float

    @classmethod
    def from_plain(cls, entries: Plain, labels: tuple[Any, ...] = ()) -> ClassScores:
        """Return the scores that a trace holds as plain data; without labels the classes are called by their index."""
        columns = {name: np.array(entries[name], dtype=float) for name in _COLUMNS}
        confusion = entries.get("confusion")
        return cls(
            classes=tuple(labels) or tuple(range(len(entries["rows"]))),
            rows=np.array(entries["rows"], dtype=int),
            confusion=None if confusion is None else np.array(confusion, dtype=int),
            accuracy=float(entries["accuracy"]),
            balanced_accuracy=float(entries["balanced_accuracy"]),
            **columns,
        )

    def __str__(self) -> str:
        return "\n".join([*aligned(self._table(), {0}), self._sentence])

    def __repr__(self) -> str:
        return f"<ClassScores: {self._sentence}>"

    def _repr_html_(self) -> str:
        return html_table(self._table(), html.escape(self._sentence))

    @property
    def _sentence(self) -> str:
        return f"accuracy {number(self.accuracy)}, balanced {number(self.balanced_accuracy)}"

    def _table(self) -> list[list[str]]:
        """Return the scores as rows of text, the headings first."""
        columns = [getattr(self, name) for name in _COLUMNS]
        body = [
            [
                str(label),
                str(rows),
                *("–" if math.isnan(column[index]) else f"{column[index]:.4f}" for column in columns),
            ]
            for index, (label, rows) in enumerate(zip(self.classes, self.rows, strict=True))
        ]
        return [["class", "rows", *_COLUMNS], *body]


def scores_at_end(
    kind: str, outputs: np.ndarray, targets: np.ndarray, loss: Plain, target: Mapping[str, Any] | None
) -> Plain:
    """Return the scores of outputs as plain data, None for what is not known.

    Args:
        kind: the kind of the targets.
        outputs: shape (rows, outputs).
        targets: indices of classes, shape (rows,), or numbers, shape (rows, outputs).
        loss: the loss as `Loss.describe` returns it.
        target: the target as plain data, which decodes outputs; None where it is not known.

    Returns:
        For classes those of `ClassScores`, with `accuracy_error` and `balanced_accuracy_error`; for numbers `rows`,
        `r2`, `r2_error`, `mean_absolute_error` and `root_mean_square_error` in their own unit, and `r2_of_logs`
        where they are positive and spread over more than a factor of ten.
    """
    flat = np.asarray(outputs, dtype=np.float64).reshape(len(outputs), -1)
    if kind == NUMBERS:
        # A run that exploded overflows here as well.
        with np.errstate(all="ignore"):
            scores = _of_numbers(flat, np.asarray(targets, np.float64), target)
        return {name: score if score is None or math.isfinite(score) else None for name, score in scores.items()}
    classes = len((target or {}).get("categories") or ()) or max(flat.shape[1], 2)
    return _of_classes(flat, np.asarray(targets), loss, classes)


def _of_classes(outputs: np.ndarray, targets: np.ndarray, loss: Plain, classes: int) -> Plain:
    """Return the scores of classes."""
    guesses = chosen(outputs, from_logits=loss["from_logits"] is not False)
    confusion = np.zeros((classes, max(classes, int(guesses.max(initial=0)) + 1)), dtype=int)
    np.add.at(confusion, (targets, guesses), 1)
    rows, right = confusion.sum(axis=1), np.diagonal(confusion)
    predicted = confusion.sum(axis=0)[:classes]
    precision, recall = (_shares(right, of) for of in (predicted, rows))
    f1 = _shares(2 * right, rows + predicted)
    present = rows > 0
    ranking = _ranking(outputs, loss, classes)
    areas = [
        None if ranking is None else area_under_curve(ranking[:, index], targets == index) for index in range(classes)
    ]
    # A share of no errors, or of nothing but errors, is not exact: one row of each kind is added (Laplace).
    likely = (right[present] + 1) / (rows[present] + 2)
    overall = (right.sum() + 1) / (rows.sum() + 2)
    count = int(present.sum())
    return {
        "rows": rows.tolist(),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "auc": areas,
        "confusion": confusion.tolist() if max(confusion.shape) <= _MOST_CONFUSED else None,
        "accuracy": float(right.sum() / rows.sum()),
        "accuracy_error": math.sqrt(overall * (1 - overall) / rows.sum()),
        "balanced_accuracy": float(np.mean(right[present] / rows[present])),
        "balanced_accuracy_error": math.sqrt(float(np.sum(likely * (1 - likely) / rows[present]))) / count,
    }


def _shares(parts: np.ndarray, wholes: np.ndarray) -> list[float | None]:
    """Return shares; None where the denominator is 0."""
    return [float(part / whole) if whole else None for part, whole in zip(parts, wholes, strict=True)]


def _ranking(outputs: np.ndarray, loss: Plain, classes: int) -> np.ndarray | None:
    """Return scores that rank rows by the likelihood of each class, shape (rows, classes); None if there are none."""
    if not np.isfinite(outputs).all():
        return None
    try:
        return probabilities(loss, outputs, classes)
    except SettingError:
        # A loss of the user's own: the outputs themselves, of which the single one of two classes is for the second.
        if outputs.shape[1] == 1 and classes == 2:
            return np.concatenate([-outputs, outputs], axis=1)
        return outputs if outputs.shape[1] == classes else None


def _of_numbers(outputs: np.ndarray, targets: np.ndarray, target: Mapping[str, Any] | None) -> Plain:
    """Return the scores of numbers."""
    targets = targets.reshape(len(targets), -1)
    names = ("r2", "r2_error", "mean_absolute_error", "root_mean_square_error", "r2_of_logs")
    scores: Plain = {"rows": len(targets), **dict.fromkeys(names)}
    if targets.shape != outputs.shape or not np.isfinite(outputs).all():
        return scores
    mean, deviation = (
        np.array((target or {}).get(name) or other) for name, other in (("mean", 0.0), ("deviation", 1.0))
    )
    residuals, around = targets - outputs, targets - targets.mean(axis=0)
    left, spread = (residuals**2).sum(axis=1), (around**2).sum(axis=1)
    scores["mean_absolute_error"] = float(np.mean(np.abs(residuals * deviation)))
    scores["root_mean_square_error"] = float(np.sqrt(np.mean((residuals * deviation) ** 2)))
    if spread.sum() > 0:
        share = left.sum() / spread.sum()
        scores["r2"] = float(1 - share)
        # The error of a ratio of two sums, from what each row adds to it (the delta method).
        rows = len(targets)
        if rows > 1:
            scores["r2_error"] = float(np.sqrt(rows / (rows - 1) * np.sum((left - share * spread) ** 2)) / spread.sum())
    raw = targets * deviation + mean
    if raw.shape[1] == 1 and raw.min() > 0 and np.quantile(raw, 0.95) > _SPREAD * np.quantile(raw, 0.05):
        logs = np.log(raw)
        guessed = np.log(np.maximum(outputs * deviation + mean, raw.min()))
        scores["r2_of_logs"] = float(1 - np.mean((logs - guessed) ** 2) / np.var(logs))
    return scores
