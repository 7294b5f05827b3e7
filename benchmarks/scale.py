"""Independent runs on executors: what they cost, what a killed worker costs, and what many workers gain.

    python -m benchmarks.scale trials --engine dask --workers 2
    python -m benchmarks.scale multistart --starts 1e7 --workers 2
    python -m benchmarks.scale kill --runs 20
    python -m benchmarks.scale speedup --workers 64 --steps 2000
    python -m benchmarks.scale train --runs 20
    python -m benchmarks.scale rows --rows 1e7
    python -m benchmarks.scale slopes

Dask is in the extra `cluster`; `trials` and `multistart` also take `--engine threads`, `spawn` and `loky`.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import downslope as ds
from benchmarks import scale_rows, scale_search, scale_slopes, scale_training
from downslope.executors import Crew, Unit
from downslope.executors import _units as worker
from downslope.remedies import _trial

HIDDEN = (8, 12, 16, 20, 24)  # structures
SEEDS = 8
QUIET: dict[str, Any] = {"probe_every": 0, "layers_every": 0, "evaluate_every": 100}


@contextlib.contextmanager
def executor_of(engine: str, workers: int) -> Iterator[Any]:
    """Begin an executor, and end it."""
    if engine == "threads":
        with ThreadPoolExecutor(workers) as pool:
            yield pool
    elif engine == "spawn":
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            yield pool
    elif engine == "loky":
        import loky  # pyright: ignore[reportMissingImports] - an extra

        with loky.ProcessPoolExecutor(workers) as pool:
            yield pool
    else:
        from distributed import Client, LocalCluster  # pyright: ignore[reportMissingImports] - an extra

        cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
        with cluster, Client(cluster) as client:
            yield client


def trial_units(steps: int) -> list[Unit]:
    """Return the trainings of five structures with eight seeds each."""
    setups = [ds.Setup.of(None, "iris", hidden=(units,), steps=steps, **QUIET) for units in HIDDEN]
    return [Unit(_trial._run, setup, (seed, (), False)) for seed in range(SEEDS) for setup in setups]


def _nothing(_: Any, number: int) -> int:
    return number


def _cpu(_: Any, __: int) -> tuple[int, float, int]:
    time.sleep(0.2)  # so that every worker gets one
    return os.getpid(), time.process_time(), len(worker._SHARED)


def cpu_of(crew: Crew, workers: int) -> tuple[float, dict[int, int]]:
    """Return the CPU seconds of this process and its workers so far, and the structures that each has built."""
    known = {process: (cpu, built) for process, cpu, built in crew.results(_each(_cpu, 4 * workers))}
    if os.getpid() in known:
        return time.process_time(), {}
    return time.process_time() + sum(cpu for cpu, _ in known.values()), {p: built for p, (_, built) in known.items()}


def _each(function: Callable[..., Any], count: int) -> list[Unit]:
    return [Unit(function, None, (number,)) for number in range(count)]


def trials(engine: str, workers: int, steps: int) -> None:
    """Print what 40 trainings of five structures cost on an executor and on threads, in one run."""
    scores: dict[str, list[float]] = {}
    cost: dict[str, list[float]] = {}
    for name in ("threads", engine):
        with executor_of(name, workers) as executor, Crew(executor) as crew:
            crew.results(_each(_nothing, 50))
            began = time.perf_counter()
            crew.results(_each(_nothing, 500))
            print(f"{name:8} an empty unit {1000 * (time.perf_counter() - began) / 500:6.2f} ms")
            for number in range(2):
                before, _ = cpu_of(crew, workers)
                began = time.perf_counter()
                runs = crew.results(trial_units(steps))
                wall = time.perf_counter() - began
                after, built = cpu_of(crew, workers)
                cost.setdefault(name, []).append(after - before)
                scores.setdefault(name, [run.score for run in runs])
                assert scores[name] == [run.score for run in runs] == scores["threads"]
                print(f"{name:8} round {number + 1}: {wall:6.2f} s, CPU {after - before:6.2f} s, built {built}")
    first, again = (ours / theirs for ours, theirs in zip(cost[engine], cost["threads"], strict=True))
    print(f"scores identical; CPU over that of threads: {first:.2f} first, {again:.2f} again")


def multistart(engine: str, workers: int, starts: int, size: int, steps: int) -> None:
    """Print the memory of this process after so many starts on an executor."""
    terms = " + ".join(f"x{k}⁴ - 8x{k}² + x{k}" for k in range(1, size + 1))
    box = {f"x{k}": (-3.0, 3.0) for k in range(1, size + 1)}
    with executor_of(engine, workers) as executor:
        rate: dict[str, Any] = {"method": "gradient descent", "learning_rate": 0.02, "steps": steps}
        ds.multistart(terms, box, starts=200_000, **rate, executor=executor)  # compiles
        before, began = _memory(), time.perf_counter()
        result = ds.multistart(terms, box, starts=starts, **rate, executor=executor)
        wall = time.perf_counter() - began
        print(f"{engine}: {result.count} starts in {size} dimensions, {len(result.basins)} basins listed, {wall:.0f} s")
        print(f"peak of this process {_memory():.0f} MB, {before:.0f} MB before; {1e6 * wall / starts:.1f} µs a start")


def _memory() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def kill(workers: int, runs: int, steps: int) -> None:
    """Kill a worker of Dask in each run, and count the runs that end complete and equal."""
    units = trial_units(steps)[:12]
    with Crew() as crew:
        expected = [run.score for run in crew.results(units)]
    good, executed = 0, []
    with executor_of("dask", workers) as client, Crew(client) as crew:
        for number in range(runs):
            ended: dict[int, float] = {}
            for unit, (process, run) in crew.each(Unit(_with_process, each.subject, each.arguments) for each in units):
                assert unit not in ended
                ended[unit] = run.score
                if len(ended) == 1 + number % 6:
                    os.kill(process, signal.SIGKILL)
            good += [ended[k] for k in range(len(units))] == expected
            executed.append(len(ended))
            print(f"run {number + 1}: {len(ended)} of {len(units)} units, complete and equal so far {good}", flush=True)
    print(f"{runs} kills: {good} complete and equal")


def _with_process(setup: Any, *arguments: Any) -> tuple[int, Any]:
    return os.getpid(), _trial._run(setup, *arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["trials", "multistart", "kill", "speedup", "train", "rows", "slopes"])
    parser.add_argument("--engine", choices=["threads", "spawn", "loky", "dask"], default="dask")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--starts", type=float, default=1e7)
    parser.add_argument("--size", type=int, default=10)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rows", type=float, default=1e7)
    parser.add_argument("--trainings", type=int, default=60)
    chosen = parser.parse_args()
    if chosen.what == "trials":
        trials(chosen.engine, chosen.workers, chosen.steps)
    elif chosen.what == "multistart":
        multistart(chosen.engine, chosen.workers, int(chosen.starts), chosen.size, chosen.steps)
    elif chosen.what == "kill":
        kill(chosen.workers, chosen.runs, chosen.steps)
    elif chosen.what == "rows":
        scale_rows.rows(int(chosen.rows), chosen.steps)
    elif chosen.what == "slopes":
        scale_slopes.slopes()
    elif chosen.what == "train":
        scale_training.train(chosen.runs, chosen.steps)
    else:
        scale_search.speedup(chosen.workers, chosen.steps, chosen.trainings)


if __name__ == "__main__":
    main()
