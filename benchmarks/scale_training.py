"""Two processes that train together: losses beside those of one, kills of either, and what is resumed.

    python benchmarks/scale_training.py [--kills 20] [--steps 600] [--divided]

One run is killed again and again, process 0 and process 1 in turn at random moments, and started again with `resume`,
until it has been killed so many times each; then it goes on to its end. Printed are the largest difference of the first
ten losses from those of one process, the seconds until the survivor was gone, how many survivors named the dead process
and exited with code 75, and whether the end has the bits of a run that was never killed. With `--divided` each process
holds and writes its part of Adam's moments.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import downslope as ds

_CHOICES: dict[str, Any] = {
    "data": "iris", "hidden": (8,), "batch": 64, "normalisation": "batch", "dropout": 0.1, "keep": "best",
    "evaluate_every": 50, "probe_every": 0,
}  # fmt: skip
_MOST_SECONDS = 600


def _child(folder: str, steps: int) -> None:
    """Train as one of the processes that the environment describes, and print each step that was reached."""
    from downslope.descent.batches import _descent

    # All is written after each chunk, and chunks are short, so that kills meet every moment of writing.
    _descent._WRITE_SECONDS, _descent._SNAPSHOT_SHARE, _descent._CHUNK_SECONDS = 0.0, 1.0, 0.02
    ds.join_hosts()

    def show(done: int, steps: int, value: float) -> None:
        print(done, flush=True)

    divided = "DIVIDED" in os.environ
    ds.train(**_CHOICES, steps=steps, devices="all", divide_state=divided, save=folder, resume=True, progress=show)


def _started(folder: Path, steps: int) -> list[subprocess.Popen[str]]:
    """Start two processes that train together."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    environment = os.environ | {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": "2"}
    return [
        subprocess.Popen(
            [sys.executable, __file__, "--child", str(folder), "--steps", str(steps)],
            env=environment | {"JAX_PROCESS_ID": str(number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (0, 1)
    ]


def _killed(folder: Path, steps: int, victim: int, after: int, delay: float) -> tuple[float, bool]:
    """Kill one of two processes after so many chunks; return the survivor's seconds, and whether it named the dead."""
    processes = _started(folder, steps)
    stdout = processes[victim].stdout
    assert stdout is not None
    for _ in range(after):
        if not stdout.readline():
            break
    time.sleep(delay)
    processes[victim].send_signal(signal.SIGKILL)
    began = time.monotonic()
    survivor = processes[1 - victim]
    _, told = survivor.communicate(timeout=_MOST_SECONDS)
    seconds = time.monotonic() - began
    processes[victim].communicate()
    return seconds, survivor.returncode == 75 and f"process {victim} of 2" in told


def _whole(folder: Path, steps: int) -> ds.Trace:
    """Train in two processes to the end."""
    processes = _started(folder, steps)
    for process in processes:
        _, told = process.communicate(timeout=_MOST_SECONDS)
        if process.returncode:
            raise RuntimeError(told)
    return _trace(folder)


def _trace(folder: Path) -> ds.Trace:
    trace = ds.load(folder)
    assert isinstance(trace, ds.Trace)
    return trace


def train(kills: int = 20, steps: int = 600) -> bool:
    """Run the benchmark with so many kills of each process; print what came and tell whether all was right."""
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as temporary:
        whole = _whole(Path(temporary) / "whole", steps)
        single = ds.train(**_CHOICES, steps=steps, progress=False).trace
        apart = float(np.abs(whole.recorded["value"][:10] - single.recorded["value"][:10]).max())
        print(f"first ten losses: at most {apart:.1e} from those of one process")
        folder, survivors = Path(temporary) / "run", []
        # Each start gets a few chunks further, so that all kills fall within the run.
        for kill in range(2 * kills):
            seconds, spoke = _killed(folder, steps, kill % 2, chance.randint(1, 3), chance.uniform(0, 0.05))
            survivors.append((seconds, spoke))
            reached = _trace(folder).recorded["step"]
            print(f"kill {kill + 1} of process {kill % 2} at {len(reached)} rows: {seconds:.1f} s, {spoke}", flush=True)
        resumed = _whole(folder, steps)
    same = [np.array_equal(resumed.end[name], leaf) for name, leaf in whole.end.items()]
    for kind in ("recorded", "metrics"):
        one, other = getattr(resumed, kind), getattr(whole, kind)
        same += [np.array_equal(one[name], column, equal_nan=True) for name, column in other.items()]
    slowest, spoken = max((s for s, _ in survivors), default=0.0), sum(spoke for _, spoke in survivors)
    print(f"{len(survivors)} kills: {spoken} survivors said so and exited with 75, the slowest after {slowest:.1f} s")
    print(f"the end of the killed run {'has' if all(same) else 'has NOT'} the bits of the one that was not killed")
    return apart <= 1e-6 and slowest <= 30 and spoken == len(survivors) and all(same)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--child")
    parser.add_argument("--divided", action="store_true", help="divide Adam's moments between the processes")
    given = parser.parse_args()
    if given.divided:
        os.environ["DIVIDED"] = "1"  # for the processes that train
    if given.child:
        _child(given.child, given.steps)
    else:
        sys.exit(not train(given.kills, given.steps))
