"""Streams of batches, and the task of a network and a stream.

What cannot be known without reading the whole stream is taken from some of its batches, and each other one is checked
against it: from batches all over a stream that can be read again, since it may be sorted, and else from the first ones.
Nothing is standardised.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from downslope._engine import Structure, jax
from downslope._errors import DataError, SettingError, described
from downslope._numbers import unmasked
from downslope._types import Plain, Tree
from downslope.networks._objective import network_objective
from downslope.networks._trained import Task, trained
from downslope.networks.data import CLASSES, NUMBERS, TASKS, TWO_CLASSES, Encoding, Examples, Target, facts, order_of
from downslope.networks.tasks._examples import fitted, fitting_model, weighing
from downslope.networks.tasks._sizes import NetworkChoices

_MOST_READ, _MOST_ROWS = 32, 1000  # batches and rows that are kept before training
_MOST_PASSED = 256  # batches that are gone through to keep some of them
_FEWEST_TOGETHER = 32  # rows of neighbouring batches, which show the order


def is_stream(data: object, *, pairs: bool) -> bool:
    """Tell whether data are a stream of batches.

    Args:
        data: an iterator, or anything that can be read again and again, such as a list or a loader.
        pairs: whether a list is a stream only where its entries are pairs, since it may be a pair itself.
    """
    if isinstance(data, list):
        return not pairs or (bool(data) and all(isinstance(entry, tuple) and len(entry) == 2 for entry in data))
    if isinstance(data, str | Path | Mapping | tuple) or hasattr(data, "columns") or hasattr(data, "__array__"):
        return False
    return hasattr(data, "__iter__") or hasattr(data, "__next__")


class Stream:
    """A stream of batches of which some have been read. It can be read again if its source can.

    Args:
        source: the iterable of batches.
        head: the first batches, where `source` yields them only once; else none.
        read: some of the batches by their number, counted from 1; the first is among them.
        prepared: functions of a batch's number, counted from 1, and the batch, which return the prepared batch; they
            are applied one after another.
    """

    def __init__(
        self,
        source: Iterable[Tree],
        head: list[Tree],
        read: dict[int, Tree],
        prepared: tuple[Callable[[int, Any], Any], ...] = (),
    ) -> None:
        self._source, self._head, self._read, self._prepared = source, head, read, prepared

    @classmethod
    def of(cls, source: Iterable[Tree]) -> Stream:
        """Return a stream after reading some of its batches: about 1000 rows.

        Raises:
            SettingError: for an empty one.
        """
        # An iterator yields its batches once, so those read here are put back in front.
        once = iter(source) is source
        read: dict[int, Tree] = {}
        rows = 0
        for number, batch in enumerate(itertools.islice(source, _MOST_READ), start=1):
            read[number] = jax().tree.map(np.asarray, batch)
            rows += _rows_of(read[number])
            if rows >= _MOST_ROWS:
                break
        if not read:
            raise SettingError("the stream of batches is empty")
        return cls(source, list(read.values()), read) if once else cls(source, [], _all_over(source, read))

    def preparing(self, prepared: Callable[[int, Tree], Tree]) -> Stream:
        """Return the same stream with another function applied to each batch."""
        read = {number: prepared(number, batch) for number, batch in self._read.items()}
        return Stream(self._source, self._head, read, (*self._prepared, prepared))

    def __iter__(self) -> Iterator[Tree]:
        # The first batches are replayed in the first round only.
        head, self._head = self._head, []
        for number, batch in enumerate(itertools.chain(head, self._source), start=1):
            for prepare in self._prepared:
                batch = prepare(number, batch)
            yield batch

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.reads_again:
            raise DataError(
                "a stream that can be read only once cannot be pickled",
                hint="give a list of batches, or a loader that can be pickled",
            )
        return Stream, (self._source, [], self._read, self._prepared)

    @property
    def reads_again(self) -> bool:
        """Whether it can be read again from the start."""
        return iter(self._source) is not self._source

    @property
    def first(self) -> Tree:
        """The first batch."""
        return self._read[1]

    @property
    def common_rows(self) -> int | None:
        """The length of a batch's arrays along their first axes; None where they do not agree."""
        counts = {leaf.shape[0] if leaf.ndim else None for leaf in jax().tree.leaves(self.first)}
        return counts.pop() if len(counts) == 1 else None

    def sample(self) -> Tree:
        """Return the batches that have been read, concatenated; None where they have no common first axis."""
        if self.common_rows is None:
            return None
        return jax().tree.map(lambda *leaves: np.concatenate(leaves), *self._read.values())

    @staticmethod
    def refuse_share(validation: object) -> None:
        """Raise for a share of a stream to be held back."""
        if isinstance(validation, int | float) and validation:
            raise SettingError(
                "a stream cannot hold back a share", hint="give validation=(inputs, targets), or a batch for a loss"
            )


