"""Shared parts of the pictures of fits: data as marks or as density, curve and bands, the numbers in the legend."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import PointError, nearest
from downslope._text import number, rounded
from downslope.draw import _style as style
from downslope.draw._column_axis import ColumnAxis
from downslope.draw._fit_heights import Height

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.fitting import Fit, GroupedFit

MOST_MARKS = 5000  # rows that are drawn one by one; more are counted in cells
FAR = 3.0  # standardised residual from which on a row is marked
_CELLS = (220, 140)
_NAMED = 5  # rows that a legend names
_MOST_BARS = 400  # rows at which a fit without a curve is drawn
_MOST_PARAMETERS = 8
_ROOM = 0.5  # of the range of the data, beyond which a row that was left out is counted and not shown
_LARGE = 6.0  # inches
_POINTS, _LETTER, _HANDLE = 72, 0.56, 7  # in an inch; a letter's width by its height; letters that a handle takes
_FAINT, _FULL = "#d3e3ee", "#00395c"


def column_along(result: Fit | GroupedFit, over: str | None) -> str | None:
    """Return the column along the axis: the one that is named, or the only one.

    Raises:
        PointError: if the model has no such column.
    """
    columns = result.model.right_columns
    if over is not None and over not in columns:
        close = nearest(str(over), columns)
        raise PointError(
            f"the model has no column {over!r}; it has {', '.join(columns) or 'none'}",
            hint=f"did you mean {close}?" if close else None,
        )
    return over or result.along


def column_label(result: Fit | GroupedFit, name: str) -> str:
    """Return the label of a column's axis: with its unit, and for dates with what they are counted from."""
    clock = result.model.clocks.get(name)
    return style.label(name, result.model.units) if clock is None else clock.sentence(name).replace(" counts ", ", ", 1)


def draw_curve(
    axes: Axes, result: Fit | GroupedFit, along: str, axis: ColumnAxis, left: Height, group: str | None = None
) -> None:
    """Draw the model along a column with its bands; beside the break of a logarithmic axis its value at 0 as well."""
    if left.others:
        _draw_at_rows(axes, result, along, axis, left, group)
        return
    whole = result.columns_along(along, points=axis.points(), group=group)
    parts = [(whole, whole[along])]
    if axis.zero is not None:
        wide = (axis.low / axis.zero) ** 0.22
        beside = np.array([axis.zero / wide, axis.zero * wide])
        parts.append((result.columns_along(along, points=np.zeros(2), group=group), beside))
    crowded = len(result.measured) > MOST_MARKS
    for number_of_part, (columns, x) in enumerate(parts):
        name = (lambda text: text) if number_of_part == 0 else lambda _: "_"
        for what, low, high in result.bands(columns):
            ends = left.heights(low), left.heights(high)
            if what.startswith("next") and crowded:
                for label, end in zip((name(what), "_"), ends, strict=True):
                    axes.plot(x, end, color=style.PATH, linewidth=1.1, linestyle=(0, (5, 3)), label=label, zorder=3)
                continue
            shade = 0.3 if what.startswith("curve") else 0.12
            axes.fill_between(x, *ends, color=style.PATH, alpha=shade, linewidth=0, label=name(what), zorder=1)
        with np.errstate(all="ignore"):
            curve = left.heights(result.predict(columns).value)
        axes.plot(x, curve, color=style.PATH, linewidth=2.0, label=name("fit"), zorder=3)


def _draw_at_rows(
    axes: Axes, result: Fit | GroupedFit, along: str, axis: ColumnAxis, left: Height, group: str | None
) -> None:
    """Draw the prediction at each row, with its bands, if the other columns of the left side differ by row."""
    inside = np.flatnonzero(rows_of_group(result, group))
    if len(inside) > _MOST_BARS:
        inside = inside[np.linspace(0, len(inside) - 1, _MOST_BARS).astype(int)]
    rows = {name: column[inside] for name, column in result.data.items()}
    columns = {**rows, **_cells_of(result, group, len(inside))}
    x = axis.at(rows[along])
    width = 6.0 if len(inside) <= 60 else 2.5
    for what, low, high in result.bands(columns):
        ends = left.heights(low, rows), left.heights(high, rows)
        shade = 0.35 if what.startswith("curve") else 0.15
        axes.vlines(x, *ends, color=style.PATH, alpha=shade, linewidth=width, label=what, zorder=1)
    fitted = left.heights(result.predict(columns).value, rows)
    mark: dict[str, Any] = {"markersize": 2 * width, "markeredgewidth": 2.0, "linestyle": "", "zorder": 3}
    axes.plot(x, fitted, "_", color=style.PATH, label="fit, row by row", **mark)


