"""The callback for Keras 3: `model.fit(…, callbacks=[WatchCallback("runs/one")])`."""

from __future__ import annotations

import os
from typing import Any, Unpack

from downslope.watching._callback import WatchingCallback
from downslope.watching._choices import WatchChoices
from downslope.watching.keras._loops import TrainingLoop, keras_itself, loop_of


def _base() -> type:
    return keras_itself().callbacks.Callback


class WatchCallback(WatchingCallback, base=_base, package="keras"):
    """Watch a training of Keras. `trace` is what was recorded.

    Args:
        folder: where the record goes; None keeps it in memory.
        sample: inputs and targets of some rows, as `fit` takes them: with JAX as the backend, layers and gradients are
            looked at on the first 256 of them. Without a sample there are the numbers alone; PyTorch needs none.
        choices: what `downslope.watch` takes beside model, optimizer and folder.
    """

    model: Any  # set by Keras, as is the next; it brings the weights of a compiled loop up to date first
    params: dict[str, Any]
    _loop: TrainingLoop | None = None

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        sample: tuple[Any, Any] | None = None,
        **choices: Unpack[WatchChoices],
    ) -> None:
        WatchingCallback.__init__(self, folder, **choices)
        self._sample = sample

    def on_train_begin(self, logs: Any = None) -> None:
        """Start the watch, by the backend."""
        self.on_train_end()
        batches = self.params.get("steps")
        self._loop = loop_of(lambda: self.model, self._loss, batches, self._sample)
        self._begin_with(self._loop.begin, **({"steps": batches * self.params["epochs"]} if batches else {}))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Report the start of an epoch."""
        if self._loop is not None:
            self._loop.begin_epoch()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Measure the model before the step."""
        if self._loop is not None:
            self._loop.before_step()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Add the row of a step, or of those that were executed as one."""
        if self._loop is not None and self.watch is not None and logs and "loss" in logs:
            self._loop.after_step(self.watch, batch, logs["loss"])

    def on_test_end(self, logs: Any = None) -> None:
        """Count the rows held back."""
        if self._loop is not None:
            self._loop.count_evaluated()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Report losses and scores on held-back rows; those of the training are means over the epoch, and left out."""
        if self._loop is not None:
            self._evaluation(epoch, logs or {}, self._loop.evaluated, step=self._loop.step)

    def on_train_end(self, logs: Any = None) -> None:
        """Close the watch, and restore the model's own methods."""
        if self._loop is not None:
            self._loop = self._loop.end()
        self._end()
