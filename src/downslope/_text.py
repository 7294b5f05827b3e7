"""How numbers and tables are written in every report: true minus signs, aligned columns, HTML that escapes its text."""

from __future__ import annotations

import html
import math
from collections.abc import Collection, Sequence

Row = Sequence[str]


def number(value: float, digits: int = 6) -> str:
    """Return a number with so many significant digits and a true minus sign; a dash for none.

    >>> number(-1234567.8), number(0.5, 3), number(float("nan"))
    ('−1.23457e+06', '0.5', '–')
    """
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "−∞"}.get(value, "–")
    return f"{value + 0.0:.{digits}g}".replace("-", "−")


def in_words(name: str) -> str:
    """Return the name of a number as people write it.

    >>> in_words("validation_r2"), in_words("update_norm")
    ('validation R²', 'update norm')
    """
    return " ".join({"r2": "R²"}.get(word, word) for word in name.split("_"))


def aligned(rows: Sequence[Row], words: Collection[int] = ()) -> list[str]:
    """Return a table as lines, its headings underlined; columns of words to the left, those of numbers to the right.

    Args:
        rows: the headings first.
        words: places of the columns that hold words.
    """
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        "   ".join(
            cell.ljust(width) if place in words else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "─" * max(map(len, lines)), *lines[1:]]


def html_table(rows: Sequence[Row], caption: str = "") -> str:
    """Return a table as HTML.

    Args:
        rows: the headings first.
        caption: what stands above it, if anything.
    """
    head, *body = rows
    above = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{above}{_html_row(head, 'th')}{''.join(_html_row(row, 'td') for row in body)}</table>"


def html_pairs(pairs: Sequence[tuple[str, str]], caption: str = "") -> str:
    """Return labels and texts as HTML."""
    above = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    rows = "".join(f"<tr>{_html_cell(label, 'th')}{_html_cell(text, 'td')}</tr>" for label, text in pairs)
    return f"<table>{above}{rows}</table>"


def _html_row(row: Row, kind: str) -> str:
    return f"<tr>{''.join(_html_cell(cell, kind) for cell in row)}</tr>"


def _html_cell(text: str, kind: str) -> str:
    return f"<{kind} style='text-align:left'>{html.escape(text)}</{kind}>"
