"""Names of columns as people type them: in backquotes, by their plain part, and the unit in a heading."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from downslope._errors import DataError, nearest

# "Temp (°C)", "Temp [°C]", "t / s", "c, mol/L", "Zeit in s"
_HEADING = re.compile(
    r"^\s*(?P<plain>.*?\S)\s*(?:\((?P<round>[^()]*(?:\([^()]*\))?[^()]*)\)|\[(?P<square>[^\[\]]*)\])\s*$"
)
_QUOTIENT = re.compile(r"^\s*(?P<plain>.*?\S)\s+/\s*(?P<unit>\S.*?)\s*$")
_IN = re.compile(r"^\s*(?P<plain>.*?\S)\s+in\s+(?P<unit>[^\W\d]\S{0,11}|[°µμ%]\S{0,11})\s*$")  # Zeit in s
_COMMA = re.compile(r"^\s*(?P<plain>.*?\S),\s+(?P<unit>\S.*?)\s*$")
# Of which formulas make words, in a class of characters. π is a constant of its own; ª and º are no letters of a name.
LETTERS = "A-Za-zͰ-ορ-ϿÀ-ÖØ-öø-ÿĀ-žА-яЁё"
# With the digits and subscripts that may follow the first letter.
_WORD = re.compile(rf"[{LETTERS}][{LETTERS}0-9_½₀-₉ₐ-ₜᵢ-ᵪⱼ]*(?:_\{{[^{{}}`]*\}})*\'*")
_PART_OF_DATE = re.compile(r"[a-z]+\([^()`]+\)")


class Heading(NamedTuple):
    """The parts of a column's name: the plain part, and the text that may be its unit ("" if there is none)."""

    plain: str
    unit: str


def heading(name: str) -> Heading:
    """Return the parts of a column's name.

    >>> heading("Temp [°C]"), heading("c / (mol/L)")
    (Heading(plain='Temp', unit='°C'), Heading(plain='c', unit='mol/L'))
    """
    # The quotient first: "c / (mol/L)" ends in a parenthesis, and its plain part is c.
    match = _QUOTIENT.match(name)
    if match is not None:
        unit = match["unit"]
        return Heading(_bare(match["plain"]), unit[1:-1] if re.fullmatch(r"\([^()]*\)|\[[^\[\]]*\]", unit) else unit)
    match = _HEADING.match(name)
    if match is not None:
        return Heading(_bare(match["plain"]), (match["round"] or match["square"] or "").strip())
    match = _COMMA.match(name) or _IN.match(name)
    return Heading(_bare(name.strip()), "") if match is None else Heading(_bare(match["plain"]), match["unit"])


def _bare(plain: str) -> str:
    """Return a plain part without the brackets of a concentration: S of [S], which formulas read as (S)."""
    match = re.fullmatch(r"\[([^\[\]\s]+)\]", plain)
    return match[1] if match else plain


def plain_names(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the columns that each plain part stands for, where it is no column's whole name."""
    known = tuple(names)
    parts: dict[str, tuple[str, ...]] = {}
    for name in known:
        plain = heading(name).plain
        if plain != name and plain not in known:
            parts[plain] = (*parts.get(plain, ()), name)
    return parts


def typed(name: str) -> str:
    """Return a column's name as it is typed in a formula: in backquotes where it is no single word.

    >>> typed("size"), typed("Time (s)")
    ('size', '`Time (s)`')
    """
    is_word = _WORD.fullmatch(name)
    return name if is_word or _PART_OF_DATE.fullmatch(name) else f"`{name}`"


def resembling(text: str, names: Iterable[str]) -> str | None:
    """Return the column that a text may mean: the only one that begins with it, in whatever case, or one spelt alike.

    >>> resembling("tempp", ["temp", "t"]), resembling("F", ["Force (N)", "F at 20 °C"])
    ('temp', 'F at 20 °C')
    """
    known = tuple(names)
    exact = [name for name in known if re.match(rf"{re.escape(text)}(?![\w.])", name)]
    begun = exact or [name for name in known if re.match(rf"{re.escape(text)}(?![\w.])", name, re.IGNORECASE)]
    return begun[0] if len(begun) == 1 else nearest(text, known)


def column_named(text: str, names: Iterable[str], what: str = "column") -> str:
    """Return the column that a text names: whole, in backquotes, or by a plain part that no other column has.

    Args:
        text: as it was typed.
        names: the table's columns.
        what: what the column is to be, for the message.

    Raises:
        DataError: for a text that names no column, or several.
    """
    known = tuple(names)
    name = text.strip()
    if name in known:
        return name
    name = name[1:-1] if len(name) > 2 and name[0] == name[-1] == "`" else name
    if name in known:
        return name
    parts = plain_names(known)
    if len(parts.get(name, ())) > 1:
        raise shared_part(name, parts[name])
    if name in parts:
        return parts[name][0]
    close = resembling(name, known) or nearest(name, parts)
    raise DataError(
        f"there is no {what} {text!r}; the table has {', '.join(known)}",
        hint=f"did you mean {close}?" if close else None,
    )


def shared_part(part: str, columns: Iterable[str]) -> DataError:
    """Return the error for a plain part that several columns have."""
    ways = [f"`{column}`" for column in columns]
    listed = f"{', '.join(ways[:-1])} or {ways[-1]}"
    return DataError(f"{part} matches {len(ways)} columns", hint=f"write {listed}, with the backquotes")


# Parts of dates, which are columns as well: month(date).

CALENDAR = ("year", "month", "day", "dayofyear", "weekday", "hour", "minute", "second")
_PART = re.compile(rf"({'|'.join(CALENDAR)})\((.+)\)")


def calendar_parts(name: str) -> tuple[str, str] | None:
    """Return the part and the column of a name such as `month(date)`; None for any other name.

    >>> calendar_parts("month(date)")
    ('month', 'date')
    """
    match = _PART.fullmatch(name)
    return None if match is None else (match[1], match[2])
