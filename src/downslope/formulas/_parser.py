"""The parser: from text to a `Formula` or an `Equation`, with errors that point at the position in the text."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from downslope._errors import FormulaError, nearest
from downslope.formulas._expression import (
    Call,
    Expression,
    MathConstant,
    Name,
    Negative,
    Number,
    Power,
    Quotient,
    Sum,
    depth,
    names_in,
    product_of,
    size,
    walk,
)
from downslope.formulas._formula import Formula
from downslope.formulas._functions import FUNCTIONS, SPELLINGS, numpy_functions
from downslope.formulas._operations import constant_value, evaluate
from downslope.formulas._structure import resolve
from downslope.formulas._tokens import Token, Words, exact, tokens
from downslope.formulas._units import checked_units

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedToken

_MOST_NODES = 5000
# A tree within the node limit has fewer tokens than this; the bound keeps the parser's memory small.
_MOST_TOKENS = 4 * _MOST_NODES
_DEEPEST = 120
_LARGEST_POWER = 10_000  # of a number: beyond it the exact value no longer fits into memory


def formula(text: str | Formula, *, units: Mapping[str, str] | None = None, columns: Collection[str] = ()) -> Formula:
    """Parse a formula in textbook notation.

    Args:
        text: the formula, with or without a header that declares its variables: `f(x) = x² - 4x + 5`,
            `h(x, y) = 100 - x² - 2y²`, `x sin(x)/2`; simple LaTeX as well.
            Juxtaposition multiplies, `^` and `**` are powers, `log` is the natural logarithm.
        units: units by name, including the formula's own name: `{"t": "hour", "Battery": "percent"}`.
        columns: names of data columns, which the formula may use in addition to its variables.

    Returns:
        The formula; its `read_as` shows how the text was interpreted.

    Raises:
        FormulaError: for text that cannot be parsed, with a caret under the position.
        UnitError: for unknown units, or units of names that do not occur.

    >>> formula("f(x) = x^2 - 4x + 5").read_as
    'f(x) = x² - 4x + 5'
    >>> formula("1/2x")(x=6)
    3.0
    """
    # Every verb takes text or a Formula: this makes the call idempotent.
    if isinstance(text, Formula) and set(columns) - {*text.columns} & {*text.variables}:
        # Names that were variables are columns of this table: the text is read anew.
        return formula(text.read_as, units=units or text.units or None, columns=columns)
    if isinstance(text, Formula):
        return text if units is None else text.with_units(checked_units(units, text))
    if not isinstance(text, str):
        raise FormulaError(f"a formula is text, not {type(text).__name__}", hint='for example formula("x² - 4x + 5")')
    columns = _checked_columns(columns)
    pieces = tokens(text)
    name, declared, pieces = _header(text, pieces)
    words = Words(text, declared, columns)
    resolved = resolve(pieces, words)
    if len(resolved) > _MOST_TOKENS:
        raise FormulaError(f"the formula has {len(resolved)} signs and names, more than {_MOST_TOKENS}")
    tree = _tree(resolved, words)
    _check_size(tree, text)
    names = names_in(tree)
    variables = declared if declared is not None else _in_order(n for n in names if n not in columns)
    read = Formula(
        name=name,
        variables=variables,
        body=tree,
        columns=tuple(n for n in names if n in columns and n not in variables),
        text=text,
        notes=tuple(words.notes),
        has_header=declared is not None,
    )
    return read if units is None else read.with_units(checked_units(units, read))


def _checked_columns(columns: Collection[str]) -> Collection[str]:
    """Return the names of columns, after checking that they are texts."""
    names_are_text = isinstance(columns, Collection) and not isinstance(columns, str | bytes)
    if not names_are_text or not all(isinstance(name, str) for name in columns):
        raise FormulaError("columns is not a collection of names", hint='for example columns=["size", "price"]')
    return columns


def _in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return undeclared names in order of appearance; x, y, z and x1, x2, … in their natural order instead."""
    ordered = tuple(names)
    # `y - x` would otherwise give the order (y, x), and points typed as plain lists would be swapped.
    if all(name in ("x", "y", "z") for name in ordered) or all(re.fullmatch(r"x_?[0-9]+", name) for name in ordered):
        return tuple(sorted(ordered, key=lambda name: (len(name), name)))
    return ordered


