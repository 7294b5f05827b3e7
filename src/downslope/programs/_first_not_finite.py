"""Where a number that is not finite began: one step computed again, operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax
from downslope._types import Plain, Point

_WORDS = {
    "exp": "exponential",
    "exp2": "exponential",
    "log": "logarithm",
    "log1p": "logarithm",
    "div": "division",
    "dot_general": "matrix product",
    "conv_general_dilated": "convolution",
    "integer_pow": "power",
    "pow": "power",
    "square": "square",
    "rsqrt": "root",
    "sqrt": "root",
    "reduce_sum": "sum",
    "mul": "product",
    "add": "sum",
    "add_any": "sum of gradients",
    "sub": "difference",
}
_OPENED = ("pjit", "jit", "custom_jvp_call", "custom_vjp_call", "closed_call", "remat", "checkpoint")


def first_not_finite(loss: Callable[[Point], Any], point: Point) -> Plain:
    """Return the operation at which the first number that is not finite arises, in the loss or in its gradient.

    Args:
        loss: the loss of one batch as a function of the point alone.
        point: where.

    Returns:
        operation: in words; layer: the part of the point that its numbers came through last, or None; pass: "forward",
        "backward" or "update"; value_before: the largest size of what went in; sentence. Empty where all is finite.
    """
    names = _tree.part_names(point)
    for name, leaf in zip(names, _tree.leaves(point), strict=True):
        if not np.all(np.isfinite(np.asarray(leaf, np.float32))):
            sentence = f"The step before made {name} a number that is not finite: the update overflowed."
            return {"operation": "update", "layer": name, "pass": "update", "value_before": None, "sentence": sentence}
    for called, function in (("forward", loss), ("backward", jax().grad(loss))):
        program = jax().make_jaxpr(function)(point)
        found = next(_bad(program.jaxpr, program.consts, jax().tree.leaves(point), list(names)), None)
        if found is not None:
            return _told(*found, called)
    return {}


def _told(primitive: str, part: str | None, before: float, called: str) -> Plain:
    """Return what was found as plain data, with its sentence."""
    operation = _WORDS.get(primitive, primitive.replace("_", " "))
    layer = None if part is None else part.rpartition("/")[0] or part
    where = "on the way back" if called == "backward" else "on the way forward"
    place = "" if layer is None else f" behind {layer}"
    size = f"of numbers up to {before:.4g}" if np.isfinite(before) else "of numbers"
    return {
        "operation": operation,
        "layer": layer,
        "pass": called,
        "value_before": before,
        "sentence": f"It began {where}{place}, in a {operation} {size}.",
    }


def _bad(
    program: Any, constants: Sequence[Any], inputs: Sequence[Any], parts: list[str | None]
) -> Iterator[tuple[str, str | None, float]]:
    """Yield the first operation that makes numbers that are not finite out of finite ones, if there is one.

    The part that a value came through last is carried along with it. Programs inside are opened as they come.
    """
    values = dict(zip(program.constvars, ((one, None) for one in constants), strict=True))
    values |= dict(zip(program.invars, zip(inputs, parts, strict=True), strict=True))
    for equation in program.eqns:
        given = [values[atom] if not hasattr(atom, "val") else (atom.val, None) for atom in equation.invars]
        part = next((name for _, name in reversed(given) if name is not None), None)
        inner = _inside(equation)
        finite = all(_is_finite(value) for value, _ in given)
        if inner is not None and finite:
            yield from _bad(inner.jaxpr, inner.consts, [value for value, _ in given], [name for _, name in given])
        settings = equation.primitive.get_bind_params(equation.params)
        made = equation.primitive.bind(*(value for value, _ in given), **settings)
        outputs = made if equation.primitive.multiple_results else [made]
        if finite and not all(_is_finite(output) for output in outputs):
            yield equation.primitive.name, part, max((_size(value) for value, _ in given), default=0.0)
            return
        values |= {variable: (output, part) for variable, output in zip(equation.outvars, outputs, strict=True)}


def _inside(equation: Any) -> Any:
    """Return the program inside of an operation that is only a call, or None."""
    if equation.primitive.name not in _OPENED:
        return None
    inner = equation.params.get("jaxpr") or equation.params.get("call_jaxpr")
    return inner if hasattr(inner, "consts") else None


def _is_finite(value: Any) -> bool:
    """Tell whether every number of an array is finite; whole numbers and keys are."""
    kind = getattr(value, "dtype", None)
    if kind is None or not jax().numpy.issubdtype(kind, np.floating):
        return True
    return bool(np.all(np.isfinite(np.asarray(value, np.float32))))


def _size(value: Any) -> float:
    """Return the largest size of an array's numbers."""
    if not jax().numpy.issubdtype(getattr(value, "dtype", np.dtype(int)), np.floating) or not np.size(value):
        return 0.0
    return float(np.max(np.abs(np.asarray(value, np.float32))))
