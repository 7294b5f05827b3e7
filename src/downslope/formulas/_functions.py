"""The functions that a formula may call: their spellings, and their implementations in NumPy, JAX and SymPy."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any


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
# Functions over the rows of a table, which give one number for a column.
REDUCTIONS = ("mean", "sum", "count")
# What piecewise formulas select with; the tables of implementations hold these as well.
SELECTIONS = ("not", "where")


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

    return _shared(numpy) | {
        "erf": erf,
        "relu": lambda x: numpy.maximum(x, 0.0),
        "sigmoid": sigmoid,
        "softplus": lambda x: numpy.logaddexp(x, 0.0),
        "step": lambda x: numpy.where(numpy.asarray(x) > 0, 1.0, 0.0),
    }


@functools.cache
def jax_functions() -> Mapping[str, Callable[..., Any]]:
    """Return the JAX implementation of each function."""
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
    """Return the functions with the same name in `numpy` and `jax.numpy`."""
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
        # A float, like every other value.
        "count": lambda x: 1.0 * numpy.size(x),
        "exp": numpy.exp,
        "ln": numpy.log,
        "log10": numpy.log10,
        "log2": numpy.log2,
        "max": lambda *arguments: functools.reduce(numpy.maximum, arguments),
        "mean": numpy.mean,
        "min": lambda *arguments: functools.reduce(numpy.minimum, arguments),
        "not": numpy.logical_not,
        "where": numpy.where,
        "sign": numpy.sign,
        "sin": numpy.sin,
        "sinh": numpy.sinh,
        "sqrt": numpy.sqrt,
        "sum": numpy.sum,
        "tan": numpy.tan,
        "tanh": numpy.tanh,
    }


# The SymPy classes below keep a function as an atom with a known derivative; SymPy's own would be expanded.


@functools.cache
def own_functions() -> SimpleNamespace:
    """Return the SymPy classes of the functions that SymPy lacks or would expand, by name."""
    import sympy

    class Sigmoid(sympy.Function):
        """σ(x) = 1/(1 + e^(-x)); σ' = σ(1 − σ)."""

        def fdiff(self, argindex: int = 1) -> Any:
            return self * (1 - self)

        def _eval_evalf(self, prec: int) -> Any:
            return (1 / (1 + sympy.exp(-_inside(self))))._eval_evalf(prec)

    class Softplus(sympy.Function):
        """ln(1 + e^x), whose derivative is σ."""

        def fdiff(self, argindex: int = 1) -> Any:
            return Sigmoid(_inside(self))

        def _eval_evalf(self, prec: int) -> Any:
            return sympy.log(1 + sympy.exp(_inside(self)))._eval_evalf(prec)

    class Step(sympy.Function):
        """1 for x > 0, else 0."""

        def fdiff(self, argindex: int = 1) -> Any:
            return sympy.Integer(0)

        def _eval_evalf(self, prec: int) -> Any:
            return sympy.Float(1 if _inside(self) > 0 else 0, precision=prec)

    class Relu(sympy.Function):
        """The larger of x and 0."""

        def fdiff(self, argindex: int = 1) -> Any:
            return Step(_inside(self))

        def _eval_evalf(self, prec: int) -> Any:
            return sympy.Max(_inside(self), 0)._eval_evalf(prec)

    class Sign(sympy.Function):
        """The sign of x, whose derivative is 0 away from 0."""

        def fdiff(self, argindex: int = 1) -> Any:
            return sympy.Integer(0)

        def _eval_evalf(self, prec: int) -> Any:
            return sympy.sign(_inside(self))._eval_evalf(prec)

    class Magnitude(sympy.Function):
        """|x|, whose derivative is its sign."""

        def fdiff(self, argindex: int = 1) -> Any:
            return Sign(_inside(self))

        def _eval_evalf(self, prec: int) -> Any:
            return sympy.Abs(_inside(self))._eval_evalf(prec)

    class Cbrt(sympy.Function):
        """The real cube root, which is negative where x is."""

        def fdiff(self, argindex: int = 1) -> Any:
            return 1 / (3 * self**2)

        def _eval_evalf(self, prec: int) -> Any:
            return sympy.real_root(_inside(self), 3)._eval_evalf(prec)

    class Count(sympy.Function):
        """The number of rows of a table."""

        def _eval_derivative(self, by: sympy.Symbol) -> Any:
            return sympy.Integer(0)

    class Mean(sympy.Function):
        """The mean over the rows of a table; differentiation commutes with it."""

        def _eval_derivative(self, by: sympy.Symbol) -> Any:
            return _reduced(Mean, _inside(self).diff(by))

    class Total(sympy.Function):
        """The sum over the rows of a table; its arguments after the first are the columns that vary by row."""

        def _eval_derivative(self, by: sympy.Symbol) -> Any:
            # Σᵢ c = n·c: without this the sum would be over a constant, and lose the number of rows.
            inside, rows = _inside(self).diff(by), self.args[1:]
            if inside.free_symbols.isdisjoint(rows):  # constant over the rows: the sum is a multiple
                return inside * Count(rows[0]) if rows else inside
            return _reduced(lambda rest: Total(rest, *rows), inside)

    return SimpleNamespace(
        Sigmoid=Sigmoid,
        Softplus=Softplus,
        Cbrt=Cbrt,
        Count=Count,
        Step=Step,
        Relu=Relu,
        Sign=Sign,
        Magnitude=Magnitude,
        Mean=Mean,
        Total=Total,
    )


def _reduced(reduction: Any, inside: Any) -> Any:
    """Return the reduction of an expression, with its numeric factor in front."""
    if inside.is_number:
        return inside
    # 2·mean(x) rather than mean(2x): the form that a textbook shows.
    factor, rest = inside.as_coeff_Mul()
    return factor * reduction(rest)


def _inside(applied: Any) -> Any:
    """Return a function's first argument."""
    return applied.args[0]
