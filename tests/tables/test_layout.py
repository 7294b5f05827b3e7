"""Layouts: a known table written in a random layout is read back equal; each decision can be overridden."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import downslope as ds
from downslope.tables._layout import layout

NAMES = ("x", "y", "Temp (°C)", "wind speed", "2020", "k_1", "Größe", "dose-mg", "t / s", "n")


@dataclass
class Written:
    """A table as text, and what is in it."""

    text: str
    columns: dict[str, np.ndarray]


def written(seed: int) -> Written:
    """Return a table in a random layout."""
    draw = random.Random(seed)
    separator = draw.choice([",", ";", "\t", "|", " "])
    comma = separator != "," and draw.random() < 0.5
    group = draw.choice(["", ".", "'"]) if comma else draw.choice(["", "", "'"])
    known = [name for name in NAMES if separator != " " or " " not in name]
    names = draw.sample(known, draw.randint(2, 4))
    if names[0] == "2020":
        names.append(names.pop(0))  # a line of numbers alone would be a row
    rows = draw.randint(3, 12)
    numbers = [[round(draw.uniform(0.1, 5000.0), draw.randint(1, 2)) for _ in names] for _ in range(rows)]

    def cell(number: float) -> str:
        whole, _, decimals = f"{number:.2f}".partition(".")
        grouped = f"{int(whole):,}".replace(",", group) if group else whole
        return f"{grouped}{',' if comma else '.'}{decimals}"

    lines = []
    if draw.random() < 0.3:
        lines += [f"# remark {number}" for number in range(draw.randint(1, 3))]
    if draw.random() < 0.3:
        lines += ["A title of the whole thing", ""]
    lines.append(separator.join(names))
    if draw.random() < 0.3:
        lines.append(separator.join(draw.choice(["mV", "[s]", "(kg)", "°C"]) for _ in names))
    for number, row in enumerate(numbers):
        if draw.random() < 0.1:
            lines.append(draw.choice(["", "# a new lamp"]))
        tail = separator if separator in ";|" and number % 2 else ""
        lines.append(separator.join(map(cell, row)) + tail)
    if draw.random() < 0.2:
        lines += ["", "end of the record"]
    ends = draw.choice(["\n", "\r\n"])
    columns = {name: np.array([row[index] for row in numbers]) for index, name in enumerate(names)}
    return Written(ends.join(lines) + ends, columns)


@pytest.mark.parametrize("seed", range(60))
def test_a_table_in_any_layout_is_read_back(seed: int, tmp_path: Path) -> None:
    table = written(seed)
    (tmp_path / "a.txt").write_bytes(table.text.encode())
    read = ds.read_table(tmp_path / "a.txt")
    assert list(read) == list(table.columns), table.text
    for name, cells in table.columns.items():
        np.testing.assert_array_equal(read[name], cells, table.text)


def test_a_layout_is_a_function_of_lines() -> None:
    read = layout(["Cooling of a cup", "", "t;T;", "min;°C;", "0,5;80;", "# lamp", "1;75;"])
    assert (read.separator, read.names_line, read.first_row, read.width) == (";", 3, 5, 2)
    assert (read.names, read.units, read.comments) == (("t", "T"), ("min", "°C"), ("#",))


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (["x,y", "s,mV", "1,2"], ("x", "y")),  # units
        (["Run,A", "x,y", "1,2"], ("x", "y")),  # a title of as many cells is none of names above units
        (["t\tU", "Time\tVoltage", "s\tV", "0\t1"], ("t", "U")),  # Origin: short name, long name, unit
        (["Data:  y  x", "1 2", "3 4"], ("y", "x")),
        (["x,2020", "1,2", "2,3"], ("x", "2020")),
        (["# x y", "1 2", "2 3"], ("x", "y")),
        (["x y", "--- ---", "1 2"], ("x", "y")),
        (["1,2", "2,3"], ()),
        (["name,place", "a,b"], ("name", "place")),
        (["x,y", "", "s,mV", "", "1,2", "2,3"], ("x", "y")),
        (["x,y", "-,-", "1,2", "2,3"], ("x", "y")),
        (["Sample A,,", "x,y,z", "1,2,3", "2,3,4"], ("x", "y", "z")),
        (["A,,B,", "t,OD,t,OD", "1,2,3,4", "2,3,4,5"], ("A t", "A OD", "B t", "B OD")),  # not a row of units
        (["x;y;remark", "1;2;", "2;3;"], ("x", "y", "remark")),  # a column without a cell
        (["site,2019,2020,2021", "a,3,5,4", "b,6,9,7"], ("site", "2019", "2020", "2021")),
        (["dye,400,410,420,430", "a,3,5,4,8", "b,6,9,7,2"], ("dye", "400", "410", "420", "430")),
        (["a,1,2,3", "b,2,4,6", "c,3,6,9"], ()),  # numbers of a row are no names
        (["#POINTS= (XY..XY)", "1, 2", "2, 3"], ()),
        (["# columns: x y", "1 2", "2 3"], ("x", "y")),
        (["\u200bx\u00a0(s),\ufeffy", "1,2", "2,3"], ("\u200bx\u00a0(s)", "\ufeffy")),
        (["a title", "1,2", "2,3", "3,4"], ()),  # one name for two columns of numbers would cost the first of them
        (["y", "a 2", "b 3"], ("y",)),
        (["day,y", "Sat Jan 20 06:30:00 2024,1", "Sun Jan 21 06:30:00 2024,2"], ("day", "y")),
    ],
)
def test_the_line_of_names(lines: list[str], names: tuple[str, ...]) -> None:
    assert layout(lines).names == names


def test_text_after_a_table_is_left_out_and_said(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("x,y\n1,2\n2,3\n\nSource: the office, 2024\n", encoding="utf-8")
    table = ds.read_table(file)
    assert table["x"].tolist() == [1, 2]
    assert table.notes == ("a.csv: text after the table left out, from line 5 on.",)
    file.write_text("x,y\n1,2\n2,3\nabout 3,4\n", encoding="utf-8")
    with pytest.raises(ds.DataError, match="row 3, column x: 'about 3'"):
        ds.fit("y = a + b x", file)


@pytest.mark.parametrize(
    ("text", "names", "words"),
    [
        ("x,y\n1,2\n2,3\nrestarted\n4,5\n5,6\n6,7\n", ["x", "y"], "row 3: 1 cell for 2 names: 'restarted'"),
        ("x,y\n1,2\n2,3\n\nrun 2\nx,y\n4,5\n5,6\n6,7\n", ["x", "y"], r"row 3 \(line 5\): 1 cell for 2 names: 'run 2'"),
        ("x,y\n1,2\n2,3\nno data,no data\n4,5\n5,6\n6,7\n", ["x", "y"], None),
        ("site,y\nA,1\nB,2\nfailed,failed\nC,3\nD,4\n", ["site", "y"], "row 3, column y: 'failed'"),
        ("x,y\n1,2\n2,3\n\nt,v\n4,5\n5,6\n6,7\n", ["t", "v"], None),  # another table
        ("name,value\nPoints,12\nRate,3\nx,y\n4,5\n5,6\n6,7\n", ["x", "y"], None),  # names and values above a table
    ],
)
def test_no_row_above_a_remark_is_lost(text: str, names: list[str], words: str | None, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(text, encoding="utf-8")
    if words is None:
        table = ds.read_table(file)
        assert list(table) == names
        assert table[names[0]][-3:].tolist() == [4, 5, 6]
        return
    with pytest.raises(ds.DataError, match=words):
        ds.fit("y = a", ds.read_table(file))


def test_names_are_as_they_are_seen(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("\ufeff\ufeffx\u00a0(s),y\u200b\n1,2\n2,3\n", encoding="utf-8")
    assert list(ds.read_table(file)) == ["x (s)", "y"]


def test_lines_drawn_between_rows_are_skipped(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("+---+---+\n| x | y |\n+===+===+\n| 1 | 2 |\n+---+---+\n| 2 | 3 |\n+---+---+\n", encoding="utf-8")
    table = ds.read_table(file)
    assert (table["x"].tolist(), table["y"].tolist()) == ([1, 2], [2, 3])


def test_remarks_after_numbers_are_left_out_and_said(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("x,y\n1,2\n2,3  # lamp off, again\n3,4 #\n", encoding="utf-8")
    table = ds.read_table(file)
    assert table["y"].tolist() == [2, 3, 4]
    assert table.notes == ("a.csv: remarks after # in 2 rows left out.",)
    file.write_text("x,lot\n1,lot 7 #5\n2,lot 8 #6\n", encoding="utf-8")
    assert ds.read_table(file)["lot"].tolist() == ["lot 7 #5", "lot 8 #6"]
    file.write_text("x y\n1 2 # the first\n2 3\n", encoding="utf-8")
    assert ds.read_table(file)["y"].tolist() == [2, 3]


def test_rows_that_end_early_are_completed_where_that_is_the_rule(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text("x\ty\tremark\n1\t2\n2\t4\n3\t6\tlamp off\n4\t8\n", encoding="utf-8")
    table = ds.read_table(file)
    assert table["x"].tolist() == [1, 2, 3, 4]
    assert table["y"].tolist() == [2, 4, 6, 8]
    assert table["remark"].tolist() == [None, None, "lamp off", None]
    assert "rows that end early completed with missing cells" in table.notes[0]
    file.write_text("x\ty\tz\n1\t2\t3\n2\t4\t5\n3\t6\t7\n4\t8\n", encoding="utf-8")
    with pytest.raises(ds.DataError, match="row 4: 2 cells for 3 names"):
        ds.read_table(file)


def test_each_decision_can_be_overridden(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("x;y\n1,234;2\n5,678;3\n", encoding="utf-8")
    assert ds.read_table(file)["x"].tolist() == [1.234, 5.678]
    assert ds.read_table(file, decimal="point")["x"].tolist() == [1234, 5678]
    assert list(ds.read_table(file, names="none")) == ["column_1", "column_2"]
    assert list(ds.read_table(file, separator="tab")) == ["x;y"]
    assert ds.read_table(file, skip=1, names=2)["2"].tolist() == [3]
    file.write_text("% a\nx;y\n1;2\n", encoding="utf-8")
    assert ds.read_table(file, comment="%")["x"].tolist() == [1]
    file.write_text("day,y\n01/02/2024,1\n03/02/2024,2\n", encoding="utf-8")
    assert ds.read_table(file, dates="day first")["day"].tolist() == [0, 2]
    assert ds.read_table(file, dates="month first")["day"].tolist() == [0, 60]
    file.write_bytes("Größe,y\n1,2\n".encode("cp850"))
    assert list(ds.read_table(file, encoding="cp850")) == ["Größe", "y"]
    with pytest.raises(ds.SettingError, match=r"a table has no choice 'seperator'\ndid you mean separator\?"):
        ds.read_table(file, seperator=";")
    with pytest.raises(ds.SettingError, match="decimal is point or comma, not 'dot'"):
        ds.read_table(file, decimal="dot")


def test_what_was_decided_is_said_once_and_kept_as_data(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("run 3\n\nt;U\ns;mV\n0,5;1\n1,5;2\n2,5;4\nend\n", encoding="utf-8")
    fit = ds.fit("U = a + b t", file)
    assert fit.notes[0] == (
        "a.csv: separator semicolon; names in line 3; line 4 skipped (units); text after the table left out, from line "
        "8 on; decimal comma."
    )
    read = fit.as_dict()["read"]
    assert (read["separator"], read["decimal"], read["names"], read["units"]) == (
        "semicolon",
        "comma",
        3,
        {"t": "s", "U": "mV"},
    )
    plain = ds.fit("y = a + b x", {"x": [1, 2, 3], "y": [1, 2, 4]})
    assert plain.as_dict()["read"] == {}
