"""The built-in network: an Equinox module that maps a batch through its layers and shows what happens in each."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox
import numpy as np

from downslope._engine import jax
from downslope._errors import SettingError
from downslope._types import Plain
from downslope.networks.layers import _layers as layers_of
from downslope.networks.layers._activations import activation
from downslope.networks.layers._convolution import convolved
from downslope.networks.layers._initialisations import drawn
from downslope.networks.layers._layers import Activate, Convolution, Dense, Dropout, Flatten, Layer, MaxPool

_STEADINESS = 0.99  # how much of the running mean and variance stays in each step, as in Keras
_LEAST_VARIANCE = 1e-5


class Passed(NamedTuple):
    """What a batch left behind on its way through a network.

    Args:
        outputs: the last layer's outputs, shape (batch, …).
        memory: the running means and variances after this batch.
        before: the pre-activations of each layer with weights.
        after: the activations of each layer with weights.
    """

    outputs: Any
    memory: Any
    before: tuple[Any, ...]
    after: tuple[Any, ...]


class Weights(equinox.Module):
    """What one layer learns.

    Args:
        weight: shape (inputs, units), or (side, side, channels in, channels out).
        bias: shape (units,).
        scale, offset: shape (units,), of a normalisation; None without one.
    """

    weight: Any
    bias: Any
    scale: Any
    offset: Any


class Network(equinox.Module):
    """A network of layers. `network(x)` maps one example, or a batch of them.

    Args:
        layers: the weights, one entry a layer, None for layers that learn nothing.
        plan: the layers as they were asked for.
        inputs: shape of one example.
        outputs: shape of what comes out for one example.
    """

    layers: tuple[Weights | None, ...]
    plan: tuple[Layer, ...] = equinox.field(static=True)
    inputs: tuple[int, ...] = equinox.field(static=True)
    outputs: tuple[int, ...] = equinox.field(static=True)

    def __call__(self, examples: Any) -> Any:
        """Return the outputs of one example, shape `inputs`, or of a batch of them, as the network stands at rest."""
        numpy = jax().numpy
        array = numpy.asarray(examples)
        alone = array.shape == self.inputs
        passed = self.forward(array[None] if alone else array, self.memory(), None, training=False)
        return passed.outputs[0] if alone else passed.outputs

    def memory(self) -> dict[str, Any]:
        """Return the running means and variances before the first step: empty without batch normalisation."""
        found = {}
        for place, (layer, weights) in enumerate(zip(self.plan, self.layers, strict=True)):
            if isinstance(layer, Dense | Convolution) and layer.normalisation == "batch":
                assert weights is not None
                found[f"{place}/mean"] = np.zeros(weights.bias.shape, np.float32)
                found[f"{place}/variance"] = np.ones(weights.bias.shape, np.float32)
        return found

    def forward(
        self, examples: Any, memory: Any, key: Any, *, training: bool, nudges: tuple[Any, ...] | None = None
    ) -> Passed:
        """Map a batch.

        Args:
            examples: shape (batch, *inputs).
            memory: the running means and variances.
            key: random key of the dropout; None at rest.
            training: whether units drop out and batches are normalised by their own mean.
            nudges: what is added to each pre-activation, so that gradients by it can be taken; None for nothing.
        """
        values, memory = examples, dict(memory)
        before, after = [], []
        for place, (layer, weights) in enumerate(zip(self.plan, self.layers, strict=True)):
            chance = None if key is None or not training else jax().random.fold_in(key, place)
            if weights is None or not isinstance(layer, Dense | Convolution):
                values = _without_weights(layer, values, chance)
                continue
            nudge = nudges[len(before)] if nudges is not None else None
            inward = _linear(layer, weights, values)
            inward = _normalised(layer, weights, inward, memory, place, training)
            inward = inward if nudge is None else inward + nudge
            outward = activation(layer.activation).function(inward)
            before.append(inward)
            after.append(outward)
            outward = _dropped(outward, layer.dropout, chance)
            values = values + outward if layer.skip else outward
        return Passed(values, memory, tuple(before), tuple(after))

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The names of the layers that learn, in order: `layers/0` and so on."""
        return tuple(f"layers/{place}" for place, weights in enumerate(self.layers) if weights is not None)

    @property
    def activations(self) -> tuple[str, ...]:
        """The activations of the layers that learn, in order."""
        return tuple(layer.activation for layer in self.plan if isinstance(layer, Dense | Convolution))

    def describe(self) -> Plain:
        """Return the network as plain data, from which `network_from` builds it again."""
        return {"inputs": list(self.inputs), "layers": [layers_of.as_dict(layer) for layer in self.plan]}


