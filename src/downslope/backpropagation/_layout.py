"""A layered graph layout: the boxes of each level in a row, edge labels in separate rows between them.

Each edge is a chain of items from row to row: lanes through the rows that it passes, then its label directly above its
target. Items of a row are placed side by side, so they cannot overlap, and curves run between the rows only. The order
within rows reduces crossings; positions then move towards the neighbours as far as the order permits.

References: Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures", 1981.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

_BESIDE = 22.0  # between neighbours in a row
BETWEEN = 26.0  # between rows, where the curves run
_LANE = 4.0  # width of an edge that passes a row
_MARGIN = 20.0
# Barycentre sweeps stop improving after a few rounds, and may oscillate: the best of twelve is kept.
_ORDERINGS = 12
# Small graphs are relaxed to convergence; large graphs get fewer sweeps, so that the total work stays bounded.
_SHIFTS, _MOST_MOVES = (24, 300), 60_000
# Weights of edges in the alignment: strong for lanes, which keeps long edges straight; weak for inputs, so that the
# operations align with each other rather than with their inputs.
_STRAIGHT, _LOOSE = 4.0, 0.2


@dataclass(frozen=True)
class Rectangle:
    """A rectangle: its upper left corner, width and height."""

    left: float
    top: float
    width: float
    height: float

    @property
    def centre(self) -> float:
        """The horizontal centre."""
        return self.left + self.width / 2

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height

    def overlaps(self, other: Rectangle) -> bool:
        """Return whether two rectangles share more than a border."""
        beside = self.left + self.width <= other.left or other.left + other.width <= self.left
        above = self.bottom <= other.top or other.bottom <= self.top
        return not (beside or above)


@dataclass(frozen=True)
class Wire:
    """An edge to lay out: the indices of its ends, and the size of its label."""

    source: int
    target: int
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """The positions of all boxes, labels and edges.

    Args:
        boxes: a rectangle per node.
        labels: a rectangle per wire.
        ways: for each wire the rectangles that it passes through, from its source to its target.
        width, height: the size of the whole layout.
    """

    boxes: tuple[Rectangle, ...]
    labels: tuple[Rectangle, ...]
    ways: tuple[tuple[Rectangle, ...], ...]
    width: float
    height: float


@dataclass(eq=False)
class _Item:
    """A box, a label or a lane in its row."""

    row: int
    width: float
    height: float
    middle: float = 0.0
    above: list[_Item] = field(default_factory=list, repr=False)
    below: list[_Item] = field(default_factory=list, repr=False)
    pulls: list[tuple[float, _Item]] = field(default_factory=list, repr=False)  # its neighbours with their weights


def layered(sizes: Sequence[tuple[float, float]], wires: Sequence[Wire]) -> Layout:
    """Lay out boxes and labels so that none overlaps another.

    Args:
        sizes: width and height of each node's box, the nodes in topological order.
        wires: the edges.

    >>> layout = layered([(80, 40), (80, 40)], [Wire(0, 1, 30, 16)])
    >>> [round(box.top) for box in (layout.boxes[0], layout.labels[0], layout.boxes[1])]
    [20, 86, 128]
    """
    levels = _levels(len(sizes), wires)
    # Even rows hold boxes, odd rows the labels of the edges that arrive below.
    items = [_Item(2 * level, width, height) for level, (width, height) in zip(levels, sizes, strict=True)]
    led_to = {wire.target for wire in wires}
    chains = [
        _chain(items[wire.source], items[wire.target], wire, is_loose=wire.source not in led_to) for wire in wires
    ]
    rows: list[list[_Item]] = [[] for _ in range(2 * max(levels) + 1)]
    for item in (*items, *(node for chain in chains for node in chain[1:-1])):
        rows[item.row].append(item)
    _order(rows)
    # Gauss–Seidel sweeps, down and up in turn: each row moves to where its neighbours are now.
    fewest, most = _SHIFTS
    for shift in range(min(most, max(fewest, _MOST_MOVES // sum(map(len, rows))))):
        for row in rows if shift % 2 == 0 else reversed(rows):
            _settle(row, [_pulled(item) for item in row])
    return _placed(items, chains, rows)


def _levels(count: int, wires: Sequence[Wire]) -> list[int]:
    """Return each node's level: the longest path to it; an input is placed directly above its first use."""
    # Nodes come in topological order, so a single pass over the wires by target gives the longest paths.
    levels, uses, is_led_to = [0] * count, [[] for _ in range(count)], [False] * count
    for wire in sorted(wires, key=lambda wire: wire.target):
        levels[wire.target] = max(levels[wire.target], levels[wire.source] + 1)
        uses[wire.source].append(wire.target)
        is_led_to[wire.target] = True
    for node in range(count):
        # At level 0 an input used late would have a long edge through every row.
        if uses[node] and not is_led_to[node]:
            levels[node] = min(levels[target] for target in uses[node]) - 1
    return levels


