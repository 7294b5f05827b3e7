"""Watched trainings of PyTorch: the same to the last bit, with the numbers that they have."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needing import needs

import downslope as ds

torch = needs("torch")
nn, functional = torch.nn, torch.nn.functional

pytestmark = pytest.mark.usefixtures("one_thread")


class Convolutions(nn.Module):
    """Convolutions with batch normalisation, dropout and functional activations."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1, bias=False)
        self.norm, self.drop, self.last = nn.BatchNorm2d(8), nn.Dropout(0.2), nn.Linear(8 * 2 * 2, 3)

    def forward(self, x: Any) -> Any:
        x = functional.max_pool2d(functional.gelu(self.first(x)), 2)
        x = functional.max_pool2d(functional.relu(self.norm(self.second(x))), 2)
        return self.last(self.drop(x.flatten(1)))


def trained(watched: bool, *, mode: str = "plain", steps: int = 24, **choices: Any) -> tuple[Any, ...]:
    """Train for some steps; return model, optimizer, the state of the generator, the losses and the trace."""
    torch.manual_seed(3)
    model = Convolutions()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    scaler = torch.amp.GradScaler("cpu", enabled=True, init_scale=1024.0) if mode == "scaler" else None
    run = torch.compile(model, backend="aot_eager") if mode == "compile" else model
    watch = ds.watch(run, optimizer, every=5, scaler=scaler, **choices) if watched else None
    losses = []
    rows, targets = torch.randn(64, 1, 8, 8), torch.randint(3, (64,))
    many = 3 if mode == "accumulate" else 1
    for step in range(steps):
        total = 0.0
        for piece in range(many):
            chosen = torch.arange(8) * (1 + piece) + step % 5
            with torch.autocast("cpu", torch.bfloat16, enabled=mode == "bfloat16"):
                loss = functional.cross_entropy(run(rows[chosen]), targets[chosen]) / many
            if watch is not None:
                watch.loss(loss)
            (loss if scaler is None else scaler.scale(loss)).backward()
            total += float(loss.detach())
        losses.append(total)
        if mode == "clip":
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        optimizer.zero_grad()
    return model, optimizer, torch.get_rng_state(), losses, None if watch is None else watch.close()


@pytest.mark.parametrize("mode", ["plain", "accumulate", "bfloat16", "scaler", "clip", "compile"])
def test_a_watched_training_computes_the_same_to_the_last_bit(mode: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, optimizer, generator, losses, _ = trained(False, mode=mode)
        watched, other, state, same, trace = trained(True, mode=mode)
    assert losses == same
    assert torch.equal(generator, state)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, watched.state_dict()[name]), name
    for mine, theirs in zip(optimizer.state.values(), other.state.values(), strict=True):
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    np.testing.assert_allclose(trace.recorded["value"], losses, rtol=1e-5)
    assert trace.layer_names == ("first", "second", "last")
    assert trace.facts["network"]["activations"] == ["gelu", "relu", "linear"] or mode == "compile"
    assert "notes" not in trace.facts or all("ended" not in note for note in trace.facts["notes"])


def test_layers_norms_and_facts_are_those_of_the_network() -> None:
    *_, trace = trained(True)
    assert trace.part_names[0] == "first/weight"
    kernels = {kernel["layer"]: kernel for kernel in trace.facts["network"]["kernels"]}
    assert kernels["last"]["input_axes"] == [1]
    assert kernels["first"]["input_axes"] == [1, 2, 3]
    assert kernels["first"]["depth"] == 0
    assert kernels["last"]["height"] == 0
    assert kernels["second"]["normalised"]
    assert trace.facts["network"]["loss"] == {"name": "softmax cross-entropy", "from_logits": True}
    assert trace.facts["network"]["output"] == "linear"
    assert trace.plan["method"] == "adamw"
    assert trace.plan["batches"] == {"size": 8, "accumulate": 1}
    assert trace.facts["data"]["class_counts"] is not None
    assert trace.layer_steps.tolist() == [0, 5, 10, 15, 20]
    norms = np.asarray(trace.part_columns["gradient_norm"])
    whole = trace.recorded["gradient_norm"][trace.layer_steps]
    np.testing.assert_allclose(np.sqrt((norms**2).sum(1)), whole, rtol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1024.0])
@pytest.mark.parametrize("before", [True, False])
def test_the_value_is_the_same_wherever_a_loss_is_divided(before: bool, scale: float) -> None:
    weight = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(weight.parameters(), 0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale) if scale != 1.0 else None
    watch = ds.watch(weight, optimizer, scaler=scaler)
    for size in (2.0, 4.0):
        loss = (weight(torch.ones(1, 1)) * 0 + size).sum()
        loss = watch.loss(loss / 2) if before else watch.loss(loss) / 2
        (loss if scaler is None else scaler.scale(loss)).backward()
    (optimizer.step() if scaler is None else scaler.step(optimizer))
    assert watch.close().recorded["value"].tolist() == [3.0]


