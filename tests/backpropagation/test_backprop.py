"""Forward and backward through formulas, functions and networks, against JAX, SymPy and central differences."""

from __future__ import annotations

import itertools
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import equinox
import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import numpy as jnp

import downslope as ds
from downslope.backpropagation._layout import Rectangle
from downslope.cli._main import run

NEURON = "L = (y - σ(w·x + b))²"
PLACE = {"w": 0.5, "x": 2, "b": 0.1, "y": 1}
POINT = {"a": 0.7, "b": 1.3, "c": 2.1}
MANY = "f(a, b, c) = a·b·c + sin(a·b)/c + (a + b)^3 - e^(-a²)·√(b + c) + a^c·b + max(a, b) + tanh(a·b) + |a - c|"
SVG = "{http://www.w3.org/2000/svg}"


def true_gradient(text: str, point: dict[str, float]) -> dict[str, float]:
    """Return the gradient by SymPy's derivatives, which share no rule with the graph's."""
    read = ds.formula(text)
    return {name: read.derivative(name)(point) for name in read.variables}


# ------------------------------------------------------------------------------------------------------ formulas


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


def test_a_kink_is_printed_and_is_no_error() -> None:
    found = ds.backprop("|x|", at={"x": 0})
    assert found.largest_difference == 1
    assert "jax.grad gives another gradient" in str(found)
    assert "jax.grad gives" in str(ds.backprop("x²", at={"x": 1}))


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


# ----------------------------------------------------------------------------------------------------- functions


def layer(point: dict) -> jax.Array:
    hidden = jnp.tanh(point["w"] @ point["x"] + point["b"])
    return jnp.sum(hidden**2) + jax.nn.softplus(jnp.sum(hidden)) * point["b"][0]


def test_a_function_of_arrays() -> None:
    rng = np.random.default_rng(1)
    point = {"w": rng.normal(size=(3, 2)), "x": rng.normal(size=2), "b": rng.normal(size=3)}
    found = ds.backprop(layer, at=point)
    with jax.enable_x64(True):
        true = jax.grad(layer)(point)
    for name in point:
        np.testing.assert_allclose(found.gradient[name], true[name], rtol=1e-12)
    assert found.largest_difference < 1e-12
    assert [node.label for node in found.nodes][:3] == ["b", "w", "x"]
    product = next(edge for edge in found.edges if edge.source == "w")
    assert (product.operation, product.local) == ("matrix product", None)
    assert f"norm {np.linalg.norm(true['w']):.4g}" in str(found)


@pytest.mark.parametrize(
    ("function", "at"),
    [
        (lambda x: x * x * jnp.sin(x) + jnp.where(x > 0, x**3, 2.0) + jax.nn.silu(x) / x - 2 * x, 0.7),
        (lambda x: jax.lax.fori_loop(0, 3, lambda _, carried: carried * x, x), 1.5),
        (lambda x: jax.lax.cond(x > 0, jnp.sin, jnp.cos, x) + jax.lax.stop_gradient(x) * x, 1.5),
        (jax.jit(lambda x: jax.jit(jnp.sin)(x) + jax.checkpoint(jnp.exp)(x)), 0.3),
        (lambda x: jnp.sort(x) @ jnp.arange(3.0), [3.0, 1.0, 2.0]),
        (lambda x: jnp.linalg.eigh(x + x.T)[0][0], np.array([[1.0, 2.0], [0.0, 3.0]])),
        (lambda x: -jax.nn.log_softmax(x)[1], [3.0, 1.0, 2.0]),
        (lambda x: x[jnp.argmax(x)] ** 2, [1.0, 5.0, 2.0]),
        (lambda p: jnp.mean(jax.vmap(lambda t: jnp.sin(t * p["w"]))(jnp.arange(4.0))), {"w": 0.3}),
        (lambda p: p["a"][0] * p["a"][1]["b"] - p["c"] + p["c"], {"a": (1.0, {"b": 2.0}), "c": 3.0}),
        (lambda p: p["x"], {"x": 1.0, "y": 2.0}),
        (lambda x: jnp.sum(jnp.abs(jnp.fft.fft(x)[1:]) ** 3) * jnp.abs(jnp.sum(x) * (1 + 2j)), [1.0, 5.0, 2.0]),
        (lambda x: jnp.float32(3.0) * jnp.ones(()), 1.0),
    ],
)
def test_programs_against_jax(function, at) -> None:
    found = ds.backprop(function, at=at)
    assert found.largest_difference <= 1e-12
    assert max(map(len, str(found).splitlines())) <= 100
    assert not overlaps(found.svg())
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_rule_of_ones_own_is_followed() -> None:
    @jax.custom_vjp
    def loud(x):
        return x**2

    loud.defvjp(lambda x: (x**2, x), lambda x, arriving: (100 * x * arriving,))
    found = ds.backprop(lambda x: 3 * loud(x), at=2.0)
    assert found.gradient["value"] == 600
    assert found.largest_difference == 0
    assert [node.operation for node in found.nodes] == ["given", "loud", "product"]


