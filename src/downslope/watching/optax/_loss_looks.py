"""Measurements of the layers of a loss function on a kept batch, by the same walk as in `train`.

A loop of JAX is a compiled step: nothing in it can be looked at while it runs. So a look is a pass of its own, forward
and backward, with the weights of that moment and always the same examples. It is dispatched and not waited for; what it
measured is read with the rows.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox
import numpy as np

from downslope import _tree
from downslope._arrays import norms_by_part
from downslope._engine import jax, precision
from downslope._errors import ObjectiveError, SettingError, described
from downslope._types import Columns, Plain, Point, Tree
from downslope.descent import GRADIENT_COLUMN, LAYER_COLUMNS, Probe
from downslope.networks import Batching, function_task, model_of
from downslope.watching._looks import next_curvature
from downslope.watching._rows import WatchedRows
from downslope.watching._seen import SeenRows, comparable

if TYPE_CHECKING:
    from jax import Array

    from downslope.trace import Spectrum


class LossLook(NamedTuple):
    """What a look measured, as arrays of the device.

    Args:
        loss: the loss of the kept batch.
        parameter_norms, gradient_norms: by part, shape (parts,).
        layers: shape (columns, layers); no columns without layers.
    """

    loss: Array
    parameter_norms: Array
    gradient_norms: Array
    layers: Array


class LossLooks:
    """Looks through a loss function.

    Args:
        loss: `loss(model, batch)`, or with the arrays of the batch one by one; it may take `key`. Of several results
            the first is the loss.
        model: the parameters, an Equinox module or a Flax NNX module, as they are before the first step.
        batch: the examples that are kept, a tree of arrays.

    Raises:
        ObjectiveError, DataError, PointError: for a loss that cannot be followed, or a batch that does not suit it.
    """

    def __init__(self, loss: Callable[..., Any], model: Any, batch: Tree) -> None:
        if not callable(loss):
            raise ObjectiveError(f"criterion is the loss function, loss(params, batch), not {described(loss)}")
        function = _of_batch(loss, batch)
        self._wrapped = _wrapped_module(model)
        if self._wrapped is not None:
            function = _of_point(function, self._wrapped)
        start = model if self._wrapped is None else self._wrapped.point
        task = function_task(function, start, batch, 0, Batching(None, 1), 0)  # 0: nothing held back
        batched = task.objective.batched
        assert batched is not None
        self._batched, self._form = batched, jax().tree.structure(task.start)
        self.parts = _tree.part_names(task.start)
        self.layers: tuple[str, ...] = batched.layers if batched.seen is not None else ()
        self.layer_columns: tuple[str, ...] = (*LAYER_COLUMNS, GRADIENT_COLUMN) if self.layers else ()
        self.facts: Plain = batched.facts
        with precision("float32"):
            self._batch = jax().tree.map(jax().numpy.asarray, batched.examples)
        self._program, self._count = jax().jit(self._look), 0
        self._probe: Probe | None = None

    def point(self, model: Any) -> Point:
        """Return the weights of a model as the looks take them."""
        if self._wrapped is not None:
            return self._wrapped.point_of(model)
        if any(isinstance(node, equinox.Module) for node in _nodes(model)):
            return equinox.filter(model, equinox.is_inexact_array)
        return model

    def look(self, model: Any) -> LossLook:
        """Begin a look at a model and return what will have been measured."""
        leaves = self._leaves(model)
        self._count += 1
        with precision("float32"):
            return self._program(leaves, np.int32(self._count))

    def curvature(self, model: Any, step: int, last: Spectrum | None) -> tuple[Spectrum, Mapping[str, float]]:
        """Return the ends of the Hessian of the loss of the kept batch, and the noise of its gradient.

        Args:
            model: the model.
            step: its step.
            last: the look before, which saves most of the work, or None.
        """
        with precision("float32"):
            self._probe = self._probe or Probe(self._batched, len(jax().tree.leaves(self._batch)[0]), 0)
            return self._probe.look(jax().tree.unflatten(self._form, self._leaves(model)), (), step, last, None)

    def describe(self, rows: WatchedRows, data: Plain, start: Columns) -> None:
        """Write down what is known before the first step: of network, loss and data, and the names of parts and layers.

        Args:
            rows: the rows of the watch.
            data: the facts on the data.
            start: the weights before the first step, by part; nothing where they are too many.
        """
        # A gradient of JAX is a new array at each step.
        network = {**self.facts["network"], "kind": data.get("target_kind"), "gradients_kept": False}
        rows.facts |= {"network": network, "loss": dict(self.facts["loss"]), "data": dict(data)}
        rows.name_parts(self.parts, start)
        rows.name_layers(self.layers)

    def _leaves(self, model: Any) -> list[Array]:
        """Return the weights of a model, or raise if they are others than those before the first step."""
        leaves = [jax().numpy.asarray(leaf).astype("float32") for leaf in jax().tree.leaves(self.point(model))]
        if len(leaves) != len(self.parts):
            raise SettingError(
                f"the model has {len(leaves)} parts, and {len(self.parts)} when the watch began",
                hint="watch.step(state, model) takes the current state of the model that the watch started with",
            )
        return leaves

    def _look(self, leaves: list[Array], number: Array) -> LossLook:
        """Return what is seen at the weights; what is random in the loss depends on the number of the look."""
        batched, numpy = self._batched, jax().numpy
        # The structure is that of the walk, in which a list of numbers has become an array.
        point = jax().tree.unflatten(self._form, leaves)
        key = jax().random.fold_in(jax().random.key(0), number)
        if batched.seen is None or batched.nudges is None:
            (value, _), gradient = jax().value_and_grad(batched.loss, has_aux=True)(
                point, batched.memory, self._batch, key
            )
            layers = numpy.zeros((0, 0))
        else:
            slope = jax().value_and_grad(batched.seen, argnums=(0, 4), has_aux=True)
            nudges = batched.nudges(self._batch)
            (value, (_, seen)), (gradient, inward) = slope(point, batched.memory, self._batch, key, nudges)
            lengths = norms_by_part(jax().tree.map(lambda leaf: leaf.astype("float32"), inward))
            layers = numpy.concatenate([seen, lengths[None]])
        return LossLook(value, norms_by_part(point), norms_by_part(gradient), layers)


class CurvatureLooks:
    """Looks at the curvature from time to time; unlike those into the layers they are waited for.

    Args:
        looks: the looks through the loss.
        rows: the rows that they are added to.
        every: steps from one to the next, 0 for none; None for looks at the start, at step 100, and each time that the
            steps have doubled.
    """

    def __init__(self, looks: LossLooks, rows: WatchedRows, every: int | None) -> None:
        self._looks, self._rows, self._every = looks, rows, every
        self._next = self.measured_at = 0
        self._last: Spectrum | None = None

    def is_due(self, step: int) -> bool:
        """Tell whether a step is looked at."""
        return self._every != 0 and step >= self._next

    def resume(self, step: int) -> None:
        """Go on after so many steps."""
        self._next = next_curvature(step) if step else 0

    def look(self, model: Any, step: int) -> None:
        """Measure the curvature, and say when it is due again."""
        if self._every == 0:
            return
        self._next = next_curvature(step, self._every)
        try:
            spectrum, measured = self._looks.curvature(model, step, self._last)
        except Exception:  # not every loss has a second derivative; the checks say what they lack
            self._every = 0
            return
        if spectrum.has_directions:
            self._last = spectrum
        self.measured_at = step
        self._rows.add_spectrum(spectrum.without_directions())
        self._rows.measure(step, measured)


def facts_of_batch(batch: Tree, most: int) -> Plain:
    """Return facts on the rows of a batch that is a pair of inputs and targets; empty for others.

    Args:
        batch: the batch.
        most: the most rows that simple learners see.
    """
    leaves = jax().tree.leaves(batch)
    if not isinstance(batch, tuple | list) or len(batch) != 2 or len(leaves) != 2 or not most:
        return {}
    inputs, targets = map(np.asarray, leaves)
    # Whole numbers as inputs are indices, such as those of tokens, of which no mean says anything.
    if inputs.ndim < 2 or targets.ndim < 1 or len(inputs) != len(targets) or inputs.dtype.kind != "f":
        return {}
    of_classes = targets.dtype.kind in "biu" and targets.size == len(targets)
    if not of_classes and targets.dtype.kind != "f":
        return {}
    seen = SeenRows(most)
    seen.add(inputs.reshape(len(inputs), -1), targets.reshape(-1) if of_classes else targets)
    return seen.facts("classes" if of_classes else "numbers", None)


def compared(rows: WatchedRows, data: Plain) -> Plain:
    """Return the facts on network and data by the scores that the loop measures: the metric, and what to compare.

    Args:
        rows: the rows of the watch.
        data: the facts on the data, whatever is measured.
    """
    names = {name.partition("_")[2] for row in rows.measured.values() for name in row}
    metric = next((score for score in ("accuracy", "balanced_accuracy", "r2") if score in names), "loss")
    counts = {name: fact for name, fact in (rows.facts.get("data") or {}).items() if name.endswith("rows")}
    return {
        "network": {**rows.facts["network"], "metric": metric},
        "data": {**comparable(data, names), **counts},
    }


def _nodes(model: Any) -> list[Any]:
    """Return the leaves of a tree, each Equinox module as one."""
    return jax().tree.leaves(model, is_leaf=lambda node: isinstance(node, equinox.Module))


def _of_batch(loss: Callable[..., Any], batch: Tree) -> Callable[..., Any]:
    """Return a loss of a model and a batch that returns the loss alone."""
    try:
        parameters = list(inspect.signature(loss).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    takes_key = any(parameter.name == "key" for parameter in parameters)
    positional = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
        and parameter.name != "key"
    ]
    is_apart = isinstance(batch, tuple | list) and len(positional) == 1 + len(batch) > 2

    def value(model: Any, batch: Tree, key: Any) -> Any:
        arguments = batch if is_apart else (batch,)
        result = loss(model, *arguments, **({"key": key} if takes_key else {}))
        return result[0] if isinstance(result, tuple) else result

    def value_without_key(model: Any, batch: Tree) -> Any:
        return value(model, batch, None)

    return _named(value if takes_key else value_without_key, loss)


def _named(function: Callable[..., Any], loss: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function under the name of the loss that it calls."""
    function.__name__ = getattr(loss, "__name__", "loss")
    return function


