"""A layered layout: the boxes of each level in a row, the labels of edges in rows of their own between them.

Each edge is a chain from row to row: lanes through the rows that it passes, then its label right above the box that it
leads to. All that stands in one row stands side by side, so nothing in it overlaps, and the curves run between rows
only. Rows are ordered by where their neighbours stand, and then moved as near to them as the order allows.

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
_ORDERINGS = 12
_SHIFTS, _MOST_MOVES = (24, 300), 60_000  # small graphs come to rest, large ones are drawn in time
# How strongly an edge draws its ends below each other: lanes most, so that they are straight; what is given least, so
# that the operations stand below each other and not it.
_STRAIGHT, _LOOSE = 4.0, 0.2


@dataclass(frozen=True)
class Rectangle:
    """A rectangle: its left upper corner, width and height."""

    left: float
    top: float
    width: float
    height: float

    @property
    def centre(self) -> float:
        """Where its middle is from the left."""
        return self.left + self.width / 2

    @property
    def bottom(self) -> float:
        """Where its lower side is from the top."""
        return self.top + self.height

    def overlaps(self, other: Rectangle) -> bool:
        """Tell whether two rectangles share more than a border."""
        beside = self.left + self.width <= other.left or other.left + other.width <= self.left
        above = self.bottom <= other.top or other.bottom <= self.top
        return not (beside or above)


@dataclass(frozen=True)
class Wire:
    """An edge to lay: places of its ends, and the size of its label."""

    source: int
    target: int
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Where everything stands.

    Args:
        boxes: one rectangle a node.
        labels: one rectangle a wire.
        ways: for each wire the rectangles that it goes through, from its source to its target.
        width, height: of the whole.
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
    pulls: list[tuple[float, _Item]] = field(default_factory=list, repr=False)  # its neighbours, and how strongly


def layered(sizes: Sequence[tuple[float, float]], wires: Sequence[Wire]) -> Layout:
    """Return where boxes and labels stand so that none overlaps another.

    Args:
        sizes: width and height of each node's box, every node after those that lead to it.
        wires: the edges.

    >>> made = layered([(80, 40), (80, 40)], [Wire(0, 1, 30, 16)])
    >>> [round(one.top) for one in (made.boxes[0], made.labels[0], made.boxes[1])]
    [20, 86, 128]
    """
    levels = _levels(len(sizes), wires)
    items = [_Item(2 * level, width, height) for level, (width, height) in zip(levels, sizes, strict=True)]
    led_to = {wire.target for wire in wires}
    chains = [
        _chain(items[wire.source], items[wire.target], wire, is_loose=wire.source not in led_to) for wire in wires
    ]
    rows: list[list[_Item]] = [[] for _ in range(2 * max(levels) + 1)]
    for item in (*items, *(one for chain in chains for one in chain[1:-1])):
        rows[item.row].append(item)
    _order(rows)
    fewest, most = _SHIFTS
    for shift in range(min(most, max(fewest, _MOST_MOVES // sum(map(len, rows))))):
        for row in rows if shift % 2 == 0 else reversed(rows):
            _settle(row, [_pulled(item) for item in row])
    return _placed(items, chains, rows)


def _levels(count: int, wires: Sequence[Wire]) -> list[int]:
    """Return each node's level: the longest path to it; what nothing leads to stands right above its first use."""
    levels, uses, is_led_to = [0] * count, [[] for _ in range(count)], [False] * count
    for wire in sorted(wires, key=lambda one: one.target):
        levels[wire.target] = max(levels[wire.target], levels[wire.source] + 1)
        uses[wire.source].append(wire.target)
        is_led_to[wire.target] = True
    for place in range(count):
        if uses[place] and not is_led_to[place]:
            levels[place] = min(levels[target] for target in uses[place]) - 1
    return levels


def _chain(source: _Item, target: _Item, wire: Wire, *, is_loose: bool) -> list[_Item]:
    """Return the items that an edge goes through: its source, lanes, its label, its target."""
    lanes = [_Item(row, _LANE, 0.0) for row in range(source.row + 1, target.row - 1)]
    chain = [source, *lanes, _Item(target.row - 1, wire.width, wire.height), target]
    for upper, lower in itertools.pairwise(chain):
        upper.below.append(lower)
        lower.above.append(upper)
        weight = _STRAIGHT if upper in lanes else _LOOSE if is_loose else 1.0
        lower.pulls.append((weight, upper))
        upper.pulls.append((weight, lower))
    return chain


def _order(rows: list[list[_Item]]) -> None:
    """Put the items of each row into the order of their neighbours', and keep the order with the fewest crossings."""
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
    """Return how often edges cross between neighbouring rows."""
    count = 0
    for upper_row, row in itertools.pairwise(rows):
        places = {id(item): place for place, item in enumerate(row)}
        ends: list[int] = []  # of the edges so far, sorted
        for upper in upper_row:
            found = [places[id(lower)] for lower in upper.below]
            count += sum(len(ends) - bisect.bisect_right(ends, end) for end in found)
            for end in found:
                bisect.insort(ends, end)
    return count


def _mean(item: _Item, neighbours: list[_Item]) -> float:
    """Return where the middle of an item's neighbours is; its own place if it has none."""
    return sum(one.middle for one in neighbours) / len(neighbours) if neighbours else item.middle


def _pulled(item: _Item) -> float:
    """Return where the neighbours of an item draw it; its own place if it has none."""
    total = sum(weight for weight, _ in item.pulls)
    return sum(weight * one.middle for weight, one in item.pulls) / total if total else item.middle


def _settle(row: list[_Item], wanted: list[float]) -> None:
    """Move the items of a row as near to where they are wanted as their order and widths allow, by least squares.

    The more strongly an item's neighbours draw it, the less it gives way.
    """
    offsets = [0.0]
    for left, right in itertools.pairwise(row):
        offsets.append(offsets[-1] + (left.width + right.width) / 2 + _BESIDE)
    blocks: list[tuple[float, float, int]] = []  # mean, weight and number of neighbours that push each other
    for item, want, offset in zip(row, wanted, offsets, strict=True):
        mean, weight, count = want - offset, sum((one for one, _ in item.pulls), start=0.01), 1
        while blocks and blocks[-1][0] > mean:
            before, heavier, number = blocks.pop()
            mean = (mean * weight + before * heavier) / (weight + heavier)
            weight, count = weight + heavier, count + number
        blocks.append((mean, weight, count))
    middles = [mean for mean, _, count in blocks for _ in range(count)]
    for item, middle, offset in zip(row, middles, offsets, strict=True):
        item.middle = middle + offset


def _placed(items: list[_Item], chains: list[list[_Item]], rows: list[list[_Item]]) -> Layout:
    """Return the layout of items whose middles are known."""
    every = [item for row in rows for item in row]
    shift = _MARGIN - min(item.middle - item.width / 2 for item in every)
    where: dict[int, Rectangle] = {}
    top = _MARGIN
    for row in rows:
        height = max(item.height for item in row)
        for item in row:
            tall = height if item.height == 0 else item.height
            where[id(item)] = Rectangle(item.middle - item.width / 2 + shift, top, item.width, tall)
        top += height + BETWEEN
    return Layout(
        boxes=tuple(where[id(item)] for item in items),
        labels=tuple(where[id(chain[-2])] for chain in chains),
        ways=tuple(tuple(where[id(item)] for item in chain) for chain in chains),
        width=max(one.left + one.width for one in where.values()) + _MARGIN,
        height=top - BETWEEN + _MARGIN,
    )
