"""A watched training that is killed at random moments and goes on from its checkpoint; prints what was left, as JSON.

Called with a folder and how many kills. The children are forked, so that PyTorch is imported once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import downslope as ds
from downslope.watching import _rows

STEPS, FLUSH, SAVED = 150, 5, 20


def train(folder: Path, pipe: int | None = None) -> ds.Trace:
    """Train in a folder, from the checkpoint that is there; write each step that begins to a pipe."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    x, y = torch.randn(400, 6), torch.randint(3, (400,))
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    watch = ds.watch(model, optimizer, folder / "run", every=FLUSH, flush=FLUSH, rows=0, overwrite=True)
    first, file = 0, folder / "last.pt"
    if file.exists():
        kept = torch.load(file)
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        watch.load_state_dict(kept["watch"])
        first = kept["step"]
    for step in range(first, STEPS):
        if pipe is not None:
            os.write(pipe, f"{step}\n".encode())
        rows = torch.arange(8) + step
        loss = watch.loss(nn.functional.cross_entropy(model(x[rows]), y[rows]))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % SAVED == SAVED - 1:
            states = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "watch": watch.state_dict()}
            torch.save({**states, "step": step + 1}, folder / "next.pt")
            os.replace(folder / "next.pt", file)
    return watch.close()


def killed(folder: Path, until: int, chance: random.Random) -> int:
    """Train in a child that is killed within a step or soon after; return the last step that it began, −1 for none."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        train(folder, writer)
        os._exit(0)
    os.close(writer)
    last = -1
    with os.fdopen(reader) as begun:
        for line in begun:
            last = int(line)
            if last == until:
                time.sleep(chance.uniform(0, 0.004))
                os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return last


def differences(left: ds.Trace, whole: ds.Trace) -> list[str]:
    """Return the columns whose rows are others than those of the unbroken training."""
    rows = len(left.recorded["step"])
    looks = 0 if left.layer_steps is None else len(left.layer_steps)
    pairs = [(left.recorded[name], whole.recorded[name][:rows], name) for name in left.recorded]
    for table in ("part_columns", "layer_columns"):
        ours, theirs = getattr(left, table), getattr(whole, table)
        pairs += [(np.asarray(ours[name]), np.asarray(theirs[name])[:looks], name) for name in ours]
    return [name for ours, theirs, name in pairs if not np.array_equal(ours, theirs, equal_nan=True)]


def main() -> None:
    """Kill trainings again and again, each four times before it comes to its end."""
    folder, kills = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    _rows._WRITE_SECONDS = 0.0  # on disk with each flush
    chance = random.Random(0)
    whole = train(folder / "whole")
    said: list[dict[str, Any]] = []
    for number in range(0, kills, 4):
        training = folder / str(number)
        for until in sorted(chance.sample(range(STEPS), 4)):
            last = killed(training, until, chance)
            left = ds.load_trace(training / "run") if (training / "run" / "trace.json").exists() else None
            rows = 0 if left is None else len(left.recorded["step"])
            said.append({"began": last, "rows": rows, "differences": [] if left is None else differences(left, whole)})
        ended = train(training)
        said[-1] |= {"ended": len(ended.recorded["step"]), "end_differences": differences(ended, whole)}
    print(json.dumps(said))


if __name__ == "__main__":
    main()
