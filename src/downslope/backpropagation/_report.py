"""The way forward, the way back and the chain rule as text of at most a hundred columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from downslope._text import aligned, number
from downslope.backpropagation._chain_rule import written_out
from downslope.backpropagation._notation import shape_text, shortened
from downslope.backpropagation._result import is_number

if TYPE_CHECKING:
    from downslope.backpropagation._result import Backpropagation, Edge, Node

_WIDTH = 100
_GAP = 3  # between the columns of a table
_LONGEST_LABEL = 24
_LEAST_LAST = 16


def as_text(found: Backpropagation) -> str:
    """Return the report as aligned lines."""
    forward = _fitted([("node", "computed as", "value", "operation", "which is"), *map(_forward_row, found.nodes)], {2})
    heads = ("node", f"∂{found.name}/∂node", "input", "local derivative", "at the point", "passed back")
    backward = _fitted([heads, *_back_rows(found)], {1, 4, 5})
    lines = [
        "Forward",
        *aligned(forward, words={0, 1, 3, 4}),
        "",
        "Backward",
        *aligned(backward, words={0, 2, 3}),
        "",
        "Chain rule",
        *(line for pieces in written_out(found) for line in _wrapped(pieces)),
        "",
        checked(found),
    ]
    return "\n".join(lines)


def checked(found: Backpropagation) -> str:
    """Return how far JAX's own gradient agrees, as a sentence."""
    if found.largest_difference == 0:
        return "Checked: jax.grad gives exactly this gradient."
    largest = number(found.largest_difference, 2)
    if found.agrees:
        return f"Checked: jax.grad gives the same gradient, the largest difference is {largest}."
    return f"Checked: jax.grad gives another gradient, the largest difference is {largest}; is there a kink here?"


def shown(array: np.ndarray) -> str:
    """Return a number, or the shape and norm of an array."""
    return magnitude(array) if array.ndim == 0 else f"{shape_text(array.shape)}, {magnitude(array)}"


def magnitude(array: np.ndarray) -> str:
    """Return a number, or the norm of an array."""
    return number(float(array)) if is_number(array) else f"norm {number(float(np.linalg.norm(array)), 4)}"


def _forward_row(node: Node) -> tuple[str, ...]:
    """Return a node as a row of the way forward."""
    which_is = "" if node.name in (node.label, node.computed_as) else node.name
    return shortened(node.label, _LONGEST_LABEL), node.computed_as, shown(node.value), node.operation, which_is


def _back_rows(found: Backpropagation) -> list[tuple[str, ...]]:
    """Return the nodes from the result back, each with a row for each of its inputs."""
    below: dict[str, list[Edge]] = {node.label: [] for node in found.nodes}
    for edge in found.edges:
        below[edge.target].append(edge)
    rows = []
    for node in reversed(found.nodes):
        first = (shortened(node.label, _LONGEST_LABEL), magnitude(node.gradient))
        edges = [_edge_cells(edge) for edge in below[node.label]] or [("", "", "", "")]
        rows += [(*(first if place == 0 else ("", "")), *cells) for place, cells in enumerate(edges)]
    return rows


def _edge_cells(edge: Edge) -> tuple[str, ...]:
    """Return an edge as the cells of a row of the way back."""
    local = "" if edge.local is None else number(edge.local)
    return shortened(edge.source, _LONGEST_LABEL), edge.symbol, local, magnitude(edge.passed)


def _fitted(rows: list[tuple[str, ...]], whole: set[int]) -> list[tuple[str, ...]]:
    """Return a table cut to fit: its last column if that holds words, then its widest columns of words.

    Args:
        rows: the headings first.
        whole: places of the columns that hold numbers, which are never cut.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = [place for place in range(len(widths)) if place not in whole]
    while sum(widths) + _GAP * (len(widths) - 1) > _WIDTH:
        spare = words[-1] == len(widths) - 1 and widths[-1] > _LEAST_LAST
        widths[-1 if spare else max(words, key=lambda place: widths[place])] -= 1
    return [tuple(shortened(cell, width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _wrapped(pieces: list[str]) -> list[str]:
    """Return pieces of a line as one, or as several with the later ones indented."""
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1]) + 1 + len(piece) <= _WIDTH:
            lines[-1] += f" {piece}"
        else:
            lines.append(shortened(f"    {piece}", _WIDTH))
    return lines
