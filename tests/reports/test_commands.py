"""Every choice is read back from its typed form: the command that `as_command` writes, and the call of `as_python`."""

from __future__ import annotations

import random
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope.cli import _app
from downslope.cli._main import run

FORMULA, START = "Loss(w) = mean((price - w×size)²)", {"w": -0.1}
TABLE = {"size": [50.0, 100.0, 150.0], "price": [100.0, 200.0, 300.0]}
BOX = {"x": (-3.0, 3.0)}
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "descend": ("f(x) = -x² + x⁴", {"x": -1e-17}),
    "sweep": ("f(x) = x²", {"x": 1.0}, [0.1, 1 / 3]),
    "compare": ("f(x) = x²", {"x": 1.0}, ["gradient descent with noise", "adam"]),
    "multistart": ("f(x) = x²", BOX),
    "search": ("f(x) = x²", BOX),
    "fit": ("y = -a×x", "table.csv"),
    "train": (None, "my table.csv", "net price"),
    "find_learning_rate": ("f(x) = x²", {"x": 1.0}),
}
# Which method or schedule has a setting.
OWNERS = {"factor": {"schedule": "step"}, "every": {"schedule": "step"}, "warm_up": {"schedule": "warm-up"}}
# Values that no kind of choice suggests.
FURTHER: dict[str, tuple[Any, ...]] = {
    "units": ({"x": "m/s²", "f": "%"},),
    "ties": ({"b": "2×a - 1", "c": "a = b"},),
    "weights": ("of each", Path("w")),
    "begin": (
        {"steps": 3, "learning_rate": 1 / 3, "clip_norm": None, "revive": True},
        {"steps": 3, "method": "gradient descent", "weight_decay": 0, "momentum": 0.5},
        {"steps": 3, "learning_rate": lambda step: 0.1},
        {"steps": 3, "method": ds.method("momentum", momentum=0.5)},
    ),
    "drop": ("id", ("id", "net price"), ("a,b", "c"), "a;b", ["a=b"], (" a ",)),
    "record": (ds.Record(every=4), ds.Record(every=4, curvature=True), ds.Record(spectrum=False)),
    "learning_rate": (lambda step: 0.1 / (step + 1.0),),
    "schedule": (lambda step: 0.1, ds.schedule("step", 100, factor=0.3), ds.schedule("cosine", 100)),
    "method": (ds.method("adam", beta1=0.5), ds.method("gradient descent"), ds.method("lion").spec),
    "loss": (lambda outputs, targets: ((outputs - targets) ** 2).mean(),),
    "data": ("houses.csv", Path("houses.csv"), TABLE),
    "validation": (0, 0.25, 1 / 3, "rows.csv", Path("0.5"), "0.5", "iris", {"x": [1.0], "net price": [2.0]}),
    "start": ({"a": -0.0, "b": 1e300},),
    "bounds": ({"a": (None, 3), "b": (-1e-9, None)},),
    "fixed": ({"a": -1 / 3},),
    "sigma": (0.1, "error", "1e3", 1e3),
}


def values_of(choice: ds.Choice) -> Iterator[Any]:
    """Yield values of a choice: its names, numbers within its range that need all their digits, and odd ones."""
    draw = random.Random(choice.name)
    least, below = choice.least or choice.above or 0.0, choice.below or 1e3
    usual: Mapping[str, Any] = {
        "whole": lambda: [max(int(least), 1), draw.randint(2, 999), choice.most or 10**9],
        "number": lambda: [draw.uniform(least, below), np.float64(draw.uniform(least, below)), least + 1e-9],
        "rate": lambda: [draw.random(), 1e-300],
        "truth": lambda: [True, False],
        "name": lambda: choice.names,
        "sizes": lambda: [(), (5,), (64, 32), 7, [3, 3]],
        "batch": lambda: [None, 7],
    }
    # Settings of methods have ranges of their own, within which lie numbers below 1.
    yield from [1, 2] if choice.name in ("memory", "every", "warm_up") else [0.25, 1 / 3] if choice.is_setting else ()
    if choice.name not in ("validation", *(() if not choice.is_setting else (choice.name,))):
        yield from usual.get(str(choice.kind), list)()
    yield from FURTHER.get(choice.name, ())


