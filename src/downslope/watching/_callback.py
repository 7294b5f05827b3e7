"""What the callbacks of the frameworks share: their base class, the running watch, and the names of evaluations."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from downslope._errors import MissingExtraError, TraceError

if TYPE_CHECKING:
    from downslope.trace import Trace
    from downslope.watching._watch import Watch

_T = TypeVar("_T")
_HELD_BACK = re.compile(r"(?:val|valid|validation|eval|dev)[_/. ](.+)")
_SCORES = {"loss": "loss", "r2": "r2", "r2_score": "r2", "acc": "accuracy", "balanced_accuracy": "balanced_accuracy"}


class WatchingCallback:
    """A callback that starts a watch when a training begins and closes it when the training ends.

    Args:
        folder: where the record goes; None keeps it in memory.
        choices: what `ds.watch` takes beside model, optimizer and folder: `every`, `rows`, `also`, …
    """

    def __init__(self, folder: Any = None, **choices: Any) -> None:
        self.folder, self.choices = folder, choices
        self.watch: Watch | None = None

    @property
    def trace(self) -> Trace:
        """The trace so far, or of the whole training once that has ended."""
        if self.watch is None:
            raise TraceError("the training has not begun", hint="pass the callback to the trainer, and train")
        return self.watch.trace

    def _begin(self, model: Any, optimizer: Any, **defaults: Any) -> Watch:
        """Start the watch; choices of the user's win over what the framework says."""
        from downslope.watching import watch

        self.watch = watch(model, optimizer, self.folder, **{**defaults, **self.choices})
        return self.watch


@functools.cache
def joined(kind: type, base: type) -> type:
    """Return a class that is of both kinds, under the name of the first."""
    return type(kind.__name__, (kind, base), {"__module__": kind.__module__, "__doc__": kind.__doc__})


def instance(kind: type[_T], base: Callable[[], type], framework: str, package: str) -> _T:
    """Return a bare instance of a callback that is also one of the framework's own base class.

    The framework is imported here and not by the module of the callback: whoever has it not can still import that
    module, as the reference and editors do.

    Raises:
        MissingExtraError: if the framework is not installed.
    """
    try:
        of = base()
    except ImportError as error:
        raise MissingExtraError(
            f"{framework} cannot be imported: {error}", hint=f"install it: pip install {package}"
        ) from error
    return object.__new__(kind if issubclass(kind, of) else joined(kind, of))


def evaluation_of(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return losses and scores on rows held back, by the names of an evaluation.

    >>> evaluation_of({"train_loss": 0.1, "val_loss": 0.2, "val_sparse_categorical_accuracy": 0.9, "epoch": 3})
    {'validation_loss': 0.2, 'validation_accuracy': 0.9}
    """
    measured: dict[str, Any] = {}
    for name, value in metrics.items():
        if (held := _HELD_BACK.fullmatch(name)) is None:
            continue
        score = held[1].removesuffix("/dataloader_idx_0").removesuffix("_epoch")
        score = _SCORES.get(score) or ("accuracy" if score.endswith("accuracy") and "top" not in score else None)
        if score is not None:
            measured.setdefault(f"validation_{score}", float(value))
    return measured


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
