"""Convert a training to a trace: its header for the journal, its rows at the end; and its state to arrays and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope import _tree
from downslope._engine import jax
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
    memory = [np.asarray(leaf) for leaf in jax().tree.leaves(run.state.memory)]
    facts = {**header.facts, "memory": memory}
    if outcome is not Outcome.RUNNING:
        facts["record_cost"] = run.record_cost()
    return dataclasses.replace(
        header,
        outcome=outcome,
        recorded={**recorded, "learning_rate": rates},
        part_columns=parts,
        end=_tree.arrays_by_part(run.state.point),
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
    """Return the leaves of a state by name; a random key as the numbers that it is."""
    return {name: _plain(leaf) for name, leaf in zip(_names_of(state), jax().tree.leaves(state), strict=True)}


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
    """Return what `_plain` made an array of, for a leaf of the same place."""
    return jax().random.wrap_key_data(array) if _is_key(leaf) else array


def _is_key(leaf: Any) -> bool:
    return jax().dtypes.issubdtype(leaf.dtype, jax().dtypes.prng_key)
