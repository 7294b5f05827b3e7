"""The recording of a PyTorch training: the loss passed to `watch.loss`, and the optimizer's hooks.

Of every step the loss, the norm of the gradient and the rate are kept; of every k-th the layers as well. They stay on
the device as tensors until `flush`, so that no step waits for a number. No forward pass is run, nothing is drawn from a
generator of the loop, and nothing of the model is changed: a watched training computes what it would have computed.

The value of a step is Σ lᵢ gᵢ / S over its losses lᵢ: gᵢ is the gradient that arrives at each, and S the scale of a
`GradScaler`. So it does not matter whether a loss is divided by the number of micro-batches before or after it is told.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from downslope._errors import SettingError, described, in_a_line
from downslope._types import Columns
from downslope.watching._looks import MOST_WEIGHTS, ended_by, next_curvature
from downslope.watching._rows import WatchedRows
from downslope.watching._seen import SeenRows
from downslope.watching.torch._compiled import Stance
from downslope.watching.torch._curvature import curvature, why_not
from downslope.watching.torch._graph import GraphLayout
from downslope.watching.torch._library import Module, Optimizer, Tensor, torch
from downslope.watching.torch._looks import Sight, look
from downslope.watching.torch._model import InputTap, Parts, plan_of, rank_and_processes, scale_of, unwrapped
from downslope.watching.torch._record import Recorder, StepRecord

_FEWEST_COMPARED = 3
_ALTERNATING = "optimizers that each follow a loss of their own"


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
        self._recorder = Recorder(self._model, self._parts, rows, self._seen, len(optimizers), self._scaler is not None)
        self._recorder.criterion = criterion
        self._recorder.modes = lambda: {**self._tap.modes, **self._between_steps}
        self._open: StepRecord | None = None
        self._stepped: set[int] = set()
        self._pending: list[StepRecord] = []
        self._number = 0
        self._next_curvature = 0
        self._no_curvature = ""
        self._notes: list[str] = []
        self._has_looks, self._is_closed, self._has_failed = every > 0, False, False
        self._layout: GraphLayout | None = None
        self._versions: dict[str, int] = {}  # those of the gradients of some parts, after the step before a look
        self._are_kept: list[bool] = []  # whether gradients of the step before were there as a backward pass began
        self._alternates = False
        self._stance = Stance(model)
        self._tap = InputTap()
        if not self._stance.is_compiled:
            self._tap.attach(self._model)
            self._tap.is_wanted = self._is_look(0)
        rank, processes = rank_and_processes()
        if rank:
            rows.leave_writing()
        if processes > 1:
            self._notes.append(
                f"Loss, layers and scores are those of process 0 of {processes}, on its own share of each batch."
            )
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
        """Receive a loss, between the forward and the backward pass."""
        if not self._is_closed:
            self._guarded(self._take_loss, value)

    @property
    def next_step(self) -> int:
        """The step that is recorded next."""
        return self._number

    def resume(self, step: int) -> None:
        """Number the next step."""
        self._number = step
        self._next_curvature = 0 if step == 0 else next_curvature(step)
        if self._rows.start:
            self._recorder.start = []
        self._stance.prepare(self._is_look(step))

    @property
    def end(self) -> Columns | None:
        """The weights as they are now; None where they are too many."""
        return self._parts.arrays(self._parts.tensors) if self._parts.size <= MOST_WEIGHTS else None

    def close(self) -> None:
        """Take the hooks out, and compare the rows that were seen for the last time."""
        self._seen.settle()
        self._guarded(self._recorder.settle)
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
        what = "looking into the layers" if self._has_looks else "watching"
        self._notes.append(ended_by(error, self._number, what))
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
            self._open = StepRecord(self._number)
            self._states = getattr(self._scaler, "_per_optimizer_states", None)
            self._open.scale = self._scale_now()
        elif self._stepped:
            self._alternates = True  # another loss, after the step of an optimizer and before that of the next
        self._tap.begin_step()
        step: StepRecord = self._open
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

    def _look(self, step: StepRecord, loss: Tensor) -> None:
        """Look at the layers, and at the curvature where that is due."""
        due = not step.sights and step.number >= self._next_curvature and self._curvature_every != 0
        if self._curvature_every:
            due = not step.sights and step.number % self._curvature_every == 0
        elif self._steps is not None and step.number < self._steps <= step.number + self._every:
            due = not step.sights and self._curvature_every is None
        called, self._tap.inputs, self._tap.is_wanted = self._tap.inputs, [], False
        sight = look(
            loss,
            self._parts.names,
            self._parts.by_name,
            rows=not self._seen.is_full,
            noise=due,
            inputs=called,
            layout=self._layout,
            buffers=lambda: {buffer.data_ptr() for buffer in self._model.buffers()},
        )
        self._layout = None if sight is None else sight.layout
        if sight is not None and step.number == 0 and self._parts.size > MOST_WEIGHTS:
            self._recorder.sampled.begin(sight.layers)
        if sight is None:
            self._stance.met_compiled()
            self._tap.remove()  # a hook is no part of what is compiled
            return
        if due and not self._no_curvature:
            self._next_curvature = next_curvature(step.number)
            self._curve(step, loss, sight)
        # Only now: what listens must not hear the products above.
        sight.listen()
        versions = {part: version for part, version in self._versions.items() if part in sight.reached}
        if versions and not step.losses:
            loss.register_hook(self._compare_gradients(versions))
        step.sights.append(sight)

    def _compare_gradients(self, versions: Mapping[str, int]) -> Callable[[Any], None]:
        """Return what tells, as a backward pass begins, whether the gradients of the step before are still there."""
        own = weakref.ref(self)

        def compare(_: Any) -> None:
            instrument = own()
            if instrument is not None:
                gradients = {part: instrument._parts.by_name[part].grad for part in versions}
                instrument._are_kept.append(
                    all(grad is not None and grad._version == versions[part] for part, grad in gradients.items())
                )

        return compare

    @property
    def _between_steps(self) -> dict[str, Any]:
        """The facts on what happens from one step to the next."""
        known: dict[str, Any] = {"moving_target": _ALTERNATING} if self._alternates else {}
        if len(self._are_kept) >= _FEWEST_COMPARED:
            known["gradients_kept"] = all(self._are_kept)
        return known

    def _curve(self, step: StepRecord, loss: Tensor, sight: Sight) -> None:
        """Look at the curvature; where it cannot be measured, it is not tried again."""
        self._no_curvature = why_not(sight.nodes, self._parts.tensors)
        if self._no_curvature:
            return
        try:
            scale = scale_of(self._optimizers, self._parts.tensors)
            step.ends = curvature(loss, self._parts.tensors, scale, step.number)
        except (RuntimeError, NotImplementedError) as error:
            self._no_curvature = in_a_line(error)

    def _before_step(self, optimizer: Optimizer, closure: Any) -> None:
        if self._open is None:
            if closure is None:
                return  # a step of which no loss was told
            self._open = StepRecord(self._number)
        step = self._open
        if id(optimizer) in self._stepped:
            self._end()
            self._open = step = StepRecord(self._number)
        if self._recorder.start is None and self._parts.size <= MOST_WEIGHTS:
            self._recorder.start = [tensor.detach().clone() for tensor in self._parts.tensors]
        if self._is_look(step.number) and step.weights is None:
            step.weights = self._parts.sample()
            step.sizes = self._parts.norms(self._parts.tensors)
        if closure is None:
            self._read(step, optimizer)
        # Of a fused step with a scaler the gradients are unscaled inside of it.

    def _read(self, step: StepRecord, optimizer: Optimizer) -> None:
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
            step.updates = self._parts.moves(step.weights)
            step.weights = None
        for sight in step.sights:
            sight.release()
        self._pending.append(step)
        self._number += 1
        looks = self._is_look(self._number)
        self._versions = self._parts.gradient_versions() if looks else {}
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
                self._recorder.add(steps, self._remarks)
            except Exception as error:
                self._fail(error)

    @property
    def _remarks(self) -> list[str]:
        """Sentences on what could not be looked at."""
        why = [f"The curvature was not measured: {self._no_curvature}."] if self._no_curvature else []
        return [*self._notes, *why]

    @property
    def rows_evaluated(self) -> int | None:
        """The rows that the model was called with since the last step, without a gradient; None for none."""
        return self._tap.rows_without_gradient or None

    def score(self) -> dict[str, float]:
        """Return how well the batches of the looks since the last time were predicted, before their steps."""
        self._tap.end_evaluation()
        return self._recorder.score()


def _closure(arguments: Any, named: Any) -> Any:
    """Return the closure that an optimizer's step was called with, or None."""
    # The optimizer itself is the first of the arguments.
    return arguments[1] if len(arguments) > 1 else named.get("closure")