def network(inputs: int | Sequence[int], layers: Sequence[Layer], *, seed: int = 0) -> Network:
    """Return a network with its weights drawn.

    Args:
        inputs: the number of features, or the shape of one example: (height, width) or (height, width, channels).
        layers: the layers in order: `Dense`, `Convolution`, `MaxPool`, `Flatten`, `Dropout`.
        seed: seed of the weights.

    Raises:
        SettingError: for layers that make no sense, or do not fit the shape that reaches them.

    >>> made = network(2, [Dense(8, "tanh"), Dense(1)])
    >>> made.outputs, made.layers[0].weight.shape
    ((1,), (2, 8))
    """
    shape = (inputs,) if isinstance(inputs, int) else tuple(int(side) for side in inputs)
    plan = tuple(layers_of.check(layer, place) for place, layer in enumerate(layers))
    if not any(layers_of.has_weights(layer) for layer in plan):
        raise SettingError("a network needs a layer with weights", hint="for example Dense(1)")
    first, drawn_layers = shape, []
    for place, layer in enumerate(plan):
        weights, shape = _begun(layer, shape, np.random.default_rng([seed, place]), place)
        drawn_layers.append(weights)
    return Network(tuple(drawn_layers), plan, first, shape)


def network_from(told: Plain, *, seed: int = 0) -> Network:
    """Return the network that `describe` told of, its weights drawn anew."""
    return network(told["inputs"], [layers_of.from_dict(layer) for layer in told["layers"]], seed=seed)


