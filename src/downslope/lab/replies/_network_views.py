"""The predictions of a network as a picture: regions of a plane, a curve, or predicted against true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import downslope as ds
from downslope.lab.replies._request import rounded, spread_rows

_CELLS = 44  # of a plane along each side
_CURVE_POINTS = 120
_POINTS = 400  # examples that are drawn
_COUNTED = 2000  # examples in a confusion matrix
_MARGIN = 0.08  # of the range of the data
_DIGITS = 6


@dataclass(frozen=True, eq=False)
class EncodedRows:
    """The examples of a training.

    Args:
        inputs: as the network sees them, shape (rows, …).
        targets: shape (rows,) or (rows, outputs).
        is_held: whether each is held back, shape (rows,).
    """

    inputs: np.ndarray
    targets: np.ndarray
    is_held: np.ndarray


class View:
    """The kind of picture for a training, and its content at any moment.

    `kind` is "plane" for classes over two features, "line" for a number over one, "agreement" for numbers, predicted
    against true, and "confusion" for classes, predicted against true.

    Args:
        setup: the training.
        over: the two features of a plane; the first two that are numbers if they are not two numeric features.
    """

    def __init__(self, setup: ds.Setup, over: list[str] | None) -> None:
        encoding = setup.encoding
        assert encoding is not None
        self.encoding, self.target = encoding, encoding.target
        self._rows = _rows_of(setup)
        self.features = tuple(column.name for column in encoding.columns if column.kind == "number")
        wanted = [name for name in over or [] if name in self.features]
        self.over = tuple(wanted) if len(set(wanted)) == 2 else self.features[:2]
        self.kind = self._kind()

    def _kind(self) -> str:
        if self.predicts_numbers:
            return "line" if len(self.encoding.features) == 1 and len(self.target.names) == 1 else "agreement"
        return "plane" if len(self.over) == 2 else "confusion"

    @property
    def predicts_numbers(self) -> bool:
        """Whether the targets are numbers, and not classes."""
        return not self.target.categories

    @property
    def head(self) -> dict[str, Any]:
        """What stays the same during a training: the kind, the classes, and the examples."""
        rows = spread_rows(self.examples, _POINTS)
        head = {
            "kind": self.kind,
            "classes": [str(label) for label in self.target.categories],
            "target": ", ".join(self.target.names),
            "features": list(self.features),
            "over": list(self._axes),
            "examples": self.examples,
            "held": [bool(held) for held in self._rows.is_held[rows]],
            "rows": [int(row) for row in rows],
        }
        if self.kind == "plane":
            x, y = (rounded(self._raw(name)[rows], _DIGITS) for name in self.over)
            head |= {"x": x, "y": y, "class": [int(label) for label in self._rows.targets[rows]]}
        if self.kind == "line":
            x, y = self._raw(self.over[0])[rows], self._true()[rows]
            head |= {"x": rounded(x, _DIGITS), "y": rounded(y, _DIGITS)}
        return head | {"box": self._box()} if self.kind in ("plane", "line") else head

    def picture(self, training: ds.Training) -> dict[str, Any]:
        """Return the predictions of a training as it is."""
        if self.kind == "plane":
            return {"cells": self._plane(training)}
        if self.kind == "line":
            low, high = self._box()[0]
            x = np.linspace(low, high, _CURVE_POINTS)
            return {"curve": {"x": rounded(x, _DIGITS), "y": rounded(training.predict({self.over[0]: x}), _DIGITS)}}
        if self.kind == "agreement":
            rows = spread_rows(self.examples, _POINTS)
            predicted = self.encoding.decode(self._outputs(training, rows))
            return {
                "true": rounded(self._true()[rows], _DIGITS),
                "predicted": rounded(_first_column(predicted), _DIGITS),
            }
        return {"confusion": self._confusion(training).tolist()}

    @property
    def examples(self) -> int:
        """The number of examples, with those held back."""
        return len(self._rows.inputs)

    def example(self, row: int) -> tuple[np.ndarray, Any]:
        """Return an example as the network sees it, and its target."""
        return self._rows.inputs[row], self._rows.targets[row]

    @property
    def _axes(self) -> tuple[str, ...]:
        return self.over[: 1 if self.kind == "line" else 2]

    def _plane(self, training: ds.Training) -> list[int]:
        """Return for each cell, row by row from below, 1000 times its class plus the confidence in thousandths.

        One whole number a cell keeps a picture at 8 kB; all other features stay at their means, which are 0 when
        encoded.
        """
        (left, right), (low, high) = self._box()
        x, y = np.meshgrid(np.linspace(left, right, _CELLS), np.linspace(low, high, _CELLS))
        inputs = np.zeros((_CELLS * _CELLS, len(self.encoding.features)), np.float32)
        for name, values in zip(self.over, (x, y), strict=True):
            index = self.encoding.features.index(name)
            inputs[:, index] = (values.ravel() - self.encoding.mean[index]) / self.encoding.deviation[index]
        assert training.outputs is not None
        confidence = _confidence(training, training.outputs(inputs), len(self.target.categories))
        best = confidence.argmax(axis=1)
        share = np.nan_to_num(confidence[np.arange(len(best)), best])
        return [int(cell) for cell in 1000 * best + np.clip(np.rint(1000 * share), 0, 999)]

    def _confusion(self, training: ds.Training) -> np.ndarray:
        """Return the number of examples by true class, down, and predicted class, across; of those held back if any."""
        rows = np.flatnonzero(self._rows.is_held)[:_COUNTED]
        rows = rows if len(rows) else np.arange(len(self._rows.inputs))[:_COUNTED]
        predicted = training.classes(self._outputs(training, rows))
        classes = len(self.target.categories)
        counts = np.bincount(self._rows.targets[rows] * classes + predicted, minlength=classes * classes)
        return counts.reshape(classes, classes)

    def _outputs(self, training: ds.Training, rows: np.ndarray) -> np.ndarray:
        assert training.outputs is not None
        return training.outputs(self._rows.inputs[rows])

    def _raw(self, feature: str) -> np.ndarray:
        """Return a feature of all examples in its own scale."""
        index = self.encoding.features.index(feature)
        column = self._rows.inputs[:, index].astype(float)
        return column * self.encoding.deviation[index] + self.encoding.mean[index]

    def _true(self) -> np.ndarray:
        return _first_column(self.encoding.decode(self._rows.targets))

    def _box(self) -> list[list[float]]:
        """Return the range of each axis."""
        ranges = [(float(values.min()), float(values.max())) for values in map(self._raw, self._axes)]
        return [[low - _MARGIN * (high - low or 1), high + _MARGIN * (high - low or 1)] for low, high in ranges]


def _rows_of(setup: ds.Setup) -> EncodedRows:
    """Return the examples to train on, with those held back behind them."""
    batched = setup.task.objective.batched
    assert batched is not None
    inputs, targets = batched.examples
    if batched.held_out is None:
        return EncodedRows(inputs, targets, np.zeros(len(inputs), bool))
    held_inputs, held_targets = batched.held_out[:2]
    is_held = np.repeat([False, True], (len(inputs), len(held_inputs)))
    return EncodedRows(np.concatenate([inputs, held_inputs]), np.concatenate([targets, held_targets]), is_held)


def _confidence(training: ds.Training, outputs: np.ndarray, classes: int) -> np.ndarray:
    """Return the probability of each class, 1 for the predicted class where the loss makes no probabilities."""
    if training.trace.facts["network"]["loss"]["from_logits"] is None:
        return np.eye(classes)[training.classes(outputs)]
    return training.probabilities(outputs)


def _first_column(values: np.ndarray) -> np.ndarray:
    return values if values.ndim == 1 else values[:, 0]
