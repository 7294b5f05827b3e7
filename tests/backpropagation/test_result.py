"""The result as text and as plain data."""

from __future__ import annotations

import json

from graph_pictures import NEURON, PLACE

import downslope as ds


def test_the_text_has_three_parts() -> None:
    lines = str(ds.backprop(NEURON, at=PLACE)).splitlines()
    assert [line for line in lines if line in ("Forward", "Backward", "Chain rule")] == [
        "Forward",
        "Backward",
        "Chain rule",
    ]
    assert "∂L/∂w = ∂L/∂z₁ · ∂z₁/∂w = −0.0935875 × 2 = −0.187175" in lines
    assert lines[-1].startswith("Checked: ds.slope gives")


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
