"""What the verbs of the lessons on learning reply, against independent values."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from lab.asking import ask, refusal
from scipy.optimize import minimize

import downslope as ds

HOUSES = "50 100; 100 200; 150 300"
X = sympy.Symbol("x")


@pytest.mark.parametrize(
    ("points", "x", "y"),
    [
        (HOUSES, [50, 100, 150], [100, 200, 300]),
        ("1,5 2; 2,25 -3\n4 0", [1.5, 2.25, 4], [2, -3, 0]),
        ("1,2;3,5;−4,7", [1, 3, -4], [2, 5, 7]),
        ("1e3, 2; 5, 6;", [1000, 5], [2, 6]),
    ],
)
def test_the_loss_of_each_line_and_its_slopes_are_those_of_the_points(points, x, y):
    reply = ask("line", points=points)
    x, y = np.array(x, float), np.array(y, float)
    assert (reply["x"], reply["y"]) == (x.tolist(), y.tolist())
    w, b = np.meshgrid(reply["w"], reply["b"])
    misses = y[:, None, None] - w * x[:, None, None] - b
    scale = float((misses**2).mean(axis=0).max())
    assert np.allclose(reply["loss"], (misses**2).mean(axis=0), rtol=1e-4, atol=1e-4 * scale)
    by_w, by_b = -2 * (misses * x[:, None, None]).mean(axis=0), -2 * misses.mean(axis=0)
    assert np.allclose(reply["by_w"], by_w, rtol=1e-3, atol=1e-4 * np.abs(by_w).max())
    assert np.allclose(reply["by_b"], by_b, rtol=1e-3, atol=1e-4 * np.abs(by_b).max())
    best = np.linalg.lstsq(np.column_stack([x, np.ones_like(x)]), y, rcond=None)[0]
    assert [reply["best"]["w"], reply["best"]["b"]] == pytest.approx(best, rel=1e-6, abs=1e-6)
    for name, value in zip("wb", best, strict=True):
        low, high = reply["box"][name]
        assert low <= min(value, 0) + 1e-9
        assert high >= max(value, 0) - 1e-9
    formula = ds.formula(reply["formula"])
    assert formula(w=0.5, b=-1.0) == pytest.approx(np.mean((y - 0.5 * x + 1) ** 2))


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ("1 2", "1 points were given"),
        ("1 2; 1 3", "same first number"),
        ("1 2 3; 4 5", "not a point"),
        ("a b; 1 2", "not a point"),
        ("inf 1; 2 3", "not finite"),
        (";".join(f"{x} 1" for x in range(13)), "13 points were given"),
    ],
)
def test_points_that_are_none_are_refused_in_words(points, words):
    assert words in refusal("line", points=points)["message"]


@pytest.mark.parametrize(
    ("formula", "inner", "outer"),
    [
        ("Q(t) = 5t; t(T) = 380 - 2T", 380 - 2 * X, lambda u: 5 * u),
        ("y = sin(u); u = x²", X**2, sympy.sin),
        ("u³ - u; 2x + 1", 2 * X + 1, lambda u: u**3 - u),
        ("exp(-u); u = ln(x)", sympy.log(X), lambda u: sympy.exp(-u)),
    ],
)
def test_rates_of_a_chain_are_those_of_sympy_and_multiply(formula, inner, outer):
    reply = ask("chain", formula=formula)
    whole = outer(inner)
    for name, expression in {
        "u": inner,
        "y": whole,
        "inner": sympy.diff(inner, X),
        "whole": sympy.diff(whole, X),
    }.items():
        exact = np.broadcast_to(sympy.lambdify(X, expression, "numpy")(np.array(reply["x"])), len(reply["x"]))
        assert np.allclose(np.array(reply[name], float), exact, rtol=1e-4, atol=1e-5), name
    assert np.allclose(np.multiply(reply["inner"], reply["outer"]), reply["whole"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("formula", "words"),
    [("sin(x²)", "1 formulas were given"), ("a·b; b = x", ""), ("u; u = x·y", ""), ("sin(; u = x", "")],
)
def test_what_is_no_chain_of_two_is_refused(formula, words):
    assert words in refusal("chain", formula=formula)["message"]


def test_the_gradients_of_a_network_and_the_loss_after_a_step_are_those_of_sympy():
    text = "L = (2 - (v1·sigmoid(w1·x1 + w2·x2) + v2·sigmoid(w3·x1 + w4·x2)))²"
    at = {"x1": 1.5, "x2": -0.5, "w1": 0.3, "w2": 0.8, "w3": -1.0, "w4": 0.4, "v1": 1.2, "v2": -0.7}
    moved = [name for name in at if name[0] in "wv"]
    reply = ask("backprop", formula=text, at=at, rate=0.25, moved=moved)
    names = {name: sympy.Symbol(name) for name in at}
    sigmoid = lambda z: 1 / (1 + sympy.exp(-z))  # noqa: E731 - a formula
    x1, x2, w1, w2, w3, w4, v1, v2 = names.values()
    loss = (2 - (v1 * sigmoid(w1 * x1 + w2 * x2) + v2 * sigmoid(w3 * x1 + w4 * x2))) ** 2
    slopes = {name: float(sympy.diff(loss, names[name]).subs(at)) for name in at}
    nodes = {node["name"]: node for node in reply["nodes"]}
    assert {name: nodes[name]["gradient"] for name in at} == pytest.approx(slopes, rel=1e-7)
    assert reply["nodes"][-1]["value"] == pytest.approx(float(loss.subs(at)), rel=1e-7)
    after = {**at, **{name: at[name] - 0.25 * slopes[name] for name in moved}}
    assert reply["value_after"] == pytest.approx(float(loss.subs(after)), rel=1e-7)
    assert [edge["local"] for edge in reply["edges"] if edge["target"] == "sigmoid(w1·x1 + w2·x2)"] == [
        pytest.approx(float(sigmoid(0.05) * (1 - sigmoid(0.05))))
    ]
    assert nodes["sigmoid(w1·x1 + w2·x2)"]["value"] == pytest.approx(float(sigmoid(0.3 * 1.5 - 0.8 * 0.5)))


def test_a_run_at_a_saddle_is_diagnosed_and_mended():
    plan = {"method": "gradient descent", "rate": 0.1, "steps": 100}
    reply = ask("mend", formula="f(x, y) = x² - y² + y⁴", start={"x": 1, "y": 0}, **plan)
    ill, well = reply["runs"]
    lowest = minimize(lambda p: p[0] ** 2 - p[1] ** 2 + p[1] ** 4, [0.5, 0.5]).fun
    assert ill["findings"][0]["symptom"] == "saddle_point"
    assert ill["value"] == pytest.approx(0, abs=1e-9)
    assert well["value"] == pytest.approx(lowest, abs=1e-6)
    assert well["path"]["y"][0] == well["start"]["y"] != 0
    assert reply["grid"]["over"] == ["x", "y"]


def test_a_healthy_run_from_no_start_is_left_alone():
    reply = ask("mend", formula="x² - 4x + 5", method="gradient descent", rate=None, steps=100)
    assert len(reply["runs"]) == 1
    assert reply["runs"][0]["end"]["x"] == pytest.approx(2, abs=1e-6)
    assert reply["verdict"].startswith("Nothing is wrong")


def test_a_training_in_one_reply_is_short():
    settings = {"sample": "circles", "hidden": [2], "steps": 501}
    assert "up to 500 steps" in refusal("trained", **settings)["message"]
