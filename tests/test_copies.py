"""Nouns that are pickled, copied or sent to another process are equal in value and behaviour, and compile nothing."""

from __future__ import annotations

import copy
import functools
import gc
import os
import pickle
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import downslope as ds
from downslope._engine import _LAST_STRUCTURES, _STRUCTURES
from tests.equality import same

GOAL, START = "f(x, y) = (x - 1)² + 2y²", {"x": 3.0, "y": 1.0}
TABLE = {"x": np.array([1.0, 2.0, 3.0, 4.0]), "y": np.array([2.1, 3.9, 6.2, 7.9])}
BOX = {"x": (-1.0, 1.0), "y": (-1.0, 1.0)}
SMALL = {"hidden": (3,), "steps": 10, "probe_every": 5, "evaluate_every": 5, "progress": False}
QUIET = {name: choice for name, choice in SMALL.items() if name != "progress"}


def bowl(point: dict[str, Any]) -> Any:
    return (point["w"] ** 2).sum()


def batch_loss(point: dict[str, Any], batch: Any) -> Any:
    return jnp.mean((batch @ point["w"] - 1.0) ** 2)


def halving(step: Any) -> Any:
    return 0.1 * 0.5**step


def nothing(params: Any) -> Any:
    return ()


def downhill(gradient: Any, state: Any, params: Any = None) -> Any:
    return jax.tree.map(lambda leaf: -0.01 * leaf, gradient), state


plain_steps = optax.GradientTransformation(nothing, downhill)


def rows() -> tuple[np.ndarray, np.ndarray]:
    inputs = np.random.default_rng(0).normal(size=(60, 3))
    return inputs, inputs.sum(axis=1)


def used_setup() -> ds.Setup:
    setup = ds.Setup.of(None, rows(), **QUIET)
    assert setup.task
    return setup


def descended(plan: ds.Plan) -> Any:
    trace = ds.descend(plan, progress=False)
    return trace.recorded, trace.end, trace.outcome, trace.plan, trace.spectra


def trained(setup: ds.Setup) -> Any:
    training = setup.train(progress=False)
    return training.trace.recorded, training.trace.end, training.metrics


def told(noun: Any) -> str:
    return str(noun)


