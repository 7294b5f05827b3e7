"""What a training on a Parquet file needs of memory and time, in memory and streamed, by the rows of the file.

    python -m benchmarks.scale rows --rows 1e7

Each training has a process of its own, whose largest resident memory is read when it ends.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS, PIECE, GROUP = 10, 1_000_000, 1 << 17
_CHILD = "from benchmarks.scale_rows import trained; trained()"


def write(file: Path, rows: int) -> None:
    """Write a file of so many rows, a piece at a time."""
    import polars

    pieces = []
    for number, begin in enumerate(range(0, rows, PIECE)):
        random = np.random.default_rng(number)
        columns = random.normal(size=(COLUMNS, min(PIECE, rows - begin)))
        frame = {f"x{index}": column for index, column in enumerate(columns)}
        frame["y"] = np.sin(columns[0]) + columns[1] * columns[2] + 0.1 * random.normal(size=columns.shape[1])
        pieces.append(file.with_name(f"piece-{number:04}.parquet"))
        polars.DataFrame(frame).write_parquet(pieces[-1])
    polars.scan_parquet(pieces).sink_parquet(file, row_group_size=GROUP)
    for piece in pieces:
        piece.unlink()


def trained() -> None:
    """Train on the file and in the way that standard input says, and print what that took."""
    import downslope as ds

    said = json.loads(sys.stdin.read())
    file, streaming, steps = said["file"], said["streaming"], said["steps"]
    choices: dict[str, Any] = {"hidden": (32,), "batch": 1024, "probe_every": 0, "layers_every": 0}
    setup = ds.Setup.of(None, file, "y", steps=steps, streaming=streaming, **choices)
    began = time.process_time()
    _ = setup.task
    read = time.process_time() - began
    began = time.process_time()
    training = setup.train(progress=False)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shown = {"peak": memory, "read": read, "trained": time.process_time() - began, "r2": training.metrics}
    print(json.dumps(shown))


def rows(most: int, steps: int) -> None:
    """Print peak memory and CPU seconds for files of up to so many rows."""
    with tempfile.TemporaryDirectory() as folder:
        for count in (most // 100, most // 10, most):
            file = Path(folder) / f"{count}.parquet"
            write(file, count)
            for streaming in (True, False):
                said = json.dumps({"file": str(file), "streaming": streaming, "steps": steps})
                command = [sys.executable, "-c", _CHILD]
                child = subprocess.run(command, input=said, capture_output=True, text=True, check=True)
                shown = json.loads(child.stdout)
                way = "streamed " if streaming else "in memory"
                print(
                    f"{count:>10} rows, {file.stat().st_size / 1e6:6.0f} MB, {way}: "
                    f"peak {shown['peak']:6.0f} MB, read in {shown['read']:5.1f} s, {steps} steps in "
                    f"{shown['trained']:5.1f} s of CPU, R² {shown['r2']['validation_r2']:.4f}",
                    flush=True,
                )
            file.unlink()
