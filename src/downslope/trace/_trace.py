"""The trace: the record of every step of a descent. The waist of the library.

Every descent produces a trace, and every diagnosis or picture reads only a trace. Those of a formula and of a network
differ only in their parts. A trace is plain data: NumPy arrays, names, and a description of the plan.

Row k holds the state *at* its step (value, gradient) and the step that *leaves* it (update,
learning rate, decrease). The last row has no step leaving it, so those entries are NaN there.

The training of a network adds three records with steps of their own, since they cost more or need other data: of its
layers, of evaluations over whole data sets, and facts that are measured once.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from downslope._copies import fields_alone
from downslope._errors import SettingError, described
from downslope._text import in_words, number, printed
from downslope._types import Columns, Plain
from downslope.trace._columns import (
    DerivedColumns,
    coordinate_headings,
    evaluations_frame,
    layers_frame,
    parts_frame,
    steps_frame,
)

if TYPE_CHECKING:
    import polars

_SPELLED_OUT = 64  # numbers; a larger point is summarised by its size


class Outcome(enum.Enum):
    """How a descent ended; the value is the sentence that the user reads.

    Whether the end is a minimum or a saddle is for `diagnose` to say.
    """

    CONVERGED = "The gradient fell below the tolerance."
    STALLED = "The steps became smaller than the precision of the numbers, so the point no longer moves."
    STEPS_USED = "Stopped after the maximum number of steps."
    NOT_FINITE = "A value or a gradient was no longer a finite number; the trace ends at the last finite point."
    INTERRUPTED = "Stopped by the user; the trace holds every step until then."
    STOPPED_EARLY = "The validation loss had stopped falling, so the run was ended early."
    RUNNING = "Not finished: it is still running or was cut off; the trace holds every step that was written down."

    @property
    def identifier(self) -> str:
        """The name in lower case, for files and programs: `steps_used`."""
        return self.name.lower()

    @classmethod
    def from_identifier(cls, identifier: str) -> Outcome:
        """Return the member whose `identifier` this is."""
        return cls[identifier.upper()]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The curvature at one recorded step: eigenvalues of the Hessian, and the two extreme eigenvectors.

    Eigenvectors are as large as the point. In a training, only the first and the last finite spectrum keep them.

    Args:
        step: the step at which it was measured.
        eigenvalues: ascending; all of them if `complete`, else the lowest and the highest.
        complete: whether `eigenvalues` holds all of them.
        lowest_direction: unit eigenvector of the lowest eigenvalue, an array by part; None if not kept.
        highest_direction: unit eigenvector of the highest eigenvalue, an array by part; None if not kept.
        preconditioned_highest: highest eigenvalue of P⁻¹H for a method that scales each coordinate by P (Adam,
            RMSprop, Adagrad); None for the others.
    """

    step: int
    eigenvalues: np.ndarray
    complete: bool
    lowest_direction: Columns | None
    highest_direction: Columns | None
    preconditioned_highest: float | None = None

    @property
    def lowest(self) -> float:
        """The lowest eigenvalue λ_min."""
        return float(self.eigenvalues[0])

    @property
    def highest(self) -> float:
        """The highest eigenvalue λ_max."""
        return float(self.eigenvalues[-1])

    @property
    def has_directions(self) -> bool:
        """Whether the two extreme eigenvectors were kept."""
        return self.lowest_direction is not None and self.highest_direction is not None

    def without_directions(self) -> Spectrum:
        """Return the spectrum without its eigenvectors."""
        return dataclasses.replace(self, lowest_direction=None, highest_direction=None)


