"""Twins: networks with equal weights and batches, trained by `ds.train` and by PyTorch, leave equal columns."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needing import needs

import downslope as ds

torch = needs("torch")
nn, functional = torch.nn, torch.nn.functional

STEPS, ROWS = 60, 32
# Name, activation, widths, whether classes, PyTorch's optimizer, the house's method and its settings.
TWINS = [
    ("relu", (6, 16, 12, 3), True, "SGD", {}, "gradient descent", {}, 0.1),
    ("tanh", (6, 16, 12, 1), False, "SGD", {"momentum": 0.9}, "momentum", {"momentum": 0.9}, 0.02),
    ("sigmoid", (6, 10, 10, 3), True, "SGD", {"momentum": 0.8, "nesterov": True}, "nesterov", {"momentum": 0.8}, 0.05),
    ("gelu", (6, 16, 3), True, "Adam", {"betas": (0.9, 0.99)}, "adam", {"beta1": 0.9, "beta2": 0.99}, 0.003),
    ("silu", (6, 16, 16, 16, 1), False, "Adam", {}, "adam", {"beta1": 0.9, "beta2": 0.999}, 0.002),
    ("softplus", (6, 20, 2), True, "SGD", {}, "gradient descent", {}, 0.2),
]


def batches(classes: bool, outputs: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the batches of all steps."""
    random = np.random.default_rng(0)
    made = []
    for _ in range(STEPS + 1):
        x = random.normal(size=(ROWS, 6)).astype(np.float32)
        y = np.argmax(x[:, :outputs], 1).astype(np.int32) if classes else np.sin(x[:, :1]).astype(np.float32)
        made.append((x, y))
    return made


def weights(widths: tuple[int, ...]) -> dict[str, dict[str, np.ndarray]]:
    """Return first weights, as (inputs, units)."""
    random = np.random.default_rng(1)
    return {
        f"layer{index}": {
            "weight": (random.normal(size=(a, b)) / np.sqrt(a)).astype(np.float32),
            "bias": (0.1 * random.normal(size=b)).astype(np.float32),
        }
        for index, (a, b) in enumerate(itertools.pairwise(widths))
    }


def by_train(twin: tuple[Any, ...]) -> Any:
    """Return the trace of a training by downslope."""
    import jax
    from jax import numpy as jnp

    name, widths, classes, _, _, method, settings, rate = twin
    activation = {
        "relu": jax.nn.relu,
        "tanh": jnp.tanh,
        "sigmoid": jax.nn.sigmoid,
        "gelu": lambda z: jax.nn.gelu(z, approximate=False),
        "silu": jax.nn.silu,
        "softplus": jax.nn.softplus,
    }[name]
    last = len(widths) - 2

    def loss(params: Any, batch: Any) -> Any:
        x, y = batch
        for index in range(last + 1):
            layer = params[f"layer{index}"]
            x = x @ layer["weight"] + layer["bias"]
            x = activation(x) if index < last else x
        if classes:
            return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], 1))
        return jnp.mean((x - y) ** 2)

    return ds.train(
        loss,
        batches(classes, widths[-1]),
        start=weights(widths),
        method=method,
        learning_rate=rate,
        steps=STEPS,
        validation=0,
        probe_every=0,
        evaluate_every=STEPS,
        layers_every=10,
        progress=False,
        **settings,
    ).trace


