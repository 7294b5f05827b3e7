"""What the recorder costs: steps with a record over the same compiled steps without, and PyTorch's hooks beside them.

Four networks, Adam, random data. Without a record the loop still writes each step's loss and gradient norm, which it
needs to see whether they are finite. At the default cadence every tenth step also records, by layer, the norms of
weights, gradient and step, and of the activations mean, deviation, variation over examples, saturated and dead shares
and the norm of the gradient there. The hooks compute the same in PyTorch and keep them as tensors, so that nothing
waits for a number. A ratio is within one library, from runs that take turns; its spread is the quartiles over the
rounds.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import tempfile
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from timing import arguments, interleaved, machine, publish, table
from training import plan_of

CLASSES, RATE, ROWS = 10, 1e-3, 2048
PLAIN, DEFAULT, EVERY_STEP = "no record", "every 10th step", "every step"
HOOKS = {"hooks, every 10th step": 10, "hooks, every step": 1}
Runs = dict[str, Callable[[], Any]]


class Case(NamedTuple):
    """A network to watch.

    Args:
        shape: of one example.
        batch: examples of a step.
        count: steps of one run.
        choices: what `train` is told of it besides.
        peer: the same network in PyTorch.
    """

    shape: tuple[int, ...]
    batch: int
    count: int
    choices: Callable[[], dict[str, Any]]
    peer: Callable[[Any], Any]


def transformer() -> Any:
    """Return an Equinox transformer of four layers, 32 tokens of 32 numbers, 64 wide, its four heads averaged over."""
    import equinox
    import jax
    from jax import numpy as jnp

    nn = equinox.nn

    class Block(equinox.Module):
        before: Any
        attention: Any
        between: Any
        up: Any
        down: Any

        def __init__(self, key: Any) -> None:
            first, second, third = jax.random.split(key, 3)
            self.before, self.between = nn.LayerNorm(64), nn.LayerNorm(64)
            self.attention = nn.MultiheadAttention(4, 64, key=first)
            self.up, self.down = nn.Linear(64, 128, key=second), nn.Linear(128, 64, key=third)

        def __call__(self, tokens: Any) -> Any:
            seen = jax.vmap(self.before)(tokens)
            tokens = tokens + self.attention(seen, seen, seen)
            inner = jax.nn.relu(jax.vmap(self.up)(jax.vmap(self.between)(tokens)))
            return tokens + jax.vmap(self.down)(inner)

    class Transformer(equinox.Module):
        embedding: Any
        blocks: list[Any]
        head: Any

        def __init__(self) -> None:
            keys = jax.random.split(jax.random.key(0), 6)
            self.embedding, self.head = nn.Linear(32, 64, key=keys[0]), nn.Linear(64, CLASSES, key=keys[1])
            self.blocks = [Block(key) for key in keys[2:]]

        def __call__(self, tokens: Any) -> Any:
            tokens = jax.vmap(self.embedding)(tokens)
            for block in self.blocks:
                tokens = block(tokens)
            return self.head(jnp.mean(tokens, axis=0))

    return Transformer()


def dense_peer(torch: Any, sizes: Sequence[int]) -> Any:
    """Return a dense network in PyTorch."""
    nn = torch.nn
    layers: list[Any] = [nn.Flatten()]
    for inputs, units in itertools.pairwise(sizes):
        layers += [_rectified(nn.Linear(inputs, units)), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], CLASSES))


def convolution_peer(torch: Any) -> Any:
    """Return the small convolutional network in PyTorch."""
    nn = torch.nn
    first, second = _rectified(nn.Conv2d(1, 8, 3, padding=1)), _rectified(nn.Conv2d(8, 16, 3, padding=1))
    pooled: list[Any] = [
        nn.Unflatten(1, (1, 28)),
        first,
        nn.ReLU(),
        nn.MaxPool2d(2),
        second,
        nn.ReLU(),
        nn.MaxPool2d(2),
    ]
    return nn.Sequential(*pooled, nn.Flatten(), _rectified(nn.Linear(784, 64)), nn.ReLU(), nn.Linear(64, CLASSES))


def transformer_peer(torch: Any) -> Any:
    """Return the transformer in PyTorch, each of its products a layer of its own as in Equinox."""
    nn, attend = torch.nn, torch.nn.functional.scaled_dot_product_attention

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.between = nn.LayerNorm(64), nn.LayerNorm(64)
            self.products = nn.ModuleList(nn.Linear(64, 64, bias=False) for _ in range(4))
            self.up, self.down = _rectified(nn.Linear(64, 128)), nn.Linear(128, 64)

        def forward(self, tokens: Any) -> Any:
            seen = self.before(tokens)
            heads = [product(seen).unflatten(-1, (4, 16)).transpose(1, 2) for product in self.products[:3]]
            tokens = tokens + self.products[3](attend(*heads).transpose(1, 2).flatten(2))
            return tokens + self.down(torch.relu(self.up(self.between(tokens))))

    class Mean(nn.Module):
        def forward(self, tokens: Any) -> Any:
            return tokens.mean(1)

    return nn.Sequential(nn.Linear(32, 64), *(Block() for _ in range(4)), Mean(), nn.Linear(64, CLASSES))


def _rectified(layer: Any) -> Any:
    """Return a layer marked as one that a ReLU follows."""
    layer.rectified = True
    return layer


CASES = {
    "784 → 256 → 256 → 10, batches of 128": Case(
        (784,), 128, 100, lambda: {"hidden": (256, 256)}, lambda torch: dense_peer(torch, (784, 256, 256))
    ),
    "30 layers of 64, batches of 32": Case(
        (64,), 32, 200, lambda: {"hidden": (64,) * 30}, lambda torch: dense_peer(torch, (64,) * 31)
    ),
    "convolutions of 8 and 16 on 28 × 28, batches of 32": Case(
        (28, 28), 32, 50, lambda: {"convolutions": (8, 16), "hidden": (64,)}, convolution_peer
    ),
    "transformer of 4 layers, 32 tokens, 64 wide, batches of 32": Case(
        (32, 32), 32, 20, lambda: {"model": transformer()}, transformer_peer
    ),
}


def data_of(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return random inputs and classes."""
    random = np.random.default_rng(0)
    return random.normal(size=(ROWS, *case.shape)).astype(np.float32), random.integers(0, CLASSES, ROWS)


