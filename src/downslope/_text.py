"""Numbers and tables as text for all reports: true minus signs, aligned columns, escaped HTML.

Every number that a person reads goes through `number` or one of its relatives, so that no report mixes 1.63e-09,
1.63e−9 and 10⁻⁹.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

Row = Sequence[str]
_EXACT = 1e-10  # a relative error below it is rounding
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789", "_{}")


def number(value: float, digits: int = 6) -> str:
    """Return a number with the given significant digits and a true minus sign; a dash for NaN.

    >>> number(-1234567.8), number(1.63e-9), number(0.5, 3), number(float("nan"))
    ('−1.23457e6', '1.63e−9', '0.5', '–')
    """
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "−∞"}.get(value, "–")
    mantissa, e, exponent = f"{value + 0.0:.{digits}g}".partition("e")
    return (mantissa + e + str(int(exponent)) if e else mantissa).replace("-", "−")


def rounded(value: float, error: float) -> str:
    """Format a value with as many digits as its error justifies: the last two are uncertain.

    >>> rounded(238.94212918, 2.7070075)
    '238.9'
    >>> rounded(2.0, 0.0)
    '2.0000'
    """
    if not math.isfinite(value):
        return number(value, 4)
    digits = 5
    if value and math.isfinite(error) and error > _EXACT * abs(value):
        digits = min(max(math.floor(math.log10(abs(value))) - math.floor(math.log10(error)) + 2, 2), 12)
    return f"{value:#.{digits}g}".removesuffix(".").replace("-", "−")


def printed(value: float, digits: int = 6) -> str:
    """Return a number as `g` formats it, for sentences: in words where it is none, ±∞ as a sign.

    >>> printed(-0.25), printed(float("nan")), printed(-math.inf)
    ('-0.25', 'not a number', '−∞')
    """
    if math.isnan(value):
        return "not a number"
    return f"{value:.{digits}g}" if math.isfinite(value) else number(value)


def apart(first: float, second: float, digits: int = 6) -> tuple[str, str]:
    """Return two numbers with so many significant digits, or as many more as tell them apart.

    >>> apart(3.0, 2.9999947, 4), apart(1.0, 2.0, 4), apart(1.0, 1.0)
    (('3', '2.99999'), ('1', '2'), ('1', '1'))
    """
    for more in range(digits, 18):
        texts = number(first, more), number(second, more)
        if texts[0] != texts[1]:
            return texts
    return number(first, digits), number(second, digits)


def count(value: float, noun: str = "step") -> str:
    """Return a whole number, rounded up, with its noun: `1 step`, `11612 steps`."""
    if not math.isfinite(value):
        return f"endlessly many {noun}s"
    whole = math.ceil(value)
    shown = str(whole) if whole < 10_000_000 else number(whole, 3)
    return f"{shown} {noun}" if whole == 1 else f"{shown} {noun}s"


def with_unit(text: str, unit: str | None) -> str:
    """Return a text followed by its unit, if it has one."""
    return f"{text} {unit}" if unit else text


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: `x`, `x and y`, `x, y and z`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def in_words(name: str) -> str:
    """Return the name of a number as people write it.

    >>> in_words("validation_r2"), in_words("update_norm")
    ('validation R²', 'update norm')
    """
    return " ".join({"r2": "R²"}.get(word, word) for word in name.split("_"))


# C0, DEL and C1 (a terminal obeys them), line separators, the embeddings, overrides and isolates of bidirectional text
# (they change the order in which letters appear), and lone halves of surrogate pairs (no encoding prints them).
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def own_names(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return a mapping with its names as a formula spells them, where that is clear: x₁ and x1 are its x_1.

    >>> own_names({"x₁": 1.0, "y": 2.0}, ["x_1", "x_2"])
    {'x_1': 1.0, 'y': 2.0}
    """
    spelt: dict[str, list[str]] = {}
    for name in names:
        spelt.setdefault(name.translate(_SUBSCRIPTS), []).append(name)

    def own(name: Any) -> Any:
        alike = spelt.get(name.translate(_SUBSCRIPTS), []) if isinstance(name, str) and name not in names else []
        return alike[0] if len(alike) == 1 and alike[0] not in values else name

    return {own(name): value for name, value in values.items()}


def printable(text: str, breaks: bool = False) -> str:
    r"""Return a text without the characters that control a terminal or reorder what is shown.

    Args:
        text: text from a file, of whoever wrote it.
        breaks: whether line feeds and tabs are kept.

    >>> printable("f(x)\x1b[2J = x²"), printable("two\nlines"), printable("two\nlines", breaks=True)
    ('f(x)[2J = x²', 'twolines', 'two\nlines')
    """
    if text.isprintable():
        return text
    return _CONTROLS.sub(lambda match: match[0] if breaks and match[0] in "\n\t" else "", text)


def percent(share: float) -> str:
    """Return a share as a percentage of two digits; its blank is one at which no line is broken."""
    return f"{100 * share:.{0 if share >= 0.1 else 1}f}\u00a0%"


def decimals(numbers: Iterable[float], places: int | None = None) -> list[str]:
    """Return a column of numbers whose decimal points stand below each other.

    Args:
        numbers: the column.
        places: decimals; None for as many as the smallest needs for three digits, or powers of ten where that is many.
    """
    column = [float(value) + 0.0 for value in numbers]  # no zero has a minus sign
    sizes = [abs(value) for value in column if math.isfinite(value) and value != 0]
    if sizes and (max(sizes) >= 1e5 or (places is None and min(sizes) < 1e-4)):
        return [f"{value:.3e}".replace("-", "−") if math.isfinite(value) else number(value) for value in column]
    if places is None:
        places = 3 if not sizes else min(max(2 - math.floor(math.log10(min(sizes))), 3), 5)
    rounded = [round(value, places) + 0.0 if math.isfinite(value) else value for value in column]
    return [f"{value:.{places}f}".replace("-", "−") if math.isfinite(value) else number(value) for value in rounded]


def rows_of(table: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return columns by heading as rows, the headings first.

    >>> rows_of({"x": ["1", "2"], "y": ["3", "4"]})
    [['x', 'y'], ['1', '3'], ['2', '4']]
    """
    return [list(table), *map(list, zip(*table.values(), strict=True))]


def aligned(rows: Sequence[Row], words: Collection[int] = ()) -> list[str]:
    """Return a table as lines, its headings underlined; columns of words to the left, those of numbers to the right.

    Args:
        rows: the headings first.
        words: indices of the columns that hold words.
    """
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = [
        "   ".join(
            cell.ljust(width) if index in words else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "─" * max(map(len, lines)), *lines[1:]]


def html_table(rows: Sequence[Row], caption: str = "") -> str:
    """Return a table as HTML.

    Args:
        rows: the headings first.
        caption: the caption, if any.
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