def by_torch(twin: tuple[Any, ...]) -> Any:
    """Return the trace of the same training, watched."""
    name, widths, classes, optimizer, choices, _, _, rate = twin
    kinds = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "silu": nn.SiLU}
    pieces: OrderedDict[str, Any] = OrderedDict()
    for index, (a, b) in enumerate(itertools.pairwise(widths)):
        pieces[f"layer{index}"] = nn.Linear(a, b)
        if index < len(widths) - 2:
            pieces[f"activation{index}"] = kinds.get(name, nn.Softplus)()
    model = nn.Sequential(pieces)
    with torch.no_grad():
        for layer, leaves in weights(widths).items():
            pieces[layer].weight.copy_(torch.tensor(leaves["weight"].T))
            pieces[layer].bias.copy_(torch.tensor(leaves["bias"]))
    stepper = getattr(torch.optim, optimizer)(model.parameters(), rate, **choices)
    watch = ds.watch(model, stepper, curvature_every=0)
    for x, y in batches(classes, widths[-1])[:STEPS]:
        out, wanted = model(torch.tensor(x)), torch.tensor(y)
        loss = functional.cross_entropy(out, wanted.long()) if classes else functional.mse_loss(out, wanted)
        watch.loss(loss)
        loss.backward()
        stepper.step()
        stepper.zero_grad()
    return watch.close()


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin[0])
def test_twins_leave_equal_columns(twin: tuple[Any, ...]) -> None:
    ours, theirs = by_train(twin), by_torch(twin)
    for column in ("value", "gradient_norm"):
        np.testing.assert_allclose(theirs.columns[column], ours.columns[column][:STEPS], rtol=1e-4, err_msg=column)
    looks = len(theirs.layer_steps)
    order = [ours.part_names.index(name) for name in theirs.part_names]
    for column in ("parameter_norm", "gradient_norm", "update_norm"):
        wanted = np.asarray(ours.part_columns[column])[:looks, order]
        np.testing.assert_allclose(np.asarray(theirs.part_columns[column]), wanted, rtol=2e-4, err_msg=column)
    assert theirs.layer_names == ours.layer_names
    hidden = len(theirs.layer_names) - 1
    assert theirs.facts["network"]["activations"][:hidden] == ours.facts["network"]["activations"][:hidden]
    for column in ("activation_mean", "activation_deviation", "activation_variation", "activation_gradient_norm"):
        wanted = np.asarray(ours.layer_columns[column])[:looks, :hidden]
        found = np.asarray(theirs.layer_columns[column])[:, :hidden]
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5, err_msg=column)
    for column in ("saturated_share", "dead_share"):
        wanted = np.asarray(ours.layer_columns[column])[:looks, :hidden]
        np.testing.assert_allclose(np.asarray(theirs.layer_columns[column])[:, :hidden], wanted, atol=2e-3)
    lie = [{name: kernel[name] for name in ("depth", "height", "bypassed", "is_only_way", "normalised")} for kernel
           in theirs.facts["network"]["kernels"]]  # fmt: skip
    for kernel, like in zip(lie, ours.facts["network"]["kernels"], strict=True):
        assert kernel == {name: like[name] for name in kernel}


PROCESS = """
import sys
import torch
import torch.distributed as distributed
from torch import nn
import downslope as ds

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
torch.manual_seed(0)
x, y = torch.randn(160, 4), torch.randn(160, 1)
model = nn.parallel.DistributedDataParallel(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
watch = ds.watch(model, optimizer, f"{folder}/run")
for step in range(20):
    rows = slice(8 * step + 4 * rank, 8 * step + 4 * rank + 4)
    loss = watch.loss(nn.functional.mse_loss(model(x[rows]), y[rows]))
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
watch.close()
distributed.destroy_process_group()
"""


def test_two_processes_leave_one_folder_with_the_norms_of_one(tmp_path: Path) -> None:
    running = [subprocess.Popen([sys.executable, "-c", PROCESS, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    trace = ds.load_trace(tmp_path / "run")
    torch.manual_seed(0)
    x, y = torch.randn(160, 4), torch.randn(160, 1)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    watch = ds.watch(model, optimizer)
    for step in range(20):
        rows = slice(8 * step, 8 * step + 8)
        watch.loss(functional.mse_loss(model(x[rows]), y[rows])).backward()
        optimizer.step()
        optimizer.zero_grad()
    alone = watch.close()
    assert trace.part_names == alone.part_names
    assert trace.plan["batches"]["size"] == 8
    np.testing.assert_allclose(trace.recorded["gradient_norm"], alone.recorded["gradient_norm"], rtol=1e-5)
    np.testing.assert_allclose(trace.end["0/weight"], alone.end["0/weight"], rtol=1e-4)
