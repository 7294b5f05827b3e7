"""`downslope slope`: what is true at one point."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import downslope as ds
from downslope.cli import _options as options
from downslope.cli import _print as show
from downslope.cli._descend import Ranges


def run(
    formula: str,
    at: str | None,
    data: Path | None,
    units: Mapping[str, str],
    plot: Path | None,
    within: Ranges,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Stand at the point and print what was asked for."""
    objective = ds.objective(formula, data, units=units or None)
    place = options.point(at, "--at", objective.names or ())
    found = ds.slope(objective, at=place)
    written = {}
    if plot is not None:
        from downslope.cli import _draw

        written["plot"] = str(_draw.write_point(objective, place, within, plot))
    if as_json:
        show.as_json({"read_as": objective.read_as} | found.as_dict() | written)
        return
    if quiet:
        print(show.number(found.value))
    else:
        print(f"Read as  {objective.read_as}")
        for note in objective.formula.notes if objective.formula is not None else ():
            print(f"         {note}")
        print(f"\n{found}")
    for what, where in written.items():
        print(f"{what.capitalize()}: {where}")
