"""Every door answers what makes no sense with an error of its own: no raw TypeError, no AttributeError."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

import downslope as ds

ODD: dict[str, Any] = {
    "None": None,
    "3": 3,
    "-1": -1,
    "2**70": 2**70,
    "1.5": 1.5,
    "nan": float("nan"),
    "text": "x",
    "bytes": b"x",
    "list": [],
    "dict": {},
    "empty array": np.zeros(0),
    "object": object(),
}
TRACE = ds.descend("x²", {"x": 1.0}, learning_rate=0.1, steps=3)
# How each verb is called with sense, small enough to be called often.
CALLS: dict[Callable[..., Any], dict[str, Any]] = {
    ds.descend: {"objective": "x²", "start": {"x": 1.0}, "steps": 3},
    ds.plan: {"objective": "x²", "start": {"x": 1.0}},
    ds.sweep: {"objective": "x²", "start": {"x": 1.0}, "learning_rates": [0.1], "steps": 3},
    ds.compare: {"objective": "x²", "start": {"x": 1.0}, "methods": ["gradient descent"], "steps": 3}
    | {"learning_rates": {"gradient descent": 0.1}},
    ds.multistart: {"objective": "x²", "bounds": {"x": (-1, 1)}, "starts": 3},
    ds.search: {"objective": "x²", "bounds": {"x": (-1, 1)}, "seconds": 0.01},
    ds.fit: {"equation": "y = a×x", "data": {"x": [1.0, 2.0, 3.0], "y": [2.0, 4.1, 6.0]}},
    ds.find_learning_rate: {"run": "x²", "start": {"x": 1.0}, "budget": 3},
    ds.prescribe: {"run": ds.plan("x²", {"x": 1.0}, learning_rate=0.1, steps=3), "seeds": 2, "trainings": 1},
    ds.train: {"data": {"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]}, "target": "y", "hidden": (2,), "steps": 1}
    | {"probe_every": 0, "layers_every": 0, "progress": False},
    ds.slope: {"objective": "x²", "at": {"x": 1.0}},
    ds.objective: {"source": "x²"},
    ds.derive: {"formula": "x²"},
    ds.chain: {"outer": "u²", "inner": ("u = 3x",)},
    ds.formula: {"text": "x²"},
    ds.critical_points: {"formula": "x²", "bounds": {"x": (-1, 1)}},
    ds.backprop: {"objective": "x²", "at": {"x": 1.0}},
    ds.diagnose: {"trace": TRACE},
    ds.save: {},
    ds.load: {},
    ds.export: {},
    ds.predict: {},
    ds.unit_pass: {"network": ds.network(2, [ds.Dense(2)]), "example": np.zeros(2), "target": 0},
    ds.equation: {"text": "y = a×x", "data": {"x": [1.0], "y": [1.0]}},
    ds.read_cells: {},
    ds.write_table: {"table": {"x": [1.0]}, "file": "nowhere/x"},
    ds.examples: {"data": "iris"},
    ds.network: {"inputs": 2, "layers": [ds.Dense(2)]},
    ds.method: {"spec": "adam"},
    ds.schedule: {"course": "step", "steps": 10},
    ds.report: {},
    ds.summary: {},
    ds.as_command: {},
    ds.choices: {},
    ds.read_table: {"source": {"x": [1.0]}},
}
# What would run for long, or writes files.
LEFT_OUT = {("train", "save"), ("search", "seconds"), ("save", "folder"), ("export", "file"), ("as_command", "options")}
SLOW = (ds.train, ds.prescribe, ds.find_learning_rate, ds.compare)


def raw_errors(verb: Callable[..., Any]) -> list[str]:
    """Return the calls that ended in an error which is not downslope's, each with that error."""
    parameters = inspect.signature(verb).parameters
    needed = {
        key: None for key, one in parameters.items() if one.default is one.empty and one.kind is not one.VAR_POSITIONAL
    }
    gathered = next((key for key, one in parameters.items() if one.kind is one.VAR_POSITIONAL), None)

    def call(values: dict[str, Any]) -> None:
        if gathered not in values:
            verb(**values)
            return
        before = [values.pop(key) for key in list(parameters)[: list(parameters).index(gathered)]]
        verb(*before, *values.pop(gathered), **values)

    raw = []
    for name, parameter in parameters.items():
        further = parameter.kind is parameter.VAR_POSITIONAL and name in CALLS[verb]
        if (verb.__name__, name) in LEFT_OUT or (
            parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) and not further
        ):
            continue
        for what, value in ODD.items():
            try:
                call({**needed, **CALLS[verb], name: (value,) if further else value})
            except ds.DownslopeError:
                pass
            except Exception as error:
                raw.append(f"{verb.__name__}({name}={what}): {type(error).__name__}: {str(error)[:80]}")
    return raw


