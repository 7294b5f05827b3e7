"""A small network unit by unit, for one example: what goes forward, and which gradients come back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import downslope as ds
from downslope._engine import jax, precision
from downslope._text import number
from downslope.lab.replies._network_choices import setup_of
from downslope.lab.replies._network_views import View
from downslope.lab.replies._request import RequestError, shown
from downslope.lab.replies._writing import enclosed
from downslope.networks._losses import loss
from downslope.networks.data._target import NUMBERS
from downslope.networks.layers._activations import activation

_MOST_UNITS = 40  # of all layers; more would not be told apart
_MOST_TERMS = 3  # of a sum that is written out
_DIGITS, _TOLD = 5, 3  # significant digits that are drawn, and written


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


def graph(told: dict[str, Any]) -> dict[str, Any]:
    """Return a network at given weights on an example: values forward, gradients back, and each stage in words."""
    setup = setup_of(told)
    why = why_no_graph(setup)
    if why:
        raise RequestError(why)
    view = View(setup, told.get("over"))
    inputs, target = view.example(_row(told, view.examples))
    network = _with_weights(setup.task.start, told.get("weights"))
    found = _forward_and_back(setup, network, inputs, target)
    names = view.encoding.features or tuple(f"input {place + 1}" for place in range(len(inputs)))
    wanted = _told(np.ravel(target)[0]) if view.target.kind == NUMBERS else str(view.target.categories[int(target)])
    layers = [
        {
            "name": "output" if place == len(network.plan) - 1 else f"layer {place + 1}",
            "activation": layer.activation,
            "before": shown(found["before"][place], _DIGITS),
            "after": shown(found["after"][place], _DIGITS),
            "gradient": shown(found["back"][place], _DIGITS),
            "weights": [shown(row, _DIGITS) for row in np.asarray(network.layers[place].weight)],
            "weight_gradients": [shown(row, _DIGITS) for row in found["weights"][place]],
        }
        for place, layer in enumerate(network.plan)
    ]
    return {
        "inputs": [
            {"name": name, "value": value, "gradient": slope}
            for name, value, slope in zip(names, shown(inputs, _DIGITS), shown(found["inputs"], _DIGITS), strict=True)
        ],
        "layers": layers,
        "loss": number(found["loss"], _TOLD + 1),
        "stages": _stages(network, names, inputs, found, wanted),
    }


def _row(told: dict[str, Any], rows: int) -> int:
    row = told.get("example")
    if isinstance(row, bool) or not isinstance(row, int) or not 0 <= row < rows:
        raise RequestError(f"The example is a whole number from 0 to {rows - 1}.")
    return row


def _with_weights(network: Any, weights: Any) -> Any:
    """Return a network with these weights, one after the other."""
    leaves, form = jax().tree.flatten(network)
    sizes = [leaf.size for leaf in leaves]
    if not isinstance(weights, list) or len(weights) != sum(sizes):
        raise RequestError(f"The network has {sum(sizes)} weights.")
    if not all(isinstance(weight, int | float) and math.isfinite(weight) for weight in weights):
        raise RequestError("The weights are finite numbers.")
    parts = np.split(np.array(weights, np.float32), np.cumsum(sizes)[:-1])
    return jax().tree.unflatten(form, [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)])


def _forward_and_back(setup: ds.Setup, network: Any, inputs: np.ndarray, target: Any) -> dict[str, Any]:
    """Return the loss of an example, what each layer makes of it, and the gradient by each of these."""
    batched = setup.task.objective.batched
    assert batched is not None
    told = batched.facts["network"]["loss"]
    judged = loss(told["name"], from_logits=told["from_logits"] is not False)
    numpy = jax().numpy

    def value(network: Any, nudges: Any, example: Any) -> tuple[Any, Any]:
        passed = network.forward(example[None], {}, None, training=False, nudges=nudges)
        return judged.of_batch(passed.outputs, numpy.asarray(target)[None]), passed

    nudges = tuple(numpy.zeros((1, layer.units)) for layer in network.plan)
    with precision("float32"):
        (height, passed), (slopes, back, by_inputs) = jax().value_and_grad(value, (0, 1, 2), has_aux=True)(
            network, nudges, numpy.asarray(inputs)
        )
        bends = [
            jax().jvp(activation(layer.activation).function, (z[0],), (numpy.ones_like(z[0]),))[1]
            for layer, z in zip(network.plan, passed.before, strict=True)
        ]
    return {
        "loss": float(height),
        "before": [np.asarray(z)[0] for z in passed.before],
        "after": [np.asarray(a)[0] for a in passed.after],
        "back": [np.asarray(one)[0] for one in back],
        "bends": [np.asarray(one) for one in bends],
        "weights": [np.asarray(layer.weight) for layer in slopes.layers],
        "inputs": np.asarray(by_inputs),
    }


def _stages(
    network: Any, names: tuple[str, ...], inputs: np.ndarray, found: dict[str, Any], target: str
) -> list[dict[str, Any]]:
    """Return the way through the network in words: forward layer by layer, the loss, and back."""
    last = len(network.plan) - 1
    called = ["the output" if place == last else f"layer {place + 1}" for place in range(last + 1)]
    told = ", ".join(f"{name} = {_told(value)}" for name, value in zip(names, inputs, strict=True))
    forward = [
        _stage("forward", place, f"Forward through {called[place]}", _forward(network, found, place, inputs))
        for place in range(last + 1)
    ]
    back = [
        _stage("backward", place, f"Back through {called[place]}", _back(network, found, place, inputs))
        for place in range(last, -1, -1)
    ]
    loss_told = f"Held against {target}, the output costs L = {_told(found['loss'])}."
    return [
        _stage("forward", -1, "The example, scaled", told),
        *forward,
        _stage("loss", last, "The loss", loss_told),
        *back,
    ]


def _stage(way: str, layer: int, title: str, text: str) -> dict[str, Any]:
    return {"way": way, "layer": layer, "title": title, "text": text}


def _forward(network: Any, found: dict[str, Any], place: int, inputs: np.ndarray) -> str:
    """Return how the first unit of a layer comes to its value."""
    weights, name = network.layers[place], network.plan[place].activation
    values = inputs if place == 0 else found["after"][place - 1]
    written = _sum(values, np.asarray(weights.weight)[:, 0], float(weights.bias[0]))
    text = f"Unit 1: z₁ = {written} = {_told(found['before'][place][0])}"
    return f"{text}." if name == "linear" else f"{text}, and {name}(z₁) = {_told(found['after'][place][0])}."


def _back(network: Any, found: dict[str, Any], place: int, inputs: np.ndarray) -> str:
    """Return how the gradient of the first unit of a layer comes about, and that of its first weight."""
    slope = float(found["back"][place][0])
    if place == len(network.plan) - 1:
        text = f"One more of z₁ changes L by ∂L/∂z₁ = {_told(slope)}"
    else:
        passed = _sum(found["back"][place + 1], np.asarray(network.layers[place + 1].weight)[0], None)
        bend = enclosed(float(found["bends"][place][0]), _TOLD)
        text = (
            f"Unit 1 gathers what its edges pass back, times the slope of {network.plan[place].activation}: "
            f"∂L/∂z₁ = ({passed}) × {bend} = {_told(slope)}"
        )
    before = (inputs if place == 0 else found["after"][place - 1])[0]
    by_weight = found["weights"][place][0, 0]
    return f"{text}. Its first weight: ∂L/∂w = {_told(before)} × {enclosed(slope, _TOLD)} = {_told(by_weight)}."


def _told(value: Any) -> str:
    return number(float(value), _TOLD)


def _sum(values: np.ndarray, weights: np.ndarray, bias: float | None) -> str:
    """Return a weighted sum written out, shortened where it is long."""
    terms = [f"{enclosed(float(w), _TOLD)} × {enclosed(float(v), _TOLD)}" for w, v in zip(weights, values, strict=True)]
    told = terms if len(terms) <= _MOST_TERMS else [*terms[: _MOST_TERMS - 1], "…"]
    return " + ".join([*told, *([] if bias is None else [enclosed(bias, _TOLD)])])
