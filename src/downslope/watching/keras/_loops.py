"""The training loops of Keras, by its backend.

Keras tells callbacks the mean of the loss over the epoch so far, and no gradient. With PyTorch as its backend, the loss
is taken where the model computes it and the step where the optimizer takes it, so that everything is of the training
itself. With JAX, whose steps are compiled whole, the model is looked at between two steps on rows that are kept, and
the loss of a step is worked out of two means. With TensorFlow there are the numbers alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from downslope.methods import ADAM, ADAMW, GRADIENT_DESCENT, LION, MOMENTUM, NESTEROV, RMSPROP
from downslope.watching._looks import ended_by

if TYPE_CHECKING:
    from downslope.watching._choices import WatchChoices
    from downslope.watching._rows import WatchedRows
    from downslope.watching._watch import Instrument, Watch
    from downslope.watching.optax import KeptBatchInstrument

_METHODS = {"SGD": GRADIENT_DESCENT, "Adam": ADAM, "AdamW": ADAMW, "RMSprop": RMSPROP, "Lion": LION}
_NAMES = {"beta_1": "beta1", "beta_2": "beta2", "epsilon": "epsilon", "rho": "decay", "weight_decay": "weight_decay"}
_MOST_ROWS = 256  # of the sample; a look costs as much as a step of as many
_NO_NORM = "Keras shows callbacks no gradient: that of the steps themselves was not measured."
_OF_SAMPLE = " Those by part and by layer are of the sample."


def keras_itself() -> Any:
    """Return the framework, which is imported for it."""
    import keras  # pyright: ignore[reportMissingImports]  # for type checkers, it is this folder

    return keras


def _takes_a_step_a_batch(model: Any) -> bool:
    """Tell whether each call of the optimizer takes one step."""
    return not model.optimizer.gradient_accumulation_steps


def _examples(model: Any) -> float:
    """Return how many examples the mean of the loss is of; 0 where Keras does not say."""
    tracker = next((metric for metric in model.metrics if metric.name == "loss"), None)
    return float(getattr(tracker, "count", 0.0))


class TrainingLoop(Protocol):
    """A training as its callback sees it: the callback's events, and how to measure the model."""

    evaluated: float  # rows of the last evaluation; 0 where Keras does not say

    @property
    def step(self) -> int | None:
        """The steps so far; None where the instrument counts them."""
        ...

    def begin(self, rows: WatchedRows, choices: WatchChoices) -> Instrument | None:
        """Return the instrument of the training."""
        ...

    def begin_epoch(self) -> None:
        """Take note of a new epoch."""
        ...

    def before_step(self) -> None:
        """Take note of a step that is about to begin."""
        ...

    def after_step(self, watch: Watch, batch: int, mean: float) -> None:
        """Take note of a step; `mean` is of the losses of the epoch so far."""
        ...

    def count_evaluated(self) -> None:
        """Count the rows of the evaluation that has ended."""
        ...

    def end(self) -> None:
        """Restore the model's own methods."""
        ...


def loop_of(
    model: Callable[[], Any], take: Callable[[Any], None], batches: int | None, sample: tuple[Any, Any] | None
) -> TrainingLoop:
    """Return the loop of a training by its backend.

    Args:
        model: the function that returns the model with its weights as they are now.
        take: what takes a loss.
        batches: batches in an epoch; None where that is not known.
        sample: inputs and targets of the looks; None for no looks.
    """
    built = model()
    is_torch = keras_itself().backend.backend() == "torch"
    if is_torch and _takes_a_step_a_batch(built) and not built.jit_compile:
        return TorchLoop(built, take)
    return CompiledLoop(model, batches, sample)


