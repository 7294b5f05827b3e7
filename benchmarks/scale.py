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
import itertools
import multiprocessing
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import downslope as ds
from benchmarks import scale_rows, scale_search, scale_slopes, scale_training
from downslope.executors import Crew, Unit
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
        import dask  # pyright: ignore[reportMissingImports] - an extra
        from distributed import Client, LocalCluster  # pyright: ignore[reportMissingImports] - an extra

        # Of a worker that was killed and that a starved machine starts again in more than 15 s, Dask closes the nanny.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"})
        cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
        with cluster, Client(cluster) as client:
            yield client


def trial_units(steps: int, wider: int = 0) -> list[Unit]:
    """Return the trainings of five structures, each with so many more units, with eight seeds each."""
    setups = [ds.Setup.of(None, "iris", hidden=(units + wider,), steps=steps, **QUIET) for units in HIDDEN]
    jobs = [_trial.TrialJob(setup, seed) for seed in range(SEEDS) for setup in setups]
    return [_trial.unit_of(job) for job in jobs]


def _nothing(_: Any, number: int) -> int:
    return number


def _importing() -> float:
    """Return the CPU seconds that a process takes to load what trials need."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = "import downslope.remedies, jax, polars; jax.devices()"
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _each(function: Callable[..., Any], count: int) -> list[Unit]:
    return [Unit(function, None, (number,)) for number in range(count)]


def _cpu(process: int | None = None) -> float:
    """Return the CPU seconds of a process, or this one, and of all that it began, as far as they live."""
    import psutil  # pyright: ignore[reportMissingModuleSource] - comes with Dask

    first = psutil.Process(process)
    times = [each.cpu_times() for each in (first, *first.children(recursive=True))]
    return sum(spent.user + spent.system for spent in times)


@contextlib.contextmanager
def _without_work(engine: str, workers: int) -> Iterator[Callable[[], float]]:
    """Begin an executor that gets no work, in a process of its own; yield what says the CPU seconds of it so far.

    Timers of Dask's processes cost the more the longer a round takes, and so the more the busier the machine is.
    """
    if engine != "dask":
        yield lambda: 0.0
        return
    command = [sys.executable, "-m", "benchmarks.scale", "idle", "--workers", str(workers)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        yield lambda: _cpu(process.pid)
        process.stdin.close()


def idle(engine: str, workers: int) -> None:
    """Hold an executor without work until the input ends."""
    with executor_of(engine, workers):
        print("ready", flush=True)
        sys.stdin.read()


def trials(engine: str, workers: int, steps: int, rounds: int) -> None:
    """Print what 40 trainings of five structures cost on an executor and on threads, in turn, in one run.

    Not counted are what it takes to start Dask's processes, which here load the modules as well, and what their timers
    cost while they have no work, as the twin shows; each is printed. Scheduler, messages, building and runs count.
    """
    import jax

    jax.devices()  # so that threads import nothing while they are measured
    imports, before = min(_importing() for _ in range(3)), _cpu()
    with (
        ThreadPoolExecutor(workers) as pool,
        executor_of(engine, workers) as executor,
        Crew(pool) as here,
        Crew(executor) as there,
        _without_work(engine, workers) as twin,
    ):
        print(f"CPU to start {_cpu() - before - twin():.1f} s, of imports {imports:.2f} s a process", flush=True)

        def measured(crew: Crew, units: list[Unit]) -> tuple[list[Any], float, float, float]:
            """Return the results, seconds, CPU seconds of work, and those of processes without work meanwhile."""
            began, idle, before = time.perf_counter(), twin(), _cpu()
            results = crew.results(units)
            whole, idle = _cpu() - before, twin() - idle
            # Once for the others themselves, which this process has begun too, and once for what they stand for.
            return results, time.perf_counter() - began, whole - 2 * idle, idle

        there.results(_each(_nothing, 50))
        _, wall, cpu, idle = measured(there, _each(_nothing, 500))
        print(f"an empty unit {2 * wall:.2f} ms, CPU {2 * cpu:.2f} ms and {2 * idle:.2f} ms without work", flush=True)
        ratios: dict[str, list[float]] = {"first": [], "again": []}
        # Structures that are new in each round, since what a CPU second does changes with the load of the machine.
        for wider, number in itertools.product(range(rounds), ratios):
            cost: dict[str, Any] = {}
            for name, crew in (("threads", here), (engine, there))[:: -1 if wider % 2 else 1]:
                runs, wall, cost[name], idle = measured(crew, trial_units(steps, wider))
                scores = [run.score for run in runs]
                print(
                    f"{number} {name}: {wall:.2f} s, CPU {cost[name]:.2f} s and {idle:.2f} s without work", flush=True
                )
                assert cost.setdefault("scores", scores) == scores
            ratios[number].append(cost[engine] / cost["threads"])
        built = [there._builds.of(unit.kind).workers for unit in trial_units(steps)[: len(HIDDEN)]]
    print(f"scores identical; workers that built each structure: {list(map(len, built))}; CPU over that of threads:")
    for number, row in ratios.items():
        print(f"  {number}: median {statistics.median(row):.2f} of {', '.join(f'{ratio:.2f}' for ratio in row)}")


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
    """Kill a worker of Dask in the middle of a unit in each run, and count the runs that end complete and equal."""
    units = trial_units(steps)[:12]
    with Crew() as crew:
        expected = [run.score for run in crew.results(units)]
    good, hits = 0, 0
    with (
        tempfile.TemporaryDirectory() as folder,
        executor_of("dask", workers) as client,
        Crew(client) as crew,
    ):
        marked = [Unit(_marked, each.subject, (folder, *each.arguments), each.kind) for each in units]
        for number in range(runs):
            killer = _Killer(Path(folder), 1 + number % 6, 0.02 * (number % 3))
            ended: dict[int, float] = {}
            for unit, run in crew.each(marked):
                assert unit not in ended
                ended[unit] = run.score
                killer.ended = len(ended)
            hit = killer.result()
            hits += hit
            good += hit and [ended[k] for k in range(len(units))] == expected
            print(
                f"run {number + 1}: {len(ended)} of {len(units)} units; kills in a unit, complete and equal: {good}",
                flush=True,
            )
    print(f"{runs} runs: {hits} workers killed in the middle of a unit, {good} complete and equal")


def _marked(setup: Any, folder: str, *arguments: Any) -> Any:
    """Make a run with a file that says so as long as it goes on, named by the process."""
    mark = Path(folder) / str(os.getpid())
    mark.touch()
    run = _trial._run(setup, *arguments)
    mark.unlink()
    return run


class _Killer:
    """Kills a worker that is in the middle of a unit, from a thread of its own.

    Args:
        folder: where workers mark what they do.
        after: how many units are to have ended before.
        delay: seconds that the unit is to have gone on.
    """

    def __init__(self, folder: Path, after: int, delay: float) -> None:
        self.ended = 0
        self._folder, self._after, self._delay = folder, after, delay
        self._pool = ThreadPoolExecutor(1)
        self._future = self._pool.submit(self._kill)

    def result(self) -> bool:
        """Tell whether a worker was killed while its unit went on."""
        self._pool.shutdown()
        return self._future.result()

    def _kill(self) -> bool:
        until = time.monotonic() + 600
        while time.monotonic() < until:
            time.sleep(0.002)
            marks = list(self._folder.iterdir()) if self.ended >= self._after else []
            if not marks:
                continue
            time.sleep(self._delay)
            if marks[0].exists():
                try:
                    os.kill(int(marks[0].name), signal.SIGKILL)
                except ProcessLookupError:  # the mark of a worker that has ended otherwise
                    marks[0].unlink(missing_ok=True)
                    continue
                time.sleep(0.05)
                inside = marks[0].exists()  # it did not get to its end
                marks[0].unlink(missing_ok=True)
                return inside
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ["trials", "multistart", "kill", "speedup", "train", "rows", "slopes", "idle"]
    parser.add_argument("what", choices=names)
    parser.add_argument("--engine", choices=["threads", "spawn", "loky", "dask"], default="dask")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--starts", type=float, default=1e7)
    parser.add_argument("--size", type=int, default=10)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rows", type=float, default=1e7)
    parser.add_argument("--trainings", type=int, default=60)
    parser.add_argument("--stretch", type=float, default=100.0)
    parser.add_argument("--only", default="")
    chosen = parser.parse_args()
    if chosen.what == "trials":
        trials(chosen.engine, chosen.workers, chosen.steps, chosen.rounds)
    elif chosen.what == "multistart":
        multistart(chosen.engine, chosen.workers, int(chosen.starts), chosen.size, chosen.steps)
    elif chosen.what == "kill":
        kill(chosen.workers, chosen.runs, chosen.steps)
    elif chosen.what == "rows":
        scale_rows.rows(int(chosen.rows), chosen.steps)
    elif chosen.what == "slopes":
        scale_slopes.slopes()
    elif chosen.what == "idle":
        idle(chosen.engine, chosen.workers)
    elif chosen.what == "train":
        scale_training.train(chosen.runs, chosen.steps)
    else:
        scale_search.speedup(chosen.workers, chosen.steps, chosen.trainings, chosen.stretch, chosen.only)


if __name__ == "__main__":
    main()
