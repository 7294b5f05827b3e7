"""What the verbs of the page "Descend" reply, asked as functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab.asking import ask, refusal

import downslope as ds
from downslope.lab import replies
from downslope.lab._messages import LIMITS
from downslope.lab.processes import _main
from downslope.lab.replies._examples import EXAMPLES

VALLEY = {
    "formula": "f(x, y) = x² + 2y²",
    "start": {"x": 4, "y": 3},
    "rate": 0.1,
    "method": "gradient descent",
    "steps": 20,
}


def test_a_descent_is_the_one_of_the_library():
    told = ask("descend", **VALLEY)
    trace = ds.descend(VALLEY["formula"], start=VALLEY["start"], learning_rate=0.1, steps=20)
    assert told["path"]["x"] == pytest.approx(trace.coordinates[:, 0], rel=1e-6)
    assert told["values"] == pytest.approx(trace.columns["value"], rel=1e-6)
    assert told["end"] == {name: float(at) for name, at in trace.end.items()}
    assert told["verdict"]["sentence"] == ds.diagnose(trace)[0].sentence
    assert (told["steps_taken"], told["steps"]) == (20, list(range(21)))
    read = ask("steps", **VALLEY)
    assert read["lines"][0] == ["x = 4 − 0.1 × 8 = 3.2", "y = 3 − 0.1 × 12 = 1.8"]
    assert read["lines"][-1] == []
    assert read["cells"][1][:3] == ["1", "3.2", "1.8"]


@settings(max_examples=15)
@given(
    st.sampled_from(["x² + y²", "x⁴ - 3x²y + 2y⁴", "sin(x)·cos(y)", "e^(x - y²)", "√(1 + x²) + |y|", "-x² - y"]),
    st.floats(-5, 5),
    st.sampled_from(["gradient descent", "momentum", "adam", "bfgs"]),
    st.sampled_from([1e-3, 0.1, 3.0]),
)
def test_every_list_is_as_long_as_the_others(formula: str, x: float, method: str, rate: float):
    request = {**VALLEY, "formula": formula, "start": {"x": x, "y": 1}, "method": method, "rate": rate}
    told, read = ask("descend", **request), ask("steps", **request)
    rows = len(told["steps"])
    lists = [
        told["values"],
        read["cells"],
        read["lines"],
        read["steps"],
        *told["path"].values(),
        *told["gradients"].values(),
    ]
    assert {len(one) for one in lists} == {rows}
    assert {len(cells) for cells in read["cells"]} == {len(read["headings"])}
    assert told["steps"] == sorted(set(told["steps"]))
    assert all(low < high for low, high in told["box"].values())
    assert told["verdict"]["findings"][0]["sentence"] == told["verdict"]["sentence"] != ""


def test_what_is_not_finite_is_null():
    told = ask("descend", **{**VALLEY, "formula": "f(x, y) = x⁴ + y⁴", "rate": 1e3, "start": {"x": 1e3, "y": 1}})
    assert told["outcome"] == ds.Outcome.NOT_FINITE.value or told["value"] is None or math.isfinite(told["value"])
    told = ask("grid", formula="f(x) = 1/x", start={"x": 1}, box={"x": [-1, 1]}, over=["x"])
    assert len(told["curve"]["x"]) == len(told["curve"]["f"])
    told = ask(
        "grid",
        formula="f(x, y) = ln(x) + y",
        start={"x": 1, "y": 1},
        box={"x": [-1, 1], "y": [0, 1]},
        over=["x", "y"],
    )
    assert told["lines"]


def test_many_steps_are_thinned_and_keep_both_ends():
    told = ask("descend", **{**VALLEY, "steps": 5000, "rate": 1e-4})
    assert len(told["steps"]) <= LIMITS.rows
    assert (told["steps"][0], told["steps"][-1]) == (0, 5000)


def test_the_ground_is_as_high_as_the_objective():
    told = ask("grid", **VALLEY, box={"x": [-2, 2], "y": [-1, 1]}, over=["x", "y"])
    for line in told["lines"]:
        for piece in line["lines"]:
            across, up = np.array(piece).reshape(-1, 2).T / told["cells"]
            x, y = 4 * across - 2, 2 * up - 1
            assert x**2 + 2 * y**2 == pytest.approx(np.full(len(x), line["level"]), abs=0.02)
    curve = ask("grid", formula="f(x) = x² - 4x + 5", start={"x": 0}, box={"x": [0, 4]}, over=["x"])["curve"]
    x, height = (np.array(curve[name]) for name in ("x", "f"))
    assert height == pytest.approx(x**2 - 4 * x + 5, rel=1e-4)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.5])
def test_a_grid_fills_a_picture_so_that_a_unit_is_as_long_along_both_axes(ratio: float) -> None:
    fields = {"over": ["x", "y"], "grid": True, "ratio": ratio}
    box = {"x": [-2, 2], "y": [-1, 1]}
    for reply in (ask("grid", **VALLEY, **fields, box=box), ask("descend", **VALLEY, **fields, box=box)["grid"]):
        (left, right), (low, high) = reply["box"]["x"], reply["box"]["y"]
        assert (right - left) / (high - low) == pytest.approx(ratio)
        assert left <= -2 < 2 <= right
        assert low <= -1 < 1 <= high
    strange = {"x": [-2, 2], "y": [-100, 100]}
    assert ask("grid", **VALLEY, **fields, box=strange)["box"] == strange


def test_a_descent_whose_objective_cannot_be_drawn_comes_without_a_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ds.DownslopeError("no picture")

    monkeypatch.setattr("downslope.lab.replies._descent.grid_reply", refuse)
    assert ask("descend", **VALLEY, grid=True)["grid"] is None


def test_rates_are_those_of_a_sweep():
    told = ask("rates", formula="f(x) = x²", start={"x": 10}, method="gradient descent", steps=100)
    assert told["bound"] == pytest.approx(1)
    assert told["best"] == pytest.approx(0.5)
    assert told["text"] == "Stable up to α = 1, best α = 0.5."
    assert ask("rates", formula="f(x) = x²", start={"x": 10}, method="bfgs", steps=100)["best"] is None


def test_a_race_names_its_winner_and_shows_all_ways():
    told = ask("race", **VALLEY, methods=["gradient descent", "bfgs", "adam", "bfgs"])
    assert told["lanes"][0]["method"] == told["winner"]
    assert len(told["lanes"]) == 3
    for name, (low, high) in told["grid"]["box"].items():
        assert all(low <= at <= high for lane in told["lanes"] if lane["method"] != "adam" for at in lane["path"][name])
    curve = ask("race", formula="f(x) = x⁴ - 4x² + x", start={"x": 2}, steps=50, methods=["momentum", "newton"])
    assert curve["grid"]["f_range"][1] >= max(value for lane in curve["lanes"] for value in lane["values"])


def test_the_heights_of_a_surface_are_those_of_the_function():
    grid = ask(
        "grid", formula="f(x, y) = x² + 2y²", start={"x": 4, "y": 3}, box={"x": [-4, 4], "y": [-2, 2]}, heights=True
    )
    mesh = grid["heights"]
    heights = (
        mesh["low"] + (mesh["high"] - mesh["low"]) * np.reshape(mesh["values"], 2 * [mesh["side"]]) / mesh["steps"]
    )
    x, y = np.meshgrid(np.linspace(-4, 4, mesh["side"]), np.linspace(-2, 2, mesh["side"]))
    assert heights == pytest.approx(x**2 + 2 * y**2, abs=24 / 1000)
    gap = ask("grid", formula="ln(x) + y", start={"x": 1, "y": 1}, box={"x": [-1, 1], "y": [0, 1]}, heights=True)[
        "heights"
    ]
    assert min(gap["values"]) == -1
    assert ask("grid", formula="x² + y²", start={"x": 1, "y": 1})["heights"] is None
    assert refusal("grid", formula="x² + y²", start={"x": 1, "y": 1}, heights="yes")["kind"] == "RequestError"


def test_a_unit_is_as_long_along_both_axes_where_the_page_says_so():
    thin = {"formula": "x² + y²", "start": {"x": 1, "y": 1}, "box": {"x": [0, 100], "y": [0, 1]}, "ratio": 2.0}
    assert ask("grid", **thin)["box"] == {"x": [0, 100], "y": [0, 1]}
    box = ask("grid", **thin, equal=True)["box"]
    spans = [high - low for low, high in box.values()]
    assert spans[0] / spans[1] == pytest.approx(2)
    assert spans[0] >= 100
    # A box that was widened to this shape stays as it is, so that it can be kept in an address.
    again = ask("grid", **{**thin, "box": {name: list(span) for name, span in box.items()}})["box"]
    assert [end for span in again.values() for end in span] == pytest.approx(
        [end for span in box.values() for end in span]
    )


def test_rates_race_from_one_start():
    told = ask("sweep", **{**VALLEY, "method": "gradient descent"})
    rates = [lane["rate"] for lane in told["lanes"]]
    assert rates == sorted(rates)
    assert rates[0] < 0.5 < rates[-1]  # the bound of a quadratic is 2 over its largest curvature, 4
    assert told["lanes"][-1]["values"][-1] > told["lanes"][0]["values"][0] > told["lanes"][1]["values"][-1]
    assert "0.33" in told["winner"]
    assert "ds.sweep(" in told["python"]
    assert refusal("sweep", **{**VALLEY, "method": "newton"})["kind"] == "SettingError"


def test_a_formula_is_read_and_gets_a_start_that_has_a_slope():
    told = ask("read", formula="h(x, y) = 100 - x² - 2y²")
    assert (told["name"], told["variables"]) == ("h", ["x", "y"])
    for text in ("√(x²+1)", "ln(-x)", "1/(x-4)", "e^x", "e^(e^x)", "sin(1000x)"):
        start = ask("read", formula=text)["start"]
        assert math.isfinite(ds.slope(ds.objective(text), start).value)
    assert "no variable" in refusal("read", formula="3")["message"]


def test_a_derivation_ends_in_the_derivative():
    first, second = ask("derive", formula="f(x, y) = x² + 2y²")["derivations"]
    assert (first["by"], first["derivative"], second["derivative"]) == ("x", "2x", "4y")
    assert all(step["text"] and step["law"] for step in first["steps"])


def test_every_step_is_exported():
    told = ask("export", **{**VALLEY, "steps": 2000, "rate": 1e-3})
    lines = told["text"].splitlines()
    assert lines[0] == "step,x,y,value,gradient_norm"
    assert len(lines) == 2002
    assert float(lines[1].split(",")[1]) == 4


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.title)
def test_examples_descend_without_an_error(example: Any):
    told = ask(
        "descend",
        formula=example.formula,
        start=example.start,
        rate=example.rate,
        method=example.method,
        steps=example.steps,
    )
    assert told["verdict"]["sentence"]
    assert example.view is None or len(example.view) == 2 * len(example.start)


def test_a_steep_start_gets_a_gentle_rate():
    told = ask("descend", **{**VALLEY, "formula": "f(x, y) = 500x² + 300y²", "rate": None})
    assert told["rate"] == 0.001
    assert told["value"] < 1e-6


@pytest.mark.parametrize(
    ("verb", "request_", "kind", "said"),
    [
        ("read", {"formula": "x" * 3000}, "FormulaError", "reads up to 2000"),
        ("read", {"formula": "a+b+c+d+e_1+g+h+i+j+k"}, "FormulaError", "up to 8"),
        ("read", {"formula": "9^9^9^9"}, None, None),
        ("read", {}, "RequestError", "no formula"),
        ("descend", {**VALLEY, "steps": 10**9}, "SettingError", "up to 100000"),
        ("descend", {**VALLEY, "steps": 1.5}, "RequestError", "whole number"),
        ("descend", {**VALLEY, "start": {"x": "4", "y": 3}}, "RequestError", "not a number"),
        ("descend", {**VALLEY, "start": {"x": 4}}, "RequestError", "start of y"),
        ("descend", {**VALLEY, "method": "no such"}, "SettingError", "no such"),
        ("descend", {**VALLEY, "rate": -1}, "SettingError", ""),
        ("descend", {**VALLEY, "over": ["x", "x"]}, "RequestError", "two different"),
        ("grid", {**VALLEY, "box": {"x": [2, 1], "y": [0, 1]}}, "RequestError", "after its end"),
        ("race", {**VALLEY, "methods": []}, "RequestError", "1 to 8"),
        ("race", {**VALLEY, "methods": "adam"}, "RequestError", "list of names"),
        ("descend", {**VALLEY, "formula": "<script>alert(1)</script>"}, "FormulaError", ""),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(verb: str, request_: dict, kind: str | None, said: str | None):
    if kind is None:
        reply = _main.answer(replies.VERBS[verb], request_)
        assert reply.status in (200, 400)
        return
    error = refusal(verb, **request_)
    assert error["kind"] == kind
    assert said in error["message"]


@pytest.mark.parametrize("formula", ["f(x, y) = 100(y - x²)² + (1 - x)²", "ln x", "1e8x² + y²"])
def test_a_descent_without_a_start_reads_the_formula_and_begins_where_that_suits(formula):
    request = {"formula": formula, "method": "gradient descent", "rate": None, "steps": 20, "grid": True}
    reading = ask("read", formula=formula)
    at_once = ask("descend", **request)
    assert at_once.pop("reading") == reading
    afterwards = ask("descend", **request, start=reading["start"])
    assert afterwards.pop("reading") is None
    assert at_once == afterwards
