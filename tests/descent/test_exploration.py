"""What a diagnosis reads of a formula's surroundings is measured when it is read, once, and travels with the trace."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import downslope as ds
from downslope.descent import _exploration

KINK = ("f(x) = |x|", {"x": 1.03})


@pytest.fixture
def measured(monkeypatch):
    """Return the list of traces whose surroundings were measured."""
    traces = []

    def surroundings(plan, trace):
        traces.append(trace)
        return original(plan, trace)

    original = _exploration.surroundings
    monkeypatch.setattr(_exploration, "surroundings", surroundings)
    return traces


def test_a_descent_alone_measures_nothing(measured):
    trace = ds.descend(*KINK, learning_rate=0.1, steps=30)
    assert trace.facts.get("network") is None
    assert measured == []


def test_reading_a_fact_measures_once(measured):
    trace = ds.descend(*KINK, learning_rate=0.1, steps=30)
    assert "surroundings" in trace.facts
    ds.diagnose(trace)
    ds.diagnose(trace.replace(plan=trace.plan))
    assert measured
    count = len(measured)
    ds.diagnose(trace)
    assert len(measured) == count


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda trace: pickle.loads(pickle.dumps(trace))])  # noqa: S301 - written here
def test_copies_and_saved_runs_are_judged_as_the_run_itself(copied, tmp_path):
    trace = ds.descend(*KINK, learning_rate=0.1, steps=30)
    other = copied(trace)
    assert dict(other.facts) == dict(trace.facts)
    assert "surroundings" in other.facts
    ds.save(trace, tmp_path / "run")
    assert ds.diagnose(ds.load(tmp_path / "run")) == ds.diagnose(other) == ds.diagnose(trace)


def test_a_trace_keeps_no_table_alive():
    column = np.linspace(0.0, 1.0, 50)
    objective = ds.objective("L(w) = mean((y - w×x)²)", data={"x": column, "y": 2 * column})
    trace = ds.descend(objective, {"w": 0.0}, learning_rate=0.1, steps=20)
    table = weakref.ref(objective)
    del objective
    ds.clear_caches()
    gc.collect()
    assert table() is None
    assert len(trace) == 21
