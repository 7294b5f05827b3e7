"""The layer `Convolution`, and the convolution of a batch of images in the form that runs fastest on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, final, get_args

from downslope._engine import jax
from downslope._errors import SettingError
from downslope.networks.layers._activations import ActivationName
from downslope.networks.layers._initialisations import InitialisationName
from downslope.networks.layers._layer import Shape, is_choice
from downslope.networks.layers._shaping import image_shape
from downslope.networks.layers._units import (
    ACTIVATION,
    INITIALISATION,
    NORMALISATION,
    SHARE,
    SIZE,
    NormalisationName,
    UnitLayer,
)

if TYPE_CHECKING:
    from jax import Array

__all__ = ["Convolution"]

Padding = Literal["valid", "same"]


@final
@dataclass(frozen=True)
class Convolution(UnitLayer):
    """A convolution: each channel slides a small window over the image.

    Args:
        channels: number of outputs per position of the window.
        kernel: side of the window.
        activation, initialisation, bias, normalisation, skip, dropout: as for `Dense`; normalised by channel.
        padding: "valid" (the image shrinks) or "same".
        stride: pixels between windows.
    """

    channels: int = field(metadata=SIZE)
    kernel: int = field(default=3, metadata=SIZE)
    activation: ActivationName = field(default="linear", metadata=ACTIVATION)
    initialisation: InitialisationName | str = field(default="auto", metadata=INITIALISATION)
    bias: float = 0.0
    normalisation: NormalisationName = field(default="none", metadata=NORMALISATION)
    skip: bool = False
    dropout: float = field(default=0.0, metadata=SHARE)
    padding: Padding = field(default="valid", metadata={"check": is_choice(*get_args(Padding))})
    stride: int = field(default=1, metadata=SIZE)

    def kernel_shape(self, inputs: Shape) -> Shape:
        height, width, channels = image_shape(inputs)
        if min(height, width) <= self._lost:
            raise SettingError(f"it slides a window of {self.kernel}, but the image is only {height}×{width}")
        return self.kernel, self.kernel, channels, self.channels

    def result_shape(self, inputs: Shape) -> Shape:
        height, width, _ = image_shape(inputs)
        rows, columns = (-(-(side - self._lost) // self.stride) for side in (height, width))
        return rows, columns, self.channels

    def linear(self, kernel: Array, values: Array) -> Array:
        return convolved(values[..., None] if values.ndim == 3 else values, kernel, self.stride, self.padding)

    def skipped_shape(self, inputs: Shape) -> Shape:
        return image_shape(inputs)

    @property
    def _lost(self) -> int:
        """The pixels by which each side of the image shrinks."""
        return 0 if self.padding == "same" else self.kernel - 1


def convolved(image: Array, weight: Array, stride: int, padding: str) -> Array:
    """Convolve a batch of images with a window.

    On a CPU this is one matrix product of all windows: inside a compiled loop XLA runs the gradients of its own
    convolution there without its fast kernels, 3 to 80 times as slowly (measured in docs/architecture.md).

    Args:
        image: shape (batch, height, width, channels in).
        weight: shape (side, side, channels in, channels out).
        stride: pixels between windows.
        padding: "same" or "valid".

    Returns:
        shape (batch, height, width, channels out).
    """
    if jax().default_backend() != "cpu":
        # Accelerators have kernels of their own for convolutions, inside of loops as well.
        form = ("NHWC", "HWIO", "NHWC")
        return jax().lax.conv_general_dilated(image, weight, (stride,) * 2, padding.upper(), dimension_numbers=form)
    side = weight.shape[0]
    margins = [_margins(length, side, stride) if padding == "same" else (0, 0) for length in image.shape[1:3]]
    return product_of_windows(image, weight, (stride, stride), margins)


def product_of_windows(
    image: Array, weight: Array, strides: Sequence[int], margins: Sequence[tuple[int, int]], **computing: Any
) -> Array:
    """Convolve a batch of images with a window by one matrix product.

    Args:
        image: shape (batch, height, width, channels in).
        weight: shape (rows, columns, channels in, channels out).
        strides: pixels from one window to the next, along height and width.
        margins: zeros before and after the image, along height and width.
        computing: further arguments of `jax.numpy.matmul`.

    Returns:
        shape (batch, height, width, channels out).
    """
    # Each row of the product is one window; the kernel becomes a matrix (window × channels in, channels out).
    windows = _windows(image, weight.shape[:2], strides, margins)
    return jax().numpy.matmul(windows, weight.reshape(-1, weight.shape[-1]), **computing)


def _windows(image: Array, sides: Sequence[int], strides: Sequence[int], margins: Sequence[tuple[int, int]]) -> Array:
    """Return the pixels under every window, shape (batch, height, width, rows × columns × channels)."""
    numpy = jax().numpy
    if any(before or after for before, after in margins):
        image = numpy.pad(image, ((0, 0), *margins, (0, 0)))
    (down, across), lengths = strides, image.shape[1:3]
    last = [
        (length - side) // stride * stride + 1 for length, side, stride in zip(lengths, sides, strides, strict=True)
    ]
    # The window at (row, column) over all positions is a strided slice of the image: no gather is needed.
    shifted = [
        image[:, row : row + last[0] : down, column : column + last[1] : across]
        for row in range(sides[0])
        for column in range(sides[1])
    ]
    return numpy.concatenate(shifted, axis=-1)


def _margins(length: int, side: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after an image, so that there is a window for every `stride` pixels."""
    missing = max((-(-length // stride) - 1) * stride + side - length, 0)
    # An odd margin is longer at the end, as in XLA and TensorFlow.
    return missing // 2, missing - missing // 2