class TorchLoop:
    """A training on PyTorch: the model passes its losses on, and its optimizer steps as one of PyTorch's.

    Args:
        model: the model.
        take: what takes a loss.
    """

    step = None  # the instrument counts them

    def __init__(self, model: Any, take: Callable[[Any], None]) -> None:
        self._model, self._take, self.evaluated = model, take, 0.0

    def begin(self, rows: WatchedRows, choices: WatchChoices) -> Instrument:
        """Return the instrument of the training, and make the model pass on its losses."""
        from downslope.watching.torch import TorchInstrument

        module, optimizer = self._attached()
        own: dict[str, Any] = {
            name: choices[name] for name in ("every", "curvature_every", "flush", "steps", "criterion", "scaler")
        }
        return TorchInstrument(module, optimizer, rows, most_rows=choices["rows"], **own)

    def _attached(self) -> tuple[Any, Any]:
        """Return a module with the model's weights, and an optimizer of PyTorch that steps when the model's does."""
        from downslope.watching.torch import stand_ins

        model, take = self._model, self._take
        optimizer, compute_loss = model.optimizer, model.compute_loss

        @functools.wraps(compute_loss)
        def passed_on(*arguments: Any, **named: Any) -> Any:
            loss = compute_loss(*arguments, **named)
            if getattr(loss, "requires_grad", False):  # else it is an evaluation
                take(loss)
            return loss

        # Without what Keras keeps among the parameters and never trains, such as the means of a normalisation.
        parameters = {variable.path: variable.value for variable in model.trainable_variables}
        module, shown, step = stand_ins(type(optimizer).__name__, parameters, _group(optimizer), optimizer.apply)

        def stepped(*arguments: Any, **named: Any) -> None:
            rate = optimizer.learning_rate
            shown.param_groups[0]["lr"] = getattr(rate, "value", rate)  # a tensor, which is fetched later
            step(*arguments, **named)

        # Past what Keras does with an attribute that is set: it would track these as layers and variables.
        object.__setattr__(model, "compute_loss", passed_on)
        object.__setattr__(optimizer, "apply", stepped)
        return module, shown

    def begin_epoch(self) -> None:
        """Do nothing: the losses are those of the steps."""

    def before_step(self) -> None:
        """Do nothing: the step is measured from its graph."""

    def after_step(self, watch: Watch, batch: int, mean: float) -> None:
        """Do nothing: the optimizer reports its steps."""

    def count_evaluated(self) -> None:
        """Count the rows of the evaluation that has ended."""
        self.evaluated = _examples(self._model)

    def end(self) -> None:
        """Restore the model's own methods."""
        for owner, name in ((self._model, "compute_loss"), (self._model.optimizer, "apply")):
            if name in vars(owner):
                object.__delattr__(owner, name)


class CompiledLoop:
    """A training whose steps are seen from outside alone: the losses by their means, the layers on a sample.

    Args:
        model: the function that returns the model with its weights as they are now.
        batches: batches in an epoch; None where that is not known.
        sample: inputs and targets of the looks; None for no looks.
    """

    def __init__(self, model: Callable[[], Any], batches: int | None, sample: tuple[Any, Any] | None) -> None:
        self._model, self._batches, self._sample = model, batches, sample
        self.step, self.evaluated = 0, 0.0
        self._looks: KeptBatchInstrument | None = None
        self._plan: dict[str, Any] = {}
        optimizer = model().optimizer
        self._first, self._schedule = int(optimizer.iterations), _schedule(optimizer)
        self.begin_epoch()

    def begin(self, rows: WatchedRows, choices: WatchChoices) -> Instrument | None:
        """Return the instrument that measures the model on the sample; None for backends other than JAX."""
        model = self._model()
        self._plan = rows.plan
        self._plan |= _plan(model.optimizer)
        looked_at = keras_itself().backend.backend() == "jax" and _takes_a_step_a_batch(model)
        if looked_at and self._sample is not None:
            try:
                self._looks = _looks(self._model, self._sample, rows, choices)
            except Exception as error:  # a loss that cannot be followed, for example
                rows.note(ended_by(error, 0))
        rows.note(_NO_NORM + (_OF_SAMPLE if self._looks is not None else ""))
        return self._looks

    def begin_epoch(self) -> None:
        """Begin the mean of the loss anew."""
        self._done, self._mean, self._size, self._rate = 0, 0.0, 1.0, None

    def before_step(self) -> None:
        """Measure the model if due, and read the rate: then, at each epoch, and with a schedule at each step."""
        if self._rate is None or (self._looks is not None and self._looks.is_due(self.step)):
            self._rate = float(self._model().optimizer.learning_rate)
        elif self._schedule is not None:
            self._rate = float(self._schedule(self._first + self.step))
        if self._looks is not None:
            self._looks.before(self.step)

    def after_step(self, watch: Watch, batch: int, mean: float) -> None:
        """Add the row of a step.

        Args:
            watch: where it goes.
            batch: the number of its batch, of several steps at once that of the last.
            mean: of the losses of the epoch so far.
        """
        before, self._done = self._done, batch + 1
        # Means count examples, and the last batch of an epoch may have fewer.
        examples, size = self._size * (self._done - before), self._size * before
        if before == 0 or self._done == self._batches:
            count = _examples(self._model())
            if count:
                examples = count - size
                if before == 0:
                    self._size = count / self._done
                    self._plan.setdefault("batches", {"size": round(self._size), "accumulate": 1})
        total = mean * (size + examples) - self._mean * size
        self._mean = mean
        watch.row(self.step, loss=total / examples, learning_rate=self._rate)
        if self._looks is not None:
            self._looks.after(self.step, self._done - before)
        self.step += self._done - before

    def count_evaluated(self) -> None:
        """Count the rows of the evaluation that has ended."""
        self.evaluated = _examples(self._model())

    def end(self) -> None:
        """Do nothing: the model was left as it is."""


