"""The computation graph as a self-contained SVG document and in the DOT language of Graphviz.

Box widths are computed from the text: a character of a monospaced font is about 0.6 of the font size wide. We take
0.62, and more for wide characters, so that no text leaves its box.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence

from downslope._text import number
from downslope.backpropagation._graph import Edge, Node
from downslope.backpropagation._layout import BETWEEN, Layout, Rectangle, Wire, layered
from downslope.backpropagation._notation import is_number, magnitude, partial, printable, shortened, shown

_EM = 0.62
_FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
_SIZE, _SMALL = 13.0, 11.0
_LINE, _PADDING = 18.0, 10.0
_TITLE = 34.0
_LEGEND = 26.0
_INK, _QUIET, _FORWARD, _BACKWARD, _WIRE = "#23303b", "#5d6b78", "#0060a0", "#a84300", "#9aa7b3"
FILLS = {"given": "#eaf3fa", "data": "#eef1f4", "operation": "#ffffff", "result": "#fdf3e7"}
_LONGEST = 32  # characters in a line of a box, or in a symbol on an edge


def as_svg(read_as: str, name: str, nodes: Sequence[Node], edges: Sequence[Edge]) -> str:
    """Return the graph as an SVG document."""
    indices = {node.label: index for index, node in enumerate(nodes)}
    # The layout reads from top to bottom, edges come in the order of the backward pass.
    downwards = edges[::-1]
    wires = [
        Wire(indices[edge.source], indices[edge.target], _wide([(edge_text(edge), _SMALL)], 6), 20.0)
        for edge in downwards
    ]
    texts = [node_lines(node, name) for node in nodes]
    layout = layered([(_wide([(line, _SIZE) for line, _ in lines], _PADDING), _tall(lines)) for lines in texts], wires)
    title = shortened(printable(read_as), 100)
    legend = "value: computed downwards · gradient: passed back upwards, times the derivative on each edge"
    width = max(layout.width, _wide([(title, _SIZE), (legend, _SMALL)], 20))
    left, height = (width - layout.width) / 2, layout.height + _TITLE + _LEGEND
    body = [
        f'<g fill="none" stroke="{_WIRE}" stroke-width="1.3">',
        *_wires(layout),
        "</g>",
        *(_pill(where, edge_text(edge)) for where, edge in zip(layout.labels, downwards, strict=True)),
        *(_box(where, lines, node) for where, lines, node in zip(layout.boxes, texts, nodes, strict=True)),
    ]
    return (
        "\n".join(
            [
                *_head(width, height, title),
                f'<g transform="translate({left:.1f} {_TITLE:.1f})">',
                *body,
                "</g>",
                _text(width / 2, height - 12, legend, _SMALL, _QUIET),
                "</svg>",
            ]
        )
        + "\n"
    )


def node_lines(node: Node, result: str) -> list[tuple[str, str]]:
    """Return the lines of a node's box with their colours."""
    head = node.label if node.role in ("given", "data") else f"{node.label} = {node.computed_as}"
    lines = [(shortened(printable(head), _LONGEST), _INK)]
    if node.name not in (node.label, node.computed_as):
        lines.append((shortened(printable(node.name), _LONGEST), _QUIET))
    lines.append((f"value {shown(node.value)}", _FORWARD))
    gradient = f"{partial(result, node.label)} =" if len(result) + len(node.label) <= 8 else "gradient"
    return [*lines, (f"{gradient} {shown(node.gradient)}", _BACKWARD)]


def edge_text(edge: Edge) -> str:
    """Return an edge's label: the local derivative in symbols and as a number; for arrays the norm passed back."""
    symbol = shortened(printable(edge.symbol), _LONGEST)
    if edge.local is None:
        passed = f"{'passes ' if is_number(edge.passed) else ''}{magnitude(edge.passed)}"
        return f"{shortened(printable(edge.operation), _LONGEST)}: {passed}"
    value = number(edge.local, 4)
    return value if symbol.replace("-", "−") == value or symbol == edge.operation else f"{symbol} = {value}"


def _wide(lines: list[tuple[str, float]], padding: float) -> float:
    """Return the width of the widest of several (text, font size) lines, plus padding on both sides."""
    return max(sum(map(_letter_width, text)) * size for text, size in lines) + 2 * padding


def _letter_width(letter: str) -> float:
    """Return a character's width as a fraction of the font size; combining marks count as a full character."""
    return 1.1 if unicodedata.east_asian_width(letter) in "WF" or letter > "\u2fff" else _EM


def _tall(lines: list[tuple[str, str]]) -> float:
    """Return the height of a box for its lines."""
    return len(lines) * _LINE + _PADDING


