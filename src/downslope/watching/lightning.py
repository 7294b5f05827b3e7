"""The callback for Lightning: `Trainer(callbacks=[WatchCallback("runs/one")])`."""

from __future__ import annotations

import math
import sys
from typing import Any

from downslope.trace import Outcome
from downslope.watching._callback import WatchingCallback, rows_of


def _base() -> type:
    # Both names of the package are in use, and a trainer of one knows no callback of the other.
    if "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
        from pytorch_lightning.callbacks import Callback  # pyright: ignore[reportMissingImports]
    else:
        from lightning.pytorch.callbacks import Callback  # pyright: ignore[reportMissingImports]
    return Callback


class WatchCallback(WatchingCallback, base=_base, package="lightning"):
    """Watch a training of Lightning.

    `watch` is the running `Watch`, `trace` what it recorded. Checkpoints hold its state.

    Args:
        folder: where the record goes; None keeps it in memory.
        choices: what `downslope.watch` takes beside model, optimizer and folder.
    """

    _state: dict[str, Any] | None = None  # of a checkpoint
    _held_back = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start: the optimizers are there, a checkpoint is restored, and the sanity check of the validation is over."""
        steps = trainer.estimated_stepping_batches
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        watch = self._begin(
            pl_module, trainer.optimizers, steps=int(steps) if math.isfinite(steps) else None, scaler=scaler
        )
        if self._state:
            watch.load_state_dict(self._state)

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        """Report the loss, undoing the division by accumulated batches and the factor of the scaler."""
        self._loss(loss)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Count the rows held back."""
        if dataloader_idx == 0:
            self._held_back = (self._held_back if batch_idx else 0) + rows_of(batch)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Report what was logged on held-back rows, after the module's own `on_validation_epoch_end`."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._evaluation(trainer.global_step, trainer.callback_metrics, self._held_back)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Close the watch."""
        self._end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Close the watch of a training that was interrupted or failed."""
        self._end(Outcome.INTERRUPTED)

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {} if self.watch is None else self.watch.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state of a checkpoint until the training goes on."""
        self._state = state_dict
