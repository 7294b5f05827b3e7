"""The losses for training, and the metrics for people.

A loss is the mean over a batch of one number for each example. Cross-entropies take either logits, which is exact for
any size of logit, or probabilities, which are clipped to [1e-7, 1 − 1e-7] first and, for several classes, divided by
their sum.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from downslope._copies import check_functions
from downslope._engine import jax
from downslope._errors import SettingError, nearest
from downslope._types import Plain
from downslope.networks.data import NUMBERS, SUITED_LOSS, balanced_accuracy

if TYPE_CHECKING:
    from jax import Array

LossName = Literal[
    "mean squared error",
    "mean absolute error",
    "huber",
    "binary cross-entropy",
    "softmax cross-entropy",
    "mse",
    "squared error",
    "l2",
    "mae",
    "l1",
    "bce",
    "cross-entropy",
    "categorical cross-entropy",
    "sparse categorical cross-entropy",
]
_SMALLEST = 1e-7
_HUBER = 1.0


@dataclass(frozen=True)
class Loss:
    """A loss.

    Args:
        name: its name, or "custom".
        from_logits: whether the outputs are logits; None for losses of numbers.
        each: the loss of each example from outputs (batch, …) and targets (batch, …), shape (batch,).
        whole: for "custom", the loss of a batch from outputs and targets, a number; else None.
        weights: what the loss of an example is multiplied by, by the index of its class; () for 1.
    """

    name: str
    from_logits: bool | None
    each: Callable[[Array, Array], Array] | None
    whole: Callable[[Array, Array], Array] | None = None
    weights: tuple[float, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        # By its name, from which the function of each example follows.
        if self.whole is None:
            return functools.partial(_again, self.name, self.from_logits is not False, self.weights), ()
        check_functions("the loss", self.whole)
        return loss, (self.whole,)

    def of_batch(self, outputs: Array, targets: Array) -> Array:
        """Return the mean over the examples."""
        if self.whole is not None:
            return self.whole(outputs, targets)
        assert self.each is not None
        each = self.each(outputs, targets)
        if self.weights:
            each = each * jax().numpy.asarray(self.weights, each.dtype)[targets]
        return jax().numpy.mean(each)

    def weighted(self, weights: tuple[float, ...]) -> Loss:
        """Return the loss with the loss of each example times the weight of its class.

        Raises:
            SettingError: for a function, which weighs its examples itself.
        """
        if not weights:
            return self
        if self.whole is not None:
            raise SettingError(
                "class_weights apply to named losses, but this loss is a function",
                hint="multiply the loss of each example inside the function, or use a named loss",
            )
        return replace(self, weights=tuple(weights))

    @property
    def needs_classes(self) -> bool:
        """Whether its targets are classes."""
        return "entropy" in self.name

    def describe(self) -> Plain:
        """Return the loss as plain data."""
        weights = {"class_weights": list(self.weights)} if self.weights else {}
        return {"name": self.name, "from_logits": self.from_logits, **weights}


def loss(spec: str | Callable[[Array, Array], Array], *, from_logits: bool = True) -> Loss:
    """Return a loss by its name, or a function of (outputs, targets) that returns one number.

    Raises:
        SettingError: for a name that is not known.
    """
    if not isinstance(spec, str):
        if callable(spec):
            return Loss("custom", None, None, spec)
        raise SettingError(f"a loss is a name or a function, not {type(spec).__name__}")
    plain = (
        spec.strip().lower().replace("_", " ").replace("crossentropy", "cross-entropy").replace("cross e", "cross-e")
    )
    plain = _OTHER_NAMES.get(plain, plain)
    if plain not in _EACH:
        close = nearest(plain, (*_EACH, *_OTHER_NAMES))
        raise SettingError(
            f"there is no loss {spec!r}; known are {', '.join(_EACH)}",
            hint=f"did you mean {close!r}?" if close else None,
        )
    entropy = "entropy" in plain
    each = _EACH[plain]
    return Loss(
        plain, from_logits if entropy else None, lambda o, t: each(o, t, from_logits) if entropy else each(o, t)
    )


def _again(name: str, from_logits: bool, weights: tuple[float, ...]) -> Loss:
    """Return the loss that a pickled one was."""
    return loss(name, from_logits=from_logits).weighted(weights)


def loss_names() -> tuple[str, ...]:
    """Return the names of the losses."""
    return tuple(_EACH)


def suited_loss(kind: str) -> str:
    """Return the loss that suits a kind of targets."""
    return SUITED_LOSS[kind]


def measured(
    kind: str, outputs: np.ndarray, targets: np.ndarray, *, from_logits: bool | None, balanced: bool = False
) -> dict[str, float]:
    """Return the metrics of outputs: accuracy for classes, and its mean over the classes; R² for numbers.

    Args:
        kind: the kind of the targets.
        outputs: shape (rows, outputs).
        targets: class indices of shape (rows,), or numbers of shape (rows, outputs).
        from_logits: whether a single output is a logit; False for a probability.
        balanced: whether the mean over the classes is measured as well.
    """
    if kind != NUMBERS:
        guesses = chosen(outputs, from_logits=from_logits)
        accuracy = {"accuracy": float(np.mean(guesses == targets))}
        return {**accuracy, "balanced_accuracy": balanced_accuracy(guesses, targets)} if balanced else accuracy
    with np.errstate(all="ignore"):
        # Numbers of one column come as (rows,) or (rows, 1): without a common shape they would broadcast to a square.
        wrong = targets.reshape(outputs.shape) - outputs if targets.size == outputs.size else targets - outputs
        around = targets - targets.mean(axis=0)
        total = float(np.mean(around.astype(float) ** 2))
        left = float(np.mean(wrong.astype(float) ** 2))
    # Of targets that are all the same no share can be explained.
    return {"r2": 1 - left / total if total > 0 else float("nan")}


def chosen(outputs: np.ndarray, *, from_logits: bool | None) -> np.ndarray:
    """Return the predicted class, shape (rows,): the largest output, or for a single one its side of a half."""
    rows = outputs.reshape(len(outputs), -1)
    if rows.shape[1] > 1:
        return rows.argmax(axis=1)
    # σ(0) = ½: the boundary of a logit is 0.
    return (rows[:, 0] > (0.0 if from_logits else 0.5)).astype(int)


def probabilities(loss: Plain, outputs: np.ndarray, classes: int) -> np.ndarray:
    """Return the probability of each class, shape (rows, classes); each row adds up to 1.

    Logits z become softmax(z), or σ(z) behind a binary cross-entropy: that of the second class where there is one
    output, and of each class by itself, over their sum, where there are several.

    Args:
        loss: the loss as `Loss.describe` returns it.
        outputs: shape (rows, classes), or (rows, 1) for two.
        classes: the number of classes.

    Raises:
        SettingError: if there are no classes, or the outputs for this loss are not probabilities.
    """
    if not classes:
        raise SettingError("numeric targets have no probabilities", hint="leave probabilities out")
    if loss["from_logits"] is None:
        raise SettingError(
            f"a network trained on {loss['name']} has no probabilities",
            hint='train with loss="cross-entropy" for them',
        )
    rows = np.asarray(outputs, dtype=np.float64).reshape(len(outputs), -1)
    if rows.shape[1] != classes and (rows.shape[1], classes) != (1, 2):
        raise SettingError(f"the network has {rows.shape[1]} outputs, and there are {classes} classes")
    if loss["from_logits"] and (loss["name"] == "binary cross-entropy" or rows.shape[1] == 1):
        # σ(z) = exp(−log(1 + exp(−z))), which overflows for no z.
        rows = np.exp(-np.logaddexp(0, -rows))
    elif loss["from_logits"]:
        # softmax(z) = softmax(z − max z), and exp of numbers up to 0 does not overflow.
        rows = np.exp(rows - rows.max(axis=1, keepdims=True))
    else:
        rows = np.clip(rows, _SMALLEST, 1.0 if loss["name"] == "binary cross-entropy" else None)
    if rows.shape[1] == 1 and classes == 2:
        return np.concatenate([1 - rows, rows], axis=1)
    return rows / rows.sum(axis=1, keepdims=True)


def _as_numbers(outputs: Array, targets: Array) -> Array:
    """Return targets in the shape and type of the outputs: classes become 1 at their index and 0 elsewhere."""
    numpy = jax().numpy
    if numpy.issubdtype(targets.dtype, numpy.integer) and targets.ndim < outputs.ndim and outputs.shape[-1] > 1:
        # Integer targets are indices of classes only where the outputs have room for more than one.
        return jax().nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
    return numpy.reshape(targets, (targets.shape[0], -1)).astype(outputs.dtype)


def _mean_of_rows(values: Array) -> Array:
    """Return the mean of each example's numbers."""
    return jax().numpy.mean(values.reshape(values.shape[0], -1), axis=1)


