"""Logs that frameworks leave: each format is read, each rare symptom is named, and each trap is left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import downslope as ds
from downslope.watching.logs._names import parse
from tests.watching import log_writers as write
from tests.watching.handmade_logs import HANDMADE, fall, hugging_face, noise


@pytest.mark.parametrize("name", HANDMADE)
def test_what_is_wrong_is_named_and_nothing_else(name: str, tmp_path: Path) -> None:
    log = HANDMADE[name]
    diagnosis = ds.diagnose(ds.read_log(log.make(tmp_path, 3)))
    problems = {finding.symptom for finding in diagnosis if finding.severity is ds.Severity.PROBLEM}
    assert problems >= log.wanted, (diagnosis.as_text(), problems)
    assert log.wanted or not problems, diagnosis.as_text()
    assert diagnosis.findings


# --- formats ---------------------------------------------------------------------------------------------------------

STEPS = np.arange(0, 120, 4)
LOSS = np.round(fall(30, 3.0, 0.5, 5), 5)


def test_every_format_holds_the_same_numbers(tmp_path: Path) -> None:
    rows = write.rows_of(step=STEPS, loss=LOSS)
    files = [
        write.trainer_state(tmp_path / "trainer_state.json", rows),
        write.table(tmp_path / "metrics.csv", rows),
        write.json_rows(
            tmp_path / "log.jsonl", [{name: float(cell or 0) for name, cell in row.items()} for row in rows]
        ),
        write.history(tmp_path / "history.json", step=STEPS, loss=LOSS),
        write.events(tmp_path / "events.out.tfevents.0.a", rows),
        write.events(tmp_path / "events.out.tfevents.0.b", rows, tensors=True),
        write.wandb_run(tmp_path / "run-a.wandb", write.rows_of(**{"global_step": STEPS, "loss": LOSS})),
        write.mlflow_run(tmp_path / "run", rows),
        tmp_path / "train.log",
    ]
    lines = [f"[INFO] step {step}/120: loss={loss}" for step, loss in zip(STEPS, LOSS, strict=True)]
    files[-1].write_text("\n".join(lines), encoding="utf-8")
    for file in files:
        trace = ds.read_log(file)
        assert trace.recorded["step"].tolist() == STEPS.tolist(), file
        assert trace.recorded["value"] == pytest.approx(LOSS, rel=1e-6), file
        assert trace.facts["log"]["unit"] == "step"


def test_a_trainer_state_keeps_plan_rate_norm_and_evaluations(tmp_path: Path) -> None:
    evaluations = {100: {"eval_loss": 1.5, "eval_accuracy": 0.5}, 200: {"eval_loss": 1.1, "eval_accuracy": 0.7}}
    file = hugging_face(tmp_path, LOSS, evaluations=evaluations, grad_norm=np.ones(30), max_steps=900)
    trace = ds.read_log(str(file))
    assert (trace.plan["steps"], trace.plan["batches"]["size"]) == (900, 8)
    assert trace.recorded["learning_rate"][0] == pytest.approx(5e-5 * 29 / 30)
    assert trace.recorded["gradient_norm"].tolist() == [1.0] * 30
    assert trace.metrics["step"].tolist() == [100, 200]
    assert trace.metrics["validation_loss"].tolist() == [1.5, 1.1]
    assert trace.metrics["validation_accuracy"].tolist() == [0.5, 0.7]
    # The mean of the whole run, which the Trainer writes at the end, is no row of the course.
    assert len(trace) == 30


def test_rows_of_lightning_meet_by_step(tmp_path: Path) -> None:
    rows = write.rows_of(step=[49, 99, 149, 199], epoch=[0, 0, 1, 1], train_loss_step=[2.0, 1.5, 1.2, 1.0])
    rows[2:2] = [{"step": 99, "epoch": 0, "val_loss": 1.6}, {"step": 99, "epoch": 0, "train_loss_epoch": 1.7}]
    rows = [{"step": 0, "lr-Adam": 0.1}, *rows, {"step": 199, "epoch": 1, "val_loss": 1.1}]
    trace = ds.read_log(write.table(tmp_path / "metrics.csv", rows))
    assert trace.recorded["step"].tolist() == [49, 99, 149, 199]
    assert trace.recorded["learning_rate"].tolist() == [0.1] * 4
    assert trace.metrics["validation_loss"].tolist() == [1.6, 1.1]
    assert trace.metrics["training_epoch_loss"][0] == 1.7


def test_parts_of_a_loss_without_a_total_are_added(tmp_path: Path) -> None:
    lines = ["   epoch,  train/box_loss,  train/cls_loss,  val/box_loss,  val/cls_loss,  lr/pg0"]
    lines += [f"   {epoch},  {2 / (epoch + 1)},  1.0,  {3 / (epoch + 1)},  2.0,  0.01" for epoch in range(12)]
    (tmp_path / "results.csv").write_text("\n".join(lines), encoding="utf-8")
    trace = ds.read_log(tmp_path / "results.csv")
    assert trace.recorded["value"] == pytest.approx(2 / np.arange(1, 13) + 1)
    assert trace.metrics["validation_loss"] == pytest.approx(3 / np.arange(1, 13) + 2)
    assert trace.metrics["validation_box_loss"] == pytest.approx(3 / np.arange(1, 13))
    assert trace.recorded["learning_rate"].tolist() == [0.01] * 12


def test_evaluations_that_count_epochs_stand_where_they_were_taken(tmp_path: Path) -> None:
    rows = []
    for epoch in range(5):
        rows += [{"step": 40 * epoch + step, "train/loss": 1.0 / (1 + epoch)} for step in range(0, 40, 4)]
        rows.append({"step": epoch, "val/loss": 1.2 / (1 + epoch)})
    trace = ds.read_log(write.events(tmp_path / "events.out.tfevents.0.c", rows))
    assert trace.metrics["step"].tolist() == [36, 76, 116, 156, 196]


def test_the_last_run_of_a_file_is_read(tmp_path: Path) -> None:
    trace = ds.read_log(HANDMADE["sessions"].make(tmp_path, 0))
    assert (len(trace), trace.facts["log"]["pieces"]) == (40, 2)
    assert any("2 runs" in note for note in trace.facts["notes"])


def test_nan_of_a_file_that_leaves_nothing_empty_is_told_from_a_loss_that_is_lost(tmp_path: Path) -> None:
    gaps = [
        {"step": step, "loss": 1.0 / (1 + step), "val_loss": 2.0 if step % 5 == 0 else np.nan} for step in range(40)
    ]
    trace = ds.read_log(write.table(tmp_path / "frame.csv", gaps))
    assert len(trace.metrics["step"]) == 8
    lost = [{"step": step, "loss": 1.0 / (1 + step) if step < 20 else np.nan} for step in range(40)]
    assert "not_finite" in ds.diagnose(ds.read_log(write.table(tmp_path / "lost.csv", lost)))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ValLoss", ("validation", "loss", "")),
        ("valid loss", ("validation", "loss", "")),
        ("test_loss", ("test", "loss", "")),
        ("predict_loss", ("test", "loss", "")),
        ("eval_g0_loss", ("validation", "loss", "g0")),
        ("train/box_loss", ("training", "loss", "box")),
        ("trainloss", ("training", "loss", "")),
        ("mean_loss", ("", "loss", "")),
        ("nll_loss", ("", "loss", "nll")),
        ("best_val_loss", ("validation", "", "best")),
        ("loss_scale", ("", "", "")),
        ("lr/pg0", ("", "learning_rate", "pg0")),
        ("LR", ("", "learning_rate", "")),
        ("learning_rate", ("", "learning_rate", "")),
        ("initial_learning_rate", ("", "", "")),
        ("train/grad_norm", ("training", "gradient_norm", "")),
        ("val_accuracy", ("validation", "accuracy", "")),
    ],
)
def test_names_say_what_a_column_is(name: str, said: tuple[str, str, str]) -> None:
    column = parse(name)
    rows, quantity, part = said
    assert (column.rows, column.quantity) == (rows, quantity)
    assert not quantity or column.part == part or quantity == "gradient_norm"


def test_columns_can_be_named(tmp_path: Path) -> None:
    rows = write.rows_of(a=np.arange(30) * 2, b=LOSS, c=LOSS + 1)
    file = write.table(tmp_path / "odd.csv", rows)
    with pytest.raises(ds.DataError, match="holds no loss: its columns are a, b, c"):
        ds.read_log(file)
    trace = ds.read_log(file, names={"loss": "b", "validation_loss": "c", "step": "a"})
    assert trace.recorded["step"][-1] == 58
    assert trace.metrics["validation_loss"] == pytest.approx(LOSS + 1)
    with pytest.raises(ds.SettingError, match="no column 'd'"):
        ds.read_log(file, names={"loss": "d"})
    with pytest.raises(ds.SettingError, match="is not a role"):
        ds.read_log(file, names={"los": "b"})


STYLES = {
    "keras": "Epoch {e}/30\n\r 1/938 - loss: 9.9\r938/938 [==] - 5s 5ms/step - loss: {l} - acc: 0.9 - val_loss: {v}",
    "nanogpt": "iter {e}: loss {l}, time 51.20ms, mfu 12.1%\nstep {e}: train loss {l}, val loss {v}",
    "llm.c": "{e} train {l}\n{e} val {v}\n{e} hella 0.2463",
    "dict": "{{'loss': {l}, 'grad_norm': 1.25, 'learning_rate': 5e-05, 'epoch': {e}}}\n{{'eval_loss': {v}}}",
    "mnist": "Train Epoch: {e} [59520/60000 (99%)]\tLoss: {l}\n\nTest set: Average loss: {v}, Accuracy: 9903/10000",
    "brackets": "10:20:30,123 INFO Epoch [{e}/30], Step [100/938], Train Loss: {l}, Valid Loss: {v}",
    "pipes": "| epoch {e:03d} | loss {l} | lr 0.0005 | gnorm 1.2\n| epoch {e:03d} | valid_loss {v}",
    "colour": "\x1b[32mEpoch {e}\x1b[0m train_loss={l} val_loss={v} (best)",
}


@pytest.mark.parametrize("style", STYLES)
def test_lines_are_read_as_programs_write_them(style: str, tmp_path: Path) -> None:
    held = LOSS + 0.25
    lines = [
        STYLES[style].format(e=e, l=loss, v=round(v, 5)) for e, (loss, v) in enumerate(zip(LOSS, held, strict=True))
    ]
    (tmp_path / "train.log").write_text("Using cuda:0\n" + "\n".join(lines), encoding="utf-8")
    trace = ds.read_log(tmp_path / "train.log")
    assert trace.recorded["value"] == pytest.approx(LOSS)
    assert trace.recorded["step"].tolist() == list(range(30))
    if style != "pipes":
        assert trace.metrics["validation_loss"] == pytest.approx(held)


def test_calls_and_epochs_are_told_from_steps(tmp_path: Path) -> None:
    rows = write.rows_of(**{"train/loss": LOSS, "val/loss": LOSS, "epoch": np.arange(30)})
    assert ds.read_log(write.wandb_run(tmp_path / "run-e.wandb", rows)).facts["log"]["unit"] == "epoch"
    alone = write.rows_of(loss=LOSS)
    assert ds.read_log(write.wandb_run(tmp_path / "run-r.wandb", alone)).facts["log"]["unit"] == "row"
    events = write.rows_of(step=np.arange(30), **{"Loss/train": LOSS, "Loss/val": LOSS})
    assert ds.read_log(write.events(tmp_path / "events.out.tfevents.1.e", events)).facts["log"]["unit"] == "epoch"


# --- what cannot be read ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "is empty"),
        ("a.json", b"{broken", "not valid JSON"),
        ("b.json", b'{"name": "x"}', "holds no log"),
        ("notes.txt", b"some words\nand more\n", "no line has a loss"),
        ("prose.md", b"# On losses\n\nA loss of 0.0 beside a NaN is lost.\n", "no line has a loss"),
        ("run-a.wandb", b":W&B\xe1\xbe\x07" + bytes(40), "version 7"),
        ("mlruns.db", b"SQLite format 3\0" + bytes(40), "is a database"),
        ("blob.bin", bytes(range(256)) * 4, "it is not text"),
    ],
)
def test_what_is_no_log_is_refused_with_the_reason(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(ds.DataError, match=message):
        ds.read_log(file)


@pytest.mark.parametrize(
    ("name", "content"), [("metrics.csv", b"epoch,step,train_loss\n"), ("trainer_state.json", b'{"log_history": []}')]
)
def test_a_log_that_was_only_begun_has_no_step(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    diagnosis = ds.diagnose(ds.read_log(tmp_path / name))
    assert diagnosis.ok
    assert "No step was taken yet" in diagnosis.as_text()


def test_the_mean_of_a_run_that_was_too_short_to_be_logged_is_its_row(tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text('{"log_history": [{"step": 40, "train_loss": 0.7}]}', encoding="utf-8")
    trace = ds.read_log(tmp_path)
    assert (trace.recorded["step"].tolist(), trace.recorded["value"].tolist()) == ([40], [0.7])


def test_paths_that_lead_to_no_log(tmp_path: Path) -> None:
    with pytest.raises(ds.DataError, match="there is no log"):
        ds.read_log(tmp_path / "none.csv")
    with pytest.raises(ds.DataError, match="folder without a log"):
        ds.read_log(tmp_path)
    with pytest.raises(ds.SettingError, match="a file or a folder"):
        ds.read_log(3)  # type: ignore[arg-type]  # what the message is about
    for version in range(2):
        (tmp_path / f"version_{version}").mkdir()
        write.table(tmp_path / f"version_{version}" / "metrics.csv", write.rows_of(step=STEPS, loss=LOSS))
    with pytest.raises(ds.DataError, match="version_0"):
        ds.read_log(tmp_path)
    assert len(ds.read_log(tmp_path / "version_1")) == 30


@pytest.mark.parametrize("rows", [1, 2])
def test_one_or_two_rows_are_a_log(rows: int, tmp_path: Path) -> None:
    file = write.trainer_state(tmp_path / "trainer_state.json", write.rows_of(step=STEPS[:rows], loss=LOSS[:rows]))
    diagnosis = ds.diagnose(ds.read_log(file))
    assert diagnosis.ok, diagnosis.as_text()
    assert "healthy" not in diagnosis


def test_a_run_cut_off_anywhere_is_read_up_to_there(tmp_path: Path) -> None:
    rows = write.rows_of(step=STEPS, loss=LOSS)
    for cut in (1, 13, 40, 77):
        events = ds.read_log(write.events(tmp_path / "events.out.tfevents.1.x", rows, cut=cut))
        history = ds.read_log(write.wandb_run(tmp_path / "run-x.wandb", rows, cut=cut))
        for trace in (events, history):
            assert 25 <= len(trace) < 30, cut
            assert trace.caveats
            assert trace.recorded["value"] == pytest.approx(LOSS[: len(trace)], rel=1e-6)


def test_records_of_w_and_b_that_span_blocks_are_joined(tmp_path: Path) -> None:
    wide = {f"column {index}": noise(index, 40, 1.0) for index in range(150)}
    file = write.wandb_run(tmp_path / "run-wide.wandb", write.rows_of(loss=fall(40, 2, 1, 0), **wide))
    assert file.stat().st_size > 3 * 32_768
    assert len(ds.read_log(file)) == 40


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_reads_a_log_without_heavy_imports(tmp_path: Path) -> None:
    file = hugging_face(tmp_path, fall(400, 3.0, 0.5, 1))
    code = (
        "import sys\nfrom downslope.cli import main\n"
        f"sys.argv = ['downslope', 'diagnose', {str(file)!r}, '--json']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'jax', 'torch', 'wandb', 'mlflow', 'polars', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["findings"][0]["symptom"] == "not_judged"
