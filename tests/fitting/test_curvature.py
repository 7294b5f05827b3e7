"""Curvature by Bates and Watts: the values that others publish, and a straight line's."""

import math

import pytest

import downslope as ds

_PUROMYCIN = {
    "conc": [0.02, 0.02, 0.06, 0.06, 0.11, 0.11, 0.22, 0.22, 0.56, 0.56, 1.1, 1.1],
    "rate": [76, 47, 97, 107, 123, 139, 159, 152, 191, 201, 207, 200],
}
_OXYGEN = {"day": [1, 2, 3, 4, 5, 7], "demand": [8.3, 10.3, 19, 16, 15.6, 19.8]}


def test_puromycin_has_the_published_curvature():
    # rms.curv of R's package MASS prints 0.092 and 0.2121 for these rows.
    measured = ds.fit("rate = Vm conc/(K + conc)", _PUROMYCIN).curvature
    assert measured.intrinsic == pytest.approx(0.092, abs=5e-4)
    assert measured.parameter_effects == pytest.approx(0.2121, abs=5e-5)


def test_the_finding_holds_the_curvature():
    # By SymPy's second derivatives, rotated by hand, and a mean over 2000 directions.
    demand = ds.fit("demand = A (1 - e^(-k day))", _OXYGEN)
    assert demand.curvature == pytest.approx((0.48594986, 3.49918785), rel=1e-6)
    evidence = next(finding for finding in demand.findings if finding.symptom == "not_linear").evidence
    assert evidence["parameter_effects_curvature"] == demand.curvature.parameter_effects
    assert evidence["intrinsic_curvature"] == demand.curvature.intrinsic


def test_a_better_parameter_leaves_only_the_intrinsic_part():
    rate, logarithm = (ds.fit(f"demand = A (1 - e^(-{k} day))", _OXYGEN).curvature for k in ("k", "e^q×"))
    assert logarithm.intrinsic == pytest.approx(rate.intrinsic, rel=1e-5)
    assert logarithm.parameter_effects < 0.6 * rate.parameter_effects


def test_a_linear_model_has_none_and_a_robust_fit_no_known_one():
    assert ds.fit("demand = a + b day", _OXYGEN).curvature == pytest.approx((0, 0), abs=1e-9)
    assert math.isnan(ds.fit("demand = A (1 - e^(-k day))", _OXYGEN, loss="huber").curvature.intrinsic)