def _squared(outputs: Array, targets: Array) -> Array:
    return _mean_of_rows((outputs - _as_numbers(outputs, targets)) ** 2)


def _absolute(outputs: Array, targets: Array) -> Array:
    return _mean_of_rows(jax().numpy.abs(outputs - _as_numbers(outputs, targets)))


def _huber(outputs: Array, targets: Array) -> Array:
    numpy = jax().numpy
    away = numpy.abs(outputs - _as_numbers(outputs, targets))
    return _mean_of_rows(numpy.where(away <= _HUBER, away**2 / 2, _HUBER * (away - _HUBER / 2)))


def _binary(outputs: Array, targets: Array, from_logits: bool) -> Array:
    numpy, labels = jax().numpy, _as_numbers(outputs, targets)
    if from_logits:
        # −y log σ(z) − (1 − y) log σ(−z) = log(1 + exp z) − y z, exact for any size of z.
        return _mean_of_rows(jax().nn.softplus(outputs) - labels * outputs)
    # A probability of 0 would give an infinite loss and no gradient; the clip is that of Keras.
    sure = numpy.clip(outputs, _SMALLEST, 1 - _SMALLEST)
    return _mean_of_rows(-labels * numpy.log(sure) - (1 - labels) * numpy.log1p(-sure))


def _softmax(outputs: Array, targets: Array, from_logits: bool) -> Array:
    numpy, labels = jax().numpy, _as_numbers(outputs, targets)
    if from_logits:
        return -numpy.sum(labels * jax().nn.log_softmax(outputs), axis=-1)
    # Outputs behind another activation than softmax need not add up to 1.
    shares = outputs / numpy.sum(outputs, axis=-1, keepdims=True)
    return -numpy.sum(labels * numpy.log(numpy.clip(shares, _SMALLEST, 1 - _SMALLEST)), axis=-1)


_EACH: Mapping[str, Callable[..., Array]] = {
    "mean squared error": _squared,
    "mean absolute error": _absolute,
    "huber": _huber,
    "binary cross-entropy": _binary,
    "softmax cross-entropy": _softmax,
}
_OTHER_NAMES = {
    "mse": "mean squared error",
    "squared error": "mean squared error",
    "l2": "mean squared error",
    "mae": "mean absolute error",
    "l1": "mean absolute error",
    "bce": "binary cross-entropy",
    "cross-entropy": "softmax cross-entropy",
    "categorical cross-entropy": "softmax cross-entropy",
    "sparse categorical cross-entropy": "softmax cross-entropy",
}
