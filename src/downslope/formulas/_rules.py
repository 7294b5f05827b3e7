"""The rules of differentiation, as a walk over the tree that was typed: each application is one `Step`.

A rule states what it does in letters, `(u·v)' = u'·v + u·v'`, names what the letters stand for, and is applied to the
steps below it. Only the last touch, collecting and ordering terms, is left to SymPy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from downslope.formulas._expression import (
    Call,
    Constant,
    Expression,
    Name,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    names_in,
    size,
)
from downslope.formulas._printing import book

ZERO, ONE, TWO = Number(Fraction(0)), Number(Fraction(1)), Number(Fraction(2))
_MOST_FACTORS = 6
_MOST_NODES = 600


@dataclass(frozen=True)
class Step:
    """One application of a rule.

    Args:
        rule: its identifier: `sum`, `product`, `chain`, …
        before: what is differentiated.
        after: its derivative.
        variable: by what.
        law: the rule in letters, "" where its name says all.
        bindings: what the letters stand for, in book notation.
        sentence: what the rule does, in a sentence.
        children: the steps that it needs.
    """

    rule: str
    before: Expression
    after: Expression
    variable: str
    law: str
    sentence: str
    bindings: Mapping[str, str] = field(default_factory=dict)
    children: tuple[Step, ...] = ()


class Differentiator:
    """Differentiates by one variable; it holds what every step needs to know.

    Args:
        variable: by what to differentiate.
        tidy: what collects and orders the terms of a result.
        columns: the names that are data columns.
    """

    def __init__(self, variable: str, tidy: Callable[[Expression], Expression], columns: Collection[str] = ()) -> None:
        self.variable = variable
        self.tidy = tidy
        self.columns = columns

    def step(self, tree: Expression) -> Step:
        """Return the derivative of a tree as a step, with the steps below it."""
        if self.variable not in names_in(tree):
            return self._leaf("constant", tree, ZERO, "c' = 0", f"{_shown(tree)} does not change with {self.variable}.")
        match tree:
            case Name():
                return self._leaf("variable", tree, ONE, "x' = 1", f"{self.variable} changes by as much as itself.")
            case Negative(Product(factors)) if any(self.variable not in names_in(factor) for factor in factors):
                return self._product(tree, factors, negative=True)
            case Negative(operand):
                inner = self.step(operand)
                return self._made("constant_multiple", tree, Negative(inner.after), [inner], "(-u)' = -u'", _SIGN)
            case Sum(terms):
                inner = [self.step(term) for term in terms]
                added = Sum(tuple(one.after for one in inner))
                return self._made("sum", tree, added, inner, "(u + v)' = u' + v'", "Differentiate term by term.")
            case Product(factors):
                return self._product(tree, factors)
            case Quotient(numerator, denominator):
                return self._quotient(tree, numerator, denominator)
            case Power(base, exponent):
                return self._power(tree, base, exponent)
            case Call(function, arguments):
                return self._call(tree, function, arguments)
        raise AssertionError(tree)

    def _product(self, tree: Expression, factors: tuple[Expression, ...], *, negative: bool = False) -> Step:
        """Differentiate a product: constants stand by, equal factors are a power, the rest takes turns."""
        fixed = [factor for factor in factors if self.variable not in names_in(factor)]
        moving = [factor for factor in factors if self.variable in names_in(factor)]
        if fixed:
            inner = self.step(_product(moving))
            constant, made = _product(fixed), Product((*fixed, inner.after))
            if negative:
                constant, made = Negative(constant), Negative(made)
            shown = {"c": book(constant), "u": book(_product(moving))}
            return self._made("constant_multiple", tree, made, [inner], "(c·u)' = c·u'", _CONSTANT, shown)
        gathered = _gathered(moving)
        if len(gathered) < len(moving):
            inner = self.step(_product(gathered))
            said = "Equal factors are a power."
            return self._made("power", tree, inner.after, [inner], "u·u = u²", said, {"u": book(gathered[0])})
        if len(gathered) > _MOST_FACTORS:
            half = len(gathered) // 2
            return self._two_factors(tree, _product(gathered[:half]), _product(gathered[half:]))
        if len(gathered) == 2:
            return self._two_factors(tree, *gathered)
        inner = [self.step(factor) for factor in gathered]
        turns = [Product((*gathered[:place], one.after, *gathered[place + 1 :])) for place, one in enumerate(inner)]
        shown = {_LETTERS[place]: book(factor) for place, factor in enumerate(gathered)}
        said = "Each factor is differentiated in turn while the others stand by."
        return self._made("product", tree, Sum(tuple(turns)), inner, "(u·v·w)' = u'·v·w + u·v'·w + u·v·w'", said, shown)

    def _two_factors(self, tree: Expression, u: Expression, v: Expression) -> Step:
        """Differentiate a product of two."""
        first, second = self.step(u), self.step(v)
        made = Sum((Product((first.after, v)), Product((u, second.after))))
        shown = {"u": book(u), "v": book(v)}
        said = "Each factor is differentiated in turn while the other stands by."
        return self._made("product", tree, made, [first, second], "(u·v)' = u'·v + u·v'", said, shown)

    def _quotient(self, tree: Expression, u: Expression, v: Expression) -> Step:
        """Differentiate a quotient; one by a constant is a constant multiple."""
        if self.variable not in names_in(v):
            inner = self.step(u)
            shown = {"c": book(v), "u": book(u)}
            made = Quotient(inner.after, v)
            return self._made("constant_multiple", tree, made, [inner], "(u/c)' = u'/c", _CONSTANT, shown)
        second = self.step(v)
        squared = Power(v, TWO)
        if self.variable not in names_in(u):
            made = Negative(Quotient(Product((u, second.after)), squared))
            shown = {"c": book(u), "v": book(v)}
            return self._made(
                "quotient", tree, made, [second], "(c/v)' = -c·v'/v²", "The numerator is constant.", shown
            )
        first = self.step(u)
        above = Sum((Product((first.after, v)), Negative(Product((u, second.after)))))
        said = "Bottom times the derivative of the top, less top times that of the bottom, over the bottom squared."
        shown = {"u": book(u), "v": book(v)}
        law = "(u/v)' = (u'·v - u·v')/v²"
        return self._made("quotient", tree, Quotient(above, squared), [first, second], law, said, shown)

    def _power(self, tree: Expression, base: Expression, exponent: Expression) -> Step:
        """Differentiate a power: of the variable, to the variable, or both."""
        in_base, in_exponent = self.variable in names_in(base), self.variable in names_in(exponent)
        if in_base and in_exponent:
            first, second = self.step(base), self.step(exponent)
            inside = Sum((Product((second.after, _ln(base))), Quotient(Product((exponent, first.after)), base)))
            said = "Base and exponent both change: write the power as e^(v·ln(u))."
            shown = {"u": book(base), "v": book(exponent)}
            law = "(u^v)' = u^v·(v'·ln(u) + v·u'/u)"
            return self._made("general_power", tree, Product((tree, inside)), [first, second], law, said, shown)
        if in_exponent:
            if base == Constant("e"):
                return self._outer(tree, exponent, "exponential", "(e^u)' = e^u", lambda u: Power(base, u))
            law = "(a^u)' = a^u·ln(a)"
            grow: Outer = lambda u: Product((Power(base, u), _ln(base)))  # noqa: E731 - the rule itself, as in the table
            return self._outer(tree, exponent, "exponential", law, grow)
        lower = self.tidy(Sum((exponent, Negative(ONE))))
        drop: Outer = lambda u: Product((exponent, Power(u, lower)))  # noqa: E731 - the rule itself, as in the table
        return self._outer(tree, base, "power", "(u^n)' = n·u^(n-1)", drop, {"n": book(exponent)})

    def _call(self, tree: Expression, function: str, arguments: tuple[Expression, ...]) -> Step:
        """Differentiate a known function."""
        if function in ("mean", "sum"):
            inner = self.step(arguments[0])
            said = f"The {function} is over the rows of the table: its derivative is the {function} of the derivatives."
            made = self._reduced(function, arguments[0], inner.after)
            return self._made(function, tree, made, [inner], f"({function} u)' = {function} u'", said)
        if function == "count":
            return self._leaf("constant", tree, ZERO, "c' = 0", "The number of rows never changes.")
        if function in ("max", "min"):
            return self._extreme(tree, function, arguments)
        rule, law, outer = TABLE[function]
        return self._outer(tree, arguments[0], rule, law, outer)

    def _reduced(self, function: str, before: Expression, inside: Expression) -> Expression:
        """Return the mean or the sum over rows; what is the same in every row needs no column to add up."""
        columns = [name for name in names_in(before) if name in self.columns]
        if any(name in names_in(inside) for name in columns) or not columns:
            return Call(function, (inside,)) if columns else inside
        return inside if function == "mean" else Product((inside, Call("count", (Name(columns[0]),))))

    def _extreme(self, tree: Expression, function: str, arguments: tuple[Expression, ...]) -> Step:
        """Differentiate the larger or the smaller of several: the derivative of whichever it is."""
        if len(arguments) == 1:
            return self.step(arguments[0])
        first, rest = arguments[0], arguments[1:]
        other = rest[0] if len(rest) == 1 else Call(function, rest)
        u, v = self.step(first), self.step(other)
        ahead = Sum((first, Negative(other))) if function == "max" else Sum((other, Negative(first)))
        chosen = Call("step", (ahead,))
        made = Sum((Product((chosen, u.after)), Product((Sum((ONE, Negative(chosen))), v.after))))
        said = (
            f"The {function} changes as whichever of the two it is; step(·) is 1 where its argument is above 0, else 0."
        )
        law = "max(u, v)' = step(u - v)·u' + (1 - step(u - v))·v'"
        law = law if function == "max" else "min(u, v)' = step(v - u)·u' + (1 - step(v - u))·v'"
        shown = {"u": book(first), "v": book(other)}
        return self._made("maximum" if function == "max" else "minimum", tree, made, [u, v], law, said, shown)

    def _outer(
        self,
        tree: Expression,
        inside: Expression,
        rule: str,
        law: str,
        outer: Outer,
        shown: Mapping[str, str] | None = None,
    ) -> Step:
        """Differentiate an outer function of something: by its rule if that is the variable, else by the chain rule."""
        bindings = dict(shown or {})
        if inside == Name(self.variable):
            plain = law.replace("u", self.variable)
            return self._made(rule, tree, outer(inside), [], plain, _NAMES[rule], bindings)
        u = _free_name(tree)
        below = self.step(inside)
        around = replaced(tree, inside, Name(u))
        beside = Differentiator(u, self.tidy, self.columns)
        first = beside._outer(around, Name(u), rule, law, outer, bindings)
        made = Product((replaced(first.after, Name(u), inside), below.after))
        said = f"With {u} = {book(inside)}: the derivative by {u}, times the derivative of {u}."
        chain = f"d/d{self.variable} = d/d{u} · d{u}/d{self.variable}"
        return self._made("chain", tree, made, [first, below], chain, said, {u: book(inside), "outer": book(around)})

    def _leaf(self, rule: str, tree: Expression, after: Expression, law: str, sentence: str) -> Step:
        """Return a step that needs no others."""
        return Step(rule, tree, after, self.variable, law, sentence)

    def _made(
        self,
        rule: str,
        tree: Expression,
        after: Expression,
        children: list[Step],
        law: str,
        sentence: str,
        bindings: Mapping[str, str] | None = None,
    ) -> Step:
        """Return a step whose result is tidied, if it is not too large for that."""
        tidied = self.tidy(after) if size(after) <= _MOST_NODES else after
        return Step(rule, tree, tidied, self.variable, law, sentence, dict(bindings or {}), tuple(children))


Outer = Callable[[Expression], Expression]
_LETTERS = "uvwpqr"
_SIGN = "The sign stands by."
_CONSTANT = "A constant factor stands by."
_NAMES = {
    "power": "The exponent comes down as a factor and falls by one.",
    "exponential": "An exponential grows in proportion to itself.",
    "logarithm": "A logarithm grows by the reciprocal.",
    "trigonometric": "From the table of trigonometric functions.",
    "inverse_trigonometric": "From the table of inverse trigonometric functions.",
    "hyperbolic": "From the table of hyperbolic functions.",
    "root": "A root is a power with a fraction as its exponent.",
    "absolute_value": "The slope of |u| is the sign of u; at 0 there is none.",
    "function": "From the table of known functions.",
}


def _call(function: str) -> Outer:
    return lambda u: Call(function, (u,))


def _over(above: Expression, below: Outer) -> Outer:
    return lambda u: Quotient(above, below(u))


def _number(value: int) -> Expression:
    return Number(Fraction(value))


def _one_plus(u: Expression, sign: int) -> Expression:
    """Return 1 + u² or 1 - u²."""
    square = Power(u, TWO)
    return Sum((ONE, square if sign > 0 else Negative(square)))


def _root(inside: Expression) -> Expression:
    return Call("sqrt", (inside,))


TABLE: dict[str, tuple[str, str, Outer]] = {
    "abs": ("absolute_value", "|u|' = sign(u)", _call("sign")),
    "acos": (
        "inverse_trigonometric",
        "acos(u)' = -1/√(1 - u²)",
        lambda u: Negative(Quotient(ONE, _root(_one_plus(u, -1)))),
    ),
    "acosh": (
        "hyperbolic",
        "acosh(u)' = 1/√(u² - 1)",
        lambda u: Quotient(ONE, _root(Sum((Power(u, TWO), Negative(ONE))))),
    ),
    "asin": ("inverse_trigonometric", "asin(u)' = 1/√(1 - u²)", lambda u: Quotient(ONE, _root(_one_plus(u, -1)))),
    "asinh": ("hyperbolic", "asinh(u)' = 1/√(1 + u²)", lambda u: Quotient(ONE, _root(_one_plus(u, 1)))),
    "atan": ("inverse_trigonometric", "atan(u)' = 1/(1 + u²)", lambda u: Quotient(ONE, _one_plus(u, 1))),
    "atanh": ("hyperbolic", "atanh(u)' = 1/(1 - u²)", lambda u: Quotient(ONE, _one_plus(u, -1))),
    "cbrt": ("root", "∛u' = 1/(3·∛u²)", lambda u: Quotient(ONE, Product((_number(3), Power(Call("cbrt", (u,)), TWO))))),
    "cos": ("trigonometric", "cos(u)' = -sin(u)", lambda u: Negative(Call("sin", (u,)))),
    "cosh": ("hyperbolic", "cosh(u)' = sinh(u)", _call("sinh")),
    "erf": (
        "function",
        "erf(u)' = 2·e^(-u²)/√π",
        lambda u: Quotient(Product((TWO, Power(Constant("e"), Negative(Power(u, TWO))))), _root(Constant("π"))),
    ),
    "exp": ("exponential", "exp(u)' = exp(u)", _call("exp")),
    "ln": ("logarithm", "ln(u)' = 1/u", lambda u: Quotient(ONE, u)),
    "log10": (
        "logarithm",
        "log10(u)' = 1/(u·ln(10))",
        lambda u: Quotient(ONE, Product((u, Call("ln", (_number(10),))))),
    ),
    "log2": ("logarithm", "log2(u)' = 1/(u·ln(2))", lambda u: Quotient(ONE, Product((u, Call("ln", (TWO,)))))),
    "relu": ("function", "relu(u)' = step(u)", _call("step")),
    "sigmoid": (
        "function",
        "σ(u)' = σ(u)·(1 - σ(u))",
        lambda u: Product((Call("sigmoid", (u,)), Sum((ONE, Negative(Call("sigmoid", (u,))))))),
    ),
    "sign": ("function", "sign(u)' = 0", lambda u: ZERO),
    "sin": ("trigonometric", "sin(u)' = cos(u)", _call("cos")),
    "sinh": ("hyperbolic", "sinh(u)' = cosh(u)", _call("cosh")),
    "softplus": ("function", "softplus(u)' = σ(u)", _call("sigmoid")),
    "sqrt": ("root", "√u' = 1/(2·√u)", lambda u: Quotient(ONE, Product((TWO, _root(u))))),
    "step": ("function", "step(u)' = 0", lambda u: ZERO),
    "tan": ("trigonometric", "tan(u)' = 1 + tan(u)²", lambda u: Sum((ONE, Power(Call("tan", (u,)), TWO)))),
    "tanh": ("hyperbolic", "tanh(u)' = 1 - tanh(u)²", lambda u: Sum((ONE, Negative(Power(Call("tanh", (u,)), TWO))))),
}


def _ln(tree: Expression) -> Expression:
    return Call("ln", (tree,))


def _product(factors: list[Expression]) -> Expression:
    """Return the product of factors, or the only one."""
    return factors[0] if len(factors) == 1 else Product(tuple(factors))


def _gathered(factors: list[Expression]) -> list[Expression]:
    """Return factors with equal ones gathered into a power."""
    counts: dict[Expression, int] = {}
    for factor in factors:
        counts[factor] = counts.get(factor, 0) + 1
    return [factor if count == 1 else Power(factor, _number(count)) for factor, count in counts.items()]


def replaced(tree: Expression, old: Expression, new: Expression) -> Expression:
    """Return the tree with every occurrence of a subtree replaced."""
    if tree == old:
        return new
    match tree:
        case Negative(operand):
            return Negative(replaced(operand, old, new))
        case Sum(terms):
            return Sum(tuple(replaced(term, old, new) for term in terms))
        case Product(factors):
            return Product(tuple(replaced(factor, old, new) for factor in factors))
        case Quotient(numerator, denominator):
            return Quotient(replaced(numerator, old, new), replaced(denominator, old, new))
        case Power(base, exponent):
            return Power(replaced(base, old, new), replaced(exponent, old, new))
        case Call(function, arguments):
            return Call(function, tuple(replaced(argument, old, new) for argument in arguments))
        case _:
            return tree


def _free_name(tree: Expression) -> str:
    """Return a letter that does not occur in a tree: u, else v, w, …."""
    used = set(names_in(tree))
    return next(letter for letter in (*_LETTERS, *(f"u_{place}" for place in range(1000))) if letter not in used)


def _shown(tree: Expression) -> str:
    """Return a tree in book notation, cut where it would fill the line."""
    text = book(tree)
    return text if len(text) <= 40 else text[:37] + "…"
