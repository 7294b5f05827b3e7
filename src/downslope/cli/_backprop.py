"""`downslope backprop`: a formula at a point, forward and backward, and its graph as a picture."""

from __future__ import annotations

from pathlib import Path

import downslope as ds
from downslope.cli import _options as options
from downslope.cli import _print as show

_SUFFIXES = (".svg", ".dot")


def run(
    formula: str, at: str | None, plot: Path | None, *, data: Path | None = None, as_json: bool, quiet: bool
) -> None:
    """Go through a formula forward and backward, and print what was asked for."""
    if plot is not None and plot.suffix.lower() not in _SUFFIXES:
        raise ds.SettingError(
            f"cannot write the graph into {plot.name!r}", hint=f"the file's name must end in {' or '.join(_SUFFIXES)}"
        )
    objective = ds.objective(formula, data)
    place = options.point(at, "--at", objective.names or ())
    found = ds.backprop(objective, at=place)
    written = {} if plot is None else {"plot": str(_write(found, plot))}
    if as_json:
        show.as_json(found.as_dict() | written)
        return
    if quiet:
        for node in found.nodes:
            if node.role == "given":
                print(f"∂{found.name}/∂{node.label} = {show.number(float(node.gradient))}")
    else:
        print(f"Read as  {objective.read_as}")
        for note in objective.formula.notes if objective.formula is not None else ():
            print(f"         {note}")
        print(f"\n{found}")
    for what, where in written.items():
        print(f"{what.capitalize()}: {where}")


def _write(found: ds.Backpropagation, plot: Path) -> Path:
    """Write the graph in the form that the file's name asks for, and return the file."""
    text = found.svg() if plot.suffix.lower() == ".svg" else found.dot()
    plot.parent.mkdir(parents=True, exist_ok=True)
    plot.write_text(text, encoding="utf-8")
    return plot
