"""The result of a training: the trained network, its trace and its predictions; and the task that leads to it."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope import _tree
from downslope._copies import check_functions, fields_alone
from downslope._engine import jax, precision
from downslope._errors import DataError, SettingError, TraceError, described
from downslope._text import in_words, number
from downslope._types import Point
from downslope.descent import Objective
from downslope.networks._losses import chosen
from downslope.networks._losses import loss as loss_of
from downslope.networks._losses import probabilities as probabilities_of
from downslope.networks._scores import ClassScores
from downslope.networks.data import Encoding
from downslope.networks.layers import Network, activation, network_from
from downslope.networks.models import Model, model_of, packed, unpacked
from downslope.trace import Outcome, Trace, load

if TYPE_CHECKING:
    from downslope.descent import Objective
    from downslope.networks._setup import Setup


@dataclass(frozen=True, eq=False)
class Training:
    """A trained network.

    Args:
        model: the trained network, of the kind that was passed; the parameters, for a loss function.
        trace: the record of every step.
        encoding: the encoding of data as inputs and of outputs as predictions; None for a loss function and a stream of
            whole numbers.
        notes: sentences on the data and on decisions about them.
        outputs: the function from encoded inputs to outputs; None for a loss function.
        objective: the loss over the examples; None for a run that was read from disk.
        setup: the configuration; None for a run that was read from disk.
    """

    model: Any
    trace: Trace
    encoding: Encoding | None
    notes: tuple[str, ...]
    outputs: Callable[[Any], np.ndarray] | None
    objective: Objective | None = None
    setup: Setup | None = None

    def __getstate__(self) -> dict[str, Any]:
        model = packed(self.model)
        check_functions("the training", *jax().tree.leaves(model))
        return {**fields_alone(self), "model": model}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state, model=unpacked(state["model"]))

    @functools.cached_property
    def metrics(self) -> dict[str, float]:
        """The metrics by name, such as `validation_accuracy`, at the end or at the step that was kept."""
        trace = self.trace
        return {name: trace.at_end(name) for name, column in trace.metrics.items() if name != "step" and len(column)}

    @functools.cached_property
    def class_scores(self) -> dict[str, ClassScores]:
        """The scores of each class at the end, of the "training" and the "validation" rows; {} for numbers."""
        labels = () if self.encoding is None else self.encoding.target.categories
        scores = self.trace.facts.get("scores") or {}
        return {
            of: ClassScores.from_plain(plain, labels) for of, plain in scores.items() if plain and "recall" in plain
        }

    def predict(self, data: Any, *, probabilities: bool = False) -> np.ndarray:
        """Return predictions for new rows, in the targets' own labels or scale; see `predict`.

        Args:
            data: the rows.
            probabilities: whether to return the probability of each class, shape (rows, classes), in place of labels.

        Without an encoding the outputs are returned as they are.

        Raises:
            DataError: for rows that cannot be read, or a loss function, which predicts nothing.
            SettingError: for probabilities where there are none.
        """
        if self.outputs is None:
            raise DataError("a loss function has no predictions", hint="use the trained parameters, `model`")
        loss = self.trace.facts["network"]["loss"]
        if self.encoding is None:
            if probabilities:
                raise SettingError(
                    "without an encoding outputs are returned as they are", hint="leave probabilities out"
                )
            return self.outputs(data)
        outputs = self.outputs(self.encoding.encode(data))
        if probabilities:
            return probabilities_of(loss, outputs, len(self.encoding.target.categories))
        return self.encoding.decode(outputs, from_logits=bool(loss["from_logits"]))

    def classes(self, outputs: np.ndarray) -> np.ndarray:
        """Return the index of the class that each row of outputs stands for, shape (rows,)."""
        return chosen(outputs, from_logits=bool(self.trace.facts["network"]["loss"]["from_logits"]))

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Return the probabilities of the classes for rows of outputs, shape (rows, classes).

        Raises:
            SettingError: where there are no classes, or the loss makes no probabilities of outputs.
        """
        count = 0 if self.encoding is None else len(self.encoding.target.categories)
        return probabilities_of(self.trace.facts["network"]["loss"], outputs, count)

    def __str__(self) -> str:
        return "\n".join(line for line in [*self.notes, str(self.trace), self.verdict] if line)

    @property
    def verdict(self) -> str:
        """The metrics at the end as a sentence."""
        shown = [f"{in_words(name)} {number(value)}" for name, value in self.metrics.items() if _is_score(name)]
        return ", ".join(shown)

    def __repr__(self) -> str:
        return f"<Training of {self.trace.last_step} steps, {self.verdict or 'nothing measured'}>"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(str(self)).replace(chr(10), '<br>')}</p>"


def _is_score(name: str) -> bool:
    """Tell whether a metric is a score that people read."""
    return name.startswith(("training_", "validation_"))