def ours(case: Case) -> Runs:
    """Return our compiled loop without a record, at the default cadence, and recording at every step."""
    plan = plan_of(
        data=data_of(case), batch=case.batch, learning_rate=RATE, validation=0, task="classes", **case.choices()
    )
    blind = dataclasses.replace(plan.objective.batched, seen=None, nudges=None, layers=())
    return {
        PLAIN: program(plan, blind, case, case.count),
        DEFAULT: program(plan, plan.objective.batched, case, 10),
        EVERY_STEP: program(plan, plan.objective.batched, case, 1),
    }


def program(plan: Any, batched: Any, case: Case, every: int) -> Callable[[], Any]:
    """Return a run of the compiled loop that records at so many steps."""
    from downslope import _tree
    from downslope._engine import jax, precision
    from downslope.descent._recipe import arguments_of
    from downslope.descent.batches._batched import Order
    from downslope.descent.batches._loop import BatchRecipe, batch_program

    parts = len(_tree.part_names(plan.start))
    recipe = BatchRecipe(batched, plan.method, plan.schedule, (False, False), case.count, every, 1, False, parts)
    ready, given = batch_program(recipe), arguments_of(plan)
    with precision("float32"):
        examples = jax().tree.map(jax().numpy.asarray, batched.examples)
        order = jax().numpy.asarray(Order(ROWS, case.batch, 0).of_steps(0, case.count))
        state = ready.begin(plan.start, batched.memory, given.settings)

    def run() -> Any:
        with precision("float32"):
            chunk = ready.run(state, np.int32(case.count), examples, order, given)
            return np.asarray(chunk.every_step), np.asarray(chunk.recorded)

    return run


class Watch:
    """What the recorder computes, by hooks of PyTorch.

    Args:
        torch: the module.
        model: the network.
        every: steps from one recording step to the next.
    """

    def __init__(self, torch: Any, model: Any, every: int) -> None:
        self._torch, self._every, self._on = torch, every, False
        self._parameters = list(model.parameters())
        self._rows: list[Any] = []
        self.record: list[Any] = []
        self._hooks = [
            module.register_forward_hook(self._seen)
            for module in model.modules()
            if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)
        ]

    def before(self, step: int) -> None:
        """Begin a step."""
        self._on = step % self._every == 0
        self._rows = []

    def stepping(self) -> None:
        """Note the weights before they change."""
        if self._on:
            self._held = [parameter.detach().clone() for parameter in self._parameters]

    def stepped(self) -> None:
        """Keep the norms of weights, gradient and step, and what the layers did."""
        if not self._on:
            return
        norm, now = self._torch._foreach_norm, [parameter.detach() for parameter in self._parameters]
        slopes = [parameter.grad for parameter in self._parameters]
        moved = self._torch._foreach_sub(now, self._held)
        self.record.append((norm(self._held), norm(slopes), norm(moved), self._rows))

    def end(self) -> None:
        """Take the hooks away."""
        for hook in self._hooks:
            hook.remove()

    def _seen(self, module: Any, _: Any, output: Any) -> None:
        if not self._on:
            return
        torch = self._torch
        rectified = getattr(module, "rectified", False)
        inward = output.detach()
        outward = torch.relu(inward) if rectified else inward
        row = [outward.mean(), outward.std(), outward.var(0).mean().sqrt()]
        if rectified:
            flat = inward <= 0
            # Channels stand second, units last; a unit is dead if it is flat wherever else one looks.
            axes = (0, 2, 3) if inward.ndim == 4 else tuple(range(inward.ndim - 1))
            row += [flat.float().mean(), flat.all(axes[-1]).float().mean() if len(axes) == 1 else _all(flat, axes)]
        output.register_hook(lambda slope: row.append(slope.norm()))
        self._rows.append(row)