def test_scalar_edges_of_a_program_have_symbols_and_numbers() -> None:
    found = ds.backprop(lambda p: jnp.tanh(p["w"] * p["x"]) / p["w"], at={"w": 0.5, "x": 2.0})
    edges = {(edge.source, edge.target): (edge.symbol, edge.local) for edge in found.edges}
    assert edges[("z₁", "z₂")] == ("1 - z₂²", pytest.approx(1 - math.tanh(1) ** 2))
    assert edges[("w", "z₁")] == ("x", 2)
    assert edges[("w", "f")] == ("-f/w", pytest.approx(-math.tanh(1) / 0.25))
    assert found["f"].name == "tanh(w·x)/w"


def test_an_objective_of_either_kind() -> None:
    one = ds.backprop(ds.objective("f(x) = x³"), at={"x": 2})
    other = ds.backprop(ds.objective(lambda point: point["x"] ** 3, name="cubed", precision="float32"), at={"x": 2.0})
    assert one.gradient["x"] == other.gradient["x"] == 12
    assert other.name == "cubed"
    assert other.nodes[0].value.dtype == np.float32


# ------------------------------------------------------------------------------------------------------ networks


@pytest.fixture
def network() -> equinox.nn.MLP:
    return equinox.nn.MLP(2, 1, 3, 2, activation=jnp.tanh, key=jax.random.key(0))


def test_a_network_on_one_example(network: equinox.nn.MLP) -> None:
    example = np.array([0.5, -1.0])
    found = ds.backprop(network, at=example, loss=lambda prediction: (prediction[0] - 1) ** 2)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(float) if equinox.is_array(leaf) else leaf, network)
        true = equinox.filter_grad(lambda net: (net(example)[0] - 1) ** 2)(wide)
    np.testing.assert_allclose(found.gradient["layers/0/weight"], true.layers[0].weight, rtol=1e-10)
    np.testing.assert_allclose(found.gradient["layers/2/bias"], true.layers[2].bias, rtol=1e-10)
    assert found.gradient["input"].shape == (2,)
    assert found["z₁"].name == "layers/0/weight @ input"
    assert found.read_as == "MLP on one example"
    assert not overlaps(found.svg())


def test_a_network_that_gives_one_number_needs_no_loss(network: equinox.nn.MLP) -> None:
    one = ds.backprop(network, at=[0.5, -1.0])
    other = ds.backprop(lambda net: net(jnp.array([0.5, -1.0]))[0], at=network)
    np.testing.assert_allclose(one.gradient["layers/1/weight"], other.gradient["layers/1/weight"], rtol=1e-12)


# ------------------------------------------------------------------------------------------------------- pictures


def rectangles(svg: str, kind: str) -> list[Rectangle]:
    boxes = [box for box in ElementTree.fromstring(svg).iter(f"{SVG}rect") if box.get("class") == kind]
    return [Rectangle(*(float(box.get(side, "")) for side in ("x", "y", "width", "height"))) for box in boxes]


def overlaps(svg: str) -> list[tuple[Rectangle, Rectangle]]:
    """Return the pairs of boxes and labels that overlap."""
    every = rectangles(svg, "node") + rectangles(svg, "label")
    return [(one, other) for one, other in itertools.combinations(every, 2) if one.overlaps(other)]


def points(path: str) -> Iterator[tuple[float, float]]:
    """Yield points along a path of lines down and curves."""
    x = y = 0.0
    for letter, rest in re.findall(r"([MVC])([^MVC]*)", path):
        given = [float(one) for one in rest.split()]
        if letter == "M":
            x, y = given
        elif letter == "V":
            yield from ((x, y + (given[0] - y) * share) for share in np.linspace(0, 1, 9))
            y = given[0]
        else:
            ends = np.array([(x, y), given[:2], given[2:4], given[4:]])
            for share in np.linspace(0, 1, 17):
                weights = [(1 - share) ** 3, 3 * share * (1 - share) ** 2, 3 * share**2 * (1 - share), share**3]
                yield tuple(np.array(weights) @ ends)
            x, y = given[4:]


def is_within(point: tuple[float, float], box: Rectangle) -> bool:
    x, y = point
    return box.left + 0.2 < x < box.left + box.width - 0.2 and box.top + 0.2 < y < box.bottom - 0.2


