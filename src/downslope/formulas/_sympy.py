"""Conversion between expression trees and SymPy, which is imported on first use.

Numbers are converted exactly, names become real symbols. Functions that SymPy would expand (sigmoid, softplus, relu,
the mean over a table) become SymPy functions defined in `_symbolic_functions`, so that results stay as short as in
a textbook.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from downslope._errors import FormulaError
from downslope.formulas.expressions import (
    REDUCTIONS,
    UNITY,
    Call,
    Combination,
    Comparison,
    Condition,
    Expression,
    MathConstant,
    Name,
    Negative,
    Number,
    Piecewise,
    Power,
    Product,
    Quotient,
    Sum,
    chained,
    combined,
    odd_root,
    product_of,
    terminates,
)

if TYPE_CHECKING:
    import sympy

_MOST_BITS = 4_000  # of a number's numerator and denominator; a float has room for 1024
_TOO_LARGE = "the formula's numbers are too large to be written exactly"


def to_sympy(tree: Expression, columns: Collection[str] = ()) -> sympy.Expr:
    """Return a tree as a SymPy expression.

    Args:
        tree: the expression.
        columns: the names in it that are data columns, over which `sum` and `count` run.

    Raises:
        FormulaError: for numbers with too many digits.
    """
    return _SympyWriter(columns).write(tree)


_RELATIONS = {"<": "Lt", "≤": "Le", ">": "Gt", "≥": "Ge", "=": "Eq", "≠": "Ne"}
_SIGNS = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=", "!=": "≠"}


class _SympyWriter:
    """Convert expression trees to SymPy."""

    def __init__(self, columns: Collection[str]) -> None:
        self.columns = columns

    def write(self, tree: Expression) -> sympy.Expr:
        """Return a node and everything below it as a SymPy expression."""
        import sympy

        match tree:
            case Number(value):
                return sympy.Rational(value.numerator, value.denominator)
            case Name(name):
                return symbol(name)
            case MathConstant(name):
                return sympy.pi if name == "π" else sympy.E
            case Negative(operand):
                return -self.write(operand)
            case Sum(terms):
                return sympy.Add(*map(self.write, terms))
            case Product(factors):
                return sympy.Mul(*map(self.write, factors))
            case Quotient(numerator, denominator):
                return self.write(numerator) / self.write(denominator)
            case Power(base, exponent):
                odd = odd_root(exponent)
                if odd is not None and base != MathConstant("e"):
                    power, degree = odd
                    return _real_root(self.write(base), sympy.Integer(degree)) ** power
                return _power_within_bounds(self.write(base), self.write(exponent))
            case Call("sum" | "count" as function, arguments):
                inside = self.write(arguments[0])
                # Total and Count carry their columns: a derivative must know which symbols vary by row.
                rows = [column for column in map(symbol, self.columns) if column in inside.free_symbols]
                return _makers()[function](inside, *rows)
            case Call(function, arguments):
                return _makers()[function](*map(self.write, arguments))
            case Piecewise(values, conditions):
                decided = [*map(self._condition, conditions), *([True] if tree.otherwise is not None else [])]
                # Unevaluated, since SymPy would merge pieces and rewrite their conditions.
                return sympy.Piecewise(*zip(map(self.write, values), decided, strict=True), evaluate=False)

    def _condition(self, condition: Condition) -> Any:
        """Return a condition as a SymPy relation or a combination of relations."""
        import sympy

        if isinstance(condition, Combination):
            combine = sympy.And if condition.word == "and" else sympy.Or
            return combine(*map(self._condition, condition.conditions))
        relation = getattr(sympy, _RELATIONS[condition.sign])
        return relation(self.write(condition.left), self.write(condition.right))


def _real_root(x: Any, degree: Any) -> Any:
    """Return the real root of an odd degree: a power of its own only where x may be negative."""
    if x.is_nonnegative:
        return x ** (1 / degree)
    if x.is_negative:
        return -((-x) ** (1 / degree))
    from downslope.formulas._sympy_functions import RealRoot

    return RealRoot(x, degree)


def _power_within_bounds(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    """Return a power; raise if its coefficient would be too large: SymPy writes (2x)^9999 as 2^9999·x^9999."""
    import sympy

    # SymPy evaluates powers of numbers eagerly, so the size must be checked before the Pow is built.
    if exponent.is_Rational:
        factor = base if base.is_Rational else base.as_coeff_Mul()[0]
        bits = max(factor.p.bit_length(), factor.q.bit_length()) if isinstance(factor, sympy.Rational) else 1
        if bits * abs(exponent) > _MOST_BITS and factor not in (0, 1, -1):
            raise FormulaError(_TOO_LARGE)
    return sympy.Pow(base, exponent)


def from_sympy(expression: sympy.Expr, *, decimals: bool = False) -> Expression:
    """Return a SymPy expression as a tree, with terms in textbook order.

    Args:
        expression: an expression built from results of `to_sympy`.
        decimals: whether numbers with a finite decimal expansion print as decimals.

    Raises:
        FormulaError: if it contains a function or number that a formula cannot express.
    """
    return _SympyReader(decimals).read(expression)


@functools.cache
def symbol(name: str) -> sympy.Symbol:
    """Return the real symbol of a name."""
    import sympy

    return sympy.Symbol(name, real=True)


# Functions with the same name here and in SymPy.
_SHARED = (
    *("acos", "acosh", "acoth", "acsc", "acsch", "asec", "asech", "asin", "asinh", "atan", "atanh"),
    *("besselj", "cos", "cosh", "cot", "coth", "csc", "csch", "erf", "erfc", "factorial", "gamma", "polygamma"),
    *("sec", "sech", "sin", "sinh", "tan", "tanh"),
)


@functools.cache
def _makers() -> Mapping[str, Callable[..., Any]]:
    """Return the SymPy constructor of each function."""
    import sympy

    from downslope.formulas import _sympy_functions as own

    return {name: getattr(sympy, name) for name in (*_SHARED, "exp", "sqrt")} | {
        "abs": own.Magnitude,
        "acot": lambda x: sympy.pi / 2 - sympy.atan(x),  # SymPy's own jumps at 0
        "cbrt": own.Cbrt,
        "ceil": own.Ceil,
        "count": own.Count,
        "digamma": lambda x: sympy.polygamma(0, x),
        "floor": own.Floor,
        "lgamma": sympy.loggamma,
        "ln": sympy.log,
        "log10": lambda x: sympy.log(x) / sympy.log(10),
        "log2": lambda x: sympy.log(x) / sympy.log(2),
        "max": lambda *arguments: functools.reduce(lambda a, b: a + own.Relu(b - a), _numbers_first(arguments)),
        "min": lambda *arguments: functools.reduce(lambda a, b: a - own.Relu(a - b), _numbers_first(arguments)),
        "mean": own.Mean,
        "mod": own.Remainder,
        "root": lambda x, degree: _real_root(x, degree) if degree % 2 == 1 else x ** (1 / degree),
        "sum": own.Total,
        "relu": own.Relu,
        "sigmoid": own.Sigmoid,
        "sign": own.Sign,
        "softplus": own.Softplus,
        "step": own.Step,
    }


def _numbers_first(expressions: tuple[sympy.Expr, ...]) -> list[sympy.Expr]:
    """Return expressions with plain numbers first, so that max(x, 0) becomes relu(x)."""
    return sorted(expressions, key=lambda expression: not expression.is_number)


_READ_BACK = {
    "Cbrt": "cbrt",
    "Ceil": "ceil",
    "Count": "count",
    "Floor": "floor",
    "Remainder": "mod",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Step": "step",
    "Relu": "relu",
    "Sign": "sign",
    "Magnitude": "abs",
    "Mean": "mean",
    "Total": "sum",
    "log": "ln",
    "loggamma": "lgamma",
    "digamma": "digamma",
    "Abs": "abs",
    "sign": "sign",
    **{name: name for name in _SHARED},
}


class _SympyReader:
    """Convert SymPy expressions to trees.

    Expressions are annotated as Any here, as SymPy's own annotations lack most attributes of an expression.
    """

    def __init__(self, decimals: bool) -> None:
        self.decimals = decimals

    def read(self, expression: Any) -> Expression:
        """Return a SymPy expression as a tree."""
        import sympy

        if expression.is_Rational:
            return self._number(Fraction(int(expression.p), int(expression.q)))
        if expression.is_Symbol:
            return Name(expression.name)
        if expression == sympy.pi:
            return MathConstant("π")
        if expression == sympy.E:
            return MathConstant("e")
        if expression.is_Add:
            return Sum(tuple(self.read(term) for term in _book_order(expression)))
        if expression.is_Mul:
            return self._product(expression)
        # SymPy represents e^x as a function of its own, a formula as a power of e.
        if isinstance(expression, sympy.exp):
            return Power(MathConstant("e"), self.read(expression.args[0]))
        if expression.is_Pow:
            return self._power(expression)
        if isinstance(expression, sympy.Piecewise):
            return self._piecewise(expression)
        return self._call(expression)

    def _piecewise(self, expression: Any) -> Expression:
        """Return a piecewise expression; a last condition that always holds is an "otherwise"."""
        values = tuple(self.read(value) for value, _ in expression.args)
        decided = [condition for _, condition in expression.args]
        conditions = decided[:-1] if decided[-1] == True else decided  # noqa: E712 - SymPy's own true
        return Piecewise(values, tuple(map(self._condition, conditions)))

    def _condition(self, condition: Any) -> Condition:
        """Return a SymPy condition."""
        import sympy

        if isinstance(condition, sympy.And | sympy.Or):
            parts = list(map(self._condition, condition.args))
            return chained(parts) if isinstance(condition, sympy.And) else combined("or", parts)
        sign = _SIGNS.get(getattr(condition, "rel_op", ""))
        if sign is None:
            raise FormulaError("a condition of the formula cannot be written down")
        return Comparison(self.read(condition.lhs), sign, self.read(condition.rhs))

    def _call(self, expression: Any) -> Expression:
        """Return the application of a function."""
        # SymPy may introduce functions that a formula has no notation for: re, im, DiracDelta, Derivative.
        kind = type(expression).__name__
        if kind == "RealRoot":
            return self._root(expression, Fraction(1))
        if kind == "polygamma" and expression.args[0] == 0:
            return Call("digamma", (self.read(expression.args[1]),))
        name = _READ_BACK.get(kind)
        if name is None:
            raise FormulaError("the formula has no real derivative that can be written down")
        arguments = expression.args[:1] if name in REDUCTIONS else expression.args
        return Call(name, tuple(self.read(argument) for argument in arguments))

    def _number(self, value: Fraction) -> Expression:
        """Return a number; a fraction without a decimal form becomes a quotient."""
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
            raise FormulaError(_TOO_LARGE)
        if value < 0:
            return Negative(self._number(-value))
        decimal = self.decimals and value.denominator != 1 and terminates(value)
        if value.denominator == 1 or decimal:
            return Number(value, decimal)
        return Quotient(Number(Fraction(value.numerator)), Number(Fraction(value.denominator)))

    def _product(self, expression: Any) -> Expression:
        """Return a product, its negative powers as a denominator and its sign in front."""
        import sympy

        coefficient, rest = expression.as_coeff_Mul()
        above, below = [], []
        for factor in rest.as_ordered_factors():
            base, exponent = factor.as_base_exp()
            # e^(-x) stays a power rather than 1/e^x.
            if factor.is_Pow and exponent.is_Rational and exponent.is_negative and base != sympy.E:
                below.append(base ** (-exponent))
            else:
                above.append(factor)
        value = Fraction(int(coefficient.p), int(coefficient.q)) if coefficient.is_Rational else None
        # SymPy's infinities are not fractions; as factors they are refused when they are read.
        if value is None:
            above.insert(0, coefficient)
            value = Fraction(1)
        tree = self._quotient(abs(value), _factor_order(above), below)
        return Negative(tree) if value < 0 else tree

    def _quotient(self, value: Fraction, above: list[Any], below: list[Any]) -> Expression:
        """Return coefficient × numerator factors / denominator factors."""
        # 0.25x prints as it was typed, x/4 if no decimal was typed.
        as_decimal = self.decimals and terminates(value)
        top, bottom = (value, Fraction(1)) if as_decimal else (Fraction(value.numerator), Fraction(value.denominator))
        factors = [self.read(factor) for factor in above]
        if top != 1 or not factors:
            factors.insert(0, Number(top, as_decimal and top.denominator != 1))
        divisors = [self.read(factor) for factor in below]
        if bottom != 1:
            divisors.insert(0, Number(bottom))
        numerator = product_of(factors)
        if not divisors:
            return numerator
        return Quotient(numerator, product_of(divisors))

    def _power(self, expression: Any) -> Expression:
        """Return a power; a square root for exponent ½, a quotient for a negative exponent."""
        import sympy

        base, exponent = expression.as_base_exp()
        if base == sympy.E:
            return Power(MathConstant("e"), self.read(exponent))
        if type(base).__name__ == "RealRoot" and exponent.is_Integer and exponent.is_positive:
            return self._root(base, Fraction(int(exponent)))
        if exponent == sympy.Rational(1, 2):
            return Call("sqrt", (self.read(base),))
        if exponent.is_Rational and exponent.is_negative:
            return Quotient(UNITY, self.read(base ** (-exponent)))
        if exponent.is_Rational and exponent.q % 2 == 1 and exponent.q > 1 and not base.is_nonnegative:
            # It was typed as a decimal: as a fraction it would be a real root for negative numbers as well.
            return Power(self.read(base), Number(Fraction(int(exponent.p), int(exponent.q)), decimal=True))
        return Power(self.read(base), self.read(exponent))

    def _root(self, root: Any, power: Fraction) -> Expression:
        """Return a power of a real root as a power with a fraction as its exponent."""
        inside, degree = root.args
        exponent = power / int(degree)
        if exponent.denominator == 1:
            whole = Number(exponent)
            return self.read(inside) if exponent == 1 else Power(self.read(inside), whole)
        return Power(self.read(inside), Quotient(*(Number(Fraction(part)) for part in exponent.as_integer_ratio())))


def _book_order(expression: Any) -> list[Any]:
    """Return the terms of a sum in textbook order: by descending degree, plain numbers last."""
    terms = expression.as_ordered_terms()
    symbols = sorted(expression.free_symbols, key=lambda symbol: symbol.name)

    def degree(term: Any) -> Any:
        powers = term.as_powers_dict()
        return sum((exponent for base, exponent in powers.items() if base in symbols and exponent.is_Rational), start=0)

    # Constants last, then by descending degree; the index keeps SymPy's own order within a degree.
    ordered = sorted(range(len(terms)), key=lambda index: (not terms[index].free_symbols, -degree(terms[index]), index))
    chosen = [terms[index] for index in ordered]
    # A positive term leads, as in 1 - ln(x); a polynomial of one variable keeps its order, as in -2x + 4.
    positive = next((index for index, term in enumerate(chosen) if not term.could_extract_minus_sign()), None)
    if positive is not None and chosen[0].could_extract_minus_sign() and (len(symbols) > 1 or degree(chosen[0]) == 0):
        chosen.insert(0, chosen.pop(positive))
    return chosen


def _factor_order(factors: list[Any]) -> list[Any]:
    """Return factors in textbook order: numbers, variables and their powers, sums, functions."""

    def rank(factor: Any) -> int:
        base, _ = factor.as_base_exp()
        if factor.is_number:
            return 0
        if base.is_Symbol:
            return 1
        return 2 if base.is_Add else 3

    return sorted(factors, key=rank)