def rows_of_group(result: Fit | GroupedFit, group: str | None) -> np.ndarray:
    """Return which rows are in a group, shape (rows,); all if None."""
    if group is None:
        return np.ones(len(result.measured), dtype=bool)
    return result.group_rows == result.group_labels.index(group)


def _cells_of(result: Any, group: str | None, count: int) -> dict[str, list[Any]]:
    """Return the columns that tell groups apart at rows of a group, for a fit that predicts by them."""
    groups = getattr(result, "groups", None)
    if groups is None or group is None:
        return {}
    return {name: [cells[groups.labels.index(group)]] * count for name, cells in groups.cells.items()}


def draw_data(axes: Axes, x: np.ndarray, y: np.ndarray, sigma: np.ndarray | None, *, label: str = "data") -> None:
    """Draw measurements, with error bars where σ is known; more than `MOST_MARKS` as density.

    Args:
        axes: the axes, whose scales are set.
        x: shape (rows,).
        y: shape (rows,).
        sigma: the standard deviations, shape (rows,), or both ends' distances, shape (2, rows).
        label: what the legend calls them.
    """
    if len(x) > MOST_MARKS:
        density(axes, x, y, label)
        return
    if sigma is not None:
        bars: dict[str, Any] = {"ecolor": style.START, "elinewidth": 0.9, "capsize": 2 if len(x) <= 200 else 0}
        axes.errorbar(x, y, yerr=sigma, fmt="none", alpha=0.75, zorder=3.5, label="_", **bars)
        label += " ± σ"
    size = 4.5 if len(x) <= 300 else 2.5
    axes.plot(x, y, "o", color=style.START, markersize=size, alpha=0.75, zorder=4, label=label)


def left_out(
    axes: Axes, result: Fit | GroupedFit, along: str, axis: ColumnAxis, left: Height, group: str | None = None
) -> None:
    """Mark the rows that take no part: where they have both coordinates there, else at the axis."""
    aside = result.aside
    if along not in aside or not all(name in aside for name in result.model.equation.left.columns):
        return
    if group is not None:
        own = result.aside_groups == result.group_labels.index(group)
        aside = {name: column[own] for name, column in aside.items()}
    x = aside[along]
    with np.errstate(all="ignore"):
        y = aside[left.column] if left.column else result.model.measured(aside)
    x = np.where((x <= 0) & axis.is_log & ~((x == 0) & (axis.zero is not None)), np.nan, axis.at(x))
    limits = [axes.get_xlim(), axes.get_ylim()]
    inside = np.isfinite(x)
    for values, (low, high), scale in zip((x, y), limits, (axes.get_xscale(), axes.get_yscale()), strict=True):
        room = 0.0 if scale == "log" else _ROOM * (high - low)
        inside &= ~np.isfinite(values) | ((values >= low - room) & (values <= high + room))
    both, alone = inside & np.isfinite(y), inside & ~np.isfinite(y)
    hidden = int(np.sum(~inside))
    label = f"left out: {len(x)}" + (f", {hidden} of them not shown" if hidden else "")
    hollow = {"markerfacecolor": "white", "markeredgecolor": style.ZERO, "markeredgewidth": 1.2}
    axes.plot(x[both], y[both], "o", markersize=5, linestyle="", zorder=2.5, label=label if len(x) else "_", **hollow)
    axes.plot(
        x[alone], np.full(alone.sum(), 0.015), "|", transform=axes.get_xaxis_transform(), color=style.ZERO, markersize=9
    )