def _chain(source: _Item, target: _Item, wire: Wire, *, is_loose: bool) -> list[_Item]:
    """Return the items that an edge passes through: its source, lanes, its label, its target."""
    lanes = [_Item(row, _LANE, 0.0) for row in range(source.row + 1, target.row - 1)]
    chain = [source, *lanes, _Item(target.row - 1, wire.width, wire.height), target]
    for upper, lower in itertools.pairwise(chain):
        upper.below.append(lower)
        lower.above.append(upper)
        # The first lane or label is drawn to its source loosely if that is an input.
        weight = _STRAIGHT if upper in lanes else _LOOSE if is_loose else 1.0
        lower.pulls.append((weight, upper))
        upper.pulls.append((weight, lower))
    return chain


def _order(rows: list[list[_Item]]) -> None:
    """Order rows by their neighbours' mean positions, down and up in turn; keep the order with fewest crossings."""
    for row in rows:
        _settle(row, [0.0] * len(row))
    best, fewest = [list(row) for row in rows], _crossings(rows)
    for turn in range(_ORDERINGS):
        down = turn % 2 == 0
        for row in rows if down else reversed(rows):
            wanted = {id(item): _mean(item, item.above if down else item.below) for item in row}
            row.sort(key=lambda item: wanted[id(item)])
            _settle(row, [wanted[id(item)] for item in row])
        count = _crossings(rows)
        if count < fewest:
            best, fewest = [list(row) for row in rows], count
    for row, kept in zip(rows, best, strict=True):
        row[:] = kept
        _settle(row, [item.middle for item in row])


def _crossings(rows: list[list[_Item]]) -> int:
    """Return the number of edge crossings between adjacent rows."""
    count = 0
    for upper_row, row in itertools.pairwise(rows):
        positions = {id(item): position for position, item in enumerate(row)}
        # Two edges cross if their lower ends are in the opposite order of their upper ends: count the inversions.
        ends: list[int] = []  # lower ends of the edges so far, sorted
        for upper in upper_row:
            positions_below = [positions[id(lower)] for lower in upper.below]
            count += sum(len(ends) - bisect.bisect_right(ends, end) for end in positions_below)
            for end in positions_below:
                bisect.insort(ends, end)
    return count


def _mean(item: _Item, neighbours: list[_Item]) -> float:
    """Return the mean position of an item's neighbours; its own position if it has none."""
    return sum(neighbour.middle for neighbour in neighbours) / len(neighbours) if neighbours else item.middle


def _pulled(item: _Item) -> float:
    """Return the weighted mean position of an item's neighbours; its own position if it has none."""
    total = sum(weight for weight, _ in item.pulls)
    return sum(weight * neighbour.middle for weight, neighbour in item.pulls) / total if total else item.middle


def _settle(row: list[_Item], wanted: list[float]) -> None:
    """Move the items of a row to the positions nearest to the wanted ones, in weighted least squares, without overlap.

    With each item's minimal offset subtracted, this is an isotonic regression: positions must not decrease. The
    pool-adjacent-violators algorithm solves it exactly in a single pass: blocks of items that would overlap merge, and
    take their weighted mean.
    """
    offsets = [0.0]
    for left, right in itertools.pairwise(row):
        offsets.append(offsets[-1] + (left.width + right.width) / 2 + _BESIDE)
    blocks: list[tuple[float, float, int]] = []  # mean, weight and number of items of each block
    for item, want, offset in zip(row, wanted, offsets, strict=True):
        # 0.01 keeps the weight of an item without neighbours positive.
        mean, weight, count = want - offset, sum((strength for strength, _ in item.pulls), start=0.01), 1
        while blocks and blocks[-1][0] > mean:
            before, heavier, number = blocks.pop()
            mean = (mean * weight + before * heavier) / (weight + heavier)
            weight, count = weight + heavier, count + number
        blocks.append((mean, weight, count))
    middles = [mean for mean, _, count in blocks for _ in range(count)]
    for item, middle, offset in zip(row, middles, offsets, strict=True):
        item.middle = middle + offset


def _placed(items: list[_Item], chains: list[list[_Item]], rows: list[list[_Item]]) -> Layout:
    """Return the layout of items with known horizontal positions."""
    every = [item for row in rows for item in row]
    # Positions were relative so far; move the leftmost edge to the margin.
    shift = _MARGIN - min(item.middle - item.width / 2 for item in every)
    where: dict[int, Rectangle] = {}
    top = _MARGIN
    for row in rows:
        height = max(item.height for item in row)
        for item in row:
            # A lane is as tall as its row, so that its edge passes straight through.
            tall = height if item.height == 0 else item.height
            where[id(item)] = Rectangle(item.middle - item.width / 2 + shift, top, item.width, tall)
        top += height + BETWEEN
    return Layout(
        boxes=tuple(where[id(item)] for item in items),
        labels=tuple(where[id(chain[-2])] for chain in chains),
        ways=tuple(tuple(where[id(item)] for item in chain) for chain in chains),
        width=max(rectangle.left + rectangle.width for rectangle in where.values()) + _MARGIN,
        height=top - BETWEEN + _MARGIN,
    )
