"""The report of a fit as Markdown, LaTeX and a page of HTML."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from downslope._errors import DataError, SettingError
from downslope._files import written
from downslope._text import html_pairs, html_table
from downslope.formulas import latex_name

if TYPE_CHECKING:
    import polars

    from downslope.fitting._fitted_equation import FittedEquation
    from downslope.fitting._result import Fit

_SIGNS = {"±": r"\pm", "−": "-", "…": r"\ldots", "²": "^2", "χ": r"\chi", "ν": r"\nu", "·": r"\cdot", "√": r"\surd"}
_ESCAPED = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {"\\": r"\textbackslash{}"}
_STYLE = (
    "body{font:16px/1.5 sans-serif;margin:2em}td,th{padding:.2em 1em;text-align:right}td:first-child{text-align:left}"
)


def parameter_table(fit: Fit) -> polars.DataFrame:
    """Return a row for each parameter of a fit."""
    import polars

    grouping = fit.model.grouping
    rows = []
    for name, parameter in fit.parameters.items():
        own, bracket, label = name.partition("[")
        of = {} if grouping is None else {",".join(grouping.by): label[:-1] if bracket else None}
        rows.append({**of, "parameter": own if of else name, **parameter.as_dict()})
    return polars.DataFrame(rows, infer_schema_length=None)


def to_markdown(fit: FittedEquation) -> str:
    """Return the report of a fit as Markdown: the equation, a table of parameters, how good it is, and findings."""
    heads, *rows = fit.rows()
    lines = [f"**{_cell(fit.read_as)}**", "", _line(heads), _rule(len(heads)), *map(_line, rows), ""]
    lines += [_line(("quality", "")), _rule(2), *(_line(pair) for pair in fit.summary()), ""]
    lines += [f"- {_cell(finding.sentence)}" for finding in fit.findings]
    lines += [f"- {_cell(note)}" for note in fit.notes]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _rule(count: int) -> str:
    return "|---" + "|--:" * (count - 1) + "|"


def _cell(text: str) -> str:
    """Return a text in which no sign is read as Markdown."""
    for sign in "\\|*_`<":
        text = text.replace(sign, "\\" + sign)
    return text


def to_latex(fit: FittedEquation) -> str:
    r"""Return the report of a fit as LaTeX: the equation, and a table of parameters in the style of booktabs."""
    heads, *rows = fit.rows()
    is_named = heads[0] == "parameter"
    body = [
        " & ".join([_name(row[0]) if is_named else _escaped(row[0]), *map(_escaped, row[1:])]) + r" \\" for row in rows
    ]
    quality = ", ".join(f"{_escaped(label)} {_escaped(text)}" for label, text in fit.summary())
    return "\n".join(
        [
            r"% needs \usepackage{amsmath,booktabs}",
            r"\begin{equation}",
            f"  {fit.model.equation.latex}",
            r"\end{equation}",
            r"\begin{table}",
            r"  \centering",
            rf"  \begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
            r"    \toprule",
            "    " + " & ".join(map(_escaped, heads)) + r" \\",
            r"    \midrule",
            *(f"    {line}" for line in body),
            r"    \bottomrule",
            r"  \end{tabular}",
            rf"  \caption{{{quality}.}}",
            r"\end{table}",
            "",
        ]
    )


def _name(name: str) -> str:
    """Return the name of a parameter as LaTeX, that of its group in brackets: Vm[treated]."""
    own, bracket, label = name.partition("[")
    of = rf"[\text{{{_escaped(label[:-1])}}}]" if bracket else ""
    return f"${latex_name(own)}{of}$"


def _escaped(text: str) -> str:
    """Return a text in which no sign is read as LaTeX."""
    return "".join(f"${_SIGNS[sign]}$" if sign in _SIGNS else _ESCAPED.get(sign, sign) for sign in text)


def to_html(fit: FittedEquation) -> str:
    """Return the report of a fit as a page of HTML."""
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in fit.notes)
    parts = [html_table(fit.rows(), fit.read_as), html_pairs(fit.summary()), fit.findings._repr_html_()]
    title = html.escape(fit.read_as)
    return (
        f'<!doctype html><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1>{''.join(parts)}<ul>{notes}</ul>\n"
    )


_WRITERS = {".md": to_markdown, ".tex": to_latex, ".html": to_html, ".htm": to_html, ".txt": lambda fit: f"{fit}\n"}


def write_report(fit: FittedEquation, file: str | os.PathLike[str]) -> Path:
    """Write the report of a fit into a file: .md, .tex, .html or .txt.

    Raises:
        SettingError: for a name that ends in something else.
        DataError: for a file that cannot be written.
    """
    target = Path(file)
    writer = _WRITERS.get(target.suffix.lower())
    if writer is None:
        raise SettingError(
            f"cannot write the report of a fit into {target.name!r}",
            hint="the name must end in .md, .tex, .html or .txt",
        )
    with written(target, DataError) as partial:
        partial.write_text(writer(fit), encoding="utf-8")
    return target
