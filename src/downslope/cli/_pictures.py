"""Every `--plot`: which picture, and into which file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import downslope as ds
from downslope._files import refuse_unwritable, written

Ranges = Mapping[str, tuple[float, float]] | None
KINDS = ("auto", "curve", "landscape", "surface", "progress", "animation")
_SUFFIXES = (".png", ".svg", ".pdf", ".gif")


def check_file(plot: Path | None) -> None:
    """Raise if a file can hold no picture, or cannot be written; called before work that takes long."""
    if plot is None:
        return
    if plot.suffix.lower() not in _SUFFIXES:
        raise ds.SettingError(
            f"cannot draw into {plot.name!r}", hint=f"the file's name must end in {', '.join(_SUFFIXES)}"
        )
    refuse_unwritable(plot)


def write_descent(
    objective: ds.Objective,
    trace: ds.Trace | None,
    diagnosis: ds.Diagnosis | None,
    kind: str,
    bounds: Ranges,
    plot: Path,
) -> Path:
    """Write a picture of an objective, with the way down if there is one, and return its file."""
    check_file(plot)
    variables = len(objective.names or ())
    if kind == "auto":
        kind = "animation" if plot.suffix == ".gif" else "curve" if variables == 1 else "landscape"
    if kind == "animation" and trace is not None:
        return ds.draw.animate(objective, trace, plot, bounds=bounds)
    if kind == "progress" and trace is not None:
        return write_progress(trace, diagnosis, plot)
    picture = {"curve": ds.draw.curve, "landscape": ds.draw.landscape, "surface": ds.draw.surface}[kind]
    return _saved(picture(objective, trace, bounds=bounds), plot)


def write_point(objective: ds.Objective, at: Mapping[str, float], bounds: Ranges, plot: Path) -> Path:
    """Write the picture of an objective with its slope at one point, and return its file."""
    check_file(plot)
    picture = ds.draw.curve if len(objective.names or ()) == 1 else ds.draw.landscape
    return _saved(picture(objective, at=at, bounds=bounds), plot)


def write_progress(trace: ds.Trace, diagnosis: ds.Diagnosis | None, plot: Path) -> Path:
    """Write the picture of value, gradient norm and rate by step, and return its file."""
    return write_figure(lambda: ds.draw.progress(trace, diagnosis), plot)


def write_training(trace: ds.Trace, diagnosis: ds.Diagnosis | None, plot: Path) -> Path:
    """Write the picture of loss and score by step, and return its file."""
    if not len(trace):
        raise ds.TraceError("nothing of this run is written down yet", hint="draw it again in a moment")
    return write_figure(lambda: ds.draw.training(trace, diagnosis), plot)


def write_figure(picture: Callable[[], Any], plot: Path) -> Path:
    """Write the figure that a picture's axes belong to, and return its file; the name is checked first."""
    check_file(plot)
    axes = picture()
    return _saved(axes[0] if isinstance(axes, Sequence) else axes, plot)


def write_still_or_moving(plot: Path, picture: Callable[[], Any], animation: Callable[[Path], Path] | None) -> Path:
    """Write a still picture, or a moving one into a GIF, and return its file."""
    if plot.suffix.lower() != ".gif":
        return write_figure(picture, plot)
    if animation is None:
        raise ds.SettingError("there is no moving picture of this", hint="the file's name may end in .png")
    return animation(plot)


def _saved(axes: Any, plot: Path) -> Path:
    """Write the figure that axes belong to, and return its file."""
    with written(plot):
        axes.figure.savefig(plot)
    return plot
