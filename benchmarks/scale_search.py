"""How many times faster many workers make a prescription: its runs are made once, and replayed by stand-ins.

    python -m benchmarks.scale speedup --workers 64 --steps 2000

A worker is one process on one core, so this process computes on one. Each run of the prescription is computed here
twice, and the second takes the time that counts: the CPU seconds of a run whose program is compiled, the median of
those that differ in their seed alone. Then the same prescription is asked for again with threads that wait for as long
as each run took, times `--stretch`, which stands for trainings so many times as long; what is handed to them, and when,
is up to the search. The clock is compared with the work of one worker that makes only the runs that are needed.
"""

from __future__ import annotations

import os
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
        stretch: times as long as a unit took that a replay of it takes.
    """

    def __init__(self, workers: int, stretch: float = 1.0) -> None:
        self._max_workers, self._stretch = workers, stretch
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
            return self._pool.submit(_wait, self._stretch * seconds, answer)
        future: Future[Any] = Future()
        future.set_result(answer)
        return future


def _wait(seconds: float, answer: Any) -> Any:
    time.sleep(seconds)
    return answer


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


def speedup(workers: int, steps: int, trainings: int, stretch: float = 100.0, only: str = "") -> None:
    """Print how many times faster prescriptions are by many workers, for the search one by one and the wide one.

    Args:
        workers: how many.
        steps: of the training that is prescribed for.
        trainings: the budget.
        stretch: times as long as the runs take here that those of workers take.
        only: words of the only training to prescribe for; "" for all.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for name, choices in SICK.items():
        if only not in name:
            continue
        training = ds.Setup.of(None, "digits", steps=steps, **choices, **QUIET).train(progress=False)
        known: dict[Any, tuple[float, Any]] = {}
        for width in (1, workers):
            many, single = Stage(workers, stretch), Stage(1)
            many.known = single.known = known
            prescribed(training, many, trainings=trainings, width=width)  # computes what it lacks
            many.replay()
            found, wall, alone = prescribed(training, many, trainings=trainings, width=width)
            wanted, _, _ = prescribed(training, single, trainings=trainings, width=width)
            assert not found.interrupted
            assert (repr(found), found.steps, found.tried) == (repr(wanted), wanted.steps, wanted.tried)
            _print_speedup(f"{name}, width {width}", found, many.waves, single.waves, wall / stretch, alone / stretch)


def _print_speedup(
    what: str,
    found: ds.Prescription,
    many: Sequence[Sequence[float]],
    single: Sequence[Sequence[float]],
    wall: float,
    alone: float,
) -> None:
    """Print a speed-up: of the runs of one worker, and of many, which also make runs that turn out to be unneeded."""
    waves = [wave for wave in single if wave]
    work, chain = sum(map(sum, waves)), sum(map(max, waves))
    count, all_work = sum(map(len, waves)), sum(map(sum, many))
    extra = sum(map(len, many)) - count
    steps = int(found.specification.choices["steps"])
    print(f"{what}: {found.verdict}", flush=True)
    print(f"  {found.steps / steps:.1f} trainings, {count} runs in {len(waves)} waves, {work:.2f} s by one worker")
    print("  " + ", ".join(f"{len(wave)} of {max(wave):.3f} s at most" for wave in waves))
    print(f"  the longest run of each wave {chain:.3f} s in all, so at most {work / chain:.1f} times as fast in waves")
    print(f"  {extra} runs of {all_work - work:.2f} s were begun ahead and not needed")
    print(
        f"  by the clock {wall:.3f} s, {alone:.3f} s of them between waves: {work / wall:.1f} times as fast", flush=True
    )
