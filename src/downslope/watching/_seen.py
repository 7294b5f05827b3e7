"""Facts of the data that a watch has seen: a sample of rows, and what simple learners make of it.

Rows are kept in memory alone, at most as many as the watch was allowed; facts hold counts, means and scores. A loop
shows the same rows in every epoch, so that each is kept once: of repeats nothing can be said.
"""

from __future__ import annotations

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
_FEWEST = 20  # rows that learners are compared on


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
        return {name: fact for name, fact in measured.items() if name not in _NOT_SEEN}


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
    """Return facts on data without scores that are of another metric than those that the loop measures."""
    metric = facts.get("metric")
    scores = ("reference_score", "reference_by", "shuffled_score", "shuffled_deviation", "chance_score", "metric")
    if metric == "balanced_accuracy" and not any(name.endswith("balanced_accuracy") for name in measured):
        return {name: fact for name, fact in facts.items() if name not in scores}
    return dict(facts)
