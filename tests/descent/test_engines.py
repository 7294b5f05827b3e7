"""The loop in NumPy beside the compiled one: the same steps, records, ends and findings."""

from __future__ import annotations

import dataclasses
import importlib
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optax
import pytest

import downslope as ds
from downslope.descent import descend_at_best_rate, descend_at_rates, end_value, standing, steps_to_rest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SIZES = {"size": np.array([50.0, 100.0, 150.0]), "price": np.array([100.0, 200.0, 310.0])}


def both(*arguments: Any, **choices: Any) -> tuple[ds.Trace, ds.Trace]:
    """Return a descent in NumPy and the same one in JAX."""
    in_numpy, in_jax = (ds.descend(*arguments, engine=name, progress=False, **choices) for name in ("numpy", "jax"))
    return in_numpy, in_jax


def assert_alike(in_numpy: ds.Trace, in_jax: ds.Trace, rtol: float = 1e-12) -> None:
    """Raise unless two traces say the same."""
    assert in_numpy.outcome is in_jax.outcome
    assert (in_numpy.not_finite_part, in_numpy.not_finite_step) == (in_jax.not_finite_part, in_jax.not_finite_step)
    assert in_numpy.recorded.keys() == in_jax.recorded.keys()
    assert in_numpy.part_columns.keys() == in_jax.part_columns.keys()
    names = [name for name in in_jax.recorded if name != "curvature"]
    columns = [(in_numpy.recorded[name], in_jax.recorded[name]) for name in names]
    columns += [(in_numpy.coordinates, in_jax.coordinates), (in_numpy.gradients, in_jax.gradients)]
    slopes = in_jax.columns["gradient_norm"]
    # The direction of a gradient that has nearly vanished is rounding, and so is the curvature along it.
    clear = slopes > 1e-4 * slopes.max()
    for ours, theirs in columns:
        if theirs is None or ours is None:
            assert theirs is ours
            continue
        with np.errstate(all="ignore"):
            scale = np.nanmax(np.abs(np.where(np.isfinite(theirs), theirs, 0.0)), initial=0.0)
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * scale)
    along = [trace.columns["curvature"][clear] for trace in (in_numpy, in_jax)]
    np.testing.assert_allclose(*along, rtol=1e4 * rtol, atol=1e4 * rtol * np.nanmax(np.abs(along[1]), initial=0))
    for our, their in zip(in_numpy.spectra, in_jax.spectra, strict=True):
        assert our.step == their.step
        assert our.eigenvalues is not None
        assert their.eigenvalues is not None
        np.testing.assert_allclose(our.eigenvalues, their.eigenvalues, rtol=1e-9, atol=1e-9)
    findings = [[finding.symptom for finding in ds.diagnose(trace)] for trace in (in_numpy, in_jax)]
    assert findings[0] == findings[1]


