"""The steps of a derivation as text, LaTeX, HTML and plain data: the same steps, in the same order, in each.

A step stands below those that it uses, so that each line rests on lines above it and the derivative comes last.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from downslope.formulas.expressions import (
    SPELLINGS,
    Call,
    Expression,
    MathConstant,
    Name,
    Number,
    book,
    book_name,
    latex,
    latex_name,
)
from downslope.formulas.symbolic import DerivationStep

_PLAIN = {"constant", "variable"}
_NAMED = {"implicit", "directional"}  # their law begins with the name of the result
_MOST_STEPS = 200
_WIDTH = 96
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


@dataclass(frozen=True)
class NumberedStep:
    """A step with its number and the numbers of the steps that it uses."""

    number: int
    step: DerivationStep
    uses: tuple[int, ...]


def walk(root: DerivationStep) -> Iterator[DerivationStep]:
    """Yield every step below those that it uses, equal steps once."""
    # Iterative, since a derivation may be deeper than Python's recursion limit.
    seen: set[tuple[Expression, str, str]] = set()
    stack = [(root, False)]
    while stack:
        step, entered = stack.pop()
        key = _key(step)
        if key in seen:
            continue
        if entered:
            seen.add(key)
            yield step
        else:
            stack.append((step, True))
            stack += [(child, False) for child in reversed(step.children)]


def _key(step: DerivationStep) -> tuple[Expression, str, str]:
    """Return a key that equal steps share."""
    return step.before, step.variable, step.rule


def numbered(root: DerivationStep) -> list[NumberedStep]:
    """Return the steps that a reader sees: x' = 1 and c' = 0 only where nothing else is to be seen."""
    numbers: dict[tuple[Expression, str, str], int] = {}
    rows: list[NumberedStep] = []
    for step in walk(root):
        if step.rule in _PLAIN and step is not root:
            continue
        uses = [numbers.get(_key(child)) for child in step.children]
        known = tuple(dict.fromkeys(number for number in uses if number is not None))
        rows.append(NumberedStep(len(rows) + 1, step, known))
        numbers[_key(step)] = len(rows)
    return rows


def as_lines(root: DerivationStep, variables: Sequence[str]) -> list[str]:
    """Return the steps as lines of text."""
    lines: list[str] = []
    rows = numbered(root)
    for row in rows[:_MOST_STEPS]:
        indent = " " * (len(str(row.number)) + 2)
        lines.append(f"{row.number}  {heading(row)}")
        left = f"{indent}{_left(row.step, variables)}"
        sides = [book(line) for line in (*row.step.worked, row.step.after)]
        if len(left) + sum(len(side) + 3 for side in sides) <= _WIDTH:
            lines.append(" = ".join([left, *sides]))
        else:
            lines += [f"{left} = {sides[0]}", *(f"{' ' * len(left)} = {side}" for side in sides[1:])]
    if len(rows) > _MOST_STEPS:
        lines.append(f"…  {len(rows) - _MOST_STEPS} more steps")
    return lines


def heading(row: NumberedStep) -> str:
    """Return the name of a step's rule, the rule in letters and what the letters stand for."""
    step = row.step
    bindings = ", ".join(f"{book_name(letter)} = {book(tree)}" for letter, tree in _bindings(step))
    after = f", from {_listed(row.uses)}" if row.uses else ""
    law = step.law.replace(step.variable, book_name(step.variable)) if "_" in step.variable else step.law
    return f"{rule_name(step)}{after}:  {law}{'   with ' + bindings if bindings else ''}"


def as_rows(root: DerivationStep, variables: Sequence[str]) -> list[str]:
    """Return the steps as rows of an `align*` environment."""
    rows = []
    for row in numbered(root)[:_MOST_STEPS]:
        step = row.step
        sides = [latex(line) for line in (*step.worked, step.after)]
        law = f"{rule_name(step)}: ${law_as_latex(step.law)}$"
        bindings = ", ".join(f"${latex_name(letter)} = {latex(tree)}$" for letter, tree in _bindings(step))
        explanation = rf"\text{{{law}{' with ' + bindings if bindings else ''}}}"
        rows.append(rf"{_left_in_latex(step, variables)} &= {sides[0]} && {explanation}")
        rows += [f"&= {side}" for side in sides[1:]]
    return rows


def as_items(root: DerivationStep, variables: Sequence[str]) -> str:
    """Return the steps as an ordered list in HTML."""
    items = []
    for row in numbered(root)[:_MOST_STEPS]:
        step = row.step
        sides = " = ".join(book(line) for line in (*step.worked, step.after))
        items.append(
            f"<li><b>{html.escape(rule_name(step))}</b>: {html.escape(heading(row).partition(':  ')[2])}<br>"
            f"{html.escape(_left(step, variables))} = {html.escape(sides)}<br>{html.escape(step.sentence)}</li>"
        )
    return f"<ol>{''.join(items)}</ol>"


