"""An objective that is averaged over examples, a batch of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from downslope._engine import Structure, jax
from downslope._types import Plain, Point

# What is recorded of each part; and of each layer's activations, in the order in which `seen` returns them; the norm of
# the gradient there is the loop's own.
PART_COLUMNS = ("parameter_norm", "gradient_norm", "update_norm")
LAYER_COLUMNS = ("activation_mean", "activation_deviation", "activation_variation", "saturated_share", "dead_share")
GRADIENT_COLUMN = "activation_gradient_norm"


class BatchFunctions(NamedTuple):
    """The functions of an objective over batches; see `Batched`."""

    loss: Callable[[Point, Any, Any, Any], tuple[Any, Any]]
    seen: Callable[..., tuple[Any, tuple[Any, Any]]] | None
    nudges: Callable[[Any], tuple[Any, ...]] | None
    layers: tuple[str, ...]


@runtime_checkable
class SeekableBatches(Protocol):
    """A stream of batches that begins anywhere, and of which a process need read its part alone."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches from the first on."""
        ...

    def batches_from(self, first: int, seed: int, parts: Sequence[slice] = ()) -> Iterator[Any]:
        """Yield the batches from a number on, counted from 0, without end.

        Args:
            first: the number of the first.
            seed: of their order.
            parts: the rows that are needed of the first batch of a step, the second, and so on; () for all.
        """
        ...


@dataclass(frozen=True, eq=False)
class Batched:
    """The functions and data of an objective that is averaged over batches of examples.

    A batch is any tree of arrays with one entry an example along their first axes; for a network, (inputs, targets).

    Args:
        loss: the mean loss of a batch, `loss(point, memory, batch, key)`, with the memory after it; key None leaves out
            everything random.
        memory: what is carried from batch to batch besides the point (running means), a tree of arrays.
        examples: all the examples as one batch; None where they come as a stream.
        stream: where they come from, batch by batch; begun anew when it ends, if it can be.
        held_out: examples for validation as one batch, or None.
        layers: the names of the layers that are looked into, in forward order; a layer's name begins those of its
            parts.
        seen: like `loss` with a last argument of numbers added to each layer's pre-activations; returns the loss, the
            memory and the layers' statistics, shape (len(LAYER_COLUMNS), layers). None without layers.
        nudges: the zeros that `seen` takes, from a batch.
        assess: what to measure of a point, as `assess(point, memory, sets)` from examples by the name of their set:
            `training_loss`, `validation_accuracy`, …
        conclude: what to measure of the last point beyond that, as facts: `conclude(point, memory, sets)`; or None.
        facts: what is known of the examples and the model beforehand, plain data.
        sample: of a stream, some examples as one batch, for what is measured of training; None for nothing.
        structure: what compiled programs are kept for, the same for equal networks and losses; None for this object.
    """

    loss: Callable[[Point, Any, Any, Any], tuple[Any, Any]]
    memory: Any
    examples: Any
    stream: Iterable[Any] | None
    held_out: Any
    layers: tuple[str, ...]
    seen: Callable[..., tuple[Any, tuple[Any, Any]]] | None
    nudges: Callable[[Any], tuple[Any, ...]] | None
    assess: Callable[[Point, Any, Mapping[str, Any]], Mapping[str, float]]
    facts: Plain
    sample: Any = None
    structure: Structure | None = None
    conclude: Callable[[Point, Any, Mapping[str, Any]], Plain] | None = None

    @property
    def owner(self) -> object:
        """The object for whose life the compiled programs of these functions are kept."""
        return self if self.structure is None else self.structure

    @property
    def functions(self) -> BatchFunctions:
        """The functions that programs are compiled from, without the examples, which a program would keep alive."""
        return BatchFunctions(self.loss, self.seen, self.nudges, self.layers)

    @property
    def measured(self) -> Any:
        """The examples on which training is measured: all of them, or of a stream some; None where there are none."""
        return self.sample if self.examples is None else self.examples

    @property
    def rows(self) -> int | None:
        """The number of examples; None for a stream."""
        return None if self.examples is None else rows_of(self.examples)


@dataclass(frozen=True)
class Batches:
    """The batch schedule: the examples of each step, and the measurements between batches.

    Args:
        size: examples per step; None for all of them.
        accumulate: the number of batches whose gradients are averaged for one step.
        evaluate_every: steps between evaluations.
        patience: evaluations without a lower validation loss after which the run stops; None to continue.
        probe_every: steps between probes of the Hessian's extreme eigenvalues and the gradient noise; 0 for none.
        best_by: the measurement whose best point is kept: `validation_accuracy`, …; None to keep the last.
    """

    size: int | None = None
    accumulate: int = 1
    evaluate_every: int = 100
    patience: int | None = None
    probe_every: int = 0
    best_by: str | None = None

    @property
    def per_step(self) -> int | None:
        """Examples that one step sees; None for all."""
        return None if self.size is None else self.size * self.accumulate


def rows_of(batch: Any) -> int:
    """Return the number of examples in a batch."""
    return int(np.shape(jax().tree.leaves(batch)[0])[0])


class Order:
    """The order in which examples are taken: a fresh shuffle each time all were seen, the same for the same seed.

    Args:
        rows: how many examples there are.
        size: how many a step takes.
        seed: seed of the shuffles.
    """

    def __init__(self, rows: int, size: int, seed: int) -> None:
        self._rows, self._size, self._seed = rows, size, seed
        self._shuffles: dict[int, np.ndarray] = {}

    def of_steps(self, first: int, count: int) -> np.ndarray:
        """Return the examples of `count` steps from step `first` on, shape (count, size)."""
        begin, end = first * self._size, (first + count) * self._size
        rounds = range(begin // self._rows, -(-end // self._rows))
        known = self._shuffles
        self._shuffles = {number: known[number] if number in known else self._shuffle(number) for number in rounds}
        joined = np.concatenate([self._shuffles[number] for number in rounds] or [np.zeros(0, np.int32)])
        offset = begin - rounds.start * self._rows
        return joined[offset : offset + count * self._size].reshape(count, self._size)

    def _shuffle(self, number: int) -> np.ndarray:
        """Return the examples in the order of one round."""
        return np.random.default_rng([self._seed, number]).permutation(self._rows).astype(np.int32)
