"""Formulas for the tests of backpropagation, and readers of the pictures of their graphs."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import numpy as np

from downslope.backpropagation._layout import Rectangle

NEURON = "L = (y - σ(w·x + b))²"
PLACE = {"w": 0.5, "x": 2, "b": 0.1, "y": 1}
POINT = {"a": 0.7, "b": 1.3, "c": 2.1}
MANY = "f(a, b, c) = a·b·c + sin(a·b)/c + (a + b)^3 - e^(-a²)·√(b + c) + a^c·b + max(a, b) + tanh(a·b) + |a - c|"
SVG = "{http://www.w3.org/2000/svg}"


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
