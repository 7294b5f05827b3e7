"""The convolution of a batch of images, in the form that the processor at hand runs fastest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from downslope._engine import jax


def convolved(image: Any, weight: Any, stride: int, padding: str) -> Any:
    """Return a batch of images convolved with a window.

    On a CPU it is one matrix product of all windows: inside a compiled loop XLA runs the gradients of its own
    convolution there without its fast kernels, 3 to 80 times as slowly (measured in docs/architecture.md).

    Args:
        image: shape (batch, height, width, channels in).
        weight: shape (side, side, channels in, channels out).
        stride: pixels from one window to the next.
        padding: "same" or "valid".

    Returns:
        shape (batch, height, width, channels out).
    """
    if jax().default_backend() != "cpu":
        form = ("NHWC", "HWIO", "NHWC")
        return jax().lax.conv_general_dilated(image, weight, (stride,) * 2, padding.upper(), dimension_numbers=form)
    side = weight.shape[0]
    margins = [_margins(length, side, stride) if padding == "same" else (0, 0) for length in image.shape[1:3]]
    return product_of_windows(image, weight, (stride, stride), margins)


def product_of_windows(
    image: Any, weight: Any, strides: Sequence[int], margins: Sequence[tuple[int, int]], **computing: Any
) -> Any:
    """Return a batch of images convolved with a window, as one matrix product.

    Args:
        image: shape (batch, height, width, channels in).
        weight: shape (rows, columns, channels in, channels out).
        strides: pixels from one window to the next, along height and width.
        margins: zeros before and after the image, along height and width.
        computing: further choices of `jax.numpy.matmul`, by name.

    Returns:
        shape (batch, height, width, channels out).
    """
    windows = _windows(image, weight.shape[:2], strides, margins)
    return jax().numpy.matmul(windows, weight.reshape(-1, weight.shape[-1]), **computing)


def _windows(image: Any, sides: Sequence[int], strides: Sequence[int], margins: Sequence[tuple[int, int]]) -> Any:
    """Return the pixels under every window, shape (batch, height, width, rows × columns × channels)."""
    numpy = jax().numpy
    if any(before or after for before, after in margins):
        image = numpy.pad(image, ((0, 0), *margins, (0, 0)))
    (down, across), lengths = strides, image.shape[1:3]
    last = [
        (length - side) // stride * stride + 1 for length, side, stride in zip(lengths, sides, strides, strict=True)
    ]
    shifted = [
        image[:, row : row + last[0] : down, column : column + last[1] : across]
        for row in range(sides[0])
        for column in range(sides[1])
    ]
    return numpy.concatenate(shifted, axis=-1)


def _margins(length: int, side: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after an image, so that there is a window for every `stride` pixels."""
    missing = max((-(-length // stride) - 1) * stride + side - length, 0)
    return missing // 2, missing - missing // 2
