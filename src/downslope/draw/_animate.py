"""The way down as a moving picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope.draw import _ground as ground
from downslope.draw._curve import curve
from downslope.draw._landscape import landscape
from downslope.draw._moving import target_of, write
from downslope.trace import Trace

if TYPE_CHECKING:
    from downslope.descent import Objective

_MOST_FRAMES = 90


def animate(
    objective: Objective,
    trace: Trace,
    file: str | Path,
    *,
    within: ground.Within = None,
    frames_per_second: int = 12,
) -> Path:
    """Write the way down as a GIF.

    Args:
        objective: what was descended, of one or two variables.
        trace: the descent; a long one is shown in up to 90 pictures.
        file: where to, its name ending in .gif.
        within: the ranges to show, by name.
        frames_per_second: how fast.

    Returns:
        The file's path.

    Raises:
        SettingError: if the file's name does not end in .gif.
    """
    target = target_of(file)
    flat = len(objective.names or ()) == 1
    axes = (curve if flat else landscape)(objective, trace, within=within)
    moving, end, whole = _moving_parts(axes)
    rows = np.unique(np.linspace(0, len(whole) - 1, min(len(whole), _MOST_FRAMES)).round().astype(int))
    title = axes.get_title(loc="left")

    def show(row: int) -> list[Any]:
        for line in moving:
            line.set_data(*whole[: row + 1].T)
        end.set_data(*whole[row : row + 1].T)
        step = int(trace.columns["step"][row])
        return [*moving, end, axes.set_title(f"{title}    step {step}", fontsize=11, loc="left", pad=10)]

    write(axes, target, rows.tolist(), show, frames_per_second)
    return target


def _moving_parts(axes: Any) -> tuple[list[Any], Any, np.ndarray]:
    """Return the lines that grow with the way, the mark of its end, and the whole way."""
    lines = {line.get_label(): line for line in axes.get_lines()}
    way = next(line for name, line in lines.items() if name.endswith(" steps"))
    dots = axes.get_lines()[axes.get_lines().index(way) + 1]
    for text in list(axes.texts):
        text.remove()
    legend = axes.get_legend()
    if legend is not None:
        legend.remove()
    return [way, dots], lines["end"], np.asarray(way.get_xydata())
