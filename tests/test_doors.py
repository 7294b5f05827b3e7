"""Every door answers what makes no sense with an error of its own: no raw TypeError, no AttributeError."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

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
    ds.prescribe: {"run": ds.plan("x²", {"x": 1.0}, learning_rate=0.1, steps=3), "seeds": 2, "budget": 10},
    ds.train: {"data": {"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]}, "target": "y", "hidden": (2,), "steps": 1}
    | {"probe_every": 0, "progress": False},
    ds.slope: {"objective": "x²", "at": {"x": 1.0}},
    ds.objective: {"source": "x²"},
    ds.derive: {"formula": "x²"},
    ds.chain: {"outer": "u²", "inner": "u = 3x"},
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
    raw = []
    for name, parameter in parameters.items():
        if (verb.__name__, name) in LEFT_OUT or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        for what, value in ODD.items():
            try:
                verb(**{**needed, **CALLS[verb], name: value})
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