def _looks(
    model: Callable[[], Any], sample: tuple[Any, Any], rows: WatchedRows, choices: WatchChoices
) -> KeptBatchInstrument:
    """Return the instrument that measures a model on a sample, with JAX as the backend."""
    from downslope.watching.optax import KeptBatchInstrument

    built = model()

    def weights() -> dict[str, Any]:
        return {variable.path: variable.value for variable in model().trainable_variables}

    def loss(point: dict[str, Any], batch: tuple[Any, Any]) -> Any:
        held = [[v.value for v in group] for group in (built.non_trainable_variables, built.metrics_variables)]
        trained = [point[variable.path] for variable in built.trainable_variables]
        states = [variable.value for variable in built.optimizer.variables]
        _, (value, *_) = built.compute_loss_and_updates(
            trained, *held, *batch, None, training=True, optimizer_variables=states
        )
        return value

    inputs, targets = map(np.asarray, sample)
    return KeptBatchInstrument(
        rows,
        weights,
        loss,
        (inputs[:_MOST_ROWS], targets[:_MOST_ROWS]),
        (inputs, targets),
        every=choices["every"],
        curvature_every=choices["curvature_every"],
        most_rows=choices["rows"],
    )


# --- the optimizer ---------------------------------------------------------------------------------------------------


def _group(optimizer: Any) -> dict[str, Any]:
    """Return the settings of an optimizer of Keras as those of a group of PyTorch."""
    said = optimizer.get_config()
    same = {key: key for key in ("momentum", "nesterov", "centered", "weight_decay")}
    known = {"eps": "epsilon", "alpha": "rho", **same}
    group = {name: said[key] for name, key in known.items() if said.get(key) is not None}
    if "beta_1" in said:
        group["betas"] = said["beta_1"], said["beta_2"]
    return {**group, "lr": float(optimizer.learning_rate)}


def _plan(optimizer: Any) -> dict[str, Any]:
    """Return the entries of a plan for an optimizer of Keras."""
    said, name = optimizer.get_config(), type(optimizer).__name__
    method = _METHODS[name].name if name in _METHODS else name.lower()
    settings = {_NAMES[key]: float(said[key]) for key in _NAMES if said.get(key) is not None}
    if name == "SGD" and said["momentum"]:
        method = (NESTEROV if said["nesterov"] else MOMENTUM).name
        settings["momentum"] = float(said["momentum"])
    return {"method": method, "settings": settings, "learning_rate": float(optimizer.learning_rate)}


def _schedule(optimizer: Any) -> Callable[[int], Any] | None:
    """Return the schedule of an optimizer's rate, apart from its state; None if there is none."""
    said = optimizer.get_config()["learning_rate"]
    try:
        return keras_itself().optimizers.schedules.deserialize(said) if isinstance(said, dict) else None
    except (TypeError, ValueError):  # a class of one's own: its rate is that of the last look
        return None
