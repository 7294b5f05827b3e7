"""Prescriptions as people ask for them: of a formula, of a saved run, right after a training."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from downslope.cli._main import run

FORMULA = ["f(x) = x²", "--start", "x=1", "--learning-rate", "1.1", "--steps", "20"]
DEEP = ["--hidden", "16,16,16,16,16,16,16,16", "--activation", "sigmoid", "--steps", "200", "--probe-every", "0"]
SLOW = ["train", "iris", "--hidden", "none", "--steps", "40", "--learning-rate", "1e-5", "--probe-every", "0"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(list(words))
    out, err = capsys.readouterr()
    return code, out, err


def command_in(out: str) -> list[str]:
    """Return the words of the command that was printed, without the name of the program."""
    (line,) = (line for line in out.splitlines() if line.startswith("Command"))
    words = shlex.split(line.removeprefix("Command"))
    assert words[0] == "downslope"
    return words[1:]


def test_a_formula(capsys) -> None:
    code, out, err = said(capsys, "prescribe", *FORMULA)
    assert (code, err) == (0, "")
    assert out.startswith("Found    rate_too_large")
    assert "With rate 0.5, from the curvature, the value goes from" in out
    assert "✓ rate 0.5, from the curvature: value 0" in out
    assert 'Python   ds.descend("f(x) = x²", {"x": 1.0}, learning_rate=0.5, steps=20)' in out
    code, out, _ = said(capsys, *command_in(out), "--json")
    assert (code, json.loads(out)["value"]) == (0, 0.0)


def test_a_formula_as_json_and_in_a_sentence(capsys) -> None:
    code, out, _ = said(capsys, "prescribe", *FORMULA, "--json", "--seeds", "2")
    told = json.loads(out)
    assert code == 0
    assert told["findings"][0] == "rate_too_large"
    assert told["command"].startswith("downslope descend 'f(x) = x²' --start x=1.0")
    assert len(told["trials"][0]["scores"]) == 2
    code, out, _ = said(capsys, "prescribe", *FORMULA, "--quiet")
    assert code == 0
    assert len(out.splitlines()) == 1
    assert out.startswith("With rate 0.5")


def test_nothing_is_wrong(capsys) -> None:
    code, out, _ = said(capsys, "prescribe", "x²", "--start", "x=1", "--learning-rate", "0.3")
    assert code == 0
    assert "Nothing is wrong, so nothing was changed." in out
    assert "Command" not in out


def test_a_saved_run_and_the_command_that_mends_it(capsys) -> None:
    assert said(capsys, "train", "iris", *DEEP, "--save", "run", "--quiet")[0] == 0
    code, out, err = said(capsys, "prescribe", "run", "--seeds", "3", "--trainings", "10", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    best = told["trials"][0]
    assert best["helped"]
    assert told["steps"] <= 2000
    words = shlex.split(told["command"])
    assert words[:3] == ["downslope", "train", "iris"]
    code, out, _ = said(capsys, *words[1:], "--json")
    # The proof has seeds of its own, so that the run's own seed comes near to their mean only.
    assert code == 0
    assert abs(json.loads(out)["metrics"]["validation_accuracy"] - np.mean(best["scores"])) < 0.2


def test_right_after_a_training(capsys) -> None:
    code, out, err = said(capsys, *SLOW, "--prescribe", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["prescription"]["findings"][0] == told["findings"][0]["symptom"]
    assert told["prescription"]["judged_by"] == "score on rows held back"
    healthy = ["train", "iris", "--hidden", "16", "--steps", "150", "--learning-rate", "0.01", "--probe-every", "0"]
    code, out, err = said(capsys, *healthy, "--prescribe", "--quiet")
    assert (code, err) == (0, "")
    assert out.endswith("\nNothing is wrong, so nothing was changed.\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([*FORMULA, "--seeds", "1"], "seeds must be a whole number of at least 2"),
        ([*FORMULA, "--trainings", "0"], "trainings must be a whole number of at least 1"),
        ([*FORMULA, "--remedies", "all"], "No such option"),
        (["f(x) = x²", "--learning-rate", "1.1"], "start"),
        (["f(x) = x²", "--start", "x=1", "--method", "adm"], "did you mean 'adam'?"),
        (["nowhere"], "start"),
    ],
)
def test_slips_are_told_without_a_traceback(capsys, words: list[str], told: str) -> None:
    code, out, err = said(capsys, "prescribe", *words)
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


def test_a_folder_without_a_run_is_told(capsys, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, out, err = said(capsys, "prescribe", "empty")
    assert (code, out) == (2, "")
    assert "Error:" in err
