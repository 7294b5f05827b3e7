"""The command `fit`: the parameters with their errors, how good the fit is, its findings, and what it predicts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import downslope as ds
from downslope.cli import _options as options
from downslope.cli import _print as _pictures
from downslope.cli import _print as show

Equation = Annotated[str, typer.Argument(metavar="EQUATION", help='Columns and parameters: "price = w × size + b".')]
Data = Annotated[str, typer.Argument(metavar="DATA", help="A CSV or Parquet file. The two may change places.")]


Derive = Annotated[
    list[str] | None,
    typer.Option(
        "--derive", "--also", metavar="FORMULA", help='A quantity of the parameters: "half_life = ln(2)/k". Repeatable.'
    ),
]
Report = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write the report: .md, .tex, .html or .txt.")
]
Predict = Annotated[
    str | None, typer.Option("--predict", metavar="TABLE", help="New rows to predict, with the band of the curve.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Write a table: the predictions, else the parameters: .csv, .parquet.",
    ),
]


@options.takes("fit")
def fit(
    equation: Equation,
    data: Data,
    *,
    derive: Derive = None,
    plot: options.Plot = None,
    save: options.Save = None,
    report: Report = None,
    predict: Predict = None,
    out: Out = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    evidence: options.Evidence = False,
    check: options.Check = False,
    **choices: Any,
) -> int:
    """Fit an equation to a table: parameters, how sure they are, and what the fit shows."""
    result = ds.fit(equation, data, **choices)
    _check(result, derive, plot, out, predict)
    drawn = result if isinstance(result, ds.Fit) else None
    derived = [result.derived(text) for text in derive or ()] if isinstance(result, ds.Fit) else []
    written = {}
    if save is not None:
        written["saved"] = str(ds.save(result, save))
    if plot is not None and drawn is not None:
        written["plot"] = str(_pictures.write_figure(lambda: ds.draw.fit(drawn), plot))
    if report is not None:
        written["report"] = str(result.report(report))
    columns = {} if predict is None else predicted(result, predict)
    if out is not None and predict is not None:
        written["predictions"] = write_predicted(predict, columns, out)
    elif out is not None:
        written["table"] = str(ds.write_table(result.parameter_table(), out))
    if json:
        quantities = {quantity.name: quantity.as_dict() for quantity in derived}
        predictions = {"predictions": columns} if predict is not None else {}
        show.as_json(result.as_dict() | {"derived": quantities} | predictions | written)
    else:
        _print_fit(result, derived, quiet=quiet, evidence=evidence)
        if predict is not None and out is None:
            print()
            print_predicted(columns, quiet=quiet)
        show.files(written)
    return 0 if result.findings.ok or not check else 1


def _check(result: ds.Fit | ds.GroupedFit, derive: Any, plot: Any, out: Path | None, predict: str | None) -> None:
    """Raise for options that this fit does not have."""
    if isinstance(result, ds.GroupedFit):
        for value, option in ((derive, "--derive"), (plot, "--plot")):
            if value:
                hint = "share a parameter, or fit fewer groups"
                raise ds.SettingError(f"{option} is not for groups that are fitted side by side", hint=hint)
    if out is not None and predict is not None:
        check_out(out, predict)


def check_out(out: Path, data: str) -> None:
    """Raise, before anything is done, where predictions cannot be written."""
    suffixes = ds.table_suffixes("write")
    if out.suffix.lower() not in suffixes:
        hint = f"the name must end in {', '.join(suffixes[:-1])} or {suffixes[-1]}"
        raise ds.SettingError(f"cannot write a table into {out.name!r}", hint=hint)
    if Path(data).exists() and out.exists() and out.samefile(data):
        raise ds.SettingError(f"--out would replace the rows in {data}", hint="choose another name")


def predicted(result: ds.Fit | ds.GroupedFit, data: str) -> dict[str, np.ndarray]:
    """Return the predictions for the rows of a table, with the ends of their band, by the names of their columns."""
    value, low, high = result.predict(ds.read_table(data))
    return {"predicted": value, "low": low, "high": high}


def write_predicted(data: str, columns: dict[str, np.ndarray], out: Path) -> str:
    """Write predictions beside the rows that they are for."""
    return str(ds.write_table({**ds.read_cells(Path(data)), **columns}, out, infer=True))


def print_predicted(columns: dict[str, np.ndarray], *, quiet: bool) -> None:
    """Print predictions; in quiet all of them, without headings or row numbers."""
    texts = {name: [show.number(cell) for cell in column.tolist()] for name, column in columns.items()}
    if quiet:
        print("\n".join("\t".join(row) for row in zip(*texts.values(), strict=True)))
        return
    rows = len(columns["predicted"])
    if show.table({"row": list(range(1, rows + 1)), **texts}):
        print(f"\n{rows} rows; --quiet prints every prediction, --out FILE writes them beside the rows.")


def _print_fit(result: ds.Fit | ds.GroupedFit, derived: list[ds.Derived], *, quiet: bool, evidence: bool) -> None:
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
        if isinstance(result, ds.Fit):
            print(f"Method   {result.trace.plan['method']}, {result.trace.last_step} steps")
        print("\n".join(lines[1:]))
        print()
    for quantity in derived:
        print(quantity)
    if derived and not quiet:
        print()
    show.findings(result.findings, details=not quiet, evidence=evidence)
