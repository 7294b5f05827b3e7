"""Kill writers at random moments and see what is left: `python benchmarks/reliability.py WHAT --count N`.

`kills` ends `train digits --steps 20000 --save RUN` by SIGKILL, several times in each run, resumes it to its end, and
compares every recorded number with an uninterrupted run, bit for bit. `saves` ends processes that save two traces to
one folder in turn; one of the two must be there, whole, at any moment. Neither may leave a file behind. `lab` is in
`reliability_lab.py`, `tables` in `reliability_tables.py`.

`flips` flips single bits of all files of a descent, a fit and trainings: none may be silent. `headers` puts wrong
values into all fields of their headers: a `TraceError`, or a trace that can be read. `load` times a long trace;
`record` measures the memory that a large one takes. All four are in `reliability_files.py`.

`cases` tries each fault again that was ever seen around a run, and prints what came; see `reliability_cases.py`.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from reliability_cases import cases
from reliability_files import flips, headers, loads, record
from reliability_lab import lab
from reliability_tables import tables

import downslope as ds

_SAVING = """
import sys
import downslope as ds
traces = [ds.load_trace(name) for name in sys.argv[2:]]
print(flush=True)
while True:
    for trace in traces:
        ds.save(trace, sys.argv[1])
"""


def kills(count: int, seed: int, steps: int, per_run: int) -> None:
    """Kill trainings, resume them, and print how many differ from the uninterrupted one or leave files."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="downslope-kills-") as folder:
        parent = Path(folder)
        _trained(parent / "warm", steps)  # compiles the programs, so that the next one is timed as it runs later
        begun = time.perf_counter()
        _trained(parent / "whole", steps)
        seconds = time.perf_counter() - begun
        whole, files = ds.load_trace(parent / "whole"), _files(parent / "whole")
        done = runs = unequal = littered = 0
        while done < count:
            run, runs = parent / f"run-{runs}", runs + 1
            for _ in range(min(per_run, count - done)):
                done += _killed(_command(run, steps), chance.uniform(0, 1.1 * seconds))
                _ = ds.load_trace(run) if run.exists() else None  # raises for what cannot be read
            _trained(run, steps)
            unequal += sum(_same(a, b) is False for a, b in _pairs(ds.load_trace(run), whole)) > 0
            littered += _files(run) != files
            print(f"{done} kills, {unequal} runs unequal, {littered} runs with other files", flush=True)
        hidden = [name for name in os.listdir(parent) if name.startswith(".")]
    print(f"{done} kills of a training of {seconds:.1f} s: {unequal} unequal, {littered + len(hidden)} with leftovers")


def saves(count: int, seed: int) -> None:
    """Kill processes that save, and print how many left something that is not one of the two traces."""
    chance, wrong, waiting = random.Random(seed), 0, 0
    with tempfile.TemporaryDirectory(prefix="downslope-saves-") as folder:
        names = [str(Path(folder) / name) for name in ("first", "second")]
        for name, rate in zip(names, (0.1, 0.05), strict=True):
            ds.save(ds.descend("x² + 3y²", {"x": 1.0, "y": 2.0}, learning_rate=rate, steps=2000, tolerance=0), name)
        traces = [ds.load_trace(name) for name in names]
        target = ds.save(traces[0], Path(folder) / "run" / "run")
        for done in range(count):
            command = [sys.executable, "-c", _SAVING, str(target), *names]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(chance.uniform(0.02, 0.3))
                process.send_signal(signal.SIGKILL)
            waiting += len(os.listdir(target.parent)) > 1
            loaded = ds.load_trace(target)
            wrong += not any(all(_same(a, b) for a, b in _pairs(loaded, trace)) for trace in traces)
            if done % 3 == 2:
                ds.save(traces[0], target)
                wrong += os.listdir(target.parent) != ["run"]
    print(f"{count} kills of ds.save: {wrong} wrong; {waiting} left something for the next save to remove, and it did")


def _command(run: Path, steps: int) -> list[str]:
    """Return the command that begins or resumes a run."""
    choices = ["--steps", str(steps), "--save", str(run), "--resume", "--quiet"]
    return [sys.executable, "-m", "downslope", "train", "digits", *choices]


def _files(run: Path) -> list[str]:
    """Return the names of a run's files; states are numbered by how often the clock called for one."""
    return sorted(re.sub(r"^state-\d+", "state", name) for name in os.listdir(run))


def _trained(run: Path, steps: int) -> None:
    """Train to the end."""
    subprocess.run(_command(run, steps), check=True, stdout=subprocess.DEVNULL)


def _killed(command: list[str], seconds: float) -> int:
    """Run a command and kill it after some seconds; return 1, or 0 if it ended before."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            return 1
    return 0


def _pairs(trace: ds.Trace, other: ds.Trace) -> Iterator[tuple[Any, Any]]:
    """Yield everything that two traces recorded, in pairs."""
    yield trace.outcome, other.outcome
    for name in ("recorded", "start", "end", "part_columns", "layer_columns", "metrics"):
        ours, theirs = getattr(trace, name), getattr(other, name)
        yield sorted(ours), sorted(theirs)
        yield from ((ours[key], theirs[key]) for key in ours.keys() & theirs.keys())
    yield [spectrum.step for spectrum in trace.spectra], [spectrum.step for spectrum in other.spectra]
    yield from ((a.eigenvalues, b.eigenvalues) for a, b in zip(trace.spectra, other.spectra, strict=False))


def _same(ours: Any, theirs: Any) -> bool:
    """Return whether two values are equal to the last bit."""
    if isinstance(ours, np.ndarray):
        return ours.dtype == theirs.dtype and ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes()
    return ours == theirs


def main() -> None:
    """Read the arguments and run what they name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "what", choices=("kills", "saves", "lab", "tables", "flips", "headers", "load", "record", "cases")
    )
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--per-run", type=int, default=4, help="kills in each training before it may end")
    arguments = parser.parse_args()
    if arguments.what == "kills":
        kills(arguments.count, arguments.seed, arguments.steps, arguments.per_run)
    elif arguments.what == "saves":
        saves(arguments.count, arguments.seed)
    elif arguments.what == "flips":
        flips(arguments.count, arguments.seed, lambda a, b: all(_same(*pair) for pair in _pairs(a, b)))
    elif arguments.what == "headers":
        headers(arguments.count, arguments.seed)
    elif arguments.what == "load":
        loads(arguments.count)
    elif arguments.what == "cases":
        cases()
    elif arguments.what == "record":
        record(arguments.steps)
    elif arguments.what == "lab":
        lab(arguments.count)
    else:
        tables(arguments.count, arguments.seed)


if __name__ == "__main__":
    main()