def density(axes: Axes, x: np.ndarray, y: np.ndarray, label: str = "data") -> None:
    """Draw how many rows lie in each cell of the picture, darker for more."""
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    scales = axes.get_xscale(), axes.get_yscale()
    known = np.isfinite(x) & np.isfinite(y)
    for values, scale in zip((x, y), scales, strict=True):
        known &= values > 0 if scale == "log" else True
    edges, cells = [], np.zeros(int(known.sum()), dtype=np.int64)
    for values, scale, count in zip((x, y), scales, _CELLS, strict=True):
        steps = np.log(values[known]) if scale == "log" else values[known]
        low, high = float(steps.min()), float(steps.max())
        if high == low:
            low, high = low - 0.5, high + 0.5
        inside = np.minimum(((steps - low) * (count / (high - low))).astype(np.int64), count - 1)
        cells = cells * count + inside
        border = np.linspace(low, high, count + 1)
        edges.append(np.exp(border) if scale == "log" else border)
    counts = np.bincount(cells, minlength=_CELLS[0] * _CELLS[1]).reshape(_CELLS).T
    shades = LinearSegmentedColormap.from_list("rows", [_FAINT, style.START, _FULL])
    shown = np.ma.masked_equal(counts, 0)
    # One picture within a vector file, not a path for each cell.
    mesh: dict[str, Any] = {"norm": LogNorm(1, max(int(counts.max()), 2)), "cmap": shades, "rasterized": True}
    axes.pcolormesh(*edges, shown, zorder=0.9, **mesh)
    name = f"{label}: {_grouped(len(x))} rows, counted in cells"
    axes.plot([], [], "s", color=style.START, markersize=7, label=name)


def _grouped(count: int) -> str:
    """Return a count with its digits in threes."""
    return f"{count:,}".replace(",", "\u2009")


def draw_deviations(axes: Axes, *, with_band: bool) -> None:
    """Draw ±1 and ±2 standard deviations, with a band within ±1."""
    if with_band:
        axes.axhspan(-1, 1, color=style.PATH, alpha=0.12, linewidth=0)
    for height, dashes in ((1, (0, (6, 3))), (2, (0, (1.5, 2)))):
        for sign in (-1, 1):
            axes.axhline(sign * height, color=style.PATH, linewidth=0.8, linestyle=dashes)


def far_rows(result: Fit | GroupedFit) -> np.ndarray:
    """Return which rows have a standardised residual beyond 3, shape (rows,); none in a density."""
    if len(result.measured) > MOST_MARKS:
        return np.zeros(len(result.measured), dtype=bool)
    with np.errstate(all="ignore"):
        return np.abs(result.standardised_residuals) > FAR


def mark_far(axes: Axes, x: np.ndarray, y: np.ndarray, far: np.ndarray, numbers: Any, *, named: bool = True) -> None:
    """Ring the rows that are far off, and name them in the legend."""
    if not far.any():
        return
    rows = [str(row) for row in np.asarray(numbers)[far]]
    which = f"row{'s' if len(rows) > 1 else ''} {', '.join(rows)}" if len(rows) <= _NAMED else f"{len(rows)} rows"
    ring: dict[str, Any] = {"markerfacecolor": "none", "markeredgecolor": style.PROBLEM, "markeredgewidth": 1.3}
    label = f"standardised residual beyond {FAR:g}: {which}" if named else "_"
    axes.plot(x[far], y[far], "o", markersize=9, linestyle="", zorder=5, label=label, **ring)


def parameter_lines(result: Fit | GroupedFit, names: Iterable[str] | None = None, *, short: bool = False) -> list[str]:
    """Return parameters with their errors and units as lines of text.

    Args:
        result: the fit.
        names: the parameters; all if None.
        short: True to leave the group out of names such as Vm[treated].
    """
    lines = []
    for name in result.parameters if names is None else names:
        parameter = result.parameters[name]
        value, error = rounded(parameter.value, parameter.standard_error), parameter.standard_error
        sureness = f"± {_two_digits(error)}" if np.isfinite(error) else "(not determined)"
        if parameter.role in ("fixed", "at bound"):
            sureness = f"({parameter.role})"
        shown = name.partition("[")[0] if short else name
        lines.append(f"{shown} = {value} {sureness} {parameter.unit or ''}".rstrip().replace("$", r"\$"))
    more = len(lines) - _MOST_PARAMETERS
    return lines if more <= 1 else [*lines[:_MOST_PARAMETERS], f"and {more} parameters more"]


def _two_digits(error: float) -> str:
    """Return an error with both of its digits, as its value has them: 0.010 beside 0.055.

    >>> _two_digits(0.00999), _two_digits(10.2), _two_digits(1234.0), _two_digits(0.0)
    ('0.010', '10', '1.2e3', '0')
    """
    text = rounded(error, error) if error > 0 else "0"
    return number(error, 2) if "e" in text else text


