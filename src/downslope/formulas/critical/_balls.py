"""Formulas on balls: enclosures of every value that a formula takes on a box, rigorous up to the last bit.

A ball [m ± r] of Arb contains the exact result whatever its inputs are within their own balls. Three algebras are made
of them: plain balls, which are not finite where a divisor contains zero; quotients of balls, which keep numerator and
divisor apart, so that a slope 1 − 1/x² around a pole is known not to vanish; and truncated power series in one variable
with balls as coefficients, which count the zeros of a slope.

References: Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", 2017.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from downslope.formulas.critical._enclosures import (
    gamma,
    gamma_around_pole,
    integer_power,
    lgamma,
    polygamma,
    polygamma_around_pole,
)
from downslope.formulas.evaluation import Algebra

if TYPE_CHECKING:
    from flint import arb

PRECISION = 128  # bits: what cancels near a double zero of a slope is far below those of a float
# Functions that Arb has under the same name.
_METHODS = (
    *("acos", "acosh", "asin", "asinh", "atan", "atanh", "cosh", "cot", "coth", "csc", "csch"),
    *("erf", "erfc", "exp", "sec", "sech", "sinh", "tan", "tanh"),
)


class NotEnclosedError(Exception):
    """A function has no enclosure here, so that nothing is proved of formulas that call it."""


@functools.cache
def balls() -> Algebra:
    """Return the algebra of balls."""
    from flint import arb, ctx

    unity = _number(Fraction(1))
    table: dict[str, Callable[..., Any]] = {
        "abs": abs,
        "acot": lambda x: arb.pi() / 2 - x.atan(),
        "acoth": lambda x: (unity / x).atanh(),
        "acsc": lambda x: (unity / x).asin(),
        "acsch": lambda x: (unity / x).asinh(),
        "asec": lambda x: (unity / x).acos(),
        "asech": lambda x: (unity / x).acosh(),
        "besselj": lambda order, x: x.bessel_j(order),
        "cbrt": lambda x: _odd_root(x, 3),
        "cos": lambda x: _wave(x)[1],
        "digamma": lambda x: polygamma(0, x),
        "factorial": lambda x: gamma(x + 1),
        "gamma": gamma,
        "lgamma": lgamma,
        "ln": lambda x: x.log(),
        "log10": lambda x: x.log() / arb.const_log10(),
        "log2": lambda x: x.log() / arb.const_log2(),
        "max": lambda x, y: x.max(y),
        "min": lambda x, y: x.min(y),
        "polygamma": lambda order, x: polygamma(int(float(order)), x),
        "relu": lambda x: x.max(arb(0)),
        "root": lambda x, degree: _odd_root(x, int(float(degree))),
        "sigmoid": lambda x: 1 / (1 + (-x).exp()),
        "sign": lambda x: x.sgn(),
        "sin": lambda x: _wave(x)[0],
        "softplus": lambda x: (1 + x.exp()).log() if not x > 60 else x + (-x).exp().log1p(),
        # A ball that rounding moved below 0 has a root; one that lies there has none.
        "sqrt": lambda x: x.nonnegative_part().sqrt() if not x < 0 else arb.nan(),
        "step": _step,
    }
    table |= {name: _method(name) for name in _METHODS}
    return Algebra(
        number=_number,
        constants={"π": _at_precision(arb.pi), "e": _at_precision(arb.const_e)},
        function=functools.partial(_function, table),
        divide=lambda above, below: above / below,
        power=_power,
        integer_power=integer_power,
        context=lambda: ctx.workprec(PRECISION),
    )


def _method(name: str) -> Callable[[Any], Any]:
    return lambda x: getattr(x, name)()


def _function(table: dict[str, Callable[..., Any]], name: str) -> Callable[..., Any]:
    if name not in table:
        raise NotEnclosedError(name)
    return table[name]


def _number(value: Fraction) -> arb:
    from flint import arb, fmpq

    return arb(fmpq(value.numerator, value.denominator))


def _at_precision(constant: Callable[[], Any]) -> Any:
    from flint import ctx

    with ctx.workprec(PRECISION):
        return constant()


def _wave(x: arb) -> tuple[arb, arb]:
    """Return sine and cosine.

    On a ball [m ± r] the cosine differs from cos m by at most r·|sin m| + r²/2. Arb's own bound is a multiple of r, and
    would leave 1 − cos x undecided in a thousand times the width around each zero.
    """
    from flint import arb

    radius = x.rad()
    if not radius < 0.25:
        return x.sin_cos()
    sine, cosine = x.mid().sin_cos()
    half_square = radius * radius / 2
    around_sine = (cosine.abs_upper() * radius + half_square).upper()
    around_cosine = (sine.abs_upper() * radius + half_square).upper()
    return sine + arb(0, around_sine), cosine + arb(0, around_cosine)


def _odd_root(x: arb, degree: int) -> arb:
    """Return the real root of an odd degree, which is negative where x is."""
    from flint import arb

    if x > 0:
        return x.root(degree)
    if x < 0:
        return -((-x).root(degree))
    if not x.is_finite():
        return arb.nan()
    # A root rises everywhere: across 0, where it is too steep for a ball, its ends enclose it.
    largest = x.abs_upper().root(degree)
    return arb(0).union(largest) if x >= 0 else (-largest).union(largest)


def _step(x: arb) -> arb:
    from flint import arb

    if x > 0:
        return arb(1)
    return arb(0) if x <= 0 else arb(0).union(arb(1))


def _power(base: arb, exponent: arb) -> arb:
    """Return a power of a base that is not negative: the pieces of a formula have no others."""
    from flint import arb

    if base > 0:
        return base**exponent
    if base < 0 or not base.is_finite() or not exponent > 0:
        return arb.nan()
    # Across 0 the power rises from 0 to that of the larger end.
    return arb(0).union(base.abs_upper() ** exponent)


# Quotients of balls


class Ratio:
    """A quotient of balls whose divisor may contain zero."""

    __slots__ = ("above", "below")

    def __init__(self, above: arb, below: arb | None = None) -> None:
        self.above = above
        self.below = below

    def __add__(self, other: Ratio) -> Ratio:
        if self.below is None:
            return Ratio(self.above + other.above) if other.below is None else other + self
        if other.below is None:
            return Ratio(self.above + other.above * self.below, self.below)
        # The square of the divisor as the common one would widen every ball.
        if self.below is other.below:
            return Ratio(self.above + other.above, self.below)
        return Ratio(self.above * other.below + other.above * self.below, self.below * other.below)

    def __neg__(self) -> Ratio:
        return Ratio(-self.above, self.below)

    def __sub__(self, other: Ratio) -> Ratio:
        return self + (-other)

    def __mul__(self, other: Ratio) -> Ratio:
        above = self.above * other.above
        if self.below is None:
            return Ratio(above, other.below)
        if other.below is None:
            return Ratio(above, self.below)
        return Ratio(above, self.below * other.below)

    def over(self, other: Ratio) -> Ratio:
        """Return the quotient."""
        above = self.above if other.below is None else self.above * other.below
        # What is certainly not zero is divided by at once: only poles have to be kept apart.
        if not other.above.contains(0):
            return Ratio(above / other.above, self.below)
        return Ratio(above, other.above if self.below is None else self.below * other.above)

    def power(self, exponent: int) -> Ratio:
        """Return an integer power."""
        if exponent < 0:
            return Ratio(_number(Fraction(1))).over(self.power(-exponent))
        return Ratio(integer_power(self.above, exponent), self.below and integer_power(self.below, exponent))

    @property
    def plain(self) -> arb:
        """The ball of the quotient; not finite where the divisor contains zero."""
        return self.above if self.below is None else self.above / self.below


@functools.cache
def ratios() -> Algebra:
    """Return the algebra of quotients of balls."""
    inner = balls()

    def function(name: str) -> Callable[..., Any]:
        # tan and its relatives are quotients as well.
        parts = {"tan": ("sin", "cos"), "cot": ("cos", "sin"), "sec": (None, "cos"), "csc": (None, "sin")}
        if name in parts:
            above, below = parts[name]

            def quotient(x: Ratio) -> Ratio:
                unity = Ratio(_number(Fraction(1)))
                top = unity if above is None else Ratio(inner.function(above)(x.plain))
                return top.over(Ratio(inner.function(below)(x.plain)))

            return quotient
        plain = inner.function(name)
        around_pole = _AROUND_POLES.get(name)

        def apply(*arguments: Ratio) -> Ratio:
            inputs = [argument.plain for argument in arguments]
            parts = None if around_pole is None or not inputs[-1].contains_integer() else around_pole(*inputs)
            return Ratio(plain(*inputs)) if parts is None else Ratio(*parts)

        return apply

    def power(base: Ratio, exponent: Ratio) -> Ratio:
        # (x − 2)^(−1/3), the slope at a cusp, is a quotient.
        if exponent.plain < 0:
            return Ratio(_number(Fraction(1))).over(Ratio(_power(base.plain, -exponent.plain)))
        return Ratio(_power(base.plain, exponent.plain))

    return Algebra(
        number=lambda value: Ratio(inner.number(value)),
        constants={name: Ratio(value) for name, value in inner.constants.items()},
        function=function,
        divide=Ratio.over,
        power=power,
        integer_power=Ratio.power,
        context=inner.context,
    )


# Functions that are quotients around their poles.
_AROUND_POLES: dict[str, Callable[..., tuple[Any, Any] | None]] = {
    "digamma": lambda x: polygamma_around_pole(0, x),
    "factorial": lambda x: gamma_around_pole(x + 1),
    "gamma": gamma_around_pole,
    "polygamma": lambda order, x: polygamma_around_pole(int(float(order)), x),
}


# Power series


@functools.cache
def series() -> Algebra:
    """Return the algebra of power series with balls as coefficients."""
    from flint import arb, arb_series, ctx

    def constant(value: Any) -> Any:
        return arb_series([value])

    table: dict[str, Callable[..., Any]] = {
        "ln": lambda x: x.log(),
        "log10": lambda x: x.log() / arb.const_log10(),
        "log2": lambda x: x.log() / arb.const_log2(),
        "sigmoid": lambda x: 1 / (1 + (-x).exp()),
        "softplus": lambda x: (1 + x.exp()).log(),
        # Series have neither hyperbolic functions nor roots in Arb; what stands under a root is positive in a piece.
        "sinh": lambda x: (x.exp() - (-x).exp()) / 2,
        "cosh": lambda x: (x.exp() + (-x).exp()) / 2,
        "tanh": lambda x: 1 - 2 / ((2 * x).exp() + 1),
        "cbrt": lambda x: (x.log() / 3).exp(),
        "root": lambda x, degree: (x.log() / degree).exp(),
        "acot": lambda x: arb.pi() / 2 - x.atan(),
        "factorial": lambda x: (x + 1).gamma(),
        "sech": lambda x: 2 / (x.exp() + (-x).exp()),
        "csch": lambda x: 2 / (x.exp() - (-x).exp()),
        "coth": lambda x: 1 + 2 / ((2 * x).exp() - 1),
        "sec": lambda x: 1 / x.cos(),
        "csc": lambda x: 1 / x.sin(),
        "cot": lambda x: x.cos() / x.sin(),
    }
    for name in ("acos", "asin", "atan", "cos", "erf", "erfc", "exp", "gamma", "lgamma", "sin", "sqrt", "tan"):
        table[name] = _method(name)
    return Algebra(
        number=lambda value: constant(_number(value)),
        constants={name: constant(value) for name, value in balls().constants.items()},
        function=functools.partial(_function, table),
        divide=lambda above, below: above / below,
        power=lambda base, exponent: (base.log() * exponent).exp(),
        integer_power=lambda base, exponent: base**exponent,
        context=lambda: ctx.workprec(PRECISION),
    )