def _header(text: str, pieces: list[Token]) -> tuple[str | None, tuple[str, ...] | None, list[Token]]:
    """Split tokens into the formula's name, its declared variables (None without a list), and the right side."""
    equals_signs = [index for index, token in enumerate(pieces) if token.kind == "EQUALS"]
    if not equals_signs:
        return None, None, pieces
    if len(equals_signs) > 1:
        second = pieces[equals_signs[1]]
        raise FormulaError("a formula has at most one equals sign", text=text, position=second.position)
    # Left of the sign is a name, a name with its variables, or an error.
    left, right = pieces[: equals_signs[0]], pieces[equals_signs[0] + 1 :]
    if len(left) == 1 and left[0].kind in {"WORD", "CONSTANT"}:
        return left[0].text, None, right
    kinds = [token.kind for token in left]
    inside = left[2:-1]
    listed = all(token.kind == ("COMMA" if index % 2 else "WORD") for index, token in enumerate(inside))
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
    where = left[0].position if left else pieces[equals_signs[0]].position
    end = pieces[equals_signs[0]].position
    raise FormulaError(
        "the left side of the equals sign is not a header",
        text=text,
        position=where,
        width=max(1, end - where),
        hint="a header is a name, or a name with its variables: y = …, or f(x, y) = …",
    )


def _check_size(tree: Expression, text: str) -> None:
    """Raise if a tree is too large or too deep."""
    # Evaluation, printing and SymPy recurse over the tree: refuse what would exhaust the stack.
    nodes = size(tree)
    if nodes > _MOST_NODES:
        raise FormulaError(f"the formula has {nodes} parts, more than {_MOST_NODES}")
    deep = depth(tree)
    if deep > _DEEPEST:
        raise FormulaError(f"the formula is nested {deep} deep, more than {_DEEPEST}", text=None)


def _tree(pieces: list[Token], words: Words) -> Expression:
    """Parse resolved tokens into a tree."""
    from lark.exceptions import UnexpectedToken, VisitError

    if not pieces:
        raise FormulaError("the formula is empty", text=words.text)
    try:
        return _parser().parse(_TokenStream(tuple(pieces), words))
    except UnexpectedToken as error:
        raise _unexpected(error, words) from None
    except VisitError as error:
        # Lark wraps errors raised while building the tree; the caret is in the original.
        if isinstance(error.orig_exc, FormulaError):
            raise error.orig_exc from None
        raise


def _unexpected(error: UnexpectedToken, words: Words) -> FormulaError:
    """Return the error for an unexpected token."""
    if error.token.type == "$END":
        return FormulaError(
            "the formula ends where a number, a name or a parenthesis was expected",
            text=words.text,
            position=len(words.text),
        )
    token, _ = error.token.value
    if token.kind == "COMMA":
        # 0,5 is how most of Europe writes one half.
        hint = "write a decimal point: 0.5" if _between_digits(words.text, token.position) else None
        return words.fail("unexpected comma: it separates the arguments of a function", token, hint)
    # A list of token kinds is no help to a person: say whether an operand or an operator is missing.
    wanted = {"NUMBER", "NAME"} & set(error.expected)
    expected = "a number, a name or a parenthesis" if wanted else "an operator such as + or ×"
    if "OPEN" in error.expected and not wanted:
        expected = "an opening parenthesis"
    return words.fail(f"found {token.text!r} where {expected} was expected", token)


def _between_digits(text: str, position: int) -> bool:
    """Return whether the character at a position is between two digits."""
    return text[position - 1 : position].isdigit() and text[position + 1 : position + 2].isdigit()


class _TokenStream:
    """The parser's input: the tokens of a formula and their context."""

    def __init__(self, pieces: tuple[Token, ...], words: Words) -> None:
        self.pieces = pieces
        self.words = words


