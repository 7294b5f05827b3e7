"""Twins: networks with equal weights and batches, trained by `ds.train` and watched in PyTorch, and what they record.

Twelve networks, sick and healthy, 200 steps each. Both take the same batches of the same rows from the same weights,
and evaluate the same rows held back; the columns that they record and the symptoms that follow are compared. Both
compute in float32, and are compared where both are finite.

A difference is relative to the number of `ds.train`, or to what it is a part of where that is more than a hundred
times as large, since rounding is relative to the whole: of the gradient of a part that of all parts, of a mean or a
variation of activations their root mean square, of an update the weights, whose difference it is in PyTorch.
Differences of shares are absolute.

    python benchmarks/watching_twins.py [--only REGEX] [--page docs/benchmarks.md]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch  # pyright: ignore[reportMissingImports]  # `make test-frameworks` installs it
from sick_faults import Data
from sick_training import train_as_is
from timing import arguments, machine, publish, table
from torch.nn import functional  # pyright: ignore[reportMissingImports]
from torch_recipes import TorchNetwork
from watching_recipes import tensors_of

import downslope as ds
from downslope.descent.batches._batched import Order  # the batches that `ds.train` takes

STEPS, BATCH, EVALUATE, LOOK, ROWS, HELD = 200, 32, 50, 10, 480, 160
STEP_COLUMNS = ("value", "gradient_norm")
PART_COLUMNS = ("parameter_norm", "gradient_norm", "update_norm")
LAYER_COLUMNS = (
    *("activation_mean", "activation_deviation", "activation_variation", "activation_gradient_norm"),
    *("saturated_share", "dead_share"),
)
_FLOOR = 1e-2


@dataclass(frozen=True)
class TwinCase:
    """A network, its data, and how it is trained.

    Args:
        layers: the layers.
        rate: the learning rate.
        method: by the library's name.
        settings: of the method.
        optimizer: by PyTorch's name, and its settings.
        data: "classes", "numbers" or "images".
        scale: what the inputs are multiplied by.
    """

    layers: Sequence[Any]
    rate: float
    method: Any = "adam"
    settings: dict[str, Any] = field(default_factory=dict)
    optimizer: tuple[str, dict[str, Any]] = ("Adam", {})
    data: str = "classes"
    scale: float = 1.0


def _dense(units: int, count: int, activation: Any, **choices: Any) -> list[ds.Dense]:
    return [ds.Dense(units, activation, **choices) for _ in range(count)]


_SGD: dict[str, Any] = {"method": "gradient descent", "optimizer": ("SGD", {})}
CASES = {
    "rectified units": TwinCase([*_dense(24, 2, "relu"), ds.Dense(3)], 0.1, **_SGD),
    "tanh, momentum": TwinCase(
        [*_dense(16, 2, "tanh"), ds.Dense(1)],
        0.02,
        "momentum",
        {"momentum": 0.9},
        ("SGD", {"momentum": 0.9}),
        "numbers",
    ),
    "gelu, Adam": TwinCase([*_dense(24, 2, "gelu"), ds.Dense(3)], 0.003),
    "convolutions": TwinCase(
        [ds.Convolution(6, 3, "relu"), ds.MaxPool(2), ds.Flatten(), ds.Dense(24, "relu"), ds.Dense(10)],
        *(0.05, "nesterov", {"momentum": 0.8}, ("SGD", {"momentum": 0.8, "nesterov": True}), "images"),
    ),
    "batch norm": TwinCase([*_dense(24, 2, "relu", normalisation="batch"), ds.Dense(3)], 0.1, **_SGD),
    "layer norm, skips": TwinCase(
        [ds.Dense(16, "silu"), *_dense(16, 3, "silu", normalisation="layer", skip=True), ds.Dense(3)],
        *(0.003, "adamw", {"weight_decay": 0.01}, ("AdamW", {"weight_decay": 0.01})),
    ),
    "nine sigmoid layers": TwinCase([*_dense(16, 9, "sigmoid"), ds.Dense(3)], 0.1, **_SGD),
    "dead units": TwinCase([*_dense(16, 2, "relu", bias=-8.0), ds.Dense(3)], 0.05, **_SGD),
    "inputs times 100": TwinCase([*_dense(16, 2, "relu"), ds.Dense(3)], 0.001, scale=100.0),
    "equal weights": TwinCase([*_dense(16, 2, "tanh", initialisation="constant_0.05"), ds.Dense(3)], 0.1, **_SGD),
    "a rate of 1e-7": TwinCase([*_dense(24, 2, "relu"), ds.Dense(3)], 1e-7),
    "a rate of 3": TwinCase([ds.Dense(16, "linear"), ds.Dense(1)], 3.0, data="numbers", **_SGD),
}


def data_of(case: TwinCase) -> Data:
    """Return the rows of a case."""
    if case.data == "images":
        digits = ds.examples("digits")
        random = np.random.default_rng(0)
        order = random.permutation(len(digits.inputs))
        inputs, targets = np.asarray(digits.inputs)[order], np.asarray(digits.targets)[order]
        # Among equal pixels of a window each library picks its own largest, and another gradient.
        inputs = inputs.reshape(len(inputs), 8, 8) + 0.02 * random.normal(size=(len(inputs), 8, 8))
    else:
        random = np.random.default_rng(0)
        inputs = random.normal(size=(ROWS + HELD, 6)).astype(np.float32)
        curve = np.sin(inputs[:, :1]) + 0.5 * inputs[:, 1:2] * inputs[:, 2:3]
        targets = np.argmax(inputs[:, :3] ** 2 + inputs[:, 3:], axis=1) if case.data == "classes" else curve
    inputs = (case.scale * inputs).astype(np.float32)
    held = slice(ROWS, ROWS + HELD)
    return Data(
        inputs[:ROWS], targets[:ROWS], inputs[held], targets[held], "numbers" if case.data == "numbers" else "classes"
    )


def by_train(case: TwinCase, steps: int = STEPS) -> tuple[ds.Network, ds.Trace]:
    """Return the network of a case as it began, and the trace of its training by the library."""
    data = data_of(case)
    network = ds.network(data.inputs.shape[1:], case.layers, seed=3)
    choices = {
        "task": data.task,
        "method": case.method,
        "learning_rate": case.rate,
        "steps": steps,
        "batch": BATCH,
        "evaluate_every": EVALUATE,
        "layers_every": LOOK,
        **case.settings,
    }
    return network, train_as_is(network, data, choices, 0).trace


def by_torch(case: TwinCase, network: ds.Network, steps: int = STEPS) -> ds.Trace:
    """Return the trace of the same training in PyTorch, watched."""
    data = data_of(case)
    model = TorchNetwork(network)
    kind, settings = case.optimizer
    optimizer = getattr(torch.optim, kind)(model.parameters(), case.rate, **settings)
    criterion = functional.mse_loss if data.task == "numbers" else functional.cross_entropy
    inputs, targets, held, held_targets = tensors_of(data)
    watch = ds.watch(model, optimizer, every=LOOK, criterion=criterion)
    for step, rows in enumerate(Order(ROWS, BATCH, 0).of_steps(0, steps)):
        if step % EVALUATE == 0:
            _evaluate(watch, model, criterion, held, held_targets, data.task)
        loss = criterion(model(inputs[rows]), targets[rows])
        watch.loss(loss)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    _evaluate(watch, model, criterion, held, held_targets, data.task)
    return watch.close()


def _evaluate(watch: ds.Watch, model: Any, criterion: Any, held: Any, targets: Any, task: str) -> None:
    model.eval()
    with torch.no_grad():
        outputs = model(held)
        if task == "classes":
            score = {"validation_accuracy": (outputs.argmax(1) == targets).float().mean()}
        else:
            left = (outputs - targets).square().mean()
            score = {"validation_r2": 1 - left / (targets - targets.mean()).square().mean()}
        watch.evaluation(validation_loss=criterion(outputs, targets), **score)
    model.train()


# --- compared --------------------------------------------------------------------------------------------------------


class Difference(NamedTuple):
    """How far two traces lie apart.

    Args:
        columns: the largest relative difference in each column; NaN where nothing is finite in both.
        rows: rows by step that were compared.
        ours, theirs: the symptoms of `ds.train` and of PyTorch, in order.
    """

    columns: dict[str, float]
    rows: int
    ours: tuple[str, ...]
    theirs: tuple[str, ...]


def compared(ours: ds.Trace, theirs: ds.Trace) -> Difference:
    """Return how far the trace of a watch lies from that of the library."""
    rows = min(len(ours.recorded["value"]), len(theirs.recorded["value"]))
    columns = {name: _apart(ours.recorded[name][:rows], theirs.recorded[name][:rows]) for name in STEP_COLUMNS}
    columns |= dict(_of_looks(ours, theirs))
    return Difference(columns, rows, ds.diagnose(ours).symptoms, ds.diagnose(theirs).symptoms)


def _of_looks(ours: ds.Trace, theirs: ds.Trace) -> Iterator[tuple[str, float]]:
    """Yield the difference of each column by part and by layer."""
    assert ours.layer_steps is not None
    assert theirs.layer_steps is not None
    steps = np.intersect1d(ours.layer_steps, theirs.layer_steps)
    first, second = (np.searchsorted(looks, steps) for looks in (ours.layer_steps, theirs.layer_steps))
    order = [theirs.part_names.index(_in_torch(name)) for name in ours.part_names]
    parts = {
        name: (np.asarray(ours.part_columns[name])[first], np.asarray(theirs.part_columns[name])[second][:, order])
        for name in PART_COLUMNS
    }
    wholes = {name: np.sqrt(np.nansum(columns[0] ** 2, axis=1, keepdims=True)) for name, columns in parts.items()}
    wholes["update_norm"] = np.maximum(wholes["update_norm"], parts["parameter_norm"][0])
    for name, columns in parts.items():
        yield f"{name} by part", _apart(*columns, wholes[name])
    order = [theirs.layer_names.index(name) for name in ours.layer_names]
    layers = {
        name: (np.asarray(ours.layer_columns[name])[first], np.asarray(theirs.layer_columns[name])[second][:, order])
        for name in LAYER_COLUMNS
    }
    size = np.hypot(layers["activation_mean"][0], layers["activation_deviation"][0])
    for name, columns in layers.items():
        share, gradient = name.endswith("share"), name == "activation_gradient_norm"
        whole = 1 / _FLOOR if share else columns[0].max(axis=1, keepdims=True) if gradient else size
        yield name, _apart(*columns, whole)


def _in_torch(name: str) -> str:
    """Return the name that a part of the library has in PyTorch."""
    _, index, leaf = name.split("/")
    return f"norms/{index}/{ {'scale': 'weight', 'offset': 'bias'}[leaf] }" if leaf in ("scale", "offset") else name


def _apart(ours: np.ndarray, theirs: np.ndarray, whole: Any = None) -> float:
    """Return the largest difference, relative to the first, or to a hundredth of what it is a part of."""
    known = np.isfinite(ours) & np.isfinite(theirs)
    if not known.any():
        return float("nan")
    size = np.abs(np.where(known, ours, 0))
    floor = np.maximum(size, _FLOOR * (size.max(axis=0) if whole is None else np.nan_to_num(whole)))
    return float(np.max(np.abs(ours - theirs)[known] / np.maximum(floor, 1e-30)[known]))


def main() -> None:
    """Train all twins, and print how far they lie apart."""
    parser = arguments((__doc__ or "").splitlines()[0])
    parser.add_argument("--only", metavar="REGEX", help="only cases whose name matches")
    given = parser.parse_args()
    torch.set_num_threads(1)
    differences = {}
    for name, case in CASES.items():
        if given.only and not re.search(given.only, name):
            continue
        network, ours = by_train(case)
        differences[name] = compared(ours, by_torch(case, network))
        apart = differences[name]
        print(name, apart.rows, {column: f"{x:.1e}" for column, x in apart.columns.items()}, flush=True)
        print("   ", apart.ours, "" if apart.ours == apart.theirs else f"PyTorch: {apart.theirs}", flush=True)
    rows = [
        (
            name,
            str(apart.rows),
            f"{max(apart.columns[column] for column in STEP_COLUMNS):.0e}",
            f"{np.nanmax([x for column, x in apart.columns.items() if 'by part' in column]):.0e}",
            f"{np.nanmax([apart.columns[column] for column in LAYER_COLUMNS]):.0e}",
            ", ".join(apart.ours) + ("" if apart.ours == apart.theirs else f"; PyTorch: {', '.join(apart.theirs)}"),
        )
        for name, apart in differences.items()
    ]
    columns = [
        (column, f"{np.nanmax([apart.columns[column] for apart in differences.values()]):.1e}")
        for column in next(iter(differences.values())).columns
    ]
    same = sum(apart.ours == apart.theirs for apart in differences.values())
    text = (
        f"{machine()}, PyTorch {torch.__version__.partition('+')[0]}; {len(rows)} networks, {STEPS} steps each, "
        f"float32. The same symptoms in the same order: {same} of {len(rows)}.\n\n"
        + table(("network", "rows", "by step", "by part", "by layer", "symptoms"), rows)
        + "\n\n"
        + table(("column", "largest relative difference"), columns)
    )
    publish(given, "watching_twins", text, {name: apart._asdict() for name, apart in differences.items()})


if __name__ == "__main__":
    main()