def _begun(
    layer: Layer, shape: tuple[int, ...], random: np.random.Generator, place: int
) -> tuple[Weights | None, tuple[int, ...]]:
    """Return the weights of a layer, and the shape of what it makes of an example of a shape."""
    if isinstance(layer, Flatten):
        return None, (math.prod(shape),)
    if isinstance(layer, MaxPool):
        sides = _image(shape, place)
        if min(sides[:2]) < layer.size:
            raise SettingError(f"layer {place + 1} pools squares of {layer.size}, but the image is only {shape[:2]}")
        return None, (sides[0] // layer.size, sides[1] // layer.size, sides[2])
    if isinstance(layer, Dropout | Activate):
        return None, shape
    if isinstance(layer, Dense):
        if len(shape) != 1:
            raise SettingError(
                f"layer {place + 1} is dense, but an example reaches it with shape {shape}",
                hint="put Flatten() before it",
            )
        window, made = (shape[0], layer.units), (layer.units,)
    else:
        window, made = _convolved(layer, _image(shape, place), place)
    if layer.skip and made != (_image(shape, place) if isinstance(layer, Convolution) else shape):
        raise SettingError(f"layer {place + 1} cannot skip: it makes {made} of {shape}", hint="a skip keeps the shape")
    return _weights(layer, random, window), made


def _weights(layer: Dense | Convolution, random: np.random.Generator, window: tuple[int, ...]) -> Weights:
    """Return the weights of a layer as they begin."""
    row = (window[-1],)
    normalises = layer.normalisation != "none"
    return Weights(
        weight=drawn(layer.initialisation, random, window),
        bias=np.full(row, layer.bias, np.float32),
        scale=np.ones(row, np.float32) if normalises else None,
        offset=np.zeros(row, np.float32) if normalises else None,
    )


def _image(shape: tuple[int, ...], place: int) -> tuple[int, int, int]:
    """Return height, width and channels of an image."""
    if len(shape) not in (2, 3):
        raise SettingError(f"layer {place + 1} needs an image, but an example reaches it with shape {shape}")
    return (*shape, 1)[:3]  # type: ignore[return-value]  # two or three numbers, filled up to three


def _convolved(
    layer: Convolution, sides: tuple[int, int, int], place: int
) -> tuple[tuple[int, ...], tuple[int, int, int]]:
    """Return the shape of a convolution's weights and of the image that it makes."""
    height, width, channels = sides
    lost = 0 if layer.padding == "same" else layer.kernel - 1
    if min(height, width) <= lost:
        raise SettingError(
            f"layer {place + 1} slides a window of {layer.kernel}, but the image is only {height}×{width}"
        )
    made = tuple(-(-(side - lost) // layer.stride) for side in (height, width))
    return (layer.kernel, layer.kernel, channels, layer.channels), (made[0], made[1], layer.channels)


def _linear(layer: Dense | Convolution, weights: Weights, values: Any) -> Any:
    """Return xW + b."""
    weight = weights.weight.astype(values.dtype)
    if isinstance(layer, Dense):
        return values @ weight + weights.bias.astype(values.dtype)
    image = values[..., None] if values.ndim == 3 else values
    moved = convolved(image, weight, layer.stride, layer.padding)
    return moved + weights.bias.astype(values.dtype)


def _normalised(layer: Any, weights: Weights, values: Any, memory: dict[str, Any], place: int, training: bool) -> Any:
    """Return the values normalised as the layer asks; the memory takes up the batch's mean and variance."""
    numpy = jax().numpy
    if layer.normalisation == "none":
        return values
    if layer.normalisation == "layer":
        mean, variance = _moments(values, -1, keep=True)
    else:
        axes = tuple(range(values.ndim - 1))
        names = (f"{place}/mean", f"{place}/variance")
        if training:
            mean, variance = _moments(values, axes, keep=False)
            for name, found in zip(names, (mean, variance), strict=True):
                memory[name] = _STEADINESS * memory[name] + (1 - _STEADINESS) * found.astype(np.float32)
        else:
            mean, variance = (memory[name].astype(values.dtype) for name in names)
    scaled = (values - mean) / numpy.sqrt(variance + _LEAST_VARIANCE)
    return scaled * weights.scale.astype(values.dtype) + weights.offset.astype(values.dtype)


def _moments(values: Any, axes: Any, *, keep: bool) -> tuple[Any, Any]:
    """Return mean and variance along axes."""
    numpy = jax().numpy
    return numpy.mean(values, axes, keepdims=keep), numpy.var(values, axes, keepdims=keep)


def _without_weights(layer: Layer, values: Any, chance: Any) -> Any:
    """Return what a layer without weights makes of the values."""
    if isinstance(layer, Flatten):
        return values.reshape(values.shape[0], -1)
    if isinstance(layer, MaxPool):
        return _pooled(values[..., None] if values.ndim == 3 else values, layer.size)
    if isinstance(layer, Activate):
        return activation(layer.activation).function(values)
    return _dropped(values, layer.share, chance) if isinstance(layer, Dropout) else values


def _pooled(image: Any, size: int) -> Any:
    """Return the largest of each square; by slices, whose gradient is ten times as fast on the CPU as a window's.

    The gradient of a `max` along axes divides by how many values equal the largest: none do where XLA computes them a
    second time and rounds otherwise.
    """
    batch, height, width, channels = image.shape
    cut = image[:, : height // size * size, : width // size * size]
    squares = cut.reshape(batch, height // size, size, width // size, size, channels)
    places = itertools.product(range(size), repeat=2)
    return functools.reduce(jax().numpy.maximum, (squares[:, :, row, :, column] for row, column in places))


def _dropped(values: Any, share: float, chance: Any) -> Any:
    """Return the values with a share of them at 0, the others enlarged to keep the mean."""
    if share == 0 or chance is None:
        return values
    kept = jax().random.bernoulli(chance, 1 - share, values.shape)
    return jax().numpy.where(kept, values / (1 - share), 0)
