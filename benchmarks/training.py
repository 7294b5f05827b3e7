"""Train a small network on digits by several tools: steps a second, seconds to compile, seconds to 96 %.

A network 64 → 64 → 64 → 10 with ReLU, batches of 32, Adam at a rate of 0.001. Every tool has the same rows,
standardised alike, and begins from the same weights; all but Keras, which shuffles for itself, see the same batches in
the same order and go the same way. Each runs in a process of its own, so that none disturbs another's threads, and they
take turns. PyTorch has one thread and its fused Adam, which are its fastest here.

The loops keep each step's loss and nothing else. Ours keeps its whole record: loss and gradient at every step, norms,
activations and dead units by layer at every tenth, some forty evaluations, and looks at curvature and noise.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from timing import arguments, interleaved, machine, median_ratio, publish, table

STEPS, BATCH, RATE, EVALUATE_EVERY, TARGET = 2000, 32, 1e-3, 50, 0.96
MOST = 2000  # steps on the way to the target
OURS = "downslope, its whole record"


class Work(NamedTuple):
    """What all train: rows and those held back, weights to begin with, and the rows of each step."""

    inputs: np.ndarray
    targets: np.ndarray
    held_inputs: np.ndarray
    held_targets: np.ndarray
    weights: list[np.ndarray]
    order: np.ndarray


class Ready(NamedTuple):
    """A tool that is ready: `steps()` trains for all the steps, `target()` until it is good and returns the steps."""

    steps: Callable[[], Any]
    target: Callable[[], int]


def plan_of(model: Any = None, data: Any = None, target: Any = None, **choices: Any) -> Any:
    """Return the plan that `train` makes, so that it can be gone down again without compiling anew."""
    from downslope.networks import Setup

    return Setup.of(model, data, target, **choices).plan()


def our_plan(steps: int, **choices: Any) -> Any:
    return plan_of(data="digits", hidden=(64, 64), batch=BATCH, learning_rate=RATE, steps=steps, **choices)


def ours(work: Work, **choices: Any) -> Ready:
    """Return our training; as it stops at a step and not at a score, the evaluation that is good enough cuts it off."""
    from downslope.descent import descend_batches

    whole, evaluated = our_plan(STEPS, **choices), our_plan(MOST, **{**choices, "evaluate_every": EVALUATE_EVERY})
    batched = evaluated.objective.batched
    looks = []

    def assess(*given: Any) -> Any:
        found = batched.assess(*given)
        looks.append(found["validation_accuracy"])
        if looks[-1] >= TARGET:
            raise _Reached
        return found

    cut = replace(evaluated, objective=replace(evaluated.objective, batched=replace(batched, assess=assess)))

    def target() -> int:
        looks.clear()
        try:
            descend_batches(cut, progress=False)
        except _Reached:
            return EVALUATE_EVERY * (len(looks) - 1)
        return MOST

    return Ready(lambda: descend_batches(whole, progress=False), target)


class _Reached(Exception):  # noqa: N818 (it is the good end)
    """An evaluation was as good as was asked for."""


def optax(work: Work) -> Ready:
    """Return a jitted step called from a Python loop."""
    import jax
    import optax
    from jax import numpy as jnp

    rule = optax.adam(RATE)
    inputs, targets, held = (jnp.asarray(array) for array in (work.inputs, work.targets, work.held_inputs))

    def outputs(weights: Any, rows: Any) -> Any:
        first, b, second, c, third, d = weights
        return jax.nn.relu(jax.nn.relu(rows @ first + b) @ second + c) @ third + d

    def loss(weights: Any, chosen: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(outputs(weights, inputs[chosen]), targets[chosen]).mean()

    @jax.jit
    def step(weights: Any, state: Any, chosen: Any) -> Any:
        value, slope = jax.value_and_grad(loss)(weights, chosen)
        update, state = rule.update(slope, state)
        return optax.apply_updates(weights, update), state, value

    predicted = jax.jit(lambda weights: outputs(weights, held).argmax(-1))

    def go(steps: int, good: Callable[[Any], bool]) -> int:
        weights = [jnp.asarray(one) for one in work.weights]
        state, losses = rule.init(weights), []
        for number in range(steps):
            if good(weights) if number % EVALUATE_EVERY == 0 else False:
                return number
            weights, state, value = step(weights, state, work.order[number])
            losses.append(value)
        jax.block_until_ready((weights, losses))
        return steps

    def is_good(weights: Any) -> bool:
        return bool(np.mean(np.asarray(predicted(weights)) == work.held_targets) >= TARGET)

    return Ready(lambda: go(STEPS, lambda _: False), lambda: go(MOST, is_good))


def torch(work: Work, *, compiled: bool) -> Ready:
    """Return PyTorch's loop, eager or with its model compiled."""
    import torch  # pyright: ignore[reportMissingImports]  # a peer, which make bench installs

    torch.set_num_threads(1)
    inputs, held = torch.from_numpy(work.inputs), torch.from_numpy(work.held_inputs)
    targets, order = torch.from_numpy(work.targets).long(), torch.from_numpy(work.order).long()
    nn = torch.nn
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    called = torch.compile(model) if compiled else model
    measure = nn.CrossEntropyLoss()

    def begin() -> Any:
        with torch.no_grad():
            for parameter, weight in zip(model.parameters(), work.weights, strict=True):
                parameter.copy_(torch.from_numpy(weight.T if weight.ndim == 2 else weight))
        return torch.optim.Adam(model.parameters(), lr=RATE, fused=True)

    def go(steps: int, good: Callable[[], bool]) -> int:
        rule, losses = begin(), []
        for number in range(steps):
            if number % EVALUATE_EVERY == 0 and good():
                return number
            chosen = order[number]
            rule.zero_grad()
            value = measure(called(inputs[chosen]), targets[chosen])
            value.backward()
            rule.step()
            losses.append(value.detach())
        return steps

    def is_good() -> bool:
        with torch.no_grad():
            return bool(np.mean(model(held).argmax(-1).numpy() == work.held_targets) >= TARGET)

    return Ready(lambda: go(STEPS, lambda: False), lambda: go(MOST, is_good))


