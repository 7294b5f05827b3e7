"""What a watch reads of networks of many kinds, against the values that hooks see."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import pytest
from needing import needs

torch = needs("torch")
from frameworks.torch_architectures import ARCHITECTURES, ROWS, Architecture  # noqa: E402
from torch import nn  # noqa: E402 - after it is known to be there
from torch.nn import functional  # noqa: E402

import downslope as ds  # noqa: E402

RESULTS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda z: z,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "elu": functional.elu,
    "selu": functional.selu,
    "softplus": functional.softplus,
    "mish": functional.mish,
    "hardswish": functional.hardswish,
    "hardsigmoid": functional.hardsigmoid,
    "softmax": lambda z: torch.softmax(z, -1),
}
FLAT: dict[str, Callable[[Any], Any]] = {
    "relu": lambda a: a == 0,
    "tanh": lambda a: 1 - a * a < 0.01,
    "sigmoid": lambda a: a * (1 - a) < 0.01 / 4,
}

pytestmark = pytest.mark.usefixtures("one_thread")


def rows_of(architecture: Architecture) -> tuple[Any, Any]:
    torch.manual_seed(1)
    tokens = architecture.tokens
    x = torch.randint(tokens, (ROWS, 5)) if tokens else torch.randn(ROWS, *architecture.inputs)
    targets = {
        "classes": lambda: torch.randint(3, (ROWS,)),
        "numbers": lambda: torch.randn(ROWS, 1),
        "picture": lambda: torch.sigmoid(x),
        "tokens": lambda: torch.randint(20, (ROWS, 5)),
    }
    return x, targets[architecture.loss]()


def loss_of(architecture: Architecture, outputs: Any, targets: Any) -> Any:
    if architecture.loss == "classes":
        return functional.cross_entropy(outputs, targets)
    if architecture.loss == "tokens":
        return functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())
    return functional.mse_loss(outputs, targets)


def seen_by_hooks(model: Any, behind: Collection[str], step: Callable[[], None]) -> dict[str, tuple[Any, float]]:
    """Return what each module with a kernel makes in a step, and the norm of the gradient by it; of the first call.

    Of a module that is activated behind a normalisation the gradient is that behind it, as in `ds.Network`.
    """
    values: dict[str, Any] = {}
    made_by: dict[str, Any] = {}
    slopes: dict[str, float] = {}
    normalised: set[str] = set()

    def listener(name: str) -> Callable[..., None]:
        def note(slope: Any) -> None:
            if name not in normalised:
                slopes[name] = float(slope.norm())

        def listen(module: Any, inputs: Any, made: Any) -> None:
            if made.requires_grad and name not in values:
                values[name], made_by[name] = made.detach().clone(), made
                made.register_hook(note)  # now, before an operation in place takes the tensor

        return listen

    def listen_behind(module: Any, inputs: Any, made: Any) -> None:
        for name in [name for name, result in made_by.items() if name in behind and result is inputs[0]]:
            normalised.add(name)
            made.register_hook(lambda slope, name=name: slopes.__setitem__(name, float(slope.norm())))

    kernels, norms = (nn.Linear, nn.modules.conv._ConvNd), (nn.modules.batchnorm._NormBase, nn.GroupNorm)
    hooks = [
        module.register_forward_hook(listener(name.replace(".", "/")) if isinstance(module, kernels) else listen_behind)
        for name, module in model.named_modules()
        if isinstance(module, (*kernels, *norms))
    ]
    step()
    for hook in hooks:
        hook.remove()
    return {name: (made, slopes.get(name, math.nan)) for name, made in values.items()}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_layers_and_loss_are_read_or_named_as_unread(name: str) -> None:
    architecture = ARCHITECTURES[name]
    torch.manual_seed(0)
    model = architecture.make()
    x, targets = rows_of(architecture)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)

    def step(watch: ds.Watch | None = None) -> None:
        loss = loss_of(architecture, model(x.clone()), targets)
        if watch is not None:
            watch.loss(loss)
        loss.backward()
        if watch is not None:
            optimizer.step()
        optimizer.zero_grad()

    state = torch.get_rng_state()
    hooked = seen_by_hooks(model, architecture.behind, step)
    torch.set_rng_state(state)  # the same units are dropped
    watch = ds.watch(model, optimizer, every=1, curvature_every=0)
    step(watch)
    trace = watch.close()
    facts = trace.facts["network"]
    notes = " ".join(trace.facts.get("notes", ()))
    assert dict(zip(facts["layers"], facts["activations"], strict=True)) == architecture.layers
    assert {leaf for entry in facts["nested"] for leaf in entry["leaves"]} == architecture.nested
    loss = {"numbers": "mean squared error", "picture": "mean squared error"}
    assert facts["loss"]["name"] == loss.get(architecture.loss, "softmax cross-entropy")
    assert facts["cut_off"] == []
    assert "ended" not in notes
    assert all(part in notes for part in architecture.unread)
    assert bool(notes) == bool(architecture.unread), notes
    columns = {column: np.asarray(table)[0] for column, table in trace.layer_columns.items()}
    for index, layer in enumerate(trace.layer_names):
        if layer not in hooked or (made := hooked[layer])[0].dim() == 0:
            continue
        values, slope = made
        assert columns["activation_gradient_norm"][index] == pytest.approx(slope, rel=1e-4, abs=1e-9), layer
        said = architecture.layers[layer]
        if layer in architecture.behind or said not in RESULTS:
            continue
        wanted = RESULTS[said](values)
        assert columns["activation_mean"][index] == pytest.approx(float(wanted.mean()), rel=1e-4, abs=1e-6), layer
        deviation = float(wanted.std(correction=0))
        assert columns["activation_deviation"][index] == pytest.approx(deviation, rel=1e-4), layer
        if said in FLAT:
            flat = FLAT[said](wanted)
            axis = 1 if isinstance(model.get_submodule(layer.replace("/", ".")), nn.modules.conv._ConvNd) else -1
            whole = flat.movedim(axis, 0).flatten(1).all(1)
            assert columns["saturated_share"][index] == pytest.approx(float(flat.float().mean()), abs=1e-6)
            assert columns["dead_share"][index] == pytest.approx(float(whole.float().mean()), abs=1e-6)