# --- modules of Flax NNX, which are objects and no trees -------------------------------------------------------------


class _WrappedModule(NamedTuple):
    """The weights of a module by name, and the way to a module of others.

    Args:
        point: the weights.
        names: the names of the weights in the order of the module.
        merged: the function from weights to a module.
        leaves: the function from a module to its weights.
    """

    point: Mapping[str, Any]
    names: tuple[str, ...]
    merged: Callable[[Point], Any]
    leaves: Callable[[Any], list[Any]]

    def point_of(self, module: Any) -> Point:
        """Return the weights of a module by name."""
        leaves = self.leaves(module)
        return dict(zip(self.names, leaves, strict=False)) if len(leaves) == len(self.names) else leaves


def _wrapped_module(module: Any) -> _WrappedModule | None:
    """Return a module of Flax NNX as its weights; None for anything else."""
    nnx = sys.modules.get("flax.nnx")  # a module of Flax exists only where Flax was imported
    if nnx is None or not isinstance(module, nnx.Module):
        return None
    model = model_of(module)
    return _WrappedModule(
        model.point,
        tuple(model.point),
        lambda point: model.rebuilt(point, model.memory),
        lambda module: jax().tree.leaves(nnx.state(module, nnx.Param)),
    )


def _of_point(function: Callable[..., Any], wrapped: _WrappedModule) -> Callable[..., Any]:
    """Return a loss of a module as one of its weights by name."""
    parameters = inspect.signature(function).parameters
    if "key" in parameters:
        return _named(lambda point, batch, key: function(wrapped.merged(point), batch, key), function)
    return _named(lambda point, batch: function(wrapped.merged(point), batch), function)
