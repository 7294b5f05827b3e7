"""The path of a descent as an animation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import whole
from downslope._files import written
from downslope._numbers import evenly_spread
from downslope.draw import _inputs as inputs
from downslope.draw._curve import curve
from downslope.draw._landscape import landscape
from downslope.draw._style import picture
from downslope.trace import HasTrace, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["animate"]

_HELD = 12  # frames for which the last picture stays
_MOST_FRAMES = 90


def write(
    axes: Axes, target: Path, moments: Sequence[int], show: Callable[[int], Sequence[Any]], frames_per_second: int
) -> None:
    """Write a frame for each moment: what stays is drawn once, and only what moves for each frame.

    Args:
        axes: the axes with the drawn picture.
        target: the file, a GIF or an APNG by its name.
        moments: what `show` is called with, frame by frame.
        show: moves what moves, and returns it.
        frames_per_second: how fast.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure: Any = axes.figure
    canvas = FigureCanvasAgg(figure)
    above = [legend] if (legend := axes.get_legend()) is not None else []
    for artist in [*show(moments[0]), *above]:
        artist.set_animated(True)
    canvas.draw()
    # Draw axes, contours and labels once; a full redraw of every frame would repeat that work.
    still = canvas.copy_from_bbox(figure.bbox)
    frames = []
    for moment in moments:
        canvas.restore_region(still)
        for artist in [*show(moment), *above]:
            figure.draw_artist(artist)
        frames.append(np.array(canvas.buffer_rgba())[..., :3])
    each = 1000 // whole("frames_per_second", frames_per_second, most=1000)
    durations = [each] * (len(frames) - 1) + [each * _HELD]
    first, *others = map(Image.fromarray, frames) if target.suffix.lower() == ".apng" else _with_few_colours(frames)
    with written(target) as partial:
        first.save(partial, save_all=True, append_images=others, duration=durations, loop=0)


def _with_few_colours(frames: Sequence[np.ndarray]) -> Iterator[Any]:
    """Yield frames with 256 colours, as many as a GIF has.

    Choosing them costs more than all the drawing, so that all frames share one choice.
    """
    from PIL import Image

    chosen = Image.fromarray(np.concatenate([frames[0], frames[len(frames) // 2], frames[-1]])).quantize()
    for frame in frames:
        yield Image.fromarray(frame).quantize(palette=chosen, dither=Image.Dither.NONE)


@picture(
    "function",
    example='ds.draw.animate(valley, trace, "animate.gif")',
    order=40,
)
def animate(
    objective: inputs.Drawable,
    trace: Trace | HasTrace,
    file: str | Path,
    *,
    bounds: inputs.Bounds = None,
    frames_per_second: int = 12,
) -> Path:
    """Write the path of a descent as an animation: a GIF, or an APNG, which keeps all colours.

    Args:
        objective: what was descended, of one or two variables: a formula, its text, or an objective.
        trace: the descent; a long one is shown in up to 90 pictures.
        file: where to, its name ending in .gif or .apng.
        bounds: the ranges to show, by name.
        frames_per_second: how fast.

    Returns:
        The file's path.

    Raises:
        SettingError: if the file's name does not end in .gif or .apng.
    """
    target, function = inputs.file_of(file), inputs.objective_of(objective)
    trace = inputs.trace_of(trace, "animate")
    axes = (curve if len(function.names or ()) == 1 else landscape)(function, trace, bounds=bounds)
    moving, end, way = _moving_parts(axes)
    rows = evenly_spread(len(way), _MOST_FRAMES)
    title = axes.get_title(loc="left")

    def show(row: int) -> list[Any]:
        for line in moving:
            line.set_data(*way[: row + 1].T)
        end.set_data(*way[row : row + 1].T)
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
