"""What is read off a graph of PyTorch, and that reading it costs no compilation and no wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from frameworks.torch_steps import take_step
from needing import needs

import downslope as ds

torch = needs("torch")
nn, functional = torch.nn, torch.nn.functional

ROWS = 8
CLASSES, BINARY = "softmax cross-entropy", "binary cross-entropy"


def soft(z: Any) -> Any:
    return torch.softmax(z, -1)


def of_shares(z: Any) -> Any:
    return (z / z.sum(-1, keepdim=True)).clamp(1e-7, 1 - 1e-7).log()


# Of logits z, classes y and these as 0 and 1: the loss, its name, whether it takes logits, the output before it.
LOSSES: dict[str, tuple[Callable[[Any, Any, Any], Any], str, bool | None, str]] = {
    "cross_entropy": (lambda z, y, h: functional.cross_entropy(z, y), CLASSES, True, "linear"),
    "soft targets": (lambda z, y, h: functional.cross_entropy(z, h), CLASSES, True, "linear"),
    "smoothed": (lambda z, y, h: functional.cross_entropy(z, y, label_smoothing=0.1), CLASSES, True, "linear"),
    "a softmax too many": (lambda z, y, h: functional.cross_entropy(soft(z), y), CLASSES, True, "softmax"),
    "log of softmax": (lambda z, y, h: functional.nll_loss(soft(z).log(), y), CLASSES, False, "softmax"),
    "kept from 0": (lambda z, y, h: functional.nll_loss((soft(z) + 1e-8).log(), y), CLASSES, False, "softmax"),
    "cut": (lambda z, y, h: functional.nll_loss(soft(z).clamp(min=1e-9).log(), y), CLASSES, False, "softmax"),
    "shares of sigmoids": (lambda z, y, h: functional.nll_loss(of_shares(z.sigmoid()), y), CLASSES, False, "sigmoid"),
    "shares of anything": (lambda z, y, h: functional.nll_loss(of_shares(z), y), CLASSES, False, "linear"),
    "likelihood of logits": (lambda z, y, h: functional.nll_loss(z, y), "custom", None, "linear"),
    "by one-hot": (lambda z, y, h: -(h * soft(z).log()).sum(1).mean(), CLASSES, False, "softmax"),
    "by minus one-hot": (lambda z, y, h: (-h * z.log_softmax(1)).sum(1).mean(), CLASSES, True, "linear"),
    "by index": (lambda z, y, h: -z.log_softmax(1)[range(ROWS), y].mean(), CLASSES, True, "linear"),
    "log by index": (lambda z, y, h: -soft(z)[torch.arange(ROWS), y].log().mean(), CLASSES, False, "softmax"),
    "by gather": (lambda z, y, h: -z.log_softmax(1).gather(1, y[:, None]).mean(), CLASSES, True, "linear"),
    "of two": (lambda z, y, h: functional.binary_cross_entropy(z.sigmoid(), h), BINARY, False, "sigmoid"),
    "of two, cut": (
        lambda z, y, h: functional.binary_cross_entropy(z.clamp(1e-7, 1 - 1e-7), h), BINARY, False, "linear"),
    "of two, written": (
        lambda z, y, h: (lambda p: -(h * p.log() + (1 - h) * (1 - p).log()).mean())(z.sigmoid()),
        BINARY, False, "sigmoid"),
    "of two, log1p": (
        lambda z, y, h: (lambda p: (-h * (p + 1e-9).log() - (1 - h) * (-p).log1p()).mean())(z.tanh()),
        BINARY, False, "tanh"),
    "squares": (lambda z, y, h: (z - h).square().sum() / ROWS, "mean squared error", None, "linear"),
    "a bounded output": (lambda z, y, h: functional.mse_loss(functional.hardtanh(z, 0, 1), h), "mean squared error",
                         None, "hardtanh"),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_known_however_it_is_written(name: str) -> None:
    from downslope.watching.torch._ending import read_ending
    from downslope.watching.torch._graph import read_graph

    loss, known, logits, output = LOSSES[name]
    torch.manual_seed(0)
    layer, y = nn.Linear(5, 3), torch.randint(3, (ROWS,))
    value = loss(layer(torch.randn(ROWS, 5)), y, functional.one_hot(y, 3).float())
    names = {id(tensor): label for label, tensor in layer.named_parameters()}
    ending = read_ending(value.grad_fn, read_graph(value.grad_fn, names))
    assert (ending.name, ending.from_logits, ending.output) == (known, logits, output)
    if ending.targets is not None and not ending.targets.is_floating_point():
        assert torch.equal(ending.targets, y)


# Of each activation the function and its largest slope.
BENDS: dict[str, tuple[Callable[[Any], Any], float]] = {
    "relu": (functional.relu, 1.0),
    "tanh": (torch.tanh, 1.0),
    "sigmoid": (torch.sigmoid, 0.25),
    "gelu": (functional.gelu, 1.0),
    "gelu by tanh": (lambda z: functional.gelu(z, approximate="tanh"), 1.0),
    "silu": (functional.silu, 1.0),
    "softplus": (functional.softplus, 1.0),
    "elu": (functional.elu, 1.0),
    "selu": (functional.selu, 1.7581),
    "leaky": (lambda z: functional.leaky_relu(z, 0.1), 1.0),
    "next to relu": (lambda z: functional.leaky_relu(z, 0.001), 1.0),
    "hardtanh": (functional.hardtanh, 1.0),
}


@pytest.mark.parametrize("name", BENDS)
def test_statistics_of_a_layer_are_those_of_its_units(name: str) -> None:
    """Mean, deviation and scatter within units, the share of small slopes, and that of units with no other."""
    bend, steepest = BENDS[name]
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(5, 24), nn.Linear(24, 3))
    with torch.no_grad():
        model[0].bias.copy_(torch.linspace(-9, 9, 24))
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    x, y = torch.randn(32, 5), torch.randint(3, (32,))
    watch = ds.watch(model, optimizer, every=1, curvature_every=0)
    take_step(watch, optimizer, functional.cross_entropy(model[1](bend(model[0](x))), y))
    columns = watch.close().layer_columns
    z = model[0](x).detach().double().requires_grad_()
    results = bend(z)
    (slopes,) = torch.autograd.grad(results.sum(), z)
    results, flat = results.detach().numpy(), (slopes.abs() < 0.01 * steepest).numpy()
    expected = {
        "activation_mean": results.mean(),
        "activation_deviation": results.std(),
        "activation_variation": np.sqrt(results.var(axis=0).mean()),
        "saturated_share": flat.mean(),
        "dead_share": flat.all(axis=0).mean(),
    }
    for column, value in expected.items():
        assert columns[column][0, 0] == pytest.approx(value, rel=1e-4, abs=1e-6), column


def test_the_noise_scale_is_that_of_the_gradients_of_examples() -> None:
    from downslope.watching.torch._curvature import inner_products, noise_scale

    layer, x, y = nn.Linear(4, 3), torch.randn(12, 4), torch.randint(3, (12,))
    gradients = []
    for row in range(12):
        layer.zero_grad()
        functional.cross_entropy(layer(x[row : row + 1]), y[row : row + 1]).backward()
        gradients.append(torch.cat([layer.weight.grad.flatten(), layer.bias.grad]))
    own = torch.stack(gradients)
    z = layer(x).detach().requires_grad_()
    functional.cross_entropy(z, y).backward()
    inner = inner_products(x, z.grad, biased=True)
    torch.testing.assert_close(inner * 144, own @ own.T, rtol=1e-4, atol=1e-6)
    random = np.random.default_rng(0)
    for true, low, high in ((2.0, 1.0, 4.0), (1e6, 10.0, 3200.0)):
        # One batch of 32 cannot tell that a million examples were needed: it says what it takes at the least.
        signal = np.full(50, np.sqrt(50 / true) / np.sqrt(50))
        scales = []
        for _ in range(20):
            each = torch.tensor(signal + random.normal(size=(32, 50))) / 32
            scales.append(noise_scale(each @ each.T))
        assert low < float(np.median(scales)) < high
        assert max(scales) < 3200


def test_what_is_recorded_of_a_compiled_network_compiles_nothing_more() -> None:
    from torch._dynamo.utils import counters

    counters.clear()
    torch.manual_seed(0)
    model = torch.compile(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)), backend="aot_eager")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    x, y = torch.randn(16, 4), torch.randint(2, (16,))
    functional.cross_entropy(model(x), y).backward()
    assert counters["stats"]["unique_graphs"] == 1
    with ds.watch(model, optimizer, every=3) as watch:
        for _step in range(10):
            watch.loss(functional.cross_entropy(model(x), y)).backward()
            optimizer.step()
            optimizer.zero_grad()
    functional.cross_entropy(model(x), y).backward()
    assert counters["stats"]["unique_graphs"] == 1
    assert watch.trace.layer_names == ("0", "2")
    assert watch.trace.steps_taken == watch.trace.plan["steps"] == 10


def test_no_tensor_is_read_between_flushes(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        read = getattr(torch.Tensor, name)

        def counting(self: Any, *arguments: Any, **named: Any) -> Any:
            reads.append(name)
            return read(self, *arguments, **named)

        return counting

    for name in ("item", "tolist", "cpu", "numpy", "__float__", "__int__", "__bool__", "__array__"):
        monkeypatch.setattr(torch.Tensor, name, counted(name))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), 1e-2, momentum=0.9)
    watch = ds.watch(model, optimizer, every=5, curvature_every=0)
    for _step in range(60):
        watch.loss(functional.cross_entropy(model(torch.randn(8, 5)), torch.randint(3, (8,)))).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert reads == []
    watch.close()
    assert reads


def test_a_network_and_its_twin_record_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sick and a normalised one; `benchmarks/watching_twins.py` trains twelve for 200 steps."""
    from pathlib import Path

    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import watching_twins as twins

    for name in ("layer norm, skips", "nine sigmoid layers"):
        network, ours = twins.by_train(twins.CASES[name], steps=60)
        apart = twins.compared(ours, twins.by_torch(twins.CASES[name], network, steps=60))
        assert max(apart.columns.values()) < 1e-4, name
        assert apart.ours[0] == apart.theirs[0] or name == "layer norm, skips"  # of which 60 steps tell little


