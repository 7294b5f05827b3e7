"""From text to a Formula."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from downslope._errors import FormulaError
from downslope.formulas._evaluation import constant_value, evaluate
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
    depth,
    names_in,
    size,
    walk,
)
from downslope.formulas._formula import Formula
from downslope.formulas._functions import FUNCTIONS, SPELLINGS, numpy_functions
from downslope.formulas._structure import resolve
from downslope.formulas._tokens import Token, exact, tokens
from downslope.formulas._units import checked_units
from downslope.formulas._words import Words

_MOST_NODES = 5000
_MOST_TOKENS = 4 * _MOST_NODES
_DEEPEST = 120
_LARGEST_POWER = 10_000  # of a number: beyond it the exact value no longer fits into memory


def formula(text: str | Formula, *, units: Mapping[str, str] | None = None, columns: Collection[str] = ()) -> Formula:
    """Read a formula as it is written in a book.

    Args:
        text: the formula, with a header that declares its names or without: `f(x) = x² - 4x + 5`,
            `h(x, y) = 100 - x² - 2y²`, `x sin(x)/2`; simple LaTeX too.
            Neighbours multiply, `^` and `**` are powers, `log` is the natural logarithm.
        units: units by name, the formula's own name included: `{"t": "hour", "Battery": "percent"}`.
        columns: names of data columns, which may occur beside the declared names.

    Returns:
        The formula; its `read_as` says how it was read.

    Raises:
        FormulaError: for text that cannot be read, with a caret under the place.
        UnitError: for units that are not known, or given for a name that does not occur.

    >>> formula("f(x) = x^2 - 4x + 5").read_as
    'f(x) = x² - 4x + 5'
    >>> formula("1/2x")(x=6)
    3.0
    """
    if isinstance(text, Formula):
        return text if units is None else text.with_units(checked_units(units, text))
    if not isinstance(text, str):
        raise FormulaError(f"a formula is text, not {type(text).__name__}")
    pieces = tokens(text)
    name, declared, pieces = _header(text, pieces)
    words = Words(text, declared, columns)
    resolved = resolve(pieces, words)
    if len(resolved) > _MOST_TOKENS:
        raise FormulaError(f"the formula has {len(resolved)} signs and names, more than {_MOST_TOKENS}")
    tree = _tree(resolved, words)
    _check_size(tree, text)
    found = names_in(tree)
    variables = declared if declared is not None else _in_order(n for n in found if n not in columns)
    read = Formula(
        name=name,
        variables=variables,
        body=tree,
        columns=tuple(n for n in found if n in columns and n not in variables),
        text=text,
        notes=tuple(words.notes),
        has_header=declared is not None,
    )
    return read if units is None else read.with_units(checked_units(units, read))


def _in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return undeclared names as they first appear; x before y before z, and x1 before x2, whatever comes first."""
    found = tuple(names)
    if all(name in ("x", "y", "z") for name in found) or all(re.fullmatch(r"x_?[0-9]+", name) for name in found):
        return tuple(sorted(found, key=lambda name: (len(name), name)))
    return found


def _header(text: str, pieces: list[Token]) -> tuple[str | None, tuple[str, ...] | None, list[Token]]:
    """Return the name left of the equals sign, the names it declares (None without a list), and what is right of it."""
    places = [place for place, token in enumerate(pieces) if token.kind == "EQUALS"]
    if not places:
        return None, None, pieces
    if len(places) > 1:
        second = pieces[places[1]]
        raise FormulaError("a formula has one equals sign at most", text=text, position=second.position)
    left, right = pieces[: places[0]], pieces[places[0] + 1 :]
    if len(left) == 1 and left[0].kind in {"WORD", "CONSTANT"}:
        return left[0].text, None, right
    kinds = [token.kind for token in left]
    inside = left[2:-1]
    listed = all(token.kind == ("COMMA" if place % 2 else "WORD") for place, token in enumerate(inside))
    if left and left[0].text in SPELLINGS:
        raise FormulaError(
            f"the left side is the function {left[0].text}, not a name",
            text=text,
            position=left[0].position,
            width=len(left[0].text),
            hint="give the formula a name of its own: y = …",
        )
    if kinds[:2] == ["WORD", "OPEN"] and kinds[-1] == "CLOSE" and len(inside) % 2 and listed:
        declared = tuple(token.text for token in inside[::2])
        for token in inside[::2]:
            if declared.count(token.text) > 1:
                raise FormulaError(f"{token.text} is declared twice", text=text, position=token.position)
        return left[0].text, declared, right
    where = left[0].position if left else pieces[places[0]].position
    end = pieces[places[0]].position
    raise FormulaError(
        "what stands left of the equals sign is no header",
        text=text,
        position=where,
        width=max(1, end - where),
        hint="a header is a name, or a name with its variables: y = …, or f(x, y) = …",
    )


def _check_size(tree: Expression, text: str) -> None:
    """Raise for a tree too large or too deep to work with."""
    nodes = size(tree)
    if nodes > _MOST_NODES:
        raise FormulaError(f"the formula has {nodes} parts, more than {_MOST_NODES}")
    deep = depth(tree)
    if deep > _DEEPEST:
        raise FormulaError(f"the formula is nested {deep} deep, more than {_DEEPEST}", text=None)


