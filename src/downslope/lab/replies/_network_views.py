"""What a network makes of its data, to be drawn: regions of a plane, a curve, or predictions against what is true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import downslope as ds
from downslope.lab.replies._request import kept, shown
from downslope.networks._losses import chosen, probabilities
from downslope.networks.data._encoding import Encoding
from downslope.networks.data._target import NUMBERS

_CELLS = 44  # of a plane along each side
_ALONG = 120  # points of a curve
_POINTS = 400  # examples that are drawn
_JUDGED = 2000  # examples that are counted
_ROOM = 0.08  # of the range of the data, around them
_DIGITS = 6


@dataclass(frozen=True, eq=False)
class Seen:
    """The examples of a training as they are drawn.

    Args:
        inputs: as the network sees them, shape (rows, …).
        targets: shape (rows,) or (rows, outputs).
        is_held: whether each is held back, shape (rows,).
    """

    inputs: np.ndarray
    targets: np.ndarray
    is_held: np.ndarray


class View:
    """How a training is drawn: `kind` says as what.

    "plane": classes over two features; "line": a number over one; "agreement": numbers, predicted against true;
    "confusion": classes, predicted against true.

    Args:
        setup: the training.
        over: the two features to draw classes over; the first two that are numbers if they are none.
    """

    def __init__(self, setup: ds.Setup, over: list[str] | None) -> None:
        batched = setup.task.objective.batched
        assert batched is not None
        self.encoding = Encoding.from_dict(batched.facts["encoding"])
        self.target = self.encoding.target
        self._seen = _seen(batched)
        numbers = [column.name for column in self.encoding.columns if column.kind == "number"]
        self.features = tuple(numbers)
        wanted = [name for name in over or [] if name in numbers]
        self.over = tuple(wanted) if len(set(wanted)) == 2 else tuple(numbers[:2])
        self.kind = self._kind()

    def _kind(self) -> str:
        if self.target.kind == NUMBERS:
            return "line" if len(self.encoding.features) == 1 and len(self.target.names) == 1 else "agreement"
        return "plane" if len(self.over) == 2 else "confusion"

    @property
    def head(self) -> dict[str, Any]:
        """What stays: the kind, the classes, and the examples."""
        rows = kept(self.examples, _POINTS)
        told = {
            "kind": self.kind,
            "classes": [str(label) for label in self.target.categories],
            "target": ", ".join(self.target.names),
            "features": list(self.features),
            "over": list(self.over[: 1 if self.kind == "line" else 2]),
            "examples": self.examples,
            "held": [bool(held) for held in self._seen.is_held[rows]],
            "rows": [int(row) for row in rows],
        }
        if self.kind == "plane":
            columns = [shown(self._raw(name)[rows], _DIGITS) for name in self.over]
            told |= {"x": columns[0], "y": columns[1], "class": [int(one) for one in self._seen.targets[rows]]}
        if self.kind == "line":
            told |= {"x": shown(self._raw(self.over[0])[rows], _DIGITS), "y": shown(self._true()[rows], _DIGITS)}
        return told | {"box": self._box()} if self.kind in ("plane", "line") else told

    def picture(self, training: ds.Training) -> dict[str, Any]:
        """Return what the network makes of it as it is."""
        if self.kind == "plane":
            return {"cells": self._plane(training)}
        if self.kind == "line":
            low, high = self._box()[0]
            x = np.linspace(low, high, _ALONG)
            return {"curve": {"x": shown(x, _DIGITS), "y": shown(training.predict({self.over[0]: x}), _DIGITS)}}
        if self.kind == "agreement":
            rows = kept(self.examples, _POINTS)
            predicted = self.encoding.decode(self._outputs(training, rows))
            return {"true": shown(self._true()[rows], _DIGITS), "predicted": shown(_first(predicted), _DIGITS)}
        return {"confusion": self._confusion(training).tolist()}

    @property
    def examples(self) -> int:
        """How many there are, those held back among them."""
        return len(self._seen.inputs)

    def example(self, row: int) -> tuple[np.ndarray, Any]:
        """Return an example as the network sees it, and its target."""
        return self._seen.inputs[row], self._seen.targets[row]

    def _plane(self, training: ds.Training) -> list[int]:
        """Return for each cell, row by row from below, 1000 times its class plus how sure it is, in thousandths."""
        (left, right), (low, high) = self._box()
        x, y = np.meshgrid(np.linspace(left, right, _CELLS), np.linspace(low, high, _CELLS))
        inputs = np.zeros((_CELLS * _CELLS, len(self.encoding.features)), np.float32)  # the others at their means
        for name, numbers in zip(self.over, (x, y), strict=True):
            place = self.encoding.features.index(name)
            inputs[:, place] = (numbers.ravel() - self.encoding.mean[place]) / self.encoding.deviation[place]
        assert training.outputs is not None
        outputs = training.outputs(inputs)
        sure = _probabilities(training, outputs, len(self.target.categories))
        best = sure.argmax(axis=1)
        share = np.nan_to_num(sure[np.arange(len(best)), best])
        return [int(one) for one in 1000 * best + np.clip(np.rint(1000 * share), 0, 999)]

    def _confusion(self, training: ds.Training) -> np.ndarray:
        """Return how many examples of each class, down, are taken for each class, across; of those held back."""
        rows = np.flatnonzero(self._seen.is_held)[:_JUDGED]
        rows = rows if len(rows) else np.arange(len(self._seen.inputs))[:_JUDGED]
        logits = training.trace.facts["network"]["loss"]["from_logits"]
        taken = chosen(self._outputs(training, rows), from_logits=logits is not False)
        classes = len(self.target.categories)
        counts = np.bincount(self._seen.targets[rows] * classes + taken, minlength=classes * classes)
        return counts.reshape(classes, classes)

    def _outputs(self, training: ds.Training, rows: np.ndarray) -> np.ndarray:
        assert training.outputs is not None
        return training.outputs(self._seen.inputs[rows])

    def _raw(self, feature: str) -> np.ndarray:
        """Return a feature of all examples as it was given."""
        place = self.encoding.features.index(feature)
        column = self._seen.inputs[:, place].astype(float)
        return column * self.encoding.deviation[place] + self.encoding.mean[place]

    def _true(self) -> np.ndarray:
        return _first(self.encoding.decode(self._seen.targets))

    def _box(self) -> list[list[float]]:
        """Return the range of each axis."""
        axes = [self._raw(name) for name in self.over[: 1 if self.kind == "line" else 2]]
        ends = [(float(axis.min()), float(axis.max())) for axis in axes]
        return [[low - _ROOM * (high - low or 1), high + _ROOM * (high - low or 1)] for low, high in ends]


def _seen(batched: Any) -> Seen:
    """Return the examples to train on, and those held back behind them."""
    inputs, targets = batched.examples
    if batched.held_out is None:
        return Seen(inputs, targets, np.zeros(len(inputs), bool))
    held = batched.held_out
    sizes = (len(inputs), len(held[0]))
    return Seen(np.concatenate([inputs, held[0]]), np.concatenate([targets, held[1]]), np.repeat([False, True], sizes))


def _probabilities(training: ds.Training, outputs: np.ndarray, classes: int) -> np.ndarray:
    """Return how sure the network is of each class; certainty for a loss that makes no probabilities."""
    loss = training.trace.facts["network"]["loss"]
    if loss["from_logits"] is None:
        return np.eye(classes)[chosen(outputs, from_logits=True)]
    return probabilities(loss, outputs, classes)


def _first(numbers: np.ndarray) -> np.ndarray:
    return numbers if numbers.ndim == 1 else numbers[:, 0]
