"""Points as trees of named parts, and as one flat row of named coordinates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from downslope._engine import jax
from downslope._types import Point


def part_names(point: Point) -> tuple[str, ...]:
    """Return the name of every leaf, in the order in which JAX flattens them.

    >>> part_names({"y": 3.0, "x": 4.0})
    ('x', 'y')
    >>> part_names({"layers": [{"weight": 1.0}]})
    ('layers/0/weight',)
    """
    if is_flat(point):
        return tuple(sorted(point))
    tree_util = jax().tree_util
    leaves, _ = tree_util.tree_flatten_with_path(point)
    return tuple(tree_util.keystr(path, simple=True, separator="/") or "value" for path, _ in leaves)


def coordinate_names(point: Point) -> tuple[str, ...]:
    """Return a name for every number in the point: the part's name, with its index where the part is an array.

    >>> coordinate_names({"w": np.zeros(2), "b": 0.0})
    ('b', 'w[0]', 'w[1]')
    """
    names = []
    for name, leaf in zip(part_names(point), leaves(point), strict=True):
        shape = np.shape(leaf)
        if shape == ():
            names.append(name)
        else:
            names += [f"{name}[{','.join(map(str, index))}]" for index in np.ndindex(*shape)]
    return tuple(names)


def leaves(point: Point) -> list[Any]:
    """Return the leaves in the order of `part_names`."""
    if is_flat(point):
        return [point[name] for name in sorted(point)]
    return jax().tree_util.tree_leaves(point)


def size(point: Point) -> int:
    """Return how many numbers the point holds."""
    return sum(int(np.size(leaf)) for leaf in leaves(point))


def is_flat(point: Point) -> bool:
    """Tell whether the point is a dict of numbers and arrays, which needs no tree library to walk."""
    return isinstance(point, dict) and all(
        isinstance(name, str) and (isinstance(leaf, int | float) or hasattr(leaf, "dtype"))
        for name, leaf in point.items()
    )


# Group small arrays of equal shape so that one kernel handles them all. On a CPU each operation costs microseconds
# whatever its size; for large arrays the copy into one would cost more than it saves.


_MANY = 4
_SMALL = 2**14


def alike(sizes: Sequence[int], kinds: Sequence[Hashable]) -> list[list[int]]:
    """Return the indices of arrays in groups that one kernel handles together; most are groups of one.

    Args:
        sizes: how many numbers each array holds.
        kinds: what arrays must share to be joined: a shape, a type.

    >>> alike([64, 1, 64, 64, 64], ["row"] * 5)
    [[0, 2, 3, 4], [1]]
    """
    indices: dict[Hashable, list[int]] = defaultdict(list)
    for index, (size, kind) in enumerate(zip(sizes, kinds, strict=True)):
        if 1 < size <= _SMALL:
            indices[kind].append(index)
    groups = [group for group in indices.values() if len(group) >= _MANY]
    joined = {index for group in groups for index in group}
    return groups + [[index] for index in range(len(sizes)) if index not in joined]


def in_order(groups: Sequence[Sequence[int]], rows: Sequence[Any]) -> Any:
    """Return the results of groups, an array with a row for each member, as one array in the order of the indices."""
    indices = [index for group in groups for index in group]
    joined = jax().numpy.concatenate(list(rows))
    order = sorted(range(len(indices)), key=indices.__getitem__)
    return joined if order == list(range(len(indices))) else joined[jax().numpy.array(order)]
