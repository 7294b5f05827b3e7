"""`downslope fit`: the parameters with their errors, how good the fit is, and its findings."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

import downslope as ds
from downslope.cli import _options as options
from downslope.cli import _pictures
from downslope.cli import _print as show

Equation = Annotated[str, typer.Argument(metavar="EQUATION", help='Columns and parameters: "price = w × size + b".')]
Data = Annotated[str, typer.Argument(metavar="DATA", help="A CSV or Parquet file. The two may change places.")]


@options.takes("fit")
def fit(
    equation: Equation,
    data: Data,
    *,
    plot: options.Plot = None,
    save: options.Save = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    check: options.Check = False,
    **choices: Any,
) -> int:
    """Fit an equation to a table: parameters, how sure they are, and what the fit shows."""
    result = ds.fit(equation, data, **choices)
    written = {}
    if save is not None:
        written["saved"] = str(ds.save(result, save))
    if plot is not None:
        written["plot"] = str(_pictures.write_figure(lambda: ds.draw.fit(result), plot))
    if json:
        show.as_json(result.as_dict() | written)
    else:
        _print_fit(result, quiet=quiet)
        show.files(written)
    return 0 if result.findings.ok or not check else 1


def _print_fit(result: ds.Fit, *, quiet: bool) -> None:
    """Print a fit for a person."""
    if quiet:
        for name, parameter in result.parameters.items():
            unit = f" {parameter.unit}" if parameter.unit else ""
            error = f"± {show.number(parameter.standard_error)}" if math.isfinite(parameter.standard_error) else ""
            sureness = error or {"free": "(not determined)"}.get(parameter.role, f"({parameter.role})")
            print(f"{name} = {show.number(parameter.value)} {sureness}{unit}")
    else:
        lines = str(result).splitlines()
        show.read_as(lines[0].removeprefix("Read as  "), result.notes)
        print(f"Method   {result.trace.plan['method']}, {result.trace.last_step} steps")
        print("\n".join(lines[1:]))
        print()
    show.findings(result.findings, details=not quiet)
