"""Equations between measured data and a model."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from downslope._errors import FormulaError, nearest
from downslope.formulas._expression import Name
from downslope.formulas._formula import Formula
from downslope.formulas._parser import formula
from downslope.formulas._tokens import tokens


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
