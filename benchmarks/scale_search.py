"""How many times faster many workers make a prescription: its runs are made once, and replayed by stand-ins.

    python -m benchmarks.scale speedup --workers 64 --steps 2000

Each run of the prescription is computed here twice, and the second takes the time that counts: the CPU seconds of a
run whose program is compiled, the median of those that differ in their seed alone. Then the same prescription is asked
for again with threads that wait for as long as each run took, one after another and by as many as there are workers;
what is handed to them, and when, is up to the search. Beside the clock stands what it must be: of each wave of runs the
end of the last, if idle workers take runs in order.
"""

from __future__ import annotations

import heapq
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import downslope as ds
from downslope.executors import _units as worker
from downslope.remedies import _trial

QUIET: dict[str, Any] = {"probe_every": 0, "layers_every": 0, "evaluate_every": 100}
SICK: dict[str, dict[str, Any]] = {
    "a rate of 3": {"hidden": (32,), "method": "gradient descent", "learning_rate": 3.0},
    "a rate of 0.00001": {"hidden": (32,), "method": "gradient descent", "learning_rate": 1e-5},
    "eight layers of sigmoids": {"hidden": (16,) * 8, "activation": "sigmoid"},
    "a large network at a rate of 3": {"hidden": (256, 256), "batch": 128, "learning_rate": 3.0},
}


class Stage:
    """An executor that computes each unit when it first comes, and on a replay waits as long as that took.

    Args:
        workers: how many units are done at a time on a replay.
    """

    def __init__(self, workers: int) -> None:
        self._max_workers = workers
        self.known: dict[Any, tuple[float, Any]] = {}
        self.waves: list[list[float]] = []
        self._pool: ThreadPoolExecutor | None = None

    def replay(self) -> None:
        """Hand results out after as long as they took, by as many workers as there are."""
        self._pool, self.waves = ThreadPoolExecutor(self._max_workers), []

    def usual(self, key: Any) -> float:
        """Return how long a run takes: the median over those that differ in their seed alone."""
        return statistics.median(seconds for other, (seconds, _) in self.known.items() if other[0] == key[0])

    def submit(self, function: Callable[..., Any], /, call: Any, *addresses: Any) -> Future[Any]:
        """Do a unit, or wait for as long as it took."""
        # Not by digest: two setups that are equal need not have the same bytes.
        key = worker._opened(call.call, {})[1].as_python(), repr(worker._opened(call.arguments, {}))
        if key not in self.known:
            function(call, *addresses)  # compiles
            began = time.process_time()
            answer = function(call, *addresses)
            self.known[key] = time.process_time() - began, answer
        seconds, answer = self.usual(key), self.known[key][1]
        self.waves[-1].append(seconds)
        if self._pool is not None:
            return self._pool.submit(_wait, seconds, answer)
        future: Future[Any] = Future()
        future.set_result(answer)
        return future


def _wait(seconds: float, answer: Any) -> Any:
    time.sleep(seconds)
    return answer


def last_end(units: Sequence[float], workers: int) -> float:
    """Return when the last of some units ends that idle workers take in their order.

    >>> last_end([3.0, 1.0, 1.0, 1.0], 2)
    3.0
    """
    free = [0.0] * workers
    for seconds in units:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def prescribed(training: ds.Training, stage: Stage, **choices: Any) -> tuple[ds.Prescription, float, float]:
    """Return a prescription by an executor, the seconds that it took, and those of this process alone."""
    run = _trial.Runner.run
    alone = threading.local()

    def counted(runner: Any, *arguments: Any) -> Any:
        stage.waves.append([])
        began = time.perf_counter()
        try:
            return run(runner, *arguments)
        finally:
            alone.waited += time.perf_counter() - began

    alone.waited = 0.0
    setattr(_trial.Runner, "run", counted)  # noqa: B010 - a method of another module, for as long as this takes
    try:
        began = time.perf_counter()
        prescription = ds.prescribe(training, progress=False, executor=stage, **choices)
        seconds = time.perf_counter() - began
    finally:
        setattr(_trial.Runner, "run", run)  # noqa: B010
    return prescription, seconds, seconds - alone.waited


def speedup(workers: int, steps: int, trainings: int) -> None:
    """Print how many times faster prescriptions are by many workers, for the search one by one and the wide one."""
    for name, choices in SICK.items():
        training = ds.Setup.of(None, "digits", steps=steps, **choices, **QUIET).train(progress=False)
        known: dict[Any, tuple[float, Any]] = {}
        for width in (1, workers):
            many = Stage(workers)
            many.known = known
            prescribed(training, many, trainings=trainings, width=width)  # computes what it lacks
            many.replay()
            found, wall, alone = prescribed(training, many, trainings=trainings, width=width)
            single = Stage(1)
            single.known = known
            wanted, _, _ = prescribed(training, single, trainings=trainings, width=width)
            assert not found.interrupted
            assert (repr(found), found.steps, found.tried) == (repr(wanted), wanted.steps, wanted.tried)
            work = sum(map(sum, single.waves))
            path = sum(last_end(wave, workers) for wave in many.waves)
            longest = sum(max(wave, default=0.0) for wave in many.waves)
            full = max(seconds for wave in single.waves for seconds in wave)
            print(f"{name}, width {width}: {found.verdict}", flush=True)
            print(
                f"{found.steps / steps:.1f} trainings, {sum(map(len, single.waves))} runs in {len(many.waves)} waves, "
                f"{work:.1f} s; the longest run {full:.2f} s, the longest of each wave {longest:.2f} s, "
                f"by {workers} workers {path:.2f} s: {work / path:.1f} times as fast"
            )
            print("  " + ", ".join(f"{len(wave)} of {max(wave):.2f} s at most" for wave in single.waves if wave))
            print(f"  by the clock {wall:.2f} s, {alone:.2f} s of them between waves: {work / wall:.1f} times as fast")