@pytest.mark.parametrize(
    "verb", [pytest.param(verb, marks=[pytest.mark.slow] * (verb in SLOW), id=verb.__name__) for verb in CALLS]
)
def test_only_errors_of_downslope_come(verb: Callable[..., Any]) -> None:
    assert raw_errors(verb) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda: ds.descend("x²", 1.0, seed=2**70),
        lambda: ds.descend("x²", 1.0, record=10**30),
        lambda: ds.search("x⁴", bounds={"x": (-3, 3)}, seed=2**70),
        lambda: ds.sweep("x²", 1.0, [10**400]),
        lambda: ds.train("iris", steps=10**30),
        lambda: ds.train("iris", steps=3, seed=2**40),
        lambda: ds.train("iris", steps=3, hidden=10**12),
    ],
)
def test_numbers_that_no_program_holds_are_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(ds.DownslopeError):
        call()


def test_a_setting_of_another_method_names_that_method() -> None:
    with pytest.raises(ds.SettingError) as raised:
        ds.descend("x²", 1.0, momentum=0.9)
    assert raised.value.hint == "it is a setting of momentum and nesterov: method='momentum'"


def test_a_fit_without_an_equation_says_so() -> None:
    with pytest.raises(ds.FormulaError, match="no equation"):
        ds.fit("coffee.csv")


# --- no argument is ignored -----------------------------------------------------------------------------------------

TEXT, POINT, COLUMNS = "f(x, y) = x² + y", {"x": 1.0, "y": 2.0}, {"y": [1.0, 2.0]}
LEARNT = ds.formula("x² + y")
GOAL, PLAN = ds.objective(TEXT), ds.plan("x²", 1.0)


def bowl(point: Any) -> Any:
    return (point["x"] ** 2).sum()


# A call by each form of its first argument, and further arguments with a value that says something.
FORMS: list[tuple[str, Callable[..., Any], dict[str, Any]]] = [
    ("objective of an objective", lambda **more: ds.objective(GOAL, **more), {"data": COLUMNS, "units": {"x": "m"}}),
    ("objective of an objective", lambda **more: ds.objective(GOAL, **more), {"name": "g", "precision": "float32"}),
    ("objective of text", lambda **more: ds.objective("x²", **more), {"name": "g", "precision": "float32"}),
    ("objective of text", lambda **more: ds.objective("x²", **more), {"units": {"x": "m"}}),
    ("objective of a function", lambda **more: ds.objective(bowl, **more), {"data": COLUMNS, "units": {"x": "m"}}),
    ("slope of an objective", lambda **more: ds.slope(GOAL, POINT, **more), {"data": COLUMNS, "units": {"x": "m"}}),
    ("slope of a function", lambda **more: ds.slope(bowl, {"x": np.ones(1)}, **more), {"units": {"x": "m"}}),
    ("backprop of an objective", lambda **more: ds.backprop(GOAL, POINT, **more), {"data": COLUMNS}),
    ("descend from a plan", lambda **more: ds.descend(PLAN, **more), {"start": 2.0, "steps": 3, "units": {"x": "m"}}),
    ("find a rate for a plan", lambda **more: ds.find_learning_rate(PLAN, **more), {"start": 2.0, "steps": 3}),
    ("plan of an objective", lambda **more: ds.plan(GOAL, POINT, **more), {"data": COLUMNS, "units": {"x": "m"}}),
    ("plan with batches", lambda **more: ds.plan("x²", 1.0, **more), {"batches": ds.Batches()}),
    ("plan by newton", lambda **more: ds.plan("x²", 1.0, method="newton", **more), {"factor": 0.5, "warm_up": 3}),
    ("plan by a rate", lambda **more: ds.plan("x²", 1.0, learning_rate=bowl, **more), {"every": 3, "schedule": "step"}),
    ("plan by a schedule", lambda **more: ds.plan("x²", 1.0, schedule=bowl, **more), {"learning_rate": 0.1}),
    ("schedule", lambda **more: ds.schedule(ds.schedule("step", 9), 9, **more), {"factor": 0.3, "every": 2, "x": 1}),
    ("schedule of a function", lambda **more: ds.schedule(bowl, 9, **more), {"factor": 0.3, "x": 1}),
    ("formula of a formula", lambda **more: ds.formula(LEARNT, **more), {"columns": ["y"], "units": {"x": "m"}}),
    ("derivative", lambda **more: ds.derive(LEARNT, "x", **more).formula, {"columns": ["y"], "units": {"x": "m"}}),
    ("command of a plan", lambda **more: ds.as_command(PLAN, **more), {"steps": 3, "nosuch": 1}),
    ("command of a call", lambda **more: ds.as_command(ds.descend, "x²", 1.0, **more), {"nosuch": 1}),
    ("prescription for a plan", lambda **more: ds.prescribe(PLAN, **more), {"data": COLUMNS, "model": [ds.Dense(1)]}),
]