def keras(work: Work) -> Ready:
    """Return Keras on JAX by `fit`, which shuffles for itself and evaluates after each epoch."""
    import keras  # pyright: ignore[reportMissingImports]  # a peer, which make bench installs

    layers = keras.layers
    stack = [layers.Dense(64, "relu"), layers.Dense(64, "relu"), layers.Dense(10)]
    model = keras.Sequential([layers.Input((64,)), *stack])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    per_epoch = -(-len(work.inputs) // BATCH)

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            self.model.stop_training = (logs or {}).get("val_accuracy", 0.0) >= TARGET

    def begin() -> None:
        model.set_weights(work.weights)
        model.optimizer.build(model.trainable_variables)
        for variable in model.optimizer.variables:
            if "learning_rate" not in variable.path:
                variable.assign(variable * 0)

    def fit(steps: int, **more: Any) -> int:
        begin()
        epochs = round(steps / per_epoch)
        told = model.fit(work.inputs, work.targets, batch_size=BATCH, epochs=epochs, verbose=0, **more)
        return per_epoch * len(told.epoch)

    model.compile(keras.optimizers.Adam(RATE, epsilon=1e-8), loss, metrics=["accuracy"])
    held = (work.held_inputs, work.held_targets)
    return Ready(lambda: fit(STEPS), lambda: fit(MOST, validation_data=held, callbacks=[Stop()]))


TOOLS: dict[str, Callable[[Work], Ready]] = {
    OURS: ours,
    "downslope, no evaluations, no curvature": lambda work: ours(work, evaluate_every=STEPS, probe_every=0),
    "Optax, a jitted step per Python iteration": optax,
    "PyTorch, eager": lambda work: torch(work, compiled=False),
    "PyTorch, torch.compile": lambda work: torch(work, compiled=True),
    "Keras on JAX, fit": keras,
}


def work_of() -> Work:
    """Return the work, as our own plan has it."""
    from downslope._tree import leaves, part_names
    from downslope.descent.batches._batched import Order

    plan = our_plan(STEPS)
    inputs, targets = plan.objective.batched.examples
    held_inputs, held_targets = plan.objective.batched.held_out
    named = dict(zip(part_names(plan.start), map(np.asarray, leaves(plan.start)), strict=True))
    layers = dict.fromkeys(name.rsplit("/", 1)[0] for name in named)
    weights = [named[f"{layer}/{kind}"] for layer in layers for kind in ("weight", "bias")]
    order = Order(len(inputs), BATCH, 0).of_steps(0, STEPS)
    flat = (np.asarray(rows, np.float32).reshape(len(rows), -1) for rows in (inputs, held_inputs))
    rows, held_rows = flat
    return Work(rows, np.asarray(targets), held_rows, np.asarray(held_targets), weights, order)


class Served:
    """A tool in a process of its own that waits to be asked.

    Args:
        name: the tool.
        work: the file that the work is in.
    """

    def __init__(self, name: str, work: Path) -> None:
        # No cache of compiled programs: what a tool compiles shall be seen.
        kept = {"KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "2"}
        kept |= {"JAX_ENABLE_COMPILATION_CACHE": "false", "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
        call = [sys.executable, __file__, "--serve", name, "--work", str(work)]
        self._process = subprocess.Popen(
            call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **kept}
        )
        self.told = self._answer()

    def ask(self, what: str) -> Any:
        """Return what the tool says once it has done something."""
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return self._answer()["done"]

    def end(self) -> None:
        """Let the process end."""
        self._process.communicate("")

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        return {"missing": "its process ended"}


def serve(name: str, file: Path) -> None:
    """Be a tool: say how long the first run took longer than the second, then run whenever a line comes in."""
    kept = np.load(file)
    several = [kept[f"weight {place}"] for place in range(6)]
    work = Work(**{field: kept[field] for field in Work._fields if field != "weights"}, weights=several)
    try:
        ready = TOOLS[name](work)
        seconds = [_seconds(ready.steps) for _ in range(2)]
    except ImportError as error:
        print(json.dumps({"missing": f"{error.name} is not installed"}), flush=True)
        return
    except Exception as error:  # torch.compile may find no compiler that it likes
        print(json.dumps({"missing": f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"}), flush=True)
        return
    print(json.dumps({"compile": max(seconds[0] - seconds[1], 0.0)}), flush=True)
    for line in sys.stdin:
        found = ready.steps() if line.strip() == "steps" else ready.target()
        print(json.dumps({"done": found if isinstance(found, int) else None}), flush=True)


def _seconds(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def tools(file: Path) -> Iterator[tuple[str, Served]]:
    """Yield the tools that are there; say which are not."""
    for name in TOOLS:
        found = Served(name, file)
        if "missing" in found.told:
            print(f"left out: {name} ({found.told['missing']})")
        else:
            yield name, found


def main() -> None:
    """Time every tool and print the ratios."""
    parser = arguments((__doc__ or "").splitlines()[0], rounds=7)
    parser.add_argument("--serve", help="be this tool, for the benchmark itself")
    parser.add_argument("--work", type=Path, help="the work of a tool that serves")
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.work)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "work.npz"
        work = work_of()
        arrays: dict[str, Any] = {f"weight {index}": weight for index, weight in enumerate(work.weights)}
        arrays |= {field: getattr(work, field) for field in Work._fields if field != "weights"}
        np.savez(file, **arrays)
        served = dict(tools(file))
        seconds = interleaved({name: _asking(one, "steps") for name, one in served.items()}, given.rounds)
        reached = {name: one.ask("target") for name, one in served.items()}
        until = interleaved({name: _asking(one, "target") for name, one in served.items()}, given.rounds)
        compiled = {name: one.told["compile"] for name, one in served.items()}
        for one in served.values():
            one.end()
    results = {
        name: {
            "steps_per_second": STEPS / median(row),
            "time_ratio_to_downslope": median_ratio(row, seconds[OURS]),
            "seconds_to_compile": compiled[name],
            "steps_to_target": reached[name],
            "seconds_to_target": median(until[name]),
        }
        for name, row in seconds.items()
    }
    heads = ("tool", "steps a second", "time, downslope = 1", "s to compile", f"steps to {TARGET:.0%}", "s to there")
    rows = [
        (
            name,
            f"{one['steps_per_second']:.0f}",
            f"{one['time_ratio_to_downslope']:.2f}",
            f"{one['seconds_to_compile']:.1f}",
            f"{one['steps_to_target']}",
            f"{one['seconds_to_target']:.3f}",
        )
        for name, one in results.items()
    ]
    text = f"{machine()}; medians of {given.rounds} interleaved runs, compiled before.\n\n{table(heads, rows)}"
    publish(given, "training", text, {"steps": STEPS, "batch": BATCH, "rows": results})


def _asking(one: Served, what: str) -> Callable[[], Any]:
    return lambda: one.ask(what)


if __name__ == "__main__":
    main()
