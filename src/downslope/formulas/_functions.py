"""The functions that a formula may call: how they are written, and what computes them in NumPy and JAX."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Function:
    r"""A known function.

    Args:
        name: the name the tree uses.
        arity: least and most number of arguments; None for any number.
        spellings: other ways to write it.
        latex: its LaTeX command, or None for `\\operatorname`.
    """

    name: str
    arity: tuple[int, int | None] = (1, 1)
    spellings: tuple[str, ...] = ()
    latex: str | None = None


_TABLE = (
    Function("abs", spellings=("Abs",)),
    Function("acos", spellings=("arccos",), latex=r"\arccos"),
    Function("acosh", spellings=("arcosh", "arccosh")),
    Function("asin", spellings=("arcsin",), latex=r"\arcsin"),
    Function("asinh", spellings=("arsinh", "arcsinh")),
    Function("atan", spellings=("arctan",), latex=r"\arctan"),
    Function("atanh", spellings=("artanh", "arctanh")),
    Function("cbrt"),
    Function("cos", latex=r"\cos"),
    Function("cosh", latex=r"\cosh"),
    Function("count"),
    Function("erf"),
    Function("exp", latex=r"\exp"),
    Function("ln", spellings=("log",), latex=r"\ln"),
    Function("log10", spellings=("log_10", "log₁₀", "lg")),
    Function("log2", spellings=("log_2", "log₂")),
    Function("max", arity=(2, None), latex=r"\max"),
    Function("mean", spellings=("Mean", "average", "Average")),
    Function("min", arity=(2, None), latex=r"\min"),
    Function("relu", spellings=("ReLU",)),
    Function("sigmoid", spellings=("σ", "expit")),
    Function("sign", spellings=("sgn",)),
    Function("sin", latex=r"\sin"),
    Function("sinh", latex=r"\sinh"),
    Function("softplus"),
    Function("sqrt"),
    Function("step", spellings=("heaviside",)),
    Function("sum"),
    Function("tan", latex=r"\tan"),
    Function("tanh", latex=r"\tanh"),
)
FUNCTIONS: dict[str, Function] = {function.name: function for function in _TABLE}
SPELLINGS: dict[str, str] = {
    spelling: function.name for function in _TABLE for spelling in (function.name, *function.spellings)
}
REDUCTIONS = ("mean", "sum", "count")


@functools.cache
def numpy_functions() -> Mapping[str, Callable[..., Any]]:
    """Return what computes each function with NumPy."""
    import numpy

    def sigmoid(x: Any) -> Any:
        small = numpy.exp(-numpy.abs(x))
        return numpy.where(numpy.asarray(x) >= 0, 1 / (1 + small), small / (1 + small))

    def erf(x: Any) -> Any:
        return numpy.vectorize(math.erf, otypes=[float])(x)

    return _shared(numpy) | {
        "erf": erf,
        "relu": lambda x: numpy.maximum(x, 0.0),
        "sigmoid": sigmoid,
        "softplus": lambda x: numpy.logaddexp(x, 0.0),
        "step": lambda x: numpy.where(numpy.asarray(x) > 0, 1.0, 0.0),
    }


@functools.cache
def jax_functions() -> Mapping[str, Callable[..., Any]]:
    """Return what computes each function with JAX."""
    from downslope._engine import jax

    module = jax()
    numpy = module.numpy
    return _shared(numpy) | {
        "erf": module.lax.erf,
        "relu": module.nn.relu,
        "sigmoid": module.nn.sigmoid,
        "softplus": module.nn.softplus,
        "step": lambda x: numpy.where(x > 0, 1.0, 0.0),
    }


def _shared(numpy: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return the functions that NumPy and JAX spell alike."""
    return {
        "abs": numpy.abs,
        "acos": numpy.arccos,
        "acosh": numpy.arccosh,
        "asin": numpy.arcsin,
        "asinh": numpy.arcsinh,
        "atan": numpy.arctan,
        "atanh": numpy.arctanh,
        "cbrt": numpy.cbrt,
        "cos": numpy.cos,
        "cosh": numpy.cosh,
        "count": lambda x: 1.0 * numpy.size(x),
        "exp": numpy.exp,
        "ln": numpy.log,
        "log10": numpy.log10,
        "log2": numpy.log2,
        "max": lambda *arguments: functools.reduce(numpy.maximum, arguments),
        "mean": numpy.mean,
        "min": lambda *arguments: functools.reduce(numpy.minimum, arguments),
        "sign": numpy.sign,
        "sin": numpy.sin,
        "sinh": numpy.sinh,
        "sqrt": numpy.sqrt,
        "sum": numpy.sum,
        "tan": numpy.tan,
        "tanh": numpy.tanh,
    }
