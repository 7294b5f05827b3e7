"""What looks into a training of PyTorch: the loss that is told, and the optimizer's own hooks.

Of every step the loss, the norm of the gradient and the rate are kept; of every k-th the layers as well. They stay on
the device as tensors until `flush`, so that no step waits for a number. No forward pass is run, nothing is drawn from a
generator of the loop, and nothing of the model is changed: a watched training computes what it would have computed.

The value of a step is Σ lᵢ gᵢ / S over its losses lᵢ: gᵢ is the gradient that arrives at each, and S the scale of a
`GradScaler`. So it does not matter whether a loss is divided by the number of micro-batches before or after it is told.
"""

from __future__ import annotations

import itertools
import math
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from downslope._errors import SettingError, described
from downslope._types import Columns
from downslope.trace import Spectrum
from downslope.watching._rows import WatchedRows
from downslope.watching._seen import SeenRows, comparable
from downslope.watching.torch._compiled import Stance
from downslope.watching.torch._curvature import CurvatureEnds, curvature, ends_of, why_not
from downslope.watching.torch._facts import network_facts
from downslope.watching.torch._library import Module, Optimizer, Tensor, torch
from downslope.watching.torch._looks import COLUMNS, Sight, look
from downslope.watching.torch._model import MOST_WEIGHTS, InputTap, Parts, plan_of, scale_of, unwrapped

_FIRST_DOUBLING = 100  # the step of the second look at the curvature; each later one comes after twice the steps
_GRADIENT = "activation_gradient_norm"


