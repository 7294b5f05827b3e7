"""Which arrays are worth laying side by side, to be computed with at once.

On the CPU every operation is a call of its own, microseconds whatever it does, and what a deep network is made of is
many and small. Laid side by side, arrays of one kind take one call. Of large ones the copy would cost more than the
calls, and a few, or plain numbers, XLA keeps in registers: those stay alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

from downslope._engine import jax

_MANY = 4
_SMALL = 2**14


def alike(sizes: Sequence[int], kinds: Sequence[Hashable]) -> list[list[int]]:
    """Return the places of arrays, in groups to be computed with together; most are groups of one.

    Args:
        sizes: how many numbers each array holds.
        kinds: what arrays must share to be joined: a shape, a type.

    >>> alike([64, 1, 64, 64, 64], ["row"] * 5)
    [[0, 2, 3, 4], [1]]
    """
    places: dict[Hashable, list[int]] = defaultdict(list)
    for place, (size, kind) in enumerate(zip(sizes, kinds, strict=True)):
        if 1 < size <= _SMALL:
            places[kind].append(place)
    groups = [group for group in places.values() if len(group) >= _MANY]
    joined = {place for group in groups for place in group}
    return groups + [[place] for place in range(len(sizes)) if place not in joined]


def in_order(groups: Sequence[Sequence[int]], found: Sequence[Any]) -> Any:
    """Return what was found, an array with a row for each member of a group, with the rows in the order of places."""
    places = [place for group in groups for place in group]
    joined = jax().numpy.concatenate(list(found))
    order = sorted(range(len(places)), key=places.__getitem__)
    return joined if order == list(range(len(places))) else joined[jax().numpy.array(order)]
