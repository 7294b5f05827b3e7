"""The losses of recipes: those that the library has, by its names; the others, and the wrong ones, as functions.

Cross-entropies take probabilities, as Keras does unless it is told `from_logits`, and cut them to [1e-7, 1 − 1e-7]. A
function takes outputs (rows, outputs) and targets, classes (rows,) or numbers (rows, columns), and returns one number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from sick_faults import Data, UnbuildableError
from sick_recipes import snake

BROADCAST, ALONG_THE_BATCH, HALF_SQUARES = "broadcast ", "along the batch", "half squares"
SMALLEST = 1e-7  # the least probability, as Keras clips them
_NAMES = {
    "mse": "mean squared error",
    "mae": "mean absolute error",
    "huber": "huber",
    "binary crossentropy": "binary cross-entropy",
    "categorical crossentropy": "softmax cross-entropy",
}
_OTHER_NAMES = {
    "": "mse",
    "mean squared error": "mse",
    "mean square error": "mse",
    "squared error": "mse",
    "squares": "mse",
    "quadratic": "mse",
    "l2": "mse",
    "mean absolute error": "mae",
    "absolute error": "mae",
    "l1": "mae",
    "smooth l1": "huber",
    "bce": "binary crossentropy",
    "log": "binary crossentropy",
    "logistic": "binary crossentropy",
    "sigmoid crossentropy": "binary crossentropy",
    "sigmoid bce": "binary crossentropy",
    "softmax crossentropy": "categorical crossentropy",
    "sparse softmax crossentropy": "categorical crossentropy",
    "sparse crossentropy": "categorical crossentropy",
    "sparse categorical crossentropy": "categorical crossentropy",
    "crossentropy": "categorical crossentropy",
    "nll": "categorical crossentropy",
    "negative log likelihood": "categorical crossentropy",
    "multinomial": "categorical crossentropy",
    "cce": "categorical crossentropy",
    "scce": "categorical crossentropy",
    "ce": "categorical crossentropy",
    "sse": "sum of squares",
    "sum squared error": "sum of squares",
    "sum of squared errors": "sum of squares",
    "root mean squared error": "rmse",
    "kld": "kullback leibler divergence",
    "kl div": "kullback leibler divergence",
    "kl divergence": "kullback leibler divergence",
    "msle": "mean squared logarithmic error",
    "mape": "mean absolute percentage error",
    "logcosh": "log cosh",
    "categorical hinge": "hinge",
    "poisson nll": "poisson",
}


def loss_of(recipe: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Return the choices of a training that say what its loss is: `loss`, and `from_logits` where that matters.

    Args:
        recipe: an entry of the file; its `note` tells of losses that are reduced or subtracted wrongly.
        task: "classes" or "numbers".

    Raises:
        UnbuildableError: for a loss that is not known.
    """
    name, logits = spelled_loss(recipe)
    if name.startswith(BROADCAST):
        return {"loss": _broadcast(name.removeprefix(BROADCAST))}
    if name == ALONG_THE_BATCH:
        return {"loss": _along_the_batch}
    if name == HALF_SQUARES:
        return {"loss": _half_squares}
    if name in _FUNCTIONS:
        return {"loss": _FUNCTIONS[name]}
    if name not in _NAMES:
        known = ", ".join(sorted((*_NAMES, *_FUNCTIONS)))
        raise UnbuildableError(f"there is no loss {recipe.get('loss')!r} here; known are {known}")
    if "crossentropy" in name and task == "numbers":
        return {"loss": _binary if name.startswith("binary") else _categorical}
    return {"loss": _NAMES[name], "from_logits": logits}


