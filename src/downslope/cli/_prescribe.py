"""`downslope prescribe`: what mends a run, tried and shown to help, and the command to keep."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import downslope as ds
from downslope.cli import _network_commands
from downslope.cli import _network_options as network
from downslope.cli import _options as options
from downslope.cli import _print as show
from downslope.cli._descend import request as descent

Thing = Annotated[
    str, typer.Argument(metavar="DIR|FORMULA", help="A folder that `train --save` made; or a formula to descend on.")
]
Seeds = Annotated[int, typer.Option("--seeds", metavar="N", help="Pairs of runs that a remedy is proved with.")]
Budget = Annotated[
    int | None,
    typer.Option("--budget", metavar="N", help="The most steps to spend in all; 60 times the run's."),
]
Rows = Annotated[
    Path | None,
    typer.Option("--data", metavar="FILE", help="The table of the formula; or the rows that a run was trained on."),
]

# What `train` does unless told otherwise, and the option that tells it.
_TURNED_OFF = {"standardise": "--no-standardise"}
_WITHOUT_OPTION = frozenset({"start", "scale_targets", "from_logits"})


def prescribe(
    thing: Thing,
    start: options.Start = None,
    seeds: Seeds = 5,
    budget: Budget = None,
    learning_rate: options.Rate = None,
    steps: options.Steps = 100,
    method: options.MethodName = "gradient descent",
    setting: options.Setting = None,
    schedule: options.ScheduleName = None,
    data: Rows = None,
    plot: options.Plot = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Try what may mend a run, beside the unchanged run, and say what helped."""
    if plot is not None:
        from downslope.cli import _draw

        _draw.check_suffix(plot)  # here, since it may take a while
    if Path(thing).is_dir():
        found = ds.prescribe(thing, seeds=seeds, budget=budget, data=None if data is None else str(data))
    else:
        how = {"learning_rate": learning_rate, "steps": steps, "method": method, "schedule": schedule}
        asked = descent(thing, start, data, None, setting, **how)
        objective = asked.objective()
        at = options.point(start, "--start", objective.names or ())
        found = ds.prescribe(ds.plan(objective, at, **asked.choices), seeds=seeds, budget=budget)
    written = {}
    if plot is not None:
        from downslope.cli import _draw

        written["plot"] = str(_draw.write_figure(lambda: [ds.draw.prescription(found)], plot))
    if json:
        show.as_json(as_dict(found) | written)
        return
    report(found, quiet=quiet)
    for what, where in written.items():
        print(f"{what.capitalize()}: {where}")


def as_dict(found: ds.Prescription) -> dict[str, Any]:
    """Return what `--json` prints of a prescription."""
    return {**found.as_dict(), "command": _command(found)}


def report(found: ds.Prescription, *, quiet: bool) -> None:
    """Print what was found to help."""
    if quiet:
        print(found.verdict)
        return
    show.labelled("Found", *(finding.symptom for finding in found.diagnosis))
    print()
    show.sentence(found.verdict)
    if found.trials:
        print()
        _trials(found)
    if found.mended is not None:
        print()
        for what, how in (("Command", _command(found)), ("Python", found.mended.as_python())):
            if how is not None:
                print(f"{what:<9}{how}")
    if found.tried:
        print(f"Cost     {found.steps} steps, {found.seconds:.2g} s of one core")


def _trials(found: ds.Prescription) -> None:
    """Print what was proved, a few lines a remedy, beside what it is held against."""
    told = found.yardstick
    print(f"  unchanged: {told.words} {told.shown(found.control)}; {told.luck}: {told.shown(found.reseeded)}")
    heads, *rows = found.rows()
    for mark, name, score, effect, luck, moved, steps in rows:
        print(f"{mark} {name}: {told.words} {score}")
        print(f"    {heads[3]}: {effect}; {heads[4]}: {luck}")
        print(f"    {moved}; {steps} steps")
    if found.note:
        show.sentence(found.note)


def _command(found: ds.Prescription) -> str | None:
    """Return the command that does what helped; None where nothing did or no command can."""
    mended: Any = found.mended
    if mended is None:
        return None
    if isinstance(mended, ds.Plan):
        return _descend(mended)
    choices = mended.explicit_choices
    plain = isinstance(mended.data, str | Path) and mended.model is None and not _WITHOUT_OPTION & choices.keys()
    if not plain or any(callable(choice) for choice in choices.values()):
        return None
    words = ["downslope", "train", shlex.quote(str(mended.data))]
    words += [] if mended.target is None else ["--target", shlex.quote(_text(mended.target))]
    for name, choice in choices.items():
        words += _option(name, choice)
    return " ".join(words)


def _option(name: str, choice: Any) -> list[str]:
    """Return a choice of `train` as it is typed."""
    option = network.as_option(name)
    if name in _TURNED_OFF:
        return [] if choice else [_TURNED_OFF[name]]
    if isinstance(choice, bool):
        return [option] if choice else []
    if name == "batch" and choice is None:
        return [option, "all"]
    if name not in inspect.signature(_network_commands.train).parameters:
        return ["--set", f"{name}={choice}"]
    return [option, shlex.quote(_text(choice))]


def _text(choice: Any) -> str:
    """Return a choice as text; several with commas between them."""
    if isinstance(choice, Mapping):
        return ",".join(f"{name}={str(told).lower() if told is None else told}" for name, told in choice.items())
    return ",".join(map(str, choice)) if isinstance(choice, list | tuple) else str(choice)


def _descend(plan: ds.Plan) -> str | None:
    """Return the command of a descent on a formula; None for other functions and for formulas over a table."""
    told = plan.description
    if plan.objective.formula is None or plan.objective.data:
        return None
    start = ",".join(f"{name}={float(number)!r}" for name, number in plan.start.items())
    words = ["downslope", "descend", shlex.quote(told["read_as"]), "--start", start, "--steps", str(plan.steps)]
    words += ["--method", shlex.quote(told["method"])] if told["method"] != "gradient descent" else []
    words += [] if told["learning_rate"] is None else ["--learning-rate", f"{told['learning_rate']:.12g}"]
    words += ["--schedule", told["schedule"]] if told["schedule"] != "constant" else []
    for name, option in (("clip_norm", "--clip-norm"), ("clip_value", "--clip-value"), ("seed", "--seed")):
        words += [option, str(told[name])] if told[name] else []
    for name, number in {**told["settings"], **told["schedule_settings"]}.items():
        words += ["--set", f"{name}={number}"]
    return " ".join(words)
