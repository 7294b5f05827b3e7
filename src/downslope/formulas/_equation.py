"""From the text of an equation between columns and parameters to its two sides."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from downslope._errors import FormulaError, nearest
from downslope.formulas._expression import Name
from downslope.formulas._formula import Formula
from downslope.formulas._reading import formula
from downslope.formulas._tokens import tokens


@dataclass(frozen=True)
class Equation:
    """An equation: what was measured = what a model makes of columns and parameters.

    Args:
        left: the measured side, a formula of columns alone.
        right: the model's side; its variables are the parameters.
        text: the equation as it was typed.
    """

    left: Formula
    right: Formula
    text: str

    @property
    def read_as(self) -> str:
        """The equation in book notation."""
        return f"{self.left.read_as} = {self.right.read_as}"

    @property
    def latex(self) -> str:
        """The equation in LaTeX."""
        return f"{self.left.latex} = {self.right.latex}"

    @property
    def measured(self) -> str | None:
        """The column that the left side is, or None for an expression."""
        return self.left.body.name if isinstance(self.left.body, Name) else None


def equation(text: str, columns: Collection[str]) -> Equation:
    """Read an equation such as `price = w × size + b` over a table.

    Args:
        text: the equation; names that are not columns are parameters. The left side may be an expression (`log(y)`) or
            name what it depends on (`y(x)`).
        columns: the names of the table's columns.

    Raises:
        FormulaError: for text that cannot be read, or whose left side is not made of columns.

    >>> equation("y = a e^(-k x) + c", ["x", "y"]).right.variables
    ('a', 'k', 'c')
    """
    places = [token.position for token in tokens(text) if token.kind == "EQUALS"]
    if not places:
        raise FormulaError(
            "a fit needs an equation: what was measured = the model",
            hint=f"for example {next(iter(columns), 'y')} = a × x + b",
        )
    left, right = text[: places[0]], " " * (places[0] + 1) + text[places[0] + 1 :]
    try:
        return Equation(_left(left, columns), formula(right, columns=columns), text)
    except FormulaError as error:
        error.text = None if error.text is None else text
        raise


def _left(text: str, columns: Collection[str]) -> Formula:
    """Return the left side, in which every name must be a column."""
    name, opening, inside = (piece.strip() for piece in text.partition("("))
    listed = [piece.strip() for piece in inside.rstrip(") ").split(",")]
    if opening and name in columns and all(piece in columns for piece in listed):
        text = name
    read = formula(text, columns=columns)
    if read.variables:
        unknown = read.variables[0]
        close = nearest(unknown, columns)
        raise FormulaError(
            f"the left side names {unknown}, which is no column of the table; it has {', '.join(columns)}",
            text=text,
            position=max(text.find(unknown), 0),
            width=len(unknown),
            hint=f"did you mean {close}?" if close else None,
        )
    return read
