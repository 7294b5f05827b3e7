"""A moving picture: what stays is drawn once, and only what moves is drawn for each frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import SettingError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HELD = 12  # frames for which the last picture stays


def target_of(file: str | Path) -> Path:
    """Return where a moving picture goes, in a folder that is there.

    Raises:
        SettingError: if the file's name does not end in .gif.
    """
    target = Path(file)
    if target.suffix.lower() != ".gif":
        raise SettingError(f"a moving picture is a GIF; {target.name!r} does not end in .gif")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def write(
    axes: Axes, target: Path, moments: Sequence[int], show: Callable[[int], Sequence[Any]], frames_per_second: int
) -> None:
    """Write a GIF with a frame for each moment.

    Args:
        axes: what is drawn.
        target: the file.
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
    still = canvas.copy_from_bbox(figure.bbox)
    frames = []
    for moment in moments:
        canvas.restore_region(still)
        for artist in [*show(moment), *above]:
            figure.draw_artist(artist)
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
    each = 1000 // frames_per_second
    durations = [each] * (len(frames) - 1) + [each * _HELD]
    frames[0].save(target, save_all=True, append_images=frames[1:], duration=durations, loop=0)
