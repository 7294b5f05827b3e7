"""What training gives: the network as it ended, the trace to it, and how to predict with it."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope import _tree
from downslope._engine import jax, precision
from downslope._errors import DataError, SettingError
from downslope._text import in_words, number
from downslope._types import Point
from downslope.networks._losses import probabilities as probabilities_of
from downslope.networks.data._encoding import Encoding
from downslope.networks.models._model import Model
from downslope.trace import Trace

if TYPE_CHECKING:
    from downslope.descent import Objective
    from downslope.networks._setup import Setup


@dataclass(frozen=True, eq=False)
class Training:
    """A network that was trained.

    Args:
        model: the network as it ended, in its own kind; the parameters, for a loss function.
        trace: what every step left behind.
        encoding: how data become inputs and outputs predictions; None for a loss function, and for a stream of inputs
            that are no numbers with a point.
        notes: what was read of the data and decided, as sentences.
        outputs: from inputs, encoded, to outputs; None for a loss function.
        objective: what was descended, the loss over the examples; None for a run that was read from disk.
        setup: what it was asked for.
    """

    model: Any
    trace: Trace
    encoding: Encoding | None
    notes: tuple[str, ...]
    outputs: Callable[[Any], np.ndarray] | None
    objective: Objective | None = None
    setup: Setup | None = None

    @functools.cached_property
    def metrics(self) -> dict[str, float]:
        """What was measured at the end, by name: `validation_accuracy` and its like."""
        columns = self.trace.metrics
        return {name: float(column[-1]) for name, column in columns.items() if name != "step" and len(column)}

    def predict(self, data: Any, *, probabilities: bool = False) -> np.ndarray:
        """Return predictions for new rows, in the targets' own labels or scale; see `predict`.

        Args:
            data: the rows.
            probabilities: whether to return how sure the network is of each class, shape (rows, classes), in place of
                labels.

        Without an encoding the outputs are returned as they are.

        Raises:
            DataError: for rows that cannot be read, or a loss function, which predicts nothing.
            SettingError: for probabilities where there are none.
        """
        if self.outputs is None:
            raise DataError("a loss function makes no predictions", hint="use the trained parameters, `model`")
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
    """Tell whether a measurement is one that people read."""
    return name.startswith(("training_", "validation_"))


def trained(model: Model, trace: Trace, encoding: Encoding | None, notes: tuple[str, ...]) -> Training:
    """Return a training from the model it began with and its trace."""
    point = end_point(model.point, trace)
    kept = trace.facts.get("memory") or []
    _, form = jax().tree.flatten(model.memory)
    memory = jax().tree.unflatten(form, [np.asarray(leaf) for leaf in kept]) if kept else model.memory

    def outputs(inputs: Any) -> np.ndarray:
        with precision("float32"):
            at, kept = jax().tree.map(jax().numpy.asarray, (point, memory))
            return np.asarray(model.forward(at, kept, jax().numpy.asarray(inputs), None, False).outputs)

    return Training(model.rebuilt(point, memory), trace, encoding, notes, outputs)


def end_point(like: Point, trace: Trace) -> Point:
    """Return the end of a trace in the form of a point."""
    shape = jax().tree.structure(like)
    return jax().tree.unflatten(shape, [trace.end[name] for name in _tree.part_names(like)])
