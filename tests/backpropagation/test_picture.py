"""The graph as SVG and DOT: nothing overlaps, every text stays in its box, hostile names are escaped."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from graph_pictures import MANY, NEURON, PLACE, POINT, SVG, is_within, overlaps, points, rectangles, statements

import downslope as ds


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


HOSTILE = '<script>alert("x")</script> & \\"\\n"];\n\x01 -> {'


def test_hostile_names_are_escaped() -> None:
    found = ds.backprop(lambda point: point[HOSTILE] ** 2 * point["b"], at={HOSTILE: 2.0, "b": 3.0})
    svg = found.svg()
    assert "<script>" not in svg
    assert "<script>" in "".join(ElementTree.fromstring(svg).itertext())
    statements(found.dot())
    assert "\x01" not in svg + found.dot() + str(found)


def test_a_name_that_no_file_can_hold_is_refused() -> None:
    with pytest.raises(ds.PointError, match="letters that a file cannot hold"):
        ds.backprop(lambda point: point["a\0"] ** 2, at={"a\0": 2.0})


def test_the_dot_text_is_whole() -> None:
    found = ds.backprop(MANY, at=POINT)
    nodes, edges = statements(found.dot())
    assert len(nodes) == len(found.nodes)
    assert len(edges) == len(found.edges)
    assert {end for edge in edges for end in edge} <= set(nodes)
