"""What pictures accept, and what they answer to anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope.draw import PICTURES

NO_INPUT: tuple[Any, ...] = (
    None,
    3,
    -1.5,
    "",
    "x +",
    [],
    {},
    (),
    np.zeros(0),
    object(),
    float("nan"),
    True,
    int,
    ds.Trace,
)
FORMULAS = {"function"}


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
@pytest.mark.parametrize("value", NO_INPUT, ids=lambda value: type(value).__name__ + repr(value)[:6])
def test_anything_else_is_answered_in_words(picture: ds.draw.Picture, value: Any, tmp_path) -> None:
    further = {
        "animate": (ds.descend("x²", 1, steps=2), tmp_path / "way.gif"),
        "slice": (ds.descend("x²", 1, steps=2),),
        "animate_race": (tmp_path / "race.gif",),
    }.get(picture.name, ())
    with pytest.raises(ds.DownslopeError) as caught:
        picture.draw(value, *further)
    assert len(str(caught.value)) > 10


@pytest.mark.parametrize("value", [None, 3, "x", [], {}, np.zeros(2), object()])
def test_a_diagnosis_is_of_a_trace(value: Any) -> None:
    with pytest.raises(ds.SettingError, match="diagnose takes a trace, not"):
        ds.diagnose(value)


@pytest.mark.parametrize("others", [None, 3, "x", [3], np.zeros(2)])
def test_other_traces_are_traces(others: Any) -> None:
    with pytest.raises(ds.SettingError, match="trace"):
        ds.diagnose(ds.descend("x²", 1, steps=2), others)


def test_a_result_that_holds_a_trace_is_diagnosed_and_drawn() -> None:
    x = np.linspace(0, 1, 20)
    fitted = ds.fit("y = a x + b", {"x": x, "y": 2 * x + 1 + 0.01 * np.cos(9 * x)})
    assert ds.diagnose(fitted).symptoms == ds.diagnose(fitted.trace).symptoms
    assert len(ds.draw.progress(fitted)) == 3


def test_text_is_drawn_as_its_objective() -> None:
    trace = ds.descend("x² + 2y²", {"x": 4, "y": 3}, learning_rate=0.1, steps=5)
    axes = ds.draw.landscape("x² + 2y²", trace, bounds={"x": (-5, 5)})
    assert axes.get_xlim() == (-5, 5)
    assert "5 steps" in [str(one.get_label()) for one in axes.get_lines()]
    curve = ds.draw.curve("f(p) = p²", at=2, bounds=(-3, 3), units={"p": "metre"})
    assert curve.get_xlabel() == "p (metre)"
    assert "tangent, slope 4" in [str(one.get_label()) for one in curve.get_lines()]
    assert ds.draw.surface(ds.formula("x² + 2y²"), trace).get_zlabel() == "f"


@pytest.mark.parametrize(
    "choices",
    [
        {"at": {"z": 1}},
        {"at": "x"},
        {"at": object()},
        {"bounds": {"z": (0, 1)}},
        {"bounds": {"x": (1, 0)}},
        {"bounds": {"x": 3}},
        {"bounds": {"x": (0, float("inf"))}},
        {"bounds": 3},
        {"over": ("x", "x")},
        {"over": "xy"},
        {"axes": 3},
        {"axes": []},
        {"trace": 3},
        {"trace": "x"},
    ],
)
def test_wrong_choices_are_answered_in_words(choices: dict[str, Any]) -> None:
    with pytest.raises(ds.DownslopeError) as caught:
        ds.draw.landscape("x² + 2y²", **choices)
    assert len(str(caught.value)) > 10


def test_another_number_of_axes_is_answered_in_words() -> None:
    trace = ds.descend("x²", 1, steps=2)
    with pytest.raises(ds.SettingError, match="3 Matplotlib axes, not 1 axes"):
        ds.draw.progress(trace, axes=[ds.draw.curve("x²")])
    with pytest.raises(ds.SettingError, match="findings are those of a diagnosis"):
        ds.draw.progress(trace, 3)  # type: ignore[arg-type]  # as a person might


def test_every_public_name_is_a_picture_or_data_of_one() -> None:
    data = {"PICTURES", "Grid", "Picture", "box", "grid", "levels"}
    assert {picture.name for picture in PICTURES} | data == set(ds.draw.__all__)
    assert all(picture.caption for picture in PICTURES if picture.shows in ("descent", "training"))


def test_every_file_with_a_picture_is_exported() -> None:
    files = {
        file.stem for file in Path(ds.draw.__file__ or "").parent.glob("_*.py") if "\n@picture(" in file.read_text()
    }
    assert files == {picture.draw.__module__.rpartition(".")[2] for picture in PICTURES}
    for picture in PICTURES:
        compile(picture.example, picture.name, "exec")


def test_a_grid_holds_what_a_landscape_shows() -> None:
    axes, heights = ds.draw.grid("x² + 2y²", {"x": (-1, 1), "y": (0, 1)}, count=3)
    np.testing.assert_allclose(heights, axes["x"] ** 2 + 2 * axes["y"][:, None] ** 2)
    assert ds.draw.grid("x²", (0, 2), count=3).heights.tolist() == [0, 1, 4]
    with pytest.raises(ds.PointError, match="one or two variables"):
        ds.draw.grid("x²", None)
    trace = ds.descend("x² + 2y²", {"x": 4, "y": 3}, steps=5)
    low, high = ds.draw.box(trace, ("x",))["x"]
    assert low < 4 < high
    with pytest.raises(ds.SettingError, match="takes a trace"):
        ds.draw.box(3, ("x",))  # type: ignore[arg-type]  # as a person might
