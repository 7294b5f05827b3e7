"""The picture of a prescription, by what it draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgba

import downslope as ds
from downslope.cli._main import run
from downslope.draw import _style as style


@pytest.fixture(scope="module")
def saddle() -> ds.Prescription:
    return ds.prescribe(ds.plan("f(x, y) = x² - y² + y⁴", {"x": 1, "y": 0}), seeds=3, progress=False)


def dots(axes) -> list[np.ndarray]:
    """Return the places of the dots, row by row."""
    return [np.asarray(line.get_xydata()) for line in axes.get_lines() if line.get_marker() == "o"]


def test_each_run_is_a_dot_on_the_row_of_its_remedy(saddle: ds.Prescription) -> None:
    axes = ds.draw.prescription(saddle)
    rows = dots(axes)
    scores = [saddle.control, saddle.reseeded, *(trial.scores for trial in saddle.trials)]
    assert len(rows) == len(scores) == len(axes.get_yticks())
    for place, (row, told) in enumerate(zip(rows, scores, strict=True)):
        np.testing.assert_allclose(row[:, 0], -np.asarray(told))
        assert np.all(np.round(row[:, 1]) == place)
        assert np.all(np.diff(row[:, 1]) > 0)
    names = [text.get_text().replace("\n", " ") for text in axes.get_yticklabels()]
    assert names == ["unchanged", "starts close by", *(trial.remedy.name for trial in saddle.trials)]
    low, high = axes.get_ylim()
    assert low > high
    assert axes.get_xlabel() == "value"


def test_what_helped_is_coloured_and_its_effect_stands_beside(saddle: ds.Prescription) -> None:
    axes = ds.draw.prescription(saddle)
    told = {text.get_text() for text in axes.texts}
    for trial in saddle.trials:
        assert saddle.yardstick.improvement(trial.effect) in told
        (line,) = (one for one in axes.get_lines() if one.get_label() == trial.remedy.name)
        assert (to_rgba(line.get_color()) == to_rgba(style.END)) == trial.helped
    assert axes.get_title(loc="left").startswith("Saddle point, mended by a start a little off")
    assert any("over 3 paired starts" in text for text in told)


def test_values_that_all_but_vanish_are_drawn_by_their_powers() -> None:
    found = ds.prescribe(ds.plan("f(x) = x²", {"x": 10}, learning_rate=0.001, steps=1000), seeds=2, progress=False)
    axes = ds.draw.prescription(found)
    assert axes.get_xscale() == "log"
    assert all(np.all(row[:, 0] > 0) for row in dots(axes))
    axes.figure.canvas.draw()


def test_values_that_vanish_are_set_apart_as_zero() -> None:
    found = ds.prescribe(ds.plan("f(x) = x²", {"x": 10}, learning_rate=1.0, steps=300), seeds=2, progress=False)
    axes = ds.draw.prescription(found)
    axes.figure.canvas.draw()
    shown = [-np.asarray(scores) for scores in (found.control, found.reseeded, *(each.scores for each in found.trials))]
    vanished = np.concatenate([values < 1e-16 * np.concatenate(shown).max() for values in shown])
    assert 0 < vanished.sum() < len(vanished)
    at = np.concatenate([row[:, 0] for row in dots(axes)])
    apart = set(at[vanished])
    assert len(apart) == 1
    (leftmost, *others) = [tick.get_text() for tick in axes.get_xticklabels()]
    assert leftmost == "0" or leftmost.startswith("≤ ")
    assert not any(text.startswith(("0", "≤")) and text == leftmost for text in others)
    np.testing.assert_allclose(at[~vanished], np.concatenate(shown)[~vanished])


def test_where_nothing_was_proved_what_was_tried_is_shown() -> None:
    healthy = ds.prescribe(ds.plan("f(x) = x²", {"x": 1}, learning_rate=0.3), progress=False)
    axes = ds.draw.prescription(healthy)
    assert axes.get_title(loc="left") == "Converged"
    assert [len(row) for row in dots(axes)] == [1]
    nothing = ds.prescribe(ds.plan("f(x) = -x²", {"x": 1}, learning_rate=0.1), progress=False)
    axes = ds.draw.prescription(nothing)
    assert axes.get_title(loc="left") == "Diverged: nothing helped" if nothing.tried else "Diverged"
    axes.figure.canvas.draw()


def test_it_is_drawn_at_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = tmp_path / "mended.png"
    assert run(["prescribe", "f(x) = x²", "--start", "x=1", "--learning-rate", "1.1", "--plot", str(plot)]) == 0
    assert capsys.readouterr().out.endswith(f"Plot: {plot}\n")
    assert plot.stat().st_size > 10_000
    assert run(["prescribe", "f(x) = x²", "--start", "x=1", "--plot", "mended.bmp"]) == 2
