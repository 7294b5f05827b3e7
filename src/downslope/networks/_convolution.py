"""The convolution of a batch of images, in the form that the processor at hand runs fastest."""

from __future__ import annotations

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
    side, channels = weight.shape[0], weight.shape[-1]
    return _windows(image, side, stride, padding) @ weight.reshape(-1, channels)


def _windows(image: Any, side: int, stride: int, padding: str) -> Any:
    """Return the pixels under every window, shape (batch, height, width, side × side × channels)."""
    numpy = jax().numpy
    if padding == "same":
        image = numpy.pad(image, ((0, 0), *(_margins(length, side, stride) for length in image.shape[1:3]), (0, 0)))
    last = [(length - side) // stride * stride + 1 for length in image.shape[1:3]]
    shifted = [
        image[:, row : row + last[0] : stride, column : column + last[1] : stride]
        for row in range(side)
        for column in range(side)
    ]
    return numpy.concatenate(shifted, axis=-1)


def _margins(length: int, side: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after an image, so that there is a window for every `stride` pixels."""
    missing = max((-(-length // stride) - 1) * stride + side - length, 0)
    return missing // 2, missing - missing // 2