def _all(flat: Any, axes: Sequence[int]) -> Any:
    """Return the share of units that are flat along all these axes."""
    for axis in sorted(axes, reverse=True):
        flat = flat.all(axis)
    return flat.float().mean()


def torch_runs(case: Case) -> Runs:
    """Return PyTorch's loop plain, and with hooks; none where there is no PyTorch."""
    try:
        import torch  # pyright: ignore[reportMissingImports]  # a peer, which make bench installs
    except ImportError:
        return {}
    torch.set_num_threads(1)
    inputs, targets = data_of(case)
    rows, classes = torch.from_numpy(inputs), torch.from_numpy(targets).long()
    order = torch.from_numpy(np.random.default_rng(0).integers(0, ROWS, (case.count, case.batch)))
    measure = torch.nn.CrossEntropyLoss()

    def loop(model: Any, watch: Watch | None, told: Callable[[Any], None] = lambda _: None) -> None:
        rule, losses = torch.optim.Adam(model.parameters(), lr=RATE, fused=True), []
        for step in range(case.count):
            if watch is not None:
                watch.before(step)
            rule.zero_grad()
            value = measure(model(rows[order[step]]), classes[order[step]])
            value.backward()
            if watch is not None:
                watch.stepping()
            rule.step()
            if watch is not None:
                watch.stepped()
            losses.append(value.detach())
            told(losses[-1])

    def hooked(every: int) -> Callable[[], None]:
        model = case.peer(torch)

        def run() -> None:
            watch = Watch(torch, model, every)
            loop(model, watch)
            watch.end()

        return run

    plain = case.peer(torch)
    runs: Runs = {PLAIN: lambda: loop(plain, None)} | {name: hooked(every) for name, every in HOOKS.items()}
    return runs | _wandb(case.peer(torch), loop)


def _wandb(model: Any, loop: Callable[..., None]) -> Runs:
    """Return the loop under `wandb.watch`, writing to disk alone; none where there is no wandb."""
    try:
        import wandb  # pyright: ignore[reportMissingImports]  # a peer, which make bench installs
    except ImportError:
        return {}
    os.environ.update({"WANDB_SILENT": "true", "WANDB_DIR": tempfile.mkdtemp()})
    if wandb.run is None:
        wandb.init(mode="offline", project="watching")
    wandb.watch(model, log="all", log_freq=10)
    return {"wandb.watch, every 10th step": lambda: loop(model, None, lambda loss: wandb.log({"loss": loss}))}


def measured(case: Case, rounds: int) -> list[dict[str, Any]]:
    """Return a row for every way to watch a network, within each library over the one that keeps no record."""
    found = []
    for library, runs in (("downslope", ours(case)), ("PyTorch", torch_runs(case))):
        if not runs:
            print("left out: PyTorch (not installed here)")
            continue
        if library == "PyTorch" and "wandb.watch, every 10th step" not in runs:
            print("left out: wandb.watch (not installed here)")
        seconds = interleaved(runs, rounds)
        for name, row in seconds.items():
            ratios = [one / other for one, other in zip(row, seconds[PLAIN], strict=True)]
            low, middle, high = np.percentile(ratios, [25, 50, 75]).tolist()
            each = 1e6 * median(row) / case.count
            found.append(
                {"library": library, "record": name, "us_per_step": each, "ratio": middle, "quartiles": [low, high]}
            )
    return found


def main() -> None:
    """Time every way to watch every network and print the ratios."""
    parser = arguments((__doc__ or "").splitlines()[0], rounds=15)
    parser.add_argument("--only", help="networks whose name holds this")
    given = parser.parse_args()
    results, texts = {}, []
    for name, case in CASES.items():
        if given.only and given.only not in name:
            continue
        results[name] = measured(case, given.rounds)
        rows = [
            (
                f"{one['library']}, {one['record']}",
                f"{one['us_per_step']:.1f}",
                f"{one['ratio']:.3f}",
                "{:.3f} to {:.3f}".format(*one["quartiles"]),
            )
            for one in results[name]
        ]
        texts.append(f"{name}:\n\n{table(('record', 'µs a step', 'no record = 1', 'quartiles'), rows)}")
    text = f"{machine()}; medians of {given.rounds} interleaved runs.\n\n" + "\n\n".join(texts)
    publish(given, "watching", text, {"rows": results})


if __name__ == "__main__":
    main()
