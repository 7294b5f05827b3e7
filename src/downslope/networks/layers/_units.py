"""Layers of units: a kernel and biases, a normalisation, an activation, dropout and a skip; and `Dense`.

    φ(normalised(linear(values) + b)), then dropout, then the skip

`Dense` and `Convolution` differ in the shape of their kernel and in the linear map; the rest is here.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, final, get_args

import equinox
import numpy as np

from downslope._engine import jax
from downslope._errors import SettingError
from downslope.networks.layers._activations import ActivationName
from downslope.networks.layers._initialisations import InitialisationName, drawn
from downslope.networks.layers._layer import (
    ForwardContext,
    Layer,
    Shape,
    is_activation,
    is_choice,
    is_initialisation,
    is_share,
    is_size,
)

if TYPE_CHECKING:
    from jax import Array

__all__ = ["Dense"]

NormalisationName = Literal["none", "batch", "layer"]
NORMALISATIONS: tuple[NormalisationName, ...] = get_args(NormalisationName)
_STEADINESS = 0.99  # how much of the running mean and variance stays in each step, as in Keras
_LEAST_VARIANCE = 1e-5

ACTIVATION = {"check": is_activation}
INITIALISATION = {"check": is_initialisation}
NORMALISATION = {"check": is_choice(*NORMALISATIONS)}
SHARE = {"check": is_share}
SIZE = {"check": is_size}


class Weights(equinox.Module):
    """The weights of one layer of units.

    Args:
        weight: shape (inputs, units), or (side, side, channels in, channels out).
        bias: shape (units,).
        scale, offset: shape (units,), of a normalisation; None without one.
    """

    weight: Array | np.ndarray
    bias: Array | np.ndarray
    scale: Array | np.ndarray | None
    offset: Array | np.ndarray | None


class UnitLayer(Layer):
    """A layer of units: what `Dense` and `Convolution` share."""

    activation: ActivationName
    initialisation: InitialisationName | str
    bias: float
    normalisation: NormalisationName
    skip: bool
    dropout: float

    @abstractmethod
    def kernel_shape(self, inputs: Shape) -> Shape:
        """Return the shape of the kernel, the units last.

        Raises:
            SettingError: for examples that the layer cannot take.
        """

    @abstractmethod
    def result_shape(self, inputs: Shape) -> Shape:
        """Return the shape of the pre-activations of one example."""

    @abstractmethod
    def linear(self, kernel: Array, values: Array) -> Array:
        """Return the linear map of a batch, without biases."""

    @abstractmethod
    def skipped_shape(self, inputs: Shape) -> Shape:
        """Return the shape that an example must have to be added to the outputs."""

    @final
    def output_shape(self, inputs: Shape) -> Shape:
        self.kernel_shape(inputs)
        outputs = self.result_shape(inputs)
        if self.skip and outputs != self.skipped_shape(inputs):
            raise SettingError(f"a skip connection needs equal shapes, but this layer turns {inputs} into {outputs}")
        return outputs

    @final
    def initialise(self, inputs: Shape, random: np.random.Generator) -> Weights:
        kernel = self.kernel_shape(inputs)
        row = (kernel[-1],)
        normalises = self.normalisation != "none"
        return Weights(
            weight=drawn(self.initialisation, random, kernel),
            bias=np.full(row, self.bias, np.float32),
            scale=np.ones(row, np.float32) if normalises else None,
            offset=np.zeros(row, np.float32) if normalises else None,
        )

    @final
    def memory(self, weights: Weights) -> dict[str, np.ndarray]:
        if self.normalisation != "batch":
            return {}
        row = weights.bias.shape
        return {"mean": np.zeros(row, np.float32), "variance": np.ones(row, np.float32)}

    @final
    def forward(self, weights: Weights, values: Array, context: ForwardContext) -> Array:
        # The weights take the type of the values: bfloat16 with mixed precision.
        kernel = jax().numpy.asarray(weights.weight, values.dtype)
        linear = self.linear(kernel, values) + weights.bias.astype(values.dtype)
        outputs = context.activated(self._normalised(weights, linear, context), self.activation)
        # Dropout comes after the recorded activation: a dropped unit is not a dead one.
        outputs = context.dropped(outputs, self.dropout)
        return values + outputs if self.skip else outputs

    def _normalised(self, weights: Weights, values: Array, context: ForwardContext) -> Array:
        """Return normalised values; the memory takes up the batch's mean and variance."""
        if self.normalisation == "none":
            return values
        if self.normalisation == "layer":
            # Over the units of each example, alike in training and at rest: no memory is needed.
            mean, variance = _moments(values, -1, keep=True)
        elif context.training:
            # Over the batch, and over the pixels of an image as well.
            mean, variance = _moments(values, tuple(range(values.ndim - 1)), keep=False)
            for name, moment in (("mean", mean), ("variance", variance)):
                # The running moments stay float32: a hundredth of a change is lost in the eight bits of a bfloat16.
                kept = _STEADINESS * context.memory[name]
                context.memory[name] = kept + (1 - _STEADINESS) * moment.astype(np.float32)
        else:
            mean, variance = (context.memory[name].astype(values.dtype) for name in ("mean", "variance"))
        assert weights.scale is not None
        assert weights.offset is not None
        scaled = (values - mean) / jax().numpy.sqrt(variance + _LEAST_VARIANCE)
        return scaled * weights.scale.astype(values.dtype) + weights.offset.astype(values.dtype)


def _moments(values: Array, axes: int | tuple[int, ...], *, keep: bool) -> tuple[Array, Array]:
    """Return mean and variance along axes."""
    numpy = jax().numpy
    return numpy.mean(values, axes, keepdims=keep), numpy.var(values, axes, keepdims=keep)


@final
@dataclass(frozen=True)
class Dense(UnitLayer):
    """A layer of units, each of which sees every input: φ(normalised(xW + b)), then dropout, then the skip.

    Args:
        units: number of outputs.
        activation: φ, one of `activation_names()`.
        initialisation: the initial W: "auto" to choose by the activation, a name such as "he_normal", or
            "uniform_0.05", "normal_0.05", "constant_0.01" with any number.
        bias: the initial value of b, the same for every unit.
        normalisation: "none", "batch" (over the batch) or "layer" (over the units).
        skip: whether the layer's input is added to its output; both must have the same shape.
        dropout: share of the outputs set to 0 in each training step.
    """

    units: int = field(metadata=SIZE)
    activation: ActivationName = field(default="linear", metadata=ACTIVATION)
    initialisation: InitialisationName | str = field(default="auto", metadata=INITIALISATION)
    bias: float = 0.0
    normalisation: NormalisationName = field(default="none", metadata=NORMALISATION)
    skip: bool = False
    dropout: float = field(default=0.0, metadata=SHARE)

    def kernel_shape(self, inputs: Shape) -> Shape:
        if len(inputs) != 1:
            raise SettingError(
                f"a dense layer takes rows of numbers, and an example reaches it with shape {inputs}",
                hint="put Flatten() before it",
            )
        return inputs[0], self.units

    def result_shape(self, inputs: Shape) -> Shape:
        return (self.units,)

    def linear(self, kernel: Array, values: Array) -> Array:
        return values @ kernel

    def skipped_shape(self, inputs: Shape) -> Shape:
        return inputs