def as_list(root: DerivationStep) -> list[dict[str, Any]]:
    """Return the steps as plain data, each with its number."""
    return [
        {
            "number": str(row.number),
            "rule": row.step.rule,
            "before": book(row.step.before),
            "worked": [book(line) for line in row.step.worked],
            "after": book(row.step.after),
            "variable": row.step.variable,
            "law": row.step.law,
            "bindings": {letter: book(tree) for letter, tree in row.step.bindings.items()},
            "sentence": row.step.sentence,
            "uses": [str(number) for number in row.uses],
        }
        for row in numbered(root)
    ]


def as_environment(rows: Sequence[str]) -> str:
    """Return rows as an `align*` environment."""
    return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"


def at_the_sign(equation: str) -> str:
    """Return an equation that is aligned at its first equality sign."""
    return equation.replace(" = ", " &= ", 1)


def rule_name(step: DerivationStep) -> str:
    """Return the rule's identifier in words."""
    return step.rule.replace("_", " ")


def _bindings(step: DerivationStep) -> list[tuple[str, Expression]]:
    """Return the letters of a rule and what they stand for."""
    return [(letter, tree) for letter, tree in step.bindings.items() if letter != "outer"]


def _listed(numbers: Sequence[int]) -> str:
    """Return numbers as in a sentence."""
    texts = list(map(str, numbers))
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _left(step: DerivationStep, variables: Sequence[str]) -> str:
    """Return the left side of a step: the derivative that it finds."""
    if step.rule in _NAMED:
        return step.law.partition(" = ")[0]
    sign = "∂" if len(variables) > 1 and step.variable in variables else "d"
    text = book(step.before)
    # d/dx (x + 1)/(x - 1) would read as the derivative of x + 1, divided by x - 1.
    plain = isinstance(step.before, Name | Number | MathConstant | Call) and not text.startswith("√")
    return f"{sign}/{sign}{book_name(step.variable)} {text if plain else f'[{text}]'}"


def _left_in_latex(step: DerivationStep, variables: Sequence[str]) -> str:
    """Return the left side of a step as LaTeX."""
    if step.rule in _NAMED:
        return law_as_latex(step.law.partition(" = ")[0])
    sign = r"\partial " if len(variables) > 1 and step.variable in variables else "d"
    return rf"\frac{{{sign.strip()}}}{{{sign}{latex_name(step.variable)}}}\left[{latex(step.before)}\right]"


_FUNCTION = re.compile(r"\b(" + "|".join(sorted(SPELLINGS, key=len, reverse=True)) + r")(?=\()")
_SIGNS = {
    **{
        "·": r" \cdot ",
        "∂": r"\partial ",
        "…": r"\ldots",
        "≠": r"\ne ",
        " mod ": r" \bmod ",
        "σ": r"\sigma",
        "π": r"\pi",
    },
    **{"⌊": r"\lfloor ", "⌋": r" \rfloor", "⌈": r"\lceil ", "⌉": r" \rceil"},
}
_COMMANDS = {"sin", "cos", "tan", "sinh", "cosh", "tanh", "ln", "exp", "max", "min", "sec", "csc", "cot"}


def law_as_latex(law: str) -> str:
    r"""Return a rule in letters as LaTeX.

    >>> print(law_as_latex("(u/v)' = (u'·v - u·v')/v²"))
    (u/v)' = (u' \cdot v - u \cdot v')/v^{2}
    """
    # The braces of pieces are no groups of LaTeX.
    text = law.replace("{", "\1").replace("}", "\2")
    text = re.sub(r"∛(\w)", r"\\sqrt[3]{\1}", re.sub(r"√\(([^()]*)\)", r"\\sqrt{\1}", text))
    text = re.sub(r"√(\w)", r"\\sqrt{\1}", text)
    text = re.sub(r"([d∂]\w*)/([d∂]\w+)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\^\(([^()]*)\)", r"^{\1}", text)
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda match: f"^{{{match.group().translate(_SUPERSCRIPTS)}}}", text)
    text = _FUNCTION.sub(_command, text)
    text = re.sub(r"(?<=[A-Za-z])_(\w+)", r"_{\1}", text).replace("\1", r"\{").replace("\2", r"\}")
    text = re.sub(r"(?<![\\\w])(if|otherwise|and)(?!\w)", r"\\text{ \1 }", text)
    for sign, command in _SIGNS.items():
        text = text.replace(sign, command)
    return " ".join(text.split())


def _command(match: re.Match[str]) -> str:
    """Return a function's name as LaTeX."""
    name = match.group(1)
    if name == "σ":
        return name
    return f"\\{name}" if name in _COMMANDS else rf"\operatorname{{{name}}}"
