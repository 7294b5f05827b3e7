"""The state of a training as arrays by name, which can be written down, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax
from downslope.descent.batches._loop import BatchState


def written(state: BatchState) -> dict[str, np.ndarray]:
    """Return the leaves of a state by name; a random key as the numbers that it is."""
    return {name: _plain(leaf) for name, leaf in zip(_names_of(state), jax().tree.leaves(state), strict=True)}


def read(begun: BatchState, kept: Mapping[str, np.ndarray]) -> BatchState:
    """Return the state that was written, in the form of one that begins."""
    leaves, shape = jax().tree.flatten(begun)
    found = [_as_before(kept[name], leaf) for name, leaf in zip(_names_of(begun), leaves, strict=True)]
    return jax().tree.unflatten(shape, found)


def _names_of(state: BatchState) -> list[str]:
    """Return a name for every leaf of a state; those of the point are known to readers of a run that goes on."""
    point = [f"point/{part}" for part in _tree.part_names(state.point)]
    others = [
        f"{field}/{place}"
        for field in ("memory", "rule")
        for place in range(len(jax().tree.leaves(getattr(state, field))))
    ]
    return ["step", *point, *others]


def _plain(leaf: Any) -> np.ndarray:
    """Return a leaf as an array of numbers."""
    return np.asarray(jax().random.key_data(leaf) if _is_key(leaf) else leaf)


def _as_before(array: np.ndarray, leaf: Any) -> Any:
    """Return what `_plain` made an array of, for a leaf of the same place."""
    return jax().random.wrap_key_data(array) if _is_key(leaf) else array


def _is_key(leaf: Any) -> bool:
    return jax().dtypes.issubdtype(leaf.dtype, jax().dtypes.prng_key)
