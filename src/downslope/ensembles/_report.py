"""Valleys as a short report, in text and in HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from downslope._text import aligned, html_table, number
from downslope.ensembles._basins import Basin, level, relief
from downslope.ensembles._space import Space

if TYPE_CHECKING:
    from downslope.ensembles._multistart import Multistart

_MOST_ROWS = 12
_MOST_COLUMNS = 6
_NOTHING = 1e-15  # a value so near to 0 is 0 but for rounding


def valleys_as_text(found: Multistart) -> str:
    """Return the report as aligned lines."""
    hidden = len(found.basins) - _MOST_ROWS
    more = [f"… and {hidden} more"] if hidden > 0 else []
    table = aligned(valleys(found), words={1})
    return "\n".join([f"Read as  {found.objective.read_as}", "", *table, *more, "", found.sentence])


def valleys_as_html(found: Multistart) -> str:
    """Return the report as an HTML table."""
    return f"{html_table(valleys(found), found.objective.read_as)}<p>{html.escape(found.sentence)}</p>"


def valleys(found: Multistart) -> list[tuple[str, ...]]:
    """Return the lowest basins as rows of text, the headings first."""
    names = found.names[:_MOST_COLUMNS]
    dots = ("…",) if len(found.names) > _MOST_COLUMNS else ()
    rows = [("", "kind", found.objective.name, *names, *dots, "starts")]
    for place, basin in enumerate(found.basins[:_MOST_ROWS]):
        deepest = level(basin.value, found.basins[0].value, relief(found.space))
        kind = ("lowest " if deepest else "local ") + basin.kind if basin.kind == "minimum" else basin.kind
        numbers = shown_row(found.space, basin)[:_MOST_COLUMNS]
        share = f"{100 * basin.share:.3g} %"
        value = basin.value if abs(basin.value) > _NOTHING else 0.0
        rows.append((str(place + 1), kind, number(value), *map(number, numbers), *dots, share))
    return rows


def sentence_on_valleys(found: Multistart) -> str:
    """Return what was found, in a sentence or two."""
    count, starts = len(found.basins), len(found.starts)
    lost = f" {found.lost} of them met no finite number, or went down without end." if found.lost else ""
    lowest = found.lowest
    if lowest is None:
        return f"None of {starts} descents ended at a finite place.{lost}"
    if found.basins[-1].kind == "other":
        count -= 1
        places = f"more than {count} places"
    else:
        places = _counted(count)
    where = place_in_words(found.names, shown_row(found.space, lowest))
    if lowest.kind != "minimum":
        begin = f"{starts} descents ended at {places}; the lowest, {number(lowest.value)} at {where}, is "
        return begin + f"{_article(lowest.kind)}.{lost}"
    begin = f"{starts} descents ended at {places}; the lowest is {number(lowest.value)} at {where}."
    return begin + _others(found.basins, relief(found.space)) + lost


def shown_row(space: Space, basin: Basin) -> np.ndarray:
    """Return the coordinates of a bottom, what is but rounding beside the extent as 0."""
    row = space.rows.row(basin.point)
    return np.where(np.abs(row) < 1e-12 * space.extent, 0.0, row)


def place_in_words(names: Sequence[str], row: np.ndarray) -> str:
    """Return a point as text: x = −1.473, y = 2."""
    shown = [f"{name} = {number(part)}" for name, part in zip(names, row, strict=True)]
    return ", ".join(shown[:_MOST_COLUMNS]) + (", …" if len(shown) > _MOST_COLUMNS else "")


def _others(basins: Sequence[Basin], rise: float) -> str:
    """Return what the basins are beside the lowest, which comes first, on ground of some relief."""
    minima = [basin for basin in basins[1:] if basin.kind == "minimum"]
    deep = sum(level(basin.value, basins[0].value, rise) for basin in minima)
    local = len(minima) - deep
    tied = f" {deep} other{'s are' if deep > 1 else ' is'} as deep." if deep else ""
    other = "The other minimum is" if local == 1 else f"The other {local} minima are"
    return tied + (f" {other} local." if local else "")


def _counted(count: int) -> str:
    return "one place" if count == 1 else f"{count} places"


def _article(kind: str) -> str:
    return {
        "edge": "on the edge: the value falls on beyond the bounds",
        "not at rest": "not at rest yet",
        "flat": "on flat ground",
    }.get(kind, f"a {kind}")