def trained(model: Model, trace: Trace, encoding: Encoding | None, notes: tuple[str, ...]) -> Training:
    """Return a training from its model at step 0 and its trace."""
    point = end_point(model.point, trace)
    # A trace stores the memory as a list of leaves, since names of a foreign state are not plain.
    kept = trace.facts.get("memory") or []
    _, form = jax().tree.flatten(model.memory)
    memory = jax().tree.unflatten(form, [np.asarray(leaf) for leaf in kept]) if kept else model.memory

    return Training(model.rebuilt(point, memory), trace, encoding, notes, _Outputs(model, point, memory))


@dataclass(frozen=True, eq=False)
class _Outputs:
    """The function from encoded inputs to outputs.

    Args:
        model: the model at step 0.
        point: the trained weights.
        memory: the memory after the last step.
    """

    model: Model
    point: Point
    memory: Any

    def __call__(self, inputs: Any) -> np.ndarray:
        # As in training, whatever precision the caller has set.
        with precision("float32"):
            at, kept = jax().tree.map(jax().numpy.asarray, (self.point, self.memory))
            return np.asarray(self.model.forward(at, kept, jax().numpy.asarray(inputs), None, False).outputs)


def end_point(like: Point, trace: Trace) -> Point:
    """Return the end of a trace in the form of a point."""
    shape = jax().tree.structure(like)
    return jax().tree.unflatten(shape, [trace.end[name] for name in _tree.part_names(like)])


def predict(run: Training | Trace | str | Path, data: Any, *, probabilities: bool = False) -> np.ndarray:
    """Return the predictions of a trained network for new rows.

    Args:
        run: a training, its trace, or the folder that it was saved in; the network of a run that is still being
            written is the one that was written last.
        data: rows with the columns that the network was trained on, in any order; other columns are ignored. An array,
            for a network that was trained on arrays.
        probabilities: whether to return the probability of each class in place of a label.

    Returns:
        Labels, shape (rows,), or numbers in the target's own scale, shape (rows,) or (rows, targets). Probabilities
        have the shape (rows, classes), each row adding up to 1, the classes in ascending order, that of
            `encoding.target.categories`.

    Raises:
        TraceError: if there is no such run, nothing of it is written yet, or its network is foreign and only the trace
            was passed.
        SettingError: for probabilities of a network that predicts numbers, or whose loss makes none of its outputs.
        DataError: for rows that cannot be read, naming row and column.
    """
    if isinstance(run, Training):
        return run.predict(data, probabilities=probabilities)
    trace = run if isinstance(run, Trace) else load(run)
    return restored(trace).predict(data, probabilities=probabilities)


def restored(trace: Trace) -> Training:
    """Rebuild a training from a saved trace (built-in networks only).

    Raises:
        TraceError: for a foreign network, and if nothing of the run is written yet.
    """
    description = (trace.facts.get("network") or {}).get("description") or {}
    kind = description.get("kind") if isinstance(description, dict) else None
    if "encoding" not in trace.facts or kind != "network":
        raise TraceError(
            "the network cannot be rebuilt from this trace",
            hint="only networks of downslope's own layers are saved whole; others predict through `Training.predict`",
        )
    if trace.caveats and not all(np.all(np.isfinite(np.asarray(leaf, float))) for leaf in trace.end.values()):
        raise TraceError("the network of this trace is damaged", hint="; ".join(trace.caveats))
    # A journal has rows before it has a state; without one there are no trained weights.
    if trace.outcome is Outcome.RUNNING and "memory" not in trace.facts:
        raise TraceError(
            "this run has not written a network yet",
            hint="wait a second; if the run was killed, resume it: train(…, save=folder, resume=True)",
        )
    try:
        model = model_of(network_from(description))
        encoding = Encoding.from_dict(trace.facts["encoding"])
        return trained(model, trace, encoding, tuple(trace.facts.get("notes") or ()))
    # A description is plain data of whoever wrote the file; what it lacks shows where it is used.
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise TraceError(f"the description of the network is damaged: {type(error).__name__} {error}") from None


@dataclass(frozen=True, eq=False)
class Task:
    """A trainable task: objective, starting point, and how to build the result.

    Args:
        objective: the loss, averaged over batches.
        start: the starting point.
        batch: examples of one batch; None for all of them.
        training: the function from a trace to a training.
        drawn: the function from another seed to its starting point; None where there is only one.
        revived: `revived(point, memory, fresh)` returns a point whose dead units have those of a fresh point; None
            where units are not known.
    """

    objective: Objective
    start: Point
    batch: int | None
    training: Callable[[Trace], Training]
    drawn: Callable[[int], Point] | None = None
    revived: Callable[[Point, Any, Point], Point] | None = None

    def start_of(self, seed: int) -> Point:
        """Return the starting point of a seed."""
        return self.start if self.drawn is None else self.drawn(seed)


