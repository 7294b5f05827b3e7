"""One record per method: complete, the only place that names methods, and open to records of the user's own."""

from __future__ import annotations

import ast
import dataclasses
import pickle
from pathlib import Path
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import downslope as ds
from downslope.methods import FIT_METHODS, METHODS, FitMethodName, MethodName, MethodSpec, facts_of, method, rule_of
from downslope.methods._method import RuleInput

SOURCE = Path(ds.__file__).parent
NAMES = {spec.name for spec in (*METHODS, *FIT_METHODS)}


@pytest.mark.parametrize("spec", [*METHODS, *FIT_METHODS], ids=lambda spec: spec.name)
def test_every_record_has_every_field(spec: MethodSpec) -> None:
    for text in (spec.name, spec.help, spec.reference):
        assert isinstance(text, str)
        assert text
    assert spec.help.endswith(".")
    for setting in spec.settings:
        assert setting.help.endswith(".")
        assert setting.least <= setting.default < setting.below
    assert (spec.default_rate is None) == (spec.network_rate is None) == spec.searches_line
    if isinstance(spec.theory, ds.NoTheory):
        assert spec.theory.reason != ds.NoTheory().reason, "say why no theory is known"
        assert spec.facts({}).bound is None
    else:
        assert spec.theory.bound_text
        assert spec.facts({}).bound is not None
        assert spec.scale is not None or spec.theory.recurrence is not None


def test_names_and_aliases_are_distinct_and_the_literal_is_the_table() -> None:
    spellings = [name for spec in (*METHODS, *FIT_METHODS) for name in (spec.name, *spec.aliases)]
    assert len(spellings) == len(set(spellings))
    assert get_args(FitMethodName) == tuple(spec.name for spec in FIT_METHODS)
    assert get_args(MethodName) == ds.method_names() == tuple(spec.name for spec in METHODS)


def test_no_other_module_lists_method_names() -> None:
    lists = {}
    for path in SOURCE.rglob("*.py"):
        if path.parent.name != "methods" and len(named := _names_in(path)) > 1:
            lists[str(path.relative_to(SOURCE))] = sorted(named)
    assert not lists


def _names_in(path: Path) -> set[str]:
    """Return the methods that a module names, but for defaults of arguments and choices of a method by its keyword."""
    tree = ast.parse(path.read_text())
    chosen: list[ast.AST | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.arguments):
            chosen += [*node.defaults, *node.kw_defaults]
        elif isinstance(node, ast.keyword) and node.arg == "method":
            chosen.append(node.value)
        elif isinstance(node, ast.keyword) and node.arg == "remedies":  # which have names of their own
            chosen += ast.walk(node.value)
        elif isinstance(node, ast.Dict):
            keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
            chosen += [value for key, value in zip(keys, node.values, strict=True) if key == "method"]
    named = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in chosen]
    return {str(node.value) for node in named} & (NAMES - {"momentum"})  # which is the name of a setting as well


@pytest.mark.parametrize("name", ds.method_names())
def test_a_method_can_be_pickled(name: str) -> None:
    chosen = method(name)
    again = pickle.loads(pickle.dumps(chosen))  # noqa: S301  what this test wrote itself
    assert again == chosen
    assert hash(again) == hash(chosen)


@pytest.mark.parametrize("name", [spec.name for spec in METHODS if spec.facts({}).recurrence and not spec.noisy])
@pytest.mark.parametrize("share", [0.45, 0.9, 0.999])
def test_the_recurrence_is_what_the_rule_does_on_a_bowl(name: str, share: float) -> None:
    chosen = method(name)
    facts = chosen.facts
    rate = share * facts.bound  # on x²/2, where λ = 1
    expected = facts.contraction(np.array([rate]))[0]
    path = _path(chosen, rate, 200)
    observed = (path[-20:].max() / path[-120:-100].max()) ** (1 / 100)  # envelopes, as momentum swings
    assert expected < 1
    np.testing.assert_allclose(observed, expected, rtol=0.01)
    assert _path(chosen, 1.02 * facts.bound, 200)[-20:].max() > 1


def _path(chosen: ds.Method, rate: float, steps: int) -> np.ndarray:
    """Return the distance to the bottom of x²/2 after each step from 1."""
    with jax.enable_x64(True):
        rule = rule_of(chosen)
        settings = {name: jnp.float64(value) for name, value in chosen.settings.items()}
        value = lambda point: point * point / 2  # noqa: E731
        point = jnp.float64(1.0)

        def step(carry, _):
            point, state = carry
            update, state = rule.update(RuleInput(point, value(point), point, rate, settings, value), state)
            return (point + update, state), jnp.abs(point + update)

        _, path = jax.lax.scan(step, (point, rule.init(point, settings)), None, steps)
        return np.asarray(path)


