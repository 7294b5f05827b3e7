"""The predictions of a network as a picture: regions of a plane, a curve, or predicted against true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import downslope as ds
from downslope._numbers import evenly_spread
from downslope._text import number
from downslope.lab.replies._formula_verbs import heights_reply
from downslope.lab.replies._network_choices import setup_of
from downslope.lab.replies._request import Box, PageRequest, RequestError, are_alike, factor, filling, rounded

_CELLS = 44  # of a plane along each side
_HEIGHT_CELLS = 31  # of the surface of a predicted number along each side
_CURVE_POINTS = 120
_POINTS = 400  # examples that are drawn
_COUNTED = 2000  # examples in a confusion matrix
_MARGIN = 0.08  # of the range of the data
_DIGITS = 6
_SHAPES = 4  # of a picture
_FLATTEST = 0.05  # height over width of a picture


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
        ratios: the widths of pictures over their heights, each of which the box fills; none for one that fits the data.
    """

    def __init__(self, setup: ds.Setup, over: list[str] | None, ratios: Sequence[float] = ()) -> None:
        encoding = setup.encoding
        assert encoding is not None
        self.encoding, self.target = encoding, encoding.target
        self._rows = _rows_of(setup)
        self.features = tuple(column.name for column in encoding.columns if column.kind == "number")
        wanted = [name for name in over or [] if name in self.features]
        self.over = tuple(wanted) if len(set(wanted)) == 2 else self.features[:2]
        self.kind = self._kind()
        self._ratios = ratios

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
        """The constants of a training: the kind, the classes, and the examples."""
        rows = evenly_spread(self.examples, _POINTS)
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
        if self.kind == "agreement" and len(self.over) == 2:
            head |= {"over": list(self.over), "box": [list(span) for span in self._ranges()]}
        if self.kind in ("plane", "line"):
            head |= {"box": self._box(), "has_equal_units": self.kind == "plane" and are_alike(self._ranges())}
            head |= {"least": [list(span) for span in self._ranges()]}
        return head

    def picture(self, training: ds.Training) -> dict[str, Any]:
        """Return the predictions of a training as it is."""
        if self.kind == "plane":
            return {"cells": self._plane(training)}
        if self.kind == "line":
            low, high = self._box()[0]
            x = np.linspace(low, high, _CURVE_POINTS)
            return {"curve": {"x": rounded(x, _DIGITS), "y": rounded(training.predict({self.over[0]: x}), _DIGITS)}}
        if self.kind == "agreement":
            rows = evenly_spread(self.examples, _POINTS)
            predicted = self.encoding.decode(self._outputs(training, rows))
            return {
                "true": rounded(self._true()[rows], _DIGITS),
                "predicted": rounded(_first_column(predicted), _DIGITS),
                "heights": self._heights(training) if len(self.over) == 2 else None,
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

    def _heights(self, training: ds.Training) -> dict[str, Any]:
        """Return the predicted number over the two features, all others at their means."""
        assert training.outputs is not None
        predicted = _first_column(self.encoding.decode(training.outputs(self.inputs(_HEIGHT_CELLS))))
        heights = np.asarray(predicted, float).reshape(_HEIGHT_CELLS, _HEIGHT_CELLS)
        finite = heights[np.isfinite(heights)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        return heights_reply(heights, low, high)

    def _plane(self, training: ds.Training) -> list[int]:
        """Return for each cell, row by row from below, 1000 times its class plus the confidence in thousandths.

        One whole number a cell keeps a picture at 8 kB; all other features stay at their means, which are 0 when
        encoded.
        """
        assert training.outputs is not None
        confidence = _confidence(training, training.outputs(self.inputs(_CELLS)), len(self.target.categories))
        best = confidence.argmax(axis=1)
        share = np.nan_to_num(confidence[np.arange(len(best)), best])
        return [int(cell) for cell in 1000 * best + np.clip(np.rint(1000 * share), 0, 999)]

    def inputs(self, cells: int) -> np.ndarray:
        """Return the inputs of a network on a square grid over the two features, row by row from below."""
        (left, right), (low, high) = self._filled(dict(zip(self.over, self._ranges(), strict=True))).values()
        x, y = np.meshgrid(np.linspace(left, right, cells), np.linspace(low, high, cells))
        inputs = np.zeros((cells * cells, len(self.encoding.features)), np.float32)
        for name, values in zip(self.over, (x, y), strict=True):
            index = self.encoding.features.index(name)
            inputs[:, index] = (values.ravel() - self.encoding.mean[index]) / self.encoding.deviation[index]
        return inputs

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
        """Return the range of each axis; of a plane widened to the shape of the picture, so that circles are round."""
        box = self._filled(dict(zip(self._axes, self._ranges(), strict=True)))
        return [list(box[name]) for name in self._axes]

    def _filled(self, box: Box) -> Box:
        """Return a box widened until it fills a picture of each shape."""
        boxes = [filling(box, tuple(box), ratio) for ratio in self._ratios] or [box]
        return {name: (min(each[name][0] for each in boxes), max(each[name][1] for each in boxes)) for name in box}

    def _ranges(self) -> list[tuple[float, float]]:
        """Return the range of the data along each axis, with a margin."""
        axes = self.over if self.kind == "agreement" else self._axes
        ranges = [(float(values.min()), float(values.max())) for values in map(self._raw, axes)]
        return [(low - _MARGIN * (high - low or 1), high + _MARGIN * (high - low or 1)) for low, high in ranges]


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


# A small network unit by unit, for one example: values forward, gradients back.


_UNIT_CELLS = 18  # of the picture of a unit, along each side
_MOST_UNITS = 40  # of all layers; more cannot be told apart
_MOST_TERMS = 3  # of a sum that is written out
_DRAWN_DIGITS, _WRITTEN_DIGITS = 5, 3  # significant digits that are drawn, and those that are written


def why_no_graph(setup: ds.Setup) -> str | None:
    """Return why a network is not drawn unit by unit, as a sentence; None where it is."""
    network = setup.task.start
    if any(layer.kind != "dense" for layer in network.plan):
        return "Only networks of dense layers are drawn unit by unit."
    if any(layer.normalisation != "none" or layer.skip or layer.activation == "softmax" for layer in network.plan):
        return "Networks with a normalisation or skips are not drawn unit by unit."
    units = sum(network.inputs) + sum(layer.units for layer in network.plan)
    if units > _MOST_UNITS:
        return f"This network has {units} units; a picture can show up to {_MOST_UNITS}."
    return None


def graph(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a network with its weights, the values and gradients of an example, and each stage as text."""
    setup = setup_of(fields)
    why = why_no_graph(setup)
    if why:
        raise RequestError(why)
    view = View(setup, fields.get("over"))
    example, target = view.example(_row(fields, view.examples))
    network = with_weights(setup.task.start, fields.get("weights"))
    result = ds.unit_pass(network, example, target, **_loss(setup))
    names = view.encoding.features or tuple(f"input {index + 1}" for index in range(len(example)))
    label = _figures(np.ravel(target)[0]) if view.predicts_numbers else str(view.target.categories[int(target)])
    return {
        "inputs": [
            {"name": name, "value": value, "gradient": gradient}
            for name, value, gradient in zip(
                names, rounded(example, _DRAWN_DIGITS), rounded(result.input_gradients, _DRAWN_DIGITS), strict=True
            )
        ],
        "layers": [_layer(network, result, index) for index in range(len(network.plan))],
        "loss": number(result.loss, _WRITTEN_DIGITS + 1),
        "stages": _stages(network, names, example, result, label),
    }


def units(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the output of each unit of a small network over two features, on a coarse grid.

    Each unit has whole numbers from −100 to 100, row by row from below, in shares of its largest activation, and that
    activation. All other features stay at their means.
    """
    from downslope._engine import jax

    setup = setup_of(fields)
    why = why_no_graph(setup)
    view = View(setup, fields.get("over"), ratios_of(fields))
    if why or len(view.over) != 2:
        raise RequestError(why or "A picture of a unit needs two features.")
    network = with_weights(setup.task.start, fields.get("weights"))
    passed = network.forward(jax().numpy.asarray(view.inputs(_UNIT_CELLS)), {}, None, training=False)
    layers = []
    for after in passed.after:
        values = np.nan_to_num(np.asarray(after, float))
        largest = np.abs(values).max(axis=0)
        shares = np.rint(100 * values / np.where(largest > 0, largest, 1)).astype(int)
        layers.append(
            [
                {"largest": most, "cells": cells}
                for most, cells in zip(rounded(largest, 3), shares.T.tolist(), strict=True)
            ]
        )
    return {"side": _UNIT_CELLS, "over": list(view.over), "layers": layers}


def ratios_of(fields: dict[str, Any]) -> list[float]:
    """Return the shapes that the picture of a request may take while it is shown: widths over heights."""
    ratios = fields.get("ratio")
    several = ratios if isinstance(ratios, list) else [ratios]
    numbers = [PageRequest({"ratio": ratio}).number_or_none("ratio") for ratio in several[:_SHAPES]]
    return [ratio for ratio in numbers if ratio is not None and _FLATTEST <= ratio <= 1 / _FLATTEST]


def _row(fields: dict[str, Any], rows: int) -> int:
    row = fields.get("example")
    if isinstance(row, bool) or not isinstance(row, int) or not 0 <= row < rows:
        raise RequestError(f"The example is a whole number from 0 to {rows - 1}.")
    return row


def with_weights(network: ds.Network, weights: Any) -> ds.Network:
    """Return a network with the weights of a request."""
    if not isinstance(weights, list) or not all(isinstance(weight, int | float) for weight in weights):
        raise RequestError("The weights are finite numbers.")
    if not all(math.isfinite(weight) for weight in weights):
        raise RequestError("The weights are finite numbers.")
    try:
        return network.with_weights(weights)
    except ds.SettingError as error:
        raise RequestError(error.message) from error


def _loss(setup: ds.Setup) -> dict[str, Any]:
    """Return the loss of a training, as `unit_pass` takes it."""
    batched = setup.task.objective.batched
    assert batched is not None
    loss = batched.facts["network"]["loss"]
    return {"loss": loss["name"], "from_logits": loss["from_logits"] is not False}


def _layer(network: ds.Network, result: ds.UnitPass, index: int) -> dict[str, Any]:
    return {
        "name": "output" if index == len(network.plan) - 1 else f"layer {index + 1}",
        "activation": network.activations[index],
        "before": rounded(result.before[index], _DRAWN_DIGITS),
        "after": rounded(result.after[index], _DRAWN_DIGITS),
        "gradient": rounded(result.gradients[index], _DRAWN_DIGITS),
        "weights": [rounded(row, _DRAWN_DIGITS) for row in np.asarray(network.layers[index].weight)],
        "weight_gradients": [rounded(row, _DRAWN_DIGITS) for row in result.weight_gradients[index]],
    }


def _stages(
    network: ds.Network, names: tuple[str, ...], example: np.ndarray, result: ds.UnitPass, label: str
) -> list[dict[str, Any]]:
    """Return the stages in words: forward layer by layer, the loss, and back."""
    last = len(network.plan) - 1
    titles = ["the output" if index == last else f"layer {index + 1}" for index in range(last + 1)]
    inputs = ", ".join(f"{name} = {_figures(value)}" for name, value in zip(names, example, strict=True))
    forward = [
        _stage("forward", index, f"Forward through {titles[index]}", _forward_text(network, result, index, example))
        for index in range(last + 1)
    ]
    back = [
        _stage("backward", index, f"Back through {titles[index]}", _backward_text(network, result, index, example))
        for index in range(last, -1, -1)
    ]
    return [
        _stage("forward", -1, "The example, scaled", inputs),
        *forward,
        _stage("loss", last, "The loss", f"Held against {label}, the output costs L = {_figures(result.loss)}."),
        *back,
    ]


def _stage(way: str, layer: int, title: str, text: str) -> dict[str, Any]:
    return {"way": way, "layer": layer, "title": title, "text": text}


def _forward_text(network: ds.Network, result: ds.UnitPass, index: int, example: np.ndarray) -> str:
    """Return the arithmetic of the value of a layer's first unit."""
    weights, activation = network.layers[index], network.activations[index]
    values = example if index == 0 else result.after[index - 1]
    total = _sum(values, np.asarray(weights.weight)[:, 0], float(weights.bias[0]))
    text = f"Unit 1: z₁ = {total} = {_figures(result.before[index][0])}"
    if activation == "linear":
        return f"{text}."
    return f"{text}, and {activation}(z₁) = {_figures(result.after[index][0])}."


def _backward_text(network: ds.Network, result: ds.UnitPass, index: int, example: np.ndarray) -> str:
    """Return how the gradient of the first unit of a layer comes about, and that of its first weight."""
    gradient = float(result.gradients[index][0])
    if index == len(network.plan) - 1:
        text = f"One more of z₁ changes L by ∂L/∂z₁ = {_figures(gradient)}"
    else:
        passed = _sum(result.gradients[index + 1], np.asarray(network.layers[index + 1].weight)[0], None)
        slope = factor(float(result.slopes[index][0]), _WRITTEN_DIGITS)
        text = (
            f"Unit 1 gathers what its edges pass back, times the slope of {network.activations[index]}: "
            f"∂L/∂z₁ = ({passed}) × {slope} = {_figures(gradient)}"
        )
    before = (example if index == 0 else result.after[index - 1])[0]
    product = f"{_figures(before)} × {factor(gradient, _WRITTEN_DIGITS)}"
    return f"{text}. Its first weight: ∂L/∂w = {product} = {_figures(result.weight_gradients[index][0, 0])}."


def _figures(value: Any) -> str:
    return number(float(value), _WRITTEN_DIGITS)


def _sum(values: np.ndarray, weights: np.ndarray, bias: float | None) -> str:
    """Return a weighted sum written out, shortened where it is long."""
    pairs = [(float(weight), float(value)) for weight, value in zip(weights, values, strict=True)]
    terms = [f"{factor(weight, _WRITTEN_DIGITS)} × {factor(value, _WRITTEN_DIGITS)}" for weight, value in pairs]
    shown = terms if len(terms) <= _MOST_TERMS else [*terms[: _MOST_TERMS - 1], "…"]
    return " + ".join([*shown, *([] if bias is None else [factor(bias, _WRITTEN_DIGITS)])])
