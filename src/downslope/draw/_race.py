"""The picture of several descents on one objective: their values by step, and their paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import SettingError
from downslope.draw import _grid as grid
from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._animate import write
from downslope.draw._curve import curve
from downslope.draw._landscape import landscape
from downslope.draw._style import picture
from downslope.trace import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.ensembles import Race, Sweep

__all__ = ["animate_race", "race"]

_MOST_FRAMES = 80
_BOTTOM = 1e-16  # of the value at the start: below it all is rounding
_MOST_STEPS = 400  # of the slowest that are shown, where the others have long arrived
_MOST_NAMES = 5  # lanes whose names have room inside the picture
_SHAPE = 1.25  # of a panel: its width over its height
_BEHIND = 3.0  # times the steps of the slowest that arrives


@picture(
    "race",
    example="ds.draw.race(ds.compare(narrow, start, steps=100))",
    order=10,
)
def race(result: Race | Sweep, *, axes: Axes | None = None) -> list[Axes]:
    """Draw several descents together: the value of each by step and, for one or two variables, their paths.

    Args:
        result: a race of methods, or a sweep of rates, of which three are drawn.
        axes: where to draw the values alone; a new figure with both if None.

    Returns:
        The axes: values, and paths if they can be drawn.
    """
    result = inputs.result_of(result, "race", inputs.RACE)
    lanes = result.lanes
    variables = len(result.objective.names or ())
    panels = [inputs.axes_of(axes, style.new_axes)] if axes is not None else _new_axes(2 if variables in (1, 2) else 1)
    _values(panels[0], result.objective.name, lanes)
    if len(panels) > 1:
        _ways(panels[1], result.objective, lanes)
        style.title(panels[1], "the ways down")
        legend = panels[1].get_legend()
        if legend is not None:
            legend.remove()
    style.title(panels[0], result.objective.read_as)
    if axes is None and len(lanes) > _MOST_NAMES:
        _names_below(panels[0])
    return panels


def _names_below(axes: Axes) -> None:
    """Move the names of many lanes out of the picture, below both panels."""
    handles, names = axes.get_legend_handles_labels()
    legend = axes.get_legend()
    if legend is not None:
        legend.remove()
    columns = min(len(names), 5)
    axes.figure.legend(handles, names, loc="outside lower center", ncol=columns, frameon=False, fontsize=9)


@picture(
    "race",
    example="""
        race = ds.compare(narrow, start, ("momentum", "adam"), steps=40)
        ds.draw.animate_race(race, "race.gif")
    """,
    order=20,
)
def animate_race(result: Race | Sweep, file: str | Path, *, frames_per_second: int = 12) -> Path:
    """Write several descents of one or two variables, racing each other, as a GIF or an APNG.

    Args:
        result: a race of methods, or a sweep of rates, of which three are drawn.
        file: where to, its name ending in .gif or .apng.
        frames_per_second: how fast.

    Returns:
        The file's path.

    Raises:
        SettingError: if the file's name does not end in .gif or .apng, or there are more variables.
    """
    result, target = inputs.result_of(result, "animate_race", inputs.RACE), inputs.file_of(file)
    if len(result.objective.names or ()) not in (1, 2):
        raise SettingError("paths can be drawn for one or two variables")
    (axes,) = _new_axes(1)
    moving = _ways(axes, result.objective, result.lanes)
    style.legend(axes)
    last = _horizon(result.lanes)
    # The first steps are the most telling: pictures lie the farther apart the later they come.
    frames = [0, *np.unique(np.geomspace(1, last, min(last, _MOST_FRAMES)).round().astype(int))]

    def show(step: int) -> list[Any]:
        for (line, dot), way, steps in moving:
            seen = way[: max(int(np.searchsorted(steps, step, side="right")), 1)]
            line.set_data(*seen.T)
            dot.set_data(*seen[-1][:, None])
        title = axes.set_title(f"{result.objective.read_as}    step {step}", fontsize=11, loc="left", pad=10)
        return [*(part for pair, *_ in moving for part in pair), title]

    write(axes, target, frames, show, frames_per_second)
    return target


def _new_axes(count: int) -> list[Axes]:
    """Return axes side by side in a new figure."""
    figure = style.new_figure((5.6 * count + 0.6, 4.8))
    return list(np.atleast_1d(np.asarray(figure.subplots(1, count), dtype=object)))


def _horizon(lanes: Mapping[str, Trace]) -> int:
    """Return the last step to show: somewhat beyond the slowest that arrives."""
    longest = max(trace.last_step for trace in lanes.values())
    # Methods that arrive early would be a few pixels wide beside one that uses all its steps.
    shortest = [trace.last_step for trace in lanes.values() if trace.last_step < longest]
    wanted = int(max(_BEHIND * max(shortest, default=longest), 20))
    return max(min(longest, wanted, max(_MOST_STEPS, *shortest) if shortest else _MOST_STEPS), 1)


def _shown(trace: Trace, last: int) -> np.ndarray:
    """Return which rows of a trace lie no later than a step."""
    return np.asarray(trace.columns["step"]) <= last


def _values(axes: Axes, name: str, lanes: Mapping[str, Trace]) -> None:
    """Draw the values by step, above the lowest that any reached where that shows more."""
    last = _horizon(lanes)
    rows = {lane: _shown(trace, last) for lane, trace in lanes.items()}
    values = {lane: np.asarray(trace.columns["value"], float)[rows[lane]] for lane, trace in lanes.items()}
    everything = np.concatenate(list(values.values()))
    finite = everything[np.isfinite(everything)]
    floor = min(0.0, finite.min()) if len(finite) else 0.0
    start = max(max((value[0] for value in values.values()), default=0.0) - floor, np.finfo(float).tiny)
    for (lane, value), look in zip(values.items(), _looks(), strict=False):
        above = value - floor
        # What lies below the bottom leaves the picture instead of running along its edge.
        seen = np.clip(np.where(above < 1e4 * start, above, np.nan), 1e-3 * _BOTTOM * start, None)
        axes.plot(lanes[lane].columns["step"][rows[lane]], seen, linewidth=1.8, label=lane, **look)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if np.isfinite(start):
        axes.set_ylim(max(low, _BOTTOM * start), min(high, 1e3 * start))
    axes.set_xlabel("step")
    axes.set_ylabel(name if floor == 0 else f"{name} above its lowest")
    style.calm(axes)
    style.legend(axes)


def _looks() -> Iterator[dict[str, Any]]:
    """Yield a colour and a kind of line for each lane; dashes when the colours are used up."""
    for dashes in ("-", "--", ":"):
        for colour in style.LANES:
            yield {"color": colour, "linestyle": dashes}


def _ways(
    axes: Axes, objective: Any, lanes: Mapping[str, Trace]
) -> list[tuple[tuple[Any, Any], np.ndarray, np.ndarray]]:
    """Draw the ground with every way on it; return each way's line with the dot at its end, its points and steps."""
    last = _horizon(lanes)
    names = tuple(objective.names)
    flat = len(names) == 1
    ways = {}
    for lane, trace in lanes.items():
        rows = _shown(trace, last)
        way = grid.path(trace, names)[rows]
        ways[lane] = np.column_stack([way[:, 0], trace.columns["value"][rows]]) if flat else way
    # Descents that run away would shrink all others to a dot.
    calm = [way for way, trace in zip(ways.values(), lanes.values(), strict=True) if _is_calm(trace)]
    ranges = grid.window(names, np.vstack(calm or [*ways.values()])[:, : len(names)])
    ranges = grid.roomy(ranges, {}, [None] * len(names))
    if not flat and grid.is_one_scale(ranges) and grid.is_one_kind(objective, names):
        ranges = grid.filling(ranges, _SHAPE)
    (curve if flat else landscape)(objective, bounds=ranges, axes=axes)
    shown = axes.get_xlim(), axes.get_ylim()
    moving = []
    for (lane, way), look in zip(ways.items(), _looks(), strict=False):
        (line,) = axes.plot(*way.T, linewidth=1.6, alpha=0.9, zorder=4, label=lane, **look)
        (dot,) = axes.plot(*way[-1:].T, "o", color=look["color"], markersize=8, markeredgecolor="white", zorder=6)
        moving.append(((line, dot), way, np.asarray(lanes[lane].columns["step"])[_shown(lanes[lane], last)]))
    start = next(iter(ways.values()))[0]
    axes.plot(*start, "o", color=style.INK, markersize=6, zorder=5)
    axes.set_xlim(shown[0])
    axes.set_ylim(shown[1])
    return moving


def _is_calm(trace: Trace) -> bool:
    """Tell whether a descent never went far above where it began."""
    values = np.asarray(trace.columns["value"], float)
    return bool(np.all(np.isfinite(values)) and values.max() <= values[0] + 3 * (values[0] - values.min()))
