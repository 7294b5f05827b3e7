"""Graphs of formulas against JAX, SymPy and a calculation by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest
from graph_pictures import MANY, NEURON, PLACE, POINT, overlaps
from hypothesis import given
from hypothesis import strategies as st

import downslope as ds


def true_gradient(text: str, point: dict[str, float]) -> dict[str, float]:
    """Return the gradient by SymPy's derivatives, which share no rule with the graph's."""
    read = ds.formula(text)
    return {name: read.derivative(name)(point) for name in read.variables}


def test_the_neuron_by_hand() -> None:
    found = ds.backprop(NEURON, at=PLACE)
    out = 1 / (1 + math.exp(-1.1))
    slope = -2 * (1 - out) * out * (1 - out)
    assert found.value == pytest.approx((1 - out) ** 2)
    assert found.gradient["w"] == pytest.approx(slope * 2)
    assert found.gradient["x"] == pytest.approx(slope * 0.5)
    assert found.gradient["b"] == pytest.approx(slope)
    assert found.gradient["y"] == pytest.approx(2 * (1 - out))
    assert found.largest_difference < 1e-15
    assert [node.name for node in found.nodes][4:] == [
        "w·x",
        "w·x + b",
        "sigmoid(w·x + b)",
        "y - sigmoid(w·x + b)",
        "(y - sigmoid(w·x + b))²",
    ]
    assert [node.operation for node in found.nodes][4:] == ["product", "sum", "sigmoid", "difference", "square"]
    assert found["z₃"].computed_as == "sigmoid(z₂)"
    assert {(edge.source, edge.target): edge.symbol for edge in found.edges} == {
        ("z₄", "L"): "2z₄",
        ("y", "z₄"): "1",
        ("z₃", "z₄"): "-1",
        ("z₂", "z₃"): "z₃·(1 - z₃)",
        ("z₁", "z₂"): "1",
        ("b", "z₂"): "1",
        ("w", "z₁"): "x",
        ("x", "z₁"): "w",
    }


def test_the_order_is_forward_then_backward() -> None:
    found = ds.backprop(MANY, at=POINT)
    places = {node.label: place for place, node in enumerate(found.nodes)}
    assert all(places[edge.source] < places[edge.target] for edge in found.edges)
    targets = [places[edge.target] for edge in found.edges]
    assert targets == sorted(targets, reverse=True)


def test_every_gradient_is_the_sum_of_what_is_passed_to_it() -> None:
    found = ds.backprop(MANY, at=POINT)
    for node in found.nodes[:-1]:
        assert node.gradient == pytest.approx(sum(edge.passed for edge in found.edges if edge.source == node.label))
    for edge in found.edges:
        assert edge.passed == pytest.approx(found[edge.target].gradient * edge.local)


def test_a_node_that_is_used_twice_is_one_node() -> None:
    found = ds.backprop("f(x) = sin(x)·e^(sin(x))", at={"x": 0.4})
    assert sum(node.operation == "sin" for node in found.nodes) == 1
    line = next(line for line in found.chain_rule() if line.startswith("∂f/∂z₁ ="))
    assert line == "∂f/∂z₁ = z₂ + ∂f/∂z₂ · ∂z₂/∂z₁ = 1.47612 + 0.389418 × 1.47612 = 2.05095"
    assert found.gradient["x"] == pytest.approx(math.cos(0.4) * math.exp(math.sin(0.4)) * (1 + math.sin(0.4)))


@pytest.mark.parametrize(
    "text",
    [
        "a·b·c + a·a·b",
        "a/b - c/(a·b) + 1/a² + b/b",
        "a^b + b^a + a^a + 2^a + a^0.5 + a^(1/3) + a^-2 + a^π + (a + b)^0",
        "sin(a)cos(b)tan(c) + asin(a)acos(a)atan(c) + sinh(a)cosh(b)tanh(c)",
        "asinh(a) + acosh(b) + atanh(a) + cbrt(a) + erf(b)",
        "e^(a·b) + exp(c) + ln(a) + log10(b) + log2(c) + √a",
        "σ(a)·softplus(b) - relu(a - b)·relu(c - b) + sign(a)·c",
        "max(a, b, c)·min(a, b, c) + |a - b| + max(0, a - c)",
        "-a + -(b - c) - 3a·4b + (-a)²",
        "a",
        "a - a",
        MANY,
    ],
)
def test_every_rule_against_jax_and_sympy(text: str) -> None:
    used = {name: value for name, value in POINT.items() if name in ds.formula(text).variables}
    found = ds.backprop(text, at=used)
    assert found.value == pytest.approx(ds.formula(text)(used))
    for name, slope in true_gradient(text, used).items():
        assert found.gradient[name] == pytest.approx(slope, rel=1e-9, abs=1e-12), name
    assert found.agrees
    assert found.largest_difference < 1e-12


def expressions() -> st.SearchStrategy[str]:
    """Return texts of formulas in a, b and c that are smooth wherever they are looked at."""
    leaf = st.sampled_from(["a", "b", "c", "2", "0.5", "a", "b"])

    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        pair = st.tuples(inner, inner)
        return st.one_of(
            pair.map(lambda two: f"({two[0]} + {two[1]})"),
            pair.map(lambda two: f"({two[0]} - {two[1]})"),
            pair.map(lambda two: f"({two[0]})·({two[1]})"),
            pair.map(lambda two: f"({two[0]})/(1 + ({two[1]})²)"),
            st.tuples(st.sampled_from(["sin", "cos", "tanh", "sigmoid", "softplus", "atan"]), inner).map(
                lambda two: f"{two[0]}({two[1]})"
            ),
            st.tuples(inner, st.sampled_from(["2", "3"])).map(lambda two: f"({two[0]})^{two[1]}"),
            inner.map(lambda one: f"e^(-({one})²)"),
            inner.map(lambda one: f"√(1 + ({one})²)"),
        )

    return st.recursive(leaf, grow, max_leaves=8)


numbers = st.floats(min_value=-2, max_value=2).map(lambda number: round(number, 3))


@given(expressions(), numbers, numbers, numbers)
def test_random_formulas_against_jax(text: str, a: float, b: float, c: float) -> None:
    found = ds.backprop(f"f(a, b, c) = {text}", at={"a": a, "b": b, "c": c})
    scale = max(1.0, *(abs(float(one)) for edge in found.edges for one in (edge.passed, found[edge.target].value)), 1.0)
    assert found.largest_difference <= 1e-11 * scale
    assert max(map(len, str(found).splitlines())) <= 100
    assert not overlaps(found.svg())


def test_a_rule_without_a_value_gives_way_to_the_limit() -> None:
    found = ds.backprop("f(x, y) = x^y", at={"x": 0, "y": 2})
    assert (found.gradient["x"], found.gradient["y"]) == (0, 0)


def test_what_the_result_does_not_depend_on() -> None:
    found = ds.backprop("f(x, y) = x²", at={"x": 3, "y": 1})
    assert found.gradient["y"] == 0
    assert "∂f/∂y = 0, as f does not depend on y" in str(found)
    assert ds.backprop("f(x) = 5", at=1).gradient["x"] == 0


def test_a_difference_is_printed_and_is_no_error() -> None:
    graph = ds.backprop("|x|", at={"x": 0})
    assert "Checked: ds.slope gives exactly this gradient." in str(graph)
    assert "ds.slope gives another gradient" in str(dataclasses.replace(graph, largest_difference=1.0))
    assert "jax.grad gives" in str(ds.backprop(lambda point: point["x"] ** 2, at={"x": 1.0}))


def test_names_that_the_labels_might_take() -> None:
    found = ds.backprop("f·z_1 + u·L", at={"f": 1, "z_1": 2, "u": 3, "L": 4})
    labels = [node.label for node in found.nodes]
    assert len(set(labels)) == len(labels)
    assert found.gradient["z_1"] == 1
    assert found["z₁"].role == "given"


def test_a_formula_over_a_table(houses: str) -> None:
    text, at = "Loss(w, b) = mean((price - w×size - b)²)", {"w": 1, "b": 2}
    found = ds.backprop(text, at=at, data=houses)
    assert found.largest_difference < 1e-10
    assert found.gradient["w"] == pytest.approx(ds.slope(text, at=at, data=houses).gradient["w"])
    assert found["size"].role == "data"
    assert found["size"].gradient.shape == (3,)
    assert "∂Loss/∂w = ∂Loss/∂z₁ · ∂z₁/∂w = −22933.3" in str(found)
    whole = ds.backprop("E(w) = sum((price - w×size)²)/count(size) + w²", at={"w": 1}, data=houses)
    assert whole.largest_difference < 1e-10
