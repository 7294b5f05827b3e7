"""Facts of the data that a watch has seen: a sample of rows, and the scores of simple learners on it.

Rows are kept in memory alone, at most as many as the watch was allowed; facts hold counts, means and scores. A loop
shows the same rows in every epoch, so that each is kept once: of repeats nothing can be said.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from downslope._errors import DownslopeError

_CLASSES, _TWO, _NUMBERS = "classes", "two classes", "numbers"
# What the order in which rows were seen, and rows that were seen twice, say nothing of.
_NOT_SEEN = (
    "every_combination",
    *("rows_compared", "repeated_rows", "rows_on_both_sides", "share_on_both_sides", "repeats_by_chance"),
    *("row_number", "row_number_score", "score_without", "validation_rows", "validation_reference_score"),
    *("shift_auc", "shift_error", "shift_column", "shift_column_auc"),
    *("between_batches", "between_batches_shuffled", "between_batches_deviation"),
)
_COMPARED = ("reference_score", "reference_by", "shuffled_score", "shuffled_deviation", "chance_score", "metric")
_FEWEST = 20  # rows that learners are compared on
_MOST_BATCHES, _MOST_ORDERED = 500, 20_000  # batches, and rows of them, whose order is measured
_MOST_BLOCKS = 64  # that recalls are kept in, however long a training is
_LATE, _LATEST = 2, 4  # the parts of a training whose end the recalls are of: the fourth where its rows are enough
# Of fewer rows of a class not even that none is recognised says much: of ten, up to a quarter may be after all.
_FEWEST_OF_CLASS, _ENOUGH_OF_CLASS = 10, 30


class SeenRows:
    """A sample of the rows of a training, each once, and what they are.

    Args:
        most: the most rows that are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._inputs: list[np.ndarray] = []
        self._targets: list[np.ndarray] = []
        self._known: set[bytes] = set()
        self._counts: np.ndarray | None = None
        self._measured = 0  # rows that the facts were measured on
        self._facts: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self._inputs)

    @property
    def is_full(self) -> bool:
        """Whether no more rows are wanted."""
        return len(self._inputs) >= self._most

    def add(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Add rows, those that are new; inputs as (rows, features), targets as (rows, …)."""
        for row, target in zip(inputs, targets, strict=True):
            # Numbers may come with the rounding of the step that they were computed in; then the row alone decides.
            key = row.tobytes() + (b"" if target.dtype.kind == "f" else target.tobytes())
            if self.is_full or key in self._known:
                continue
            self._known.add(key)
            self._inputs.append(row.copy())
            self._targets.append(target.copy())

    def count(self, classes: np.ndarray) -> None:
        """Add how many rows of each class a batch had."""
        self._counts = classes.astype(float) if self._counts is None else self._counts + classes

    def facts(self, kind: str | None, outputs: int | None) -> dict[str, Any]:
        """Return the facts on the rows so far, as plain data.

        Args:
            kind: "classes" or "numbers", as the loss has it; None where that is not known.
            outputs: the number of classes.
        """
        # Learners are compared again once there are four times as many rows, and at the end.
        if len(self) >= max(_FEWEST, 4 * self._measured):
            self._measured = len(self)
            self._facts = self._measure(kind)
        facts = dict(self._facts)
        if self._counts is not None and self._counts.sum() > 0:
            facts["class_counts"] = [int(count) for count in self._counts]
            facts.setdefault("target_kind", _TWO if (outputs or 0) == 2 else _CLASSES)
        return facts

    def settle(self) -> None:
        """Have the facts measured again on all rows at the next time."""
        if len(self) > 1.1 * self._measured:
            self._measured = 0

    def _measure(self, kind: str | None) -> dict[str, Any]:
        """Return the facts on the rows that are kept."""
        inputs = np.stack(self._inputs).astype(np.float32)
        targets = np.stack(self._targets)
        if kind is None or not np.all(np.isfinite(inputs)) or not np.all(np.isfinite(targets.astype(float))):
            return _of_inputs(inputs)
        from downslope.networks import examples, facts

        if kind == _NUMBERS:
            targets = targets.reshape(len(targets), -1).astype(np.float32)
            targets = targets[:, 0] if targets.shape[1] == 1 else targets
        else:
            targets = targets.astype(np.int64).reshape(-1)
        try:
            task = "numbers" if kind == _NUMBERS else "classes"
            known = examples((inputs, targets), standardise=False, scale_targets=False, task=task)
            measured = facts(known)
        except DownslopeError:  # rows that no learner takes, such as those of one class
            return _of_inputs(inputs)
        # What reproduces its inputs is held back by its narrowest layer, of which no simple learner knows.
        unlike = _COMPARED if kind == _NUMBERS and _are_same(inputs, targets) else ()
        return {name: fact for name, fact in measured.items() if name not in (*_NOT_SEEN, *unlike)}


class BatchOrder:
    """How the rows of each class are spread over batches, by the batches that were looked at."""

    def __init__(self) -> None:
        self._batches: collections.deque[np.ndarray] = collections.deque(maxlen=_MOST_BATCHES)

    def add(self, counts: np.ndarray) -> None:
        """Add how many rows of each class a batch has."""
        if counts.sum() > 0:
            self._batches.append(counts.astype(int))

    def facts(self) -> dict[str, Any]:
        """Return how much of the variance of the classes lies between batches; nothing where too few were seen."""
        from downslope.networks import facts_of_arrays

        sizes = [int(counts.sum()) for counts in self._batches]
        if not sizes or len({len(counts) for counts in self._batches}) > 1:
            return {}
        size = max(set(sizes), key=sizes.count)
        whole = [counts for counts, rows in zip(self._batches, sizes, strict=True) if rows == size]
        kept = whole[-max(_MOST_ORDERED // size, 1) :]
        classes = np.concatenate([np.repeat(np.arange(len(counts)), counts) for counts in kept])
        facts = facts_of_arrays([classes], None, size)
        return {} if facts["between_batches"] is None else {name: facts[name] for name in facts if "between" in name}


class ClassRecalls:
    """How many rows of each class were recognised, look by look, in as many blocks as fit into bounded memory."""

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []
        self._open: list[np.ndarray] = []
        self._size = 1  # looks of a block

    def add(self, counts: np.ndarray) -> None:
        """Add rows of each class and the right ones among them, shape (2, classes)."""
        if self._blocks and self._blocks[0].shape != counts.shape:
            return  # another loss
        self._open.append(counts)
        if len(self._open) == self._size:
            self._blocks.append(np.sum(self._open, axis=0))
            self._open = []
        if len(self._blocks) > _MOST_BLOCKS:
            pairs = self._blocks[: len(self._blocks) // 2 * 2]
            self._open = [*self._blocks[len(pairs) :], *self._open]
            self._blocks = [first + second for first, second in zip(pairs[::2], pairs[1::2], strict=True)]
            self._size *= 2

    def late(self) -> np.ndarray | None:
        """Return the counts of the end: the last quarter, or up to the last half where a class has few rows in it."""
        blocks = [*self._blocks, *([np.sum(self._open, axis=0)] if self._open else [])]
        if not blocks:
            return None
        present = np.sum(blocks, axis=0)[0] > 0
        taken = -(-len(blocks) // _LATEST)
        while taken < len(blocks) // _LATE and np.sum(blocks[-taken:], axis=0)[0][present].min() < _ENOUGH_OF_CLASS:
            taken += 1
        return np.sum(blocks[-taken:], axis=0)


def scores_of_classes(rows: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Return the scores of classes as plain data; the recall of a class with less than ten rows is None.

    Args:
        rows: of each class.
        right: the right ones among them.

    >>> scores_of_classes(np.array([90.0, 10.0, 2.0]), np.array([90.0, 5.0, 0.0]))["recall"]
    [1.0, 0.5, None]
    """
    known = rows >= _FEWEST_OF_CLASS
    if not known.any():
        return {}
    shares = right[known] / rows[known]
    # A share of no errors, or of nothing but errors, is not exact: one row of each kind is added (Laplace).
    likely = (right[known] + 1) / (rows[known] + 2)
    overall = (right.sum() + 1) / (rows.sum() + 2)
    recalls = iter(shares.tolist())
    return {
        "rows": [int(count) for count in rows],
        "recall": [next(recalls) if each else None for each in known],
        "accuracy": float(right.sum() / rows.sum()),
        "accuracy_error": float(np.sqrt(overall * (1 - overall) / rows.sum())),
        "balanced_accuracy": float(shares.mean()),
        "balanced_accuracy_error": float(np.sqrt(np.sum(likely * (1 - likely) / rows[known])) / known.sum()),
    }


def _are_same(inputs: np.ndarray, targets: np.ndarray) -> bool:
    """Tell whether the targets are the inputs."""
    return inputs.size == targets.size and bool(np.array_equal(inputs.ravel(), targets.ravel()))


def _of_inputs(inputs: np.ndarray) -> dict[str, Any]:
    """Return the facts on inputs of which nothing else can be said."""
    finite = inputs[np.all(np.isfinite(inputs), axis=1)]
    if not len(finite):
        return {}
    return {
        "features": int(inputs.shape[1]),
        "input_mean": float(finite.mean(dtype=float)),
        "input_deviation": float(finite.std(dtype=float)),
        "input_low": float(finite.min()),
        "input_high": float(finite.max()),
    }


def comparable(facts: Mapping[str, Any], measured: Collection[str]) -> dict[str, Any]:
    """Return facts on data without scores that are of another metric than those that the loop measures.

    What learners score in balanced accuracy is kept for the recalls of the watched batches.
    """
    metric = facts.get("metric")
    if metric == "balanced_accuracy" and not any(name.endswith("balanced_accuracy") for name in measured):
        kept = {name: fact for name, fact in facts.items() if name not in _COMPARED}
        return {**kept, "balanced_reference_score": facts.get("reference_score")}
    return dict(facts)
