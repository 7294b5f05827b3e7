"""The commands on many descents at once: sweep, compare, multistart, search."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import downslope as ds
from downslope.cli import _options as options
from downslope.cli import _print as _pictures
from downslope.cli import _print as show
from downslope.cli import _values as values
from downslope.cli._descents import FormulaRun

Rates = Annotated[
    str | None,
    typer.Option(
        "--learning-rates",
        metavar="RATES",
        help="The rates to try: 0.1,0.5,1 or 0.001..2; chosen automatically if not given.",
    ),
]
Methods = Annotated[
    list[str] | None, typer.Option("--method", "-m", metavar="NAME", help="A method to compare. May be repeated.")
]
Global = Annotated[bool, typer.Option("--global", help="Search for the lowest valley, as `downslope search` does.")]
_RATES = 41  # of a range that is given by its ends


@options.takes("sweep")
def sweep(
    formula: options.FormulaText,
    start: options.Start = None,
    learning_rates: Rates = None,
    *,
    plot: options.Plot = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    **choices: Any,
) -> None:
    """Try many learning rates, and report the best one."""
    run = FormulaRun(formula, start, choices)
    objective = run.objective()
    result = ds.sweep(objective, run.point(objective), _rates(learning_rates), **run.others)
    written = _drawn(plot, lambda: ds.draw.sweep(result), lambda file: ds.draw.animate_race(result, file))
    show.result(result, written, for_program=json, quiet=quiet)


@options.takes("compare")
def compare(
    formula: options.FormulaText,
    start: options.Start = None,
    methods: Methods = None,
    *,
    plot: options.Plot = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    **choices: Any,
) -> None:
    """Compare methods, each at its own best learning rate."""
    run = FormulaRun(formula, start, choices)
    objective = run.objective()
    result = ds.compare(objective, run.point(objective), methods or None, **run.others)
    written = _drawn(plot, lambda: ds.draw.race(result), lambda file: ds.draw.animate_race(result, file))
    show.result(result, written, for_program=json, quiet=quiet)


@options.takes("multistart", "search")
def multistart(
    formula: options.FormulaText,
    bounds: options.Bounds = None,
    is_global: Global = False,
    *,
    plot: options.Plot = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    **choices: Any,
) -> None:
    """Descend from many starting points, and list the valleys."""
    usable, others = ds.choices(ds.multistart), ds.choices(ds.search)
    usable, others = (others, usable) if is_global else (usable, others)
    idle = next((name for name in choices if name not in usable), None)
    if idle is not None:
        option = "--set" if idle not in others or others[idle].is_setting else options.as_option(idle)
        raise ds.SettingError(f"{option} does nothing {'with' if is_global else 'without'} --global")
    if is_global and plot is not None:
        raise ds.SettingError("--global has no picture", hint="leave --global out to draw the valleys")
    if is_global:
        search(formula, bounds, plot=plot, json=json, quiet=quiet, **choices)
        return
    run = FormulaRun(formula, None, choices)
    result = ds.multistart(run.objective(), _box(bounds), **run.others)
    written = _drawn(plot, lambda: ds.draw.basins(result), None)
    show.result(result, written, for_program=json, quiet=quiet)


@options.takes("search")
def search(
    formula: options.FormulaText,
    bounds: options.Bounds = None,
    *,
    plot: options.Plot = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    **choices: Any,
) -> None:
    """Search for the lowest valley, with evidence for it."""
    if plot is not None:
        raise ds.SettingError("a search has no picture", hint="`downslope multistart` draws the valleys")
    run, box = FormulaRun(formula, None, choices), _box(bounds)
    show.result(ds.search(run.objective(), box, **run.others), {}, for_program=json, quiet=quiet)


def _box(bounds: str | None) -> dict[str, tuple[float, float]]:
    """Return the box to look in."""
    box = values.ranges(bounds)
    if box is None:
        raise ds.PointError("--bounds is missing", hint="give every variable a range: --bounds x=-3..3")
    return box


def _rates(text: str | None) -> list[float] | None:
    """Return the rates that a text such as `0.001..2` or `0.1,0.5,1` stands for."""
    if text is None:
        return None
    low, dots, high = text.partition("..")
    try:
        if dots:
            ends = float(low), float(high)
            if not 0 < ends[0] < ends[1]:
                raise ds.SettingError(
                    f"--learning-rates: {text!r} must rise from a number above 0", hint="for example 0.001..2"
                )
            return [float(rate) for rate in np.geomspace(*ends, _RATES)]
        return [float(piece) for piece in text.split(",")]
    except ValueError:
        raise ds.SettingError(
            f"--learning-rates: {text!r} is neither a list nor a range", hint="for example 0.1,0.5,1 or 0.001..2"
        ) from None


def _drawn(plot: Path | None, picture: Callable[[], Any], animation: Callable[[Path], Path] | None) -> dict[str, str]:
    """Write the picture of a result, and return what was written."""
    if plot is None:
        return {}
    return {"plot": str(_pictures.write_still_or_moving(plot, picture, animation))}