class _Step:
    """What is kept of a step until it is fetched."""

    __slots__ = (
        "ends",
        "losses",
        "norms",
        "number",
        "rate",
        "scale",
        "sights",
        "sizes",
        "skipped",
        "updates",
        "weights",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.losses: list[tuple[Any, list[Tensor]]] = []  # each with the gradients that arrived at it
        self.norms: Tensor | None = None
        self.rate: Any = math.nan
        self.scale: Tensor | None = None
        self.skipped: Any = False
        self.sights: list[Sight] = []
        self.ends: CurvatureEnds | None = None
        self.weights: list[Tensor] | None = None  # before the step
        self.sizes: Tensor | None = None
        self.updates: Tensor | None = None


class _Fetched(NamedTuple):
    """The numbers of some steps.

    Args:
        values: the value of each.
        weights: what its losses were multiplied by in all.
        scales: the scale of a scaler.
        norms: of the gradients, shape (steps, parts).
        skipped: whether its gradients overflowed, so that no step was taken.
    """

    values: np.ndarray
    weights: np.ndarray
    scales: np.ndarray
    norms: np.ndarray
    skipped: np.ndarray


class TorchInstrument:
    """What looks into a training of PyTorch.

    Args:
        model: the model.
        optimizer: its optimizer, or several.
        rows: where rows go.
        every: steps from one look to the next; 0 for none.
        curvature_every: steps from one look at the curvature to the next, 0 for none; None for the usual ones.
        most_rows: rows of data that are kept for comparison.
        flush: the steps after which what was recorded is fetched.
        steps: the steps that are planned; None if not known.
        criterion: the loss as a function, or None.
        scaler: the scaler of the losses, or None.

    Raises:
        SettingError: for something that is no optimizer.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Any,
        rows: WatchedRows,
        *,
        every: int,
        curvature_every: int | None,
        most_rows: int,
        flush: int,
        steps: int | None,
        criterion: Any,
        scaler: Any,
    ) -> None:
        self._rows, self._every, self._curvature_every, self._steps = rows, every, curvature_every, steps
        listed = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
        optimizers = [getattr(each, "optimizer", each) for each in listed]  # accelerate wraps them
        odd = next((each for each in optimizers if not isinstance(each, torch.optim.Optimizer)), None)
        if odd is not None or not optimizers:
            raise SettingError(
                f"a watch of a torch.nn.Module needs its torch.optim.Optimizer, or a list of them, not {described(odd)}"
            )
        self._scaler = (
            scaler
            if scaler is not None
            else next((each.scaler for each in listed if getattr(each, "scaler", None) is not None), None)
        )
        self._states = getattr(self._scaler, "_per_optimizer_states", None)
        self._model = unwrapped(model)
        self._parts = Parts(self._model, optimizers)
        self._optimizers = optimizers
        self._seen = SeenRows(most_rows)
        self._facts: dict[str, Any] = {}
        self._open: _Step | None = None
        self._stepped: set[int] = set()
        self._pending: list[_Step] = []
        self._number = 0
        self._next_curvature = 0
        self._no_curvature = ""
        self._notes: list[str] = []
        self._has_looks, self._is_closed, self._has_failed = every > 0, False, False
        self._skipped = 0
        self._scores: list[np.ndarray] = []
        self._layers: dict[str, dict[str, Any]] = {}  # what is known of each, by name
        self._start: list[Tensor] | None = None
        self._reached: set[str] = set()
        self._stance = Stance(model)
        self._tap = InputTap()
        if not self._stance.is_compiled:
            self._tap.attach(self._model)
            self._tap.is_wanted = self._is_look(0)
        if _rank() != 0:
            rows.folder = None  # one process writes
        rows.versions = {"torch": str(torch.__version__)}
        for name, entry in plan_of(optimizers[0]).items():
            rows.plan[name] = rows.plan.get(name) or entry
        self._hooks = self._attach(optimizers)
        self._stance.prepare(self._is_look(0))

    def _attach(self, optimizers: Sequence[Optimizer]) -> list[Any]:
        """Have the optimizers say when they step; the hooks do not keep the instrument alive."""
        own = weakref.ref(self)

        def before(optimizer: Any, arguments: Any, named: Any) -> None:
            instrument = own()
            if instrument is not None:
                instrument._guarded(instrument._before_step, optimizer, _closure(arguments, named))

        def after(optimizer: Any, arguments: Any, named: Any) -> None:
            instrument = own()
            if instrument is not None:
                instrument._guarded(instrument._after_step, optimizer, _closure(arguments, named))

        hooks = []
        for optimizer in optimizers:
            hooks += [optimizer.register_step_pre_hook(before), optimizer.register_step_post_hook(after)]
        return hooks

    # --- what a loop says ----------------------------------------------------------------------------------------

    def loss(self, value: Any) -> None:
        """Take a loss, between forward and backward."""
        if not self._is_closed:
            self._guarded(self._take_loss, value)

    @property
    def next_step(self) -> int:
        """The step that is recorded next."""
        return self._number

    def resume(self, step: int) -> None:
        """Count the next step as this one."""
        self._number = step
        self._next_curvature = 0 if step == 0 else max(_FIRST_DOUBLING, 2 * step)
        if self._rows.start:
            self._start = []
        self._stance.prepare(self._is_look(step))

    @property
    def end(self) -> Columns | None:
        """The weights as they are now; None where they are too many."""
        return self._parts.arrays(self._parts.tensors) if self._parts.size <= MOST_WEIGHTS else None

    def close(self) -> None:
        """Take the hooks out."""
        self._is_closed = True
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        self._stance.restore()
        self._tap.remove()

    def _guarded(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do something; what goes wrong ends the looks, never the training."""
        if self._has_failed:
            return
        try:
            work(*arguments)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Stop looking, and say why: at first at the layers, at a second failure at all."""
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        what = "looking into the layers" if self._has_looks else "watching"
        self._notes.append(f"{what.capitalize()} ended at step {self._number}: {reason}.")
        warnings.warn(f"{what} ended at step {self._number} ({reason}); the training goes on", stacklevel=4)
        self._has_failed, self._has_looks = not self._has_looks, False
        if self._open is not None:
            self._open.sights, self._open.weights = [], None
        self._stance.restore()

    # --- during a step -------------------------------------------------------------------------------------------

    def _is_look(self, number: int) -> bool:
        return self._has_looks and self._every > 0 and number % self._every == 0

    def _take_loss(self, value: Any) -> None:
        if self._open is not None and self._was_skipped():
            self._end_skipped()
        if self._open is None:
            self._open = _Step(self._number)
            self._states = getattr(self._scaler, "_per_optimizer_states", None)
            self._open.scale = self._scale_now()
        self._tap.rows_without_gradient = 0
        step: _Step = self._open
        cell: list[Tensor] = []
        if not isinstance(value, torch.Tensor):
            step.losses.append((float(value), cell))
            return
        if value.requires_grad:
            looks = self._is_look(step.number) and len(step.sights) < (1 if len(self._optimizers) == 1 else 3)
            if looks and torch.is_grad_enabled():
                self._guarded(self._look, step, value)  # on its own: the loss is recorded in any case
            value.register_hook(cell.append)
        step.losses.append((value.detach(), cell))

    def _scale_now(self) -> Tensor | None:
        """Return what the scaler multiplies losses by."""
        if self._scaler is None or not getattr(self._scaler, "_enabled", True):
            return None
        scale = getattr(self._scaler, "_scale", None)
        # Before the first loss is scaled there is no tensor yet.
        return (
            torch.tensor(float(getattr(self._scaler, "_init_scale", 1.0))) if scale is None else scale.detach().clone()
        )

    def _look(self, step: _Step, loss: Tensor) -> None:
        """Look at the layers, and at the curvature where that is due."""
        due = not step.sights and step.number >= self._next_curvature and self._curvature_every != 0
        if self._curvature_every:
            due = not step.sights and step.number % self._curvature_every == 0
        elif self._steps is not None and step.number < self._steps <= step.number + self._every:
            due = not step.sights and self._curvature_every is None
        called, self._tap.inputs, self._tap.is_wanted = self._tap.inputs, [], False
        sight = look(
            loss, self._parts.names, self._parts.by_name, rows=not self._seen.is_full, noise=due, inputs=called
        )
        if sight is None:
            self._stance.met_compiled()
            self._tap.remove()  # a hook is no part of what is compiled
            return
        if due and not self._no_curvature:
            self._next_curvature = max(_FIRST_DOUBLING, 2 * step.number)
            self._curve(step, loss, sight)
        # Only now: what listens must not hear the products above.
        sight.listen()
        step.sights.append(sight)

    def _curve(self, step: _Step, loss: Tensor, sight: Sight) -> None:
        """Look at the curvature; where it cannot be measured, it is not tried again."""
        self._no_curvature = why_not(sight.nodes, self._parts.tensors)
        if self._no_curvature:
            return
        try:
            scale = scale_of(self._optimizers, self._parts.tensors)
            step.ends = curvature(loss, self._parts.tensors, scale, step.number)
        except (RuntimeError, NotImplementedError) as error:
            self._no_curvature = str(error).splitlines()[0][:200]

    def _before_step(self, optimizer: Optimizer, closure: Any) -> None:
        if self._open is None:
            if closure is None:
                return  # a step of which no loss was told
            self._open = _Step(self._number)
        step = self._open
        if id(optimizer) in self._stepped:
            self._end()
            self._open = step = _Step(self._number)
        if self._start is None and self._parts.size <= MOST_WEIGHTS:
            self._start = [tensor.detach().clone() for tensor in self._parts.tensors]
        if self._is_look(step.number) and step.weights is None:
            step.weights = [tensor.detach().clone() for tensor in self._parts.tensors]
            step.sizes = self._parts.norms(self._parts.tensors)
        if closure is None:
            self._read(step, optimizer)
        # Of a fused step with a scaler the gradients are unscaled inside of it.

    def _read(self, step: _Step, optimizer: Optimizer) -> None:
        """Take the norms of the gradients as they will be used, and the rate."""
        norms = self._parts.gradient_norms(optimizer)
        inside = getattr(optimizer, "grad_scale", None)
        if inside is not None:
            norms = norms / inside.to(norms.device)
        step.norms = norms if step.norms is None else torch.fmax(step.norms, norms)
        if isinstance(step.rate, float) and math.isnan(step.rate):
            step.rate = self._parts.rate(optimizer)
        overflowed = getattr(optimizer, "found_inf", None)
        if overflowed is not None:
            step.skipped = overflowed.detach().clone()

    def _after_step(self, optimizer: Optimizer, closure: Any) -> None:
        step = self._open
        if step is None:
            return
        if closure is not None:
            self._read(step, optimizer)
            if isinstance(optimizer, torch.optim.LBFGS):
                step.losses = step.losses[:1]  # the loss at the point that the step leaves
        self._stepped.add(id(optimizer))
        if len(self._stepped) == len(self._optimizers):
            self._end()

    def _end(self) -> None:
        """Close the row of a step."""
        step, self._open = self._open, None
        self._stepped.clear()
        if step is None or not step.losses:
            return
        if step.weights is not None:
            with torch.no_grad():
                moved = torch._foreach_sub(step.weights, [tensor.detach() for tensor in self._parts.tensors])
                step.updates = self._parts.norms(moved)
            step.weights = None
        for sight in step.sights:
            sight.release()
        self._pending.append(step)
        self._number += 1
        looks = self._is_look(self._number)
        self._stance.prepare(looks)
        self._tap.is_wanted = looks and not self._seen.is_full

    def _was_skipped(self) -> bool:
        """Tell whether the scaler ended a step that the optimizer was not called for."""
        states = getattr(self._scaler, "_per_optimizer_states", None)
        ended = states is not self._states
        self._states = states
        return ended and not self._stepped and bool(self._open is not None and self._open.losses)

    def _end_skipped(self) -> None:
        """Close the row of a step whose gradients overflowed, so that no step was taken."""
        step = self._open
        if step is not None:
            step.skipped, step.weights, step.norms = True, None, None
            step.rate = self._parts.rate(self._optimizers[0])
        self._end()

    # --- from the device to the rows -----------------------------------------------------------------------------

    def flush(self) -> None:
        """Add what was recorded since the last time to the rows."""
        if self._open is not None and self._was_skipped():
            self._guarded(self._end_skipped)
        if self._pending or self._notes:
            steps, self._pending = self._pending, []
            try:
                self._add(steps)
            except Exception as error:
                self._fail(error)

    def _add(self, steps: Sequence[_Step]) -> None:
        """Fetch the numbers of steps and add them."""
        if not self._rows.part_names:
            start = self._start if self._start else None
            self._rows.name_parts(self._parts.labels, {} if start is None else self._parts.arrays(start))
            self._start = []
        if steps:
            self._add_steps(steps, self._fetched(steps))
            self._add_looks([step for step in steps if step.sizes is not None or step.sights])
        self._renew(steps)

    def _fetched(self, steps: Sequence[_Step]) -> _Fetched:
        """Return the numbers of steps, in a few transfers."""
        scales = np.array([1.0 if step.scale is None else float(step.scale) for step in steps])
        skipped = np.array([bool(step.skipped) for step in steps])
        values, weights = np.zeros(len(steps)), np.zeros(len(steps))
        terms = [(row, x, g) for row, step in enumerate(steps) for x, cell in step.losses for g in cell]
        rows = [row for row, _, _ in terms]
        arrived = _host([gradient for _, _, gradient in terms])
        whole = all(gradient.dim() == 0 for _, _, gradient in terms)
        losses = _host([x if whole else x * gradient for _, x, gradient in terms])
        np.add.at(values, rows, losses * arrived if whole else losses)
        np.add.at(weights, rows, arrived)
        known = set(rows)
        for row, step in enumerate(steps):
            if row not in known:  # no gradient came by: the losses are parts of another one, or plain numbers
                values[row] = np.mean([_whole(loss) for loss, _ in step.losses]) * scales[row]
                weights[row] = scales[row]
        unknown = torch.full((len(self._parts.labels),), math.nan)
        norms = (
            torch.stack([unknown if step.norms is None else step.norms.to("cpu") for step in steps])
            if any(step.norms is None for step in steps)
            else torch.stack([step.norms for step in steps])
        )
        return _Fetched(values / scales, weights / scales, scales, norms.double().cpu().numpy(), skipped)

    def _add_steps(self, steps: Sequence[_Step], numbers: _Fetched) -> None:
        """Add a row for each step."""
        self._skipped += int(numbers.skipped.sum())
        if self._scaler is None and np.any(numbers.weights > 16):
            note = "The losses arrive multiplied, as by a GradScaler: pass it as scaler=, or their size is not known."
            if note not in self._notes:
                self._notes.append(note)
        steps_taken = np.array([step.number for step in steps], np.int64)
        owned = numbers.norms[:, self._parts.owned]
        with np.errstate(all="ignore"):
            gradient = np.sqrt(np.nansum(np.square(owned), axis=1))
        # Parts of an optimizer that made no step are NaN as well, and no fault.
        stepped = np.isfinite(numbers.norms).any(axis=1)
        for row in np.flatnonzero(~numbers.skipped & ~(np.isfinite(owned).all(axis=1) & np.isfinite(gradient))):
            bad = [index for index in self._parts.owned if not self._is_fine(numbers.norms[row, index], stepped[row])]
            if bad:
                self._rows.bad_parts[int(steps_taken[row])] = self._parts.labels[bad[0]]
                gradient[row] = math.nan
        gradient[numbers.skipped] = math.nan
        values = numbers.values.copy()
        for row in np.flatnonzero(numbers.skipped & ~np.isfinite(values)):
            # The loss of a step that overflowed is no loss of the network; the one before stands for it.
            values[row] = values[row - 1] if row else np.nan
        lengths = np.full(len(steps), math.nan)
        for row, step in enumerate(steps):
            if step.updates is not None:
                lengths[row] = float(step.updates.double().square().sum().sqrt())
        self._rows.add_steps(
            {
                "step": steps_taken,
                "value": values,
                "gradient_norm": gradient,
                "update_norm": lengths,
                "learning_rate": np.array([float(step.rate) for step in steps]),
            },
            {
                "gradient_norm": steps_taken[numbers.skipped].tolist(),
                "update_norm": steps_taken[np.isnan(lengths)].tolist(),
            },
        )
        for row, step in enumerate(steps):
            if step.ends is not None:
                self._add_curvature(step, float(numbers.weights[row]))

    def _is_fine(self, norm: float, stepped: bool) -> bool:
        """Tell whether the norm of a part is finite, or not measured since another optimizer steps it."""
        return math.isfinite(norm) or (math.isnan(norm) and stepped and len(self._optimizers) > 1)

    def _add_curvature(self, step: _Step, weight: float) -> None:
        """Add the curvature of the whole step, of which one of several micro-batches has a part."""
        assert step.ends is not None
        low, high = ends_of(step.ends.plain.double().cpu().numpy())
        scaled = None if step.ends.scaled is None else ends_of(step.ends.scaled.double().cpu().numpy())[1] * weight
        if math.isfinite(low) and math.isfinite(high):
            values = np.array([low * weight, high * weight])
            self._rows.add_spectrum(Spectrum(step.number, values, False, None, None, scaled))

    def _add_looks(self, steps: Sequence[_Step]) -> None:
        """Add a row for each step that was looked at."""
        if not steps:
            return
        seen = [self._of_layers(step) for step in steps]
        names = _merged([*self._rows.layer_names], *(list(each) for each in seen))
        if names:
            self._rows.name_layers(names)
        columns = (*COLUMNS, _GRADIENT)
        layers = {
            column: np.array([[each.get(name, {}).get(column, math.nan) for name in names] for each in seen], float)
            for column in columns
        }
        nothing = np.full(len(self._parts.labels), math.nan)
        parts = {
            "parameter_norm": [step.sizes for step in steps],
            "gradient_norm": [step.norms for step in steps],
            "update_norm": [step.updates for step in steps],
        }
        self._rows.add_looks(
            [step.number for step in steps],
            {
                column: np.stack([nothing if norms is None else norms.double().cpu().numpy() for norms in each])
                for column, each in parts.items()
            },
            layers if names else {},
        )

    def _of_layers(self, step: _Step) -> dict[str, dict[str, float]]:
        """Return the statistics of the layers of a step by name."""
        by_name: dict[str, dict[str, float]] = {}
        # The gradient by a pre-activation is that of one micro-batch of several.
        many = len(step.losses) if len(step.sights) == 1 else 1
        scale = 1.0 if step.scale is None else float(step.scale)
        for sight in step.sights:
            table = None if sight.statistics is None else sight.statistics.double().cpu().numpy()
            for index, layer in enumerate(sight.layers):
                arrived = sight.gradients[index] if index < len(sight.gradients) else None
                row = dict(zip(COLUMNS, table[index].tolist(), strict=True)) if table is not None else {}
                row[_GRADIENT] = math.nan if arrived is None else float(arrived) * many / scale
                by_name[layer.name] = row
        return by_name

    def _renew(self, steps: Sequence[_Step]) -> None:
        """Renew facts and plan by what the looks saw."""
        looked = [step for step in steps if step.sights]
        for step in looked:
            for sight in step.sights:
                self._reached |= sight.reached
                if sight.inputs is not None and sight.targets is not None:
                    self._seen.add(sight.inputs.cpu().numpy(), _targets(sight.targets))
                if sight.classes is not None:
                    self._seen.count(sight.classes.double().cpu().numpy())
                if sight.score is not None:
                    self._scores.append(sight.score.double().cpu().numpy())
                noise = sight.noise_scale()
                if noise is not None:
                    self._rows.measure(step.number, {"noise_scale": noise})
        if looked:
            facts = network_facts(self._model, looked[-1].sights, self._parts, self._layers, self._facts)
            self._facts |= facts
            sight = looked[-1].sights[0]
            if sight.examples is not None:
                size = sight.examples * _world()
                self._rows.plan["batches"] = {"size": size, "accumulate": max(len(looked[-1].losses), 1)}
        if self._facts:
            self._rows.facts["network"] = self._network()
        self._renew_data()
        notes = [*self._notes]
        if self._no_curvature:
            notes.append(f"The curvature was not measured: {self._no_curvature}.")
        if self._skipped:
            notes.append(f"{self._skipped} steps were skipped, since their gradients overflowed.")
        if notes:
            self._rows.facts["notes"] = notes

    def _network(self) -> dict[str, Any]:
        """Return the facts on the network, with the parts that the loss never had a derivative by."""
        facts = dict(self._facts)
        loss = facts.pop("loss_facts", None)
        if loss:
            self._rows.facts["loss"] = loss
        facts["held"] = self._parts.held
        facts["not_stepped"] = self._parts.not_stepped
        if self._reached:
            aside = {*self._parts.held, *self._parts.not_stepped, *self._reached}
            facts["cut_off"] = [name for name in self._parts.labels if name not in aside]
        return facts

    def _renew_data(self) -> None:
        """Renew the facts on the rows that were seen."""
        kind = self._facts.get("kind")
        known = self._seen.facts(
            None if kind is None else "numbers" if kind == "numbers" else "classes", self._facts.get("outputs")
        )
        if known or self._rows.facts.get("data"):
            before = self._rows.facts.get("data") or {}
            told = {name: before[name] for name in ("validation_rows",) if name in before}
            measured = {name for row in self._rows.measured.values() for name in row}
            self._rows.facts["data"] = {**comparable(known, measured), **told}

    @property
    def rows_evaluated(self) -> int | None:
        """The rows that the model was called with since the last step, without a gradient; None for none."""
        return self._tap.rows_without_gradient or None

    def score(self) -> dict[str, float]:
        """Return how well the batches of the looks since the last time were predicted, before their steps."""
        scores, self._scores = self._scores, []
        shapes = {score.shape for score in scores}
        if len(shapes) != 1:
            return {}
        total = np.sum(scores, axis=0)
        if total.ndim == 1:
            return {"training_accuracy": float(total[0] / total[1])} if total[1] > 0 else {}
        count, left, first, second = total
        spread = second - first**2 / count
        varying = spread > 0
        if not varying.any():
            return {}
        return {"training_r2": float(np.mean(1 - left[varying] / spread[varying]))}


def _closure(arguments: Any, named: Any) -> Any:
    """Return the closure that an optimizer's step was called with, or None."""
    # The optimizer itself is the first of the arguments.
    return arguments[1] if len(arguments) > 1 else named.get("closure")


def _whole(loss: Any) -> float:
    return float(loss.detach().double().sum()) if isinstance(loss, torch.Tensor) else float(loss)


def _host(tensors: Sequence[Tensor]) -> np.ndarray:
    """Return the sums of tensors on the host, in one transfer."""
    if not tensors:
        return np.zeros(0)
    scalars = [tensor if tensor.dim() == 0 else tensor.sum() for tensor in tensors]
    return torch.stack(scalars).double().cpu().numpy()


def _targets(targets: Tensor) -> np.ndarray:
    return (targets.double() if targets.is_floating_point() else targets).cpu().numpy()


def _merged(first: list[str], *others: list[str]) -> list[str]:
    """Return all names once, each new one behind the one that it comes after."""
    names = list(first)
    for other in others:
        for before, name in itertools.pairwise(["", *other]):
            if name not in names:
                names.insert(names.index(before) + 1 if before in names else 0, name)
    return names


def _rank() -> int:
    """Return the number of this process among those that train together."""
    distributed = torch.distributed
    return distributed.get_rank() if distributed.is_available() and distributed.is_initialized() else 0


def _world() -> int:
    """Return how many processes train together."""
    distributed = torch.distributed
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
