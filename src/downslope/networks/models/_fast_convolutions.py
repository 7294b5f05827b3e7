"""Convolutions of foreign losses, rewritten for the CPU.

Inside a compiled loop, and a training is one, XLA runs the gradients of its own convolution on a CPU 3 to 80 times as
slowly as at the top of a program. Built-in networks use one matrix product of all windows instead. The JAX program of
an Equinox or Flax NNX module, or of a loss function, is evaluated equation by equation here, with each plain
convolution of images replaced by such a product. Values are the same up to rounding, and derivatives are those of the
replaced program.

The replacement happens wherever the loss is traced, so that every shape gets its own program. A convolution inside a
`scan`, `while` or `cond`, or in a function with a derivative rule of its own, stays as it is, and so does one with
groups or dilation.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._engine import jax
from downslope._types import Plain
from downslope.descent import Batched
from downslope.networks.layers import product_of_windows
from downslope.programs import InnerProgram, called, evaluate, walk

if TYPE_CHECKING:
    from jax import Array
    from jax.extend.core import Jaxpr, JaxprEqn

# The windows are copied out of the image, pixel by pixel: neither the program nor the memory may grow without bound.
_MOST_PIXELS = 11 * 11
_MOST_NUMBERS = 2**27


def with_fast_convolutions(batched: Batched) -> Batched:
    """Return an objective over batches whose loss has its plain convolutions as products of windows."""
    seen = None if batched.seen is None else rewritten(batched.seen)
    return dataclasses.replace(batched, loss=rewritten(batched.loss), seen=seen)


def rewritten(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of trees of arrays with its plain convolutions as products of windows.

    A function that has none is called as it is; where the processor is not a CPU, it is returned as it is.

    >>> import numpy as np
    >>> def response(image, weight):
    ...     return jax().lax.conv(image, weight, (1, 1), "VALID")
    >>> arguments = np.ones((1, 2, 5, 5)), np.ones((3, 2, 3, 3))
    >>> float(rewritten(response)(*arguments)[0, 0, 0, 0])
    18.0
    >>> "conv_general_dilated" in str(jax().make_jaxpr(rewritten(response))(*arguments))
    False
    """
    if jax().default_backend() != "cpu":
        return function

    @functools.wraps(function)
    def fast(*arguments: Any) -> Any:
        # The program is traced where the function is called, so that derivatives and batches of any shape work.
        closed, returned = jax().make_jaxpr(function, return_shape=True)(*arguments)
        if not _holds_plain(closed.jaxpr):
            return function(*arguments)
        outputs = _run(closed.jaxpr, closed.consts, jax().tree.leaves(arguments))
        return jax().tree.unflatten(jax().tree.structure(returned), outputs)

    return fast


def _holds_plain(program: Jaxpr) -> bool:
    """Tell whether a program has a convolution to rewrite, in itself or in a program that it calls."""
    for equation in program.eqns:
        inner = _opened(equation)
        if _is_plain(equation) or (inner is not None and _holds_plain(inner.jaxpr)):
            return True
    return False


def _opened(equation: JaxprEqn) -> InnerProgram | None:
    """Return the program that an equation only calls, or None; one that repeats a forward pass stays closed."""
    return None if equation.params.get("differentiated") else called(equation)


def _run(program: Jaxpr, constants: Sequence[Array], inputs: Sequence[Array]) -> list[Array]:
    """Evaluate a program with its plain convolutions rewritten."""
    return walk(program, constants, inputs, _outcomes, lambda value: value)


def _outcomes(equation: JaxprEqn, operands: list[Array]) -> list[Array]:
    """Evaluate one equation; a call that holds a plain convolution is opened."""
    if _is_plain(equation):
        return [_product(equation.params, *operands)]
    inner = _opened(equation)
    if inner is None or not _holds_plain(inner.jaxpr):
        return evaluate(equation, operands)
    settings = equation.params
    inside = functools.partial(_run, inner.jaxpr, inner.constants)
    if "prevent_cse" in settings:  # jax.checkpoint, which discards and recomputes as before
        forgetting = {name: settings[name] for name in ("prevent_cse", "policy")}
        return jax().checkpoint(lambda *values: inside(values), **forgetting)(*operands)
    return inside(operands)


def _is_plain(equation: Any) -> bool:
    """Tell whether an equation is a convolution of images that a product of windows can replace."""
    if equation.primitive.name != "conv_general_dilated":
        return False
    (image, weight), (output,), settings = equation.invars, equation.outvars, equation.params
    _, channels, *sides = (weight.aval.shape[axis] for axis in settings["dimension_numbers"].rhs_spec)
    # Dilated and grouped convolutions are no product of one matrix with all windows.
    dilations = (*settings["lhs_dilation"], *settings["rhs_dilation"])
    groups = settings["feature_group_count"], settings["batch_group_count"]
    _, output_channels, *_ = settings["dimension_numbers"].out_spec
    # Positions of the window over the whole batch, which bounds the memory of the copied windows.
    windows = output.aval.size // max(output.aval.shape[output_channels], 1)
    return (
        len(sides) == 2
        and {*dilations, *groups} == {1}
        and min(min(pair) for pair in settings["padding"]) >= 0
        and image.aval.dtype == weight.aval.dtype
        and jax().numpy.issubdtype(image.aval.dtype, np.floating)
        and 0 < prod(sides) <= _MOST_PIXELS
        and output.aval.size > 0
        and windows * prod(sides) * channels <= _MOST_NUMBERS
    )


def _product(settings: Plain, image: Array, weight: Array) -> Array:
    """Return a convolution as a product of windows, with the axes in the order of its settings."""
    images, weights, output = settings["dimension_numbers"]
    # Dimension numbers name the axes of any layout; the product wants channels last.
    batch, channels, height, width = images
    out, into, rows, columns = weights
    product = product_of_windows(
        image.transpose(batch, height, width, channels),
        weight.transpose(rows, columns, into, out),
        settings["window_strides"],
        settings["padding"],
        precision=settings["precision"],
        preferred_element_type=settings["preferred_element_type"],
    )
    batch, channels, height, width = output
    return product.transpose(np.argsort((batch, height, width, channels)))
