"""The functions that a formula may call: their spellings, and their implementations in NumPy and JAX.

SciPy is imported when a special function is first computed on an array, since importing it takes longer than most
answers.
"""

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
# Functions of forms that keep their digits (`evaluation/_stable_forms`), which nobody writes: cos u - 1,
# 1/(√(1 + u²) + u), e^u - 1, ln(1 + u) and √(1 + u) - 1.
STABLE = ("cosm1", "exp_neg_asinh", "expm1", "log1p", "sqrt1pm1")
# Of a Bessel function. An order beyond this is no textbook's, and would need more nodes below.
HIGHEST_ORDER = 20


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

    def exp_neg_asinh(x: Any) -> Any:
        positive = numpy.asarray(x) > 0
        root = numpy.sqrt(1 + numpy.square(x))
        return numpy.where(positive, 1 / (root + numpy.where(positive, x, 1.0)), root - x)

    return (
        _shared(numpy)
        | dict(_numpy_special())
        | {
            "cosm1": lambda x: -2 * numpy.square(numpy.sin(x / 2)),
            "erf": erf,
            "exp_neg_asinh": exp_neg_asinh,
            "expm1": numpy.expm1,
            "log1p": numpy.log1p,
            "relu": lambda x: numpy.maximum(x, 0.0),
            "sigmoid": sigmoid,
            "softplus": lambda x: numpy.logaddexp(x, 0.0),
            "sqrt1pm1": lambda x: x / (numpy.sqrt(1 + x) + 1),
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
        | dict(_jax_special())
        | {
            # JAX's own has the slope 1 at 0; this product has sign(0) = 0, as the table of rules says.
            "abs": lambda x: numpy.sign(x) * x,
            "erf": module.lax.erf,
            **_jax_stable(),
            "relu": module.nn.relu,
            "step": lambda x: numpy.where(x > 0, 1.0, 0.0),
        }
    )


def _jax_stable() -> dict[str, Callable[..., Any]]:
    """Return the functions whose derivative by JAX loses digits, each with a rule of its own.

    JAX computes tanh' as 1 - tanh², and the derivative of e^u - 1 as one more than its value.
    """
    from downslope._engine import jax

    module = jax()
    numpy = module.numpy

    def ruled(value: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Callable[[Any], Any]:
        function = module.custom_jvp(value)
        function.defjvp(lambda at, along: (function(*at), slope(*at) * along[0]))
        return function

    def sech(x: Any) -> Any:
        # XLA's cosh of 40 is e^(40 - ln 2) + …, whose exponent is rounded.
        small = numpy.exp(-numpy.abs(x))
        return 2 * small / (1 + numpy.square(small))

    def exp_neg_asinh(x: Any) -> Any:
        root = numpy.sqrt(1 + numpy.square(x))
        return numpy.where(x > 0, 1 / (root + numpy.where(x > 0, x, 1.0)), root - x)

    tanh = ruled(numpy.tanh, lambda x: numpy.square(bell(x)))
    bell = ruled(sech, lambda x: -bell(x) * tanh(x))
    sigmoid = ruled(module.nn.sigmoid, lambda x: numpy.square(bell(x / 2) / 2))
    below = ruled(exp_neg_asinh, lambda x: -below(x) / numpy.sqrt(1 + numpy.square(x)))
    return {
        "cosm1": ruled(lambda x: -2 * numpy.square(numpy.sin(x / 2)), lambda x: -numpy.sin(x)),
        "exp_neg_asinh": below,
        "expm1": ruled(numpy.expm1, numpy.exp),
        "log1p": numpy.log1p,
        "sech": bell,
        "sigmoid": sigmoid,
        "softplus": ruled(module.nn.softplus, sigmoid),
        "sqrt1pm1": ruled(lambda x: x / (numpy.sqrt(1 + x) + 1), lambda x: 1 / (2 * numpy.sqrt(1 + x))),
        "tanh": tanh,
    }


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


@functools.cache
def _numpy_special() -> Mapping[str, Callable[..., Any]]:
    """Return the NumPy implementation of each special function."""
    return {
        "besselj": lambda order, x: _scipy().jv(order, x),
        "digamma": lambda x: _scipy().digamma(x),
        "erfc": lambda x: _one_or_many(math.erfc, "erfc", x),
        "factorial": lambda x: _one_or_many(lambda value: _gamma(value + 1.0), "gamma", x, 1.0),
        "gamma": lambda x: _one_or_many(_gamma, "gamma", x),
        "lgamma": lambda x: _one_or_many(_lgamma, "gammaln", x),
        "polygamma": lambda order, x: _scipy().polygamma(order, x),
    }


def _scipy() -> Any:
    import scipy.special

    return scipy.special


def _one_or_many(scalar: Callable[[float], float], name: str, x: Any, shift: float = 0.0) -> Any:
    """Return a function of one number by `math`, of an array by SciPy."""
    import numpy

    if numpy.ndim(x) == 0:
        return numpy.float64(scalar(float(x)))
    return getattr(_scipy(), name)(numpy.asarray(x) + shift)


def _gamma(x: float) -> float:
    try:
        return math.gamma(x)
    except OverflowError:
        return math.inf
    except ValueError:  # a pole, whose sides differ in sign
        return math.nan


def _lgamma(x: float) -> float:
    try:
        return math.lgamma(x)
    except (OverflowError, ValueError):
        return math.inf


@functools.cache
def _jax_special() -> Mapping[str, Callable[..., Any]]:
    """Return the JAX implementation of each special function."""
    from downslope._engine import jax

    module = jax()
    special = module.scipy.special
    return {
        "besselj": _jax_bessel,
        "digamma": special.digamma,
        "erfc": module.lax.erfc,
        "factorial": lambda x: special.gamma(x + 1.0),
        "gamma": special.gamma,
        "lgamma": special.gammaln,
        "polygamma": lambda order, x: special.polygamma(int(order), x),
    }


def _jax_bessel(order: float, x: Any) -> Any:
    """Return Jₙ(x), from which JAX derives every derivative.

    Jₙ(x) = (1/π)∫₀^π cos(nτ − x sin τ) dτ. The integrand is smooth and periodic, so that the trapezoidal rule converges
    faster than any power of the number of nodes once that exceeds |x|. Beyond, Hankel's asymptotic series is as exact
    (Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, 9.1.21 and 9.2.5).
    """
    from downslope._engine import jax

    numpy = jax().numpy
    n = int(order)
    if n < 0:
        return (-1) ** n * _jax_bessel(-n, x)
    x = numpy.asarray(x, dtype=float)
    border = 30.0 + n * n
    nodes = int(1.2 * border) + 24
    angles = (numpy.arange(nodes) + 0.5) * (math.pi / nodes)
    # Both branches are computed everywhere. Each gets an argument it can take, lest gradients become 0·NaN.
    is_near = numpy.abs(x) <= border
    near = numpy.where(is_near, x, 0.0)[..., None]
    by_rule = numpy.mean(numpy.cos(n * angles - near * numpy.sin(angles)), axis=-1)
    far = numpy.where(is_near, border + 1.0, numpy.abs(x))
    sign = numpy.where(x < 0, (-1.0) ** n, 1.0)
    return numpy.where(is_near, by_rule, sign * _hankel(n, far))


def _hankel(n: int, x: Any) -> Any:
    """Return Jₙ(x) for x far above n², by the asymptotic series."""
    from downslope._engine import jax

    numpy = jax().numpy
    even, odd, term = 1.0, 0.0, 1.0
    for k in range(1, 22):
        term = term * (4 * n * n - (2 * k - 1) ** 2) / (k * 8 * x)
        if k % 2:
            odd = odd + (-1) ** (k // 2) * term
        else:
            even = even + (-1) ** (k // 2) * term
    phase = x - (n / 2 + 0.25) * math.pi
    return numpy.sqrt(2 / (math.pi * x)) * (even * numpy.cos(phase) - odd * numpy.sin(phase))
