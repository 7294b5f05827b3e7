"""The callback for Lightning against Lightning's own numbers."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needing import needs

torch = needs("torch", "lightning.pytorch")
from lightning.pytorch import LightningModule, Trainer  # noqa: E402 - after it is known to be there
from lightning.pytorch.callbacks import Callback  # noqa: E402
from lightning.pytorch.utilities import grad_norm  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

import downslope as ds  # noqa: E402
from downslope.watching.lightning import WatchCallback  # noqa: E402

QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


class Classifier(LightningModule):
    """Three classes of points; keeps what Lightning itself says of each step."""

    def __init__(self, scheduled: bool = True) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
        self.scheduled = scheduled
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.rates: list[float] = []

    def training_step(self, batch: Any, index: int) -> Any:
        loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        self.losses.append(loss.item())
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        outputs = self.net(batch[0])
        self.log("val_loss", nn.functional.cross_entropy(outputs, batch[1]))
        self.log("val_acc", (outputs.argmax(1) == batch[1]).float().mean())

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        self.norms.append(float(grad_norm(self, 2)["grad_2.0_norm_total"]))
        self.rates.append(optimizer.param_groups[0]["lr"])

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), 0.01)
        if not self.scheduled:
            return optimizer
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def rows(count: int, seed: int) -> DataLoader:
    random = np.random.default_rng(seed)
    y = random.integers(3, size=count)
    x = np.eye(3, 4)[y] * 3 + random.normal(size=(count, 4))
    data = TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(y))
    return DataLoader(data, batch_size=16)


def fit(module: LightningModule, callback: WatchCallback, **choices: Any) -> Trainer:
    trainer = Trainer(**{**QUIET, "max_epochs": 2, "callbacks": [callback], **choices})
    trainer.fit(module, rows(160, 0), rows(64, 1))
    return trainer


@pytest.mark.parametrize("accumulate", [1, 2])
def test_loss_rate_and_gradient_norm_are_those_of_lightning(accumulate: int) -> None:
    torch.manual_seed(0)
    module, callback = Classifier(), WatchCallback(every=4)
    fit(module, callback, accumulate_grad_batches=accumulate)
    recorded = callback.trace.recorded
    losses = np.reshape(module.losses, (-1, accumulate)).mean(1)
    np.testing.assert_allclose(recorded["value"], losses, rtol=1e-5)
    np.testing.assert_allclose(recorded["gradient_norm"], module.norms, rtol=1e-3)
    np.testing.assert_allclose(recorded["learning_rate"], module.rates, rtol=1e-6)


def test_weights_are_those_of_an_unwatched_training() -> None:
    ends = []
    for callbacks in ([], [WatchCallback(every=2)]):
        torch.manual_seed(0)
        module = Classifier()
        fit(module, None, callbacks=callbacks)  # type: ignore[arg-type]
        ends.append([p.detach().clone() for p in module.parameters()])
    assert all(map(torch.equal, *ends))


def test_layers_and_evaluations_are_recorded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    callback = WatchCallback(tmp_path / "run", every=4)
    trainer = fit(Classifier(), callback)
    trace = callback.trace
    assert len(trace.facts["network"]["layers"]) == 2
    np.testing.assert_allclose(trace.metrics["validation_loss"][-1], float(trainer.callback_metrics["val_loss"]))
    np.testing.assert_allclose(trace.metrics["validation_accuracy"][-1], float(trainer.callback_metrics["val_acc"]))
    assert ds.diagnose(ds.load_trace(tmp_path / "run")).symptoms == ds.diagnose(trace).symptoms


def test_the_sanity_check_is_no_evaluation() -> None:
    callback = WatchCallback()
    module = Classifier()
    trainer = fit(module, callback, num_sanity_val_steps=2)
    evaluations = len(callback.trace.metrics["validation_loss"])
    assert np.isfinite(callback.trace.metrics["validation_loss"]).sum() == 2  # epochs
    trainer.validate(module, rows(64, 1), verbose=False)
    assert len(callback.trace.metrics["validation_loss"]) == evaluations


def test_a_training_that_goes_on_from_a_checkpoint_goes_on_with_its_rows(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = WatchCallback(every=4)
    fit(Classifier(), whole)
    torch.manual_seed(0)
    trainer = fit(Classifier(), WatchCallback(every=4), max_epochs=1)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    resumed = WatchCallback(every=4)
    again = Trainer(**QUIET, max_epochs=2, callbacks=[resumed])
    again.fit(Classifier(), rows(160, 0), rows(64, 1), ckpt_path=str(tmp_path / "half.ckpt"))
    np.testing.assert_array_equal(resumed.trace.recorded["step"], whole.trace.recorded["step"])
    np.testing.assert_allclose(resumed.trace.recorded["value"], whole.trace.recorded["value"], rtol=1e-6)


def test_a_training_that_fails_leaves_its_record(tmp_path: Path) -> None:
    class Failing(Classifier):
        def on_train_batch_end(self, outputs: Any, batch: Any, index: int) -> None:
            if index == 6:
                raise RuntimeError("the disk is full")

    callback = WatchCallback(tmp_path / "run")
    with pytest.raises(RuntimeError, match="the disk is full"):
        fit(Failing(), callback)
    assert len(ds.load_trace(tmp_path / "run").recorded["step"]) >= 6


def test_two_optimizers_that_are_stepped_by_hand() -> None:
    class Two(Classifier):
        automatic_optimization = False

        def training_step(self, batch: Any, index: int) -> None:
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.losses.append(loss.item())
            first, second = self.optimizers()
            first.zero_grad()
            second.zero_grad()
            self.manual_backward(loss)
            first.step()
            second.step()

        def configure_optimizers(self) -> Any:
            return [torch.optim.SGD(self.net[0].parameters(), 0.1), torch.optim.SGD(self.net[2].parameters(), 0.1)]

    torch.manual_seed(0)
    module, callback = Two(), WatchCallback(every=4)
    module.automatic_optimization = False
    fit(module, callback)
    np.testing.assert_allclose(callback.trace.recorded["value"], module.losses, rtol=1e-5)


def sent(callback: WatchCallback) -> WatchCallback:
    return pickle.loads(pickle.dumps(callback))  # noqa: S301 - its own


def test_the_callback_goes_to_processes_of_its_own() -> None:
    """As `ddp_spawn` sends it: the record stays with process 0, in the folder."""
    callback = sent(WatchCallback("runs/one", every=3))
    assert isinstance(callback, Callback)
    assert (callback.folder, callback.choices) == ("runs/one", {"every": 3})
    fit(Classifier(), running := WatchCallback())
    with pytest.raises(ds.TraceError, match="in this process"):
        sent(running).trace  # noqa: B018 - looking it up is the test


def test_the_callback_is_one_of_lightning_and_of_this_package() -> None:
    callback = WatchCallback("runs/one", every=3)
    assert isinstance(callback, Callback)
    assert isinstance(callback, WatchCallback)
    assert (callback.folder, callback.choices) == ("runs/one", {"every": 3})
    with pytest.raises(ds.TraceError, match="has not started"):
        callback.trace  # noqa: B018 - looking it up is the test
