"""Two processes with a device each, whose state is divided: they meet, one is killed, and the run goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from needing import needs
from ports import free_port

import downslope as ds
from tests.networks.train_together import CHOICES

needs("orbax.checkpoint")
SCRIPT = Path(__file__).parents[1] / "networks" / "train_together.py"


def loaded(folder: Path) -> ds.Trace:
    trace = ds.load(folder)
    assert isinstance(trace, ds.Trace)
    return trace


def test_two_processes_train_as_one_and_go_on_after_one_was_killed(tmp_path: Path) -> None:
    """Of two gloo processes the first writes; a killed one ends the other, and --resume goes on to the same bits.

    Adam's moments are divided between them, and each writes its shards. Copied ones take the same way without these;
    `benchmarks/scale_training.py` kills runs of both kinds.
    """

    def run(folder: str, **more: str) -> list[tuple[int, str, str]]:
        port = str(free_port())
        environment = os.environ | {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": "2", **more}
        processes = [
            subprocess.Popen(
                [sys.executable, SCRIPT, folder],
                env={**environment, "JAX_PROCESS_ID": str(number)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in (0, 1)
        ]
        outputs = [process.communicate(timeout=1200) for process in processes]
        return [(process.returncode, output[0], output[1]) for process, output in zip(processes, outputs, strict=True)]

    whole = run(str(tmp_path / "whole"), DIVIDED="1")
    assert [code for code, _, _ in whole] == [0, 0], whole
    killed = run(str(tmp_path / "run"), KILLED="1", DIVIDED="1")
    assert [code for code, _, _ in killed] == [75, -9]
    assert "process 1 of 2" in killed[0][2]
    assert "the run in" in killed[0][2]
    assert loaded(tmp_path / "run").outcome is ds.Outcome.RUNNING
    assert len(list((tmp_path / "run").glob("shards-*"))) == 1
    assert [code for code, _, _ in run(str(tmp_path / "run"), DIVIDED="1")] == [0, 0]
    expected, resumed = loaded(tmp_path / "whole"), loaded(tmp_path / "run")
    for name, leaf in expected.end.items():
        np.testing.assert_array_equal(resumed.end[name], leaf)
    for columns, again in ((expected.recorded, resumed.recorded), (expected.metrics, resumed.metrics)):
        for name, column in columns.items():
            np.testing.assert_array_equal(again[name], column)
    assert expected.facts["layout"]["hosts"] == 2
    assert resumed.facts["layout"]["divided"]
    single = ds.train(**CHOICES).trace
    np.testing.assert_allclose(expected.recorded["value"][:10], single.recorded["value"][:10], atol=1e-6, rtol=0)
