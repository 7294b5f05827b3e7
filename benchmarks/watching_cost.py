"""What watching a PyTorch loop costs: CPU time of watched steps over the same steps unwatched.

Three networks on random data: dense 784-256-256-10 with batches of 128, convolutions on 28 × 28 pixels with batches of
32, a transformer of four layers on 32 tokens with batches of 32; all with Adam. Blocks of 100 steps, flush and journal
included, take turns, each on a model of its own; a ratio is the median over the rounds of those of neighbouring blocks.
`wandb.watch(log="all")` and TensorBoard histograms of weights and gradients run beside them where they are installed.

Looks at the curvature come at the start, at step 100 and each time that the steps have doubled: `once` is what a watch
costs beyond its steps over a run of 2000 steps, with comparison of the rows seen and the curvature, as a share.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch  # pyright: ignore[reportMissingImports]  # `make test-frameworks` installs it
from torch import nn  # pyright: ignore[reportMissingImports]

import downslope as ds

BLOCK = 100
Step = Callable[[], None]


def dense() -> tuple[nn.Module, tuple[int, ...], int]:
    return (
        nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)),
        (784,),
        128,
    )


def convolutions() -> tuple[nn.Module, tuple[int, ...], int]:
    return (
        nn.Sequential(
            *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1568, 10)),
        ),
        (1, 28, 28),
        32,
    )


class Tokens(nn.Module):
    """A transformer over 32 tokens of 16 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(16, 64)
        layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, activation="gelu", batch_first=True)
        self.encoder, self.last = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False), nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of sequences."""
        return self.last(self.encoder(self.embed(x)).mean(1))


NETWORKS: dict[str, Callable[[], tuple[nn.Module, tuple[int, ...], int]]] = {
    "dense": dense,
    "convolutions": convolutions,
    "transformer": lambda: (Tokens(), (32, 16), 32),
}


def loop_of(network: str, watcher: Callable[[nn.Module, torch.optim.Optimizer], Any]) -> Step:
    """Return what takes a block of steps on a model of its own, looked at by a watcher."""
    torch.manual_seed(0)
    model, shape, batch = NETWORKS[network]()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    rows = torch.randn(2048, *shape)
    targets = torch.randint(10, (2048,))
    loss_seen, step_seen = watcher(model, optimizer)
    draw = torch.Generator().manual_seed(1)

    def block() -> None:
        for _ in range(BLOCK):
            chosen = torch.randint(2048, (batch,), generator=draw)
            loss = nn.functional.cross_entropy(model(rows[chosen]), targets[chosen])
            loss_seen(loss)
            loss.backward()
            step_seen()
            optimizer.step()
            optimizer.zero_grad()

    return block


def _nothing(*_: Any) -> None:
    return None


def unwatched(model: nn.Module, optimizer: Any) -> tuple[Any, Any]:
    return _nothing, _nothing


def watched(folder: Path | None, **choices: Any) -> Any:
    def begin(model: nn.Module, optimizer: Any) -> tuple[Any, Any]:
        # Kept by the method that is returned.
        return ds.watch(model, optimizer, folder, **choices).loss, _nothing

    return begin


def histograms(folder: Path, every: int) -> Any:
    """TensorBoard's histograms of weights and gradients."""
    from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]

    writer = SummaryWriter(str(folder))

    def begin(model: nn.Module, optimizer: Any) -> tuple[Any, Any]:
        taken = [0]

        def step() -> None:
            taken[0] += 1
            if taken[0] % every == 0:
                for name, part in model.named_parameters():
                    writer.add_histogram(name, part.detach().numpy(), taken[0])
                    writer.add_histogram(f"{name}/gradient", part.grad.numpy(), taken[0])

        return _nothing, step

    return begin


@contextlib.contextmanager
def weights_and_biases(folder: Path, every: int) -> Iterator[Any]:
    """The hooks of `wandb.watch`, offline."""
    import wandb  # pyright: ignore[reportMissingImports]

    run = wandb.init(mode="offline", dir=str(folder), settings=wandb.Settings(silent=True))

    def begin(model: nn.Module, optimizer: Any) -> tuple[Any, Any]:
        run.watch(model, log="all", log_freq=every)
        return (lambda loss: run.log({"loss": loss.detach()})), _nothing

    yield begin
    run.finish()


def ratios(blocks: dict[str, Step], rounds: int) -> dict[str, float]:
    """Return the CPU time of each block over that of the first, medians over rounds in which they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in blocks}
    for block in blocks.values():
        block()
    for _ in range(rounds):
        for name, block in blocks.items():
            began = time.process_time()
            block()
            seconds[name].append(time.process_time() - began)
    plain = next(iter(seconds.values()))
    return {name: statistics.median(a / b for a, b in zip(own, plain, strict=True)) for name, own in seconds.items()}


def whole(network: str, steps: int) -> float:
    """Return the CPU time of a watched run of some steps, from its begin to its close, over that of one unwatched."""
    seconds = []
    for choice in (False, True):
        closing: list[Any] = []

        def begin(model: nn.Module, optimizer: Any, closing: list[Any] = closing, choice: bool = choice) -> Any:
            if not choice:
                return _nothing, _nothing
            closing.append(ds.watch(model, optimizer))
            return closing[0].loss, _nothing

        block = loop_of(network, begin)
        began = time.process_time()
        for _ in range(steps // BLOCK):
            block()
        for watch in closing:
            watch.close()
        seconds.append(time.process_time() - began)
    return seconds[1] / seconds[0]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--peers", action="store_true", help="trackers as well")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, dict[str, float]] = {}
    for network in chosen.networks:
        with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
            folder = Path(place)
            watchers: dict[str, Any] = {
                "unwatched": unwatched,
                "every=10": watched(None, every=10, curvature_every=0),
                "every=10, journal": watched(folder / "run", every=10, curvature_every=0),
                "every=1": watched(None, every=1, curvature_every=0),
                "every=0": watched(None, every=0),
            }
            if chosen.peers:
                watchers["TensorBoard, every 10th"] = histograms(folder / "board", 10)
                watchers["W&B, every 10th"] = stack.enter_context(weights_and_biases(folder, 10))
            results[network] = ratios({name: loop_of(network, each) for name, each in watchers.items()}, chosen.rounds)
            results[network]["a run of 2000 steps, all of it"] = whole(network, 2000)
        for name, ratio in results[network].items():
            print(f"{network:14s} {name:32s} {ratio:5.2f}", flush=True)
    if chosen.out is not None:
        chosen.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
