"""The commands on one descent: descend, diagnose, draw, export, send."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

import downslope as ds
from downslope.cli import _options as options
from downslope.cli import _print as _pictures
from downslope.cli import _print as show
from downslope.cli import _values as values

Run = Annotated[
    str,
    typer.Argument(
        metavar="DIR|LOG|FORMULA",
        help="A run saved with `--save`, even an unfinished one; the log of another program, such as "
        "trainer_state.json or metrics.csv; or a formula to descend on.",
    ),
]
Picture = Annotated[Path, typer.Option("--plot", metavar="FILE", help="The picture: .png, .svg, .pdf, .tif or .gif.")]
Kind = Annotated[str, typer.Option("--kind", help="auto, curve, landscape, surface, progress or animation.")]
Saved = Annotated[str, typer.Argument(metavar="DIR", help="A run saved with `--save`, even an unfinished one.")]
Table = Annotated[Path, typer.Argument(metavar="FILE", help="The table: .csv, .tsv, .parquet or .json.")]
Tracker = Annotated[
    str,
    typer.Argument(
        metavar="TRACKER", help="tensorboard:FOLDER, wandb:offline, wandb:PROJECT or mlflow:URI, such as a server."
    ),
]
Called = Annotated[str | None, typer.Option("--name", metavar="NAME", help="The name of the run there.")]
_OF_OBJECTIVE = ("data", "units", "table")
_MOST_COORDINATES = 6  # columns of the table


@dataclass(frozen=True)
class FormulaRun:
    """A descent on a formula, as it was typed.

    Args:
        formula: the formula's text.
        start: the text of `--start`, or None.
        choices: the choices of `ds.descend` that were typed.
    """

    formula: str
    start: str | None
    choices: Mapping[str, Any]

    def objective(self) -> ds.Objective:
        """Return the objective that the formula, its data and its units make."""
        return ds.objective(self.formula, **{name: self.choices.get(name) for name in _OF_OBJECTIVE})

    def point(self, objective: ds.Objective) -> dict[str, float]:
        """Return the start."""
        return values.point(self.start, "--start", objective.names or ())

    @property
    def others(self) -> dict[str, Any]:
        """The choices that are not part of the objective."""
        return {name: choice for name, choice in self.choices.items() if name not in _OF_OBJECTIVE}

    def descend(self, objective: ds.Objective) -> ds.Trace:
        """Go down from the start."""
        return ds.descend(objective, self.point(objective), **self.others)


@options.takes("descend")
def descend(
    formula: options.FormulaText,
    start: options.Start = None,
    *,
    plot: options.Plot = None,
    bounds: options.Shown = None,
    save: options.Save = None,
    report: options.Report = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    evidence: options.Evidence = False,
    check: options.Check = False,
    **choices: Any,
) -> int:
    """Descend from a starting point, and explain the result."""
    run = FormulaRun(formula, start, choices)
    objective = run.objective()
    trace = run.descend(objective)
    diagnosis = ds.diagnose(trace)
    written = {}
    if save is not None:
        written["saved"] = str(ds.save(trace, save))
    if plot is not None:
        ranges = values.ranges(bounds)
        written["plot"] = str(_pictures.write_descent(objective, trace, diagnosis, "auto", ranges, plot))
    written |= show.written_report(trace, diagnosis, report)
    if json:
        show.as_json(_descent_as_dict(trace, diagnosis) | written)
    else:
        _print_descent(objective, trace, diagnosis, quiet=quiet, evidence=evidence)
        show.files(written)
    return 0 if diagnosis.ok or not check else 1


def _print_descent(
    objective: ds.Objective, trace: ds.Trace, diagnosis: ds.Diagnosis, *, quiet: bool, evidence: bool
) -> None:
    """Print a descent for a person."""
    if not quiet:
        show.objective(objective)
        print(f"Method   {ds.summary(trace).method}\n")
        show.table(_columns(objective, trace))
        print()
        show.chart(trace.columns["value"], objective.name)
    print(trace.ending)
    show.findings(diagnosis, details=not quiet, evidence=evidence)


def _columns(objective: ds.Objective, trace: ds.Trace) -> dict[str, Any]:
    """Return the columns of the table: step, coordinates, value, gradient."""
    pairs: list[tuple[str, Any]] = [("step", trace.columns["step"])]
    if trace.coordinates is not None and len(trace.coordinate_names) <= _MOST_COORDINATES:
        pairs += [
            (_with_unit(name, objective), trace.coordinates[:, i]) for i, name in enumerate(trace.coordinate_names)
        ]
    pairs.append((_with_unit(objective.name, objective), trace.columns["value"]))
    if trace.gradients is not None and len(trace.coordinate_names) == 1:
        pairs.append(("gradient", trace.gradients[:, 0]))
    else:
        pairs.append(("‖gradient‖", trace.columns["gradient_norm"]))
    columns: dict[str, Any] = {}
    for heading, column in pairs:  # a variable may be called "step", "gradient" or as the function is
        columns[heading + " " * (heading in columns)] = column
    return columns


def _with_unit(name: str, objective: ds.Objective) -> str:
    """Return a heading with its unit, if it has one."""
    unit = objective.units.get(name)
    return f"{name} ({unit})" if unit else name


def _descent_as_dict(trace: ds.Trace, diagnosis: ds.Diagnosis) -> dict[str, Any]:
    """Return what `--json` prints of a descent."""
    return {**ds.summary(trace).as_dict(), "steps": _steps(trace), "findings": diagnosis.as_list()}


def _steps(trace: ds.Trace) -> list[dict[str, Any]]:
    """Return the rows as objects: step, coordinates by name, value, gradient norm."""
    coordinates = [] if trace.coordinates is None else trace.coordinates.tolist()
    columns = [trace.columns[name].tolist() for name in ("step", "value", "gradient_norm")]
    return [
        {
            "step": step,
            **(dict(zip(trace.coordinate_headings, coordinates[row], strict=True)) if coordinates else {}),
            "value": value,
            "gradient_norm": norm,
        }
        for row, (step, value, norm) in enumerate(zip(*columns, strict=True))
    ]


@options.takes("descend")
def diagnose(
    run: Run,
    start: options.Start = None,
    *,
    plot: options.Plot = None,
    report: options.Report = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    evidence: options.Evidence = False,
    check: options.Check = False,
    damaged: options.Damaged = "refuse",
    names: options.Names = None,
    **choices: Any,
) -> int:
    """Diagnose a saved run, a log or a new descent."""
    typed = FormulaRun(run, start, choices)
    trace = _recorded(run, damaged, names) if start is None else typed.descend(typed.objective())
    diagnosis, summary = ds.diagnose(trace), ds.summary(trace)
    written = {}
    if plot is not None:
        picture = _pictures.write_training if summary.is_training else _pictures.write_progress
        written["plot"] = str(picture(trace, diagnosis, plot))
    written |= show.written_report(trace, diagnosis, report)
    if json:
        judged = {"findings": diagnosis.as_list(), "not_run": diagnosis.not_run, "caveats": trace.caveats}
        show.as_json(summary.as_dict() | judged | written)
        return 0 if diagnosis.ok or not check else 1
    for caveat in trace.caveats if summary.is_training or quiet else ():
        print(f"Caveat: {caveat}.", file=sys.stderr)
    if summary.is_training:
        show.training(summary, diagnosis, quiet=quiet, evidence=evidence)
    else:
        if not quiet:
            print(f"{trace}\n")
        show.findings(diagnosis, details=not quiet, evidence=evidence)
    show.files(written)
    return 0 if diagnosis.ok or not check else 1


def _recorded(run: str, damaged: options.Damaged, names: list[str] | None = None) -> ds.Trace:
    """Return the trace of a saved run, or of the log that another program left."""
    path, roles = Path(run), values.pairs(names, "--names") or None
    if path.is_file():
        return ds.read_log(path, names=roles)
    try:
        trace = ds.load_trace(run, damaged=damaged)
        if roles:
            raise ds.SettingError("--names is for a log, and this is a saved run", hint="leave it out")
        return trace
    except ds.TraceError as refusal:
        if not os.path.lexists(path):
            hint = "give the folder of a saved run, or a log such as trainer_state.json or metrics.csv"
            raise ds.TraceError(f"there is no file or folder {run}", hint=hint) from None
        if not path.is_dir() or (path / "trace.json").exists():
            raise
        try:
            return ds.read_log(path, names=roles)
        except ds.DataError as error:
            # A folder with several logs says which; one without any is no run at all.
            raise (error if error.hint else refusal) from None


@options.takes("descend")
def draw(
    formula: options.FormulaText,
    plot: Picture = Path("downslope.png"),
    kind: Kind = "auto",
    start: options.Start = None,
    at: options.At = None,
    *,
    bounds: options.Shown = None,
    **choices: Any,
) -> None:
    """Draw a formula, its slope, or the path of a descent."""
    if kind not in _pictures.KINDS:
        raise ds.SettingError(f"there is no picture {kind!r}", hint=f"--kind is one of {', '.join(_pictures.KINDS)}")
    _pictures.check_file(plot)
    run, ranges = FormulaRun(formula, start, choices), values.ranges(bounds)
    objective = run.objective()
    if at is not None:
        written = _pictures.write_point(objective, values.point(at, "--at", objective.names or ()), ranges, plot)
    elif start is None and kind in {"progress", "animation"}:
        raise ds.PointError(f"a picture of kind {kind} shows a descent", hint="say where it starts: --start x=1")
    elif start is None:
        written = _pictures.write_descent(objective, None, None, kind, ranges, plot)
    else:
        trace = run.descend(objective)
        written = _pictures.write_descent(objective, trace, ds.diagnose(trace), kind, ranges, plot)
    print(f"Plot: {written}")


def export(
    run: Saved,
    file: Table,
    json: options.Json = False,
    quiet: options.Quiet = False,
    damaged: options.Damaged = "refuse",
) -> None:
    """Write the recorded steps of a saved run as a table."""
    trace = ds.load_trace(run, damaged=damaged)
    written = str(ds.export(trace, file))
    steps = trace.steps
    if json:
        show.as_json({"table": written, "rows": len(steps), "columns": steps.columns})
        return
    if not quiet:
        print(f"Wrote {len(steps)} rows of {len(steps.columns)} columns.")
    show.files({"table": written})


def send(
    run: Saved,
    tracker: Tracker,
    name: Called = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    damaged: options.Damaged = "refuse",
) -> None:
    """Send a saved run to TensorBoard, W&B or MLflow."""
    trace = ds.load_trace(run, damaged=damaged)
    seen = ds.send(trace, tracker, name=name or Path(run).name)
    if json:
        show.as_json({"sent": seen, "rows": len(trace)})
        return
    if not quiet:
        print(f"Sent {len(trace)} rows.")
    show.files({"sent": seen})