def _tree(pieces: list[Token], words: Words) -> Expression:
    """Return the tree of resolved tokens."""
    from lark.exceptions import UnexpectedToken, VisitError

    if not pieces:
        raise FormulaError("there is nothing to read: the formula is empty", text=words.text)
    try:
        return _parser().parse(_Stream(tuple(pieces), words))
    except UnexpectedToken as error:
        raise _unexpected(error, words) from None
    except VisitError as error:
        if isinstance(error.orig_exc, FormulaError):
            raise error.orig_exc from None
        raise


def _unexpected(error: Any, words: Words) -> FormulaError:
    """Return the error for a token where another kind was expected."""
    if error.token.type == "$END":
        return FormulaError(
            "the formula ends where a number, a name or a parenthesis was expected",
            text=words.text,
            position=len(words.text),
        )
    token, _ = error.token.value
    if token.kind == "COMMA":
        hint = "write a decimal point: 0.5" if _between_digits(words.text, token.position) else None
        return words.fail("a comma separates the arguments of a function; here it does not belong", token, hint)
    wanted = {"NUMBER", "NAME"} & set(error.expected)
    expected = "a number, a name or a parenthesis" if wanted else "an operator such as + or ×"
    if "OPEN" in error.expected and not wanted:
        expected = "an opening parenthesis"
    return words.fail(f"found {token.text!r} where {expected} was expected", token)


def _between_digits(text: str, position: int) -> bool:
    """Tell whether the character at a position stands between two digits."""
    return text[position - 1 : position].isdigit() and text[position + 1 : position + 2].isdigit()


class _Stream:
    """The tokens of one formula and its words, as the parser is handed them."""

    def __init__(self, pieces: tuple[Token, ...], words: Words) -> None:
        self.pieces = pieces
        self.words = words


@functools.cache
def _parser() -> Any:
    """Return the parser of `grammar.lark`, which builds the tree as it goes."""
    from lark import Lark
    from lark import Token as LarkToken
    from lark.lexer import Lexer
    from lark.visitors import Transformer, v_args

    class Pass(Lexer):
        """Hands over the tokens that are there already."""

        def __init__(self, lexer_conf: Any) -> None:
            pass

        def lex(self, data: _Stream) -> Any:
            for token in data.pieces:
                piece = LarkToken(
                    token.kind, token.text
                )  # a str of its own: of a pair it would be the pair's whole repr
                piece.value = (token, data.words)
                yield piece

    @v_args(inline=True)
    class Build(Transformer):
        """Builds the tree; each method is the rule of that name."""

        def number(self, token: Any) -> Expression:
            text = token.value[0].text
            value = exact(text)
            return Number(value, value.denominator != 1)

        def name(self, token: Any) -> Expression:
            return Name(token.value[0].text)

        def constant(self, token: Any) -> Expression:
            return Constant(token.value[0].text)

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

    grammar = (Path(__file__).parent / "grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer=Pass, transformer=Build(), maybe_placeholders=False)


def _sum(pieces: tuple[Any, ...]) -> Expression:
    """Return the sum of terms with signs between them."""
    terms = [pieces[0]]
    for sign, term in zip(pieces[1::2], pieces[2::2], strict=True):
        terms.append(term if sign.type == "PLUS" else Negative(term))
    return Sum(tuple(terms))


def _product(pieces: tuple[Any, ...]) -> Expression:
    """Return the product and quotient of factors, from left to right."""
    factors: list[Expression] = [pieces[0]]
    for sign, factor in zip(pieces[1::2], pieces[2::2], strict=True):
        if sign.type == "TIMES":
            factors.append(factor)
        else:
            factors = [Quotient(_one(factors), factor)]
    return _one(factors)


def _one(factors: list[Expression]) -> Expression:
    """Return the product of factors, or the only one."""
    return factors[0] if len(factors) == 1 else Product(tuple(factors))


def _power(base: Expression, exponent: Expression, token: Token, words: Words) -> Expression:
    """Return a power, after refusing one of plain numbers that no float can hold."""
    power = Power(base, exponent)
    if depth(power) > _DEEPEST:
        raise words.fail(f"the powers are nested more than {_DEEPEST} deep", token)
    known = constant_value(exponent)
    if known is not None and abs(known) > _LARGEST_POWER:
        raise words.fail(f"the exponent is larger than {_LARGEST_POWER}", token)
    if not any(isinstance(node, Name) for node in walk(power)) and not _is_finite(power):
        raise words.fail("this power is no real number that can be computed with", token)
    return power


def _is_finite(tree: Expression) -> bool:
    """Tell whether a tree without names has a finite real value."""
    import numpy as np

    with np.errstate(all="ignore"):
        return math.isfinite(evaluate(tree, {}, numpy_functions()))


def _call(token: Token, arguments: tuple[Expression, ...], words: Words) -> Expression:
    """Return a call, after counting its arguments."""
    known = FUNCTIONS[token.text]
    least, most = known.arity
    if len(arguments) < least or (most is not None and len(arguments) > most):
        raise words.fail(f"{token.text} takes {least} argument{'s' if least > 1 else ''}, not {len(arguments)}", token)
    return Call(token.text, tuple(arguments))
