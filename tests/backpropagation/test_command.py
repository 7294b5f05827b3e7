"""The command `downslope backprop`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from graph_pictures import NEURON, overlaps, statements

from downslope.cli._main import run

WORDS = ["backprop", NEURON, "--at", "w=0.5,x=2,b=0.1,y=1"]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command(capsys, desk: Path, houses: str) -> None:
    assert run([*WORDS, "--plot", "deep/neuron.svg"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Read as  L = (y - sigmoid(w·x + b))²")
    assert "Chain rule" in out
    assert out.endswith("Plot: deep/neuron.svg\n")
    assert not overlaps((desk / "deep" / "neuron.svg").read_text(encoding="utf-8"))
    assert run([*WORDS, "--plot", "neuron.dot", "--quiet"]) == 0
    assert "∂L/∂w = −0.187175" in capsys.readouterr().out
    assert statements((desk / "neuron.dot").read_text(encoding="utf-8"))[0]
    assert run(["backprop", "Loss(w) = mean((price - w×size)²)", "--data", houses, "--at", "w=1", "-q"]) == 0
    assert "∂Loss/∂w = −23333.3" in capsys.readouterr().out


def test_the_command_as_json(capsys, desk: Path) -> None:
    assert run([*WORDS, "--json", "--plot", "neuron.svg"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    told = json.loads(out)
    assert told["gradient"]["w"] == pytest.approx(-0.18717, abs=1e-5)
    assert told["plot"] == "neuron.svg"
    assert told["largest_difference"] < 1e-15


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["backprop", "x²"], "--at is missing"),
        (["backprop", "x² +", "--at", "x=1"], "^"),
        (["backprop", "x²", "--at", "y=1"], "no variable 'y'"),
        (["backprop", "x²", "--at", "x=1", "--plot", "x.png"], ".svg or .dot"),
        (["backprop", "mean(x×size)", "--at", "x=1", "--data", "nowhere.csv"], "no file"),
    ],
)
def test_bad_commands(capsys, desk: Path, words: list[str], told: str) -> None:
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert "Traceback" not in err
