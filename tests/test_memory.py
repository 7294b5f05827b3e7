"""Nothing that was descended, trained or fitted keeps the user's data alive after it."""

from __future__ import annotations

import gc
import weakref

import jax.numpy as jnp
import numpy as np
import pytest

import downslope as ds
from downslope._engine import kept

ROWS = 2_000_000
FORMULA = "L(w) = mean((y - w×x)²)"


def table(rows: int = ROWS) -> dict[str, np.ndarray]:
    return {"x": np.arange(float(rows)) / rows, "y": np.arange(float(rows)) / rows}


def released(make) -> bool:
    """Return whether everything that `make` returns weak references to is gone after it."""
    references = make()
    gc.collect()
    return all(reference() is None for reference in references)


def test_six_objectives_over_two_million_rows_are_gone() -> None:
    references = []

    def one() -> None:
        columns = table()
        goal = ds.objective(FORMULA, columns)
        references.extend([weakref.ref(goal), weakref.ref(goal.data["x"])])
        ds.descend(goal, {"w": 0.0}, learning_rate=0.1, steps=3, progress=False)

    for _ in range(6):
        one()
    gc.collect()
    assert sum(reference() is not None for reference in references) == 0


VERBS = {
    "slope": lambda goal: ds.slope(goal, {"w": 0.0}),
    "descend": lambda goal: ds.descend(goal, {"w": 0.0}, learning_rate=0.1, steps=3, progress=False),
    "bfgs": lambda goal: ds.descend(goal, {"w": 0.0}, method="bfgs", steps=3, progress=False),
    "sweep": lambda goal: ds.sweep(goal, {"w": 0.0}, [0.1, 0.2], steps=3),
    "compare": lambda goal: ds.compare(goal, {"w": 0.0}, ["momentum"], learning_rates={"momentum": 0.1}, steps=3),
    "multistart": lambda goal: ds.multistart(goal, bounds={"w": (-1, 1)}, starts=4),
    "search": lambda goal: ds.search(goal, bounds={"w": (-1, 1)}),
    "diagnose": lambda goal: ds.diagnose(ds.descend(goal, {"w": 0.0}, steps=3, progress=False)),
    "prescribe": lambda goal: ds.prescribe(ds.plan(goal, {"w": 0.0}, learning_rate=9.0, steps=5)),
    "find_learning_rate": lambda goal: ds.find_learning_rate(goal, {"w": 0.0}, steps=20),
    "curve": lambda goal: ds.draw.curve(goal, ds.descend(goal, {"w": 0.0}, steps=3, progress=False)),
}


@pytest.mark.parametrize("name", VERBS)
def test_no_verb_keeps_its_objective(name: str) -> None:
    def make():
        goal = ds.objective(FORMULA, table(100))
        VERBS[name](goal)
        return [weakref.ref(goal), weakref.ref(goal.data["x"])]

    assert released(make)


def test_a_function_of_arrays_and_what_it_closes_over_are_gone() -> None:
    def make():
        data = np.ones(1000)

        def loss(point):
            return jnp.mean((data - point["w"]) ** 2)

        ds.descend(loss, {"w": np.zeros(1000)}, learning_rate=0.1, steps=3, progress=False)
        return [weakref.ref(loss), weakref.ref(data)]

    assert released(make)


def test_plans_are_gone_with_what_was_put_on_the_device() -> None:
    def make():
        plan = ds.plan(FORMULA, {"w": 0.0}, data=table(100), learning_rate=0.1, steps=3)
        ds.descend(plan)
        return [weakref.ref(plan), weakref.ref(plan.objective)]

    assert released(make)


def test_a_training_its_setup_and_its_data_are_gone() -> None:
    def make():
        inputs = np.random.default_rng(0).normal(size=(200, 3))
        targets = inputs.sum(axis=1)
        training = ds.train(data=(inputs, targets), hidden=(4,), steps=20, probe_every=10, progress=False)
        ds.diagnose(training.trace)
        return [weakref.ref(thing) for thing in (inputs, training, training.setup, training.objective, training.trace)]

    assert released(make)


def test_a_training_of_a_loss_function_is_gone() -> None:
    def make():
        data = np.random.default_rng(0).normal(size=(64, 3))

        def loss(point, batch):
            return jnp.mean((batch @ point["w"] - 1.0) ** 2)

        training = ds.train(loss, data, start={"w": np.zeros(3)}, steps=20, progress=False)
        return [weakref.ref(data), weakref.ref(training), weakref.ref(training.objective), weakref.ref(loss)]

    assert released(make)


def test_a_fit_and_its_data_are_gone() -> None:
    def make():
        columns = {"x": np.arange(50.0), "y": 3.0 * np.arange(50.0) + 1.0}
        fit = ds.fit("y = a×x + b", columns)
        return [weakref.ref(columns["x"]), weakref.ref(fit), weakref.ref(fit.trace)]

    assert released(make)


def test_a_program_is_built_once_for_an_objective_and_as_long_as_it_lives() -> None:
    class Owner:
        pass

    owner, built = Owner(), []

    def build():
        built.append(1)
        return object()

    first = kept(owner, "key", build)
    assert kept(owner, "key", build) is first
    assert kept(owner, "other", build) is not first
    assert len(built) == 2
    ds.clear_caches()
    assert kept(owner, "key", build) is not first


def test_only_so_many_are_kept() -> None:
    class Owner:
        pass

    owners = [Owner() for _ in range(300)]
    for owner in owners:
        kept(owner, 0, object)
    calls = []
    kept(owners[-1], 0, lambda: calls.append("last"))
    kept(owners[0], 0, lambda: calls.append("first"))
    assert calls == ["first"]


def test_after_clearing_everything_runs_as_before() -> None:
    goal = ds.objective("x² + y²")
    before = ds.descend(goal, {"x": 1, "y": 2}, steps=5, progress=False)
    ds.clear_caches()
    after = ds.descend(goal, {"x": 1, "y": 2}, steps=5, progress=False)
    np.testing.assert_array_equal(before.coordinates, after.coordinates)