@dataclass(frozen=True)
class Batching:
    """The number of examples in a step.

    Args:
        batch: examples of one batch; None for all of them.
        accumulate: batches of one step.
    """

    batch: int | None
    accumulate: int

    def of(self, rows: int) -> int | None:
        """Return the size of a batch drawn from a number of rows; None if a step sees all of them."""
        return None if self.batch is None or self.batch * self.accumulate >= rows else self.batch


@dataclass(frozen=True, eq=False)
class Revival:
    """The function of point and memory that draws new weights for dead units.

    Args:
        setup: the setup of the training.
        seed: its seed; None for that of the setup.
    """

    setup: Setup
    seed: int | None

    def __call__(self, point: Any, memory: Any) -> Any:
        task, seed = self.setup.task, self.seed
        # Another seed for the new weights: those of step 0 are what died.
        fresh = task.start_of((self.setup.choices["seed"] if seed is None else seed) + 1)
        assert task.revived is not None
        return task.revived(point, memory, fresh)


# One example through a network, unit by unit: values forward, gradients back.


@dataclass(frozen=True, eq=False)
class UnitPass:
    """The values of every unit of a network for one example, and their gradients.

    Arrays by layer are those of the layers with weights, in order.

    Args:
        loss: the loss of the example.
        before: pre-activations z by layer.
        after: activations a = g(z) by layer.
        slopes: g′(z) by layer.
        gradients: ∂L/∂z by layer.
        weight_gradients: ∂L/∂w by layer.
        input_gradients: ∂L/∂x of the example.
    """

    loss: float
    before: tuple[np.ndarray, ...]
    after: tuple[np.ndarray, ...]
    slopes: tuple[np.ndarray, ...]
    gradients: tuple[np.ndarray, ...]
    weight_gradients: tuple[np.ndarray, ...]
    input_gradients: np.ndarray


def unit_pass(
    network: Network, example: Any, target: Any, *, loss: str = "mean squared error", from_logits: bool = True
) -> UnitPass:
    """Send one example through a network of dense layers, forward and back.

    Args:
        network: the network, at rest.
        example: its inputs, as the network sees them.
        target: the class or the numbers that it should predict.
        loss: the loss by name.
        from_logits: whether a cross-entropy takes logits.

    Raises:
        SettingError: for a network with other layers, or a loss that is not known.

    >>> from downslope import Dense, network
    >>> units = unit_pass(network(1, [Dense(1)]).with_weights([3, 1]), [2.0], [5.0])
    >>> units.loss, units.after[0].tolist(), units.weight_gradients[0].tolist()
    (4.0, [7.0], [[8.0]])
    """
    if not isinstance(network, Network):
        raise SettingError(f"unit_pass takes a Network, not {type(network).__name__}", hint="see ds.network")
    if any(layer.kind != "dense" for layer in network.plan) or "softmax" in network.activations:
        raise SettingError("only networks of dense layers without softmax can be shown unit by unit")
    for name, numbers in (("example", example), ("target", target)):
        if numbers is None or np.asarray(numbers).dtype.kind not in "biuf":
            raise DataError(f"the {name} must hold numbers, not {described(numbers)}")
    if np.shape(example) != network.inputs or np.shape(target) not in ((), network.outputs):
        raise DataError(
            f"the network takes {network.inputs} and gives {network.outputs}; an example of {np.shape(example)} and a "
            f"target of {np.shape(target)} came"
        )
    criterion, numpy = loss_of(loss, from_logits=from_logits), jax().numpy

    def value(network: Network, nudges: Any, example: Any) -> tuple[Any, Any]:
        passed = network.forward(example[None], {}, None, training=False, nudges=nudges)
        return criterion.of_batch(passed.outputs, numpy.asarray(target)[None]), passed

    # The gradient by an addend of 0 to a pre-activation is that by the pre-activation itself.
    nudges = tuple(numpy.zeros((1, *weights.bias.shape)) for weights in network.layers)
    with precision("float32"):
        (height, passed), (by_weights, by_units, by_inputs) = jax().value_and_grad(value, (0, 1, 2), has_aux=True)(
            network, nudges, numpy.asarray(example, numpy.float32)
        )
        slopes = [
            jax().jvp(activation(name).function, (z[0],), (numpy.ones_like(z[0]),))[1]
            for name, z in zip(network.activations, passed.before, strict=True)
        ]
    return UnitPass(
        loss=float(height),
        before=tuple(np.asarray(z)[0] for z in passed.before),
        after=tuple(np.asarray(a)[0] for a in passed.after),
        slopes=tuple(map(np.asarray, slopes)),
        gradients=tuple(np.asarray(gradient)[0] for gradient in by_units),
        weight_gradients=tuple(np.asarray(layer.weight) for layer in by_weights.layers),
        input_gradients=np.asarray(by_inputs),
    )
