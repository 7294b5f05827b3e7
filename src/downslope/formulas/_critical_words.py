"""The closing sentence of a list of critical points: what was proved, and what else there is in the box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from downslope._text import listed
from downslope.formulas._critical_kinds import Landscape
from downslope.formulas._expression import Expression
from downslope.formulas._formula import Formula
from downslope.formulas._printing import book, book_name

_MOST_LISTED = 8
_COMPLETE_OUTSIDE = "Proved: outside of the curves and regions listed, no other point of the box has a zero gradient"


def closing_sentence(formula: Formula, landscape: Landscape) -> str:
    """Return what was proved of the box, and what else there is in it."""
    parts = [_on_completeness(landscape), *_on_the_rest(formula, landscape)]
    return " ".join(filter(None, parts))


def _on_completeness(landscape: Landscape) -> str:
    """Return whether the list is complete, and how that is known."""
    if not landscape.is_defined:
        return "The formula has no value in the box."
    count = len(landscape.points)
    curves = sum(point.isolated is False for point in landscape.points)
    if not landscape.is_enclosed:
        return "Found by a numeric search of the box, which can miss points that lie closer together than its grid."
    if not landscape.is_complete:
        return (
            "The proof did not end in time; the list is that of a numeric search as well, which can miss points that "
            "lie closer together than its grid."
        )
    if landscape.unproved:
        return _on_unproved(landscape)
    # Of several variables, all points of a border lack a gradient, which the next sentence says.
    alone = not landscape.borders and any(not point.is_smooth for point in landscape.points)
    lack = " or lacks one" if alone else ""
    if 0 < curves < count:
        return f"{_COMPLETE_OUTSIDE}{_on_margins(landscape)}."
    if count == 0 and landscape.borders:
        return f"No point of the box has a zero gradient, proved{_on_margins(landscape)}."
    if count == 0:
        return f"No critical point, proved: no point of the box has a zero gradient{lack}{_on_margins(landscape)}."
    if curves == count:
        return ""
    these = "Exactly this one" if count == 1 else f"Exactly these {count}"
    return f"{these}, proved: no other point of the box has a zero gradient{lack}{_on_margins(landscape)}."


def _on_unproved(landscape: Landscape) -> str:
    """Return where nothing is proved."""
    curves = [point for point in landscape.points if point.isolated is False]
    if curves:
        return f"{_COMPLETE_OUTSIDE}."
    texts = [_around(middle, half) for middle, half in landscape.unproved[:_MOST_LISTED]]
    certified = sum(point.certified for point in landscape.points)
    isolated = len(landscape.points)
    head = f"{certified} of these {isolated} are proved to be single. " if 0 < certified < isolated else ""
    more = "" if len(landscape.unproved) <= _MOST_LISTED else f", and {len(landscape.unproved) - _MOST_LISTED} more"
    return (
        f"{head}No other point of the box has a zero gradient, proved but for the neighbourhood of multiple zeros: "
        f"{'; '.join(texts)}{more}."
    )


def _on_margins(landscape: Landscape) -> str:
    """Return the cuts next to which nothing is proved."""
    if not landscape.margins:
        return ""
    cuts = sorted({cut for cut, _ in landscape.margins})
    distance = max(distance for _, distance in landscape.margins)
    return f" (not proved: closer than {distance:.0e} to {_numbers(cuts)})".replace("e-0", "e-")


def _around(middle: np.ndarray, half: np.ndarray) -> str:
    """Return a small box as a point and a distance."""
    distance = float(f"{max(float(np.max(half)), 1e-300):.1g}")
    digits = 6
    at = ", ".join(f"{x:.{digits}g}" for x in np.where(np.abs(middle) <= 2 * distance, 0.0, middle))
    return f"within {distance:g} of {at if len(middle) == 1 else f'({at})'}"


def _on_the_rest(formula: Formula, landscape: Landscape) -> list[str]:
    """Return what else there is: absent variables, curves, poles, gaps, edges, jumps, borders."""
    texts = []
    if landscape.absent and landscape.is_defined:
        names = listed([book_name(name) for name in landscape.absent])
        does = "do" if len(landscape.absent) > 1 else "does"
        if len(landscape.absent) == len(formula.variables):
            texts.append("The formula is constant: the gradient is zero everywhere.")
        else:
            texts.append(f"{names} {does} not occur in the formula: critical points are not isolated, they fill lines.")
    elif any(point.isolated is False for point in landscape.points):
        texts.append("Critical points that are not isolated fill a curve or a region; one of each is listed.")
    if landscape.poles:
        texts.append(_named("Pole", landscape.poles, "no critical point", "no critical points"))
    for x, limit in landscape.gaps[:_MOST_LISTED]:
        texts.append(f"Removable gap at {x:.6g}, limit {limit:.6g}.")
    if landscape.jumps:
        texts.append(_named("Jump", landscape.jumps))
    if landscape.edges:
        texts.append(f"The domain ends at {_numbers(landscape.edges)}.")
    if landscape.borders:
        texts.append(_on_borders(landscape.borders, len(formula.variables)))
    if landscape.divisors:
        texts.append(f"There is no value where {_equations(landscape.divisors)}.")
    return texts


def _on_borders(borders: Sequence[Expression], size: int) -> str:
    """Return where the gradient does not exist, and which points of these are listed."""
    where = f"The gradient may not exist where {_equations(borders)}"
    if size == 2:
        return (
            f"{where}; points there are listed if the value is stationary along the border, or where two borders meet."
        )
    return f"{where}; of more than two variables, only the points where all borders meet were searched."


def _equations(borders: Sequence[Expression]) -> str:
    """Return borders as equations."""
    shown = [f"{book(border)} = 0" for border in borders[:_MOST_LISTED]]
    return " or ".join(shown)


def _named(word: str, xs: Sequence[float], singular: str = "", plural: str = "") -> str:
    """Return points of one variable with a noun."""
    tail = "" if not singular else f": {singular if len(xs) == 1 else plural}"
    return f"{word}{'s' if len(xs) > 1 else ''} at {_numbers(xs)}{tail}."


def _numbers(xs: Sequence[float]) -> str:
    """Return numbers in ascending order as a list."""
    shown = [f"{x:.6g}" for x in sorted(xs)]
    if len(shown) > _MOST_LISTED:
        shown = [*shown[:_MOST_LISTED], f"{len(shown) - _MOST_LISTED} more"]
    return listed(shown)
