"""One example through a network, unit by unit: values forward, gradients back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope._engine import jax, precision
from downslope._errors import DataError, SettingError, described
from downslope.networks._losses import loss as loss_of
from downslope.networks.layers import Network, activation


@dataclass(frozen=True, eq=False)
class UnitPass:
    """What every unit of a network computes for one example, and the gradients that come back.

    Arrays by layer are those of the layers with weights, in order.

    Args:
        loss: the loss of the example.
        before: pre-activations z by layer.
        after: activations a = g(z) by layer.
        slopes: g′(z) by layer.
        gradients: ∂L/∂z by layer.
        weight_gradients: ∂L/∂w by layer.
        input_gradients: ∂L/∂x of the example.
    """

    loss: float
    before: tuple[np.ndarray, ...]
    after: tuple[np.ndarray, ...]
    slopes: tuple[np.ndarray, ...]
    gradients: tuple[np.ndarray, ...]
    weight_gradients: tuple[np.ndarray, ...]
    input_gradients: np.ndarray


def unit_pass(
    network: Network, example: Any, target: Any, *, loss: str = "mean squared error", from_logits: bool = True
) -> UnitPass:
    """Send one example through a network of dense layers, forward and back.

    Args:
        network: the network, at rest.
        example: its inputs, as the network sees them.
        target: the class or the numbers that it should predict.
        loss: the loss by name.
        from_logits: whether a cross-entropy takes logits.

    Raises:
        SettingError: for a network with other layers, or a loss that is not known.

    >>> from downslope import Dense, network
    >>> units = unit_pass(network(1, [Dense(1)]).with_weights([3, 1]), [2.0], [5.0])
    >>> units.loss, units.after[0].tolist(), units.weight_gradients[0].tolist()
    (4.0, [7.0], [[8.0]])
    """
    if not isinstance(network, Network):
        raise SettingError(f"units are those of a Network, not of {type(network).__name__}", hint="see ds.network")
    if any(layer.kind != "dense" for layer in network.plan) or "softmax" in network.activations:
        raise SettingError("only networks of dense layers, without softmax, are gone through unit by unit")
    for name, numbers in (("example", example), ("target", target)):
        if numbers is None or np.asarray(numbers).dtype.kind not in "biuf":
            raise DataError(f"the {name} must hold numbers, not {described(numbers)}")
    if np.shape(example) != network.inputs or np.shape(target) not in ((), network.outputs):
        raise DataError(
            f"the network takes {network.inputs} and gives {network.outputs}; an example of {np.shape(example)} and a "
            f"target of {np.shape(target)} came"
        )
    criterion, numpy = loss_of(loss, from_logits=from_logits), jax().numpy

    def value(network: Network, nudges: Any, example: Any) -> tuple[Any, Any]:
        passed = network.forward(example[None], {}, None, training=False, nudges=nudges)
        return criterion.of_batch(passed.outputs, numpy.asarray(target)[None]), passed

    # The gradient by an addend of 0 to a pre-activation is that by the pre-activation itself.
    nudges = tuple(numpy.zeros((1, *weights.bias.shape)) for weights in network.layers)
    with precision("float32"):
        (height, passed), (by_weights, by_units, by_inputs) = jax().value_and_grad(value, (0, 1, 2), has_aux=True)(
            network, nudges, numpy.asarray(example, numpy.float32)
        )
        slopes = [
            jax().jvp(activation(name).function, (z[0],), (numpy.ones_like(z[0]),))[1]
            for name, z in zip(network.activations, passed.before, strict=True)
        ]
    return UnitPass(
        loss=float(height),
        before=tuple(np.asarray(z)[0] for z in passed.before),
        after=tuple(np.asarray(a)[0] for a in passed.after),
        slopes=tuple(map(np.asarray, slopes)),
        gradients=tuple(np.asarray(gradient)[0] for gradient in by_units),
        weight_gradients=tuple(np.asarray(layer.weight) for layer in by_weights.layers),
        input_gradients=np.asarray(by_inputs),
    )
