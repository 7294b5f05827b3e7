"""The trace: what every step of a descent left behind. The waist of the library.

Everything that descends makes one, and everything that judges or draws reads only this. A trace of a formula and a
trace of a network differ in nothing but their parts. It is plain data: NumPy arrays, names, and a description of the
plan.

A row is a moment: row k holds the state *at* its step (value, gradient) and the step that *leaves* it (update,
learning rate, decrease). The last row has no step leaving it, so those entries are NaN there.

The training of a network leaves three more records, each with steps of its own, since they cost more or come from other
data: what its layers did, what was measured over whole sets of data, and what was measured once.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import SettingError, described
from downslope._types import Columns, Plain
from downslope.trace._columns import complete_columns, evaluations_frame, layers_frame, parts_frame, steps_frame

if TYPE_CHECKING:
    import polars


# The ways in which a descent ends.


class Outcome(enum.Enum):
    """How a descent ended; the value is the sentence that the user reads.

    What it means for the point reached (a minimum? a saddle?) is for `diagnose` to say.
    """

    CONVERGED = "The gradient fell below the tolerance."
    STALLED = "The steps became smaller than the precision of the numbers: nothing moves any more."
    STEPS_USED = "All the steps that were allowed were taken."
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


_SPELLED_OUT = 64  # a point of more numbers is not told part by part


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The curvature at one recorded step: eigenvalues of the Hessian, and the directions of its two ends.

    The directions are each as large as the point. Of a training, only its first and its last finite look keep them.

    Args:
        step: the step at which it was measured.
        eigenvalues: ascending; all of them if `complete`, else the lowest and the highest.
        complete: whether `eigenvalues` holds every one.
        lowest_direction: unit eigenvector of the lowest eigenvalue, an array by part; None where it was not kept.
        highest_direction: unit eigenvector of the highest eigenvalue, an array by part; None where it was not kept.
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
        """Whether the directions of the two ends were kept."""
        return self.lowest_direction is not None and self.highest_direction is not None

    def without_directions(self) -> Spectrum:
        """Return the eigenvalues alone."""
        return dataclasses.replace(self, lowest_direction=None, highest_direction=None)


def with_few_directions(spectra: Sequence[Spectrum], last: int = 1) -> list[Spectrum]:
    """Return spectra of which only the first, and so many of the last ones that have directions, keep them."""
    known = [place for place, spectrum in enumerate(spectra) if spectrum.has_directions]
    keep = {0, *known[-last:]}
    return [one if place in keep else one.without_directions() for place, one in enumerate(spectra)]


@dataclass(frozen=True, eq=False)
class Trace:
    """What a descent left behind.

    Args:
        outcome: how it ended.
        recorded: what the loop wrote, an array a name, one entry a recorded row: always `step`, `value` and
            `gradient_norm` or the gradients below; `columns` completes it.
        coordinate_names: a name for each number of the point, in the order of the columns of `coordinates`.
        coordinates: shape (rows, size), the point at each row; None for points too large to keep.
        gradients: shape (rows, size), the gradient at each row; None for points too large to keep.
        part_names: the names of the parts of the point.
        part_columns: `parameter_norm`, `gradient_norm`, `update_norm`, each of shape (rows, parts); empty if they are
            to be derived from the coordinates.
        start: the point at step 0, an array by part.
        end: the last finite point, an array by part.
        spectra: curvature where it was measured, by ascending step: normally the start and the end.
        plan: the description of the plan, plain data: `objective`, `read_as`, `method`, `learning_rate`, `steps`, …
        versions: versions of the libraries that made it.
        not_finite_part: if the outcome is NOT_FINITE, the first part whose value was not finite ("value" for the
            objective's own value); else None.
        not_finite_step: the step that would have been reached by it; else None.
        layer_names: the layers of a network in forward order; a layer owns the parts whose names begin with its name
            and a slash (`layers/0` owns `layers/0/weight`). Empty where there are none.
        layer_steps: shape (layer rows,), the steps of the rows of `layer_columns`, and of `part_columns`; None where
            those have the rows of `recorded`.
        layer_columns: what was measured of the layers, each of shape (layer rows, layers): `activation_mean`,
            `activation_deviation`, `saturated_share`, `dead_share`, `activation_gradient_norm`.
        metrics: `step` and what was measured there, an array a name: `training_loss`, `validation_accuracy`, …; NaN
            where it was not measured.
        facts: what was measured once, plain data: of the data, the network, the loss, the cost of the record.
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

    @functools.cached_property
    def columns(self) -> Columns:
        """Every column by name, as arrays of one entry a row; NaN where a row has no such number.

        `step`, `value`, `gradient_norm`, `update_norm`, `learning_rate`, `cosine` (of this update and the one before),
        `curvature` (gᵀHg / gᵀg), `predicted_decrease`, `actual_decrease`.
        """
        return complete_columns(self.recorded, self.coordinates, self.gradients)

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
        """The metrics as a Polars frame: `step` and what was measured there."""
        return evaluations_frame(self)

    @property
    def value(self) -> float:
        """The objective's value at the end point; NaN where no row was written yet."""
        return float(self.recorded["value"][-1]) if len(self) else float("nan")

    @property
    def last_step(self) -> int:
        """The number of steps that were taken and ended at a finite point."""
        return int(self.recorded["step"][-1]) if len(self) else 0

    @property
    def end_spectrum(self) -> Spectrum | None:
        """The curvature at the end point, if it was measured."""
        if self.spectra and self.spectra[-1].step == self.last_step:
            return self.spectra[-1]
        return None

    def __len__(self) -> int:
        return len(self.recorded["step"])

    def __str__(self) -> str:
        return (
            f"{self.plan.get('read_as', 'descent')}\n"
            f"{self.plan.get('method', '')}: {self.last_step} steps, value {self.value:.6g} at {_place(self.end)}\n"
            f"{self.outcome.value}"
        )

    def __repr__(self) -> str:
        return f"<Trace of {self.last_step} steps, {self.outcome.identifier}, value {self.value:.6g}>"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(str(self)).replace(chr(10), '<br>')}</p>{self.steps._repr_html_()}"

    def replace(self, **changes: Any) -> Trace:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)


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


def _place(point: Columns) -> str:
    """Return a point in a few words: its first parts, or how large it is."""
    size = sum(np.size(leaf) for leaf in point.values())
    if size > _SPELLED_OUT:
        return f"a point of {size} numbers in {len(point)} part{'s' if len(point) > 1 else ''}"
    parts = ", ".join(f"{name} = {_short(leaf)}" for name, leaf in list(point.items())[:6])
    return parts + (", …" if len(point) > 6 else "")


def _short(leaf: np.ndarray) -> str:
    """Return a number, or the shape of an array."""
    array = np.asarray(leaf)
    return f"{float(array.item()):.6g}" if array.size == 1 else f"array{array.shape}"