def test_a_step_that_a_scaler_skips_is_a_row() -> None:
    weight = nn.Linear(1, 1)
    optimizer, scaler = torch.optim.SGD(weight.parameters(), 0.1), torch.amp.GradScaler("cpu", init_scale=4.0)
    watch = ds.watch(weight, optimizer, scaler=scaler)
    for step in range(6):
        loss = watch.loss((weight(torch.ones(1, 1)) ** 2).sum())
        scaler.scale(loss).backward()
        if step == 2:
            weight.weight.grad.fill_(float("inf"))
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    trace = watch.close()
    assert trace.recorded["step"].tolist() == list(range(6))
    assert trace.facts["not_measured"]["gradient_norm"] == [2]
    assert trace.outcome is ds.Outcome.STEPS_USED
    assert any("1 steps were skipped" in note for note in trace.facts["notes"])


def test_a_broadcast_loss_is_named_without_a_criterion() -> None:
    torch.manual_seed(0)
    x = torch.randn(600, 4)
    y = x[:, 0] + x[:, 1]
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    watch = ds.watch(model, optimizer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _step in range(120):
            rows = torch.randint(500, (32,))
            loss = watch.loss(functional.mse_loss(model(x[rows]), y[rows]))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    left = (model(x[500:]).reshape(-1) - y[500:]).square().sum()
    watch.evaluation(validation_r2=float(1 - left / (y[500:] - y[500:].mean()).square().sum()))
    assert ds.diagnose(watch.close())[0].symptom == "wrong_loss"


@pytest.mark.parametrize("rank", [0, 1])
def test_of_several_processes_the_first_writes_and_sends(
    rank: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from downslope.watching.torch import _watch

    needs("tensorboardX")
    monkeypatch.setattr(_watch, "rank_and_processes", lambda: (rank, 2))
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    watch = ds.watch(model, optimizer, tmp_path / "run", also=f"tensorboard:{tmp_path / 'board'}")
    watch.loss(model(torch.ones(3, 2)).square().mean()).backward()
    optimizer.step()
    trace = watch.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == (["board", "run"] if rank == 0 else [])
    assert trace.facts["notes"] == [
        "Loss, layers and scores are those of process 0 of 2, on its own share of each batch."
    ]


def test_a_failing_look_stops_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    from downslope.watching.torch import _watch

    def broken(*arguments: Any, **named: Any) -> None:
        raise ValueError("no such node")

    monkeypatch.setattr(_watch, "look", broken)
    with pytest.warns(UserWarning, match="looking into the layers ended at step 0"):
        _model, *_, losses, trace = trained(True)
    np.testing.assert_allclose(trace.recorded["value"], losses, rtol=1e-5)
    assert "no such node" in trace.facts["notes"][0]


def test_a_folder_is_followed_and_gone_on_with(tmp_path: Path) -> None:
    def run(watch: Any, model: Any, optimizer: Any, first: int, last: int) -> None:
        for step in range(first, last):
            rows = torch.arange(8) + step
            loss = watch.loss(functional.cross_entropy(model(x[rows]), y[rows]))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    torch.manual_seed(0)
    x, y = torch.randn(200, 5), torch.randint(3, (200,))
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    begun = copy.deepcopy(model)

    def optimizer_of(model: Any) -> Any:
        return torch.optim.Adam(model.parameters(), 1e-2)

    whole_optimizer = optimizer_of(begun)
    whole = ds.watch(begun, whole_optimizer)
    run(whole, begun, whole_optimizer, 0, 60)
    unbroken = whole.close()
    optimizer = optimizer_of(model)
    watch = ds.watch(model, optimizer, tmp_path / "run")
    run(watch, model, optimizer, 0, 30)
    state = copy.deepcopy(
        {"watch": watch.state_dict(), "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    )
    run(watch, model, optimizer, 30, 44)
    running = ds.load_trace(tmp_path / "run")
    assert running.outcome is ds.Outcome.RUNNING
    assert running.facts["network"]["layers"] == ["0", "2"]
    watch.close()
    model.load_state_dict(state["model"])
    optimizer = optimizer_of(model)
    optimizer.load_state_dict(state["optimizer"])
    again = ds.watch(model, optimizer, tmp_path / "run")
    again.load_state_dict(state["watch"])
    run(again, model, optimizer, 30, 60)
    trace = again.close()
    for name, column in unbroken.recorded.items():
        np.testing.assert_array_equal(column, trace.recorded[name], err_msg=name)
    for name, column in unbroken.layer_columns.items():
        np.testing.assert_array_equal(np.asarray(column), np.asarray(trace.layer_columns[name]), err_msg=name)


def test_what_was_flushed_survives_a_kill_and_a_checkpoint_goes_on(tmp_path: Path) -> None:
    script = Path(__file__).parent / "torch_kills.py"
    done = subprocess.run([sys.executable, str(script), str(tmp_path), "8"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kills = json.loads(done.stdout)
    assert len(kills) == 8
    for kill in kills:
        assert kill["rows"] > kill["began"] - 10, kill  # two flushes
        assert kill["differences"] == []
    ends = [(kill["ended"], kill["end_differences"]) for kill in kills if "ended" in kill]
    assert ends == [(150, [])] * 2


def test_nothing_waits_for_a_number_between_flushes() -> None:
    def reads(watched: bool) -> int:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            torch.manual_seed(0)
            model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
            optimizer = torch.optim.SGD(model.parameters(), 1e-2)
            watch = ds.watch(model, optimizer, every=5) if watched else None
            for _ in range(40):
                loss = functional.cross_entropy(model(torch.randn(8, 5)), torch.randint(3, (8,)))
                if watch is not None:
                    watch.loss(loss)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
        return sum(event.count for event in profile.key_averages() if "_local_scalar_dense" in event.key)

    assert reads(True) == reads(False)


@pytest.mark.parametrize(
    ("make", "layers"),
    [
        (lambda: nn.Sequential(nn.LSTM(4, 6, batch_first=True)), 0),
        (lambda: nn.Sequential(nn.GRU(4, 6, batch_first=True)), 1),
        (lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 4),
    ],
)
def test_architectures_are_walked(make: Callable[[], Any], layers: int) -> None:
    model = nn.ModuleDict({"body": make(), "last": nn.Linear(4 if layers == 4 else 6, 3)})
    optimizer = torch.optim.SGD(model.parameters(), 1e-2)
    watch = ds.watch(model, optimizer, every=1)
    for _ in range(3):
        made = model["body"](torch.randn(8, 5, 4))
        made = made[0] if isinstance(made, tuple) else made
        watch.loss(functional.cross_entropy(model["last"](made[:, -1]), torch.randint(3, (8,)))).backward()
        optimizer.step()
        optimizer.zero_grad()
    trace = watch.close()
    assert len(trace.layer_names) == layers + 1
    assert not any("ended" in note for note in trace.facts.get("notes", ()))


def test_the_moves_of_many_weights_are_measured_on_some(monkeypatch: pytest.MonkeyPatch) -> None:
    from downslope.watching.torch import _model, _watch

    monkeypatch.setattr(_model, "MOST_WEIGHTS", 20_000)
    monkeypatch.setattr(_watch, "MOST_WEIGHTS", 20_000)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(300, 400), nn.ReLU(), nn.Linear(400, 3))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    parts = _model.Parts(model, [optimizer])
    assert sum(kept.numel() for kept in parts.sample()) < 24_000
    watch = ds.watch(model, optimizer, every=1)
    moves = []
    for _ in range(3):
        before = [parameter.detach().clone() for parameter in model.parameters()]
        watch.loss(functional.cross_entropy(model(torch.randn(32, 300)), torch.randint(3, (32,)))).backward()
        optimizer.step()
        optimizer.zero_grad()
        moves.append([float((old - new).norm()) for old, new in zip(before, model.parameters(), strict=True)])
    trace = watch.close()
    np.testing.assert_allclose(np.asarray(trace.part_columns["update_norm"]), moves, rtol=0.05)
    np.testing.assert_allclose(np.asarray(trace.part_columns["update_norm"])[:, 1:], np.array(moves)[:, 1:], rtol=1e-5)
    # Samples say enough of weights that are not kept.
    assert not trace.start
    assert not {"symmetric_units", "poor_initialisation"} & {each.symptom for each in ds.diagnose(trace).not_run}


def test_a_criterion_is_tried_on_artificial_outputs() -> None:
    from downslope.watching.torch._tried import tried

    numbers, classes = torch.randn(64), torch.randint(4, (64,))
    state = torch.get_rng_state()
    right = tried(lambda out, y: functional.mse_loss(out.squeeze(1), y), numbers, 1, classes=False)
    entropy = tried(nn.CrossEntropyLoss(), classes, 4, classes=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        broadcast = tried(nn.MSELoss(), numbers, 1, classes=False)
    assert torch.equal(state, torch.get_rng_state())
    assert broadcast["unpaired"] < 1e-5 < right["unpaired"]
    assert entropy["unpaired"] > 0.05
    for facts in (right, entropy):
        assert facts["not_additive"] < 1e-4
        assert facts["joint"] > 0.01
        assert facts["descent"] < 0
