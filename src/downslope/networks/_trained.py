"""The result of a training: the trained network, its trace and its predictions; and the task that leads to it."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope import _tree
from downslope._copies import check_functions, fields_alone
from downslope._engine import jax, precision
from downslope._errors import DataError, SettingError, TraceError
from downslope._text import in_words, number
from downslope._types import Point
from downslope.descent import Objective
from downslope.networks._losses import chosen
from downslope.networks._losses import probabilities as probabilities_of
from downslope.networks.data import Encoding
from downslope.networks.layers import network_from
from downslope.networks.models import Model, model_of
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
        encoding: how data become inputs, and outputs predictions; None for a loss function and for a stream of
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
        check_functions("the training", *jax().tree.leaves(self.model))
        return fields_alone(self)

    @functools.cached_property
    def metrics(self) -> dict[str, float]:
        """The metrics at the end by name, such as `validation_accuracy`."""
        columns = self.trace.metrics
        return {name: float(column[-1]) for name, column in columns.items() if name != "step" and len(column)}

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
        return self.encoding.decode(outputs, from_logits=loss["from_logits"] is not False)

    def classes(self, outputs: np.ndarray) -> np.ndarray:
        """Return the index of the class that each row of outputs stands for, shape (rows,)."""
        return chosen(outputs, from_logits=self.trace.facts["network"]["loss"]["from_logits"] is not False)

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Return how sure rows of outputs are of each class, shape (rows, classes).

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
    """Return what a trained network predicts for new rows.

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
            "nothing of this run is written down yet to predict with",
            hint="wait a second; or, if it was cut off, go on with it: train(…, save=folder, resume=True)",
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
        """Return the size of a batch drawn from so many rows; None where a step sees all of them."""
        return None if self.batch is None or self.batch * self.accumulate >= rows else self.batch
