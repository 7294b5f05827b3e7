"""The algebras in which a formula is evaluated: what numbers are, and what the operations on them compute.

A formula and its derivatives are one list of operations, whatever they are evaluated on: Python floats at one point,
NumPy arrays at many points or over a table, balls of interval arithmetic in a proof. None of ours raises an error or
warns: a pole is infinite, and what has no real value is NaN.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from downslope.formulas.expressions import ForeignFunction, numpy_functions


@dataclass(frozen=True, eq=False)
class Algebra:
    """The numbers on which a formula is evaluated. Addition, subtraction, products and signs are Python's operators.

    Args:
        number: the value of an exact number.
        constants: the values of π and e, by these letters.
        function: the implementation of a function by its name in trees: "sin", "max" of two, "mean".
        divide: the quotient of two values.
        power: base to the exponent, two values.
        integer_power: a value to the power of a whole number, a Python int.
        context: the context in which operations run; None where they need none.
        rounds: whether results are floats, so that formulas are computed in the forms of `_stable_forms`.
    """

    number: Callable[[Fraction], Any]
    constants: Mapping[str, Any]
    function: Callable[[str], Callable[..., Any]]
    divide: Callable[[Any, Any], Any] = operator.truediv
    power: Callable[[Any, Any], Any] = operator.pow
    integer_power: Callable[[Any, int], Any] = operator.pow
    context: Callable[[], AbstractContextManager[Any]] | None = None
    rounds: bool = False


def as_float(value: Fraction) -> float:
    """Return the nearest float; infinity on overflow."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


# Python floats. The functions of `math` take a tenth of the time of NumPy's, but raise where IEEE 754 has a value;
# NumPy's are used there.

_MATH: dict[str, Callable[..., float]] = {
    "abs": math.fabs,
    "acos": math.acos,
    "acosh": math.acosh,
    "asin": math.asin,
    "asinh": math.asinh,
    "atan": math.atan,
    "atanh": math.atanh,
    "cbrt": math.cbrt,
    "ceil": lambda x: float(math.ceil(x)),
    "cos": math.cos,
    "cosm1": lambda x: -2 * math.sin(x / 2) ** 2,
    "cosh": math.cosh,
    "erf": math.erf,
    "erfc": math.erfc,
    "exp": math.exp,
    "exp_neg_asinh": lambda x: 1 / (math.sqrt(1 + x * x) + x) if x > 0 else math.sqrt(1 + x * x) - x,
    "expm1": math.expm1,
    "floor": lambda x: float(math.floor(x)),
    "ln": math.log,
    "log10": math.log10,
    "log1p": math.log1p,
    "log2": math.log2,
    "sin": math.sin,
    "sinh": math.sinh,
    "softplus": lambda x: math.log1p(math.exp(-abs(x))) + max(x, 0.0),
    "sqrt": math.sqrt,
    "sqrt1pm1": lambda x: x / (math.sqrt(1 + x) + 1),
    "tan": math.tan,
    "tanh": math.tanh,
}


def _sigmoid(x: float) -> float:
    small = math.exp(-abs(x))  # at most 1, so that it never overflows
    return 1 / (1 + small) if x >= 0 else small / (1 + small)


def _sign(x: float) -> float:
    return 1.0 if x > 0 else -1.0 if x < 0 else 0.0 * x


def _larger(x: float, y: float) -> float:
    return x if x >= y or x != x else y


def _smaller(x: float, y: float) -> float:
    return x if x <= y or x != x else y


_PLAIN: dict[str, Callable[..., float]] = {
    "abs": math.fabs,
    "max": _larger,
    "min": _smaller,
    "relu": lambda x: _larger(x, 0.0),
    "sigmoid": _sigmoid,
    "sign": _sign,
    "step": lambda x: 1.0 if x > 0 else 0.0,
    "<": operator.lt,
    "≤": operator.le,
    ">": operator.gt,
    "≥": operator.ge,
    "=": operator.eq,
    "≠": operator.ne,
    "and": operator.and_,
    "or": operator.or_,
    "not": operator.not_,
    "where": lambda mask, first, second: first if mask else second,
}


