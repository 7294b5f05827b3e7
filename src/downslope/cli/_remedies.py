"""The commands that repeat a run with changes: find-rate and prescribe."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import downslope as ds
from downslope.cli import _options as options
from downslope.cli import _print as _pictures
from downslope.cli import _print as show
from downslope.cli._descents import FormulaRun

Subject = Annotated[str, typer.Argument(metavar="FORMULA|DATA", help="A formula; or a table or a sample to train on.")]
Run = Annotated[
    str, typer.Argument(metavar="DIR|FORMULA", help="A run saved with `train --save`; or a formula to descend on.")
]
Target = Annotated[str | None, typer.Option("--target", metavar="COLUMN", help="The column to predict.")]
_NOT_FOR_RATES = (
    *("learning_rate", "begin", "patience", "evaluate_every", "probe_every", "layers_every"),
    *("save", "resume", "overwrite"),
)


@options.takes(
    "find_learning_rate",
    "train",
    without=_NOT_FOR_RATES,
    method="How to step; gradient descent, or adam for a network.",
    steps="Steps of the whole run; 100, or 2000 for a network.",
    tolerance="Stop when the norm of the gradient falls to this.",
    batch="Examples per step; 32.",
)
def find_rate(
    subject: Subject,
    start: options.Start = None,
    target: Target = None,
    *,
    plot: options.Plot = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    **choices: Any,
) -> None:
    """Find a learning rate, and check it by short runs."""
    _pictures.check_file(plot)  # before the search, which may take a while
    if "learning_rate" in choices:
        raise ds.SettingError("find-rate determines the learning rate", hint="leave it out")
    if _is_data(subject):
        _refuse("a network", {"start": start, **choices}, {"budget", "executor", *ds.choices(ds.train)} - {"start"})
        of_search = {name: choices.pop(name) for name in ("budget", "executor") if name in choices}
        result = ds.find_learning_rate(ds.Setup.of(None, subject, target, **choices), **of_search)
    else:
        _refuse("a formula", {"target": target, **choices}, set(ds.choices(ds.find_learning_rate)))
        run = FormulaRun(subject, start, choices)
        objective = run.objective()
        result = ds.find_learning_rate(objective, run.point(objective), **run.others)
    written = {} if plot is None else {"plot": str(_pictures.write_figure(lambda: ds.draw.learning_rate(result), plot))}
    show.result(result, written, for_program=json, quiet=quiet)


def _is_data(text: str) -> bool:
    """Tell whether a text names a sample or a table and is no formula."""
    return text.strip().lower().replace("_", " ").replace("-", " ") in ds.sample_names() or (
        "=" not in text and Path(text).suffix.lower() in ds.table_suffixes()
    )


def _refuse(what: str, choices: Mapping[str, Any], usable: set[str]) -> None:
    """Raise for an option that does not apply to a formula or to a network."""
    idle = next((name for name, choice in choices.items() if choice is not None and name not in usable), None)
    if idle is not None:
        raise ds.SettingError(
            f"{options.as_option(idle)} does not apply to {what}",
            hint='a formula has a start: "f(x) = x²" --start x=1; a network has data: digits, or a CSV with --target',
        )


@options.takes("prescribe", "descend", tolerance="Stop when the norm of the gradient falls to this.")
def prescribe(
    run: Run,
    start: options.Start = None,
    *,
    plot: options.Plot = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    **choices: Any,
) -> None:
    """Try remedies for a run, and report which of them helped."""
    _pictures.check_file(plot)  # before the trials, which may take a while
    of_prescription = {name: choices.pop(name) for name in ("seeds", "trainings", "executor") if name in choices}
    if os.path.isdir(run):  # Path.is_dir raises for folders that are closed to this user
        result = ds.prescribe(run, data=choices.get("data"), **of_prescription)
    else:
        typed = FormulaRun(run, start, choices)
        objective = typed.objective()
        result = ds.prescribe(ds.plan(objective, typed.point(objective), **typed.others), **of_prescription)
    written = {} if plot is None else {"plot": str(_pictures.write_figure(lambda: ds.draw.prescription(result), plot))}
    if json:
        show.as_json(prescription_as_dict(result) | written)
        return
    print_prescription(result, quiet=quiet)
    show.files(written)


def prescription_as_dict(result: ds.Prescription) -> dict[str, Any]:
    """Return what `--json` prints of a prescription."""
    return {**result.as_dict(), "command": ds.as_command(result)}


def print_prescription(result: ds.Prescription, *, quiet: bool) -> None:
    """Print what helped."""
    if quiet:
        print(result.verdict)
        return
    show.labelled("Found", *(finding.symptom for finding in result.diagnosis))
    print()
    show.sentence(result.verdict)
    if result.trials:
        print()
        _print_trials(result)
    if result.mended is not None:
        print()
        for label, text in (("Command", ds.as_command(result)), ("Python", result.mended.as_python())):
            if text is not None:
                print(f"{label:<9}{text}")
    if result.tried:
        print(f"Cost     {result.steps} steps, {result.seconds:.2g} s of one core")


def _print_trials(result: ds.Prescription) -> None:
    """Print what was proved, a few lines a remedy, beside what it is held against."""
    score = result.yardstick
    luck = f"; {score.luck}: {score.shown(result.reseeded)}" if result.reseeded else ""
    print(f"  unchanged: {score.words} {score.shown(result.control)}{luck}")
    heads, *rows = result.rows()
    for mark, name, reached, effect, *others, moved, steps in rows:
        print(f"{mark} {name}: {score.words} {reached}")
        compared = zip(heads[3:], (effect, *others), strict=False)
        print("    " + "; ".join(f"{head}: {difference}" for head, difference in compared))
        print(f"    {moved}; {steps} steps")
    for sentence in filter(None, (result.note, result.reason)):
        show.sentence(sentence)
