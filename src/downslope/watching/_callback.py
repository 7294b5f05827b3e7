"""Shared parts of the frameworks' callbacks: their base class, the running watch, and the names of evaluations."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Unpack, cast

from downslope._errors import MissingExtraError, TraceError
from downslope.watching._choices import WatchChoices
from downslope.watching._watch import MakeInstrument, begin_watch, watch

if TYPE_CHECKING:
    from typing import Self

    from downslope.trace import Outcome, Trace
    from downslope.watching._watch import Watch

_HELD_BACK = re.compile(r"(?:val|valid|validation|eval|dev)[_/. ](.+)")
_SCORES = {"loss": "loss", "r2": "r2", "r2_score": "r2", "acc": "accuracy", "balanced_accuracy": "balanced_accuracy"}


class WatchingCallback:
    """A callback that starts a watch when a training begins and closes it when the training ends.

    An instance is also one of the framework's own class. The framework is imported when the first is made, and not by
    the module of the callback: where it is not installed, that module can still be imported, as the reference and
    editors do. A class of a framework is defined with what imports its base class, and what installs it:

        class WatchCallback(WatchingCallback, base=_base, package="lightning"): ...

    Args:
        folder: where the record goes; None keeps it in memory.
        choices: what `downslope.watch` takes beside model, optimizer and folder: `every`, `rows`, `also`, …

    Raises:
        MissingExtraError: if the framework is not installed.
    """

    _base: ClassVar[Any]  # the function that returns the framework's own class
    _package: ClassVar[str]

    def __init_subclass__(cls, base: Callable[[], type] | None = None, package: str = "") -> None:
        super().__init_subclass__()
        if base is not None:
            cls._base, cls._package = staticmethod(base), package

    def __new__(cls, *arguments: Any, **choices: Any) -> Self:
        """Make it one of the framework's callbacks."""
        try:
            own = cls._base()
        except ImportError as error:
            raise MissingExtraError(
                f"the callback's framework cannot be imported: {error}", hint=f"install it: pip install {cls._package}"
            ) from error
        return object.__new__(cls if issubclass(cls, own) else _joined(cls, own))

    def __init__(self, folder: str | os.PathLike[str] | None = None, **choices: Unpack[WatchChoices]) -> None:
        self._base().__init__(self)
        self.folder, self.choices = folder, choices
        self.watch: Watch | None = None
        self._sets: dict[str, dict[str, float]] = {}  # of the last evaluation
        self._evaluated_at: int | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # The joined class has no name of its own to be looked up by. What runs stays in its process.
        kind = next(each for each in type(self).__mro__ if each.__dict__.get("_base") is not None)
        return _restored, (kind, {**vars(self), "watch": None})

    @property
    def trace(self) -> Trace:
        """The trace so far, or of the whole training once that has ended."""
        if self.watch is None:
            raise TraceError(
                "the training has not started in this process",
                hint="pass the callback to the trainer, and train; of a training in processes of its own, such as "
                "ddp_spawn, ds.load_trace reads the folder",
            )
        return self.watch.trace

    def _begin(self, model: Any, optimizer: Any, **known: Any) -> Watch:
        """Start a watch of model and optimizer; choices of the user's win over what the framework says."""
        self.watch = watch(model, optimizer, self.folder, **self._chosen(known))
        return self.watch

    def _begin_with(self, make: MakeInstrument, **known: Any) -> Watch:
        """Start a watch with an instrument of the framework's own."""
        self.watch = begin_watch(make, self.folder, **self._chosen(known))
        return self.watch

    def _chosen(self, known: Any) -> WatchChoices:
        return cast(WatchChoices, {**known, **self.choices})

    def _loss(self, loss: Any) -> None:
        """Report the loss of a batch to the watch."""
        if self.watch is not None:
            self.watch.loss(loss)

    def _evaluation(self, at: int, metrics: Mapping[str, Any], rows: float = 0, **known: Any) -> None:
        """Report losses and scores on held-back rows to the watch; for several sets, each and their mean.

        Args:
            at: the count of steps or epochs, by which the sets of one evaluation belong together.
            metrics: what the framework measured.
            rows: how many rows were held back, where that is known.
            known: what `Watch.evaluation` takes beside.
        """
        sets = evaluations_of(metrics)
        if self.watch is None or not sets:
            return
        self._sets = {**(self._sets if at == self._evaluated_at else {}), **sets}
        self._evaluated_at = at
        measured = {f"validation_{name}_{score}": x for name, each in sets.items() if name for score, x in each.items()}
        main = self._sets.get("", {})
        for score in dict.fromkeys(score for each in self._sets.values() for score in each):
            several = [each[score] for each in self._sets.values() if score in each]
            measured[f"validation_{score}"] = main[score] if score in main else sum(several) / len(several)
        self.watch.evaluation(**measured, **({"validation_rows": rows} if rows else {}), **known)

    def _end(self, outcome: Outcome | None = None) -> None:
        """Close the watch."""
        if self.watch is not None:
            self.watch.close(outcome)


def _restored(kind: type[WatchingCallback], state: Mapping[str, Any]) -> WatchingCallback:
    """Return a callback that was pickled."""
    callback = kind.__new__(kind)
    vars(callback).update(state)
    return callback


@functools.cache
def _joined(kind: type, base: type) -> type:
    """Return a class that is of both kinds, under the name of the first."""
    return type(kind.__name__, (kind, base), {"__module__": kind.__module__, "__doc__": kind.__doc__})


def evaluations_of(metrics: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return losses and scores on rows held back, by set and by name; a set without a name of its own is "".

    >>> evaluations_of({"train_loss": 0.1, "val_loss": 0.2, "val_sparse_categorical_accuracy": 0.9, "epoch": 3})
    {'': {'loss': 0.2, 'accuracy': 0.9}}
    >>> evaluations_of({"eval_news_loss": 0.4, "eval_news_accuracy": 0.8, "eval_news_runtime": 3.0})
    {'news': {'loss': 0.4, 'accuracy': 0.8}}
    """
    held = {match[1]: value for name, value in metrics.items() if (match := _HELD_BACK.fullmatch(name))}
    held = {name.removesuffix("/dataloader_idx_0").removesuffix("_epoch"): value for name, value in held.items()}
    # Beside a loss in all, others are parts of it.
    losses = () if "loss" in held else (name.removesuffix("_loss") for name in held if name.endswith("_loss"))
    named = sorted(losses, key=len, reverse=True)
    sets: dict[str, dict[str, float]] = {}
    for name, value in held.items():
        own = next((each for each in named if name.startswith(f"{each}_")), "")
        score = name.removeprefix(f"{own}_")
        score = _SCORES.get(score) or ("accuracy" if score.endswith("accuracy") and "top" not in score else None)
        if score is not None:
            sets.setdefault(own, {}).setdefault(score, float(value))
    return sets


def rows_of(batch: Any) -> int:
    """Return how many rows a batch has, by the first array in it; 0 where there is none.

    >>> import numpy as np
    >>> rows_of({"inputs": [np.zeros((8, 3))], "targets": np.zeros(8)})
    8
    """
    if isinstance(batch, Mapping):
        batch = tuple(batch.values())
    if isinstance(batch, list | tuple):
        return next((rows for rows in map(rows_of, batch) if rows), 0)
    shape = tuple(getattr(batch, "shape", ()))
    return int(shape[0]) if shape else 0
