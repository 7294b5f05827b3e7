"""A loss function tested on artificial outputs, or on batches whose leaves are permuted.

Where the last layer of its program is found, the part behind it is a loss of outputs and targets. Elsewhere nothing
tells outputs from targets, and only the leaves of a batch can be moved.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope import _tree
from downslope._engine import jax, precision
from downslope._types import Plain, Tree
from downslope.networks._loss_probe import NEAREST, LossBehaviour, known, probed
from downslope.networks.models import LossTail, loss_tail
from downslope.networks.tasks._scoring import target_of

if TYPE_CHECKING:
    from jax import Array

_ROWS = 16
_MOST_LEAVES = 4  # of a batch that are dealt to other rows


def tried(loss: Callable[..., Any], params: Any, examples: Tree, key: Any) -> tuple[LossBehaviour, Plain]:
    """Return the behaviour of a loss function on artificial outputs, and the facts on its outputs, empty if unknown.

    Where its outputs are not found, the leaves of a batch are dealt to other rows instead.

    Args:
        loss: `loss(params, batch, key)`, a number.
        params: the parameters, a tree of arrays.
        examples: a tree of arrays with one entry an example along their first axes.
        key: a random key.
    """
    leaves = [np.asarray(leaf) for leaf in _tree.leaves(examples)]
    if min(map(len, leaves), default=0) < 4:
        return LossBehaviour(), {}
    chosen = np.random.default_rng(0).permutation(len(leaves[0]))[:_ROWS]
    rows = chosen[: len(chosen) // 2 * 2]
    batch = jax().tree.map(lambda leaf: np.asarray(leaf)[rows], examples)
    try:
        tail = loss_tail(loss, params, batch, key)
        if tail is None:
            return _dealt(loss, params, examples, key), {}
        pools = dict(zip(_tree.part_names(examples), leaves, strict=True))
        behaviour = _of_tail(tail, tuple(pools[name] for name in tail.names))
        return behaviour, tail.form.facts(int(np.prod(tail.shape)))
    except Exception:  # a loss may take whole batches alone; what cannot be measured is not known
        return LossBehaviour(), {}


def _of_tail(tail: LossTail, pools: tuple[np.ndarray, ...]) -> LossBehaviour:
    """Return how the part of a loss behind its outputs behaves.

    Args:
        tail: the part of the loss.
        pools: all rows of each leaf that the outputs are compared with.
    """
    count = int(np.prod(tail.shape))
    # The targets are what has whole numbers, or as many numbers as there are outputs; weights and masks are others.
    ranks = [_rank(pool, count) for pool in pools]
    order = sorted(range(len(pools)), key=ranks.__getitem__)
    main = pools[order[0]]
    classes = len(target_of(main, count).categories)

    def value(outputs: Array, targets: tuple[Array, ...]) -> Array:
        return tail.value(outputs, tuple(targets[order.index(index)] for index in range(len(pools))))

    behaviour = probed(value, tail.shape, tuple(pools[index] for index in order), classes)
    if len(pools) == 1 or behaviour.is_blind:
        return behaviour
    # Weights of the examples may be multiplied crosswise as well.
    for index, pool in enumerate(pools[:_MOST_LEAVES]):

        def of_leaf(outputs: Array, leaf: tuple[Array, ...], index: int = index) -> Array:
            fixed = [*map(jax().numpy.asarray, tail.targets)]
            return tail.value(outputs, (*fixed[:index], leaf[0], *fixed[index + 1 :]))

        alone = probed(of_leaf, tail.shape, (pool,), 0)
        if alone.is_blind:
            return dataclasses.replace(alone, leaf="" if index == order[0] else tail.names[index])
    return behaviour


def _rank(pool: np.ndarray, outputs: int) -> int:
    if pool.dtype.kind in "biu" and pool.ndim == 1:
        return 0
    return 1 if pool[0].size == outputs else 2


def _dealt(loss: Callable[..., Any], params: Any, examples: Tree, key: Any) -> LossBehaviour:
    """Return what happens to a loss when each leaf of a batch is dealt to other rows, at parameters off the start."""
    random = np.random.default_rng(0)

    def moved(leaf: Any) -> np.ndarray:
        array = np.asarray(leaf, np.float32)
        # A kernel of zeros would hide from the outputs which row they belong to.
        return array + (0.1 * (float(np.std(array)) or 1.0) * random.normal(size=array.shape)).astype(np.float32)

    point = jax().tree.map(moved, params)
    form = jax().tree.structure(examples)
    leaves = tuple(np.asarray(leaf) for leaf in jax().tree.leaves(examples))
    if len(leaves) > _MOST_LEAVES:
        return LossBehaviour()
    return dealt(lambda parts: loss(point, jax().tree.unflatten(form, list(parts)), key), leaves)


def dealt(value: Callable[[tuple[Array, ...]], Array], leaves: tuple[np.ndarray, ...]) -> LossBehaviour:
    """Return what happens to a loss of batches whose leaves are dealt to other rows, each leaf by itself.

    A mean over all pairs of rows, as shapes that broadcast make it, is the same for every deal of a leaf; it is
    additive in the rows of that leaf, and in the rows of the others; and still the two go together. The leaf that is
    nearest to that decides.

    Args:
        value: the loss of a tuple of leaves; JAX can trace it.
        leaves: the arrays of all examples, shape (rows, …) each.
    """
    random = np.random.default_rng(0)
    count = min(_ROWS, len(leaves[0]) // 4 * 2)
    if count < 4 or len(leaves) < 2:
        return LossBehaviour()
    order = random.permutation(len(leaves[0]))
    here, there = (tuple(leaf[order[part : part + count]] for leaf in leaves) for part in (0, count))
    half = np.arange(count) < count // 2
    cases: dict[str, tuple[np.ndarray, ...]] = {"here": here, "there": there}
    for index in range(len(leaves)):
        cases |= {f"{name} {index}": parts for name, parts in _of_leaf(here, there, half, index).items()}
    stacked = tuple(np.stack(parts) for parts in zip(*cases.values(), strict=True))
    with precision("float32"):
        losses = np.asarray(jax().jit(lambda rows: jax().lax.map(value, rows))(stacked), np.float64)
    by_case = dict(zip(cases, losses.tolist(), strict=True))
    behaviours = [_of_dealing(by_case, index) for index in range(len(leaves))]
    blind = [behaviour for behaviour in behaviours if behaviour.is_blind]
    measured = [behaviour for behaviour in behaviours if behaviour.unpaired is not None]
    return (blind or measured or [LossBehaviour()])[0]


def _of_leaf(
    here: tuple[np.ndarray, ...], there: tuple[np.ndarray, ...], half: np.ndarray, index: int
) -> dict[str, tuple[np.ndarray, ...]]:
    """Return batches in which one leaf, or all others, come from elsewhere or in part from elsewhere."""

    def mixed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.where(half.reshape(-1, *[1] * (first.ndim - 1)), first, second)

    def with_leaf(parts: tuple[np.ndarray, ...], leaf: np.ndarray) -> tuple[np.ndarray, ...]:
        return (*parts[:index], leaf, *parts[index + 1 :])

    halves = tuple(mixed(first, second) for first, second in zip(here, there, strict=True))
    swapped = tuple(mixed(second, first) for first, second in zip(here, there, strict=True))
    own = here[index]
    return {
        **{f"dealt {shift}": with_leaf(here, np.roll(own, shift, axis=0)) for shift in range(1, 6)},
        "leaf there": with_leaf(here, there[index]),
        "rest there": with_leaf(there, own),
        "leaf halves": with_leaf(here, halves[index]),
        "leaf swapped": with_leaf(here, swapped[index]),
        "rest halves": with_leaf(halves, own),
        "rest swapped": with_leaf(swapped, own),
    }


def _of_dealing(losses: dict[str, float], index: int) -> LossBehaviour:
    """Return what the losses tell of one leaf."""
    here, there = losses["here"], losses["there"]
    leaf, rest = losses[f"leaf there {index}"], losses[f"rest there {index}"]
    due = float(np.ptp([here, there, leaf, rest]))
    if not math.isfinite(due) or due <= 1e-6 * abs(here):
        return LossBehaviour()
    dealt_by = [losses[f"dealt {shift} {index}"] - here for shift in range(1, 6)]
    mixing = [
        here + ends - losses[f"{name} halves {index}"] - losses[f"{name} swapped {index}"]
        for name, ends in (("leaf", leaf), ("rest", rest))
    ]
    joint = abs(here + there - leaf - rest) / due
    if joint < NEAREST:
        # Terms of their own, such as equations inside and values at the border, need no pairs.
        return LossBehaviour()
    return LossBehaviour(
        unpaired=known(max(map(abs, dealt_by)) / due), not_additive=known(max(map(abs, mixing)) / due), joint=joint
    )