# What is made, and what is the same of a copy.
NOUNS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "formula": (lambda: ds.formula(GOAL), lambda f: (f, f.read_as, f.latex, f(**START), f.derivative("x").read_as)),
    "derivation": (lambda: ds.derive("sin 2x"), told),
    "chain": (lambda: ds.chain("sin u", "x²"), told),
    "critical points": (lambda: ds.critical_points("x³ - x", {"x": (-2, 2)}), told),
    "objective": (lambda: ds.objective(GOAL), lambda o: descended(ds.plan(o, START, learning_rate=0.1, steps=5))),
    "objective over a table": (
        lambda: ds.objective("L(w) = mean((y - w×x)²)", TABLE),
        lambda o: (ds.slope(o, {"w": 1.0}).value, o.describe(), o({"w": 2.0})),
    ),
    "objective of a function": (
        lambda: ds.objective(bowl),
        lambda o: descended(ds.plan(o, {"w": np.ones(2)}, learning_rate=0.1, steps=5)),
    ),
    "plan": (lambda: ds.plan(GOAL, START, method="adam", steps=5), descended),
    "slope": (lambda: ds.slope(GOAL, START), lambda s: (told(s), s.gradient)),
    "trace": (
        lambda: ds.descend(GOAL, START, learning_rate=0.1, steps=5),
        lambda t: (t.recorded, told(t), told(ds.diagnose(t))),
    ),
    "diagnosis": (lambda: ds.diagnose(ds.descend(GOAL, START, learning_rate=0.1, steps=5)), lambda d: (d, told(d))),
    "sweep": (lambda: ds.sweep(GOAL, START, [0.1, 0.2], steps=5), told),
    "race": (lambda: ds.compare(GOAL, START, ["momentum"], learning_rates={"momentum": 0.1}, steps=5), told),
    "multistart": (
        lambda: ds.multistart(GOAL, bounds=BOX, starts=4),
        lambda m: (told(m), told(ds.multistart(m.space.objective, bounds=BOX, starts=4))),
    ),
    "search": (lambda: ds.search(GOAL, bounds=BOX), told),
    "fit": (
        lambda: ds.fit("y = a×x + b", TABLE),
        lambda f: (f.values, f.covariance, told(f), f.predict({"x": [5.0]}), f.objective({"a": 1.0, "b": 0.0})),
    ),
    "equation": (lambda: ds.equation("y = a×x + b", TABLE), lambda e: (e.parameters, e.columns, e.notes)),
    "backpropagation": (lambda: ds.backprop("x × y + x", {"x": 2.0, "y": 3.0}), told),
    "method": (lambda: ds.method("adam", beta1=0.8), lambda m: m),
    "spec": (lambda: ds.method("adam").spec, lambda s: s),
    "schedule": (lambda: ds.schedule("cosine", 10), lambda s: s),
    "layer": (lambda: ds.Dense(4), lambda layer: layer),
    "network": (lambda: ds.network(3, [ds.Dense(4), ds.Dense(1)]), lambda n: np.asarray(n(np.ones(3, np.float32)))),
    "examples": (lambda: ds.examples("iris"), lambda e: (e.inputs, e.targets, e.encoding.as_dict())),
    "setup": (lambda: ds.Setup.of(None, rows(), **QUIET), trained),
    "setup after use": (used_setup, lambda s: (trained(s), s.as_python())),
    "setup of a loss function": (
        lambda: ds.Setup.of(batch_loss, rows()[0], start={"w": np.zeros(3)}, steps=5),
        lambda s: s.train(progress=False).trace.recorded,
    ),
    "setup with a schedule of one's own": (lambda: ds.Setup.of(None, rows(), schedule=halving, **QUIET), trained),
    "setup with a method of one's own": (lambda: ds.Setup.of(None, rows(), method=plain_steps, **QUIET), trained),
    "training": (
        lambda: ds.train(data=rows(), **SMALL),
        lambda t: (t.predict(rows()[0][:3]), t.metrics, t.trace.end, told(t), t.setup.as_python()),
    ),
    "training on a stream": (
        lambda: ds.train([ds.Dense(2)], [rows()] * 3, steps=4, probe_every=0, progress=False),
        lambda t: (t.trace.end, told(t)),
    ),
    "training of a module": (
        lambda: ds.train(
            equinox.nn.Linear(3, 1, key=jax.random.key(0)), rows(), steps=4, probe_every=0, progress=False
        ),
        lambda t: (t.predict(rows()[0][:3]), t.trace.end, t.setup.train(progress=False).trace.end),
    ),
    "training of a perceptron of Equinox": (
        lambda: ds.train(
            equinox.nn.MLP(3, 1, 4, 1, key=jax.random.key(0)), rows(), steps=4, probe_every=0, progress=False
        ),
        lambda t: (t.predict(rows()[0][:3]), t.trace.end, t.setup.train(progress=False).trace.end),
    ),
    "plan of a training": (lambda: used_setup().plan(), lambda p: ds.descend(p, progress=False).end),
    "prescription": (lambda: ds.prescribe(ds.plan(GOAL, START, learning_rate=9.0, steps=20)), told),
    "rate finding": (lambda: ds.find_learning_rate(GOAL, START, steps=20), told),
    "table": (lambda: ds.read_table(TABLE), dict),
    "summary": (lambda: ds.summary(ds.descend(GOAL, START, learning_rate=0.1, steps=5)), told),
}


@functools.cache
def noun(name: str) -> Any:
    return NOUNS[name][0]()


@functools.cache
def behaviour(name: str) -> Any:
    return NOUNS[name][1](noun(name))


class Compilations:
    """How many programs were compiled, or taken from disk, since the last look."""

    def __init__(self) -> None:
        self.count = 0
        jax.monitoring.register_event_duration_secs_listener(self._note)

    def _note(self, name: str, seconds: float, **others: Any) -> None:
        self.count += name == "/jax/core/compile/backend_compile_duration"

    def __call__(self) -> int:
        count, self.count = self.count, 0
        return count


@pytest.fixture(scope="module")
def compilations() -> Iterator[Compilations]:
    counted = Compilations()
    yield counted
    jax.monitoring.unregister_event_duration_listener(counted._note)


WAYS = {
    "pickle": lambda n: pickle.loads(pickle.dumps(n)),  # noqa: S301  what this test wrote itself
    "oldest pickle": lambda n: pickle.loads(pickle.dumps(n, protocol=2)),  # noqa: S301
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("name", NOUNS)
def test_a_copy_is_equal_and_compiles_nothing(name: str, compilations: Compilations) -> None:
    expected = behaviour(name)
    same(NOUNS[name][1](noun(name)), expected)
    compilations()
    for way in WAYS:
        again = WAYS[way](noun(name))
        if way == "deepcopy":
            compilations()  # JAX compiles the copying of its arrays
        assert type(again) is type(noun(name))
        same(NOUNS[name][1](again), expected)
        assert compilations() == 0


# Unpickled twice, as jobs come to a worker: the second copy, with the first one gone, compiles nothing.
CHILD = """
import gc, pickle, sys
from tests.test_copies import NOUNS, Compilations

compilations, results = Compilations(), {}
for name, content in pickle.load(sys.stdin.buffer).items():
    NOUNS[name][1](pickle.loads(content))
    gc.collect()
    compilations()
    results[name] = pickle.dumps(NOUNS[name][1](pickle.loads(content))), compilations()
pickle.dump(results, sys.stdout.buffer)
"""


def test_another_process_computes_the_same_and_compiles_once() -> None:
    names = ["objective over a table", "objective of a function", "plan", "fit", "setup after use", "training"]
    sent = pickle.dumps({name: pickle.dumps(noun(name)) for name in names})
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    result = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=sent,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": paths},
        check=False,
    )
    assert result.returncode == 0, result.stderr.decode()
    received = pickle.loads(result.stdout)  # noqa: S301
    for name in names:
        same(pickle.loads(received[name][0]), behaviour(name))  # noqa: S301
    assert {name: count for name, (_, count) in received.items() if count} == {}


