"""Layers that learn nothing: pooling, flattening, dropout, an activation by itself."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import numpy as np

from downslope._engine import jax
from downslope._errors import SettingError
from downslope.networks.layers._activations import ActivationName, activation
from downslope.networks.layers._layer import ForwardContext, Layer, Shape
from downslope.networks.layers._units import ACTIVATION, SHARE, SIZE

if TYPE_CHECKING:
    from jax import Array

__all__ = ["Activate", "Dropout", "Flatten", "MaxPool"]


class FixedLayer(Layer):
    """A layer without weights and memory."""

    @final
    def initialise(self, inputs: Shape, random: np.random.Generator) -> None:
        return None

    @final
    def memory(self, weights: None) -> dict[str, np.ndarray]:
        return {}


@final
@dataclass(frozen=True)
class MaxPool(FixedLayer):
    """Max pooling: the largest value of each square of `size` × `size` pixels."""

    size: int = field(default=2, metadata=SIZE)

    def output_shape(self, inputs: Shape) -> Shape:
        height, width, channels = image_shape(inputs)
        if min(height, width) < self.size:
            raise SettingError(f"it pools squares of {self.size}, but the image is only {height}×{width}")
        return height // self.size, width // self.size, channels

    def forward(self, weights: None, values: Array, context: ForwardContext) -> Array:
        return _pooled(values[..., None] if values.ndim == 3 else values, self.size)


@final
@dataclass(frozen=True)
class Flatten(FixedLayer):
    """Flattening: an image becomes one row of numbers."""

    def output_shape(self, inputs: Shape) -> Shape:
        return (math.prod(inputs),)

    def forward(self, weights: None, values: Array, context: ForwardContext) -> Array:
        return values.reshape(values.shape[0], -1)


@final
@dataclass(frozen=True)
class Dropout(FixedLayer):
    """Dropout: in each training step, a share of the numbers is set to 0 and the others are scaled up to compensate."""

    share: float = field(default=0.5, metadata=SHARE)

    def output_shape(self, inputs: Shape) -> Shape:
        return inputs

    def forward(self, weights: None, values: Array, context: ForwardContext) -> Array:
        return context.dropped(values, self.share)


@final
@dataclass(frozen=True)
class Activate(FixedLayer):
    """A layer that only applies an activation."""

    activation: ActivationName = field(metadata=ACTIVATION)

    def output_shape(self, inputs: Shape) -> Shape:
        return inputs

    def forward(self, weights: None, values: Array, context: ForwardContext) -> Array:
        return activation(self.activation).function(values)


def image_shape(inputs: Shape) -> tuple[int, int, int]:
    """Return height, width and channels of an image.

    Raises:
        SettingError: for anything else than an image.
    """
    if len(inputs) not in (2, 3):
        raise SettingError(f"it needs an image, but an example reaches it with shape {inputs}")
    height, width, channels = (*inputs, 1)[:3]
    return height, width, channels


def _pooled(image: Array, size: int) -> Array:
    """Return the largest of each square; by slices, whose gradient is ten times as fast on the CPU as a window's.

    The gradient of a `max` along axes divides by how many values equal the largest: none do where XLA computes them a
    second time and rounds otherwise.
    """
    batch, height, width, channels = image.shape
    # Rows and columns beyond the last whole square are left out, as in other libraries.
    cut = image[:, : height // size * size, : width // size * size]
    squares = cut.reshape(batch, height // size, size, width // size, size, channels)
    offsets = itertools.product(range(size), repeat=2)
    return functools.reduce(jax().numpy.maximum, (squares[:, :, row, :, column] for row, column in offsets))
