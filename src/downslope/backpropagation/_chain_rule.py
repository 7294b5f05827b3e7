"""The chain rule written out: for each node the products, one for each use of it, that add up to its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from downslope._text import number
from downslope.backpropagation._notation import partial
from downslope.backpropagation._result import is_number

if TYPE_CHECKING:
    from downslope.backpropagation._result import Backpropagation, Edge, Node


def written_out(found: Backpropagation) -> list[list[str]]:
    """Return a line for each node in the order of the way back, in pieces between which it may be broken."""
    uses: dict[str, list[Edge]] = {node.label: [] for node in found.nodes}
    for edge in found.edges:
        uses[edge.source].append(edge)
    gradients = {node.label: node.gradient for node in found.nodes}
    return [_line(found.name, node, uses[node.label], gradients) for node in reversed(found.nodes)]


def _line(result: str, node: Node, uses: list[Edge], gradients: dict[str, np.ndarray]) -> list[str]:
    """Return the gradient of a node as pieces of a line."""
    left = partial(result, node.label)
    if node.label == result:
        return [left, "= 1"]
    if not uses:
        return [left, f"= 0, as {result} does not depend on {node.label}"]
    terms = _summed([_term(result, edge) for edge in uses])
    if not is_number(node.gradient):
        return [f"‖{left}‖", *_normed(terms), f"= {number(float(np.linalg.norm(node.gradient)))}"]
    numbers = _summed([_product(result, edge, gradients[edge.target], place) for place, edge in enumerate(uses)])
    chain = [terms, *([numbers] if all(edge.local is not None for edge in uses) else [])]
    end = [number(float(node.gradient))]
    equals = [one for place, one in enumerate([*chain, end]) if place == 0 or _text(one) != _text(chain[place - 1])]
    return [left, *(piece for first, *rest in equals for piece in (f"= {first}", *rest))]


def _normed(terms: list[str]) -> list[str]:
    """Return a sum in symbols between the bars of a norm."""
    first, *rest = terms
    bare = [f"= ‖{first}", *rest]
    return [*bare[:-1], f"{bare[-1]}‖"]


def _summed(terms: list[str]) -> list[str]:
    """Return terms with their signs in front, the first without one."""
    return [terms[0], *(f"+ {term}" for term in terms[1:])]


def _term(result: str, edge: Edge) -> str:
    """Return what one use adds, in symbols: ∂L/∂z · ∂z/∂x; the local derivative itself where the use is the result."""
    if edge.target != result:
        return f"{partial(result, edge.target)} · {partial(edge.target, edge.source)}"
    return edge.symbol if edge.symbol != edge.operation else f"({edge.operation})'"


def _product(result: str, edge: Edge, gradient: np.ndarray, place: int) -> str:
    """Return what one use adds, in numbers; a sign that would stand behind another is put into parentheses."""
    if edge.local is None:
        return ""
    if edge.target == result:
        return number(edge.local) if place == 0 else _grouped(edge.local)
    arriving = number(float(gradient)) if place == 0 else _grouped(float(gradient))
    return f"{arriving} × {_grouped(edge.local)}"


def _text(pieces: list[str]) -> str:
    """Return pieces as one text to compare, its minus signs alike."""
    return " ".join(pieces).replace("-", "−")


def _grouped(value: float) -> str:
    """Return a number, in parentheses if it is negative."""
    shown = number(value)
    return f"({shown})" if shown.startswith("−") else shown
