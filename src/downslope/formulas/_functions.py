"""The functions that a formula may call: their spellings, and their implementations in NumPy and JAX."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from downslope.formulas._special import jax_special, numpy_special


@dataclass(frozen=True)
class Function:
    r"""A known function.

    Args:
        name: its name in expression trees.
        arity: smallest and largest number of arguments; None for no upper limit.
        spellings: other accepted names.
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
    Function("acot", spellings=("arccot",)),
    Function("acoth", spellings=("arcoth", "arccoth")),
    Function("acsc", spellings=("arccsc",)),
    Function("acsch", spellings=("arcsch", "arccsch")),
    Function("asec", spellings=("arcsec",)),
    Function("asech", spellings=("arsech", "arcsech")),
    Function("asin", spellings=("arcsin",), latex=r"\arcsin"),
    Function("asinh", spellings=("arsinh", "arcsinh")),
    Function("atan", spellings=("arctan",), latex=r"\arctan"),
    Function("atanh", spellings=("artanh", "arctanh")),
    Function("besselj", arity=(2, 2)),
    Function("cbrt"),
    Function("ceil", spellings=("ceiling",)),
    Function("cos", latex=r"\cos"),
    Function("cosh", latex=r"\cosh"),
    Function("cot", latex=r"\cot"),
    Function("coth", latex=r"\coth"),
    Function("count"),
    Function("csc", latex=r"\csc"),
    Function("csch"),
    Function("digamma"),
    Function("erf"),
    Function("erfc"),
    Function("exp", latex=r"\exp"),
    Function("factorial"),
    Function("floor"),
    Function("gamma", spellings=("Γ", "Gamma"), latex=r"\Gamma"),
    Function("lgamma", spellings=("gammaln", "lngamma")),
    Function("ln", spellings=("log",), latex=r"\ln"),
    Function("log10", spellings=("log_10", "log₁₀", "lg")),
    Function("log2", spellings=("log_2", "log₂")),
    Function("max", arity=(2, None), latex=r"\max"),
    Function("mean", spellings=("Mean", "average", "Average")),
    Function("min", arity=(2, None), latex=r"\min"),
    Function("mod", arity=(2, 2)),
    Function("polygamma", arity=(2, 2)),
    Function("relu", spellings=("ReLU",)),
    Function("root", arity=(2, 2)),
    Function("sec", latex=r"\sec"),
    Function("sech"),
    Function("sigmoid", spellings=("σ", "expit")),
    Function("sign", spellings=("sgn", "signum")),
    Function("sin", latex=r"\sin"),
    Function("sinh", latex=r"\sinh"),
    Function("softplus"),
    Function("sqrt"),
    Function("step", spellings=("heaviside", "Heaviside")),
    Function("sum"),
    Function("tan", latex=r"\tan"),
    Function("tanh", latex=r"\tanh"),
)
FUNCTIONS: dict[str, Function] = {function.name: function for function in _TABLE}
SPELLINGS: dict[str, str] = {
    spelling: function.name for function in _TABLE for spelling in (function.name, *function.spellings)
}
# Functions over the rows of a table, which give one number for a column.
REDUCTIONS = ("mean", "sum", "count")
# What piecewise formulas compare and select with; the tables of implementations hold these as well.
SELECTIONS = ("<", "≤", ">", "≥", "=", "≠", "and", "or", "not", "where")
# Functions whose first argument is a number, which is no variable of theirs: the order of Jₙ.
ORDERED = ("besselj", "polygamma")


