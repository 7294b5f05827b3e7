"""The graph in the language of Graphviz, every text in it quoted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from downslope.backpropagation._labels import printable
from downslope.backpropagation._picture import FILLS, edge_text, node_lines

if TYPE_CHECKING:
    from downslope.backpropagation._result import Backpropagation


def as_dot(found: Backpropagation) -> str:
    """Return the graph as a `digraph`, its nodes called n0, n1, … so that no label can break out of its quotes."""
    places = {node.label: place for place, node in enumerate(found.nodes)}
    lines = [
        f"digraph {_quoted(found.name)} {{",
        "  rankdir=TB;",
        f"  label={_quoted(found.read_as)}; labelloc=t;",
        '  node [shape=box, style="rounded,filled", fontname="monospace"];',
        '  edge [fontname="monospace", fontsize=11];',
    ]
    for place, node in enumerate(found.nodes):
        text = _quoted("\n".join(line for line, _ in node_lines(node, found.name)))
        lines.append(f'  n{place} [label={text}, fillcolor="{FILLS[node.role]}"];')
    for edge in reversed(found.edges):
        lines.append(f"  n{places[edge.source]} -> n{places[edge.target]} [label={_quoted(edge_text(edge))}];")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    """Return a text as a quoted string: quotes and backslashes escaped, lines kept apart."""
    plain = "\n".join(map(printable, text.split("\n")))
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
