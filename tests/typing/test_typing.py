"""Scripts as users write them, under a type checker: right ones pass, slips are reported on their line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import downslope as ds
from downslope.ensembles._choices import MultistartChoices
from downslope.fitting._choices import LossName as FitLossName
from downslope.fitting._likelihoods import LIKELIHOODS
from downslope.fitting._problem import LOSSES
from downslope.methods import MethodName, ScheduleName
from downslope.methods._schedule import _FACTORS
from downslope.networks._losses import _EACH, _OTHER_NAMES, LossName
from downslope.networks.data._samples import SampleName
from downslope.networks.layers._activations import ActivationName
from downslope.networks.layers._initialisations import InitialisationName, checked

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def reports() -> dict[str, list[dict]]:
    """What pyright says of each script."""
    files = [str(HERE / "right.py"), str(HERE / "wrong.py")]
    done = subprocess.run([sys.executable, "-m", "pyright", "--outputjson", *files], capture_output=True, text=True)
    said: dict[str, list[dict]] = {"right.py": [], "wrong.py": []}
    for entry in json.loads(done.stdout)["generalDiagnostics"]:
        said[Path(entry["file"]).name].append(entry)
    return said


@pytest.mark.slow
def test_right_scripts_pass(reports: dict[str, list[dict]]) -> None:
    assert [entry["message"] for entry in reports["right.py"] if entry["severity"] == "error"] == []


@pytest.mark.slow
def test_slips_are_reported_on_their_line(reports: dict[str, list[dict]]) -> None:
    lines = (HERE / "wrong.py").read_text(encoding="utf-8").splitlines()
    expected = {number for number, line in enumerate(lines) if line.endswith("# wrong")}
    assert {
        entry["range"]["start"]["line"] for entry in reports["wrong.py"] if entry["severity"] == "error"
    } == expected


def test_each_literal_is_its_table() -> None:
    assert get_args(MethodName) == ds.method_names()
    assert get_args(ScheduleName) == tuple(_FACTORS)
    assert get_args(ActivationName) == ds.activation_names()
    assert get_args(LossName) == (*_EACH, *_OTHER_NAMES)
    assert get_args(SampleName) == ds.sample_names()
    assert {name.lower().replace("-", "_") for name in get_args(FitLossName)} == {*LOSSES, *LIKELIHOODS}
    assert {checked(name, "relu") for name in get_args(InitialisationName)} >= {"he_normal", "zeros", "ones"}


def test_every_setting_of_a_method_is_an_argument() -> None:
    settings = {name for method in ds.method_names() for name in ds.method(method).settings}
    for verb in (ds.descend, ds.train, ds.sweep, ds.multistart):
        known = ds.choices(verb)
        assert {name for name, choice in known.items() if choice.noun == "method"} <= settings <= set(known)
    assert set(MultistartChoices.__annotations__) == set(ds.choices(ds.multistart))
