"""The parser: from text to a `Formula` or an `Equation`, with errors that point at the position in the text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from downslope._column_names import resembling, typed
from downslope._errors import FormulaError
from downslope.formulas._formula import Formula
from downslope.formulas._units import checked_units
from downslope.formulas.expressions import Expression, Name, book, depth, names_in, size
from downslope.formulas.reading._automaton import END, UnexpectedLeafError
from downslope.formulas.reading._columns import with_columns
from downslope.formulas.reading._header import header, unwrapped
from downslope.formulas.reading._letters import Token
from downslope.formulas.reading._structure import resolve
from downslope.formulas.reading._tokens import tokens
from downslope.formulas.reading._words import Words

_MOST_NODES = 5000
# A tree within the node limit has fewer tokens than this; the bound keeps the parser's memory small.
_MOST_TOKENS = 4 * _MOST_NODES


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
    notes: list[str] = []
    text = _without_quotes(text, columns)
    pieces = with_columns(unwrapped(tokens(text, notes), text), columns, text)
    name, declared, pieces, note = header(text, pieces)
    words = Words(text, declared, columns, notes, name=name)
    if note:
        words.note(note)
    resolved = resolve(pieces, words)
    if len(resolved) > _MOST_TOKENS:
        raise FormulaError(f"the formula has {len(resolved)} signs and names, more than {_MOST_TOKENS}")
    tree = _tree(resolved, words)
    _check_size(tree, text)
    _check_constants(tree)
    names = names_in(tree)
    if name in names and declared is None and name not in columns:
        raise FormulaError(
            f"{name} is on both sides: this is an equation, not a formula for {name}",
            hint="move all terms to one side; for dy/dx on the curve of an equation use derive(…, implicit='y')",
        )
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


def _without_quotes(text: str, columns: Collection[str]) -> str:
    """Return a formula without the backquotes that Markdown puts around it, unless they hold the name of a column."""
    inside = text.strip().removeprefix("`").removesuffix("`")
    is_quoted = len(inside) == len(text.strip()) - 2 and "`" not in inside
    return inside if is_quoted and inside.strip() and not columns else text


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


def _check_size(tree: Expression, text: str) -> None:
    """Raise if a tree is too large or too deep."""
    # Evaluation, printing and SymPy recurse over the tree: refuse what would exhaust the stack.
    nodes = size(tree)
    if nodes > _MOST_NODES:
        raise FormulaError(f"the formula has {nodes} parts, more than {_MOST_NODES}")
    from downslope.formulas.reading._building import DEEPEST

    deep = depth(tree)
    if deep > DEEPEST:
        raise FormulaError(f"the formula is nested {deep} deep, more than {DEEPEST}", text=None)


def _check_constants(tree: Expression) -> None:
    """Raise if a part without names has no finite value: 1/0, ln(-1)."""
    from downslope.formulas.reading._building import undefined_part

    part = undefined_part(tree)
    if part is None:
        return
    shown = book(part)
    raise FormulaError(
        f"a part without variables has no finite real value: {shown if len(shown) <= 60 else shown[:59] + '…'}",
        hint="a quotient by 0, the logarithm of a negative number and the like are not numbers",
    )


def _tree(pieces: list[Token], words: Words) -> Expression:
    """Parse resolved tokens into a tree."""
    from downslope.formulas.reading._building import tree_of

    if not pieces:
        raise FormulaError("the formula is empty", text=words.text)
    try:
        return tree_of(pieces, words)
    except UnexpectedLeafError as error:
        raise _unexpected(error, words) from None


def _unexpected(error: UnexpectedLeafError, words: Words) -> FormulaError:
    """Return the error for an unexpected token."""
    if error.leaf.type == END:
        return FormulaError(
            "the formula ends where a number, a name or a parenthesis was expected",
            text=words.text,
            position=len(words.text),
        )
    token, _ = error.leaf.value
    if token.kind == "COMMA":
        return words.fail("unexpected comma: it separates the arguments of a function", token)
    # A list of token kinds is no help to a person: say whether an operand or an operator is missing.
    wanted = {"NUMBER", "NAME"} & error.expected
    expected = "a number, a name or a parenthesis" if wanted else "an operator such as + or ×"
    if "OPEN" in error.expected and not wanted:
        expected = "an opening parenthesis"
    return words.fail(f"{token.text!r} stands where {expected} was expected", token)


@dataclass(frozen=True)
class Equation:
    """An equation between measured data and a model.

    Args:
        left: the measured side, a formula of columns only.
        right: the model's side; its variables are the parameters.
        text: the source text.
        written: the model's side as it was written, where `right` writes it out for groups of rows; else None.
    """

    left: Formula
    right: Formula
    text: str
    written: Formula | None = None

    @property
    def read_as(self) -> str:
        """The equation in textbook notation."""
        return f"{self.left.read_as} = {(self.written or self.right).read_as}"

    @property
    def latex(self) -> str:
        """The equation as LaTeX."""
        return f"{self.left.latex} = {(self.written or self.right).latex}"

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
        return Equation(_left_side(left, columns), formula(right, columns=columns), text)
    except FormulaError as error:
        error.text = None if error.text is None else text
        raise


def _left_side(text: str, columns: Collection[str]) -> Formula:
    """Parse the left side, in which every name must be a column."""
    name, opening, inside = (piece.strip() for piece in text.partition("("))
    listed = [piece.strip() for piece in inside.rstrip(") ").split(",")]
    if opening and name in columns and all(piece in columns for piece in listed):
        text = name
    read = formula(text, columns=columns)
    if read.variables:
        unknown = read.variables[0]
        close = resembling(unknown, columns)
        raise FormulaError(
            f"the left side names {unknown}, which is not a column of the table; it has {', '.join(columns)}",
            text=text,
            position=max(text.find(unknown), 0),
            width=len(unknown),
            hint=f"did you mean {typed(close)}?" if close else None,
        )
    return read
