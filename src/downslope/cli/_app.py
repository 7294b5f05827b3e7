"""The commands, as Typer knows them; each is carried out in a file of its own, loaded when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import downslope as ds
from downslope.cli import _find_rate, _lab, _prescribe
from downslope.cli import _network_commands as network
from downslope.cli import _options as options

app = typer.Typer(
    name="downslope",
    help="Differentiate, descend, record and explain: −∇f, the way a ball rolls.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        print(f"downslope {ds.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Differentiate, descend, record and explain: −∇f, the way a ball rolls."""


@app.command()
def derive(
    formula: options.FormulaText,
    by: Annotated[str | None, typer.Option("--by", help="The variable; all of them if none is given.")] = None,
    unit: options.Unit = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX.")] = False,
) -> None:
    """Differentiate a formula, with the rules used."""
    from downslope.cli import _derive

    _derive.run(formula, by, options.pairs(unit, "--unit"), as_json=json, quiet=quiet, latex=latex)


@app.command()
def slope(
    formula: options.FormulaText,
    at: options.At = None,
    data: options.Data = None,
    unit: options.Unit = None,
    plot: options.Plot = None,
    within: options.Within = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Say what is true at one point: value, gradient, steepness, kind, rates."""
    from downslope.cli import _slope

    _slope.run(
        formula, at, data, options.pairs(unit, "--unit"), plot, options.ranges(within), as_json=json, quiet=quiet
    )


@app.command()
def backprop(
    formula: options.FormulaText,
    at: options.At = None,
    data: options.Data = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Write the computation graph: .svg or .dot.")
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Go through a formula forward and backward: every value, local derivative and gradient."""
    from downslope.cli import _backprop

    _backprop.run(formula, at, plot, data=data, as_json=json, quiet=quiet)


@app.command()
def descend(
    formula: options.FormulaText,
    start: options.Start = None,
    learning_rate: options.Rate = None,
    steps: options.Steps = 100,
    method: options.MethodName = "gradient descent",
    setting: options.Setting = None,
    schedule: options.ScheduleName = None,
    tolerance: options.Tolerance = 1e-10,
    clip_norm: options.ClipNorm = None,
    clip_value: options.ClipValue = None,
    every: options.Every = 1,
    seed: options.Seed = 0,
    data: options.Data = None,
    unit: options.Unit = None,
    plot: options.Plot = None,
    within: options.Within = None,
    save: options.Save = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    check: options.Check = False,
) -> int:
    """Go down from a start, step by step, and say how it ended and why."""
    from downslope.cli import _descend

    request = _descend.request(
        formula,
        start,
        data,
        unit,
        setting,
        learning_rate=learning_rate,
        steps=steps,
        method=method,
        schedule=schedule,
        tolerance=tolerance,
        clip_norm=clip_norm,
        clip_value=clip_value,
        record=every,
        seed=seed,
    )
    return _descend.run(request, plot, options.ranges(within), save, as_json=json, quiet=quiet, check=check)


@app.command()
def fit(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A CSV or Parquet file.")],
    equation: Annotated[
        str, typer.Argument(metavar="EQUATION", help='Columns and parameters: "price = w × size + b".')
    ],
    start: options.Start = None,
    bounds: options.OpenBounds = None,
    fix: Annotated[str | None, typer.Option("--fix", metavar="POINT", help="Parameters to hold: b=0.")] = None,
    tie: Annotated[
        list[str] | None,
        typer.Option("--tie", metavar="NAME=FORMULA", help="A parameter that follows others: b=2a. May be repeated."),
    ] = None,
    sigma: Annotated[
        str | None,
        typer.Option("--sigma", metavar="COLUMN", help="The standard deviation of each measurement; or one number."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", metavar="COLUMN", help="What each squared residual is multiplied by.")
    ] = None,
    absolute_sigma: Annotated[
        bool, typer.Option("--absolute-sigma", help="Take --sigma for true deviations, whatever the residuals.")
    ] = False,
    loss: Annotated[str, typer.Option("--loss", help="linear, or huber, soft-L1, cauchy against outliers.")] = "linear",
    loss_scale: Annotated[
        float | None, typer.Option("--loss-scale", help="The residual from which on a robust loss counts less.")
    ] = None,
    method: Annotated[
        str, typer.Option("--method", "-m", help="levenberg-marquardt, trust region, gradient descent, adam, …")
    ] = "levenberg-marquardt",
    learning_rate: options.Rate = None,
    steps: Annotated[int | None, typer.Option("--steps", "-n", metavar="N", help="The most steps to take.")] = None,
    confidence: Annotated[float, typer.Option("--confidence", help="Of the intervals.")] = 0.95,
    unit: options.Unit = None,
    seed: options.Seed = 0,
    plot: options.Plot = None,
    save: options.Save = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    check: options.Check = False,
) -> int:
    """Fit an equation to a table: parameters, how sure they are, and what was found."""
    from downslope.cli import _fit

    request = _fit.Request(
        data,
        equation,
        {
            "start": None if start is None else options.point(start, "--start", ()),
            "bounds": options.open_ranges(bounds, "--bounds"),
            "fixed": None if fix is None else options.point(fix, "--fix", ()),
            "ties": options.pairs(tie, "--tie"),
            "sigma": options.column_or_number(sigma),
            "weights": weights,
            "absolute_sigma": absolute_sigma,
            "loss": loss,
            "loss_scale": loss_scale,
            "method": method,
            "steps": steps,
            "confidence": confidence,
            "units": options.pairs(unit, "--unit") or None,
            "seed": seed,
        }
        | ({} if learning_rate is None else {"learning_rate": learning_rate}),
    )
    return _fit.run(request, plot, save, as_json=json, quiet=quiet, check=check)


app.command()(network.train)
app.command()(network.predict)
app.command()(_find_rate.find_rate)
app.command()(_prescribe.prescribe)
app.command()(_lab.lab)


@app.command()
def sweep(
    formula: options.FormulaText,
    start: options.Start = None,
    learning_rates: Annotated[
        str | None,
        typer.Option("--learning-rates", metavar="RATES", help="0.1,0.5,1 or 0.001..2; found if not given."),
    ] = None,
    steps: options.Steps = 1000,
    method: options.MethodName = "gradient descent",
    setting: options.Setting = None,
    tolerance: options.Tolerance = 1e-10,
    data: options.Data = None,
    unit: options.Unit = None,
    plot: options.Plot = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Try many learning rates, and say which is best and which are stable."""
    from downslope.cli import _ensembles

    request = _ensembles.without_none(formula, data, unit, start=start, steps=steps, method=method, tolerance=tolerance)
    _ensembles.sweep(_ensembles.with_settings(request, setting), learning_rates, plot, as_json=json, quiet=quiet)


@app.command()
def compare(
    formula: options.FormulaText,
    start: options.Start = None,
    method: Annotated[
        list[str] | None, typer.Option("--method", "-m", help="A method to race. May be repeated.")
    ] = None,
    steps: options.Steps = 1000,
    tolerance: options.Tolerance = 1e-10,
    data: options.Data = None,
    unit: options.Unit = None,
    plot: options.Plot = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Race methods, each at its own best learning rate."""
    from downslope.cli import _ensembles

    request = _ensembles.without_none(formula, data, unit, start=start, steps=steps, tolerance=tolerance)
    _ensembles.compare(request, method, plot, as_json=json, quiet=quiet)


@app.command()
def multistart(
    formula: options.FormulaText,
    bounds: options.Bounds = None,
    starts: Annotated[int | None, typer.Option("--starts", metavar="N", help="How many; 1000 if not given.")] = None,
    is_global: Annotated[
        bool, typer.Option("--global", help="Search for the lowest valley, and say how often it was found.")
    ] = False,
    seconds: Annotated[float | None, typer.Option("--seconds", help="With --global, the most to take; 10.")] = None,
    evaluations: Annotated[int | None, typer.Option("--evaluations", help="With --global, the most to make.")] = None,
    method: Annotated[
        str | None, typer.Option("--method", "-m", help="A method for every start; careful steps if not given.")
    ] = None,
    learning_rate: options.Rate = None,
    steps: Annotated[int | None, typer.Option("--steps", "-n", metavar="N", help="Steps of that method.")] = None,
    setting: options.Setting = None,
    seed: options.Seed = 0,
    data: options.Data = None,
    unit: options.Unit = None,
    plot: options.Plot = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Descend from many starts: which valleys there are, and which is the lowest."""
    from downslope.cli import _ensembles

    of_one = {"starts": starts, "method": method, "learning_rate": learning_rate, "steps": steps}
    of_other = {"seconds": seconds, "evaluations": evaluations}
    if setting and is_global:
        raise ds.SettingError("--set does nothing with --global")
    request = _ensembles.without_none(formula, data, unit, seed=seed, **of_one, **of_other)
    _ensembles.check_global(request, is_global, set(of_one), set(of_other))
    _ensembles.multistart(
        _ensembles.with_settings(request, setting),
        options.ranges(bounds, "--bounds"),
        plot,
        is_global=is_global,
        as_json=json,
        quiet=quiet,
    )


@app.command()
def diagnose(
    run: Annotated[
        str,
        typer.Argument(
            metavar="DIR|FORMULA",
            help="A folder that `--save` made, of a training under way as well; or a formula to descend on.",
        ),
    ],
    start: options.Start = None,
    learning_rate: options.Rate = None,
    steps: options.Steps = 100,
    method: options.MethodName = "gradient descent",
    setting: options.Setting = None,
    schedule: options.ScheduleName = None,
    data: options.Data = None,
    plot: options.Plot = None,
    report: options.Report = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    check: options.Check = False,
) -> int:
    """Say what a descent or a training shows, saved or taken now, with the numbers behind it."""
    from downslope.cli import _descend, _diagnose

    how = {"learning_rate": learning_rate, "steps": steps, "method": method, "schedule": schedule}
    request = _descend.request(run, start, data, None, setting, **how)
    return _diagnose.run(request, plot, report, as_json=json, quiet=quiet, check=check)


@app.command()
def draw(
    formula: options.FormulaText,
    plot: Annotated[Path, typer.Option("--plot", metavar="FILE", help="The picture: .png, .svg, .pdf or .gif.")] = Path(
        "downslope.png"
    ),
    kind: Annotated[
        str, typer.Option("--kind", help="auto, curve, landscape, surface, progress or animation.")
    ] = "auto",
    start: options.Start = None,
    at: options.At = None,
    within: options.Within = None,
    learning_rate: options.Rate = None,
    steps: options.Steps = 100,
    method: options.MethodName = "gradient descent",
    setting: options.Setting = None,
    schedule: options.ScheduleName = None,
    data: options.Data = None,
    unit: options.Unit = None,
) -> None:
    """Draw a formula, its slope at a point, or the way down from a start."""
    from downslope.cli import _descend, _draw

    how = {"learning_rate": learning_rate, "steps": steps, "method": method, "schedule": schedule}
    request = _descend.request(formula, start, data, unit, setting, **how)
    _draw.run(request, kind, at, options.ranges(within), plot)
