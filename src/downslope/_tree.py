"""Points as trees of named parts, and as one flat row of named coordinates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from downslope._engine import jax
from downslope._errors import PointError
from downslope._types import Point


def part_names(point: Point) -> tuple[str, ...]:
    """Return the name of every leaf, in the order in which JAX flattens them: no two have the same.

    Raises:
        PointError: if two paths print alike, naming both; or for a name that a file cannot hold.

    >>> part_names({"y": 3.0, "x": 4.0})
    ('x', 'y')
    >>> part_names({"layers": [{"weight": 1.0}]})
    ('layers/0/weight',)
    """
    if is_flat(point):
        names = tuple(sorted(point))
        return distinct(names, "parts", names)
    tree_util = jax().tree_util
    try:
        paths = [path for path, _ in tree_util.tree_flatten_with_path(point)[0]]
    except ValueError:
        raise _unordered(point) from None
    names = tuple(tree_util.keystr(path, simple=True, separator="/") or "value" for path in paths)
    return distinct(names, "parts", [tree_util.keystr(path) for path in paths])


def coordinate_names(point: Point) -> tuple[str, ...]:
    """Return a name for every number in the point: the part's name, with its index where the part is an array.

    Raises:
        PointError: if two are alike, naming both; or as `part_names` does.

    >>> coordinate_names({"w": np.zeros(2), "b": 0.0})
    ('b', 'w[0]', 'w[1]')
    """
    names, origins = [], []
    for name, leaf in zip(part_names(point), leaves(point), strict=True):
        shape = np.shape(leaf)
        if shape == ():
            names.append(name)
            origins.append(f"the part {name!r}")
        else:
            names += [f"{name}[{','.join(map(str, index))}]" for index in np.ndindex(*shape)]
            origins += [f"a number of the part {name!r}"] * int(np.prod(shape))
    return distinct(tuple(names), "coordinates", origins)


def distinct(names: tuple[str, ...], kind: str, origins: Sequence[str]) -> tuple[str, ...]:
    """Return names, after checking that each stands for one thing and that files can hold it.

    Args:
        names: the names.
        kind: what they name, in the plural: "parts".
        origins: what each name was made from, for the message.

    Raises:
        PointError: for two that are alike, and for letters that a file cannot hold.

    >>> distinct(("a/b", "a/b"), "parts", ["['a/b']", "['a']['b']"])
    Traceback (most recent call last):
    downslope.PointError: two parts would have the name 'a/b': ['a/b'] and ['a']['b']
    rename one of them
    """
    if len(set(names)) < len(names):
        first: dict[str, str] = {}
        for name, origin in zip(names, origins, strict=True):
            if name in first:
                what = f"two {kind} would have the name {name!r}: {first[name]} and {origin}"
                raise PointError(what, hint="rename one of them")
            first[name] = origin
    text = "".join(names)
    # An array of text loses zero bytes at the ends of its entries, and UTF-8 has no half of a surrogate pair.
    if "\0" in text or (not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)):
        raise PointError(f"a name of the {kind} has letters that a file cannot hold", hint="use printable letters")
    return names


def leaves(point: Point) -> list[Any]:
    """Return the leaves in the order of `part_names`.

    Raises:
        PointError: for a mapping whose keys have no order.
    """
    if is_flat(point):
        return [point[name] for name in sorted(point)]
    try:
        return jax().tree_util.tree_leaves(point)
    except ValueError:
        raise _unordered(point) from None


def named_leaves(point: Point) -> list[tuple[str, Any]]:
    """Return the leaves with the names of `part_names`; the names of a flat point are not checked again.

    Raises:
        PointError: for a point that is not flat, as `part_names` does.

    >>> named_leaves({"y": 3.0, "x": 4.0})
    [('x', 4.0), ('y', 3.0)]
    """
    if is_flat(point):
        return [(name, point[name]) for name in sorted(point)]
    return list(zip(part_names(point), leaves(point), strict=True))


def arrays_by_part(point: Point) -> dict[str, np.ndarray]:
    """Return the leaves as arrays by the names of `part_names`.

    Raises:
        PointError: as `part_names` does.

    >>> arrays_by_part({"y": 3.0, "x": 4.0})
    {'x': array(4.), 'y': array(3.)}
    """
    return {name: np.asarray(leaf) for name, leaf in zip(part_names(point), leaves(point), strict=True)}


def _unordered(point: Point) -> PointError:
    """Return the error for a tree that JAX cannot flatten: a mapping in it has keys of several kinds."""
    for mapping in _mappings(point):
        kinds = {type(key): key for key in mapping}
        if len(kinds) > 1:
            first, second, *_ = kinds.values()
            message = f"the keys of a mapping are of several kinds: {first!r} and {second!r}"
            return PointError(message, hint="use texts for all of them")
    return PointError("the keys of a mapping have no order", hint="use texts for all of them")


def _mappings(value: Any) -> Iterator[Mapping[Any, Any]]:
    """Yield every mapping in a tree of mappings and sequences."""
    if isinstance(value, Mapping):
        yield value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for entry in inner:
        yield from _mappings(entry)


def size(point: Point) -> int:
    """Return the number of coordinates of the point."""
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
