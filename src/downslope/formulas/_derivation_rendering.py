"""Render a derivation as text, LaTeX, HTML and plain data, all from the same walk over its steps."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from downslope.formulas._expression import Sum
from downslope.formulas._printing import book, latex, latex_name

if TYPE_CHECKING:
    from downslope.formulas._formula import Formula
    from downslope.formulas._rules import DerivationStep

_PLAIN = {"constant", "variable"}
_MOST_LINES = 400


def walk(root: DerivationStep) -> Iterator[tuple[str, DerivationStep]]:
    """Yield every step with its number (1, 1.1, 1.1.1, …) in pre-order."""
    # Iterative, since a derivation may be deeper than Python's recursion limit.
    stack = [("1", root)]
    while stack:
        number, step = stack.pop()
        yield number, step
        stack += [
            (f"{number}.{position}", child) for position, child in reversed(list(enumerate(step.children, start=1)))
        ]


def as_text(answer: Formula, root: DerivationStep) -> str:
    """Return the steps as numbered, indented lines below the derivative."""
    unit = f"   in {answer.unit}" if answer.unit else ""
    lines = [f"{answer}{unit}", ""]
    for line, (number, step) in enumerate(walk(root)):
        # A product of many factors has thousands of steps.
        if line >= _MOST_LINES:
            lines.append("…  the rest is left out")
            break
        indent = "   " * number.count(".")
        lines.append(f"{indent}{number}  {rule_name(step)}:  {_operator(step)} {_grouped(step)} = {book(step.after)}")
        if step.rule not in _PLAIN:
            bindings = ", ".join(f"{letter} = {shown}" for letter, shown in step.bindings.items() if letter != "outer")
            lines.append(f"{indent}{' ' * len(number)}  {step.law}{'   with ' + bindings if bindings else ''}")
    return "\n".join(lines)


def as_latex(answer: Formula, root: DerivationStep) -> str:
    """Return the steps as an `align*` environment that ends with the derivative."""
    rows = [
        rf"\frac{{d}}{{d{latex_name(step.variable)}}}\left[{latex(step.before)}\right] &= {latex(step.after)}"
        rf" && \text{{{rule_name(step)}}}"
        for _, step in walk(root)
        if step.rule not in _PLAIN
    ]
    # From the innermost step to the whole: each line only uses results shown above it.
    return _environment([*reversed(rows), _at_the_sign(answer.latex)])


def as_aligned(equations: Iterable[str]) -> str:
    """Return equations in LaTeX as an `align*` environment, their equality signs below each other."""
    return _environment([_at_the_sign(equation) for equation in equations])


def _at_the_sign(equation: str) -> str:
    """Return an equation that is aligned at its equality sign."""
    return equation.replace(" = ", " &= ", 1)


def _environment(rows: Sequence[str]) -> str:
    """Return rows as an `align*` environment."""
    return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"


def as_html(answer: Formula, root: DerivationStep) -> str:
    """Return the steps as nested ordered lists below the derivative."""
    return f"<p><strong>{html.escape(str(answer))}</strong></p><ol>{_item(root)}</ol>"


def as_list(root: DerivationStep) -> list[dict[str, Any]]:
    """Return the steps as plain data, each with its number."""
    return [
        {
            "number": number,
            "rule": step.rule,
            "before": book(step.before),
            "after": book(step.after),
            "variable": step.variable,
            "law": step.law,
            "bindings": dict(step.bindings),
            "sentence": step.sentence,
        }
        for number, step in walk(root)
    ]


def rule_name(step: DerivationStep) -> str:
    """Return the rule's identifier in words."""
    return step.rule.replace("_", " ")


def _item(step: DerivationStep) -> str:
    """Return a step as a list item, its child steps as a nested list."""
    bindings = "".join(
        f"<br><i>{html.escape(letter)}</i> = {html.escape(shown)}"
        for letter, shown in step.bindings.items()
        if letter != "outer"
    )
    below = f"<ol>{''.join(map(_item, step.children))}</ol>" if step.children else ""
    return (
        f"<li><b>{html.escape(rule_name(step))}</b>: {html.escape(_operator(step))} {html.escape(_grouped(step))} = "
        f"{html.escape(book(step.after))}<br>{html.escape(step.sentence)}{bindings}{below}</li>"
    )


def _operator(step: DerivationStep) -> str:
    """Return the derivative operator by a step's variable."""
    return f"d/d{step.variable}"


def _grouped(step: DerivationStep) -> str:
    """Return the differentiated expression, in parentheses if it is a sum."""
    text = book(step.before)
    return f"({text})" if isinstance(step.before, Sum) else text
