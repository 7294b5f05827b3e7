"""`downslope draw` and every `--plot`: which picture, and into which file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import downslope as ds
from downslope.cli import _options as options
from downslope.cli._descend import Ranges, Request

_KINDS = ("auto", "curve", "landscape", "surface", "progress", "animation")
_SUFFIXES = (".png", ".svg", ".pdf", ".gif")


def run(request: Request, kind: str, at: str | None, within: Ranges, plot: Path) -> None:
    """Draw the formula, and the way down if a start was given."""
    if kind not in _KINDS:
        raise ds.SettingError(f"there is no picture {kind!r}", hint=f"--kind is one of {', '.join(_KINDS)}")
    check_suffix(plot)
    objective = request.objective()
    if at is not None:
        written = write_point(objective, options.point(at, "--at", objective.names or ()), within, plot)
    elif request.start is None and kind in {"progress", "animation"}:
        raise ds.PointError(f"a picture of kind {kind} shows a descent", hint="say where it starts: --start x=1")
    elif request.start is None:
        written = write(objective, None, None, kind, within, plot)
    else:
        trace = request.descend(objective)
        written = write(objective, trace, ds.diagnose(trace), kind, within, plot)
    print(f"Plot: {written}")


def write(
    objective: ds.Objective,
    trace: ds.Trace | None,
    diagnosis: ds.Diagnosis | None,
    kind: str,
    within: Ranges,
    plot: Path,
) -> Path:
    """Write a picture of an objective with the way down, and return its file."""
    check_suffix(plot)
    variables = len(objective.names or ())
    if kind == "auto":
        kind = "animation" if plot.suffix == ".gif" else "curve" if variables == 1 else "landscape"
    if kind == "animation" and trace is not None:
        return ds.draw.animate(objective, trace, plot, bounds=within)
    if kind == "progress" and trace is not None:
        return write_progress(trace, diagnosis, plot)
    picture = {"curve": ds.draw.curve, "landscape": ds.draw.landscape, "surface": ds.draw.surface}[kind]
    return _save(picture(objective, trace, bounds=within), plot)


def write_progress(trace: ds.Trace, diagnosis: ds.Diagnosis | None, plot: Path) -> Path:
    """Write the picture of value, gradient norm and rate by step, and return its file."""
    check_suffix(plot)
    panels = ds.draw.progress(trace, tuple(diagnosis) if diagnosis is not None else None)
    return _save(panels[0], plot)


def write_training(trace: ds.Trace, diagnosis: ds.Diagnosis | None, plot: Path) -> Path:
    """Write the picture of loss and score by step, and return its file."""
    if not len(trace):
        raise ds.TraceError("nothing of this run is written down yet", hint="draw it again in a moment")
    return write_figure(lambda: ds.draw.training(trace, tuple(diagnosis) if diagnosis is not None else None), plot)


def write_fit(found: ds.Fit, plot: Path) -> Path:
    """Write the picture of a fit, and return its file."""
    return write_figure(lambda: ds.draw.fit(found), plot)


def write_figure(picture: Callable[[], Sequence[Any]], plot: Path) -> Path:
    """Write the figure that a picture's axes belong to, and return its file; the name is looked at first."""
    check_suffix(plot)
    return _save(picture()[0], plot)


def write_point(objective: ds.Objective, place: dict[str, float], within: Ranges, plot: Path) -> Path:
    """Write the picture of an objective with its slope at one point, and return its file."""
    check_suffix(plot)
    picture = ds.draw.curve if len(objective.names or ()) == 1 else ds.draw.landscape
    return _save(picture(objective, at=place, bounds=within), plot)


def _save(axes: Any, plot: Path) -> Path:
    """Write the figure that axes belong to."""
    plot.parent.mkdir(parents=True, exist_ok=True)
    axes.figure.savefig(plot)
    return plot


def check_suffix(plot: Path) -> None:
    """Raise if the file's name does not end in a kind of picture."""
    if plot.suffix.lower() not in _SUFFIXES:
        raise ds.SettingError(
            f"cannot draw into {plot.name!r}", hint=f"the file's name must end in {', '.join(_SUFFIXES)}"
        )