@functools.cache
def numpy_functions() -> Mapping[str, Callable[..., Any]]:
    """Return the NumPy implementation of each function."""
    import numpy

    def sigmoid(x: Any) -> Any:
        small = numpy.exp(-numpy.abs(x))  # at most 1 on both sides, so it never overflows
        return numpy.where(numpy.asarray(x) >= 0, 1 / (1 + small), small / (1 + small))

    # NumPy has no erf, and importing scipy.special for a rare function would slow down every start.
    def erf(x: Any) -> Any:
        return numpy.vectorize(math.erf, otypes=[float])(x)

    return (
        _shared(numpy)
        | dict(numpy_special())
        | {
            "erf": erf,
            "relu": lambda x: numpy.maximum(x, 0.0),
            "sigmoid": sigmoid,
            "softplus": lambda x: numpy.logaddexp(x, 0.0),
            "step": lambda x: numpy.where(numpy.asarray(x) > 0, 1.0, 0.0),
        }
    )


@functools.cache
def jax_functions() -> Mapping[str, Callable[..., Any]]:
    """Return the JAX implementation of each function."""
    from downslope._engine import jax

    module = jax()
    numpy = module.numpy
    return (
        _shared(numpy)
        | dict(jax_special())
        | {
            # JAX's own has the slope 1 at 0; this product has sign(0) = 0, as the table of rules says.
            "abs": lambda x: numpy.sign(x) * x,
            "erf": module.lax.erf,
            "relu": module.nn.relu,
            "sigmoid": module.nn.sigmoid,
            "softplus": module.nn.softplus,
            "step": lambda x: numpy.where(x > 0, 1.0, 0.0),
        }
    )


def _shared(numpy: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return the functions that are written alike for `numpy` and `jax.numpy`."""

    def inverse(x: Any) -> Any:  # Python's own 1/0 raises
        return numpy.divide(1.0, x)

    def root(x: Any, degree: Any) -> Any:
        """Return the real root of an odd degree, which is negative where x is."""
        if degree == 3:
            return numpy.cbrt(x)
        return numpy.sign(x) * numpy.abs(x) ** (1.0 / degree)

    return {
        "abs": numpy.abs,
        "acos": numpy.arccos,
        "acosh": numpy.arccosh,
        "acot": lambda x: math.pi / 2 - numpy.arctan(x),
        "acoth": lambda x: numpy.arctanh(inverse(x)),
        "acsc": lambda x: numpy.arcsin(inverse(x)),
        "acsch": lambda x: numpy.arcsinh(inverse(x)),
        "asec": lambda x: numpy.arccos(inverse(x)),
        "asech": lambda x: numpy.arccosh(inverse(x)),
        "asin": numpy.arcsin,
        "asinh": numpy.arcsinh,
        "atan": numpy.arctan,
        "atanh": numpy.arctanh,
        "cbrt": numpy.cbrt,
        "ceil": numpy.ceil,
        "cos": numpy.cos,
        "cosh": numpy.cosh,
        "cot": lambda x: inverse(numpy.tan(x)),
        "coth": lambda x: inverse(numpy.tanh(x)),
        # A float, like every other value.
        "count": lambda x: 1.0 * numpy.size(x),
        "csc": lambda x: inverse(numpy.sin(x)),
        "csch": lambda x: inverse(numpy.sinh(x)),
        "exp": numpy.exp,
        "floor": numpy.floor,
        "ln": numpy.log,
        "log10": numpy.log10,
        "log2": numpy.log2,
        "max": lambda *arguments: functools.reduce(numpy.maximum, arguments),
        "mean": numpy.mean,
        "min": lambda *arguments: functools.reduce(numpy.minimum, arguments),
        "mod": numpy.mod,
        "root": root,
        "sec": lambda x: inverse(numpy.cos(x)),
        "sech": lambda x: inverse(numpy.cosh(x)),
        "sign": numpy.sign,
        "sin": numpy.sin,
        "sinh": numpy.sinh,
        "sqrt": numpy.sqrt,
        "sum": numpy.sum,
        "tan": numpy.tan,
        "tanh": numpy.tanh,
        "<": numpy.less,
        "≤": numpy.less_equal,
        ">": numpy.greater,
        "≥": numpy.greater_equal,
        "=": numpy.equal,
        "≠": numpy.not_equal,
        "and": numpy.logical_and,
        "or": numpy.logical_or,
        "not": numpy.logical_not,
        "where": numpy.where,
    }