@functools.cache
def _float_function(name: str) -> Callable[..., float]:
    """Return a function of floats that never raises."""
    if name in _PLAIN:
        return _PLAIN[name]
    slow = functools.partial(_by_numpy, name)
    return _safe(_MATH[name], slow) if name in _MATH else slow


def _by_numpy(name: str, *arguments: float) -> float:
    import numpy

    with numpy.errstate(all="ignore"):
        return float(numpy_functions()[name](*map(numpy.float64, arguments)))


def _safe(fast: Callable[[float], float], slow: Callable[[float], float]) -> Callable[[float], float]:
    """Return a function that falls back to another where it raises: ln 0, √-1, e^1000."""

    def safe(x: float) -> float:
        try:
            return fast(x)
        except (ValueError, OverflowError):
            return slow(x)

    return safe


def _divide_floats(above: float, below: float) -> float:
    """Return a quotient; a zero divisor gives a signed infinity or NaN, as in IEEE 754."""
    try:
        return above / below
    except ZeroDivisionError:
        if above == 0 or above != above:
            return math.nan
        return math.copysign(math.inf, above) * math.copysign(1.0, below)


def _power_of_floats(base: float, exponent: float) -> float:
    """Return a power; NaN if it is not real, infinity on overflow and at a pole."""
    try:
        return math.pow(base, exponent)
    except (OverflowError, ValueError):
        import numpy

        with numpy.errstate(all="ignore"):
            return float(numpy.power(numpy.float64(base), numpy.float64(exponent)))


def _integer_power_of_floats(base: float, exponent: int) -> float:
    if exponent == 2:
        return base * base
    if exponent == 3:
        return base * base * base
    return _power_of_floats(base, exponent)


FLOATS = Algebra(
    number=as_float,
    constants={"π": math.pi, "e": math.e},
    function=_float_function,
    divide=_divide_floats,
    power=_power_of_floats,
    integer_power=_integer_power_of_floats,
    rounds=True,
)


# NumPy arrays: an array for a variable holds many points at once, a column of a table the numbers of its rows. Both
# together: points of shape (points, 1), columns of shape (rows,).


def _quiet() -> AbstractContextManager[Any]:
    import numpy

    return numpy.errstate(all="ignore")


def _over_rows(reduce: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return a reduction over the rows, which are the last axis; an axis of length 1 is left for many points."""
    return lambda values: reduce(values) if values.ndim < 2 else reduce(values, axis=-1, keepdims=True)


@functools.cache
def _array_function(name: str) -> Callable[..., Any]:
    if isinstance(name, ForeignFunction):
        return name
    table = numpy_functions()
    if name == "count":
        return lambda values: 1.0 * values.shape[-1]
    return _over_rows(table[name]) if name in ("mean", "sum") else table[name]


def _divide_arrays(above: Any, below: Any) -> Any:
    import numpy

    return numpy.true_divide(above, below)


def _power_of_arrays(base: Any, exponent: Any) -> Any:
    import numpy

    return numpy.power(base, exponent)


def _integer_power_of_arrays(base: Any, exponent: int) -> Any:
    """Return a power by repeated squaring, which takes a fraction of the time of NumPy's own."""
    import numpy

    if abs(exponent) > 64:
        return numpy.power(base, float(exponent))
    if exponent < 0:
        return numpy.true_divide(1.0, _integer_power_of_arrays(base, -exponent))
    result, square, left = None, base, exponent
    while left:
        if left & 1:
            result = square if result is None else result * square
        left >>= 1
        square = square * square if left else square
    return numpy.ones_like(base) if result is None else result


def _as_numpy(value: Fraction) -> Any:
    import numpy

    return numpy.float64(as_float(value))


ARRAYS = Algebra(
    number=_as_numpy,
    constants=FLOATS.constants,
    function=_array_function,
    divide=_divide_arrays,
    power=_power_of_arrays,
    integer_power=_integer_power_of_arrays,
    context=_quiet,
    rounds=True,
)
