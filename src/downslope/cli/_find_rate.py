"""`downslope find-rate`: a learning rate for a formula or a network, checked before it is offered."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import downslope as ds
from downslope.cli import _network_options as network
from downslope.cli import _options as options
from downslope.cli import _print as show

Thing = Annotated[
    str, typer.Argument(metavar="FORMULA|DATA", help="A formula; or a CSV or Parquet file or a sample, to train on.")
]
Steps = Annotated[
    int | None, typer.Option("--steps", "-n", metavar="N", help="Of the whole run; 100, or 2000 for a network.")
]
MethodName = Annotated[
    str | None, typer.Option("--method", "-m", help="How to step; gradient descent, or adam for a network.")
]
Batch = Annotated[str | None, typer.Option("--batch", metavar="N|all", help="Examples of a step; 32.")]
Tolerance = Annotated[
    float | None, typer.Option("--tolerance", help="Stop when the norm of the gradient falls to this.")
]
Budget = Annotated[
    int | None, typer.Option("--budget", metavar="N", help="Steps of each check; 200, or 100 for a network, at most.")
]


def find_rate(
    thing: Thing,
    start: options.Start = None,
    target: network.Target = None,
    steps: Steps = None,
    budget: Budget = None,
    method: MethodName = None,
    setting: options.Setting = None,
    schedule: options.ScheduleName = None,
    tolerance: Tolerance = None,
    data: options.Data = None,
    unit: options.Unit = None,
    hidden: network.Hidden = None,
    convolutions: network.Convolutions = None,
    activation: network.Activation = None,
    initialisation: network.Initialisation = None,
    normalisation: network.Normalisation = None,
    skip: network.Skip = False,
    dropout: network.Dropout = None,
    output_activation: network.OutputActivation = None,
    loss: network.Loss = None,
    batch: Batch = None,
    validation: network.Validation = None,
    weight_decay: network.WeightDecay = None,
    l2: network.L2 = None,
    clip_norm: options.ClipNorm = None,
    clip_value: options.ClipValue = None,
    accumulate: network.Accumulate = None,
    mixed_precision: network.MixedPrecision = False,
    missing: network.Missing = None,
    task: network.Task = None,
    drop: network.Drop = None,
    no_standardise: network.NoStandardise = False,
    seed: options.Seed = 0,
    plot: options.Plot = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Find a learning rate by a range test and by curvature, and check it by short runs."""
    both = network.given(
        steps=steps, method=method, schedule=schedule, clip_norm=clip_norm, clip_value=clip_value, seed=seed
    )
    of_formula = network.given(start=start, tolerance=tolerance, data=data, unit=unit)
    of_network = network.choices(
        target=target,
        hidden=hidden,
        convolutions=convolutions,
        activation=activation,
        initialisation=initialisation,
        normalisation=normalisation,
        skip=skip,
        dropout=dropout,
        output_activation=output_activation,
        loss=loss,
        validation=validation,
        weight_decay=weight_decay,
        l2=l2,
        accumulate=accumulate,
        mixed_precision=mixed_precision,
        missing=missing,
        task=task,
        drop=drop,
        no_standardise=no_standardise,
    ) | ({} if batch is None else {"batch": network.batch(batch)})
    from downslope.cli import _draw

    if plot is not None:
        _draw.check_suffix(plot)  # here, since it may take a while
    if _is_data(thing):
        _refuse(of_formula, "a network")
        found = _of_network(thing, {**both, **of_network}, options.settings(setting), budget)
    else:
        _refuse(of_network, "a formula")
        found = _of_formula(thing, of_formula, {**both, **options.settings(setting)}, budget)
    written = {}
    if plot is not None:
        written["plot"] = str(_draw.write_figure(lambda: [ds.draw.learning_rate(found)], plot))
    show.found(found, written, for_program=json, quiet=quiet)


def _is_data(text: str) -> bool:
    """Tell whether a text names a sample or a table and is no formula."""
    return text.strip().lower().replace("_", " ").replace("-", " ") in ds.sample_names() or (
        "=" not in text and Path(text).suffix.lower() in ds.table_suffixes("read")
    )


def _refuse(choices: Mapping[str, Any], what: str) -> None:
    """Raise for an option that says nothing of what was given."""
    if choices:
        raise ds.SettingError(
            f"{network.as_option(next(iter(choices)))} says nothing of {what}",
            hint='a formula has a start: "f(x) = x²" --start x=1; a network has data: digits, or a CSV with --target',
        )


def _of_formula(text: str, asked: Mapping[str, Any], choices: Mapping[str, Any], budget: int | None) -> ds.RateFinding:
    """Return what was found for a formula."""
    objective = ds.objective(text, asked.get("data"), units=options.pairs(asked.get("unit"), "--unit") or None)
    start = options.point(asked.get("start"), "--start", objective.names or ())
    tolerance = {"tolerance": asked["tolerance"]} if "tolerance" in asked else {}
    return ds.find_learning_rate(objective, start, budget=budget, **tolerance, **choices)


def _of_network(data: str, choices: dict[str, Any], settings: Mapping[str, Any], budget: int | None) -> ds.RateFinding:
    """Return what was found for a network."""
    of_train = {name for name, choice in ds.choices(ds.train).items() if not choice.is_setting}
    known = of_train | set(inspect.signature(find_rate).parameters)
    if "learning_rate" in settings:
        raise ds.SettingError("the learning rate is what is looked for", hint="leave it out")
    network.refuse_options(settings, known)
    target, plain = choices.pop("target", None), choices.pop("no_standardise", False)
    with network.told_as_typed(known):
        setup = ds.Setup.of(None, data, target, **choices, **settings, standardise=not plain)
        return ds.find_learning_rate(setup, budget=budget)
