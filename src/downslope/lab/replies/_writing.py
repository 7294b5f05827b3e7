"""Descents, races, fits, trainings and saved runs as Python and as a command to type."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import downslope as ds


def python(plan: ds.Plan) -> str:
    """Return the program that takes the same steps."""
    return f"import downslope as ds\n\ntrace = {plan.as_python()}\nprint(trace)\nprint(ds.diagnose(trace))\n"


def command(plan: ds.Plan) -> str:
    """Return the command line that takes the same steps."""
    words = ["downslope", "descend", plan.objective.read_as, "--start", point(plan.start)]
    if plan.method.takes_rate:
        words += ["--learning-rate", repr(plan.learning_rate)]
    if plan.method.name != "gradient descent":
        words += ["--method", plan.method.name]
    return shlex.join([*words, "--steps", str(plan.steps)])


def race_python(formula: str, start: Mapping[str, float], methods: Sequence[str], steps: int) -> str:
    """Return the program that runs the same race."""
    return (
        f"import downslope as ds\n\nrace = ds.compare({formula!r}, {dict(start)!r}, {list(methods)!r}, steps={steps})\n"
        "print(race)\n"
    )


def race_command(formula: str, start: Mapping[str, float], methods: Sequence[str], steps: int) -> str:
    """Return the command line that runs the same race."""
    words = ["downslope", "compare", formula, "--start", point(start), "--steps", str(steps)]
    return shlex.join([*words, *(word for name in methods for word in ("--method", name))])


def point(start: Mapping[str, float]) -> str:
    """Return a point as `--start` reads it."""
    return ",".join(f"{name}={float(value)!r}" for name, value in start.items())


def fit_python(formula: str, table: str, arguments: Mapping[str, Any]) -> str:
    """Return the program that makes the same fit."""
    more = "".join(f", {name}={choice!r}" for name, choice in arguments.items())
    call = f"ds.fit({formula!r}, {table!r}{more})"
    return f"import downslope as ds\n\nresult = {call}\nprint(result)\nprint(result.findings)\n"


def fit_command(formula: str, table: str, arguments: Mapping[str, Any]) -> str:
    """Return the command line that makes the same fit."""
    words = ["downslope", "fit", table, formula]
    for name, choice in arguments.items():
        words += [f"--{name.replace('_', '-')}", point(choice) if isinstance(choice, Mapping) else str(choice)]
    return shlex.join(words)


def train_python(setup: ds.Setup) -> str:
    """Return the program that trains the same network."""
    return (
        f"import downslope as ds\n\ntraining = {setup.as_python()}\nprint(training)\n"
        "print(ds.diagnose(training.trace))\n"
    )


def train_command(setup: ds.Setup) -> str | None:
    """Return the command line that trains the same network; None for choices that it has no words for."""
    words = ["downslope", "train", str(setup.data)]
    if setup.target is not None:
        words += ["--target", str(setup.target)]
    for name, choice in setup.explicit_choices.items():
        option = _option(name, choice)
        if option is None:
            return None
        words += option
    return shlex.join(words)


_TRAIN_OPTIONS = frozenset(
    {
        "accumulate",
        "activation",
        "clip_norm",
        "clip_value",
        "dropout",
        "initialisation",
        "l2",
        "learning_rate",
        "loss",
        "method",
        "normalisation",
        "output_activation",
        "patience",
        "schedule",
        "seed",
        "steps",
        "validation",
        "weight_decay",
    }
)
_SETTINGS = frozenset({"momentum", "noise", "warm_up"})


def _option(name: str, choice: Any) -> list[str] | None:
    """Return a choice of a training as the command line has it."""
    flag = f"--{name.replace('_', '-')}"
    if name in _TRAIN_OPTIONS:
        return [flag, str(choice)]
    if name in _SETTINGS:
        return ["--set", f"{name}={choice}"]
    if name == "hidden":
        return [flag, ",".join(map(str, choice))]
    if name == "batch":
        return [flag, "all" if choice is None else str(choice)]
    if name == "begin" and isinstance(choice, Mapping):
        return [flag, ",".join(f"{part}={value}" for part, value in choice.items())]
    return {("skip", True): ["--skip"], ("standardise", False): ["--no-standardise"]}.get((name, choice))


def run_python(folder: str) -> str:
    """Return the program that shows a saved run."""
    return f"import downslope as ds\n\ntrace = ds.load({folder!r})\nprint(trace)\nprint(ds.diagnose(trace))\n"


def run_command(folder: str) -> str:
    """Return the command line that shows a saved run."""
    return shlex.join(["downslope", "diagnose", folder])


def runs_python(folders: Sequence[str]) -> str:
    """Return the program that shows saved runs one after the other."""
    return (
        f"import downslope as ds\n\nfor folder in {list(folders)!r}:\n    trace = ds.load(folder)\n"
        "    print(folder, trace.value, ds.diagnose(trace).symptoms)\n"
    )
