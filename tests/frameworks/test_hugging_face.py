"""The callback for the Trainer of Hugging Face against the Trainer's own log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needing import needs

torch = needs("torch", "transformers", "accelerate")
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainerCallback, TrainingArguments  # noqa: E402

import downslope as ds  # noqa: E402
from downslope.watching.hugging_face import WatchCallback  # noqa: E402


def bert() -> BertForSequenceClassification:
    """Return a BERT of two layers, 16 numbers wide, that tells two classes apart."""
    torch.manual_seed(0)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=20,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=12,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    )


def sentences(count: int, seed: int) -> list[dict[str, Any]]:
    """Return rows of eight tokens; the class is whether the first is above the middle."""
    random = np.random.default_rng(seed)
    return [{"input_ids": tokens, "labels": int(tokens[0] > 9)} for tokens in random.integers(20, size=(count, 8))]


def trainer(folder: Path, callback: WatchCallback | None, kind: type[Trainer] = Trainer, **choices: Any) -> Trainer:
    arguments: dict[str, Any] = {
        "max_steps": 12,
        "per_device_train_batch_size": 8,
        "logging_steps": 1,
        "learning_rate": 3e-3,
        "max_grad_norm": 1e6,  # the Trainer's log holds the norm before clipping
        "eval_strategy": "steps",
        "eval_steps": 6,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
    }
    held_back = choices.pop("eval_dataset", None) or sentences(64, 1)
    return kind(
        bert(),
        TrainingArguments(str(folder), **{**arguments, **choices}),
        train_dataset=sentences(256, 0),
        eval_dataset=held_back,
        compute_metrics=lambda p: {"accuracy": float((p.predictions.argmax(1) == p.label_ids).mean())},
        callbacks=[] if callback is None else [callback],
    )


def logged(run: Trainer, name: str) -> np.ndarray:
    return np.array([row[name] for row in run.state.log_history if name in row and "loss" in row])


@pytest.mark.parametrize("accumulate", [1, 2])
def test_loss_rate_and_gradient_norm_are_those_of_the_trainer(accumulate: int, tmp_path: Path) -> None:
    callback = WatchCallback(every=4)
    run = trainer(tmp_path, callback, gradient_accumulation_steps=accumulate)
    run.train()
    recorded = callback.trace.recorded
    np.testing.assert_allclose(recorded["value"], logged(run, "loss"), rtol=1e-3)
    np.testing.assert_allclose(recorded["gradient_norm"], logged(run, "grad_norm"), rtol=1e-3)
    np.testing.assert_allclose(recorded["learning_rate"], logged(run, "learning_rate"), rtol=1e-3)


def test_evaluations_are_those_of_the_trainer(tmp_path: Path) -> None:
    callback = WatchCallback()
    run = trainer(tmp_path, callback)
    run.train()
    (last,) = [row for row in run.state.log_history if "eval_loss" in row and row["step"] == 12]
    metrics = callback.trace.metrics
    assert metrics["validation_loss"][-1] == pytest.approx(last["eval_loss"])
    assert metrics["validation_accuracy"][-1] == pytest.approx(last["eval_accuracy"])
    run.evaluate()  # after the training, and no part of it
    assert len(callback.trace.metrics["step"]) == len(metrics["step"])


def test_of_several_sets_each_is_recorded_and_the_mean_over_them(tmp_path: Path) -> None:
    callback = WatchCallback()
    run = trainer(tmp_path, callback, eval_dataset={"news": sentences(64, 1), "wiki": sentences(32, 2)})
    run.train()
    rows = {name: x for row in run.state.log_history if row["step"] == 12 for name, x in row.items()}
    metrics = callback.trace.metrics
    for score in ("loss", "accuracy"):
        sets = [rows[f"eval_{name}_{score}"] for name in ("news", "wiki")]
        assert [metrics[f"validation_{name}_{score}"][-1] for name in ("news", "wiki")] == pytest.approx(sets)
        assert metrics[f"validation_{score}"][-1] == pytest.approx(np.mean(sets))
    assert np.isfinite(metrics["validation_loss"]).sum() == 2  # evaluations


def test_weights_are_those_of_an_unwatched_training(tmp_path: Path) -> None:
    ends = []
    for callback in (None, WatchCallback(every=2)):
        run = trainer(tmp_path, callback)
        run.train()
        ends.append([p.detach().clone() for p in run.model.parameters()])
    assert all(map(torch.equal, *ends))


def test_a_loss_of_ones_own_is_told_by_hand_or_missed_aloud(tmp_path: Path) -> None:
    class Own(Trainer):
        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **rest: Any) -> Any:
            outputs = model(input_ids=inputs["input_ids"])
            loss = torch.nn.functional.cross_entropy(outputs.logits, inputs["labels"])
            for callback in self.callback_handler.callbacks:
                if isinstance(callback, WatchCallback) and model.training and self.tells:
                    callback.watch.loss(loss)
            return (loss, outputs) if return_outputs else loss

    callback = WatchCallback()
    run = trainer(tmp_path, callback, Own)
    run.tells = True
    run.train()
    np.testing.assert_allclose(callback.trace.recorded["value"], logged(run, "loss"), rtol=1e-3)
    run = trainer(tmp_path, WatchCallback(), Own)
    run.tells = False
    with pytest.warns(UserWarning, match="holds no loss"):
        run.train()


def test_the_callback_is_one_of_transformers_and_of_this_package() -> None:
    callback = WatchCallback("runs/one", every=3)
    assert isinstance(callback, TrainerCallback)
    assert isinstance(callback, WatchCallback)
    with pytest.raises(ds.TraceError, match="has not started"):
        callback.trace  # noqa: B018 - looking it up is the test


def test_a_training_that_goes_on_from_a_checkpoint_goes_on_with_its_rows(tmp_path: Path) -> None:
    whole = WatchCallback(every=4)
    trainer(tmp_path / "whole", whole).train()
    broken = {"save_strategy": "steps", "save_steps": 6}
    first = trainer(tmp_path / "broken", WatchCallback(every=4), **broken)
    first.train()
    resumed = WatchCallback(every=4)
    again = trainer(tmp_path / "broken", resumed, **broken)
    again.train(resume_from_checkpoint=str(tmp_path / "broken" / "checkpoint-6"))
    assert resumed.trace.recorded["step"].tolist() == list(range(12))
    np.testing.assert_allclose(resumed.trace.recorded["value"], whole.trace.recorded["value"], rtol=1e-5)
    (tmp_path / "broken" / "checkpoint-6" / "downslope.json").unlink()
    bare = WatchCallback()
    trainer(tmp_path / "broken", bare).train(resume_from_checkpoint=str(tmp_path / "broken" / "checkpoint-6"))
    assert bare.trace.recorded["step"].tolist() == list(range(6, 12))