@pytest.mark.parametrize(("call", "further"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS])
def test_an_argument_is_refused_or_changes_the_result(call: Callable[..., Any], further: dict[str, Any]) -> None:
    usual, ignored = None, []
    for name, value in further.items():
        try:
            result = call(**{name: value})
        except ds.DownslopeError:
            continue
        usual = usual or call()
        if repr(result) == repr(usual):
            ignored.append(name)
    assert ignored == []


NUMBERS = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
SIGNS = (NUMBERS[:, 0] > 0).astype(int)
RUNS: dict[str, dict[str, Any]] = {
    "layers": {"model": [ds.Dense(2), ds.Dense(1)], "data": (NUMBERS, SIGNS)},
    "stream": {"data": [(NUMBERS[:6], SIGNS[:6]), (NUMBERS[6:], SIGNS[6:])]},
    "loss function": {
        "model": lambda params, batch: ((batch[0] @ params["w"] - batch[1]) ** 2).mean(),
        "data": [(NUMBERS[:6], SIGNS[:6]), (NUMBERS[6:], SIGNS[6:])],
        "start": {"w": np.zeros(2, np.float32)},
    },
}
OTHER = {"hidden": (3,), "convolutions": (2,), "activation": "tanh", "initialisation": "glorot_normal", "skip": True}
OTHER |= {"normalisation": "layer", "dropout": 0.5, "output_activation": "sigmoid", "loss": "mae", "from_logits": False}
OTHER |= {"missing": "mean", "task": "numbers", "drop": ["a"], "target": "y", "l2": 0.1}


def fingerprint(setup: ds.Setup) -> str:
    plan = setup.plan()
    facts = plan.objective.batched.facts if plan.objective.batched else {}
    start = [float(np.sum(leaf)) for leaf in jax.tree.leaves(plan.start)]
    return repr((plan.description, start, facts, setup.task.batch))


@pytest.mark.parametrize("run", RUNS)
def test_a_choice_of_a_training_is_refused_or_changes_it(run: str) -> None:
    usual, ignored = fingerprint(ds.Setup.of(**RUNS[run], steps=9)), []
    for name, value in OTHER.items():
        try:
            if fingerprint(ds.Setup.of(**{**RUNS[run], "steps": 9, name: value})) == usual:
                ignored.append((run, name))
        except ds.DownslopeError:
            continue
    assert ignored == []


@pytest.mark.parametrize("start", [np.zeros(0), {"w": np.zeros(0)}, {"a": np.zeros((0, 3)), "b": {}}, [], {}])
def test_a_point_without_a_number_is_refused(start: Any) -> None:
    works: tuple[Callable[[], Any], ...] = (
        lambda: ds.plan(lambda point: 3.0, start),
        lambda: ds.slope(lambda point: 3.0, start),
        lambda: ds.train(lambda point, batch: 3.0, np.ones((5, 2)), start=start, steps=2, progress=False),
    )
    for work in works:
        with pytest.raises(ds.PointError, match="holds no numbers"):
            work()


def test_a_constant_is_a_function() -> None:
    start = {"w": 1.0, "nothing": np.zeros(0)}
    assert ds.descend(lambda point: 3.0, start, steps=3, progress=False).value == 3.0
    assert ds.slope(lambda point: 3.0, start).value == 3.0
    training = ds.train(
        lambda point, batch: 3.0, np.ones((5, 2)), start={"w": np.ones(2)}, steps=2, progress=False, probe_every=0
    )
    assert training.trace.value == 3.0
