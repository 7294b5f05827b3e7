"""The command `fit`: parameters with errors, quality of the fit, findings, and predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import downslope as ds
from downslope._errors import nearest
from downslope.cli import _options as options
from downslope.cli import _print as show
from downslope.cli import _values

Equation = Annotated[str, typer.Argument(metavar="EQUATION", help='Columns and parameters: "price = w × size + b".')]
Data = Annotated[
    str, typer.Argument(metavar="DATA", help="A table: .csv, .xlsx, .parquet, …. EQUATION and DATA may be swapped.")
]


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
    str | None,
    typer.Option("--predict", metavar="TABLE", help="A table of new rows to predict, with a confidence band."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Write the predictions or, without --predict, the parameters: .csv, .parquet.",
    ),
]
Drawing = Annotated[
    str,
    typer.Option(
        "--picture",
        metavar="NAME",
        help="What --plot draws: fit, groups, residuals, profile:k, region:A,k.  [default: fit]",
        show_default=False,
    ),
]
Log = Annotated[
    str | None,
    typer.Option("--log", metavar="AXES", help="Logarithmic axes: x, y, xy or none; by default chosen by the data."),
]
Over = Annotated[str | None, typer.Option("--over", metavar="COLUMN", help="The column along the axis of the picture.")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="AXIS=TEXT", help='A label: "x=dose (mg)", y, residual, title. Repeatable.'),
]
Size = Annotated[
    str | None, typer.Option("--size", metavar="WxH", help="Width and height of the picture in inches: 3.5x2.8.")
]
Dpi = Annotated[float | None, typer.Option("--dpi", metavar="N", help="Dots per inch of the picture: 300.")]
Grey = Annotated[bool, typer.Option("--grey", help="Draw in shades of grey.")]
Grid = Annotated[bool, typer.Option("--grid/--no-grid", help="Draw the picture with a grid.", show_default=False)]
Statistics = Annotated[
    bool,
    typer.Option("--statistics/--no-statistics", help="Show the parameters in the picture.", show_default=False),
]
OwnScale = Annotated[bool, typer.Option("--own-scale", help="Draw a left side such as log(p) on the scale of p.")]


_OF_CELLS = ("separator", "decimal", "thousands", "comment", "encoding", "dates", "index")


@options.takes("fit")
def fit(
    equation: Equation,
    data: Data,
    *,
    derive: Derive = None,
    plot: options.Plot = None,
    picture: Drawing = "fit",
    log: Log = None,
    over: Over = None,
    label: Labels = None,
    size: Size = None,
    dpi: Dpi = None,
    grey: Grey = False,
    grid: Grid = True,
    statistics: Statistics = True,
    own_scale: OwnScale = False,
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
    """Fit an equation to a table: parameters with errors."""
    look = _look(label, size, dpi, grey=grey, grid=grid)
    shown = {"log": log, "over": over, "own_scale": own_scale or None, "statistics": None if statistics else False}
    draw = _drawing(picture, plot, shown, look)
    show.check_file(plot)
    result = ds.fit(equation, data, **choices)
    _check(result, derive, out, predict)
    single = result if isinstance(result, ds.Fit) else None
    derived = [quantity for text in derive or () for quantity in single.derived_in_groups(text)] if single else []
    written = {}
    if save is not None:
        written["saved"] = str(ds.save(result, save))
    if plot is not None:
        written["plot"] = str(show.write_figure(lambda: draw(result), plot))
    if report is not None:
        written["report"] = str(result.report(report))
    # New rows are written as those of the fit are, but for where its names and its sheet stand.
    reading = {name: value for name, value in choices.get("table", {}).items() if name in _OF_CELLS}
    reading |= {"missing": choices["missing"]} if "missing" in choices else {}
    columns = {} if predict is None else predicted(result, predict, reading)
    if out is not None and predict is not None:
        written["predictions"] = write_predicted(predict, reading, columns, out)
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


_OF_DATA, _OF_PARAMETERS = ("fit", "groups"), ("profile", "region")


def _look(labels: list[str] | None, size: str | None, dpi: float | None, *, grey: bool, grid: bool) -> dict[str, Any]:
    """Return how the picture looks, as arguments of a picture.

    Raises:
        SettingError: for a size that cannot be read.
    """
    look: dict[str, Any] = {}
    if labels:
        look["labels"] = _values.pairs(labels, "--label")
    if size is not None:
        parts = size.lower().replace("×", "x").split("x")
        if len(parts) != 2:
            raise ds.SettingError(f"--size is a width and a height in inches, not {size!r}", hint="--size 3.5x2.8")
        look["size"] = tuple(_values.finite_number(part, "--size") for part in parts)
    return (
        look
        | ({} if dpi is None else {"dpi": dpi})
        | ({"grey": True} if grey else {})
        | ({} if grid else {"grid": False})
    )


def _drawing(picture: str, plot: Path | None, shown: dict[str, Any], look: dict[str, Any]) -> Callable[[Any], Any]:
    """Return the function that draws a fit.

    Args:
        picture: the name of the picture, with parameters behind a colon.
        plot: the file; what is set of a picture needs one.
        shown: what the pictures of data have beyond the look.
        look: how the picture looks.

    Raises:
        SettingError: for an unknown picture, or options of a picture where none is drawn.
    """
    name, _, parameters = picture.partition(":")
    if name not in (*_OF_DATA, *_OF_PARAMETERS, "residuals") or (parameters and name not in _OF_PARAMETERS):
        close = nearest(name, (*_OF_DATA, *_OF_PARAMETERS, "residuals"))
        known = "fit, groups, residuals, profile:k and region:A,k"
        raise ds.SettingError(f"there is no picture {picture!r}", hint=f"did you mean {close}?" if close else known)
    chosen = {option: value for option, value in shown.items() if value is not None}
    first = next(iter(chosen | look), None if picture == "fit" else "picture")
    if plot is None and first is not None:
        option = "no-statistics" if first == "statistics" else "no-grid" if first == "grid" else first.replace("_", "-")
        raise ds.SettingError(f"--{option} applies to a picture; name its file with --plot", hint="--plot fit.png")
    if chosen and name not in _OF_DATA:
        raise ds.SettingError(f"the picture {name} has no --log, --over, --own-scale and --no-statistics")
    of = [part.strip() for part in parameters.split(",") if part.strip()]
    return lambda result: getattr(ds.draw, name)(result, *of, **chosen, **look)


def _check(result: ds.Fit | ds.GroupedFit, derive: Any, out: Path | None, predict: str | None) -> None:
    """Raise for options that this fit does not have."""
    if isinstance(result, ds.GroupedFit) and derive:
        raise ds.SettingError(
            "--derive does not apply to groups that are fitted separately",
            hint="share a parameter, or fit fewer groups",
        )
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


def predicted(result: ds.Fit | ds.GroupedFit, data: str, reading: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the predictions for the rows of a table, with the ends of their band, by the names of their columns."""
    value, low, high = result.predict(ds.read_table(data, **reading))
    return {"predicted": value, "low": low, "high": high}


def write_predicted(data: str, reading: Mapping[str, Any], columns: dict[str, np.ndarray], out: Path) -> str:
    """Write predictions beside the rows that they are for."""
    return str(ds.write_table({**ds.read_cells(Path(data), **reading), **columns}, out, infer=True))


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