@pytest.fixture(scope="module")
def problems() -> list[tuple[str, dict[str, float]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return importlib.import_module("generated_formulas").generated(24, seed=5)


@pytest.mark.parametrize("index", range(12))
def test_the_engines_agree_on_generated_formulas(problems, index: int) -> None:
    """Each formula by a method of its own; `benchmarks/engines.py` tries 300 by all of them."""
    text, start = problems[index]
    assert_alike(*both(text, start, method=ds.method_names()[index], steps=50))


ENDS = [
    ("f(x) = x² - 4x + 5", {"x": 0}, {"steps": 20}, ds.Outcome.STEPS_USED),
    ("f(x, y) = x² + 2y²", {"x": 4, "y": 3}, {"learning_rate": 0.3, "steps": 200}, ds.Outcome.CONVERGED),
    ("f(x) = (x - 3)²", {"x": 1}, {"steps": 500, "tolerance": 0}, ds.Outcome.STALLED),
    ("f(x) = x⁴", {"x": 10}, {"learning_rate": 1.0}, ds.Outcome.NOT_FINITE),
    ("f(x) = x⁴", {"x": 10}, {"learning_rate": 1.0, "record": 3}, ds.Outcome.NOT_FINITE),
    ("f(y, x) = √x + y²", {"x": 0, "y": 1}, {}, ds.Outcome.NOT_FINITE),
    ("f(x) = 1/x + x", {"x": 0}, {}, ds.Outcome.NOT_FINITE),
    ("f(x, y) = x² + 3y⁴", {"x": 4, "y": 3}, {"record": 4, "steps": 30, "learning_rate": 1e-3}, ds.Outcome.STEPS_USED),
    (
        "f(x, y) = x² + 3y⁴",
        {"x": 4, "y": 3},
        {"method": "adam", "schedule": "cosine", "clip_norm": 2.0, "clip_value": 1.5, "weight_decay": 0.1},
        ds.Outcome.STEPS_USED,
    ),
]


@pytest.mark.parametrize(("text", "start", "choices", "outcome"), ENDS)
def test_the_engines_end_alike(text: str, start: Any, choices: Any, outcome: ds.Outcome) -> None:
    in_numpy, in_jax = both(text, start, **choices)
    assert in_numpy.outcome is outcome
    assert_alike(in_numpy, in_jax)


def test_the_engines_agree_over_a_table() -> None:
    text = "Loss(w, b) = mean((price - w×size - b)²)"
    assert_alike(*both(text, {"w": 0, "b": 0}, data=SIZES, method="bfgs", steps=30))


def test_a_chunk_goes_on_where_the_last_one_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ds.descend("x⁴ + y²", (1, 1), method="momentum", learning_rate=0.01, steps=100, engine="numpy")
    monkeypatch.setattr("downslope.descent._descend._FIRST_LOOK", 7)
    monkeypatch.setattr("downslope.descent._descend._CHUNK_SECONDS", 0.0)
    seen: list[int] = []
    in_pieces = ds.descend(
        "x⁴ + y²",
        (1, 1),
        method="momentum",
        learning_rate=0.01,
        steps=100,
        engine="numpy",
        progress=lambda done, steps, value: seen.append(done),
    )
    assert len(seen) > 10
    np.testing.assert_array_equal(whole.coordinates, in_pieces.coordinates)
    np.testing.assert_array_equal(whole.recorded["update_curvature"], in_pieces.recorded["update_curvature"])


def test_auto_chooses_by_the_work() -> None:
    chosen = lambda **choices: ds.plan("x² + y²", (1, 1), **choices).runs_in  # noqa: E731 - a table of choices follows
    assert chosen() == chosen(steps=2000) == chosen(method="bfgs") == "numpy"
    assert chosen(steps=10**7) == chosen(engine="jax") == chosen(method=optax.sgd(0.1)) == "jax"
    assert chosen(learning_rate=lambda step: 0.1) == "jax"
    assert chosen(steps=10**7, engine="numpy") == "numpy"
    assert ds.plan("x²", 1.0).description["engine"] == "numpy"
    assert ds.plan(lambda p: p["x"] ** 2, {"x": 1.0}).description["engine"] == "jax"
    rows = {"a": np.ones(200_000)}
    assert ds.plan("mean((a·x - 1)²)", {"x": 0}, data=rows, steps=20_000).runs_in == "jax"


def test_numpy_says_what_it_cannot_run() -> None:
    with pytest.raises(ds.SettingError, match="only formulas"):
        ds.plan(lambda p: p["x"] ** 2, {"x": 1.0}, engine="numpy")
    with pytest.raises(ds.SettingError, match="Optax transformation"):
        ds.plan("x²", 1.0, method=optax.sgd(0.1), engine="numpy")
    with pytest.raises(ds.SettingError, match="engine"):
        ds.plan("x²", 1.0, engine="torch")  # pyright: ignore[reportArgumentType] - the slip under test


def test_the_engine_is_a_choice_like_others() -> None:
    chosen = ds.plan("x²", 1.0, engine="jax")
    assert 'engine="jax"' in chosen.as_python()
    assert "engine" not in ds.plan("x²", 1.0).as_python()
    assert chosen.changed(engine="numpy").runs_in == "numpy"


def test_small_descents_and_ensembles_load_neither_jax_nor_sympy() -> None:
    code = (
        "import sys, downslope as ds\n"
        "trace = ds.descend('x² - 4x + 5', {'x': 0}, method='adam')\n"
        "str(trace), str(ds.diagnose(trace))\n"
        "ds.descend('mean((a - x)²)', {'x': 0}, data={'a': [1, 2, 3]}, method='bfgs')\n"
        "str(ds.sweep('x² + y⁴', (1, 2), method='momentum', steps=50))\n"
        "str(ds.compare('x² + y⁴', (1, 2), ['adam', 'bfgs'], steps=50))\n"
        "str(ds.multistart('x⁴ - 4x² + x', {'x': (-3, 3)}, starts=20))\n"
        "str(ds.search('x⁴ - 4x² + x', {'x': (-3, 3)}, evaluations=2000))\n"
        "print([name for name in ('jax', 'sympy', 'scipy', 'optax') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["gradient descent", "nesterov", "adam", "rmsprop"])
def test_descents_side_by_side_are_those_of_each_alone(name: Any) -> None:
    clip = None if name == "gradient descent" else 50.0  # without it some run away
    base = ds.plan("f(y, x) = x² + 3y² + x⁴", {"x": 2, "y": 3}, method=name, steps=120, clip_norm=clip)
    rates = np.geomspace(1e-3, 2, 12)
    for together, rate in zip(descend_at_rates(base, rates), rates, strict=True):
        alone = ds.descend(dataclasses.replace(base, learning_rate=float(rate)), progress=False)
        assert_alike(together, alone, rtol=1e-10)
        assert together.plan == alone.plan


def test_descents_side_by_side_over_a_table() -> None:
    base = ds.plan("mean((price - w×size - b)²)", {"w": 0, "b": 0}, data=SIZES, steps=20)
    for together, rate in zip(descend_at_rates(base, [1e-6, 1e-4, 10.0]), [1e-6, 1e-4, 10.0], strict=True):
        alone = ds.descend(dataclasses.replace(base, learning_rate=rate), progress=False)
        assert_alike(together, alone, rtol=1e-10)


@pytest.mark.parametrize("text", ["x²", "x", "|x|", "1/x", "√x", "x⁴", "x² + 1e17", "ln(1 + x²) + max(x, 1)"])
@pytest.mark.parametrize("tolerance", [1e-8, 0.0])
def test_how_descents_end_is_known_before_they_are_traces(text: str, tolerance: float) -> None:
    base = ds.plan(text, {"x": 1.5}, steps=60, tolerance=tolerance)
    descents = descend_at_rates(base, np.geomspace(1e-4, 3, 13))
    steps, values = descents.steps.copy(), descents.values.copy()
    np.testing.assert_array_equal(steps, [steps_to_rest(trace) for trace in descents])
    np.testing.assert_array_equal(values, [end_value(trace) for trace in descents])
    assert descents[-1] is descents[12]
    assert descents[:2] == (descents[0], descents[1])
    again = pickle.loads(pickle.dumps(descents))  # noqa: S301 - written a moment ago
    np.testing.assert_array_equal(again.values, values)


@pytest.mark.parametrize(("steps", "tolerance"), [(400, 1e-8), (30, 1e-10)])
def test_the_best_of_descents_side_by_side_is_the_best_of_all(steps: int, tolerance: float) -> None:
    base = ds.plan("f(x, y) = x² + 3y² + x⁴", (2, 3), steps=steps, tolerance=tolerance, method="nesterov")
    rates = np.geomspace(1e-3, 0.5, 15)
    best = descend_at_best_rate(base, rates)
    expected = min(descend_at_rates(base, rates), key=standing)
    assert best.plan["learning_rate"] == expected.plan["learning_rate"]
    assert best.outcome is expected.outcome
    np.testing.assert_array_equal(best.coordinates, expected.coordinates)
