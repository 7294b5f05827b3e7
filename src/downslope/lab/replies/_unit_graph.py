"""A small network unit by unit, for one example: values forward, gradients back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import downslope as ds
from downslope._text import number
from downslope.lab.replies._network_choices import setup_of
from downslope.lab.replies._network_views import View
from downslope.lab.replies._request import RequestError, factor, rounded

_MOST_UNITS = 40  # of all layers; more cannot be told apart
_MOST_TERMS = 3  # of a sum that is written out
_DIGITS, _WRITTEN_DIGITS = 5, 3  # significant digits that are drawn, and those that are written


def why_no_graph(setup: ds.Setup) -> str | None:
    """Return why a network is not drawn unit by unit, as a sentence; None where it is."""
    network = setup.task.start
    if any(layer.kind != "dense" for layer in network.plan):
        return "Only networks of dense layers are drawn unit by unit."
    if any(layer.normalisation != "none" or layer.skip or layer.activation == "softmax" for layer in network.plan):
        return "Networks with a normalisation or skips are not drawn unit by unit."
    units = sum(network.inputs) + sum(layer.units for layer in network.plan)
    if units > _MOST_UNITS:
        return f"This network has {units} units; up to {_MOST_UNITS} can be told apart in a picture."
    return None


def graph(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a network with its weights, the values and gradients of an example, and each stage as text."""
    setup = setup_of(fields)
    why = why_no_graph(setup)
    if why:
        raise RequestError(why)
    view = View(setup, fields.get("over"))
    example, target = view.example(_row(fields, view.examples))
    network = _with_weights(setup.task.start, fields.get("weights"))
    result = ds.unit_pass(network, example, target, **_loss(setup))
    names = view.encoding.features or tuple(f"input {index + 1}" for index in range(len(example)))
    label = _figures(np.ravel(target)[0]) if view.predicts_numbers else str(view.target.categories[int(target)])
    return {
        "inputs": [
            {"name": name, "value": value, "gradient": gradient}
            for name, value, gradient in zip(
                names, rounded(example, _DIGITS), rounded(result.input_gradients, _DIGITS), strict=True
            )
        ],
        "layers": [_layer(network, result, index) for index in range(len(network.plan))],
        "loss": number(result.loss, _WRITTEN_DIGITS + 1),
        "stages": _stages(network, names, example, result, label),
    }


def _row(fields: dict[str, Any], rows: int) -> int:
    row = fields.get("example")
    if isinstance(row, bool) or not isinstance(row, int) or not 0 <= row < rows:
        raise RequestError(f"The example is a whole number from 0 to {rows - 1}.")
    return row


def _with_weights(network: ds.Network, weights: Any) -> ds.Network:
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
        "before": rounded(result.before[index], _DIGITS),
        "after": rounded(result.after[index], _DIGITS),
        "gradient": rounded(result.gradients[index], _DIGITS),
        "weights": [rounded(row, _DIGITS) for row in np.asarray(network.layers[index].weight)],
        "weight_gradients": [rounded(row, _DIGITS) for row in result.weight_gradients[index]],
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
    """Return how the first unit of a layer gets its value."""
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
