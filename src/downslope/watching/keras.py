"""The callback for Keras 3: `model.fit(…, callbacks=[WatchCallback("runs/one")])`.

Keras tells callbacks the mean of the loss over the epoch so far, and no gradient. With PyTorch as its backend, the loss
is taken where the model computes it and the step where the optimizer takes it, so that everything is of the training
itself. With JAX, whose steps are compiled whole, the model is looked at between two steps on rows that are kept, and
the loss of a step is worked out of two means. With TensorFlow there are the numbers alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from downslope.methods import ADAM, ADAMW, GRADIENT_DESCENT, LION, MOMENTUM, NESTEROV, RMSPROP
from downslope.watching._callback import WatchingCallback, evaluation_of, instance

if TYPE_CHECKING:
    from typing import Self

    from downslope.watching._watch import Watch
    from downslope.watching.optax import KeptBatchInstrument

_METHODS = {"SGD": GRADIENT_DESCENT, "Adam": ADAM, "AdamW": ADAMW, "RMSprop": RMSPROP, "Lion": LION}
_NAMES = {"beta_1": "beta1", "beta_2": "beta2", "epsilon": "epsilon", "rho": "decay", "weight_decay": "weight_decay"}
_MOST_ROWS = 256  # of the sample; a look costs as much as a step of as many


def _keras() -> Any:
    import keras  # pyright: ignore[reportMissingImports]  # for type checkers, it is this module

    return keras


def _base() -> type:
    return _keras().callbacks.Callback


class WatchCallback(WatchingCallback):
    """Watch a training of Keras. `trace` is what was recorded.

    Args:
        folder: where the record goes; None keeps it in memory.
        sample: inputs and targets of some rows, as `fit` takes them: with JAX as the backend, layers and gradients are
            looked at on the first 256 of them. Without a sample there are the numbers alone; PyTorch needs none.
        choices: what `downslope.watch` takes beside model, optimizer and folder.
    """

    _model: Any  # set by Keras, as are the next two; `model` brings the weights of a compiled loop up to date first
    model: Any
    params: dict[str, Any]

    def __new__(cls, *arguments: Any, **choices: Any) -> Self:
        """Make it one of Keras's callbacks."""
        return instance(cls, _base, "Keras", "keras")

    def __init__(self, folder: Any = None, *, sample: tuple[Any, Any] | None = None, **choices: Any) -> None:
        _base().__init__(self)
        WatchingCallback.__init__(self, folder, **choices)
        self._sample = sample
        self._looks: KeptBatchInstrument | None = None
        self._detach: Callable[[], None] | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Start, in the way of the backend."""
        self.on_train_end()
        self._step, self._batches, self._held_back, self._looks = 0, self.params.get("steps"), 0.0, None
        planned = {"steps": self._batches * self.params["epochs"]} if self._batches else {}
        model, backend = self.model, _keras().backend.backend()
        is_plain = not model.optimizer.gradient_accumulation_steps  # else most calls of it take no step
        if backend == "torch" and is_plain and not model.jit_compile:
            module, optimizer, self._detach = _attached(model, self._take)
            self._begin(module, optimizer, **planned)
            return
        watch = self._begin(None, None, **planned)
        watch._rows.plan |= _plan(model.optimizer)
        self._first, self._schedule = int(model.optimizer.iterations), _schedule(model.optimizer)
        if backend == "jax" and is_plain and self._sample is not None:
            self._looks = _looks(lambda: self.model, self._sample, watch, self.choices)

    def _take(self, loss: Any) -> None:
        if self.watch is not None:
            self.watch.loss(loss)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin the mean of the loss anew."""
        self._done, self._mean, self._size, self._rate = 0, 0.0, 1.0, None

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Look at the model, and renew the rate: at each look and epoch, and where a schedule has it at each step."""
        if self._detach is not None:
            return
        is_due = self._looks is not None and self._looks.is_due(self._step)
        if self._rate is None or is_due:
            self._rate = float(self.model.optimizer.learning_rate)
        elif self._schedule is not None:
            self._rate = float(self._schedule(self._first + self._step))
        if self._looks is not None:
            self._looks.before(self._step)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Add the row of a step, or of those that were executed as one."""
        if self._detach is not None or self.watch is None or not logs or "loss" not in logs:
            return
        before, self._done = self._done, batch + 1
        # Means count examples, and the last batch of an epoch may have fewer.
        examples, size = self._size * (self._done - before), self._size * before
        if before == 0 or self._done == self._batches:
            count = self._examples()
            if count:
                examples = count - size
                self._size = count / self._done if before == 0 else self._size
        total = logs["loss"] * (size + examples) - self._mean * size
        self._mean = logs["loss"]
        self.watch.row(self._step, loss=total / examples, learning_rate=self._rate)
        if self._looks is not None:
            self._looks.after(self._step, self._done - before)
        self._step += self._done - before

    def _examples(self) -> float:
        """Return how many examples the mean of the loss is of; 0 where Keras does not say."""
        tracker = next((metric for metric in self.model.metrics if metric.name == "loss"), None)
        return float(getattr(tracker, "count", 0.0))

    def on_test_end(self, logs: Any = None) -> None:
        """Count the rows held back."""
        self._held_back = self._examples()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Tell losses and scores on rows held back; those of the training are means over the epoch, and left out."""
        measured = evaluation_of(logs or {})
        if self.watch is not None and measured:
            if self._held_back:
                measured["validation_rows"] = self._held_back
            self.watch.evaluation(**measured, **({} if self._detach is not None else {"step": self._step}))

    def on_train_end(self, logs: Any = None) -> None:
        """Close the watch, and give the model back what it had."""
        if self._detach is not None:
            self._detach()
            self._detach = None
        if self.watch is not None:
            self.watch.close()


def _attached(model: Any, take: Callable[[Any], None]) -> tuple[Any, Any, Callable[[], None]]:
    """Have a model on PyTorch pass its losses on, and its optimizer step as one of PyTorch's.

    Returns a module with its weights, that optimizer, and what undoes both.
    """
    from downslope.watching.torch import stand_ins

    optimizer, compute_loss = model.optimizer, model.compute_loss

    @functools.wraps(compute_loss)
    def passed_on(*arguments: Any, **named: Any) -> Any:
        loss = compute_loss(*arguments, **named)
        if getattr(loss, "requires_grad", False):  # else it is an evaluation
            take(loss)
        return loss

    said = optimizer.get_config()
    same = {key: key for key in ("momentum", "nesterov", "centered", "weight_decay")}
    known = {"eps": "epsilon", "alpha": "rho", **same}
    group = {name: said[key] for name, key in known.items() if said.get(key) is not None}
    if "beta_1" in said:
        group["betas"] = said["beta_1"], said["beta_2"]
    # Without what Keras keeps among the parameters and never trains, such as the means of a normalisation.
    parameters = {variable.path: variable.value for variable in model.trainable_variables}
    group["lr"] = float(optimizer.learning_rate)
    module, shown, step = stand_ins(type(optimizer).__name__, parameters, group, optimizer.apply)

    def stepped(*arguments: Any, **named: Any) -> None:
        rate = optimizer.learning_rate
        shown.param_groups[0]["lr"] = getattr(rate, "value", rate)  # a tensor, which is fetched later
        step(*arguments, **named)

    # Past what Keras does with an attribute that is set: it would track these as layers and variables.
    object.__setattr__(model, "compute_loss", passed_on)
    object.__setattr__(optimizer, "apply", stepped)

    def undo() -> None:
        object.__delattr__(model, "compute_loss")
        object.__delattr__(optimizer, "apply")

    return module, shown, undo


def _looks(
    model: Callable[[], Any], sample: tuple[Any, Any], watch: Watch, choices: dict[str, Any]
) -> KeptBatchInstrument:
    """Have a model on JAX be looked at on a sample."""
    import numpy as np

    from downslope.watching.optax import KeptBatchInstrument

    def weights() -> dict[str, Any]:
        return {variable.path: variable.value for variable in model().trainable_variables}

    def loss(point: dict[str, Any], batch: tuple[Any, Any]) -> Any:
        net = built
        held = [[v.value for v in group] for group in (net.non_trainable_variables, net.metrics_variables)]
        trained = [point[variable.path] for variable in net.trainable_variables]
        states = [variable.value for variable in net.optimizer.variables]
        _, (value, *_) = net.compute_loss_and_updates(
            trained, *held, *batch, None, training=True, optimizer_variables=states
        )
        return value

    built = model()
    inputs, targets = map(np.asarray, sample)
    named = {"every": "every", "curvature_every": "curvature_every", "rows": "most_rows"}
    looks = KeptBatchInstrument(
        watch._rows,
        weights,
        loss,
        (inputs[:_MOST_ROWS], targets[:_MOST_ROWS]),
        (inputs, targets),
        **{named[key]: choices[key] for key in named if key in choices},
    )
    watch._instrument = looks
    return looks


def _plan(optimizer: Any) -> dict[str, Any]:
    """Return what a plan says of an optimizer of Keras."""
    said, name = optimizer.get_config(), type(optimizer).__name__
    method = _METHODS[name].name if name in _METHODS else name.lower()
    settings = {_NAMES[key]: float(said[key]) for key in _NAMES if said.get(key) is not None}
    if name == "SGD" and said["momentum"]:
        method = (NESTEROV if said["nesterov"] else MOMENTUM).name
        settings["momentum"] = float(said["momentum"])
    return {"method": method, "settings": settings, "learning_rate": float(optimizer.learning_rate)}


def _schedule(optimizer: Any) -> Callable[[int], Any] | None:
    """Return the schedule of an optimizer's rate, apart from its state; None where there is none to be had."""
    said = optimizer.get_config()["learning_rate"]
    try:
        return _keras().optimizers.schedules.deserialize(said) if isinstance(said, dict) else None
    except (TypeError, ValueError):  # a class of one's own: its rate is that of the last look
        return None
