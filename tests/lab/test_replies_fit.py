"""What the verbs of the page "Fit" reply, asked as functions."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest
from lab.asking import ask, refusal
from work import calls_of

import downslope as ds
from downslope.lab._messages import LIMITS, UploadedFile

COFFEE = {
    "sample": "coffee.csv",
    "formula": "temperature = a + b·e^(-k·minutes)",
    "start": {"a": 60, "b": 20, "k": 0.2},
    "loss": "linear",
    "method": "levenberg-marquardt",
    "steps": 500,
}
POINTS = b"u,v,w\n0,0,1\n1,0,3.1\n0,1,4\n1,1,5.9\n2,1,8.2\n"


def test_a_fit_is_the_one_of_the_library():
    told = ask("fit", **COFFEE)
    found = ds.fit(COFFEE["formula"], "coffee.csv", start=COFFEE["start"])
    assert told["ends"] == {name: float(f"{value:.6g}") for name, value in found.values.items()}
    assert told["verdict"]["sentence"] == found.findings[0].sentence
    assert told["path"]["k"] == pytest.approx(found.trace.coordinates[:, 2], rel=1e-6)
    assert told["equations"][0] == "temperature = 60 + 20e^(-0.2·minutes)"
    assert told["residuals"][-1] == pytest.approx(found.residuals, abs=1e-4)
    assert told["table"]["headings"] == ["step", "a", "b", "k", "mean square"]
    assert [band["what"] for band in told["curve"]["bands"]] == ["next measurement, 95 %", "curve, 95 %"]
    exact = found.predict({"minutes": np.array(told["curve"]["x"])}, band="confidence")
    assert told["curve"]["bands"][1]["low"] == pytest.approx(exact.low, rel=1e-4)


def test_what_is_asked_for_is_what_the_code_says():
    told = ask("fit", **COFFEE | {"fixed": {"a": 20}, "start": {"b": 60, "k": 0.1}, "loss": "huber"})
    assert "'coffee.csv', start={'b': 60.0, 'k': 0.1}, fixed={'a': 20.0}, loss='huber')" in told["python"]
    assert told["command"].endswith("--start b=60.0,k=0.1 --fix a=20.0 --loss huber")
    assert told["free"] == ["b", "k"]
    partial = ask("fit", **COFFEE | {"start": {"b": 60}})  # what it lacks is searched for
    assert "start={'b': 60.0})" in partial["python"]
    assert "the start has no a and k: searched for beside b" in partial["notes"]


def test_the_ground_is_the_loss_with_the_others_where_they_ended():
    found = ds.fit(COFFEE["formula"], "coffee.csv")
    along = ask("fit_grid", **COFFEE | {"over": ["k"]})
    place = int(np.argmin(np.array(along["curve"]["f"], float)))
    assert along["curve"]["k"][place] == pytest.approx(found["k"], abs=1e-3)
    two = ask("fit_grid", **COFFEE | {"over": ["a", "k"]})
    assert two["over"] == ["a", "k"]
    assert len(two["lines"]) > 3
    assert "free parameters" in refusal("fit_grid", **COFFEE | {"over": ["a", "minutes"]})["message"]


def test_a_table_of_several_columns_is_told_as_measured_against_predicted():
    plane = COFFEE | {"formula": "w = a + b·u + c·v", "start": None, "table": UploadedFile("points.csv", POINTS)}
    told = ask("fit", **plane)
    assert (told["curve"], told["data"]["along"]) == (None, "w, predicted")
    assert told["data"]["x"][-1] == pytest.approx([1.02, 3.14, 3.94, 6.06, 8.18], abs=0.1)
    rows = list(csv.DictReader(ask("fit_export", **plane)["text"].splitlines()))
    assert float(rows[0]["predicted"]) + float(rows[0]["residual"]) == pytest.approx(1)


def test_columns_are_shown_and_shapes_of_them_can_all_be_read():
    told = ask("columns", sample="coffee.csv")
    assert (told["rows"], told["headings"], told["x"], told["y"]) == (
        19,
        ["minutes", "temperature"],
        "minutes",
        "temperature",
    )
    for shape in told["proposals"]:
        read = ask("equation", **COFFEE | {"formula": shape["formula"]})
        assert read["parameters"], shape
    assert ask("columns", sample="coffee.csv", x="temperature", y="minutes")["y"] == "minutes"
    hostile = b'"<script>alert(1)</script>",y\n1,2\n2,3\n'
    proposals = ask("columns", table=UploadedFile("<b>.csv", hostile))["proposals"]
    assert proposals[0]["formula"] == "y = a·`<script>alert(1)</script>` + b"  # the page shows it as text


def wide(columns: int) -> UploadedFile:
    """Return a file of 5 rows, whose columns c0, c1, … hold their number times 0, 1, 4, 9 and 16."""
    names = [f"c{place}" for place in range(columns)]
    lines = [names, *([str(place * row**2) for place in range(columns)] for row in range(5))]
    return UploadedFile("wide.csv", "\n".join(map(",".join, lines)).encode())


def test_a_table_of_hundreds_of_columns_is_shown_in_part_and_fitted():
    told = ask("columns", table=wide(403), x="c5")
    assert (len(told["headings"]), len(told["numbers"]), told["y"]) == (403, 403, "c402")
    assert {len(row) for row in told["cells"]} == {LIMITS.preview_columns}
    read = COFFEE | {"table": wide(403), "formula": "c402 = a·c5 + b", "start": None}
    assert ask("fit", **read)["ends"]["a"] == pytest.approx(402 / 5)


def test_a_table_of_more_columns_than_the_lab_takes_says_what_to_do():
    answer = refusal("columns", table=wide(LIMITS.table_columns + 1))
    assert answer["message"] == "this table has 1001 columns; the lab takes up to 1000"
    assert "smaller file" in answer["hint"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, ""),
        (b"a,b\n1,2\n3\n", "row 2"),
        (b"a,b\n" + b"1" * 2_000_000 + b",2\n", ""),
        (",".join(f"c{place}" for place in range(100_000)).encode() + b"\n" + b"1," * 99_999 + b"1\n", "columns"),
        (b"a\n1\n2\n", "a fit needs two"),
        (b"a,b\nx,y\nz,w\n", "a fit needs two"),
    ],
)
def test_a_hostile_table_gets_a_clear_answer_soon(data: bytes, words: str):
    def reply() -> None:
        answer = refusal("columns", table=UploadedFile("hostile.csv", data))
        assert answer["kind"] == "DataError"
        assert words in answer["message"]

    calls_of(reply, at_most=5_000_000)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"formula": "temperature = " + "a + " * 600 + "b"}, "FormulaError"),
        ({"formula": "temperature = a*b*c*d + g*h*k*m*n*minutes"}, "FormulaError"),
        ({"formula": "temperature = "}, "FormulaError"),
        ({"loss": "no loss"}, "SettingError"),
        ({"method": "no method"}, "SettingError"),
        ({"method": "adam", "steps": LIMITS.steps + 1}, "SettingError"),
        ({"start": {"a": "1"}}, "RequestError"),
        ({"start": [1]}, "RequestError"),
        ({"sample": "../secret.csv"}, "RequestError"),
    ],
)
def test_what_cannot_be_fitted_is_told(change: dict[str, Any], kind: str):
    assert refusal("fit", **COFFEE | change)["kind"] == kind


SEMICOLONS = "Titel\nt;T\ns;°C\n0,5;80,25\n1,5;62\n2,5;50\n".encode("cp1252")


def test_how_a_file_was_read_is_said_and_can_be_said_otherwise():
    table = UploadedFile("cup.txt", SEMICOLONS)
    read = ask("columns", table=table)["read"]
    assert read["line"] == (
        "Read with semicolons between the cells, decimal comma, names in line 2, line 3 skipped (units), "
        "encoding cp1252."
    )
    assert (read["separator"], read["decimal"], read["names"], read["sheets"]) == ("semicolon", "comma", 2, [])
    otherwise = ask("columns", table=table, reading={"names": "none", "skip": "3"})
    assert otherwise["headings"] == ["column_1", "column_2"]
    assert otherwise["read"]["line"] == (
        "Read with semicolons between the cells, decimal comma, no line with names, encoding cp1252."
    )
    said = COFFEE | {"formula": "T = a + b·t", "start": {}, "table": table, "reading": {"separator": "semicolon"}}
    assert "table={'separator': 'semicolon'}" in ask("fit", **said)["python"]
    assert refusal("columns", table=table, reading={"separator": "comma", "decimal": "?"})["kind"] == "SettingError"
    assert ask("columns", sample="coffee.csv")["read"]["line"] == (
        "Read with commas between the cells, decimal point, names in line 1."
    )


def test_of_a_long_table_a_sample_is_used_and_said():
    rows = 2 * LIMITS.table_rows
    data = b"a,b\n" + b"".join(b"%d,%d\n" % (row, 3 * row) for row in range(rows))
    told = ask("columns", table=UploadedFile("long.csv", data))
    assert (told["rows"], told["all_rows"]) == (LIMITS.table_rows, rows)
    assert f"A sample of {LIMITS.table_rows} of its {rows} rows" in told["read"]["line"]
    points = told["points"]
    assert points["y"] == pytest.approx([3 * x for x in points["x"]])
    assert (points["x"][0], points["x"][-1]) == (0, rows - 1)
    assert ask("columns", sample="coffee.csv")["all_rows"] is None


def test_the_points_of_a_table_are_those_rows_that_have_both_cells():
    told = ask("columns", table=UploadedFile("gaps.csv", b"a,b\n1,2\n,3\n4,\n5,6\n"))
    assert told["points"] == {"x": [1, 5], "y": [2, 6]}