@dataclass(frozen=True, eq=False)
class Trace:
    """The record of a descent.

    Args:
        outcome: how it ended.
        recorded: the columns written by the loop, one entry per recorded row: always `step`, `value` and either
            `gradient_norm` or the gradients below; `columns` derives the others.
        coordinate_names: a name for each number of the point, in the order of the columns of `coordinates`.
        coordinates: shape (rows, size), the point at each row; None for points too large to keep.
        gradients: shape (rows, size), the gradient at each row; None for points too large to keep.
        part_names: the names of the parts of the point.
        part_columns: `parameter_norm`, `gradient_norm`, `update_norm`, each of shape (rows, parts); empty if they
            follow from the coordinates.
        start: the point at step 0, an array by part.
        end: the last finite point, an array by part; if the best evaluation was kept (`facts["kept"]`), the point of
            that.
        spectra: measured curvature, by ascending step: normally at the start and the end.
        plan: the description of the plan, plain data: `objective`, `read_as`, `method`, `learning_rate`, `steps`, …
        versions: versions of the libraries it was recorded with.
        not_finite_part: if the outcome is NOT_FINITE, the first part that was not finite ("value" for the value of the
            objective); else None.
        not_finite_step: the step at which it occurred; else None.
        layer_names: the layers of a network in forward order; a layer owns the parts whose names begin with its name
            and a slash (`layers/0` owns `layers/0/weight`). Empty for other points.
        layer_steps: shape (layer rows,), the steps of the rows of `layer_columns`, and of `part_columns`; None if
            those have the rows of `recorded`.
        layer_columns: measurements of the layers, each of shape (layer rows, layers): `activation_mean`,
            `activation_deviation`, `saturated_share`, `dead_share`, `activation_gradient_norm`.
        metrics: `step` and the evaluations there, by name: `training_loss`, `validation_accuracy`, …; NaN where one was
            not measured.
        facts: plain data measured once: on the data, the network, the loss, the cost of recording; for a formula, how
            its values behave around the end (`surroundings`), and the rates and the schedule that were tried for advice
            (`rates_tried`, `decay_tried`).
        caveats: data that a loaded trace lacks, as sentences: damaged rows or points, or checksums.
    """

    outcome: Outcome
    recorded: Columns
    coordinate_names: tuple[str, ...]
    coordinates: np.ndarray | None
    gradients: np.ndarray | None
    part_names: tuple[str, ...]
    part_columns: Columns
    start: Columns
    end: Columns
    spectra: tuple[Spectrum, ...]
    plan: Plain
    versions: Mapping[str, str] = field(default_factory=dict)
    not_finite_part: str | None = None
    not_finite_step: int | None = None
    layer_names: tuple[str, ...] = ()
    layer_steps: np.ndarray | None = None
    layer_columns: Columns = field(default_factory=dict)
    metrics: Columns = field(default_factory=dict)
    facts: Plain = field(default_factory=dict)
    caveats: tuple[str, ...] = ()

    __getstate__ = fields_alone

    @functools.cached_property
    def columns(self) -> Columns:
        """All columns by name, one entry per row; NaN where a row has no such number.

        `step`, `value`, `gradient_norm`, `update_norm`, `learning_rate`, `cosine` (of this update and the one before),
        `curvature` (gᵀHg / gᵀg), `predicted_decrease`, `actual_decrease`.
        """
        return DerivedColumns(self.recorded, self.coordinates, self.gradients)

    @property
    def coordinate_headings(self) -> tuple[str, ...]:
        """The names of the coordinates in `steps`: `coordinate(value)` if another column has the name."""
        return coordinate_headings(self.coordinate_names)

    @functools.cached_property
    def steps(self) -> polars.DataFrame:
        """The columns as a Polars frame, with the coordinates by name and their gradients as `gradient(x)`."""
        return steps_frame(self)

    @functools.cached_property
    def parts(self) -> polars.DataFrame:
        """A long Polars frame: `step`, `part`, `parameter_norm`, `gradient_norm`, `update_norm`."""
        return parts_frame(self)

    @functools.cached_property
    def layers(self) -> polars.DataFrame:
        """A long Polars frame: `step`, `layer`, the three norms over the layer's parts, and the layer columns."""
        return layers_frame(self)

    @functools.cached_property
    def evaluations(self) -> polars.DataFrame:
        """The metrics as a Polars frame: `step` and the evaluations there."""
        return evaluations_frame(self)

    @property
    def value(self) -> float:
        """The value at the end; NaN if no row was written yet."""
        return float(self.recorded["value"][-1]) if len(self) else float("nan")

    @property
    def ending(self) -> str:
        """How the descent ended: its outcome as a sentence, and the step of `end` if that is an earlier one."""
        sentence = self.outcome.value
        if self.outcome is Outcome.STEPS_USED:
            steps = self.steps_taken
            sentence = f"Stopped after the maximum of {steps} step{'s' if steps != 1 else ''}."
        kept = self.facts.get("kept") or {}
        if not {"step", "by", "value"} <= kept.keys():
            return sentence
        return f"{sentence} Kept is step {kept['step']}, of the best {in_words(kept['by'])}: {number(kept['value'])}."

    @property
    def last_step(self) -> int:
        """The step of the last row: the number of steps that led to a recorded point."""
        return int(self.recorded["step"][-1]) if len(self) else 0

    @property
    def steps_taken(self) -> int:
        """The number of steps taken; for a watched loop, one more than `last_step`, since its end is not evaluated."""
        if not len(self) or self.outcome is Outcome.NOT_FINITE:
            return self.last_step
        return self.last_step + int(self.facts.get("unrecorded_steps") or 0)

    @property
    def end_step(self) -> int:
        """The step of the point `end`: the last, or that of the best evaluation if this was kept."""
        return int((self.facts.get("kept") or {}).get("step", self.last_step))

    def at_end(self, name: str) -> float:
        """Return an evaluation at the point `end`, the latest one up to its step; NaN for none."""
        column = np.asarray(self.metrics.get(name, ()), float)
        rows = len(column)
        # Only a point that was kept has later evaluations; those of a run that goes on may be ahead of its last row.
        if rows and "kept" in self.facts:
            rows = int(np.searchsorted(self.metrics["step"], self.end_step, side="right"))
        return float(column[rows - 1]) if rows else float("nan")

    @property
    def end_spectrum(self) -> Spectrum | None:
        """The curvature at the end, if it was measured."""
        if self.spectra and self.spectra[-1].step == self.last_step:
            return self.spectra[-1]
        return None

    @property
    def is_training(self) -> bool:
        """Whether it records a training over examples; true for the log of a training, too."""
        recorded = self.plan.get("batches") or self.metrics or self.layer_names
        return bool(recorded) or not self.facts.keys().isdisjoint(("network", "data")) or not self.start

    def __len__(self) -> int:
        return len(self.recorded["step"])

    def __str__(self) -> str:
        lines = (
            str(self.plan.get("read_as", "descent")),
            f"{self.plan.get('method', '')}: {self.steps_taken} steps, "
            f"value {printed(self.value)} at {_in_words(self.end)}",
            self.ending,
            *(f"Caveat: {caveat}." for caveat in self.caveats),
        )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Trace of {self.steps_taken} steps, {self.outcome.identifier}, value {printed(self.value)}>"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(str(self)).replace(chr(10), '<br>')}</p>{self.steps._repr_html_()}"

    def replace(self, **changes: Any) -> Trace:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)