def quality_line(result: Fit | GroupedFit) -> str:
    """Return the number of rows with χ²/ν where σ is known, else R²."""
    rows = f"n = {_grouped(len(result.measured))}"
    reduced = result.reduced_chi_square
    if np.isfinite(reduced):
        return f"{rows}, χ²/ν = {number(reduced, 3)}, p = {number(result.p_value, 2)}"
    return f"{rows}, R² = {number(result.r_squared, 5)}" if np.isfinite(result.r_squared) else rows


def legend(axes: Axes, lines: list[str], *, names: bool = True) -> None:
    """Draw the legend, headed by lines of text."""
    handles, labels = axes.get_legend_handles_labels() if names else ([], [])
    if handles or lines:
        box: dict[str, Any] = {"frameon": True, "framealpha": 0.88, "edgecolor": "none", "loc": "best"}
        text: dict[str, Any] = {"title": "\n".join(lines) or None, "alignment": "left"}
        axes.legend(handles, labels, fontsize=8.5, title_fontsize=8.5, **box, **text).set_zorder(6)


def lay_out(figure: Any) -> None:
    """Lay a figure out, if it is small; in a large one, panels stand nearly where they will without it.

    A layout takes as long as the rest of a picture.
    """
    if figure.get_size_inches()[0] < _LARGE:
        figure.draw_without_rendering()
    for panel in figure.axes:
        panel.autoscale_view()


def covers_data(axes: Axes) -> bool:
    """Tell whether a legend hides part of a line or mark; the figure must have been laid out."""
    box = axes.get_legend().get_window_extent()  # pyright: ignore[reportOptionalMemberAccess]
    if box.width > axes.bbox.width or box.height > axes.bbox.height:
        return True
    for line in axes.get_lines():
        points = np.asarray(line.get_xydata())
        points = points[:: max(len(points) // MOST_MARKS, 1)]
        if line.get_transform() == axes.transData and box.count_contains(axes.transData.transform(points)):
            return True
    return any(
        box.fully_overlaps(mesh.get_window_extent()) and mesh.get_array() is not None and _covers_cells(axes, mesh, box)
        for mesh in axes.collections
        if hasattr(mesh, "get_coordinates")
    )


def _covers_cells(axes: Axes, mesh: Any, box: Any) -> bool:
    """Tell whether a box hides a cell with rows in it."""
    corners = mesh.get_coordinates()[:-1, :-1]
    filled = ~np.ma.getmaskarray(mesh.get_array()).reshape(corners.shape[:2])
    return bool(box.count_contains(axes.transData.transform(corners[filled])))


def keep_legend_clear(axes: Axes, *, may_grow: bool) -> None:
    """Move a legend that hides data below the panels.

    Args:
        axes: the axes.
        may_grow: whether the figure may become higher for it.
    """
    inner = axes.get_legend()
    figure: Any = axes.figure
    if inner is None or figure.get_layout_engine() is None:
        return
    lay_out(figure)
    if not covers_data(axes):
        return
    handles, labels = axes.get_legend_handles_labels()
    size = float(inner.get_title().get_fontsize())
    lines = inner.get_title().get_text().split("\n")
    letters = int(figure.get_size_inches()[0] * _POINTS / (_LETTER * size))
    title = _packed(lines, letters) if inner.get_title().get_visible() else None
    across = 2 if 2 * (max(map(len, labels)) + _HANDLE) <= letters else 1
    colour = inner.get_title().get_color()
    height = inner.get_window_extent().height / figure.dpi
    inner.remove()
    text: dict[str, Any] = {"title": title, "alignment": "left", "fontsize": size, "title_fontsize": size}
    outer = figure.legend(handles, labels, loc="outside lower center", ncols=across, frameon=False, **text)
    for words in (outer.get_title(), *outer.get_texts()):
        words.set_color(colour)
    if may_grow:
        width, before = figure.get_size_inches()
        figure.set_size_inches(width, before + 0.7 * height)


def _packed(lines: list[str], letters: int) -> str:
    """Return lines with as many of them side by side as there is room for."""
    packed = lines[:1]
    for line in lines[1:]:
        joined = f"{packed[-1]}     {line}"
        packed[-1:] = [joined] if len(joined) <= letters else [packed[-1], line]
    return "\n".join(packed)
