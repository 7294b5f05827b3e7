"""SymPy classes for functions that SymPy lacks or would expand: each an atom with a known derivative.

The module imports SymPy, so it is imported within functions only.
"""

from __future__ import annotations

from typing import Any

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


class Floor(sympy.Function):
    """The largest whole number that is not above x."""

    def fdiff(self, argindex: int = 1) -> Any:
        return sympy.Integer(0)

    def _eval_evalf(self, prec: int) -> Any:
        return sympy.floor(_inside(self))._eval_evalf(prec)


class Ceil(sympy.Function):
    """The smallest whole number that is not below x."""

    def fdiff(self, argindex: int = 1) -> Any:
        return sympy.Integer(0)

    def _eval_evalf(self, prec: int) -> Any:
        return sympy.ceiling(_inside(self))._eval_evalf(prec)


class Remainder(sympy.Function):
    """x mod m = x − m·⌊x/m⌋."""

    def fdiff(self, argindex: int = 1) -> Any:
        above, below = _arguments(self)
        if argindex == 1:
            return sympy.Integer(1)
        floor: Any = Floor(above / below)
        return -floor

    def _eval_evalf(self, prec: int) -> Any:
        return sympy.Mod(*self.args)._eval_evalf(prec)


class RealRoot(sympy.Function):
    """The real root of x of an odd degree, which is negative where x is."""

    def fdiff(self, argindex: int = 1) -> Any:
        degree = _arguments(self)[1]
        return 1 / (degree * self ** (degree - 1))

    def _eval_evalf(self, prec: int) -> Any:
        return sympy.real_root(*self.args)._eval_evalf(prec)


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


def _arguments(applied: Any) -> Any:
    """Return a function's arguments, of which SymPy's annotations know too little to compute with them."""
    return applied.args
