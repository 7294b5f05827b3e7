"""Logs as exports, boosters and trackers lay them out: the same numbers are read, in order, and of one run."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

import downslope as ds
from tests.watching import log_writers as write
from tests.watching.handmade_logs import fall

STEPS = np.arange(0, 600, 10)
LOSS = np.round(fall(60, 3.0, 0.5, 1), 6)
HELD = np.round(fall(60, 2.9, 0.7, 2), 6)


def table(file: Path, header: Sequence[str], rows: Iterable[Sequence[object]], delimiter: str = ",") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)
    return file


def check(log: Path, *, held: bool = True, steps: np.ndarray = STEPS, rel: float = 1e-6) -> ds.Trace:
    trace = ds.read_log(log)
    assert trace.recorded["step"].tolist() == steps.tolist()
    assert trace.recorded["value"] == pytest.approx(LOSS, rel=rel)
    if held:
        assert trace.metrics["validation_loss"] == pytest.approx(HELD, rel=rel)
    return trace


# --- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["shuffled", "last first"])
def test_rows_in_any_order_are_put_in_that_of_the_steps(order: str, tmp_path: Path) -> None:
    rows = list(zip(STEPS, LOSS, HELD, strict=True))
    places = np.arange(59, -1, -1) if order == "last first" else np.random.default_rng(0).permutation(60)
    trace = check(table(tmp_path / "log.csv", ["step", "train_loss", "val_loss"], [rows[place] for place in places]))
    assert "rows put in order by step" in trace.facts["notes"]
    assert ds.diagnose(trace).ok


def test_a_run_that_was_resumed_is_no_shuffled_one(tmp_path: Path) -> None:
    steps = [*range(0, 400, 10), *range(300, 600, 10)]
    rows = [(step, LOSS[step // 10]) for step in steps]
    trace = ds.read_log(table(tmp_path / "log.csv", ["step", "loss"], rows))
    assert trace.facts["log"]["pieces"] == 2
    assert trace.recorded["step"].tolist() == steps[40:]


def test_decimal_commas_and_marks_between_thousands_are_read(tmp_path: Path) -> None:
    comma = [[step, *(f"{loss:.6f}".replace(".", ",") for loss in pair), f"{step / 10:.1f} %".replace(".", ",")]
             for step, *pair in zip(STEPS, LOSS, HELD, strict=True)]  # fmt: skip
    check(table(tmp_path / "a.csv", ["step", "trn_loss", "vld_loss", "acc"], comma, ";"))
    rows = [[f"{1000 * step:,}", loss, held] for step, loss, held in zip(STEPS, LOSS, HELD, strict=True)]
    check(table(tmp_path / "b.csv", ["Step", "Train Loss", "Va Loss"], rows), steps=1000 * STEPS)


def test_remarks_above_a_table_are_passed_over(tmp_path: Path) -> None:
    file = table(tmp_path / "log.csv", ["step", "loss"], zip(STEPS, LOSS, strict=True))
    file.write_text("# seed 3\n# lr=0.001, made by hand\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    check(file, held=False)


def test_times_beside_numbers_are_cells_of_a_table(tmp_path: Path) -> None:
    lines = [
        f"{step}   {loss:.6f}  {held:.6f}  01:0{step % 7}" for step, loss, held in zip(STEPS, LOSS, HELD, strict=True)
    ]
    (tmp_path / "log.txt").write_text("\n".join(["step  train_loss  valid_loss  time", *lines]), encoding="utf-8")
    check(tmp_path / "log.txt")


def test_tables_as_they_are_printed_are_read(tmp_path: Path) -> None:
    rows = list(zip(STEPS, LOSS, HELD, strict=True))
    framed = ["| Step | Train Loss | Val Loss |", "|-----:|-----------|:--------|"]
    framed += [f"| {step} | {loss:.6f} | {held:.6f} |" for step, loss, held in rows]
    aligned = ["Step  Train Loss  Val Loss", *(f"{step:4d}  {loss:10.6f}  {held:.6f}" for step, loss, held in rows)]
    for lines in (framed, aligned):
        (tmp_path / "log.txt").write_text("\n".join(lines), encoding="utf-8")
        check(tmp_path / "log.txt")


def test_a_row_for_each_measurement_is_read_as_columns(tmp_path: Path) -> None:
    rows = [["a1", name, number, step] for name, course in (("train_loss", LOSS), ("val_loss", HELD))
            for number, step in zip(course, STEPS, strict=True)]  # fmt: skip
    check(table(tmp_path / "export.csv", ["run_id", "key", "value", "step"], rows))
    lines = [{"name": name, "value": number, "step": int(step)} for _, name, number, step in rows]
    check(write.json_rows(tmp_path / "log.jsonl", lines))
    table(tmp_path / "two.csv", ["run_id", "key", "value", "step"], [*rows, ["b2", "train_loss", 1.0, 0]])
    with pytest.raises(ds.DataError, match="measurements of several runs"):
        ds.read_log(tmp_path / "two.csv")


def test_a_chart_that_was_exported_is_of_one_run(tmp_path: Path) -> None:
    names = ["swift-1 - train/loss", "swift-1 - val/loss"]
    header = ["Step", *(f"{name}{end}" for name in names for end in ("", "__MIN", "__MAX"))]
    rows = [[step, *[loss] * 3, *[held] * 3] for step, loss, held in zip(STEPS, LOSS, HELD, strict=True)]
    assert check(table(tmp_path / "one.csv", header, rows)).facts["log"]["columns"]["loss"] == "train/loss"
    header = [name.replace("swift-1 - val", "calm-2 - train") for name in header]
    file = table(tmp_path / "two.csv", header, rows)
    with pytest.raises(ds.DataError, match=r"columns of 2 runs: swift-1, calm-2"):
        ds.read_log(file)
    trace = ds.read_log(file, names={"loss": "calm-2 - train/loss"})
    assert trace.recorded["value"] == pytest.approx(HELD)
    assert trace.metrics.get("validation_loss") is None


def test_a_column_of_values_has_the_name_of_its_file(tmp_path: Path) -> None:
    rows = [[1.7e9 + step, step, loss] for step, loss in zip(STEPS, LOSS, strict=True)]
    check(table(tmp_path / "run_1-tag-train_loss.csv", ["Wall time", "Step", "Value"], rows), held=False)
    with pytest.raises(ds.DataError, match="holds no loss"):
        ds.read_log(table(tmp_path / "run_1-tag-lives.csv", ["Wall time", "Step", "Value"], rows))


def test_a_column_that_says_of_which_rows_a_number_is_parts_the_losses(tmp_path: Path) -> None:
    rows = [[step, phase, number] for step, *pair in zip(STEPS, LOSS, HELD, strict=True)
            for phase, number in zip(("train", "val"), pair, strict=True)]  # fmt: skip
    check(table(tmp_path / "log.csv", ["step", "Phase", "loss"], rows))


def test_a_count_that_begins_anew_with_each_epoch_is_no_row_of_runs(tmp_path: Path) -> None:
    lines = [f"epoch: {row // 20 + 1}/3, iter: {row % 20 * 10}/200, loss: {loss}" for row, loss in enumerate(LOSS)]
    (tmp_path / "log.txt").write_text("\n".join(lines), encoding="utf-8")
    trace = check(tmp_path / "log.txt", held=False, steps=np.arange(60))
    assert trace.facts["log"]["pieces"] == 1


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_columns_by_row_number_and_lists_of_steps_are_read(tmp_path: Path) -> None:
    courses = {"loss": LOSS.tolist(), "val_loss": HELD.tolist()}
    by_row = {name: {str(row): number for row, number in enumerate(course)} for name, course in courses.items()}
    (tmp_path / "pandas.json").write_text(json.dumps(by_row), encoding="utf-8")
    check(tmp_path / "pandas.json", steps=np.arange(60))
    sacred = {name: {"steps": STEPS.tolist(), "values": course} for name, course in courses.items()}
    (tmp_path / "metrics.json").write_text(json.dumps(sacred), encoding="utf-8")
    check(tmp_path / "metrics.json")


# --- lines of text ---------------------------------------------------------------------------------------------------

LINES = {
    "XGBoost": "[{step}]\ttrain-logloss:{loss}\teval-logloss:{held}",
    "LightGBM": "[{step}]\ttraining's binary_logloss: {loss}\tvalid_1's binary_logloss: {held}",
    "CatBoost": "{step}:\tlearn: {loss}\ttest: {held}\tbest: {held} ({step})\ttotal: 3ms\tremaining: 2ms",
    "fairseq": '2024-01-01 | INFO | train | {{"num_updates": {step}, "train_loss": "{loss}", "valid_loss": "{held}"}}',
    "Transformers": "{{'step': '{step}', 'loss': '{loss}', 'eval_loss': '{held}', 'learning_rate': '5e-05'}}",
    "ESPnet": "{step}step results: step {step} [train] acc: 0.5, loss: {loss}, [valid] acc: 0.4, loss: {held}",
    "llm.c": "s:{step} tel:{held}\ns:{step} trl:{loss} lr:0.000600 norm:1.2000",
}


@pytest.mark.parametrize("style", LINES)
def test_lines_of_more_programs_are_read(style: str, tmp_path: Path) -> None:
    rows = zip(STEPS, LOSS, HELD, strict=True)
    lines = [LINES[style].format(step=step, loss=loss, held=held) for step, loss, held in rows]
    (tmp_path / "log").write_text("\n".join(lines), encoding="utf-8")
    check(tmp_path / "log")


# --- folders ---------------------------------------------------------------------------------------------------------


def test_folders_of_dvclive_and_of_w_and_b_are_read(tmp_path: Path) -> None:
    for split, course in (("train", LOSS), ("val", HELD)):
        rows = zip(STEPS, course, strict=True)
        table(tmp_path / "dvclive/plots/metrics" / split / "loss.tsv", ["step", "loss"], rows, "\t")
    (tmp_path / "dvclive/metrics.json").write_text('{"train": {"loss": 0.5}, "step": 59}', encoding="utf-8")
    check(tmp_path / "dvclive")
    check(tmp_path)
    run = tmp_path / "tracked/wandb/offline-run-20260101_000000-ab12"
    run.mkdir(parents=True)
    write.wandb_run(run / "run-ab12.wandb", write.rows_of(global_step=STEPS, loss=LOSS, val_loss=HELD))
    (run.parent / "latest-run").symlink_to(run.name)
    for folder in (tmp_path / "tracked", run.parent, run):
        check(folder)


@pytest.mark.parametrize("head", [b"\x1f\x8b\x08\x00", b"PK\x03\x04"])
def test_packed_files_are_refused_with_what_to_do(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(head + bytes(range(100)))
    with pytest.raises(ds.DataError, match="unpack it"):
        ds.read_log(tmp_path / "log")


# --- losses that need not fall, and events that are no faults --------------------------------------------------------

ROUNDS = np.arange(300)
RISING = 0.7 + 2 * (1 - np.exp(-ROUNDS / 60)) + 0.1 * np.random.default_rng(3).normal(size=300)
FALLING = 0.3 + np.exp(-ROUNDS / 100) + 0.05 * np.random.default_rng(4).normal(size=300)


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        (["step", "g_loss", "d_loss"], (RISING, FALLING)),
        (["step", "Loss/generator", "Loss/critic"], (RISING, -FALLING)),
        (["step", "train/loss", "train/value_loss", "rollout/ep_rew_mean"], (RISING, 10 * RISING, 100 * RISING)),
        (["step", "losses/policy_loss", "losses/value_loss", "charts/episodic_return"], (-FALLING, RISING, RISING)),
    ],
)
def test_a_loss_that_need_not_fall_is_not_judged_by_its_course(
    header: list[str], columns: tuple[np.ndarray, ...], tmp_path: Path
) -> None:
    file = table(tmp_path / "log.csv", header, zip(ROUNDS, *columns, strict=True))
    diagnosis = ds.diagnose(ds.read_log(file))
    assert diagnosis.symptoms == ("not_judged",), diagnosis.as_text()
    assert "need not fall" in diagnosis[0].sentence
    lost = [[cell if row < 250 else math.nan for cell in cells] for row, cells in enumerate(zip(*columns, strict=True))]
    rows = [[row, *cells] for row, cells in enumerate(lost)]
    assert "not_finite" in ds.diagnose(ds.read_log(table(tmp_path / "lost.csv", header, rows)))


@pytest.mark.parametrize("names", [("loss", "rewards/chosen", "rewards/margins"), ("loss", "episode"), ("loss", "d")])
def test_other_losses_are_judged_by_their_course(names: tuple[str, ...], tmp_path: Path) -> None:
    rows = [[row, *[RISING[row]] * len(names)] for row in ROUNDS]
    assert "diverged" in ds.diagnose(ds.read_log(table(tmp_path / "log.csv", ["step", *names], rows)))


def test_losses_that_are_logged_in_turn_are_added(tmp_path: Path) -> None:
    rows = [row for step in range(50) for row in ((step, 2.0, ""), (step, "", 1.0 + step))]
    trace = ds.read_log(table(tmp_path / "metrics.csv", ["step", "g_loss", "d_loss"], rows))
    assert trace.recorded["value"] == pytest.approx(3.0 + np.arange(50))


@pytest.mark.parametrize("norm", [math.inf, math.nan])
def test_a_norm_that_overflowed_in_a_skipped_step_is_no_fault(norm: float, tmp_path: Path) -> None:
    norms = np.ones(60)
    norms[[2, 40]] = norm
    file = write.trainer_state(tmp_path / "trainer_state.json", write.rows_of(step=STEPS, loss=LOSS, grad_norm=norms))
    diagnosis = ds.diagnose(ds.read_log(file))
    assert diagnosis.ok, diagnosis.as_text()
    assert "skipped_steps" in diagnosis


@pytest.mark.parametrize("restart", [True, False])
def test_a_loss_leaps_where_its_rate_begins_anew(restart: bool, tmp_path: Path) -> None:
    rounds = np.arange(400)
    rate = 1e-3 * (0.5 + 0.5 * np.cos(np.pi * (rounds % 200) / 200)) if restart else np.full(400, 1e-3)
    loss = (0.5 + 2 * np.exp(-(rounds % 200) / 40) * np.where(rounds < 200, 1, 0.4)) * (
        1 + 0.02 * np.random.default_rng(5).normal(size=400)
    )
    file = table(tmp_path / "log.csv", ["step", "loss", "lr"], zip(rounds, loss, rate, strict=True))
    assert ("loss_spike" in ds.diagnose(ds.read_log(file))) is not restart
