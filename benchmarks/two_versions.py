"""CPU seconds of today's code over those of another checkout: ensembles, trainings and prescriptions, interleaved.

    git worktree add ../before COMMIT
    python benchmarks/two_versions.py ../before [CHECKOUT] [--rounds 9] [--only training]

Each checkout works in a process of its own, which is kept. Every task is done twice first, uncounted, so that nothing
compiles later. Then both take turns, in the order ABBA, and CPU seconds of the whole process, threads included, are
compared: other work on the machine moves these little. Printed are the ratio of the medians, and of the least. Besides,
`import` and `start` are whole processes: the import, and an import with one small training.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

QUIET: dict[str, Any] = {"progress": False, "seed": 3}
ROSENBROCK = "f(x, y) = 100(y - x²)² + (1 - x)²"
BOX = {"x": (-2.0, 2.0), "y": (-2.0, 2.0)}
SWEPT: dict[str, Any] = {"method": "gradient descent", "steps": 500}
START = "import downslope as ds; ds.train('iris', hidden=(4,), steps=20, progress=False)"


def tasks() -> dict[str, Callable[[], Any]]:
    """Return what is compared, by name."""
    import downslope as ds

    descent: dict[str, Any] = {"method": "gradient descent", "learning_rate": 1e-3, "steps": 500}
    sick = ds.train("iris", hidden=(8,), steps=200, method="gradient descent", learning_rate=3.0, **QUIET)
    return {
        "multistart, 10 000 starts": lambda: ds.multistart(ROSENBROCK, BOX, starts=10_000, **descent),
        "multistart, 100 starts": lambda: ds.multistart(ROSENBROCK, BOX, starts=100, **descent),
        "sweep of 30 rates": lambda: ds.sweep(
            ROSENBROCK, {"x": -1.0, "y": 1.0}, learning_rates=[1e-5 * 1.2**k for k in range(30)], **SWEPT
        ),
        "compare all methods": lambda: ds.compare(ROSENBROCK, {"x": -1.0, "y": 1.0}, steps=200),
        "search": lambda: ds.search(ROSENBROCK, BOX, seed=1),
        "training, digits": lambda: ds.train("digits", hidden=(64, 64), batch=32, steps=1500, **QUIET),
        "training, iris": lambda: ds.train("iris", hidden=(16,), batch=16, steps=2000, **QUIET),
        "training, its record off": lambda: ds.train(
            "digits", hidden=(32,), batch=32, steps=4000, probe_every=0, layers_every=0, **QUIET
        ),
        "prescription": lambda: ds.prescribe(sick, progress=False),
        "descent": lambda: [ds.descend(ROSENBROCK, {"x": -1.0, "y": 1.0}, steps=2000) for _ in range(5)],
    }  # fmt: skip


def _serve() -> None:
    """Do the tasks that are named on the input, and print the CPU seconds of each."""
    known = tasks()
    print(json.dumps(list(known)), flush=True)
    for line in sys.stdin:
        began = time.process_time()
        known[json.loads(line)]()
        print(json.dumps(time.process_time() - began), flush=True)


class Version:
    """A checkout at work.

    Args:
        folder: the checkout.
    """

    def __init__(self, folder: Path) -> None:
        # Its own programs are compiled by each: a cache on disk would be read by the second what the first has written.
        left_out = ("JAX_COMPILATION_CACHE_DIR",)
        self._environment = {name: text for name, text in os.environ.items() if name not in left_out}
        self._environment["PYTHONPATH"] = str(folder / "src")
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def reply(self) -> Any:
        """Return the next line that it prints."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a checkout failed; run it by PYTHONPATH=…/src python benchmarks/two_versions.py --serve")
        return json.loads(line)

    def cost(self, task: str) -> float:
        """Return the CPU seconds of a task."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        return self.reply()

    def whole_process(self, code: str) -> float:
        """Return the CPU seconds of a process that runs some code."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], env=self._environment, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def end(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def compared(before: Path, now: Path, rounds: int, only: str) -> None:
    """Print the ratios."""
    versions = [Version(before), Version(now)]
    names = [versions[0].reply(), versions[1].reply()][0]
    runs: dict[str, Callable[[Version], float]] = {
        name: lambda version, name=name: version.cost(name) for name in names
    }
    runs |= {
        "import": lambda version: version.whole_process("import downslope"),
        "start": lambda version: version.whole_process(START),
    }
    for name, run in runs.items():
        if only not in name:
            continue
        seconds: list[list[float]] = [[], []]
        few = name in ("import", "start")
        for number in range(-2 if not few else 0, rounds if not few else 5):
            order = (0, 1) if number % 2 else (1, 0)
            for which in order:
                cost = run(versions[which])
                if number >= 0:
                    seconds[which].append(cost)
        old, new = seconds
        medians, least = statistics.median(new) / statistics.median(old), min(new) / min(old)
        print(f"{name:28} {medians:5.3f} (least {least:5.3f}) of {statistics.median(old):.3f} s", flush=True)
    for version in versions:
        version.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, nargs="?")
    parser.add_argument("now", type=Path, nargs="?", default=Path(__file__).parent.parent)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="tasks whose name holds this")
    parser.add_argument("--serve", action="store_true")
    chosen = parser.parse_args()
    if chosen.serve:
        _serve()
    else:
        compared(chosen.before, chosen.now, chosen.rounds, chosen.only)
