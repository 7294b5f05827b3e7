"""What a diagnosis is: its shape, its words, and what it says where something was not measured."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import downslope as ds
from downslope.diagnosis import Diagnosis, Finding, Severity, diagnose
from downslope.trace import Outcome, Spectrum, Trace
from tests.diagnosis.sentences import broken_relations
from tests.numpy_descent import numpy_descent


def parabola(**settings):
    return numpy_descent(lambda x: float(x @ x), lambda x: 2 * x, lambda x: 2 * np.eye(len(x)), {"x": 10.0}, **settings)


def saddle(steps: int = 100):
    signs = np.array([1.0, -1.0])
    return numpy_descent(
        lambda x: float(signs @ x**2),
        lambda x: 2 * signs * x,
        lambda x: 2 * np.diag(signs),
        {"x": 1.0, "y": 0.0},
        steps=steps,
    )


def without_curvature(trace: Trace) -> Trace:
    recorded = {name: column for name, column in trace.recorded.items() if name != "curvature"}
    return trace.replace(spectra=(), recorded=recorded)


def as_large(trace: Trace) -> Trace:
    """Return the trace as one of a point too large to keep: norms only, and the two ends of the spectrum."""
    names = ("gradient_norm", "update_norm", "cosine")
    spectra = tuple(
        Spectrum(s.step, s.eigenvalues[[0, -1]], False, s.lowest_direction, s.highest_direction) for s in trace.spectra
    )
    return trace.replace(
        recorded={**trace.recorded, **{name: trace.columns[name] for name in names}},
        coordinates=None,
        gradients=None,
        spectra=spectra,
    )


def test_the_article_by_name() -> None:
    oscillating = diagnose(parabola(learning_rate=1.0))
    assert oscillating.symptoms == ("oscillating",)
    assert oscillating[0].evidence["largest_stable_rate"] == 1
    large = diagnose(parabola(learning_rate=1.01))
    assert large.symptoms == ("rate_too_large",)
    assert large[0].sentence == (
        "Each step overshoots the valley and lands farther from the bottom than it started: "
        "α = 1.01 is above the largest stable rate 1. Try 0.5."
    )
    small = diagnose(parabola(learning_rate=0.001, steps=1000))
    assert small.symptoms == ("rate_too_small",)
    needed = small[0].evidence["steps_to_go"]
    assert parabola(learning_rate=0.001, steps=20000).last_step == 1000 + needed
    assert str(needed) in small[0].sentence
    assert diagnose(parabola(learning_rate=0.1, steps=200)).symptoms == ("converged",)


def test_the_way_out_of_a_saddle() -> None:
    diagnosis = diagnose(saddle())
    assert "saddle_point" in diagnosis
    assert "converged" not in diagnosis
    assert diagnosis[0].evidence["escaping_direction"] == {"x": 0.0, "y": 1.0}
    assert diagnosis[0].parts == ("y",)
    assert "along y" in diagnosis[0].sentence


def test_the_first_step_and_part_that_were_not_finite() -> None:
    trace = numpy_descent(
        lambda x: float(np.log(x[0])), lambda x: 1 / x, lambda x: np.diag(-1 / x**2), {"x": 1.0}, steps=100
    )
    (finding,) = diagnose(trace)
    assert finding.symptom == "not_finite"
    assert finding.evidence["step"] == trace.not_finite_step == finding.steps[0]
    assert finding.evidence["part"] == "value"


def test_it_is_a_sequence_of_findings() -> None:
    diagnosis = diagnose(parabola(learning_rate=1.1, steps=20000))
    assert diagnosis.symptoms == ("rate_too_large", "not_finite")
    assert [finding.symptom for finding in diagnosis] == list(diagnosis.symptoms)
    assert diagnosis[0] in diagnosis
    assert diagnosis[:1] == diagnosis.findings[:1]
    assert len(diagnosis) == 2
    assert not diagnosis.ok
    assert json.loads(json.dumps(diagnosis.as_list()))[0]["severity"] == "problem"
    assert repr(diagnosis) == "<Diagnosis rate_too_large, not_finite>"


def test_it_reads_as_verdict_evidence_and_what_to_try() -> None:
    diagnosis = diagnose(parabola(learning_rate=1.01))
    first, second, third = diagnosis.as_text(evidence=True).splitlines()
    assert str(diagnosis).splitlines() == [first, third]
    assert first.startswith("✗ Rate too large: Each step overshoots")
    assert "largest stable rate 1," in second
    assert third.strip().startswith("try: learning rate 0.5")


def test_html_is_escaped() -> None:
    finding = Finding("converged", Severity.GOOD, "a < b", {"value": 1.0}, "", (0, 1), remedies=("<b>",))
    assert "a &lt; b" in Diagnosis((finding,))._repr_html_()
    assert "<b>" not in Diagnosis((finding,))._repr_html_().split("<ul>")[1]


def test_without_curvature_it_says_what_it_could_not_judge() -> None:
    diagnosis = diagnose(without_curvature(parabola(learning_rate=0.1, steps=200)))
    assert diagnosis.symptoms == ("converged",)
    assert diagnosis[0].severity is Severity.NOTE
    assert diagnosis[0].confidence < 1
    assert {skipped.symptom for skipped in diagnosis.not_run} >= {"saddle_point", "edge_of_stability"}
    assert "not judged: saddle_point" in str(diagnosis)
    large = diagnose(without_curvature(parabola(learning_rate=1.01)))
    assert large.symptoms == ("rate_too_large",)
    assert large[0].confidence < 1


@pytest.mark.parametrize(
    ("rate", "steps", "symptom"),
    [
        (0.1, 200, "converged"),
        (0.1, 20, "still_descending"),
        (1.01, 100, "rate_too_large"),
        (1.0, 100, "oscillating"),
        (0.001, 1000, "rate_too_small"),
    ],
)
def test_points_too_large_to_keep_are_judged_alike(rate: float, steps: int, symptom: str) -> None:
    assert diagnose(as_large(parabola(learning_rate=rate, steps=steps)))[0].symptom == symptom


def test_a_large_saddle() -> None:
    assert diagnose(as_large(saddle(1000))).symptoms == ("saddle_point",)


def test_no_step_at_all() -> None:
    diagnosis = diagnose(parabola(steps=0))
    assert diagnosis.symptoms == ("still_descending",)
    assert diagnosis.ok


def test_a_tolerance_that_is_too_coarse_is_no_proof() -> None:
    diagnosis = diagnose(parabola(tolerance=30.0))
    assert diagnosis.symptoms == ("still_descending",)
    assert "stopped" in diagnosis[0].sentence


def test_edge_of_stability_is_healthy() -> None:
    """(xy − 1)² sharpens along its floor: GD from far out bounces until α is just below 2/λ, and still converges."""

    def slope(point: np.ndarray) -> np.ndarray:
        return 2 * (point[0] * point[1] - 1) * point[::-1]

    def bend(point: np.ndarray) -> np.ndarray:
        x, y = point
        return np.array([[2 * y * y, 4 * x * y - 2], [4 * x * y - 2, 2 * x * x]])

    trace = numpy_descent(
        lambda point: (point[0] * point[1] - 1) ** 2, slope, bend, {"x": 1.8, "y": 0.2}, learning_rate=0.45, steps=400
    )
    diagnosis = diagnose(trace)
    assert diagnosis.ok
    assert "edge_of_stability" in diagnosis
    assert diagnosis.symptoms[0] in {"converged", "still_descending"}


@pytest.mark.parametrize("method", ["momentum", "nesterov", "adam", "rmsprop"])
def test_other_methods_converge_without_alarm(method: str) -> None:
    diagnosis = diagnose(parabola(method=method, steps=1500))
    assert diagnosis.symptoms == ("converged",)


def test_adam_is_held_against_the_preconditioned_curvature() -> None:
    trace = parabola(method="adam", steps=100)
    scaled = trace.spectra[-1].preconditioned_highest
    assert scaled is not None
    (finding,) = diagnose(trace)
    assert finding.evidence["largest_stable_rate"] == pytest.approx(38 / scaled)


NUMBERS = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([0.0, 1e-300, 1e300, -1e300, 1e-12]))
LOOSE = st.one_of(NUMBERS, st.sampled_from([np.nan, np.inf]))
METHODS = st.sampled_from(
    ["gradient descent", "momentum", "adam", "lion", "bfgs", "custom", "gradient descent with noise"]
)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Any trace at all, however senseless."""
    rows, size = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    names = tuple("xyz"[:size])
    points = draw(arrays(float, (rows, size), elements=NUMBERS))
    eigenvalues = np.sort(draw(arrays(float, size, elements=LOOSE)))
    unit = dict(zip(names, np.eye(size)[0], strict=True))
    other = dict(zip(names, np.eye(size)[-1], strict=True))
    rate = draw(st.sampled_from([None, 0.1, 1e-9, 1e9]))
    recorded = {
        "step": np.arange(rows) * draw(st.integers(1, 3)),
        "value": draw(arrays(float, rows, elements=NUMBERS)),
        "curvature": draw(arrays(float, rows, elements=LOOSE)),
        "learning_rate": np.asarray(np.nan if rate is None else rate),
    }
    ends = [
        Spectrum(int(step), eigenvalues, True, unit, other, draw(st.none() | NUMBERS))
        for step in recorded["step"][[0, -1]]
    ]
    return Trace(
        outcome=draw(st.sampled_from(Outcome)),
        recorded=recorded,
        coordinate_names=names,
        coordinates=points,
        gradients=draw(arrays(float, (rows, size), elements=NUMBERS)),
        part_names=names,
        part_columns={},
        start=dict(zip(names, points[0], strict=True)),
        end=dict(zip(names, points[-1], strict=True)),
        spectra=tuple(draw(st.sampled_from([[], ends, ends[1:]]))),
        plan={
            "method": draw(METHODS),
            "settings": {},
            "learning_rate": rate,
            "tolerance": draw(st.sampled_from([0, 1e-10])),
        },
    )