@pytest.mark.parametrize("text", [NEURON, MANY, "+".join(f"sin(a·{i}b)·c" for i in range(2, 30))])
def test_nothing_in_the_picture_overlaps(text: str) -> None:
    found = ds.backprop(text, at=dict.fromkeys(ds.formula(text).variables, 0.5))
    svg = found.svg()
    nodes, labels = rectangles(svg, "node"), rectangles(svg, "label")
    assert (len(nodes), len(labels)) == (len(found.nodes), len(found.edges))
    assert not overlaps(svg)
    root = ElementTree.fromstring(svg)
    width, height = (float(root.get(side, "")) for side in ("width", "height"))
    for box in nodes + labels:
        assert box.left >= 0
        assert box.top >= 0
        assert box.left + box.width <= width
        assert box.bottom <= height
    for path in root.iter(f"{SVG}path"):
        way = list(points(path.get("d", ""))) if "C" in path.get("d", "") else []
        assert not [box for box in nodes if any(is_within(point, box) for point in way)]
        assert len([box for box in labels if any(is_within(point, box) for point in way)]) <= 1


def test_texts_stay_in_their_boxes() -> None:
    svg = ds.backprop(MANY, at={"a": -1.23456789e-120, "b": 1.3e7, "c": 2.123456e3}).svg()
    boxes = rectangles(svg, "node") + rectangles(svg, "label")
    group = next(one for one in ElementTree.fromstring(svg) if one.get("transform"))
    texts = list(group.iter(f"{SVG}text"))
    assert len(texts) > len(boxes)
    for text in texts:
        half = 0.602 * float(text.get("font-size", "")) * len(text.text or "") / 2
        x, y = float(text.get("x", "")), float(text.get("y", ""))
        assert any(
            box.left <= x - half and x + half <= box.left + box.width and box.top < y < box.bottom for box in boxes
        ), text.text


def test_values_and_gradients_stand_in_the_boxes() -> None:
    svg = ds.backprop(NEURON, at=PLACE).svg()
    for text in ("value 0.75026", "∂L/∂z₃ = −0.49948", "z₃·(1 - z₃) = 0.1874", "sigmoid(w·x + b)"):
        assert f">{text}<" in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    assert ds.backprop(NEURON, at=PLACE)._repr_html_() == svg


HOSTILE = '<script>alert("x")</script> & \\"\\n"];\n\x00 -> {'


def test_hostile_names_are_escaped() -> None:
    found = ds.backprop(lambda point: point[HOSTILE] ** 2 * point["b"], at={HOSTILE: 2.0, "b": 3.0})
    svg = found.svg()
    assert "<script>" not in svg
    assert "<script>" in "".join(ElementTree.fromstring(svg).itertext())
    statements(found.dot())
    assert "\x00" not in svg + found.dot() + str(found)


