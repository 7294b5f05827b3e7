"""Recalls by class and R² of watched trainings of PyTorch, and what is said of loops that measure accuracy alone."""

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

pytestmark = pytest.mark.usefixtures("one_thread")


LOSSES: dict[str, tuple[int, Callable[[Any, Any], Any]]] = {
    "indices": (3, functional.cross_entropy),
    "one-hot": (3, lambda outputs, classes: functional.cross_entropy(outputs, functional.one_hot(classes, 3).float())),
    "negative likelihood": (3, lambda outputs, classes: functional.nll_loss(outputs.log_softmax(1), classes)),
    "one-hot, each by itself": (
        3,
        lambda outputs, classes: functional.binary_cross_entropy_with_logits(
            outputs, functional.one_hot(classes, 3).float()
        ),
    ),
    "two classes": (
        1,
        lambda outputs, classes: functional.binary_cross_entropy_with_logits(outputs[:, 0], (classes > 0).float()),
    ),
    "probabilities of two": (
        1,
        lambda outputs, classes: functional.binary_cross_entropy(outputs.sigmoid(), (classes > 0).float()[:, None]),
    ),
}


@pytest.mark.parametrize("outputs", [3, 784])
def test_r2_is_that_of_all_outputs_together(outputs: int) -> None:
    torch.manual_seed(3)
    spreads = torch.linspace(1e-3, 1.0, outputs)  # as of images, whose first pixels hardly vary
    targets = torch.randn(64, outputs) * spreads
    inputs = targets + 0.1 * torch.randn(64, outputs)
    model = nn.Linear(outputs, outputs)
    nn.init.eye_(model.weight)
    nn.init.zeros_(model.bias)
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    watch = ds.watch(model, optimizer, every=1)
    for _ in range(3):
        take_step(watch, optimizer, functional.mse_loss(model(inputs), targets))
    watch.evaluation(validation_loss=0.01)
    left, spread = (inputs - targets).square().sum(), (targets - targets.mean(0)).square().sum()
    expected = float(1 - left / spread)  # 0.97; the mean over outputs would be below −50
    np.testing.assert_allclose(watch.close().metrics["training_r2"][-1], expected, atol=0.005)


@pytest.mark.parametrize("name", LOSSES)
def test_recalls_are_those_of_the_batches(name: str) -> None:
    outputs, loss = LOSSES[name]
    torch.manual_seed(2)
    inputs, classes = torch.randn(160, 4), torch.randint(3, (160,))
    model = nn.Linear(4, outputs)
    optimizer = torch.optim.SGD(model.parameters(), 0.0)  # the predictions stay what they are
    watch = ds.watch(model, optimizer, every=1)
    for _ in range(4):
        take_step(watch, optimizer, loss(model(inputs), classes))
    scores = watch.close().facts["scores"]["training"]
    with torch.no_grad():
        results = model(inputs).numpy()
    wanted = classes.numpy() if outputs > 1 else (classes.numpy() > 0).astype(int)
    guesses = results.argmax(1) if outputs > 1 else (results[:, 0] > 0).astype(int)
    recalls = [float(np.mean(guesses[wanted == each] == each)) for each in range(max(outputs, 2))]
    np.testing.assert_allclose(scores["recall"], recalls, rtol=1e-6)
    np.testing.assert_allclose(scores["balanced_accuracy"], np.mean(recalls), rtol=1e-6)
    np.testing.assert_allclose(scores["accuracy"], np.mean(guesses == wanted), rtol=1e-6)


def test_several_labels_of_a_row_have_no_recall_by_class() -> None:
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    watch = ds.watch(model, optimizer)
    for _ in range(30):
        value = functional.binary_cross_entropy_with_logits(model(torch.randn(32, 4)), torch.ones(32, 3))
        watch.loss(value)
        value.backward()
        optimizer.step()
    trace = watch.close()
    assert not (trace.facts.get("scores") or {}).get("training")


def trained(
    shares: tuple[float, ...], *, spread: float, rate: float, steps: int, shuffled: bool = False, weighted: bool = False
) -> ds.Trace:
    """Train on classes with these shares of the rows, measure accuracy alone, and return the trace."""
    random = np.random.default_rng(4)
    centres = random.normal(size=(len(shares), 6))
    classes = random.choice(len(shares), 1500, p=shares)
    inputs = torch.tensor(centres[classes] + spread * random.normal(size=(1500, 6)), dtype=torch.float32)
    targets = torch.tensor(random.permutation(classes) if shuffled else classes)
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, len(shares)))
    optimizer = torch.optim.Adam(model.parameters(), rate)
    weight = torch.tensor([1 / share for share in shares]) if weighted else None
    watch = ds.watch(model, optimizer)
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        chosen = torch.randint(1200, (32,), generator=generator)
        take_step(watch, optimizer, functional.cross_entropy(model(inputs[chosen]), targets[chosen], weight))
        if step % 100 == 99:
            with torch.no_grad():
                right = model(inputs[1200:]).argmax(1) == targets[1200:]
            watch.evaluation(validation_accuracy=float(right.float().mean()))
    return watch.close()


def problems(trace: ds.Trace) -> list[str]:
    return [finding.symptom for finding in ds.diagnose(trace) if finding.severity is ds.Severity.PROBLEM]


@pytest.mark.parametrize("shares", [(0.95, 0.05), (0.78, 0.17, 0.05)])
def test_a_class_that_is_hardly_recognised_is_noticed_beside_a_high_accuracy(shares: tuple[float, ...]) -> None:
    trace = trained(shares, spread=1.2, rate=5e-4, steps=300)
    assert problems(trace)[0] == "imbalanced_classes"
    (finding,) = (finding for finding in ds.diagnose(trace) if finding.symptom == "imbalanced_classes")
    assert finding.evidence["lowest_recall"] < 0.5


@pytest.mark.parametrize(
    "run",
    [
        {"shares": (0.25, 0.25, 0.25, 0.25), "spread": 0.8, "rate": 5e-3},  # balanced
        {"shares": (0.92, 0.08), "spread": 0.5, "rate": 5e-3},  # uneven and learnt
        {"shares": (0.92, 0.08), "spread": 0.8, "rate": 5e-3, "weighted": True},
    ],
)
def test_classes_that_are_recognised_raise_no_alarm(run: dict[str, Any]) -> None:
    assert problems(trained(**run, steps=600)) == []


def test_a_rare_class_that_nothing_tells_from_the_others_is_not_the_network_s_fault() -> None:
    trace = trained((0.93, 0.07), spread=0.8, rate=2e-3, steps=400, shuffled=True)
    assert trace.facts["scores"]["training"]["recall"][1] == 0
    assert "imbalanced_classes" not in problems(trace)