def test_a_residual_branch_on_embeddings_is_bypassed() -> None:
    """Attention on tokens that are looked up; what a table makes of them passes it, as later blocks are passed."""

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.norm = nn.Embedding(9, 8), nn.LayerNorm(8)
            self.inner, self.outer, self.last = nn.Linear(8, 16), nn.Linear(16, 8), nn.Linear(8, 3)

        def forward(self, tokens: Any) -> Any:
            x = self.table(tokens)
            x = self.norm(x + self.outer(functional.gelu(self.inner(x))))
            return self.last(x[:, 0])

    model = Tokens()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with ds.watch(model, optimizer) as watch:
        loss = functional.cross_entropy(model(torch.randint(9, (70, 5))), torch.randint(3, (70,)))
        watch.loss(loss).backward()
        optimizer.step()
    kernels = {kernel["layer"]: kernel for kernel in watch.trace.facts["network"]["kernels"]}
    assert [kernels[name]["bypassed"] for name in ("inner", "outer", "last")] == [True, True, False]
    assert [kernels[name]["depth"] for name in ("inner", "outer", "last")] == [1, 2, 3]
    # 350 rows of which statistics are taken of a few: an example has five positions all the same.
    assert [kernels[name]["positions"] for name in ("inner", "outer", "last")] == [5, 5, 1]


@pytest.mark.parametrize("bend", [torch.sigmoid, functional.softplus, functional.gelu])
def test_targets_are_known_behind_any_output(bend: Callable[[Any], Any]) -> None:
    """A loss that keeps outputs less targets alone, of outputs that an activation makes."""
    model, x, y = nn.Linear(3, 1), torch.randn(40, 3), 5 + torch.randn(40, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with ds.watch(model, optimizer) as watch:
        watch.loss((bend(model(x)) - y).abs().mean()).backward()
        optimizer.step()
    network, data = (watch.trace.facts[name] for name in ("network", "data"))
    assert (network["kind"], network["loss"]["name"]) == ("numbers", "mean absolute error")
    assert data["target_mean"] == pytest.approx(float(y.mean()), rel=1e-5)
