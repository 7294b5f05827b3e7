"""What a look costs in models of millions of weights, of which samples stand for copies.

    python benchmarks/watching_large.py [--rounds 2] [--page docs/benchmarks.md]

CPU time of a step by one thread, the median of those without and with a look; watched and not, in turn.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch  # pyright: ignore[reportMissingImports]  # `make test-frameworks` installs it
from timing import arguments, machine, publish, table

import downslope as ds

nn, functional = torch.nn, torch.nn.functional

WIDTHS = (1800, 2600, 4000)
STEPS, EVERY, BATCH, ROUNDS = 31, 5, 64, 2


def steps(width: int, *, watched: bool) -> tuple[int, list[float], float]:
    """Return the weights, the CPU seconds of each step, and those of closing the watch."""
    torch.manual_seed(0)
    hidden: list[Any] = [nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
    model = nn.Sequential(*hidden, nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    watch = ds.watch(model, optimizer, every=EVERY, curvature_every=0) if watched else None
    inputs, targets, seconds = torch.randn(BATCH, 64), torch.randint(10, (BATCH,)), []
    for _ in range(STEPS):
        began = time.process_time()
        loss = functional.cross_entropy(model(inputs), targets)
        if watch is not None:
            watch.loss(loss)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.process_time() - began)
    began = time.process_time()
    if watch is not None:
        watch.close()
    return sum(part.numel() for part in model.parameters()), seconds, time.process_time() - began


def main() -> None:
    """Measure models of several widths, and print a table."""
    choices = arguments(__doc__ or "", rounds=ROUNDS).parse_args()
    torch.set_num_threads(1)
    heads = ("weights", "ms a step, alone", "no look", "a look", "every 10th, alone = 1", "ms to close")
    rows = []
    for width in WIDTHS:
        alone, without, looks, closed, size = [], [], [], [], 0
        for _ in range(choices.rounds):
            size, seconds, _ = steps(width, watched=False)
            alone += seconds[1:]
            _, seconds, end = steps(width, watched=True)
            looks += seconds[EVERY::EVERY]  # the first look finds the layers, and later ones know them
            without += [each for step, each in enumerate(seconds) if step % EVERY]
            closed.append(end)
        bare, plain, look = (1e3 * statistics.median(each) for each in (alone, without, looks))
        share = (0.9 * plain + 0.1 * look) / bare
        cells = f"{size / 1e6:.1f} M", f"{bare:.1f}", f"{plain:.1f}", f"{look:.1f}", f"{share:.3f}"
        rows.append((*cells, f"{1e3 * closed[-1]:.1f}"))
    text = f"{machine()}, PyTorch {torch.__version__}.\n\n{table(heads, rows)}"
    publish(choices, "watching_large", text, {"rows": rows})


if __name__ == "__main__":
    main()