def _share(settings):
    return optax.trace(settings["share"])


HEAVY = MethodSpec(
    name="my momentum",
    help="Add half of the last step.",
    update=_share,
    settings=(ds.Setting("share", 0.5, "Share of the last step that is kept.", below=1),),
    theory=ds.Theory(lambda s: 2 + 2 * s["share"], "2 + 2β", lambda s: ((1 + s["share"], -1.0), (-s["share"], 0.0))),
)


def test_a_record_of_ones_own_steps_as_its_transformation_does() -> None:
    own = ds.descend("x² + 4y²", (1, 1), method=HEAVY, share=0.7, learning_rate=0.05, steps=30, progress=False)
    ours = ds.descend("x² + 4y²", (1, 1), method="momentum", momentum=0.7, learning_rate=0.05, steps=30, progress=False)
    np.testing.assert_array_equal(own.coordinates, ours.coordinates)
    assert own.plan["method"] == "my momentum"
    assert own.plan["settings"] == {"share": 0.7}


def test_its_theory_is_in_the_diagnosis_of_a_trace_loaded_without_the_record(tmp_path) -> None:
    trace = ds.descend("x² + 4y²", (1, 1), method=HEAVY, learning_rate=0.5, steps=60, progress=False)
    (problem, *_) = ds.diagnose(trace)
    assert problem.symptom == "rate_too_large"
    assert problem.evidence["largest_stable_rate"] == pytest.approx(3 / 8)
    ds.save(trace, tmp_path / "run")
    again = ds.load(tmp_path / "run")
    assert facts_of(again.plan) == HEAVY.facts({})
    assert [finding.sentence for finding in ds.diagnose(again)] == [f.sentence for f in ds.diagnose(trace)]


def test_a_record_of_ones_own_trains_and_races() -> None:
    training = ds.train(data="iris", hidden=(4,), method=HEAVY, steps=40, progress=False)
    assert training.trace.plan["method"] == "my momentum"
    assert training.trace.plan["learning_rate"] == HEAVY.network_rate
    race = ds.compare("x² + 4y²", (1, 1), methods=[HEAVY, "gradient descent"], steps=200)
    assert {entry.name for entry in race.entries} == {"my momentum", "gradient descent"}
    fastest = race.entries[[entry.name for entry in race.entries].index("my momentum")]
    assert fastest.sweep.largest_stable_rate == pytest.approx(3 / 8)


def test_a_record_of_ones_own_without_theory_is_not_judged_by_one() -> None:
    bare = dataclasses.replace(HEAVY, theory=ds.NoTheory())
    trace = ds.descend("x² + 4y²", (1, 1), method=bare, learning_rate=0.05, steps=30, progress=False)
    assert "no theory is known for my momentum" in {skipped.reason for skipped in ds.diagnose(trace).not_run}


@pytest.mark.parametrize("name", ["lion", optax.sgd(0.1)])
def test_a_method_without_theory_says_so(name) -> None:
    diagnosis = ds.diagnose(ds.descend("x² + 4y²", (1, 1), method=name, steps=30, progress=False))
    shown = name if isinstance(name, str) else "custom"
    assert any(skipped.reason == f"no theory is known for {shown}" for skipped in diagnosis.not_run)


@pytest.mark.parametrize("name", ["bfgs", "adam", "gradient descent"])
def test_a_method_with_theory_or_a_line_search_does_not(name: str) -> None:
    diagnosis = ds.diagnose(ds.descend("x² + 4y²", (1, 1), method=name, steps=30, progress=False))
    assert not any("no theory" in skipped.reason for skipped in diagnosis.not_run)


def test_weight_decay_reaches_every_method_that_takes_a_rate() -> None:
    for spec in METHODS:
        if not spec.takes_rate:
            with pytest.raises(ds.SettingError):
                method(spec.name, weight_decay=0.1)
            continue
        chosen = method(spec.name, weight_decay=0.5, **({"noise": 0.0} if spec.noisy else {}))
        rule, point = rule_of(chosen), jnp.float32(2.0)
        settings = {**chosen.settings, "seed": np.uint32(0)}
        flat = RuleInput(point, point, jnp.float32(0.0), 0.1, settings, lambda at: at * 0)
        update, _ = rule.update(flat, rule.init(point, settings))
        assert float(update) == pytest.approx(-0.1 * 0.5 * 2.0), spec.name


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"update": optax.sgd(0.1)},
        {"theory": 2.0},
        {"settings": (ds.Setting("share", 1.5, "Too large.", below=1),)},
    ],
)
def test_a_record_that_makes_no_sense_is_refused(wrong) -> None:
    with pytest.raises(ds.SettingError):
        dataclasses.replace(HEAVY, **wrong)