def test_equal_objectives_share_their_programs_and_other_formulas_do_not(compilations: Compilations) -> None:
    def value(rows: int, text: str = "L(w) = mean((y - w×x)²)") -> float:
        goal = ds.objective(text, {"x": np.arange(float(rows)), "y": np.arange(float(rows))})
        return ds.slope(goal, {"w": 3.0}).value

    value(7)
    compilations()
    assert value(7) == pytest.approx(4 * 13)
    assert compilations() == 0
    assert value(7, "L(w) = mean((y - 2w×x)²)") == pytest.approx(25 * 13)


def test_a_function_is_compiled_anew_for_each_objective_since_it_may_have_changed() -> None:
    factor = 1.0

    def line(point: Any) -> Any:
        return factor * point["w"].sum()

    assert ds.slope(line, {"w": np.ones(2)}).value == 2.0
    factor = 3.0
    assert ds.slope(line, {"w": np.ones(2)}).value == 6.0


def test_structures_are_bounded_and_hold_no_function_of_the_user() -> None:
    for number in range(100):
        ds.objective(f"x + {number}")

    def local(point: Any) -> Any:
        return point["w"].sum()

    goal = ds.objective(local)
    copied, reference = copy.deepcopy(goal), weakref.ref(local)
    ds.slope(copied, {"w": np.ones(2)})
    assert len(_LAST_STRUCTURES) <= 64
    gc.collect()  # what other tests left behind goes now, so that the count below is of this objective alone
    known = len(_STRUCTURES)
    del goal, copied, local
    gc.collect()
    assert reference() is None
    assert len(_STRUCTURES) == known - 1


def named() -> dict[str, Callable[[], Any]]:
    """Return what cannot be pickled, by the name of the function that stands in its way."""

    def inner(point: Any) -> Any:
        return point["w"].sum()

    def course(step: Any) -> Any:
        return 0.1 / (1 + step)

    def stray(outputs: Any, targets: Any) -> Any:
        return jnp.mean((outputs - targets) ** 2)

    def of_batch(point: Any, batch: Any) -> Any:
        return jnp.mean(batch @ point["w"])

    start = {"w": np.ones(3)}
    return {
        "inner": lambda: ds.objective(inner),
        "<lambda>": lambda: ds.objective(lambda point: point["w"].sum()),
        "course": lambda: ds.plan(GOAL, START, schedule=course, steps=3),
        "stray": lambda: ds.Setup.of(None, rows(), loss=stray, **QUIET),
        "of_batch": lambda: ds.Setup.of(of_batch, rows()[0], start=start, steps=3),
        "<lambda> ": lambda: ds.Setup.of(
            equinox.nn.MLP(3, 1, 2, 1, activation=lambda x: x**2, key=jax.random.key(0)), rows(), steps=3
        ),
        "<lambda>  ": lambda: ds.plan(functools.partial(lambda f, p: f(p), inner), start, steps=3),
    }


@pytest.mark.parametrize("name", list(named()))
def test_a_function_without_a_name_is_refused_by_its_name(name: str) -> None:
    value = named()[name]()
    with pytest.raises(ds.DownslopeError, match="cannot be pickled") as caught:
        pickle.dumps(value)
    assert name.strip() in str(caught.value)
    assert "cloudpickle" in str(caught.value)
    assert type(copy.deepcopy(value)) is type(value)


def test_libraries_that_pickle_functions_by_their_code_work() -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    for make in named().values():
        value = make()
        again = cloudpickle.loads(cloudpickle.dumps(value))
        assert type(again) is type(value)
    factor = 3.0
    goal = cloudpickle.loads(cloudpickle.dumps(ds.objective(lambda point: factor * point["w"].sum())))
    assert goal({"w": np.ones(2)}) == 6.0


def test_data_that_come_only_once_are_refused() -> None:
    batches = iter([(np.ones((4, 2), np.float32), np.ones(4, np.float32))] * 3)
    with pytest.raises(ds.DataError, match="only once"):
        pickle.dumps(ds.Setup.of([ds.Dense(1)], batches, steps=2))
