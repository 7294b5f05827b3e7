"""The rate that is offered was seen to descend, and does about as well as the best of a sweep."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope.cli._main import run
from downslope.descent import range_test, short_run

HOUSES = Path(ds.__file__).parent / "examples" / "houses.csv"
ROSENBROCK = "f(x, y) = (1 - x)^2 + 100(y - x^2)^2"
QUARTIC = "f(x) = x^4 - 3x"
RATES = np.geomspace(1e-5, 10, 30)


def of_formula(text: str, start: dict[str, float], method: str, steps: int = 100) -> Callable[[], Any]:
    return lambda: ds.plan(text, start, method=method, steps=steps)


def of_network(data: Any, target: str | None, method: str, **choices: Any) -> Callable[[], Any]:
    return lambda: ds.Setup.of(None, data, target, method=method, steps=100, **choices)


PLANS: dict[str, Callable[[], Any]] = {
    "flat quadratic, gradient descent": of_formula("f(x, y) = 0.05x² + 0.5y²", {"x": 4, "y": 3}, "gradient descent"),
    "narrow quadratic, gradient descent": of_formula("f(x, y) = x² + 100y²", {"x": 4, "y": 3}, "gradient descent"),
    "steep quadratic, momentum": of_formula("f(x, y) = 20x² + 500y²", {"x": 4, "y": 3}, "momentum"),
    "rosenbrock, nesterov": of_formula(ROSENBROCK, {"x": -1.2, "y": 1}, "nesterov", 200),
    "rosenbrock, adam": of_formula(ROSENBROCK, {"x": -1.2, "y": 1}, "adam", 200),
    "quartic, gradient descent": of_formula(QUARTIC, {"x": 2}, "gradient descent"),
    "quartic, rmsprop": of_formula(QUARTIC, {"x": 2}, "rmsprop"),
    "iris, sgd": of_network("iris", None, "sgd", hidden=(16,)),
    "digits, adam": of_network("digits", None, "adam", hidden=(32,)),
    "houses, adam": of_network(HOUSES, "price", "adam", hidden=(16,)),
}


def ends(asked: Any, rate: float | None) -> tuple[float, float]:
    """Return the loss at the start and at the end of a run at a rate, measured by the run itself."""
    with np.errstate(all="ignore"):
        if isinstance(asked, ds.Plan):
            trace = ds.descend(dataclasses.replace(asked, learning_rate=rate), progress=False)
            losses = trace.columns["value"]
        else:
            trace = asked.changed(learning_rate=rate, probe_every=0, evaluate_every=100).train(progress=False).trace
            losses = trace.metrics["training_loss"]
    end = float(losses[-1]) if trace.outcome is not ds.Outcome.NOT_FINITE else np.inf
    return float(losses[0]), end if np.isfinite(end) else np.inf


def judged(asked: Any) -> tuple[bool, bool, str]:
    """Return whether the rate offered descends, and whether it is about as good as the best of thirty."""
    found = ds.find_learning_rate(asked, progress=False)
    assert found.learning_rate is not None
    start, mine = ends(asked, found.learning_rate)
    swept = np.array([ends(asked, rate)[1] for rate in RATES])
    best = int(np.argmin(swept))
    near = 0.5 <= found.learning_rate / RATES[best] <= 2
    short = (mine - swept[best]) / (start - swept[best])
    told = f"α {found.learning_rate:g} of {RATES[best]:.2g}; {start:.4g} → {mine:.4g}, best {swept[best]:.4g}"
    return bool(mine < start), bool(near or short <= 0.01), f"{told}, {100 * short:.2g} % short"


@pytest.mark.slow
def test_ten_plans_get_a_rate_that_descends_and_is_about_the_best() -> None:
    verdicts = {name: judged(make()) for name, make in PLANS.items()}
    report = "\n".join(f"{name}: {verdict}" for name, verdict in verdicts.items())
    assert all(descends for descends, _, _ in verdicts.values()), report
    assert sum(good for _, good, _ in verdicts.values()) >= 8, report


def test_the_rate_is_seen_to_descend_from_the_start() -> None:
    asked = ds.plan(QUARTIC, {"x": 2})
    found = ds.find_learning_rate(asked)
    assert found.pick is not None
    assert found.pick.descends
    start, end = ends(asked, found.learning_rate)
    assert (found.pick.before, found.pick.after) == (start, end)
    assert found.chosen is not None
    assert found.chosen.learning_rate == found.learning_rate  # type: ignore[union-attr]


@pytest.mark.parametrize("curvature", [1e-6, 1.0, 1e9])
def test_the_bound_is_that_of_theory_whatever_the_scale(curvature: float) -> None:
    found = ds.find_learning_rate(f"f(x) = {curvature:.0f}/2 x²" if curvature >= 1 else "f(x) = 5e-7 x²", {"x": 1e3})
    assert found.stable_bound == pytest.approx(2 / curvature, rel=1e-6)
    assert found.learning_rate is not None
    assert found.learning_rate * curvature == pytest.approx(1, rel=0.5)


@pytest.mark.parametrize(("method", "factor"), [("momentum", 3.8), ("nesterov", 3.8 / 2.8)])
def test_the_bound_follows_the_method(method: str, factor: float) -> None:
    found = ds.find_learning_rate("f(x, y) = x² + 50y²", {"x": 4, "y": 3}, method=method)
    assert found.stable_bound == pytest.approx(factor / 100)


def test_adam_is_bounded_by_the_curvature_it_sees_on_large_points_as_on_small_ones() -> None:
    import jax.numpy as jnp

    def bowl(size: int) -> Any:
        curvature = np.geomspace(0.1, 100, size)
        return ds.plan(
            ds.objective(lambda point: 0.5 * jnp.sum(curvature * point["w"] ** 2)),
            {"w": np.ones(size)},
            method="adam",
        )

    small, large = (ds.find_learning_rate(bowl(size)).stable_bound for size in (16, 17))
    assert small is not None
    assert large == pytest.approx(small, rel=0.2)


def test_where_nothing_descends_no_rate_is_offered() -> None:
    for text, start, why in (
        ("f(x) = 0x", 1.0, "at rest already"),
        ("f(x) = √x", -1.0, "not finite at the start"),
        ("f(x) = x²", 0.0, "at rest already"),
    ):
        found = ds.find_learning_rate(text, {"x": start})
        assert (found.learning_rate, found.pick, found.chosen) == (None, None, None)
        assert "No rate descends" in found.sentence
        assert why in found.sentence


@pytest.mark.parametrize(("formula", "said"), [("x", "unbounded below"), ("-x²", "unbounded below"), ("|x|", "kink")])
def test_a_rate_is_offered_with_the_reason_why_none_leads_to_a_minimum(formula: str, said: str) -> None:
    finding = ds.find_learning_rate(formula, {"x": 1})
    assert said in finding.sentence
    assert "Take α" not in finding.sentence
    assert "caution" in finding.as_dict()
    assert not ds.find_learning_rate("x² + y²", {"x": 1, "y": 2}).caution


def test_labels_without_sense_are_not_said_to_be_learned() -> None:
    random = np.random.default_rng(0)
    inputs, targets = np.zeros((64, 3)), random.normal(size=64)
    setup = ds.Setup.of(None, (inputs, targets), hidden=(4,), steps=40, batch=16)
    found = ds.find_learning_rate(setup)
    assert found.learning_rate is None or found.pick.before - found.pick.after > 2 * found.pick.error  # type: ignore[union-attr]


def test_nothing_of_what_is_given_changes() -> None:
    made = ds.plan(ROSENBROCK, {"x": -1.2, "y": 1}, method="adam", schedule="cosine", learning_rate=0.1)
    before = ds.descend(made)
    ds.find_learning_rate(made)
    np.testing.assert_array_equal(ds.descend(made).coordinates, before.coordinates)
    assert made.learning_rate == 0.1

    setup = ds.Setup.of(None, "iris", hidden=(8,), steps=30, dropout=0.2)
    state = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
    training = setup.train(progress=False)
    found = ds.find_learning_rate(training)
    again = setup.train(progress=False)
    np.testing.assert_array_equal(again.trace.columns["value"], training.trace.columns["value"])
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # type: ignore[index]
    assert isinstance(found.chosen, ds.Setup)
    assert found.chosen.task is setup.task


@pytest.mark.parametrize("schedule", ["constant", "cosine", "warm-up", "step", "exponential"])
def test_a_fork_goes_through_the_same_numbers_as_the_run(schedule: str) -> None:
    start, choices = {"x": -1.2, "y": 1}, {"learning_rate": 3e-4, "steps": 90}
    assert_forks_alike(ds.plan(ROSENBROCK, start, method="momentum", schedule=schedule, **choices))


def test_a_fork_of_a_training_goes_through_the_same_numbers() -> None:
    setup = ds.Setup.of(None, "iris", hidden=(8,), schedule="cosine", steps=90, dropout=0.1, probe_every=0)
    assert_forks_alike(setup.plan())


def assert_forks_alike(made: ds.Plan) -> None:
    trace = ds.descend(made, progress=False)
    short = short_run(made, made.learning_rate, 30)
    np.testing.assert_array_equal(short.values, trace.columns["value"][:31])


def test_a_range_test_takes_each_rate_for_one_step_whatever_the_schedule() -> None:
    rates = [0.1, 0.2, 0.3, 0.4]
    for schedule in ("constant", "cosine", "warm-up", "step", "exponential"):
        losses = range_test(ds.plan("f(x) = x²", {"x": 1}, schedule=schedule), rates, lambda _: False)
        places = itertools.accumulate(rates, lambda x, rate: x - 2 * rate * x, initial=1.0)
        np.testing.assert_allclose(losses, [place**2 for place in places], rtol=1e-12)


def test_a_method_or_schedule_without_a_rate_is_told() -> None:
    for method in ("newton", "bfgs", "l-bfgs"):
        with pytest.raises(ds.SettingError, match="no rate to find"):
            ds.find_learning_rate("x²", {"x": 1}, method=method)
    with pytest.raises(ds.SettingError, match="holds its own rates"):
        ds.find_learning_rate("x²", {"x": 1}, schedule=lambda step: 0.1)
    with pytest.raises(ds.SettingError, match="find_learning_rate chooses the learning rate"):
        ds.find_learning_rate("x²", {"x": 1}, learning_rate=0.1)


def test_what_makes_no_sense_is_told() -> None:
    made = ds.plan("x²", {"x": 1})
    for budget in (0, -3, 2.5, True):
        with pytest.raises(ds.SettingError, match="budget must be a whole number"):
            ds.find_learning_rate(made, budget=budget)  # type: ignore[arg-type]
    with pytest.raises(ds.SettingError, match="holds its start and settings already"):
        ds.find_learning_rate(made, method="adam")
    with pytest.raises(ds.PointError):
        ds.find_learning_rate("x²")


def test_a_stream_must_be_there_to_be_read_again() -> None:
    random = np.random.default_rng(0)
    weights = random.normal(size=3)
    batches = [(inputs, inputs @ weights) for inputs in random.normal(size=(20, 8, 3))]
    found = ds.find_learning_rate(ds.Setup.of(None, batches, hidden=(8,), steps=40), budget=40)
    assert found.learning_rate is not None
    with pytest.raises(ds.SettingError, match="read only once"):
        ds.find_learning_rate(ds.Setup.of(None, iter(batches), hidden=(8,), steps=40))


def test_it_prints_itself_and_is_drawn() -> None:
    found = ds.find_learning_rate("f(x) = x²", {"x": 10})
    assert "◀ take this" in str(found)
    assert repr(found) == f"<RateFinding: α = {found.learning_rate}, {len(found.checks)} checked>"
    assert "<table>" in found._repr_html_()
    axes = ds.draw.learning_rate(found)
    drawn = {line.get_label(): line.get_xdata() for line in axes.get_lines()}
    assert f"take α = {found.learning_rate}" in drawn
    np.testing.assert_array_equal(drawn["range test"], found.test_rates)
    dots = np.concatenate([drawn["checked, descends"], drawn["does not"]])
    assert sorted(dots) == [check.rate for check in found.checks]
    nothing = ds.draw.learning_rate(ds.find_learning_rate("f(x) = √x", {"x": -1}))
    assert not any(str(line.get_label()).startswith("take") for line in nothing.get_lines())


def test_the_command_takes_formulas_and_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["find-rate", "f(x) = x^4 - 3x", "--start", "x=2", "--plot", str(tmp_path / "rate.png"), "-q"]) == 0
    assert "Take α = " in capsys.readouterr().out
    assert (tmp_path / "rate.png").stat().st_size > 10_000
    assert run(["find-rate", "iris", "--hidden", "8", "--steps", "40", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["loss_after"] < told["loss_before"]
    assert len(told["range_test"]["rates"]) == len(told["range_test"]["losses"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["x²", "--start", "x=1", "--method", "newton"], "no rate to find"),
        (["x²"], "--start is missing"),
        (["x²", "--start", "x=1", "--hidden", "3"], "--hidden does not apply to a formula"),
        (["digits", "--start", "x=1"], "--start does not apply to a network"),
        (["nothing.csv", "--target", "y"], "there is no file"),
        (["iris", "--set", "learning_rate=1"], "find-rate determines the learning rate"),
        (["x²", "--start", "x=1", "--plot", "rate.doc"], "cannot draw into"),
    ],
)
def test_the_command_tells_what_was_wrong(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["find-rate", *words]) == 2
    assert told in capsys.readouterr().err