def spelled_loss(recipe: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the name of a recipe's loss as the tables spell it, and whether a cross-entropy takes logits.

    A loss that is reduced or subtracted wrongly has a name of its own: `BROADCAST` and the loss, `ALONG_THE_BATCH`.
    """
    spelled = str(recipe.get("loss") or "mse")
    words, note = spelled.lower(), str(recipe.get("note", "")).lower()
    # PyTorch's cross-entropy takes logits, which it does not say; so does what stands behind a log-softmax.
    logits = "logits" in words or "from_logits" in note or "redundant_softmax" in (recipe.get("label") or ())
    logits = logits or bool(re.search(r"crossentropyloss|nllloss|nll_loss|\bf\.cross_entropy", words))
    logits = logits and not re.search(r"from_logits\s*=\s*false", words)
    name = _canonical(spelled)
    if "broadcast" in words or "broadcasting" in note:
        return f"{BROADCAST}{name}", logits
    if "wrong axis" in note:
        return ALONG_THE_BATCH, logits
    return (HALF_SQUARES if re.search(r"0\.5\s*sum", words) else name), logits


def any_outputs(loss: Mapping[str, Any], shape: tuple[int, ...], data: Data) -> dict[str, Any]:
    """Return a loss that takes as many outputs as a network has, where frameworks train with them without a word.

    Args:
        loss: what `loss_of` returned.
        shape: the shape of the network's outputs for one example.
        data: the data.

    Raises:
        UnbuildableError: where outputs and targets cannot be compared, in frameworks neither.
    """
    outputs = math.prod(shape)
    if not isinstance(loss["loss"], str):
        return dict(loss)
    if data.task == "numbers":
        columns = math.prod(data.targets.shape[1:])
        if 1 not in (outputs, columns) and outputs != columns:
            raise UnbuildableError(f"{outputs} outputs cannot be compared with {columns} numbers")
        return dict(loss) if columns in (1, outputs) else {"loss": _OF_NUMBERS[loss["loss"]]}
    classes = int(max(data.targets.max(), data.held_targets.max())) + 1
    if outputs in (1, classes) or (classes == 2 and outputs == 2):
        return dict(loss)
    functions = _OF_LOGITS if loss.get("from_logits") else _OF_NUMBERS
    return {"loss": functions.get(loss["loss"], _OF_NUMBERS[loss["loss"]])}


def _canonical(spelled: str) -> str:
    """Return a loss as the tables spell it: without what is said of it in brackets or behind its name."""
    plain = re.sub(r"\(.*\)", "", spelled).strip()
    plain = snake(plain.rpartition(".")[2]).replace("_", " ").replace("cross entropy", "crossentropy")
    plain = re.sub(r"\b(with|from) logits( v2)?\b|\b(broadcast )?bug\b|\bbroadcast\b|\bloss\b|\bfunction\b", "", plain)
    plain = re.sub(r"^(tf|torch|keras|nn|f) ", "", " ".join(plain.split()))
    return _OTHER_NAMES.get(plain, plain)


def _numpy() -> Any:
    import jax.numpy

    return jax.numpy


def _as_numbers(outputs: Any, targets: Any) -> Any:
    """Return targets in the shape of the outputs: a class becomes 1 at its place and 0 elsewhere."""
    import jax

    if targets.ndim < outputs.ndim and outputs.shape[-1] > 1:
        return jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
    return targets.reshape(targets.shape[0], -1).astype(outputs.dtype)


def _cut(probabilities: Any) -> Any:
    return _numpy().clip(probabilities, SMALLEST, 1 - SMALLEST)


def _mean_of(each: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return the mean over rows and outputs of a loss of each number, from outputs and targets of one shape."""
    return lambda outputs, targets: _numpy().mean(each(outputs, _as_numbers(outputs, targets)))


def _binary(outputs: Any, targets: Any) -> Any:
    """Return the binary cross-entropy, which Keras takes of numbers as well."""
    numbers, sure = _as_numbers(outputs, targets), _cut(outputs)
    return _numpy().mean(-numbers * _numpy().log(sure) - (1 - numbers) * _numpy().log1p(-sure))


def _categorical(outputs: Any, targets: Any) -> Any:
    """Return the cross-entropy of outputs over their sum with targets, which Keras takes of numbers as well."""
    numbers, numpy = _as_numbers(outputs, targets), _numpy()
    shares = outputs / numpy.sum(outputs, axis=-1, keepdims=True)
    return numpy.mean(-numpy.sum(numbers * numpy.log(_cut(shares)), axis=-1))


def _along_the_batch(outputs: Any, targets: Any) -> Any:
    """Return the cross-entropy summed over the rows of the batch and averaged over the classes, the wrong way round."""
    numbers, numpy = _as_numbers(outputs, targets), _numpy()
    shares = outputs / numpy.sum(outputs, axis=-1, keepdims=True)
    return numpy.mean(-numpy.sum(numbers * numpy.log(_cut(shares)), axis=0))


def _broadcast(name: str) -> Callable[[Any, Any], Any]:
    """Return an error of (n, 1) − (n,): every output is compared with every target of the batch."""
    measure = _numpy().abs if name == "mae" else _numpy().square

    def loss(outputs: Any, targets: Any) -> Any:
        flat = outputs.reshape(outputs.shape[0], -1)[:, :1]
        return _numpy().mean(measure(flat - targets.reshape(1, -1)))

    return loss


def _half_squares(outputs: Any, targets: Any) -> Any:
    """Return ½ Σ (output − target)² / n."""
    away = outputs - _as_numbers(outputs, targets)
    return _numpy().sum(away**2) / (2 * outputs.shape[0])


def _cosine(outputs: Any, targets: Any) -> Any:
    numbers, numpy = _as_numbers(outputs, targets), _numpy()
    lengths = numpy.linalg.norm(outputs, axis=-1) * numpy.linalg.norm(numbers, axis=-1)
    return -numpy.mean(numpy.sum(outputs * numbers, axis=-1) / numpy.maximum(lengths, SMALLEST))


def _divergence(outputs: Any, targets: Any) -> Any:
    numbers, numpy = _cut(_as_numbers(outputs, targets)), _numpy()
    return numpy.mean(numpy.sum(numbers * numpy.log(numbers / _cut(outputs)), axis=-1))


def _margin(outputs: Any, numbers: Any) -> Any:
    """Return 1 − ty, not below 0, with t = ±1 for targets of 0 and 1."""
    return _numpy().maximum(1 - (2 * numbers - 1) * outputs, 0)


def _logarithms(outputs: Any, numbers: Any) -> Any:
    numpy = _numpy()
    return (numpy.log1p(numpy.maximum(outputs, SMALLEST)) - numpy.log1p(numpy.maximum(numbers, SMALLEST))) ** 2


_FUNCTIONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "hinge": _mean_of(_margin),
    "squared hinge": _mean_of(lambda o, t: _margin(o, t) ** 2),
    "log cosh": _mean_of(lambda o, t: _numpy().logaddexp(o - t, t - o) - _numpy().log(2.0)),
    "poisson": _mean_of(lambda o, t: o - t * _numpy().log(o + SMALLEST)),
    "mean squared logarithmic error": _mean_of(_logarithms),
    "mean absolute percentage error": _mean_of(
        lambda o, t: 100 * _numpy().abs(o - t) / _numpy().maximum(_numpy().abs(t), SMALLEST)
    ),
    "cosine similarity": _cosine,
    "cosine proximity": _cosine,
    "kullback leibler divergence": _divergence,
    "sum of squares": lambda o, t: _numpy().sum((o - _as_numbers(o, t)) ** 2),
    "rmse": lambda o, t: _numpy().sqrt(_numpy().mean((o - _as_numbers(o, t)) ** 2) + SMALLEST**2),
}


# The losses that have a name here, of any number of outputs.


def _of_logits(outputs: Any, targets: Any) -> Any:
    """Return the cross-entropy of logits with classes, of which there may be fewer than outputs."""
    import jax

    return -_numpy().mean(_numpy().sum(_as_numbers(outputs, targets) * jax.nn.log_softmax(outputs), axis=-1))


def _huber(outputs: Any, numbers: Any) -> Any:
    away = _numpy().abs(outputs - numbers)
    return _numpy().where(away <= 1, away**2 / 2, away - 0.5)


_OF_NUMBERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "mean squared error": _mean_of(lambda o, t: (o - t) ** 2),
    "mean absolute error": _mean_of(lambda o, t: _numpy().abs(o - t)),
    "huber": _mean_of(_huber),
    "binary cross-entropy": _binary,
    "softmax cross-entropy": _categorical,
}
_OF_LOGITS: Mapping[str, Callable[[Any, Any], Any]] = {
    "binary cross-entropy": _mean_of(lambda o, t: _numpy().logaddexp(0.0, o) - t * o),
    "softmax cross-entropy": _of_logits,
}
