"""Each verb once, through what a user imports or types: the suite that runs against the lowest dependencies.

`make test-lowest` installs the lowest versions that pyproject.toml allows and runs this folder alone, so it uses no
dependency but pytest. Keep it fast: one small call a verb, no oracle but closed forms.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import downslope as ds
from downslope.cli import main

COMMANDS = (
    "derive",
    "chain",
    "slope",
    "backprop",
    "critical",
    "descend",
    "fit",
    "train",
    "predict",
    "find-rate",
    "prescribe",
    "lab",
    "sweep",
    "compare",
    "multistart",
    "search",
    "diagnose",
    "draw",
    "export",
)
BOWL = "x² + 2y²"
START = {"x": 4.0, "y": 3.0}


def typed(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the exit status of a command."""
    monkeypatch.setattr("sys.argv", ["downslope", *arguments])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture(scope="module")
def trace() -> ds.Trace:
    return ds.descend(BOWL, START, learning_rate=0.1, steps=60)


@pytest.fixture(scope="module")
def training() -> ds.Training:
    return ds.train(data="iris", hidden=[8], steps=60)


def test_a_formula_is_read_and_printed() -> None:
    formula = ds.formula("f(x) = x² - 4x + 5")
    assert formula({"x": 2.0}) == 1.0
    assert formula.latex


def test_derive_and_chain() -> None:
    assert str(ds.derive("x³").derivative).endswith("3x²")
    assert ds.chain("y = u²", "u = 3x")


def test_units_are_derived() -> None:
    assert ds.derive("d = v×t", "t", units={"d": "m", "v": "m/s", "t": "s"})


def test_critical_points() -> None:
    (point,) = ds.critical_points("x² - 4x + 5", {"x": (-10, 10)}).points
    assert point.point["x"] == pytest.approx(2)


def test_slope() -> None:
    slope = ds.slope(BOWL, START)
    assert slope.value == pytest.approx(34)
    assert slope.gradient == pytest.approx({"x": 8, "y": 12})


def test_backprop() -> None:
    assert ds.backprop("(x + y)²", {"x": 1.0, "y": 2.0}).value == pytest.approx(9)


def test_descend(trace: ds.Trace) -> None:
    # The article's closed form: each coordinate shrinks by its own factor.
    assert trace.end == pytest.approx({"x": 4 * 0.8**60, "y": 3 * 0.6**60})


@pytest.mark.parametrize("method", ["adam", "newton", "bfgs", "l-bfgs"])
def test_descend_by_other_methods(method: str) -> None:
    assert ds.descend(BOWL, START, method=method, steps=500).value < 1e-2


def test_descend_with_optax() -> None:
    import optax

    assert ds.descend(BOWL, START, method=optax.sgd(0.1), steps=100).value < 1e-6


def test_diagnose(trace: ds.Trace) -> None:
    assert ds.diagnose(trace)[0].sentence


def test_save_load_export(trace: ds.Trace, tmp_path: Path) -> None:
    folder = ds.save(trace, tmp_path / "run")
    assert ds.load(folder).value == trace.value
    for name in ("run.csv", "run.parquet", "run.json"):
        assert ds.export(trace, tmp_path / name).stat().st_size > 100


def test_fit() -> None:
    times = np.linspace(0, 30, 20)
    table = {"t": times, "y": 20 + 60 * np.exp(-0.1 * times)}
    fit = ds.fit("y = a + b e^(-k t)", table)
    assert fit["k"] == pytest.approx(0.1, rel=1e-4)


def test_train_and_predict(training: ds.Training) -> None:
    flower = {"sepal length": [5.1], "sepal width": [3.5], "petal length": [1.4], "petal width": [0.2]}
    labels = ds.predict(training, flower)
    assert len(labels) == 1
    assert ds.diagnose(training.trace)


@pytest.mark.parametrize("data", ["digits", "spirals"])
def test_samples(data: str) -> None:
    assert ds.train(data=data, hidden=[4], steps=5).trace.last_step == 5


def test_an_equinox_model_trains() -> None:
    import equinox as eqx
    import jax

    model = eqx.nn.MLP(4, 3, 8, 1, key=jax.random.key(0))
    assert ds.train(model, "iris", steps=5)


def test_ensembles() -> None:
    assert ds.sweep(BOWL, START, steps=30)
    assert ds.compare(BOWL, START, ("gradient descent", "adam"), steps=30)
    assert ds.multistart("x⁴ - 4x² + x", {"x": (-3, 3)}, starts=20).basins
    assert ds.search("x⁴ - 4x² + x", {"x": (-3, 3)}, evaluations=2000)


def test_remedies() -> None:
    plan = ds.plan(BOWL, START, learning_rate=1.2, steps=30)
    assert ds.prescribe(plan, seeds=2, trainings=2)
    assert ds.find_learning_rate(BOWL, START)


def test_pictures(trace: ds.Trace, training: ds.Training) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ds.draw.landscape(ds.objective(BOWL), trace)
    ds.draw.progress(trace)
    ds.draw.progress(training.trace)
    plt.close("all")


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_every_command_explains_itself(command: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed([*([command] if command else []), "--help"], monkeypatch) == 0


def test_a_command_descends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(["descend", "x²", "--start", "x=3", "--quiet"], monkeypatch) == 0


def test_the_lab_is_there() -> None:
    pytest.importorskip("starlette")
    assert callable(ds.lab.serve)