@functools.cache
def _parser() -> Any:  # a Lark, whose transformer makes `parse` return an Expression
    """Return the LALR parser of `grammar.lark`, which builds the expression tree while parsing."""
    from lark import Lark
    from lark import Token as LarkToken
    from lark.lexer import Lexer
    from lark.visitors import Transformer, v_args

    class Pass(Lexer):
        """Pass finished tokens to Lark."""

        def __init__(self, lexer_conf: Any) -> None:
            pass

        def lex(self, data: _TokenStream) -> Any:
            for token in data.pieces:
                # A Lark token is a str subclass: built from the pair, it would hold the pair's whole repr.
                piece = LarkToken(token.kind, token.text)
                piece.value = (token, data.words)
                yield piece

    @v_args(inline=True)
    class Build(Transformer):
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

    grammar = (Path(__file__).parent / "grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer=Pass, transformer=Build(), maybe_placeholders=False)


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
        else:
            factors = [Quotient(product_of(factors), factor)]
    return product_of(factors)


def _power(base: Expression, exponent: Expression, token: Token, words: Words) -> Expression:
    """Return a power; raise for one of plain numbers whose value is not a finite float."""
    power = Power(base, exponent)
    if depth(power) > _DEEPEST:
        raise words.fail(f"the powers are nested more than {_DEEPEST} deep", token)
    known = constant_value(exponent)
    # Checked while parsing, since SymPy would compute the exact power before anything else could refuse it.
    if known is not None and abs(known) > _LARGEST_POWER:
        raise words.fail(f"the exponent is larger than {_LARGEST_POWER}", token)
    if not any(isinstance(node, Name) for node in walk(power)) and not _is_finite(power):
        raise words.fail("this power has no finite real value", token)
    return power


def _is_finite(tree: Expression) -> bool:
    """Return whether a tree without names has a finite real value."""
    import numpy as np

    with np.errstate(all="ignore"):
        return math.isfinite(evaluate(tree, {}, numpy_functions()))


def _call(token: Token, arguments: tuple[Expression, ...], words: Words) -> Expression:
    """Return a call, after checking the number of its arguments."""
    known = FUNCTIONS[token.text]
    least, most = known.arity
    if len(arguments) < least or (most is not None and len(arguments) > most):
        raise words.fail(f"{token.text} takes {least} argument{'s' if least > 1 else ''}, not {len(arguments)}", token)
    return Call(token.text, tuple(arguments))


@dataclass(frozen=True)
class Equation:
    """An equation between measured data and a model.

    Args:
        left: the measured side, a formula of columns only.
        right: the model's side; its variables are the parameters.
        text: the source text.
    """

    left: Formula
    right: Formula
    text: str

    @property
    def read_as(self) -> str:
        """The equation in textbook notation."""
        return f"{self.left.read_as} = {self.right.read_as}"

    @property
    def latex(self) -> str:
        """The equation as LaTeX."""
        return f"{self.left.latex} = {self.right.latex}"

    @property
    def measured(self) -> str | None:
        """The column on the left side, or None if the left side is an expression."""
        return self.left.body.name if isinstance(self.left.body, Name) else None


def equation(text: str, columns: Collection[str]) -> Equation:
    """Parse an equation such as `price = w × size + b` over a table.

    Args:
        text: the equation; names that are not columns are parameters. The left side may be an expression (`log(y)`) or
            name what it depends on (`y(x)`).
        columns: the names of the table's columns.

    Raises:
        FormulaError: for text that cannot be parsed, or a left side with names that are not columns.

    >>> equation("y = a e^(-k x) + c", ["x", "y"]).right.variables
    ('a', 'k', 'c')
    """
    if not isinstance(text, str):
        raise FormulaError(f"an equation is text, not {type(text).__name__}", hint='for example "y = a × x + b"')
    equals_signs = [token.position for token in tokens(text) if token.kind == "EQUALS"]
    if not equals_signs:
        raise FormulaError(
            "a fit needs an equation: the measured column = the model",
            hint=f"for example {next(iter(columns), 'y')} = a × x + b",
        )
    # Padding with spaces keeps the positions of the right side, so that carets point at the original text.
    left, right = text[: equals_signs[0]], " " * (equals_signs[0] + 1) + text[equals_signs[0] + 1 :]
    try:
        return Equation(_left(left, columns), formula(right, columns=columns), text)
    except FormulaError as error:
        error.text = None if error.text is None else text
        raise


def _left(text: str, columns: Collection[str]) -> Formula:
    """Parse the left side, in which every name must be a column."""
    name, opening, inside = (piece.strip() for piece in text.partition("("))
    listed = [piece.strip() for piece in inside.rstrip(") ").split(",")]
    if opening and name in columns and all(piece in columns for piece in listed):
        text = name
    read = formula(text, columns=columns)
    if read.variables:
        unknown = read.variables[0]
        close = nearest(unknown, columns)
        raise FormulaError(
            f"the left side names {unknown}, which is not a column of the table; it has {', '.join(columns)}",
            text=text,
            position=max(text.find(unknown), 0),
            width=len(unknown),
            hint=f"did you mean {close}?" if close else None,
        )
    return read
