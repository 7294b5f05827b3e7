"""The instrument of a JAX loop: reads rows from the optimizer's state, and measures the layers beside the loop.

`watch.step(state, model)` may be called after each step: nothing is transferred from the device before the state is
full, and a look is dispatched without waiting for it. How many steps lie between two calls is measured, since a call
may stand for one step or for a scan over many.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope import _tree
from downslope._engine import jax
from downslope._errors import SettingError
from downslope._types import Columns, Tree
from downslope.watching._looks import MOST_WEIGHTS, ended_by
from downslope.watching._rows import WatchedRows
from downslope.watching.optax._loss_looks import CurvatureLooks, LossLook, LossLooks, compared, facts_of_batch
from downslope.watching.optax._methods import descent_rates, method_of
from downslope.watching.optax._recorded import (
    PART_NORMS,
    RecordedRows,
    RecordedState,
    recorded_rows,
    recorded_state,
)

if TYPE_CHECKING:
    from jax import Array


@dataclass
class _PendingLook:
    """A look that was dispatched; its step and its numbers are on the device."""

    step: Array | int
    look: LossLook


class LoopInstrument:
    """What looks into a loop of JAX.

    Args:
        rows: the rows that it adds to.
        model: the weights before the first step: a tree of arrays, an Equinox or a Flax NNX module; None to look at no
            layers and to keep no weights.
        every: steps from one look into the layers to the next; 0 for none.
        curvature_every: steps from one look at the curvature to the next, 0 for none; None for looks at the start, at
            step 100, and each time that the steps have doubled.
        most_rows: the most rows of the batch that simple learners see; 0 for none.
        loss: `loss(model, batch)`; None to look at no layers.
        batch: the examples of the looks.
    """

    def __init__(
        self,
        rows: WatchedRows,
        model: Any,
        *,
        every: int = 10,
        curvature_every: int | None = None,
        most_rows: int = 2000,
        loss: Callable[..., Any] | None = None,
        batch: Tree = None,
    ) -> None:
        if loss is not None and (model is None or batch is None):
            lacking = "model" if model is None else "batch"
            raise SettingError(
                f"recording the layers needs the {lacking}",
                hint="ds.watch(params, tx, folder, criterion=loss, batch=batch)",
            )
        self._rows, self._every = rows, every
        if jax().process_index():  # of several processes the first writes
            rows.leave_writing()
        self._looks = None if loss is None else LossLooks(loss, model, batch)
        self._curvature = None if self._looks is None else CurvatureLooks(self._looks, rows, curvature_every)
        self._data = facts_of_batch(batch, most_rows) if self._looks is not None else {}
        self._model = model
        self._start = self._weights(model)
        self._state: RecordedState | None = None
        self._pending: list[_PendingLook] = []
        # Passed by `loss`: of steps that came since the last transfer, and of the step under way.
        self._losses: list[Any] = []
        self._losses_ahead: list[Any] = []
        self._count = 0  # steps whose rows were read
        self._calls, self._per_call = 0, 1  # since then, and the most steps of a call
        self._is_first = True
        self._looked = 0  # stretches of `every` steps
        self._failed = self._may_descend = False
        self._said: set[str] = set()
        self._begin(model)

    def _begin(self, model: Any) -> None:
        """Write down what is known before the first step, and look at it."""
        if self._looks is None:
            return
        self._looks.describe(self._rows, self._data, self._start)
        if self._every:
            self._look(model, 0)
        self._look_at_curvature(model, 0)

    # --- while it runs -------------------------------------------------------------------------------------------

    def loss(self, value: Any) -> None:
        """Take the loss of a step, or those of several: for a loop that does not pass `value=` to the optimizer."""
        self._losses_ahead.append(value)

    def step(self, state: Tree, model: Any = None) -> None:
        """Take the state and the model after one step, or after several."""
        held = recorded_state(state)
        if np.ndim(held.recorded_count):
            raise SettingError(
                f"the state is of {len(held.recorded_count)} parallel runs, but a watch records one",
                hint="watch.step(jax.tree.map(lambda leaf: leaf[0], state)) takes the first",
            )
        # Not the state of the method: it would be kept alive for nothing.
        self._state, self._calls = held._replace(inner_state=()), self._calls + 1
        self._losses, self._losses_ahead = self._losses + self._losses_ahead, []
        if model is not None:
            self._model = model
        capacity = held.recorded_steps.shape[-2]
        is_first, self._is_first = self._is_first, False
        if is_first:
            self._rows.plan.setdefault("method", "")
            self._name_method(held)
        if is_first or (self._calls + 1) * self._per_call > capacity:
            self.flush()
        now = self._count + self._calls * self._per_call
        if self._looks is not None and self._every and model is not None and now // self._every > self._looked:
            self._looked = now // self._every
            # A copy, since the state may be donated to the next step.
            self._look(model, jax().numpy.array(held.recorded_count, copy=True))
        if model is not None and self._curvature is not None and self._curvature.is_due(now):
            self._look_at_curvature(model, now)

    def _look(self, model: Any, step: Any) -> None:
        """Begin a look; a failure ends the looks, and never the training."""
        if self._failed or self._looks is None:
            return
        try:
            self._pending.append(_PendingLook(step, self._looks.look(model)))
        except Exception as error:
            self._fail(error)

    def _look_at_curvature(self, model: Any, step: int) -> None:
        """Look at the curvature, unless the looks have ended."""
        if self._curvature is not None and not self._failed:
            self._curvature.look(model, step)

    def _fail(self, error: Exception) -> None:
        """Stop measuring, and record the reason."""
        self._failed = True
        self._rows.note(ended_by(error, self.next_step))

    def _say(self, what: str, text: str) -> None:
        """Issue a warning once."""
        if what not in self._said:
            self._said.add(what)
            warnings.warn(f"downslope: {text}", stacklevel=5)

    # --- reading -------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Read the rows that the last state holds, and what the looks measured."""
        if self._state is None:
            return
        try:
            rows = recorded_rows(self._state)
        except SettingError:  # donated since: the next state holds these rows as well
            return
        taken = rows.count - self._count
        if taken <= 0:
            return
        self._per_call = max(self._per_call, -(-taken // max(self._calls, 1)))
        new = rows.since(self._count)
        self._say_lost(self._count, new)
        losses, self._losses = self._losses, []
        self._add_steps(new, _joined(losses))
        self._add_looks(new)
        self._name_metric()
        self._count, self._calls = rows.count, 0

    def _say_lost(self, first: int, rows: RecordedRows) -> None:
        """Warn if steps were overwritten before they were read."""
        lost = len(range(first, int(rows.steps["step"][0])))
        if not lost:
            return
        before = (self._rows.facts.get("recording") or {}).get("lost_steps", 0)
        self._rows.facts["recording"] = {"lost_steps": before + lost}
        self._say(
            "lost",
            f"{lost} steps were overwritten before they were read, from step {first} on: call watch.step more often, "
            "or record with a larger capacity",
        )

    def _add_steps(self, rows: RecordedRows, losses: np.ndarray) -> None:
        """Add the rows of steps whose loss is known."""
        steps, count = rows.steps["step"], len(rows.steps["step"])
        value = np.ma.masked_array(np.full(count, np.nan), np.ones(count, bool))
        if "loss" in rows.steps:
            value = np.ma.masked_array(rows.steps["loss"])
        if len(losses):
            # Aligned at the end: the last loss is that of the last step.
            some = losses[-count:]
            mask = np.ma.getmaskarray(value)[-len(some) :]
            value[-len(some) :] = np.where(mask, some, value.data[-len(some) :])
        known = ~np.ma.getmaskarray(value)
        if not known.any():
            self._warn_lossless()
            return
        columns = {
            "step": steps[known],
            "value": value.data[known],
            "gradient_norm": rows.steps["gradient_norm"][known],
        }
        gaps = {}
        if "update_norm" in rows.steps:
            updates = np.ma.masked_array(rows.steps["update_norm"])[known]
            columns["update_norm"] = updates.filled(np.nan)
            gaps["update_norm"] = steps[known][np.ma.getmaskarray(updates)].tolist()
        rates = self._rates(rows)
        if rates is not None:
            columns["learning_rate"] = rates[known]
            gaps["learning_rate"] = steps[known][np.isnan(rates[known])].tolist()
        self._rows.add_steps(columns, gaps)

    def _warn_lossless(self) -> None:
        """Warn once if no loss arrives."""
        self._say(
            "loss",
            "steps without a loss are left out: pass it as tx.update(…, value=loss), or call watch.loss(loss)",
        )

    def _rates(self, rows: RecordedRows) -> np.ndarray | None:
        """Return the learning rate of each row; None where it is not known."""
        plan = self._rows.plan
        rates = rows.steps.get("learning_rate")
        if rates is None and self._may_descend and len(rows.looks):
            rates = descent_rates(rows)
            # Of one part alone a single look says nothing yet.
            self._may_descend = rates is not None or len(rows.looks) < 2
            plan["method"] = "gradient descent" if rates is not None else ""
        if rates is not None and np.isfinite(rates).any():
            # To the digits that a ratio of two norms in float32 has.
            plan.setdefault("learning_rate", float(f"{rates[np.isfinite(rates)][0]:.5g}"))
        return rates

    def _name_metric(self) -> None:
        """Compare the network by what the loop measures of it."""
        if self._looks is None:
            return
        self._rows.facts |= compared(self._rows, self._data)

    def _name_method(self, held: RecordedState) -> None:
        """Write the method down, where the state shows which it is."""
        name = method_of(held.inner_state)
        self._may_descend = name == ""
        if name and not self._rows.plan.get("method"):
            self._rows.plan["method"] = name

    def _add_looks(self, rows: RecordedRows, *, last: bool = False) -> None:
        """Add rows by part and by layer: at the looks into the layers, or without any at those of the state."""
        pending = self._read_looks()
        done = [(step, look) for step, look in pending if last or step < rows.count]
        self._pending = [] if last else [_PendingLook(step, look) for step, look in pending if step >= rows.count]
        if self._looks is None:
            if rows.parts and not self._rows.part_names:
                start = self._start if tuple(self._start) == tuple(rows.parts) else {}
                self._rows.name_parts(rows.parts, start)
            self._rows.add_looks(rows.looks.tolist(), self._by_part(rows), {})
            return
        if not done:
            return
        table = self._by_part(rows)
        row_of = {int(step): row for row, step in enumerate(rows.looks)}
        parts = {name: np.full((len(done), len(self._looks.parts)), np.nan) for name in PART_NORMS}
        for index, (step, look) in enumerate(done):
            if step in row_of:
                for name in PART_NORMS:
                    parts[name][index] = table[name][row_of[step]]
            else:  # of the kept batch, as nothing else is known of this step
                parts["parameter_norm"][index] = look.parameter_norms
                parts["gradient_norm"][index] = look.gradient_norms
        layers = np.array([look.layers for _, look in done], float)
        by_layer = {name: layers[:, row] for row, name in enumerate(self._looks.layer_columns)}
        self._rows.add_looks([step for step, _ in done], parts, by_layer)
        for step, look in done:
            self._rows.measure(step, {"training_loss": float(look.loss)})

    def _read_looks(self) -> list[tuple[int, LossLook]]:
        """Return the pending looks with their numbers, by ascending step."""
        try:
            read = jax().device_get([(pending.step, pending.look) for pending in self._pending])
        except Exception as error:  # a look that ran out of memory says so here
            self._pending = []
            self._fail(error)
            return []
        return [(int(step), look) for step, look in read]

    def _by_part(self, rows: RecordedRows) -> Columns:
        """Return the norms by part in the order of the parts of the trace; NaN for parts that the state lacks."""
        names, held = self._rows.part_names, list(rows.parts)
        # Of several collections of weights the optimizer may have one, whose names then begin differently.
        if not set(names) & set(held) and len(names) == len(held):
            held = list(names)
        columns = dict(zip(held, rows.parts.values(), strict=True))
        unknown = np.full(len(rows.looks), np.nan)
        return {
            norm: np.stack([columns[name][norm] if name in columns else unknown for name in names], axis=1)
            if names
            else np.zeros((len(rows.looks), 0))
            for norm in PART_NORMS
        }

    # --- at the end ----------------------------------------------------------------------------------------------

    @property
    def next_step(self) -> int:
        """The step that is recorded next, as far as it is known without a transfer."""
        return self._count + self._calls * self._per_call

    def score(self) -> Mapping[str, float]:
        """Return nothing: the predictions of a batch are not available."""
        return {}

    @property
    def rows_evaluated(self) -> int | None:
        """The number of rows of an evaluation, which is not available."""
        return None

    def resume(self, step: int) -> None:
        """Count the next step as this one; the state of the optimizer says which it is."""
        self._count, self._looked = step, step // self._every if self._every else 0
        self._pending = []

    @property
    def end(self) -> Columns | None:
        """The current weights by part."""
        weights = self._weights(self._model)
        return weights if weights and tuple(weights) == self._rows.part_names else None

    def close(self) -> None:
        """Add the looks that no step follows."""
        self._name_metric()
        if self._pending and self._state is not None:
            with contextlib.suppress(SettingError):  # the state was donated
                self._add_looks(recorded_rows(self._state), last=True)
        if self._curvature is not None and self._model is not None and self._count > self._curvature.measured_at:
            self._look_at_curvature(self._model, self._count)

    def _weights(self, model: Any) -> Columns:
        """Return weights as arrays by part; nothing where they are not known, or too many to keep."""
        if model is None:
            return {}
        try:
            point = self._looks.point(model) if self._looks is not None else model
            if _tree.size(point) > MOST_WEIGHTS:
                return {}
            # Copies: an array of NumPy may be a view of one that the loop donates to its next step.
            arrays = {name: np.array(leaf) for name, leaf in _tree.arrays_by_part(point).items()}
        except Exception:  # donated since, or no tree of arrays: the trace does without
            return {}
        # Numbers of 16 bits have a type of their own, which files do not.
        wide = {name: leaf.astype(np.float32) if leaf.dtype.kind == "V" else leaf for name, leaf in arrays.items()}
        return wide if all(leaf.dtype.kind in "biuf" for leaf in wide.values()) else {}


def _joined(losses: list[Any]) -> np.ndarray:
    """Return losses, each of one step or of several, one after another."""
    if not losses:
        return np.zeros(0)
    return np.concatenate([np.ravel(np.asarray(loss, float)) for loss in jax().device_get(losses)])
