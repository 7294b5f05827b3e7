"""Process pools, loky and Dask give what threads give, to the last bit, and lose no more than a unit when one dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.needing import needs

distributed, loky = needs("distributed", "loky"), needs("loky")

import downslope as ds  # noqa: E402
from downslope.executors import Crew, Unit  # noqa: E402
from downslope.remedies import _trial  # noqa: E402
from tests.equality import same  # noqa: E402
from tests.executors.test_verbs import SMALL, VERBS, rows, without_seconds  # noqa: E402

ROOT = Path(__file__).parents[2]


def repaired(executor: Any) -> Any:
    setup = ds.Setup.of(None, rows(), **SMALL, learning_rate=30.0)
    return without_seconds(ds.prescribe(setup, seeds=2, trainings=6, executor=executor))


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return {verb.__name__: verb(None) for verb in (*VERBS, repaired)}


@pytest.mark.parametrize("verb", [*VERBS, repaired])
def test_dask_changes_no_bit(client: Any, expected: dict[str, Any], verb: Any) -> None:
    same(verb(client), expected[verb.__name__])


def test_an_address_will_do(client: Any, expected: dict[str, Any]) -> None:
    (valleys,) = (verb for verb in VERBS if verb.__name__ == "valleys")
    same(valleys(client.scheduler.address), expected["valleys"])


def test_an_address_at_which_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("downslope.executors._kinds._ANSWER", 1)
    with pytest.raises(ds.SettingError, match="no Dask scheduler answers"):
        ds.sweep("x²", {"x": 1}, executor="tcp://127.0.0.1:9")


def test_process_pools_change_no_bit(expected: dict[str, Any]) -> None:
    verbs = [verb for verb in VERBS if verb.__name__ in ("lowest", "valleys", "swept", "fitted_groups")]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for verb in verbs:
            same(verb(pool), expected[verb.__name__])
    with loky.ProcessPoolExecutor(2) as pool:
        for verb in verbs:
            same(verb(pool), expected[verb.__name__])


def slept(_: Any, number: int) -> tuple[int, int]:
    time.sleep(0.2)
    return number, os.getpid()


def test_a_killed_worker_of_dask_costs_its_unit_alone(client: Any) -> None:
    ended = []
    with Crew(client) as crew:
        for number, (result, process) in crew.each(Unit(slept, None, (k,)) for k in range(24)):
            ended.append((number, result))
            if len(ended) == 3:
                os.kill(process, signal.SIGKILL)
    assert sorted(ended) == [(k, k) for k in range(24)]


def test_a_pool_that_lost_a_worker_ends_with_a_sentence() -> None:
    for pool in (loky.ProcessPoolExecutor(2), ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))):
        ended = {}
        with pool, Crew(pool) as crew, pytest.raises(ds.ExecutorError, match="cannot replace it") as caught:  # noqa: PT012
            for number, (_, process) in crew.each(Unit(slept, None, (k,)) for k in range(24)):
                ended[number] = process
                if len(ended) == 3:
                    os.kill(process, signal.SIGKILL)
        assert caught.value.gathered.keys() == ended.keys()
        assert 3 <= len(ended) < 24


def test_a_table_and_a_structure_reach_a_worker_once(client: Any) -> None:
    data = np.random.default_rng(0).normal(size=(20_000, 20)), np.arange(20_000.0)
    setups = [ds.Setup.of(None, data, hidden=(units,), steps=2, probe_every=0) for units in (3, 4)]
    units = [Unit(_trial._run, setup, (seed, (), False)) for seed in range(8) for setup in setups]
    client.run(_forget)
    with Crew(client) as crew:
        crew.results(units)
    kept = client.run(_kept)
    assert all(parts == 2 and built <= 2 for parts, built in kept.values())  # inputs and targets; one for each size


def _forget() -> None:
    from downslope.executors import _units

    _units._PARTS.clear()
    _units._SHARED.clear()


def _kept() -> tuple[int, int]:
    from downslope.executors import _units

    return len(_units._PARTS), len(_units._SHARED)


def test_ctrl_c_cancels_what_has_not_begun_and_leaves_no_process(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import multiprocessing, sys
        from concurrent.futures import ProcessPoolExecutor
        from downslope.executors import Crew, Unit
        from tests.frameworks.test_executors import slept

        if __name__ == "__main__":
            with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool, Crew(pool) as crew:
                for number, (_, process) in crew.each(Unit(slept, None, (k,)) for k in range(1000)):
                    print(process, flush=True)
        """)
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    run = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        process_group=0,
    )
    assert run.stdout is not None
    process = int(run.stdout.readline())
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does
    output, errors = run.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert len(output.splitlines()) < 40
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