def _head(width: float, height: float, title: str) -> list[str]:
    """Return the head of the document: size, styles, title."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="{_FONT}" font-size="{_SIZE:g}" text-anchor="middle">',
        f"<title>{html.escape(title)}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{_WIRE}"/></marker>'
        "</defs>",
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        _text(width / 2, 24, title, _SIZE, _INK, weight="bold"),
    ]


def _box(where: Rectangle, lines: list[tuple[str, str]], node: Node) -> str:
    """Return a node as a rounded box with its lines."""
    drawn = _rectangle(where, 8, FILLS[node.role], "#b4bfc9", "node")
    for line, (text, colour) in enumerate(lines):
        y = where.top + _PADDING / 2 + _LINE * line + 0.72 * _LINE
        drawn += _text(where.centre, y, text, _SIZE, colour, weight="bold" if line == 0 else "")
    return drawn


def _pill(where: Rectangle, text: str) -> str:
    """Return an edge's label on a white pill."""
    y = where.top + where.height / 2 + 0.36 * _SMALL
    return _rectangle(where, where.height / 2, "#ffffff", "#dde3e8", "label") + _text(
        where.centre, y, text, _SMALL, _INK
    )


def _rectangle(where: Rectangle, radius: float, fill: str, line: str, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{where.left:.1f}" y="{where.top:.1f}" width="{where.width:.1f}" '
        f'height="{where.height:.1f}" rx="{radius:g}" fill="{fill}" stroke="{line}"/>'
    )


def _text(x: float, y: float, text: str, size: float, colour: str, *, weight: str = "") -> str:
    """Return an escaped line of text, centred at x."""
    bold = f' font-weight="{weight}"' if weight else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour}"{bold}>{html.escape(text)}</text>'


def _wires(layout: Layout) -> list[str]:
    """Return the edges as curves between separate ports on their sources and targets."""
    ways = layout.ways
    leaves = _ports([way[0] for way in ways], [way[1] for way in ways])
    enters = _ports([way[-1] for way in ways], [way[-2] for way in ways])
    drawn = []
    for way, start, end in zip(ways, leaves, enters, strict=True):
        stations = [(start, way[0]), *((rectangle.centre, rectangle) for rectangle in way[1:-1]), (end, way[-1])]
        drawn.append(_curve(stations[: len(way) - 1], ""))
        drawn.append(_curve(stations[-2:], ' marker-end="url(#tip)"'))
    return drawn


def _ports(boxes: list[Rectangle], others: list[Rectangle]) -> list[float]:
    """Return the x of each edge's port on its box: evenly spaced, ordered by the other end, to avoid crossings."""
    # Edges that share a box are those whose end has the same corner: rectangles of a layout are distinct.
    sides: dict[tuple[float, float], list[int]] = {}
    for index, box in enumerate(boxes):
        sides.setdefault((box.left, box.top), []).append(index)
    ports = [0.0] * len(boxes)
    for members in sides.values():
        for order, index in enumerate(sorted(members, key=lambda member: others[member].centre), start=1):
            box = boxes[index]
            ports[index] = box.left + box.width * order / (len(members) + 1)
    return ports


def _curve(stations: list[tuple[float, Rectangle]], end: str) -> str:
    """Return a path from the bottom of the first station, through the others, to the top of the last."""
    x, first = stations[0]
    path = f"M{x:.1f} {first.bottom:.1f}"
    for order, (to, station) in enumerate(stations[1:], start=2):
        # Control points halfway between the rows make the curve vertical at both ends and keep it off the boxes.
        begin, middle = station.top - BETWEEN, station.top - BETWEEN / 2
        path += f"V{begin:.1f}C{x:.1f} {middle:.1f} {to:.1f} {middle:.1f} {to:.1f} {station.top:.1f}"
        path += f"V{station.bottom:.1f}" if order < len(stations) else ""
        x = to
    return f'<path d="{path}"{end}/>'


def as_dot(read_as: str, name: str, nodes: Sequence[Node], edges: Sequence[Edge]) -> str:
    """Return the graph as a `digraph` with nodes n0, n1, …; user text appears in quoted labels only."""
    indices = {node.label: index for index, node in enumerate(nodes)}
    lines = [
        f"digraph {_quoted(name)} {{",
        "  rankdir=TB;",
        f"  label={_quoted(read_as)}; labelloc=t;",
        '  node [shape=box, style="rounded,filled", fontname="monospace"];',
        '  edge [fontname="monospace", fontsize=11];',
    ]
    for index, node in enumerate(nodes):
        text = _quoted("\n".join(line for line, _ in node_lines(node, name)))
        lines.append(f'  n{index} [label={text}, fillcolor="{FILLS[node.role]}"];')
    for edge in reversed(edges):
        lines.append(f"  n{indices[edge.source]} -> n{indices[edge.target]} [label={_quoted(edge_text(edge))}];")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    """Return a text as a quoted DOT string: quotes, backslashes and line breaks escaped."""
    plain = "\n".join(map(printable, text.split("\n")))
    # Backslashes first, or the escapes themselves would be escaped.
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