def _rows_of(batch: Tree) -> int:
    """Return the rows of a batch: those of its longest array."""
    return max((len(leaf) for leaf in jax().tree.leaves(batch) if leaf.ndim), default=0)


def _all_over(source: Iterable[Tree], first: dict[int, Tree]) -> dict[int, Tree]:
    """Return batches from all over a stream that can be read again, by their number: about 1000 rows.

    A list is taken from as it is; anything else is gone through for at most 256 batches. Neighbouring batches of few
    rows are taken together, so that they show whether neighbours are alike.
    """
    rows = max(_rows_of(first[1]), 1)
    together = -(-_FEWEST_TOGETHER // rows)
    runs = max(len(first), _MOST_ROWS // rows) // together or 1
    if isinstance(source, Sequence):
        starts = np.linspace(1, max(len(source) - together + 1, 1), runs).round().astype(int)
        numbers = sorted({int(start) + offset for start in starts for offset in range(together)})
        return {n: jax().tree.map(np.asarray, source[n - 1]) for n in numbers if n <= len(source)}
    # Of a length that is not known, every run is kept, then each second of them, then each fourth.
    kept: dict[int, Tree] = {}
    stride = together
    for number, batch in enumerate(itertools.islice(source, _MOST_PASSED), start=1):
        if (number - 1) % stride < together:
            kept[number] = jax().tree.map(np.asarray, batch)
        if len(kept) > 2 * runs * together:
            stride *= 2
            kept = {earlier: old for earlier, old in kept.items() if (earlier - 1) % stride < together}
    return kept or first


def stream_task(
    model: Any,
    choices: NetworkChoices,
    source: Any,
    validation: Any,
    *,
    seed: int,
    task: str | None,
    computing: Plain,
    own: Callable[[Any], Structure],
) -> Task:
    """Return the task of a network and a stream of batches (inputs, targets).

    Args:
        model: the model, as for `train`.
        choices: the choices of a network.
        source: the iterable of pairs of inputs and targets; targets are numbers or the indices of classes.
        validation: a pair of inputs and targets, or None.
        seed: of the weights, and of the rows that references are computed on.
        task: "classes" or "numbers"; None to decide by the first targets: whole numbers are classes.
        computing: the choices of `ComputationChoices`, by name.
        own: the function from a model or a loss of the user's to the structure that its programs are kept for.

    Raises:
        DataError: for batches that are not such pairs.
        SettingError: for a network that does not fit them, or a share of a stream as validation.
    """
    Stream.refuse_share(validation)
    if task is not None and task not in TASKS:
        raise SettingError(f"a task is 'classes' or 'numbers', not {described(task)}")
    raw = Stream.of(source)
    # Whole numbers, one a row, are indices of classes; the first batch decides for all.
    is_classes = _are_classes(raw.first) if task is None else task == "classes"
    stream = raw.preparing(functools.partial(_pair, is_classes=is_classes))
    held = None if validation is None or isinstance(validation, int | float) else _pair(None, validation, is_classes)
    inputs, targets = stream.sample()
    # Validation may hold a class that the batches read so far lack.
    target = _target(model, inputs, [targets] if held is None else [targets, held[1]], is_classes, seed)
    stream = stream.preparing(functools.partial(_checked, target=target))
    if held is not None:
        _checked(None, held, target)
    seen, loss = fitted(model, choices, inputs, target, seed)
    encoding = _encoding(inputs, target)
    rows = len(stream.first[0])
    computing = weighing(computing, target, targets)
    note = f"A stream of batches of {rows}: {_in_words(inputs, target)}, as they come."
    known = {
        "data": {
            **facts_of_pairs(inputs, targets, held, target, seed),
            **order_of(targets, rows, np.random.default_rng([seed, 2])),
        },
        **({"encoding": encoding.as_dict()} if encoding else {}),
        "notes": [note],
    }
    objective = network_objective(
        seen,
        (inputs, targets),
        held,
        loss,
        target.kind,
        batch=rows,
        facts=known,
        stream=stream,
        computing=computing,
        own=own,
    )
    return Task(objective, seen.point, rows, lambda trace: trained(seen, trace, encoding, (note,)))


def _are_classes(batch: Tree) -> bool:
    """Tell whether the targets of a batch are classes."""
    _, targets = _two(1, batch)
    return targets.dtype.kind in "biu" and targets.size == len(targets)


def _called(number: int | None) -> str:
    """Return the name of a batch in errors: its number, counted from 1, or the examples for validation."""
    return "validation" if number is None else f"batch {number}"


def _two(number: int | None, batch: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets of a batch as arrays with equally many rows.

    Raises:
        DataError: for anything else than two such arrays.
    """
    what = _called(number)
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise DataError(
            f"{what} of the stream is a {type(batch).__name__}, but a pair (inputs, targets) is needed",
            hint="other batches are for a loss function: train(loss, stream, start=params)",
        )
    inputs, targets = (unmasked(part) for part in batch)
    if not inputs.ndim or not targets.ndim or len(inputs) != len(targets):
        raise DataError(f"{what} holds inputs of shape {inputs.shape} and targets of shape {targets.shape}")
    if inputs.dtype.kind not in "biuf" or targets.dtype.kind not in "biuf":
        raise DataError(f"{what} holds {inputs.dtype} and {targets.dtype}, but numbers are needed")
    return inputs, targets


def _pair(number: int | None, batch: Any, is_classes: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs as they are and targets as a network sees them: int32 (rows,) or float32 (rows, outputs)."""
    inputs, targets = _two(number, batch)
    # Whole numbers stay whole: they may be indices of words, which a network looks up.
    inputs = inputs.astype(np.float32 if inputs.dtype.kind == "f" else np.int32)
    if inputs.ndim == 1:
        inputs = inputs[:, None]
    if not is_classes:
        return inputs, targets.reshape(len(targets), -1).astype(np.float32)
    if targets.size != len(targets) or not np.all(targets == np.round(targets)):
        raise DataError(
            f"{_called(number)} holds targets of shape {targets.shape}, where each row needs the index of its class"
        )
    return inputs, targets.reshape(-1).astype(np.int32)


def _target(model: Any, inputs: np.ndarray, seen: list[np.ndarray], is_classes: bool, seed: int) -> Target:
    """Return the target; the number of classes is that of the network's outputs, or of those in the first batches."""
    if not is_classes:
        count = seen[0].shape[1]
        names = ("target",) if count == 1 else tuple(f"target {number + 1}" for number in range(count))
        return Target(names, NUMBERS, (), (0.0,) * count, (1.0,) * count)
    if model is None:
        count = max(int(max(targets.max() for targets in seen)) + 1, 2)
    else:
        count = max(fitting_model(model, inputs, seed)[1], 2)
    return Target(("target",), TWO_CLASSES if count == 2 else CLASSES, tuple(range(count)))


def _checked(number: int | None, batch: tuple[np.ndarray, np.ndarray], target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch, or raise if it holds an unknown class."""
    classes = len(target.categories)
    if target.kind != NUMBERS and (batch[1].min() < 0 or batch[1].max() >= classes):
        wrong = batch[1][(batch[1] < 0) | (batch[1] >= classes)][0]
        raise DataError(
            f"{_called(number)} holds the class {wrong}, and the classes are 0 to {classes - 1}",
            hint="they are counted in some of the batches, in validation= and by the outputs of the network",
        )
    return batch


def _encoding(inputs: np.ndarray, target: Target) -> Encoding | None:
    """Return an encoding that changes nothing; None for whole numbers, such as the indices of words."""
    if inputs.dtype.kind != "f" or inputs.ndim not in (2, 3, 4):
        return None
    return Encoding((), tuple(int(side) for side in inputs.shape[1:]), (0.0,), (1.0,), (), target)


def facts_of_pairs(
    inputs: np.ndarray, targets: np.ndarray, held: tuple[np.ndarray, np.ndarray] | None, target: Target, seed: int
) -> Plain:
    """Return the facts on some examples; the number of rows is not known."""
    encoding = _encoding(inputs, target)
    if encoding is None:
        return {"rows": None, "outputs": target.outputs, "target_kind": target.kind}
    shown = Examples(inputs, targets, encoding, ())
    back = None if held is None else Examples(held[0], held[1], encoding, ())
    # The facts are those of some batches, whose number says nothing about the stream.
    return {**facts(shown, back, seed), "rows": None}


def _in_words(inputs: np.ndarray, target: Target) -> str:
    """Return the shapes of a batch, in words."""
    shape = " × ".join(map(str, inputs.shape[1:]))
    if target.kind == NUMBERS:
        return f"{shape} numbers to {target.outputs}"
    return f"{shape} numbers to one of {len(target.categories)} classes"
