"""Models of more weights than are kept: the same verdicts, from samples."""

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


def constant(model: Any) -> None:
    for part in model.parameters():
        part.fill_(0.05)


def too_large(model: Any) -> None:
    for layer in model[::2]:
        layer.weight.normal_(0, 3)


def zero(model: Any) -> None:
    for part in model.parameters():
        part.zero_()


def dead(model: Any) -> None:
    model[2].bias.fill_(-8.0)


def held(model: Any) -> None:
    model[0].requires_grad_(False)


def usual(model: Any) -> None:
    pass


def diagnosed(start: Callable[[Any], None], decay: float = 0.0, activation: Any = nn.Tanh) -> tuple[ds.Trace, Any]:
    random = np.random.default_rng(1)
    classes = random.integers(4, size=600)
    inputs = torch.tensor(random.normal(size=(4, 12))[classes] + random.normal(size=(600, 12)), dtype=torch.float32)
    targets = torch.tensor(classes)
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(12, 40), activation(), nn.Linear(40, 40), activation(), nn.Linear(40, 4))
    with torch.no_grad():
        start(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, weight_decay=decay)
    watch = ds.watch(model, optimizer, curvature_every=0)
    generator = torch.Generator().manual_seed(0)
    for _ in range(150):
        chosen = torch.randint(600, (32,), generator=generator)
        take_step(watch, optimizer, functional.cross_entropy(model(inputs[chosen]), targets[chosen]))
    trace = watch.close()
    return trace, ds.diagnose(trace)


@pytest.mark.parametrize(
    ("start", "choices"),
    [
        (usual, {}),
        (constant, {}),
        (too_large, {}),
        (zero, {}),
        (held, {}),
        (dead, {"activation": nn.ReLU}),
        (usual, {"decay": 0.3}),
    ],
)
def test_a_model_that_is_not_kept_is_judged_alike(
    start: Callable[[Any], None], choices: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, whole = diagnosed(start, **choices)
    for module in ("_watch", "_model"):
        monkeypatch.setattr(f"downslope.watching.torch.{module}.MOST_WEIGHTS", 1000)
    sampled, diagnosis = diagnosed(start, **choices)
    assert kept.start
    assert not sampled.start
    assert diagnosis.symptoms == whole.symptoms
    lacking = {one.symptom for one in diagnosis.not_run} - {one.symptom for one in whole.not_run}
    assert not lacking
    for name, layer in sampled.facts["network"]["weights"].items():
        weights = kept.start[f"{name}/weight"]
        assert layer["mean_square"] == pytest.approx(float(np.mean(weights**2)), rel=1e-5)


def test_more_than_ten_million_weights_are_not_copied() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 2400), nn.ReLU(), nn.Linear(2400, 2400), nn.ReLU(), nn.Linear(2400, 2400))
    model.append(nn.Linear(2400, 4))
    assert sum(part.numel() for part in model.parameters()) > 11_000_000
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    watch = ds.watch(model, optimizer, every=2, curvature_every=0)
    inputs, targets = torch.randn(64, 32), torch.randint(4, (64,))
    for _ in range(6):
        take_step(watch, optimizer, functional.cross_entropy(model(inputs), targets))
    trace = watch.close()
    assert not trace.start
    assert not trace.end
    sampled = trace.facts["network"]["weights"]
    assert [layer["copies_at_start"] for layer in sampled.values()] == [0.0] * 4
    # The usual first weights of a dense layer are uniform with a variance of a third over its inputs.
    assert sampled["2"]["mean_square"] == pytest.approx(1 / (3 * 2400), rel=0.05)
