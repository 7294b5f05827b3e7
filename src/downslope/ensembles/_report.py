"""Valleys as a short report, in text and in HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from downslope.ensembles._basins import Basin, level, relief
from downslope.ensembles._space import Space

if TYPE_CHECKING:
    from downslope.ensembles._multistart import Multistart

_MOST_ROWS = 12
_MOST_COLUMNS = 6
_NOTHING = 1e-15  # a value so near to 0 is 0 but for rounding


def valleys_as_text(found: Multistart) -> str:
    """Return the report as aligned lines."""
    rows = valleys(found)
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        "   ".join(
            cell.ljust(width) if place == 1 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    hidden = len(found.basins) - _MOST_ROWS
    more = [f"… and {hidden} more"] if hidden > 0 else []
    return "\n".join([f"Read as  {found.objective.read_as}", "", lines[0], "─" * len(lines[0]), *lines[1:], *more]) + (
        f"\n\n{found.sentence}"
    )


def valleys_as_html(found: Multistart) -> str:
    """Return the report as an HTML table."""
    head, *rows = valleys(found)
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    caption = html.escape(found.objective.read_as)
    return f"<table><caption>{caption}</caption><tr>{top}</tr>{body}</table><p>{html.escape(found.sentence)}</p>"


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
        rows.append((str(place + 1), kind, _number(value), *map(_number, numbers), *dots, share))
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
        begin = f"{starts} descents ended at {places}; the lowest, {_number(lowest.value)} at {where}, is "
        return begin + f"{_article(lowest.kind)}.{lost}"
    begin = f"{starts} descents ended at {places}; the lowest is {_number(lowest.value)} at {where}."
    return begin + _others(found.basins, relief(found.space)) + lost


def shown_row(space: Space, basin: Basin) -> np.ndarray:
    """Return the coordinates of a bottom, what is but rounding beside the extent as 0."""
    row = space.rows.row(basin.point)
    return np.where(np.abs(row) < 1e-12 * space.extent, 0.0, row)


def place_in_words(names: Sequence[str], row: np.ndarray) -> str:
    """Return a point as text: x = −1.473, y = 2."""
    shown = [f"{name} = {_number(number)}" for name, number in zip(names, row, strict=True)]
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


def _number(value: float) -> str:
    """Return a number in six significant digits with a true minus sign."""
    return f"{value:.6g}".replace("-", "−")
