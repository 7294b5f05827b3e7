"""Convert a training to a trace: its header for the journal, its rows at the end; its state to arrays and back.

Where the best point is kept, it is written beside each state, so that a run that is resumed knows it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from downslope import _tree
from downslope._engine import jax
from downslope._types import Plain, Point
from downslope.descent._plan import Plan
from downslope.descent._recipe import rates_of, versions
from downslope.descent.batches._loop import BatchState
from downslope.trace import Outcome, Trace

if TYPE_CHECKING:
    from downslope.descent.batches._descent import BatchDescent


def header_of(plan: Plan) -> Trace:
    """Return the trace of a training that has not begun, which a journal begins with."""
    batched = plan.objective.batched
    assert batched is not None
    names = _tree.part_names(plan.start)
    start = _tree.arrays_by_part(plan.start)
    return Trace(
        outcome=Outcome.RUNNING,
        recorded={"step": np.zeros(0, np.int64), "value": np.zeros(0), "gradient_norm": np.zeros(0)},
        coordinate_names=(),
        coordinates=None,
        gradients=None,
        part_names=names,
        part_columns={},
        start=start,
        end=start,
        spectra=(),
        plan=plan.description,
        versions=versions(),
        layer_names=batched.layers,
        facts={**batched.facts, **plan.facts},
    )


def trace_of(run: BatchDescent, outcome: Outcome) -> Trace:
    """Return the trace of a training that ended, or as it is so far."""
    plan, log = run.plan, run.log
    header = header_of(plan)
    if not log.has_steps:
        return dataclasses.replace(header, metrics=log.metrics)
    recorded, layer_steps, layers, parts, metrics, spectra = log.gathered()
    rates = np.broadcast_to(rates_of(plan, recorded["step"]), recorded["step"].shape)
    bad_step, bad_part, described = log.not_finite or (None, None, {})
    end, memory, facts = run.reached.point, run.reached.memory, dict(header.facts)
    best = None if run.best is None or outcome is Outcome.RUNNING else run.best.checkpoint
    if run.best is not None and best is not None:
        end, memory = best.point, best.memory
        facts["kept"] = run.best.facts
    facts["memory"] = [np.asarray(leaf) for leaf in jax().tree.leaves(memory)]
    if run.layout.hosts > 1:
        facts["layout"] = {**facts.get("layout", {}), "waiting": run.pace.facts}
    if outcome is not Outcome.RUNNING:
        facts["record_cost"] = run.record_cost()
        facts |= run.concluded(end, memory)
    return dataclasses.replace(
        header,
        outcome=outcome,
        recorded={**recorded, "learning_rate": rates},
        part_columns=parts,
        end=_tree.arrays_by_part(end),
        spectra=spectra,
        layer_steps=layer_steps,
        layer_columns=layers,
        metrics=metrics,
        facts=facts | ({"not_finite": described} if described else {}),
        not_finite_part=bad_part,
        not_finite_step=bad_step,
    )


# The state of a training as arrays by name, which can be written down, and back.


def arrays_of_state(state: BatchState) -> dict[str, np.ndarray]:
    """Return the leaves of a state by name; a random key as the numbers that it is, and none that is divided."""
    leaves = zip(_names_of(state), jax().tree.leaves(state), strict=True)
    return {name: _plain(leaf) for name, leaf in leaves if not _is_divided(leaf)}


def divided_leaves_of(state: BatchState) -> dict[str, Any]:
    """Return the leaves of a state by name that are divided among devices."""
    leaves = zip(_names_of(state), jax().tree.leaves(state), strict=True)
    return {name: leaf for name, leaf in leaves if _is_divided(leaf)}


def _is_divided(leaf: Any) -> bool:
    return not getattr(leaf, "is_fully_replicated", True)


def state_of_arrays(begun: BatchState, kept: Mapping[str, np.ndarray]) -> BatchState:
    """Return the state that was written, in the form of one that begins."""
    leaves, shape = jax().tree.flatten(begun)
    leaves_read = [_as_before(kept[name], leaf) for name, leaf in zip(_names_of(begun), leaves, strict=True)]
    return jax().tree.unflatten(shape, leaves_read)


def _names_of(state: BatchState) -> list[str]:
    """Return a name for every leaf of a state; those of the point are known to readers of a run that goes on."""
    point = [f"point/{part}" for part in _tree.part_names(state.point)]
    others = [
        f"{field}/{index}"
        for field in ("memory", "rule")
        for index in range(len(jax().tree.leaves(getattr(state, field))))
    ]
    return ["step", *point, *others]


def _plain(leaf: Any) -> np.ndarray:
    """Return a leaf as an array of numbers."""
    return np.asarray(jax().random.key_data(leaf) if _is_key(leaf) else leaf)


def _as_before(array: np.ndarray, leaf: Any) -> Any:
    """Undo `_plain` for the leaf at the same place."""
    return jax().random.wrap_key_data(array) if _is_key(leaf) else array


def _is_key(leaf: Any) -> bool:
    return jax().dtypes.issubdtype(leaf.dtype, jax().dtypes.prng_key)


# The best point that was evaluated, where it is kept.


class Checkpoint(NamedTuple):
    """A point that was evaluated.

    Args:
        step: the step it is the point of.
        score: its measurement, the higher the better, and its negative loss, which decides between equal ones.
        point, memory: those of the state.
    """

    step: int
    score: tuple[float, float]
    point: Point
    memory: Any


class BestEvaluated:
    """Keeps the best of the points that are evaluated.

    Args:
        by: the measurement that decides: `validation_accuracy`, `training_loss`, …
        saved: the arrays of a state that was written, with what was the best then; None for a run that begins.
        begun: the state before the first step.
    """

    def __init__(self, by: str, saved: Mapping[str, np.ndarray] | None, begun: BatchState) -> None:
        self._by = by
        # The last but one as well: a step that is not finite takes an evaluation back, and one alone.
        self._checkpoints: list[Checkpoint] = []
        if saved and f"{_BEST}step" in saved:
            arrays = {name.removeprefix(_BEST): array for name, array in saved.items() if name.startswith(_BEST)}
            state = state_of_arrays(begun, {**saved, **arrays})
            first, second = map(float, arrays["score"])
            self._checkpoints = [Checkpoint(int(arrays["step"]), (first, second), state.point, state.memory)]

    def offer(self, state: BatchState, metrics: Mapping[str, float]) -> None:
        """Keep a point if it was measured and is better than the ones before; of equal ones the first stays."""
        loss, value = metrics.get(f"{self._by.partition('_')[0]}_loss", math.nan), metrics.get(self._by, math.nan)
        # A loss that is not finite decides against a point, and is none that a comparison could order.
        score = (-value if self._by.endswith("_loss") else value, -loss if math.isfinite(loss) else -math.inf)
        if not math.isfinite(score[0]) or (self._checkpoints and score <= self._checkpoints[-1].score):
            return
        self._checkpoints = [*self._checkpoints[-1:], Checkpoint(int(state.step), score, state.point, state.memory)]

    def cut_after(self, step: int) -> None:
        """Forget a point after a step."""
        self._checkpoints = [checkpoint for checkpoint in self._checkpoints if checkpoint.step <= step]

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The best point; None before the first measurement."""
        return self._checkpoints[-1] if self._checkpoints else None

    @property
    def facts(self) -> Plain:
        """The step and the measurement of the best point as plain data."""
        if not self._checkpoints:
            return {}
        best = self._checkpoints[-1]
        value = -best.score[0] if self._by.endswith("_loss") else best.score[0]
        return {"step": best.step, "by": self._by, "value": value}

    def arrays(self, state: BatchState) -> dict[str, np.ndarray]:
        """Return the best point as arrays by name, to be written beside a state."""
        if not self._checkpoints:
            return {}
        best = self._checkpoints[-1]
        leaves = arrays_of_state(state._replace(point=best.point, memory=best.memory))
        named = {f"{_BEST}{name}": leaf for name, leaf in leaves.items() if name.startswith(("point/", "memory/"))}
        return {f"{_BEST}step": np.asarray(best.step), f"{_BEST}score": np.asarray(best.score), **named}


_BEST = "best/"