def owner_of(name: str) -> dict[str, Any]:
    """Return the choices that make a setting one of the method or the schedule."""
    owners = [method for method in ds.method_names() if name in ds.method(method).settings]
    return OWNERS.get(name) or {"method": "adamw" if "adamw" in owners else owners[0]}


def cases(verb: Callable[..., Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each choice of a verb with choices that hold a value of it."""
    for name, choice in ds.choices(verb).items():
        if choice.noun == "run" or name in ("batches", "learning_rates", "centre", "spread"):
            continue
        for value in values_of(choice):
            setting = choice.is_setting and name != "weight_decay"
            yield name, {**(owner_of(name) if setting else {}), name: value}


class Call(Exception):  # noqa: N818  # no error: the end of a command that is not to run
    """What a verb was called with."""


def called(monkeypatch: pytest.MonkeyPatch, verb: Callable[..., Any], words: list[str]) -> tuple[Any, dict[str, Any]]:
    """Return the arguments that the command line calls a verb with."""

    def stand_in(*arguments: Any, **choices: Any) -> None:
        raise Call(arguments, choices)

    stand_in.__choices__ = ds.choices(verb)  # pyright: ignore[reportFunctionMemberAccess]
    with monkeypatch.context() as patched:
        patched.setattr(ds, verb.__name__, stand_in)
        with pytest.raises(Call) as ended:
            run(words)
    return ended.value.args


def plain(value: Any) -> Any:
    """Return a value for a comparison: a path as text, tuples as lists, records as their names."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return normal(value)
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value.name if isinstance(value, ds.MethodSpec) else value


def normal(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return choices as the command line makes them: methods and schedules by name, columns as one text."""
    named: dict[str, Any] = {}
    for name, value in choices.items():
        if isinstance(value, ds.Method | ds.Schedule):
            named |= {name: value.name, **value.settings}
        elif isinstance(value, ds.Record):
            named[name] = value.every
        elif name == "drop" and not isinstance(value, str):
            named[name] = ",".join(value)
        else:
            named[name] = plain(value)
    return named


@pytest.fixture(autouse=True)
def _built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build each command once for a test: its options are the same each time."""
    build, commands = _app._Commands._built, {}

    def built(group: Any, name: str) -> Any:
        return commands.get(name) or commands.setdefault(name, build(group, name))

    monkeypatch.setattr(_app._Commands, "_built", built)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, houses: str) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "houses.csv").write_bytes(Path(houses).read_bytes())
    return tmp_path


def plan_of(choices: Mapping[str, Any]) -> ds.Plan:
    arguments = (FORMULA, START) if "data" in choices else ARGUMENTS["descend"]
    return ds.plan(*arguments, **choices)


def evaluated(call: str, **names: Any) -> Any:
    """Return the value of a call that `as_python` wrote, of `ds.descend` as a plan and of `ds.train` as a setup."""
    verbs = {verb: names.pop(verb) for verb in ("descend", "train") if verb in names}
    return eval(call, {"ds": SimpleNamespace(Record=ds.Record, **verbs), **names})  # noqa: S307  # written just now


def same_plan(ours: ds.Plan, theirs: ds.Plan) -> bool:
    """Tell whether two plans take and record the same steps."""
    data = [{name: column.tolist() for name, column in plan.objective.data.items()} for plan in (ours, theirs)]
    schedules = [plan.schedule.function for plan in (ours, theirs)]
    alike = ours.description == theirs.description and ours.record == theirs.record and ours.start == theirs.start
    return alike and data[0] == data[1] and schedules[0] is schedules[1]


def is_typable(choices: Mapping[str, Any], verb: Callable[..., Any] = ds.descend) -> bool:
    """Tell whether text can stand for every value: functions, tables and columns with a separator have none."""
    return not any(
        callable(value)
        or (name == "record" and verb is ds.find_learning_rate)
        or (name == "record" and value not in (ds.Record(every=4),) and isinstance(value, ds.Record))
        or (name in ("data", "validation") and isinstance(value, Mapping))
        or (name == "begin" and any(map(callable, value.values())))
        or (name == "drop" and not isinstance(value, str) and any("," in column for column in value))
        or (name == "drop" and not isinstance(value, str) and any(column != column.strip() for column in value))
        or (name in ("validation", "sigma") and plain(value) in ("0.5", "1e3"))
        for name, value in choices.items()
    )


@pytest.mark.usefixtures("desk")
def test_a_plan_is_read_back_from_its_command_and_its_call(monkeypatch) -> None:
    wrong = []
    for name, choices in cases(ds.plan):
        plan = plan_of(choices)
        command = ds.as_command(plan)
        if is_typable(choices):
            assert command is not None, choices
            (objective, start), others = called(monkeypatch, ds.descend, shlex.split(command)[1:])
            if not same_plan(plan, ds.plan(objective, start, **others)):
                wrong.append((choices, command))
        elif command is not None:
            wrong.append((choices, command))
        names = {**choices, "data": TABLE, "schedule": plan.schedule.function}
        call = plan.as_python()
        again = evaluated(call, descend=ds.plan, **names)
        if not same_plan(plan, again):
            wrong.append((name, choices, call))
    assert wrong == []


@pytest.mark.usefixtures("desk")
def test_a_setup_is_read_back_from_its_command_and_its_call(monkeypatch) -> None:
    wrong = []
    for name, choices in cases(ds.train):
        setup = ds.Setup.of(*ARGUMENTS["train"], **choices)
        command = ds.as_command(setup)
        if is_typable(choices) and name != "start":
            assert command is not None, choices
            arguments, others = called(monkeypatch, ds.train, shlex.split(command)[1:])
            if plain(ds.Setup.of(*arguments, **others).all_choices) != plain(setup.all_choices):
                wrong.append((choices, command))
            assert arguments == ARGUMENTS["train"]
        elif command is not None:
            wrong.append((choices, command))
        again = evaluated(setup.as_python(), train=ds.Setup.of, **choices)
        if plain(again.all_choices) != plain(setup.all_choices) or again.target != setup.target:
            wrong.append((name, setup.as_python()))
    assert wrong == []


@pytest.mark.parametrize("verb", [ds.sweep, ds.compare, ds.multistart, ds.search, ds.fit, ds.find_learning_rate])
@pytest.mark.usefixtures("desk")
def test_a_call_is_read_back_from_its_command(verb, monkeypatch) -> None:
    wrong = []
    for name, choices in cases(verb):
        arguments = ARGUMENTS[verb.__name__]
        if name == "data":
            arguments = (FORMULA, {"w": (0.0, 1.0)} if verb in (ds.multistart, ds.search) else START, *arguments[2:])
        command = ds.as_command(verb, *arguments, **choices)
        if not is_typable(choices, verb):
            if command is not None:
                wrong.append((choices, command))
            continue
        assert command is not None, choices
        passed, others = called(monkeypatch, verb, shlex.split(command)[1:])
        if name in ("data", "units") and isinstance(passed[0], ds.Objective):
            others[name] = passed[0].file if name == "data" else dict(passed[0].units)
        usual = {option: choice.default for option, choice in ds.choices(verb).items()}
        if {**usual, **normal(others)} != {**usual, **normal(choices)}:
            wrong.append((choices, others, command))
        if plain(passed[1:]) != plain(arguments[1:]):
            wrong.append((arguments, passed))
    assert wrong == []