@settings(max_examples=300)
@given(traces())
def test_any_trace_gets_a_verdict(trace: Trace) -> None:
    diagnosis = diagnose(trace)
    assert len(diagnosis) >= 1
    assert len(str(diagnosis)) > 0
    json.dumps(diagnosis.as_list(), allow_nan=False)
    for finding in diagnosis:
        assert not broken_relations(finding.sentence), finding.sentence
    spectrum = trace.end_spectrum
    if spectrum is not None and np.all(np.isfinite(spectrum.eigenvalues)) and spectrum.highest <= 0:
        assert "converged" not in diagnosis


def test_judging_loads_nothing_heavy() -> None:
    code = (
        "import sys, downslope.diagnosis; "
        "heavy = {'jax', 'polars', 'sympy', 'matplotlib', 'pint', 'downslope.descent'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("steps", [20, 60, 100, 200, 400, 1000])
@pytest.mark.parametrize("method", ["rmsprop", "gradient descent"])
def test_two_rates_that_differ_look_different(method: str, steps: int) -> None:
    rate = 3.0 if method == "rmsprop" else 0.1 * (1 + 1e-7)
    trace = ds.descend("x² + 10y²", (4, 3), method=method, learning_rate=rate, steps=steps, progress=False)
    for finding in diagnose(trace):
        above = re.search(r"α = (\S+) is above the largest stable rate (\S+)\. ", finding.sentence)
        if above:
            assert above[1] != above[2]
            assert float(above[1]) > float(above[2])
