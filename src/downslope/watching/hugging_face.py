"""The callback for the Trainer of Hugging Face: `Trainer(…, callbacks=[WatchCallback("runs/one")])`."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from downslope.watching._callback import WatchingCallback


def _base() -> type:
    from transformers import TrainerCallback  # pyright: ignore[reportMissingImports]

    return TrainerCallback


def _state_file(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}" / "downslope.json"


class WatchCallback(WatchingCallback, base=_base, package="transformers accelerate"):
    """Watch a training by the Trainer of Hugging Face.

    The Trainer tells callbacks no loss: it is read off the model's output, whose `loss` it is. A `compute_loss` of
    one's own calls `callback.watch.loss(loss)`. `trace` is what was recorded.

    Args:
        folder: where the record goes; None keeps it in memory.
        choices: what `downslope.watch` takes beside model, optimizer and folder.
    """

    _hook: Any = None  # on the model, while it trains
    _losses = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **objects: Any) -> None:
        """Start, and take the loss of every forward pass of a training."""
        # Accelerate wraps the optimizer, whose own hooks the watch needs; the wrapper holds the scaler.
        model, wrapped = objects["model"], objects["optimizer"]
        scaler = getattr(wrapped, "scaler", None)
        watch = self._begin(model, getattr(wrapped, "optimizer", wrapped), steps=state.max_steps, scaler=scaler)
        if state.global_step:  # it goes on from a checkpoint
            kept = _state_file(args, state)
            bare = {"version": 1, "last_step": None, "next_step": state.global_step}
            watch.load_state_dict(json.loads(kept.read_text()) if kept.exists() else bare)
        self._losses, self._hook = 0, model.register_forward_hook(self._take)

    def _take(self, model: Any, arguments: Any, output: Any) -> None:
        """Report the loss in an output: the first entry of a tuple, the entry `loss` of anything else."""
        if isinstance(output, Mapping):  # as all outputs of Transformers are
            loss: Any = output.get("loss")
        else:
            loss = output[0] if isinstance(output, tuple) else getattr(output, "loss", None)
        # An evaluation has no gradient, and a tuple without labels begins with the logits.
        if model.training and getattr(loss, "requires_grad", False) and loss.ndim == 0:
            self._losses += 1
            self._loss(loss)

    def on_step_end(self, args: Any, state: Any, control: Any, **objects: Any) -> None:
        """Warn once if no loss was seen."""
        if self._losses == 0:
            self._losses = -1
            warnings.warn(
                "the model's output holds no loss: call `callback.watch.loss(loss)` in `compute_loss`", stacklevel=2
            )

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **objects: Any) -> None:
        """Report losses and scores on held-back rows, one set at a time; there is no hook outside of a training."""
        if self._hook is not None:
            self._evaluation(state.global_step, metrics or {})

    def on_save(self, args: Any, state: Any, control: Any, **objects: Any) -> None:
        """Keep the state of the watch in the checkpoint."""
        kept = _state_file(args, state)
        if self.watch is not None and kept.parent.exists():
            kept.write_text(json.dumps(self.watch.state_dict()))

    def on_train_end(self, args: Any, state: Any, control: Any, **objects: Any) -> None:
        """Close the watch."""
        if self._hook is not None:
            self._hook = self._hook.remove()
        self._end()
