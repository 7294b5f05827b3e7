"""Seconds from the command to the verdict, over those that JAX itself takes to start.

Whole processes, interleaved, with bytecode compiled and the cache of compiled programs warm, as on the second call of a
day; and with that cache off, as on the first.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from timing import arguments, interleaved, machine, median_ratio, publish, table

COMMAND = ["descend", "f(x) = x² - 4x + 5", "--start", "x=0", "--learning-rate", "0.1", "--steps", "20"]


def process(command: list[str], **variables: str) -> Callable[[], None]:
    """Return a run of a command in a process of its own."""
    environment = os.environ | variables

    def run() -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)

    return run


def main() -> None:
    """Time the parabola's command beside JAX's own start and print the ratios."""
    given = arguments(__doc__.splitlines()[0]).parse_args()
    subprocess.run([sys.executable, "-m", "compileall", "-q", "src"], check=False)
    downslope = str(Path(sys.executable).parent / "downslope")
    with tempfile.TemporaryDirectory() as cache:
        runs = {
            "python -c 'import jax; jax.devices()'": process([sys.executable, "-c", "import jax; jax.devices()"]),
            "downslope descend, warm": process([downslope, *COMMAND], XDG_CACHE_HOME=cache),
            "downslope descend, first": process([downslope, *COMMAND], JAX_COMPILATION_CACHE_DIR=""),
            "downslope --help": process([downslope, "--help"]),
        }
        seconds = interleaved(runs, given.rounds)
    base = seconds["python -c 'import jax; jax.devices()'"]
    results = {
        name: {"seconds": statistics.median(row), "ratio": median_ratio(row, base)} for name, row in seconds.items()
    }
    rows = [(f"`{name}`", f"{one['seconds']:.2f}", f"{one['ratio']:.2f}") for name, one in results.items()]
    text = f"{machine()}; medians of {given.rounds} interleaved runs.\n\n{table(('process', 'seconds', 'ratio'), rows)}"
    publish(given, "start_up", text, {"rows": results})


if __name__ == "__main__":
    main()
