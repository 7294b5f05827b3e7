"""From tokens to the expression tree: the grammar's rules, and the checks that belong to single nodes."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from downslope.formulas.evaluation import FLOATS, evaluate
from downslope.formulas.expressions import (
    FUNCTIONS,
    HIGHEST_ORDER,
    ORDERED,
    Call,
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
    book,
    children,
    combined,
    constant_value,
    depth,
    map_children,
    odd_root,
    product_of,
    size,
    sum_of,
    walk,
)
from downslope.formulas.reading._automaton import Leaf, parsed
from downslope.formulas.reading._letters import Token
from downslope.formulas.reading._tokens import exact
from downslope.formulas.reading._words import Words

DEEPEST = 120
_LARGEST_POWER = 10_000  # of a number: beyond it the exact value no longer fits into memory
_MOST_TERMS = 1000  # of a sum that is written out
_MOST_NODES = 5000
_HUGE = 1e14
_TRIGONOMETRIC = ("sin", "cos", "tan", "cot", "sec", "csc")


class Build:
    """Build the tree; each method implements the grammar rule of its name."""

    def number(self, token: Any) -> Expression:
        # Fraction keeps 0.1 exact, so that SymPy and printing never see 0.1000000000000000055.
        text = token.value[0].text
        value = exact(text)
        return Number(value, value.denominator != 1)

    def name(self, token: Any) -> Expression:
        return Name(token.value[0].text)

    def constant(self, token: Any) -> Expression:
        return MathConstant(token.value[0].text)

    def group(self, _open: Any, inside: Expression, _close: Any) -> Expression:
        return inside

    def negative(self, _minus: Any, operand: Expression) -> Expression:
        return Negative(operand)

    def term(self, _plus: Any, operand: Expression) -> Expression:
        return operand

    signed = exponent = term

    def absolute(self, _open: Any, inside: Expression, _close: Any) -> Expression:
        return Call("abs", (inside,))

    def power(self, base: Expression, token: Any, exponent: Expression) -> Expression:
        piece, words = token.value
        return _power(base, exponent, piece, words)

    def sum(self, *pieces: Any) -> Expression:
        return _sum(pieces)

    def product(self, *pieces: Any) -> Expression:
        return _product(pieces)

    def call(self, function: Any, *pieces: Any) -> Expression:
        piece, words = function.value
        return _call(piece, pieces[1:-1:2], words)

    def factorial(self, operand: Expression, _sign: Any) -> Expression:
        if operand == Call("factorial", operand.arguments if isinstance(operand, Call) else ()):
            piece, words = _sign.value
            raise words.fail("two factorial signs can mean a double factorial", piece, "write (x!)!, or a product")
        return Call("factorial", (operand,))

    def degrees(self, operand: Expression, sign: Any) -> Expression:
        return _degrees(operand, sign.value[1])

    def series(self, sign: Any, *pieces: Any) -> Expression:
        piece, words = sign.value
        _, index, _, first, _, last, _, term, _ = pieces
        return _series(piece, index.value[0].text, first, last, term, words)

    def derivative(self, sign: Any, _open: Any, operand: Expression, _close: Any) -> Expression:
        piece, words = sign.value
        return _derivative(piece, operand, words)

    def piecewise(self, _open: Any, *pieces: Any) -> Expression:
        items = pieces[:-1:2]
        conditions = tuple(condition for _, condition in items if condition is not None)
        return Piecewise(tuple(value for value, _ in items), conditions)

    def piece(self, value: Expression, _sign: Any, condition: Condition) -> tuple[Expression, Condition]:
        return value, condition

    def otherwise(self, value: Expression, _sign: Any) -> tuple[Expression, None]:
        return value, None

    def any_of(self, *pieces: Any) -> Condition:
        return combined("or", list(pieces[::2]))

    def all_of(self, *pieces: Any) -> Condition:
        return combined("and", list(pieces[::2]))

    def comparison(self, *pieces: Any) -> Condition:
        signs = pieces[1::2]
        triples = zip(pieces[::2], signs, pieces[2::2], strict=False)
        return combined("and", [Comparison(left, sign.value[0].text, right) for left, sign, right in triples])

    def inside(self, _open: Any, condition: Condition, _close: Any) -> Condition:
        return condition


def tree_of(pieces: Iterable[Token], words: Words) -> Expression:
    """Return the expression tree of resolved tokens.

    Raises:
        UnexpectedLeafError: for tokens that are no formula.
        FormulaError: for numbers or arguments that a formula cannot have.
    """
    return parsed([Leaf(token.kind, (token, words)) for token in pieces], Build())


def _sum(pieces: tuple[Any, ...]) -> Expression:
    """Return the sum of terms with signs between them."""
    terms = [pieces[0]]
    for sign, term in zip(pieces[1::2], pieces[2::2], strict=True):
        terms.append(term if sign.type == "PLUS" else Negative(term))
    return Sum(tuple(terms))


def _product(pieces: tuple[Any, ...]) -> Expression:
    """Return factors and divisors, applied from left to right, as products and quotients."""
    factors: list[Expression] = [pieces[0]]
    for sign, factor in zip(pieces[1::2], pieces[2::2], strict=True):
        if sign.type == "TIMES":
            factors.append(factor)
        elif sign.type == "MODULO":
            factors = [Call("mod", (product_of(factors), factor))]
        else:
            factors = [Quotient(product_of(factors), factor)]
    return product_of(factors)


def _power(base: Expression, exponent: Expression, token: Token, words: Words) -> Expression:
    """Return a power; raise for one of plain numbers whose value is not a finite float."""
    power = Power(base, exponent)
    if depth(power) > DEEPEST:
        raise words.fail(f"the powers are nested more than {DEEPEST} deep", token)
    known = constant_value(exponent)
    # Checked while parsing, since SymPy would compute the exact power before anything else could refuse it.
    if known is not None and abs(known) > _LARGEST_POWER:
        raise words.fail(f"the exponent is larger than {_LARGEST_POWER}", token)
    has_names = _has_names(base)
    if not has_names and not _has_names(exponent) and not math.isfinite(_value(power)):
        raise words.fail("this power has no finite real value", token)
    if base == MathConstant("e") and "i" not in words.known and _has_factor(exponent, Name("i")):
        hint = "formulas have real values only; declare i if it is a variable: f(x, i) = …"
        raise words.fail("e to the power i·… is a complex number", token, hint)
    odd = odd_root(exponent)
    if odd is not None and has_names and base != MathConstant("e"):
        shown = f"{odd[0]}/{odd[1]}"
        words.note(f"the power {shown} is the real one, for negative numbers as well: (-8)^(1/3) is -2")
    return power


def _has_names(tree: Expression) -> bool:
    return any(isinstance(node, Name) for node in walk(tree))


def _has_factor(tree: Expression, name: Name) -> bool:
    """Tell whether a name is a factor of a product: i of i·x/2."""
    match tree:
        case Negative(operand):
            return _has_factor(operand, name)
        case Product(factors):
            return any(_has_factor(factor, name) for factor in factors)
        case Quotient(numerator, _):
            return _has_factor(numerator, name)
        case _:
            return tree == name


class _FloatFunctions(Mapping[str, Callable[..., Any]]):
    """The functions of Python floats, so that reading needs no NumPy."""

    def __getitem__(self, name: str) -> Callable[..., Any]:
        function = FLOATS.function(name)
        if name in ("max", "min"):  # of two arguments there
            return lambda *arguments: functools.reduce(function, arguments)
        return function

    def __iter__(self) -> Iterator[str]:
        return iter(FUNCTIONS)

    def __len__(self) -> int:
        return len(FUNCTIONS)


def _value(tree: Expression) -> float:
    """Return the value of a tree without names."""
    return float(evaluate(tree, {}, _FloatFunctions()))


def undefined_part(tree: Expression) -> Expression | None:
    """Return the smallest part without names that has no finite value; None if there is none.

    >>> from downslope.formulas.expressions._tree import ZERO, UNITY
    >>> undefined_part(Sum((Name("x"), Quotient(UNITY, ZERO)))) == Quotient(UNITY, ZERO)
    True
    """
    has_names, part = _checked(tree)
    return part if has_names else _smallest(tree)


def _checked(tree: Expression) -> tuple[bool, Expression | None]:
    """Return whether a tree has names, and its smallest part without names and value."""
    below = [_checked(child) for child in children(tree)]
    undefined = next((part for _, part in below if part is not None), None)
    has_names = isinstance(tree, Name) or any(named for named, _ in below)
    divides = isinstance(tree, Quotient) or (isinstance(tree, Call) and tree.function == "mod")
    if divides and has_names and undefined is None and not below[1][0] and _value(children(tree)[1]) == 0:
        return True, tree
    # Only the largest parts are evaluated: a child without names is, where its parent has some.
    if undefined is None and has_names:
        for child, (named, _) in zip(children(tree), below, strict=True):
            if not named and (part := _smallest(child)) is not None:
                return True, part
    return has_names, undefined


def _has_value(tree: Expression) -> bool:
    """Tell whether a tree without names has a finite value; tan(π/2), which rounding makes huge, has none."""
    value = abs(_value(tree))
    if value < _HUGE:
        return True
    of_angle = any(isinstance(node, Call) and node.function in _TRIGONOMETRIC for node in walk(tree))
    return math.isfinite(value) and not (of_angle and MathConstant("π") in walk(tree))


def _smallest(tree: Expression) -> Expression | None:
    """Return the smallest undefined part of a tree without names; None if its value is finite."""
    if isinstance(tree, MathConstant) or _has_value(tree):
        return None
    while True:
        inner = next((child for child in children(tree) if not _has_value(child)), None)
        if inner is None:
            return tree
        tree = inner


def _call(token: Token, arguments: tuple[Expression, ...], words: Words) -> Expression:
    """Return a call, after checking the number of its arguments."""
    if token.text in ("pow", "root"):
        if len(arguments) != 2:
            raise words.fail(f"{token.text} takes 2 arguments, not {len(arguments)}", token)
        return _two_arguments(token, *arguments, words)
    least, most = FUNCTIONS[token.text].arity
    if len(arguments) < least or (most is not None and len(arguments) > most):
        hint = "write a base as log_3(x)" if token.text == "ln" else None
        needed = f"{least} argument{'s' if least > 1 else ''}{' or more' if most is None else ''}"
        raise words.fail(f"{token.text} takes {needed}, not {len(arguments)}", token, hint)
    if token.text in ORDERED:
        order = constant_value(arguments[0])
        lowest = 1 if token.text == "polygamma" else 0
        if order is None or order.denominator != 1 or not lowest <= order <= HIGHEST_ORDER:
            raise words.fail(f"the order of {token.text} is a whole number from {lowest} to {HIGHEST_ORDER}", token)
    return Call(token.text, tuple(arguments))


def _two_arguments(token: Token, first: Expression, second: Expression, words: Words) -> Expression:
    """Return pow(x, 2) as a power, root(x, 3) as a power with a fraction as its exponent."""
    if token.text == "pow":
        return _power(first, second, token, words)
    degree = constant_value(second)
    if degree is None or degree.denominator != 1 or degree < 2:
        raise words.fail("the degree of a root is a whole number above 1", token)
    return _power(first, Quotient(Number(exact("1")), second), token, words)


def _degrees(operand: Expression, words: Words) -> Expression:
    """Return an angle in degrees as one in radians: 30° is π/6."""
    value = constant_value(operand)
    if value is None:
        return Quotient(Product((operand, MathConstant("π"))), Number(exact("180")))
    share = value / 180
    above, below = Number(Fraction(share.numerator)), Number(Fraction(share.denominator))
    angle: Expression = MathConstant("π") if share.numerator == 1 else Product((above, MathConstant("π")))
    angle = angle if share.denominator == 1 else Quotient(angle, below)
    words.note(f"{book(operand)}° is {book(angle)}")
    return angle


def _series(
    token: Token, index: str, first: Expression, last: Expression, term: Expression, words: Words
) -> Expression:
    """Return a sum or a product over an index, written out."""
    name = "sum" if token.text == "∑" else "product"
    bounds = [constant_value(bound) for bound in (first, last)]
    if any(bound is None or bound.denominator != 1 for bound in bounds):
        hint = rf"for example \{'sum' if name == 'sum' else 'prod'}_{{i=1}}^{{3}}"
        raise words.fail(f"the bounds of a {name} are whole numbers", token, hint)
    low, high = (int(bound) for bound in bounds if bound is not None)
    count = high - low + 1
    if count > _MOST_TERMS or count * size(term) > _MOST_NODES:
        raise words.fail(f"the {name} has {count} terms, too many to be written out", token)
    terms = [_at_index(term, index, number) for number in range(low, high + 1)]
    for node in (node for piece in terms for node in walk(piece)):
        if isinstance(node, Name) and words.declared is not None and node.name not in words.known:
            raise words.fail(
                f"{node.name} is not declared; the formula has {', '.join(words.declared)}",
                token,
                f"declare every variable in the header: {words.name or 'f'}({', '.join(_names_of(terms))}) = …",
            )
    if not terms:
        return Number(exact("0" if name == "sum" else "1"))
    words.note(f"the {name} over {index} is written out")
    return sum_of(terms) if name == "sum" else product_of(terms)


def _names_of(terms: list[Expression]) -> dict[str, None]:
    return dict.fromkeys(node.name for piece in terms for node in walk(piece) if isinstance(node, Name))


def _at_index(term: Expression, index: str, number: int) -> Expression:
    """Return a term at a value of its index, which may be a subscript as well: x_i, x_{i+1}."""
    if isinstance(term, Name):
        if term.name == index:
            return Number(Fraction(number)) if number >= 0 else Negative(Number(Fraction(-number)))
        head, _, subscript = term.name.rpartition("_")
        match = re.fullmatch(rf"{re.escape(index)}([+-][0-9]+)?", subscript.strip("{}"))
        return Name(f"{head}_{number + int(match[1] or 0)}") if match and head else term
    return map_children(term, lambda child: _at_index(child, index, number))


def _derivative(token: Token, operand: Expression, words: Words) -> Expression:
    """Return the derivative of an operand by the variables that a token names, carried out."""
    from downslope.formulas.symbolic import differentiate

    decimals = any(isinstance(node, Number) and node.decimal for node in walk(operand))
    variables = token.text.split(",")
    result = operand
    for variable in variables:
        if variable not in words.known and words.declared is not None:
            raise words.fail(f"{variable} is not declared; the formula has {', '.join(words.declared)}", token)
        result = differentiate(result, variable, decimals=decimals, columns=tuple(words.columns))
    by = "/".join(("d", *(f"d{variable}" for variable in variables[:1])))
    words.note(f"{by} [{book(operand)}] is carried out: {book(result)}")
    return result
