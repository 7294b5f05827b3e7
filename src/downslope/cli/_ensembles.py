"""`downslope sweep`, `compare` and `multistart`: many descents at once, and what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import downslope as ds
from downslope.cli import _options as options
from downslope.cli import _print as show
from downslope.cli._descend import Ranges, Request

_RATES = 41  # of a range that is given by its ends


def sweep(request: Request, rates: str | None, plot: Path | None, *, as_json: bool, quiet: bool) -> None:
    """Descend at many learning rates, and print how each did."""
    objective = request.objective()
    start = options.point(request.start, "--start", objective.names or ())
    found = ds.sweep(objective, start, _rates(rates), **request.choices)
    written = _drawn(plot, lambda: ds.draw.sweep(found), lambda file: ds.draw.animate_race(found, file))
    show.found(found, written, for_program=as_json, quiet=quiet)


def compare(request: Request, methods: Sequence[str] | None, plot: Path | None, *, as_json: bool, quiet: bool) -> None:
    """Race methods down one formula, and print how each did."""
    objective = request.objective()
    start = options.point(request.start, "--start", objective.names or ())
    chosen = {"methods": methods} if methods else {}
    found = ds.compare(objective, start, **chosen, **request.choices)
    written = _drawn(plot, lambda: ds.draw.race(found), lambda file: ds.draw.animate_race(found, file))
    show.found(found, written, for_program=as_json, quiet=quiet)


def multistart(
    request: Request, bounds: Ranges, plot: Path | None, *, is_global: bool, as_json: bool, quiet: bool
) -> None:
    """Descend from many starts, or search for the lowest valley, and print what was found."""
    if bounds is None:
        raise ds.PointError("where to look? --bounds is missing", hint="give every variable a range: --bounds x=-3..3")
    objective = request.objective()
    written: dict[str, str] = {}
    if is_global:
        if plot is not None:
            raise ds.SettingError("--global has no picture", hint="leave --global out to draw the valleys")
        found: Any = ds.search(objective, bounds, **request.choices)
    else:
        found = ds.multistart(objective, bounds, **request.choices)
        written = _drawn(plot, lambda: [ds.draw.basins(found)], None)
    show.found(found, written, for_program=as_json, quiet=quiet)


def without_none(objective: str, data: Path | None, unit: list[str] | None, **choices: Any) -> Request:
    """Return a request whose choices are those that were given."""
    given = {name: choice for name, choice in choices.items() if choice is not None}
    return Request(objective, given.pop("start", None), data, options.pairs(unit, "--unit"), given)


def with_settings(request: Request, texts: list[str] | None) -> Request:
    """Return a request with settings of the method added."""
    return replace(request, choices={**request.choices, **options.settings(texts)})


def check_global(request: Request, is_global: bool, of_starts: set[str], of_search: set[str]) -> None:
    """Raise for options that do nothing with or without --global."""
    idle = sorted(set(request.choices) & (of_starts if is_global else of_search))
    if idle:
        option = "--" + idle[0].replace("_", "-")
        raise ds.SettingError(f"{option} does nothing {'with' if is_global else 'without'} --global")


def _rates(text: str | None) -> list[float] | None:
    """Return the rates that a text such as `0.001..2` or `0.1,0.5,1` tells of."""
    if text is None:
        return None
    low, dots, high = text.partition("..")
    try:
        if dots:
            ends = float(low), float(high)
            if not 0 < ends[0] < ends[1]:
                raise ds.SettingError(f"--learning-rates: {text!r} is no range above 0", hint="for example 0.001..2")
            return [float(rate) for rate in np.geomspace(*ends, _RATES)]
        return [float(piece) for piece in text.split(",")]
    except ValueError:
        raise ds.SettingError(
            f"--learning-rates: {text!r} is neither a list nor a range", hint="for example 0.1,0.5,1 or 0.001..2"
        ) from None


def _drawn(plot: Path | None, picture: Any, animation: Any) -> dict[str, str]:
    """Write the picture that was asked for, and return what was written."""
    if plot is None:
        return {}
    from downslope.cli import _draw

    if plot.suffix.lower() == ".gif":
        if animation is None:
            raise ds.SettingError("there is no moving picture of this", hint="the file's name may end in .png")
        return {"plot": str(animation(plot))}
    return {"plot": str(_draw.write_figure(picture, plot))}
