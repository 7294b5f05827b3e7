"""Descent over batches of examples: chunks of compiled steps, and the host's work between them.

Between two chunks, and only there, the host evaluates, writes the rows and the state to disk, shows the progress, and
stops if it was asked to or if the validation loss stopped falling. Looks at curvature and noise begin there, and go on
beside the steps on a thread of their own, on another core if there is one. What is measured when
depends on the number of the step alone, never on the clock, so that a run that was cut off and resumed goes through the
same numbers as one that was not.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax, kept, precision
from downslope._errors import SettingError
from downslope._types import Plain, Point, Tree
from downslope.descent._plan import Beginning, Plan, Record
from downslope.descent._progress import Interruption, progress_bar
from downslope.descent._recipe import arguments_of
from downslope.descent.batches._batched import Batched, Batches, rows_of
from downslope.descent.batches._divided import DividedState
from downslope.descent.batches._layout import DeviceLayout, Pace
from downslope.descent.batches._log import BatchLog
from downslope.descent.batches._loop import BatchChunk, BatchRecipe, BatchState, batch_program, step_key
from downslope.descent.batches._probe import Background, Probe
from downslope.descent.batches._source import InMemory, Streamed
from downslope.descent.batches._trace import (
    BestEvaluated,
    arrays_of_state,
    divided_leaves_of,
    state_of_arrays,
    trace_of,
)
from downslope.programs import first_not_finite
from downslope.trace import Journal, Outcome, Spectrum, Trace

_CHUNK_SECONDS = 0.4
_ROUND = 10  # a chunk is a whole number of so many steps where no layers are looked into
_WRITE_SECONDS = 1.0  # from one writing to disk to the next, at the least
_SNAPSHOT_SHARE = 0.05  # of the time that may go into writing the state to disk
_MEASURED_SHARE, _FEWEST_ROUNDS, _MOST_ROUNDS = 0.07, 3, 5  # of the steps, repeated to tell what recording costs


def descend_batches(
    plan: Plan,
    *,
    progress: bool | Callable[[int, int, float], None] | None = None,
    journal: Callable[[], Journal | None] | None = None,
    watch: Callable[[Trace], None] | None = None,
    layout: DeviceLayout | None = None,
) -> Trace:
    """Run a plan whose objective is averaged over batches of examples.

    Args:
        plan: the plan. Its tolerance is left aside: a batch's gradient is never at rest.
        progress: as for `descend`.
        journal: begins or reopens what rows and state are written into while it runs; one that holds a state is gone on
            with from there, to the same numbers.
        watch: called at each evaluation but the last with the trace as it is then; what it gives back is not looked at.
        layout: the devices that each take a part of every batch; None for one.

    Returns:
        The trace; a journal is finished with it.

    Raises:
        SettingError: if another process was started with other choices or data.
    """
    layout = DeviceLayout() if layout is None else layout
    with precision(plan.objective.precision):
        # From before the journal begins: a run that is there ends with an outcome, also before its first step.
        shown = progress if callable(progress) or layout.writes else False
        with Interruption() as interruption, progress_bar(shown, plan.steps) as show:
            opened = None if journal is None or not layout.writes else journal()
            run = BatchDescent(plan, arguments_of(plan), opened, watch, layout)
            outcome = run.run(interruption, show)
        run.log.end()
        trace = trace_of(run, outcome)
    if opened is not None:
        opened.finish(trace)
    layout.gathered()  # no process leaves before the run is written
    return trace


class BatchDescent:
    """A running training.

    Args:
        plan: the plan; its objective is averaged over batches.
        arguments: the traced arguments of the compiled programs.
        journal: where rows and state are written, or None; one that holds a state is gone on with.
        watch: called with the trace so far at each evaluation, or None.
        layout: the devices that each take a part of every batch; None for one.
        log: what gathers the rows.
        best: what keeps the best point that was evaluated, or None.
    """

    def __init__(
        self,
        plan: Plan,
        arguments: Any,
        journal: Journal | None,
        watch: Callable[[Trace], None] | None = None,
        layout: DeviceLayout | None = None,
    ) -> None:
        assert plan.objective.batched is not None
        assert plan.batches is not None
        self.plan, self.arguments, self._watch = plan, arguments, watch
        self.layout = DeviceLayout() if layout is None else layout
        self.batched: Batched = plan.objective.batched
        self.batches: Batches = plan.batches
        self.every = plan.record.layers_every or _ROUND
        self.source = self._source()
        self.recipe = self._recipe()
        owner = self.batched.owner if self.recipe.is_own else self.batched
        self.program = kept(owner, self.recipe.key, lambda: batch_program(self.recipe))
        self.probe = self._probe()
        self._sets = self._measured_sets()
        self.layout.check_alike(plan.description, plan.start, self.batched.examples)
        self.log = BatchLog(self.recipe, _tree.part_names(plan.start), journal)
        self.log.share(self.layout)
        self.best: BestEvaluated | None = None
        self.divided = self._divided(journal)
        self.state: BatchState = self._first_state(journal)
        self.step = int(self.state.step)
        self.seconds: dict[str, float] = dict.fromkeys(("steps", "evaluations", "probes", "writing"), 0.0)
        self.taken_now = 0
        self._background = Background()
        self._wrote = -math.inf
        self.pace = Pace()
        self._stops = False  # whether any process was asked to stop
        self._before: tuple[BatchState, int, Any, Any] | None = None

    def run(self, interruption: Interruption, show: Callable[[int, int, float], None]) -> Outcome:
        """Train until an outcome is reached; the log holds the rows, `state` the end."""
        size = self.every
        try:
            while True:
                self._look_around()
                outcome = self._outcome(interruption)
                if outcome is not None:
                    self._background.settle()
                    return self._ended(outcome)
                count = min(size, self._until_event(), self.plan.steps - self.step)
                if not self._chunk(count):
                    return Outcome.NOT_FINITE
                size = self._agreed_size(size, count, interruption)
                show(self.step, self.plan.steps, self.log.value)
        finally:
            self._background.close()
            self.source.close()

    def _source(self) -> InMemory | Streamed:
        """Return the source of batches."""
        if self.batched.examples is None:
            return Streamed(self.batched, self.batches.accumulate, self.every, self.layout, self.plan.seed)
        return InMemory(self.batched, self.batches, self.every, self.plan.seed, self.layout)

    def _probe(self) -> Probe | None:
        """Return the probe of curvature and noise; None if it is not wanted, or there are no examples."""
        if not self.batches.probe_every or self.batched.measured is None:
            return None
        return Probe(self.batched, self.batches.per_step or rows_of(self.batched.measured), self.plan.seed)

    def _measured_sets(self) -> dict[str, Any]:
        """Return the examples that are evaluated, by the name of their set, where the programs have them."""
        training = self.source.examples if self.batched.examples is not None else self.batched.measured
        sets = {"training": training, "validation": self.batched.held_out}
        return {
            name: jax().tree.map(jax().numpy.asarray, examples)
            for name, examples in sets.items()
            if examples is not None
        }

    def _recipe(self) -> BatchRecipe:
        """Return the structure that the program is compiled for."""
        plan = self.plan
        return BatchRecipe(
            functions=self.batched.functions,
            method=plan.method,
            schedule=plan.schedule,
            clips=plan.clips,
            capacity=self.source.capacity,
            every=plan.record.layers_every,
            accumulate=1 if self.source.whole else self.batches.accumulate,
            whole=self.source.whole,
            parts=len(_tree.part_names(plan.start)),
            layout=self.layout,
        )

    def _first_state(self, journal: Journal | None) -> BatchState:
        """Return the state before the first step, or the one that was written last."""
        layout, start, memory = self.layout, self.plan.start, self.batched.memory
        if layout.divides_state:
            start, memory = layout.copied((start, memory))
        begun = self.program.begin(start, memory, self.arguments.settings)
        saved: dict[str, Any] = layout.arrays_of_first(journal.state if journal is not None else {})
        if saved and self.divided is not None:
            saved |= self.divided.restored(divided_leaves_of(begun))
        if self.batches.best_by is not None:
            self.best = BestEvaluated(self.batches.best_by, saved, begun)
        if saved:
            return layout.copied(state_of_arrays(begun, saved))
        if self.plan.beginning is None:
            return layout.copied(begun)
        if layout.divides_state:
            raise SettingError("divide_state needs a training that begins by its own plan")
        return layout.copied(self._begun_otherwise(self.plan.beginning, begun))

    def _divided(self, journal: Journal | None) -> DividedState | None:
        """Return the store of the divided part of the state; None if nothing is divided, or nothing is written."""
        if not self.layout.divides_state:
            return None
        known = {} if journal is None else {"folder": str(journal.folder), "note": journal.note.get("divided", {})}
        known = json.loads(self.layout.of_first(json.dumps(known).encode()))
        return DividedState(self.layout, Path(known["folder"]), known["note"]) if known else None

    def _begun_otherwise(self, beginning: Beginning, begun: BatchState) -> BatchState:
        """Return the state after first steps by another plan; another method gathers anew from there."""
        unseen = Record(beginning.plan.record.every, layers_every=0)
        plan = replace(beginning.plan, record=unseen)
        run = BatchDescent(plan, arguments_of(plan), None, layout=self.layout)
        state = self.layout.local(run.after(beginning.steps))
        if beginning.change is not None:
            state = state._replace(point=beginning.change(state.point, state.memory))
        alike = run.recipe.method.spec == self.recipe.method.spec
        return state if alike else state._replace(rule=begun.rule)

    def after(self, steps: int) -> BatchState:
        """Return the state after a number of steps, without any measurement.

        Raises:
            SettingError: if the loss is not finite until then.
        """
        state, taken = self.state, 0
        while taken < steps:
            count = min(self.recipe.capacity, steps - taken)
            examples, order = self.source.chunk(taken, count)
            chunk = self.program.run(state, np.int32(count), examples, order, self.arguments)
            if not bool(chunk.finite):
                raise SettingError(
                    f"of the {steps} steps to begin with, step {taken + int(chunk.taken)} is not finite",
                    hint="begin with fewer",
                )
            state, taken = chunk.state, taken + count
        return state

    @property
    def reached(self) -> BatchState:
        """The state as this process has it on its first device."""
        return self.layout.local(self.state)

    def _until_event(self) -> int:
        """Return the number of steps until the next measurement."""
        nearest = self.plan.steps
        for cadence in (self.batches.evaluate_every, self.batches.probe_every):
            if cadence:
                nearest = min(nearest, cadence - self.step % cadence)
        return nearest

    def _look_around(self) -> None:
        """Take the measurements that are due at this step."""
        ends = self.step in (self.plan.first_step, self.plan.steps)
        if ends or self.step % self.batches.evaluate_every == 0:
            self._timed("evaluations", self._evaluate)
            if self._watch is not None and self.step < self.plan.steps:
                self._watch(trace_of(self, Outcome.RUNNING))
        if self.probe is not None and (ends or self.step % self.batches.probe_every == 0):
            self._look_at_curvature()

    def _timed(self, what: str, work: Callable[[], None]) -> None:
        """Call a function and record how long it took."""
        began = time.perf_counter()
        work()
        self.seconds[what] += time.perf_counter() - began

    def _evaluate(self) -> None:
        """Measure the point on examples."""
        state = self.reached
        metrics = self.layout.metrics_of_first(self.batched.assess(state.point, state.memory, self._sets))
        self.log.add_metrics(self.step, metrics)
        if self.best is not None:
            self.best.offer(state, metrics)

    def concluded(self, point: Point, memory: Tree) -> Plain:
        """Return measurements that depend on the end point alone, as facts."""
        conclude = self.batched.conclude
        return {} if conclude is None else dict(conclude(point, memory, self._sets))

    def _look_at_curvature(self) -> None:
        """Start a curvature probe in the background: the Hessian's two ends, and the noise of the gradient."""
        self._background.settle()  # the next look begins where the last one ended
        state, step, last, probe = self.reached, self.step, self.log.last_spectrum, self.probe
        assert probe is not None
        # Before the first step a rule that scales knows no scale yet.
        scales = self.program.scale if step != self.plan.first_step else None
        # All processes compute it together, and so in the same order; which a thread beside would not keep.
        whole = None
        if scales is not None and self.layout.divides_state:
            whole = self.layout.local(scales(self.state.rule, self.arguments.settings))

        def look() -> tuple[Spectrum, Mapping[str, float], float]:
            began = time.perf_counter()
            with precision(self.plan.objective.precision):
                scale = whole
                if scales is not None and whole is None:
                    scale = scales(state.rule, self.arguments.settings)
                spectrum, metrics = probe.look(state.point, state.memory, step, last, scale)
            return spectrum, metrics, time.perf_counter() - began

        self._background.begin(look, self._take_look)

    def _take_look(self, look: tuple[Spectrum, Mapping[str, float], float]) -> None:
        """Record the result of a curvature probe."""
        spectrum, metrics, seconds = look
        self.log.add_spectrum(spectrum)
        self.log.add_metrics(spectrum.step, metrics)
        self.seconds["probes"] += seconds

    def _outcome(self, interruption: Interruption) -> Outcome | None:
        """Return how the training ends at this step, or None if it goes on."""
        if self.step >= self.plan.steps:
            return Outcome.STEPS_USED
        if self._stops or (self.layout.hosts == 1 and interruption.requested):
            return Outcome.INTERRUPTED
        if self.batches.patience is not None and self.log.since_best("validation_loss") >= self.batches.patience:
            return Outcome.STOPPED_EARLY
        return None

    def _chunk(self, count: int) -> bool:
        """Take `count` steps and keep their rows; tell whether all of them were finite."""
        began = time.perf_counter()
        examples, order = self.source.chunk(self.step, count)
        self.pace.launch()
        chunk = self.program.run(self.state, np.int32(count), examples, order, self.arguments)
        taken = int(chunk.taken)
        self._chunk_seconds = time.perf_counter() - began
        self.seconds["steps"] += self._chunk_seconds
        if not bool(chunk.finite):
            self._background.settle()
            self._end_before(taken, chunk, examples, order)
            return False
        self.log.add_steps(self.step, taken, chunk)
        self._before = (self.state, taken, examples, order)
        self.state, self.step = chunk.state, self.step + taken
        self.taken_now += taken
        return True

    def _agreed_size(self, size: int, count: int, interruption: Interruption) -> int:
        """Return the steps of the next chunk; write rows and state if they are due.

        All processes do the same programs in the same order: process 0 decides by its clock and its journal, and each
        of them may have been asked to stop.
        """
        is_due = time.perf_counter() - self._wrote >= _WRITE_SECONDS
        is_cheap = self.seconds["writing"] <= _SNAPSHOT_SHARE * sum(self.seconds.values())
        wanted = self._next_size(size, count, self._chunk_seconds)
        table = self.layout.gathered(
            self.pace.seconds, interruption.requested, wanted, self.log.writes, is_due, is_cheap
        )
        wanted, writes, is_due, is_cheap = table[0, 2:]
        self._stops = bool(table[:, 1].any())
        last = self._stops or self.step >= self.plan.steps
        if writes and (last or is_due):
            self._timed("writing", lambda: self._write(with_state=bool(is_cheap or last)))
        self.pace.add(self.step - count, table[:, 0])
        return int(wanted)

    def _write(self, with_state: bool) -> None:
        """Write the rows, and the state if it is wanted."""
        self._wrote = time.perf_counter()
        self._background.settle()
        # From a state whose own loss is not finite no way leads back to the last one that was.
        usable = with_state and bool(self._next_step().finite)
        note = None
        if usable and self.divided is not None:
            note = {"divided": self.divided.save(divided_leaves_of(self.state))}
        if self.log.writes:
            self.log.write(self._arrays() if usable else None, note)
        if note is not None and self.divided is not None:
            self.divided.clean()  # now that the journal names the shards, those before them are not needed

    def _arrays(self) -> dict[str, np.ndarray]:
        """Return the state as arrays by name, with the best point where it is kept."""
        state = self.reached
        best = {} if self.best is None else self.best.arrays(state)
        return {**arrays_of_state(state), **best}

    def _end_before(self, taken: int, chunk: Any, examples: Any, order: Any) -> None:
        """Return to the last point whose loss and gradient were finite, and locate what was not finite after it."""
        begun = self.state
        bad = begun if taken == 0 else self.program.run(begun, np.int32(taken), examples, order, self.arguments).state
        bad = self.layout.local(bad)
        if self.layout.divides_state:
            bad = bad._replace(rule=None)
        self.log.not_finite = (self.step + taken, self._bad_part(bad), self._described(bad))
        if taken == 0 and self._before is not None:
            begun, taken, examples, order = self._before
            self.step -= taken
        else:
            self.log.add_steps(self.step, max(taken, 1), chunk)
        self.log.end_with_last_row()
        if self.best is not None:
            self.best.cut_after(self.log.last_step)
        # Loss and gradient of a point are known only in the step after it, so the last good point is one step earlier.
        good = max(taken - 1, 0)
        if good:
            begun = self.program.run(begun, np.int32(good), examples, order, self.arguments).state
        self.state, self.step = begun, self.step + good

    def _bad_part(self, state: BatchState) -> str:
        """Return the first part that is not finite at a state: of the point, else the loss, else of the gradient."""
        names = _tree.part_names(self.plan.start)
        value, gradient = self.program.slope(state, self.source.batch(int(state.step)), self.arguments.settings)
        for leaves in (_tree.leaves(state.point), [value], _tree.leaves(gradient)):
            called = names if len(leaves) == len(names) and leaves[0] is not value else ("value",)
            for name, leaf in zip(called, leaves, strict=True):
                if not np.all(np.isfinite(np.asarray(leaf, np.float32))):
                    return name
        return "value"

    def _described(self, state: BatchState) -> Plain:
        """Return where in the computation of the loss the first number that is not finite arose."""
        batch, key = self.source.batch(int(state.step)), step_key(self.arguments.settings, state.step)
        examples = batch if self.batched.examples is None else self.batched.examples

        def loss(point: Any) -> Any:
            return self.batched.loss(point, state.memory, batch, key)[0]

        return first_not_finite(loss, state.point, examples)

    def _ended(self, outcome: Outcome) -> Outcome:
        """Measure the point reached and write its row; return how the training ended, now that its loss is known."""
        if self.log.last_measured != self.step:
            self._timed("evaluations", self._evaluate)
        chunk = self._next_step()
        if not bool(chunk.finite):
            self._end_before(0, chunk, None, None)
            return Outcome.NOT_FINITE
        self.log.add_steps(self.step, 1, chunk)
        self.log.end_with_last_row()
        return outcome

    def _next_step(self) -> BatchChunk:
        """Return the result of one more step without taking it."""
        examples, order = self.source.chunk(self.step, 1)
        return self.program.run(self.state, np.int32(1), examples, order, self.arguments)

    def _next_size(self, size: int, count: int, seconds: float) -> int:
        """Return the size of the next chunk: long enough to be efficient, short enough to update the progress bar."""
        wanted = min(int(count * _CHUNK_SECONDS / max(seconds, 1e-6)), 8 * size)
        return min(max(wanted // self.every, 1) * self.every, self.recipe.capacity)

    def record_cost(self) -> Plain:
        """Return the cost of the record, as shares of the time of the steps: layers, evaluations, probes, writing.

        Probes go on beside the steps, and the others between them.
        """
        spent = self.seconds["steps"] if self.taken_now else math.nan
        shares = {name: self.seconds[name] / spent for name in ("evaluations", "probes", "writing")}
        return {"layers": self._layer_cost(), **shares}

    def _layer_cost(self) -> float:
        """Return the time that recording steps take beyond plain ones, as a share of that of the steps.

        Each round of this repeats 2 (every + 1) steps; NaN for runs too short for three of them.
        """
        rounds = min(int(_MEASURED_SHARE * self.taken_now / (2 * (self.every + 1))), _MOST_ROUNDS)
        if rounds < _FEWEST_ROUNDS or self.recipe.every < 2 or self._before is None:
            return math.nan
        _, _, examples, order = self._before
        one_step, block, block_and_step = (
            self._seconds(n, rounds, examples, order) for n in (1, self.every, self.every + 1)
        )
        plain, recording = (block - one_step) / (self.every - 1), block_and_step - block
        return max((recording - plain) / (plain * self.every), 0.0) if plain > 0 else math.nan

    def _seconds(self, count: int, rounds: int, examples: Any, order: Any) -> float:
        """Return the duration of a number of steps: the shortest of several runs, whose results are discarded."""
        shortest = np.inf
        for _ in range(rounds):
            began = time.perf_counter()
            jax().block_until_ready(self.program.run(self.state, np.int32(count), examples, order, self.arguments))
            shortest = min(shortest, time.perf_counter() - began)
        return float(shortest)
