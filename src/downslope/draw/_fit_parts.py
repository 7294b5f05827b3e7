"""What the pictures of fits share: data as marks or as density, curve and bands, the numbers in the legend."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import PointError, SettingError, nearest
from downslope._text import listed, number, rounded
from downslope.draw import _style as style
from downslope.draw._column_axis import ColumnAxis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.fitting import Fit, GroupedFit

MOST_MARKS = 5000  # rows that are drawn one by one; more are counted in cells
FAR = 3.0  # standardised residual from which on a row is marked
_CELLS = (220, 140)
_NAMED = 5  # rows that a legend names
_MOST_PARAMETERS = 8
_STEPS = 2000  # points at which a left side is read backwards
_HALVINGS = 60
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


@dataclass(frozen=True)
class Height:
    """The height of a picture: the left side of the equation, or the column that it is computed from.

    Args:
        name: what the axis is called.
        inverse: from values of the left side to what is drawn; None where that is the same.
        column: the column that is drawn; None for the left side.
    """

    name: str
    inverse: Callable[[np.ndarray], np.ndarray] | None = None
    column: str | None = None

    def heights(self, values: np.ndarray) -> np.ndarray:
        """Return what is drawn of values of the left side."""
        return values if self.inverse is None else self.inverse(values)

    def measured(self, result: Fit | GroupedFit) -> np.ndarray:
        """Return the data as they are drawn."""
        return result.measured if self.column is None else result.data[self.column]


def left_side(result: Fit | GroupedFit, own_scale: bool) -> Height:
    """Return the height of a picture.

    Args:
        result: the fit.
        own_scale: whether a left side such as log(pressure) is drawn as pressure.

    Raises:
        SettingError: where the left side cannot be read backwards.
    """
    left = result.model.equation.left
    if not own_scale or result.model.equation.measured is not None:
        return Height(left.read_as)
    if len(left.columns) != 1:
        raise SettingError(
            f"{left.read_as} is computed from {listed(left.columns)}, so the curve has no scale of a single column"
        )
    (name,) = left.columns
    values = result.data[name]
    low, high = float(values.min()), float(values.max())
    wide = 3 * (high - low or abs(high) or 1.0)
    grid = np.geomspace(low / 1e3, high * 1e3, _STEPS) if low > 0 else np.linspace(low - wide, high + wide, _STEPS)
    with np.errstate(all="ignore"):
        heights = np.broadcast_to(np.asarray(left(**{name: grid}), float), grid.shape)
    grid, heights = grid[np.isfinite(heights)], heights[np.isfinite(heights)]
    steps = np.diff(heights)
    if len(grid) < 2 or not (np.all(steps > 0) or np.all(steps < 0)):
        raise SettingError(f"{left.read_as} has a value for several {name}, so it cannot be drawn in its scale")
    sign = float(np.sign(steps[0]))

    def inverse(values: np.ndarray) -> np.ndarray:
        cell = np.clip(np.searchsorted(sign * heights, sign * values) - 1, 0, len(grid) - 2)
        near, far = grid[cell], grid[cell + 1]
        with np.errstate(all="ignore"):
            for _ in range(_HALVINGS):
                middle = (near + far) / 2
                below = sign * np.asarray(left(**{name: middle}), float) < sign * values
                near, far = np.where(below, middle, near), np.where(below, far, middle)
        inside = (sign * values >= sign * heights[0]) & (sign * values <= sign * heights[-1])
        return np.where(inside, (near + far) / 2, np.nan)

    return Height(name, inverse, name)


def draw_curve(
    axes: Axes, result: Fit | GroupedFit, along: str, axis: ColumnAxis, left: Height, group: str | None = None
) -> None:
    """Draw the model along a column with its bands; beside the break of a logarithmic axis its value at 0 as well."""
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
        sureness = f"± {number(error, 2)}" if np.isfinite(error) else "(not determined)"
        if parameter.role in ("fixed", "at bound"):
            sureness = f"({parameter.role})"
        shown = name.partition("[")[0] if short else name
        lines.append(f"{shown} = {value} {sureness} {parameter.unit or ''}".rstrip().replace("$", r"\$"))
    more = len(lines) - _MOST_PARAMETERS
    return lines if more <= 1 else [*lines[:_MOST_PARAMETERS], f"and {more} parameters more"]


def quality_line(result: Fit | GroupedFit) -> str:
    """Return the number of rows with χ²/ν where σ is known, else R²."""
    rows = f"n = {_grouped(len(result.measured))}"
    reduced = getattr(result, "reduced_chi_square", np.nan)
    if np.isfinite(reduced):
        return f"{rows}, χ²/ν = {number(reduced, 3)}, p = {number(result.p_value, 2)}"  # pyright: ignore[reportAttributeAccessIssue]
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
