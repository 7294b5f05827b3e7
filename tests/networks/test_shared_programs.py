"""Trainings of equal networks share their compiled programs; what the user may have changed is traced again."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope.networks import Setup

INPUTS = np.linspace(-1, 1, 12)[:, None].repeat(3, axis=1)
CHOICES: dict[str, Any] = {"steps": 4, "probe_every": 0, "layers_every": 0, "progress": False}
QUIET = {name: choice for name, choice in CHOICES.items() if name != "progress"}


def loss_after(layers: Any, inputs: np.ndarray = INPUTS, **choices: Any) -> float:
    """Return the last loss of a short training."""
    return ds.train(layers, (inputs, inputs.sum(axis=1)), **{**CHOICES, **choices}).trace.value


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The units of each dense layer whose forward pass is traced."""
    units: list[int] = []
    forward = ds.Dense.forward

    def counted(self: ds.Dense, *arguments: Any) -> Any:
        units.append(self.units)
        return forward(self, *arguments)

    monkeypatch.setattr(ds.Dense, "forward", counted)
    ds.clear_caches()
    yield units
    ds.clear_caches()


def test_a_training_by_another_rate_or_seed_on_other_data_traces_the_network_no_more(traced: list[int]) -> None:
    layers = [ds.Dense(2, "tanh"), ds.Dense(1)]
    first = loss_after(layers)
    whole = len(traced)
    # Checks of the sizes of a network and of the loss evaluate its shapes; nothing else is traced.
    assert loss_after(layers) == first
    again = len(traced) - whole
    assert loss_after(layers, INPUTS[::-1] + 1, learning_rate=0.5, seed=3) != first
    assert len(traced) - whole == 2 * again
    assert again <= whole / 2


def owner(units: int = 2, activation: Any = "tanh", dropout: float = 0.0, inputs: int = 3, **choices: Any) -> object:
    """Return the owner of the programs of a network."""
    layers = [ds.Dense(units, activation, dropout=dropout), ds.Dense(1)]
    setup = Setup.of(layers, (INPUTS[:, :inputs], INPUTS[:, 0]), None, **choices)
    batched = setup.plan(0).objective.batched
    assert batched is not None
    return batched.owner


def test_another_network_or_loss_has_other_programs() -> None:
    first = owner()
    assert owner(seed=3, learning_rate=0.5) is first
    others: list[dict[str, Any]] = [{"units": 3}, {"activation": "relu"}, {"dropout": 0.5}, {"inputs": 2}]
    others += [{"l2": 0.5}, {"loss": "mean absolute error"}, {"mixed_precision": True}]
    owners = [first, *(owner(**changes) for changes in others)]
    assert len(set(map(id, owners))) == len(owners)


SCALE = 1.0


@dataclass(frozen=True)
class Scaled(ds.Layer):
    """A layer whose forward pass depends on what may change."""

    def output_shape(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        return inputs

    def initialise(self, inputs: tuple[int, ...], random: np.random.Generator) -> None:
        return None

    def memory(self, weights: Any) -> dict[str, Any]:
        return {}

    def forward(self, weights: Any, values: Any, context: Any) -> Any:
        return SCALE * values


def test_what_the_user_has_changed_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    factor = {"schedule": 1.0, "loss": 1.0}

    def schedule(step: Any) -> Any:
        return 0.1 * factor["schedule"] + 0.0 * step

    def loss(outputs: Any, targets: Any) -> Any:
        return factor["loss"] * ((outputs[:, 0] - targets[:, 0]) ** 2).mean()

    trainings = {
        "layer": lambda: loss_after([Scaled(), ds.Dense(1)]),
        "schedule": lambda: loss_after([ds.Dense(2), ds.Dense(1)], schedule=schedule, method="gradient descent"),
        "loss": lambda: loss_after([ds.Dense(2), ds.Dense(1)], loss=loss),
    }
    before = {name: training() for name, training in trainings.items()}
    monkeypatch.setattr(f"{__name__}.SCALE", 2.0)
    factor |= {"schedule": 2.0, "loss": 2.0}
    assert all(training() != before[name] for name, training in trainings.items())


def test_shared_programs_hold_neither_weights_nor_functions() -> None:
    def schedule(step: Any) -> Any:
        return 0.1 + 0.0 * step

    inputs, network = INPUTS + 1, ds.network(3, [ds.Dense(2), ds.Dense(1)])
    references = [weakref.ref(held) for held in (inputs, network.layers[0].weight, schedule)]
    loss_after(network, inputs)
    loss_after(network, inputs, schedule=schedule)
    del inputs, network, schedule
    gc.collect()
    assert [reference() for reference in references] == [None] * 3


def test_setups_over_equal_arrays_share_their_rows_and_others_do_not() -> None:
    targets = INPUTS.sum(axis=1)
    setup = Setup.of(None, (INPUTS, targets), hidden=(2,), **QUIET)
    assert setup.task
    other = INPUTS.copy()
    other[3, 1] = np.nextafter(other[3, 1], 2)
    for data, shared in (
        ((INPUTS.copy(), targets.copy()), True),
        ((np.asfortranarray(INPUTS), targets), True),
        ((other, targets), False),
        ((INPUTS.astype(np.float32), targets), False),
        ([INPUTS, targets], False),  # a stream
    ):
        assert ("task" in setup.changed(data=data).__dict__) is shared
    changing = (INPUTS.copy(), targets)
    kept = setup.changed(data=changing)
    changing[0][0, 0] += 1
    assert "task" not in kept.changed(data=changing).__dict__