class HasTrace(Protocol):
    """A result that holds a trace: a training, a fit."""

    @property
    def trace(self) -> Trace:
        """Its trace."""
        ...


class HasTraces(Protocol):
    """A result that holds the traces of several runs of one setup."""

    @property
    def traces(self) -> tuple[Trace, ...]:
        """The trace of each run."""
        ...


def as_trace(value: object, taker: str, example: str) -> Trace:
    """Return a trace, or the trace that a result holds, such as that of a training or of a fit.

    Args:
        value: what was passed.
        taker: what takes it, for the message: `diagnose`.
        example: what to type instead.

    Raises:
        SettingError: for anything else.
    """
    if isinstance(value, Trace):
        return value
    held = getattr(value, "trace", None)
    if isinstance(held, Trace):
        return held
    raise SettingError(f"{taker} takes a trace, not {described(value)}", hint=f"for example {example}")


def _in_words(point: Columns) -> str:
    """Describe a point briefly: its first parts, or its size."""
    size = sum(np.size(leaf) for leaf in point.values())
    if size > _SPELLED_OUT:
        return f"a point of {size} numbers in {len(point)} part{'s' if len(point) > 1 else ''}"
    parts = ", ".join(f"{name} = {_short(leaf)}" for name, leaf in list(point.items())[:6])
    return parts + (", …" if len(point) > 6 else "")


def _short(leaf: np.ndarray) -> str:
    """Format a number, or the shape of an array."""
    array = np.asarray(leaf)
    return printed(float(array.item())) if array.size == 1 else f"array{array.shape}"