def statements(dot: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the nodes and edges of a DOT text, after checking that it is nothing but such statements."""
    text = r'"(?:[^"\\\n]|\\.)*"'
    value = rf"(?:{text}|[A-Za-z0-9]+)"
    settings = rf"\[{'(?:'}[a-z]+={value}(?:, )?)+\]"
    lines = dot.strip().splitlines()
    assert re.fullmatch(rf"digraph {text} \{{", lines[0])
    assert lines[-1] == "}"
    nodes, edges = [], []
    for line in lines[1:-1]:
        if match := re.fullmatch(rf"  (n\d+) -> (n\d+) {settings};", line):
            edges.append(match.groups())
        elif match := re.fullmatch(rf"  (n\d+) {settings};", line):
            nodes.append(match.group(1))
        else:
            assert re.fullmatch(rf"  (?:(?:node|edge) {settings}|(?:[a-z]+={value}(?:; )?)+);", line), line
    return nodes, edges


def test_the_dot_text_is_whole() -> None:
    found = ds.backprop(MANY, at=POINT)
    nodes, edges = statements(found.dot())
    assert len(nodes) == len(found.nodes)
    assert len(edges) == len(found.edges)
    assert {end for edge in edges for end in edge} <= set(nodes)


# ------------------------------------------------------------------------------------------------- text and errors


def test_the_text_has_three_parts() -> None:
    lines = str(ds.backprop(NEURON, at=PLACE)).splitlines()
    assert [line for line in lines if line in ("Forward", "Backward", "Chain rule")] == [
        "Forward",
        "Backward",
        "Chain rule",
    ]
    assert "∂L/∂w = ∂L/∂z₁ · ∂z₁/∂w = −0.0935875 × 2 = −0.187175" in lines
    assert lines[-1].startswith("Checked: jax.grad gives")


def test_as_dict_is_plain_even_where_numbers_are_not_finite() -> None:
    told = ds.backprop("f(x) = √x + ln(x)", at={"x": 0}).as_dict()
    json.dumps(told, allow_nan=False)
    assert told["gradient"] == {"x": None}
    told = ds.backprop(NEURON, at=PLACE).as_dict()
    assert [node["label"] for node in told["nodes"]] == ["y", "w", "x", "b", "z₁", "z₂", "z₃", "z₄", "L"]
    assert told["edges"][0] | {"local": 0, "passed": 0} == {
        "source": "z₄",
        "target": "L",
        "operation": "square",
        "symbol": "2z₄",
        "local": 0,
        "passed": 0,
    }


@pytest.mark.parametrize(
    ("thing", "settings", "error", "told"),
    [
        ("x·y", {"at": {"x": 1}}, ds.PointError, "says nothing of y"),
        ("x·y", {"at": {"x": 1, "yy": 2, "y": 1}}, ds.PointError, "did you mean y"),
        ("x", {"at": None}, ds.PointError, "no point is given"),
        ("x", {"at": {"x": math.nan}}, ds.PointError, "finite"),
        ("x² +", {"at": {"x": 1}}, ds.FormulaError, "^"),
        ("+".join(f"sin({i}x)" for i in range(1, 400)), {"at": {"x": 1}}, ds.FormulaError, "too many"),
        (3, {"at": {"x": 1}}, ds.ObjectiveError, "a formula or a function"),
        (lambda x: x**2, {"at": [1.0, 2.0]}, ds.ObjectiveError, "one real number"),
        (lambda x: x.foo, {"at": 1.0}, ds.ObjectiveError, "fails when JAX traces it"),
        ("x²", {"at": {"x": 1}, "loss": abs}, ds.SettingError, "for a network"),
        ("mean(w·size)", {"at": {"w": 1}, "data": {"price": [1, 2]}}, ds.DataError, "no column"),
        ("w·size", {"at": {"w": 1}, "data": {"size": [1, 2]}}, ds.ObjectiveError, "mean"),
    ],
)
def test_bad_input_says_what_to_do(thing, settings, error, told) -> None:
    with pytest.raises(error, match=re.escape(told)):
        ds.backprop(thing, **settings)


def test_bad_functions_and_networks(network: equinox.nn.MLP) -> None:
    with pytest.raises(ds.ObjectiveError, match="fixed number of iterations"):
        ds.backprop(lambda x: jax.lax.while_loop(lambda y: y < 10, lambda y: y * 2, x), at=1.0)
    with pytest.raises(ds.ObjectiveError, match="too many to show"):
        ds.backprop(lambda x: sum(jnp.sin(i * x) for i in range(200)), at=1.0)
    wide = equinox.nn.MLP(2, 3, 4, 1, key=jax.random.key(0))
    with pytest.raises(ds.ObjectiveError, match="loss=lambda prediction"):
        ds.backprop(wide, at=[1.0, 2.0])
    with pytest.raises(ds.SettingError, match="no table"):
        ds.backprop(network, at=[1.0, 2.0], data={"x": [1]})
    with pytest.raises(ds.PointError, match="did you mean z₁"):
        ds.backprop("sin(2x)", at=1)["z₁₁"]


# ---------------------------------------------------------------------------------------------------- the command


WORDS = ["backprop", NEURON, "--at", "w=0.5,x=2,b=0.1,y=1"]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command(capsys, desk: Path, houses: str) -> None:
    assert run([*WORDS, "--plot", "deep/neuron.svg"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Read as  L = (y - sigmoid(w·x + b))²")
    assert "Chain rule" in out
    assert out.endswith("Plot: deep/neuron.svg\n")
    assert not overlaps((desk / "deep" / "neuron.svg").read_text(encoding="utf-8"))
    assert run([*WORDS, "--plot", "neuron.dot", "--quiet"]) == 0
    assert "∂L/∂w = −0.187175" in capsys.readouterr().out
    assert statements((desk / "neuron.dot").read_text(encoding="utf-8"))[0]
    assert run(["backprop", "Loss(w) = mean((price - w×size)²)", "--data", houses, "--at", "w=1", "-q"]) == 0
    assert "∂Loss/∂w = −23333.3" in capsys.readouterr().out


def test_the_command_as_json(capsys, desk: Path) -> None:
    assert run([*WORDS, "--json", "--plot", "neuron.svg"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    told = json.loads(out)
    assert told["gradient"]["w"] == pytest.approx(-0.18717, abs=1e-5)
    assert told["plot"] == "neuron.svg"
    assert told["largest_difference"] < 1e-15


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["backprop", "x²"], "--at is missing"),
        (["backprop", "x² +", "--at", "x=1"], "^"),
        (["backprop", "x²", "--at", "y=1"], "no variable 'y'"),
        (["backprop", "x²", "--at", "x=1", "--plot", "x.png"], ".svg or .dot"),
        (["backprop", "mean(x×size)", "--at", "x=1", "--data", "nowhere.csv"], "no file"),
    ],
)
def test_bad_commands(capsys, desk: Path, words: list[str], told: str) -> None:
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert "Traceback" not in err
