"""A batch that is divided among devices gives the numbers of one device."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import downslope as ds
from downslope.descent import DeviceLayout

SCRIPT = Path(__file__).with_name("train_on_devices.py")


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What trainings on four virtual devices show; they need a process of their own, as JAX counts devices once."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = os.environ | {"XLA_FLAGS": flags}
    command = [sys.executable, SCRIPT, str(tmp_path_factory.mktemp("devices") / "run")]
    ended = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.parametrize("case", ["plain", "hard"])
def test_the_first_ten_losses_are_those_of_one_device(shown, case):
    """Also with batch normalisation, dropout, and two batches of 30, which four devices do not divide."""
    single, several = shown[case]
    np.testing.assert_allclose(several["losses"], single["losses"], atol=1e-6, rtol=0)
    np.testing.assert_allclose(several["last"], single["last"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(several["layers"], single["layers"], atol=1e-4, rtol=1e-4)


def test_each_device_computes_a_quarter_of_the_batch(shown):
    assert "16,8" in shown["shapes"]  # 64 rows on four devices, eight units
    assert not [shape for shape in shown["shapes"] if shape.startswith("64,")]


def test_a_run_is_resumed_on_as_many_devices_to_the_same_bits(shown):
    assert shown["resumed"]["same"]
    assert shown["resumed"]["facts"] == {"devices": 4, "hosts": 1}
    (refusal,) = shown["resumed"]["refusals"]
    assert "was started on 4 devices, and this one has 1" in refusal


def test_a_divided_state_is_a_quarter_on_each_device_and_gives_the_same_numbers(shown):
    assert shown["divided"]["shares"] == [0.25] * len(shown["divided"]["shares"])
    assert len(shown["divided"]["shares"]) == 4
    assert shown["divided"]["apart"] <= 1e-6
    assert shown["divided"]["facts"] == {"devices": 4, "hosts": 1, "divided": True}


def test_a_run_with_a_divided_state_is_resumed_from_its_shards_to_the_same_bits(shown):
    assert shown["divided"]["same"]
    undivided, damaged = shown["divided"]["refusals"]
    assert "was started with divide_state" in undivided
    assert "is damaged" in damaged


def test_shards_without_orbax_are_refused_by_the_name_of_the_extra(monkeypatch):
    layout = DeviceLayout(divides_state=True)
    layout.check_saving()
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    DeviceLayout().check_saving()
    with pytest.raises(ds.DownslopeError, match="needs Orbax") as caught:
        layout.check_saving()
    assert "downslope[shards]" in caught.value.hint


def test_a_state_is_divided_among_several_devices_alone():
    with pytest.raises(ds.SettingError, match="divides the state among devices, and this training has one"):
        ds.train("iris", steps=1, divide_state=True)


@pytest.mark.parametrize("devices", [0, 2.5, True, "some"])
def test_devices_are_a_whole_number_or_all(devices):
    with pytest.raises(ds.SettingError, match="devices"):
        ds.train("iris", steps=1, devices=devices)


def test_more_devices_than_there_are_are_refused():
    with pytest.raises(ds.SettingError, match="of 4096 devices, this machine has"):
        ds.train("iris", steps=1, devices=4096)


def test_one_device_computes_by_the_program_of_a_training_without_the_choice():
    results = [ds.train("iris", hidden=(4,), steps=5, progress=False, devices=devices) for devices in (None, 1, "all")]
    assert "layout" not in results[1].trace.facts
    for other in results[1:]:
        np.testing.assert_array_equal(other.trace.recorded["value"], results[0].trace.recorded["value"])
