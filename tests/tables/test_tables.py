"""Tables: every source gives the same columns, each of its kind; every format is read and written by its one record."""

from __future__ import annotations

import datetime
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest

import downslope as ds
from downslope.tables import _formats
from downslope.tables._formats import FORMATS, Format
from downslope.tables._raw_table import RawTable, ReadChoices

HOUSES = {"size": [50, 100, 150], "price": [100, 200, 300]}
DAYS = [datetime.date(2024, 1, 31), datetime.date(2024, 2, 29), None]
MIXED = {"size": [1.5, None, 3.0], "sold": [True, None, False], "day": DAYS, "place": ["here", "there", None]}
KINDS = {"size": "number", "sold": "truth", "day": "date", "place": "text"}


# --- kinds ------------------------------------------------------------------------------------------------------------


def _as_pandas(columns: dict[str, Any]) -> pandas.DataFrame:
    frame = pandas.DataFrame(columns)
    return frame.astype({"sold": "boolean"}).assign(day=pandas.to_datetime(frame["day"]))


@pytest.mark.parametrize("source", [dict, polars.DataFrame, _as_pandas, "parquet"])
def test_each_column_has_its_kind(source: Any, tmp_path: Path) -> None:
    if source == "parquet":
        polars.DataFrame(MIXED).write_parquet(tmp_path / "mixed.parquet")
        table = ds.read_table(tmp_path / "mixed.parquet")
    else:
        table = ds.read_table(source(MIXED))
    assert table.kinds == KINDS
    np.testing.assert_array_equal(table["size"], [1.5, np.nan, 3.0])
    np.testing.assert_array_equal(table["sold"], [1, np.nan, 0])
    np.testing.assert_array_equal(table["day"], [0, 29, np.nan])  # days since the first row
    assert str(table.column("day").instants[0]).startswith("2024-01-31")
    assert list(table["place"][:2]) == ["here", "there"]
    assert (table.rows, len(table), table.truths) == (3, 4, frozenset({"sold"}))


def test_text_is_numbers_where_every_cell_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,size,sold\n007,1e2,True\n12,?,False\n", encoding="utf-8")
    table = ds.read_table(tmp_path / "a.csv")
    assert table.kinds == {"id": "number", "size": "number", "sold": "truth"}
    assert table.source == "a.csv"
    np.testing.assert_array_equal(table["size"], [100, np.nan])
    cells = {name: column.to_list() for name, column in ds.read_cells(tmp_path / "a.csv").items()}
    assert cells == {"id": ["007", "12"], "size": ["1e2", "?"], "sold": ["True", "False"]}


def test_dates_are_days_since_the_first_row() -> None:
    day = pandas.Series(pandas.to_datetime(["2024-01-31", "2024-02-29"]))
    assert ds.objective("mean((day − w)²)", {"day": day})({"w": 0}) == 29**2 / 2


def test_a_table_is_a_table() -> None:
    table = ds.read_table(MIXED)
    assert ds.read_table(table) is table
    assert table == table
    assert table != ds.read_table(MIXED)
    assert repr(table) == "<Table of 3 rows: size: number, sold: truth, day: date, place: text>"
    houses = {**HOUSES, "sold": [True, False, True]}
    assert ds.examples(ds.read_table(houses), "sold").encoding.target.categories == (False, True)


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "size,price\n50,100\n100,200\n"),
        ("a.csv", "\ufeffsize,price\r\n50,100\r\n100,200\r\n"),
        ("a.tsv", "size\tprice\n50\t100\n100\t200\n"),
        ("a.txt", "size;price\n50;100\n100;200\n\n"),
        ("a.csv", '"size","price"\n"50","1e2"\n100, 200\n'),
    ],
)
def test_every_kind_of_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    table = ds.read_table(tmp_path / name)
    np.testing.assert_array_equal(table["size"], [50, 100])
    np.testing.assert_array_equal(table["price"], [100, 200])


@pytest.mark.parametrize("name", ["a.csv", "a.TSV", "a.txt", "a.parquet", "a.pq"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    columns = {"size": np.array([1.5, 2.5]), "place": np.array(["here", "there"], object), "count": [1, 2]}
    file = ds.write_table(columns, tmp_path / "deep" / name)
    table = ds.read_table(str(file))
    assert list(table) == list(columns)
    for column, cells in columns.items():
        np.testing.assert_array_equal(table[column], cells)
    with file.open("rb") as opened:
        assert list(ds.read_table(opened)["place"]) == ["here", "there"]


def test_arrow_files_are_read_and_written(tmp_path: Path) -> None:
    for name, compression in (("a.arrow", "uncompressed"), ("a.feather", "lz4"), ("a.ipc", "zstd")):
        polars.DataFrame(MIXED).write_ipc(tmp_path / name, compression=compression)  # pyright: ignore[reportCallIssue, reportArgumentType]
        table = ds.read_table(tmp_path / name)
        assert table.kinds == KINDS
        np.testing.assert_array_equal(table["day"], [0, 29, np.nan])
    whole = (tmp_path / "a.arrow").read_bytes()
    for end in (6, 40, len(whole) // 2):
        (tmp_path / "cut.arrow").write_bytes(whole[:end])
        with pytest.raises(ds.DataError, match=r"cut.arrow is not an Arrow file that can be read"):
            ds.read_table(tmp_path / "cut.arrow")
    copied = ds.write_table(HOUSES, tmp_path / "b.feather")
    assert ds.read_table(copied)["price"].tolist() == HOUSES["price"]


def test_columns_in_json_may_stand_beside_what_is_said_of_them(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"sample": "A", "tags": [], "x": [1, 2, 3], "y": [2, 4, null]}', encoding="utf-8")
    table = ds.read_table(file)
    assert list(table) == ["x", "y"]
    np.testing.assert_array_equal(table["y"], [2, 4, np.nan])
    file.write_text('{"sample": "A", "x": [1, 2, 3], "y": [2, 4]}', encoding="utf-8")
    with pytest.raises(ds.DataError, match="holds no table"):
        ds.read_table(file)


def test_columns_are_written_beside_those_of_a_file_as_they_stand(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,size\n007,1.50\n012,\n", encoding="utf-8")
    cells = {**ds.read_cells(tmp_path / "a.csv"), "predicted": np.array([1.0, 2.0])}
    assert ds.write_table(cells, tmp_path / "b.csv").read_text() == "id,size,predicted\n007,1.50,1.0\n012,,2.0\n"
    frame = polars.read_parquet(ds.write_table(cells, tmp_path / "b.parquet"))
    assert frame["id"].to_list() == ["007", "012"]
    frame = polars.read_parquet(ds.write_table(cells, tmp_path / "b.parquet", infer=True))
    assert frame.schema == {"id": polars.Int64, "size": polars.Float64, "predicted": polars.Float64}
    again = ds.write_table({**ds.read_cells(tmp_path / "b.parquet")}, tmp_path / "c.parquet")
    assert polars.read_parquet(again).equals(frame)


def test_a_stream_without_a_name_is_csv() -> None:
    np.testing.assert_array_equal(ds.read_table(io.StringIO("size,price\n50,100\n"))["price"], [100])


def test_the_shipped_table_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert set(ds.read_table("houses.csv")) == {"size", "price"}


# --- what is refused --------------------------------------------------------------------------------------------------


def test_unknown_files_name_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "houses.csv").write_text("a\n1\n")
    with pytest.raises(ds.DataError, match=r"did you mean houses\.csv"):
        ds.read_table(tmp_path / "house.csv")
    with pytest.raises(ds.DataError) as far:  # the suffix is all that the two share
        ds.read_table(tmp_path / "nofile.csv")
    assert far.value.hint is None
    (tmp_path / "a.sav").write_text("a\n1\n")
    (tmp_path / "a.bin").write_bytes(b"a\0\0\1")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ds.DataError, match=r"cannot read 'a.sav' as a table\npandas reads it: .*read_spss"):
        ds.read_table(tmp_path / "a.sav")
    with pytest.raises(ds.DataError, match=r"cannot read 'a.bin' .*\nCSV \(.csv, .txt\), TSV .*, Parquet"):
        ds.read_table(tmp_path / "a.bin")
    with pytest.raises(ds.DataError, match=r"a\.json holds no table\na table in JSON is"):
        ds.read_table(tmp_path / "a.json")


@pytest.mark.parametrize("name", ["a.parquet", "a.pq"])
def test_a_torn_parquet_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PAR1")
    with pytest.raises(ds.DataError, match=f"{name} is not a Parquet file"):
        ds.read_table(tmp_path / name)


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ds.SettingError, match=r"must end in \.csv, .* \.pq, .* \.json, \.jsonl or \.ndjson"):
        ds.write_table(HOUSES, tmp_path / "a.xlsx")
    (tmp_path / "file").write_text("")
    with pytest.raises(ds.DataError, match="cannot be written"):
        ds.write_table(HOUSES, tmp_path / "file" / "a.csv")


# --- the registry -----------------------------------------------------------------------------------------------------


def test_suffixes_are_those_of_one_format_each() -> None:
    suffixes = [suffix for known in FORMATS for suffix in known.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert set(ds.table_suffixes("read")) | set(ds.table_suffixes("write")) == set(suffixes)
    assert all(known.read is not None or known.write is not None for known in FORMATS)


def test_a_format_is_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record alone makes a format that is read, trained on, written and exported."""

    def read(name: str, source: Path | bytes, choices: ReadChoices) -> RawTable:
        text = source.decode() if isinstance(source, bytes) else source.read_text()
        names, *rows = (line.split("|") for line in text.splitlines())
        return RawTable(tuple(polars.Series(name, [row[i] for row in rows]) for i, name in enumerate(names)))

    piped = Format("piped", (".pipe",), read, lambda frame, file: frame.write_csv(file, separator="|"), has_types=False)
    monkeypatch.setattr(_formats, "FORMATS", (*FORMATS, piped))
    file = ds.write_table({**HOUSES, "place": ["here", "there", "here"]}, tmp_path / "a.pipe")
    assert ds.read_table(file).kinds == {"size": "number", "price": "number", "place": "text"}
    assert ds.examples(str(file), "price").encoding.features == ("size", "place=there")
    trace = ds.descend("x²", {"x": 1}, learning_rate=0.1, steps=3)
    assert ds.read_table(ds.export(trace, tmp_path / "steps.pipe"))["step"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("cells", "numbers", "unit"),
    [
        (["0 uM", "0.5 uM", "1e1 uM"], [0, 0.5, 10], "uM"),
        (["0", "5mM", "20mM"], [0, 5, 20], "mM"),
        (["1,5 kg", "2,25 kg"], [1.5, 2.25], "kg"),
        (["-5 °C", "", "10 °C"], [-5, np.nan, 10], "°C"),
        (["1 234 m/s", "2 000 m/s"], [1234, 2000], "m/s"),
    ],
)
def test_a_unit_in_every_cell_is_the_unit_of_the_column(cells, numbers, unit):
    table = ds.read_table({"dose": cells})
    np.testing.assert_array_equal(table["dose"], numbers)
    assert table.units == {"dose": unit}
    assert f"dose: the unit {unit} is in every cell" in table.notes_on(["dose"])


@pytest.mark.parametrize("cells", [["5 mM", "5 µM"], ["3B", "4B"], ["a 1", "b 2"], ["5 mM", "7"]])
def test_other_words_with_numbers_stay_text(cells):
    assert ds.read_table({"dose": cells}).kinds["dose"] == "text"


@pytest.mark.parametrize(
    ("heading", "typed_as", "unit"),
    [("Zeit in s", "Zeit", "s"), ("[S] (mM)", "S", "mM"), ("[A]", "A", ""), ("Masse in kg", "Masse", "kg")],
)
def test_plain_parts_of_further_headings(heading, typed_as, unit):
    table = ds.read_table({heading: [1.0, 2, 3], "y": [2.0, 4, 6]})
    assert ds.fit(f"y = k {typed_as}", table)["k"] == pytest.approx(2)
    assert table.units.get(heading, "") == unit


@pytest.mark.parametrize(
    ("cells", "numbers", "words"),
    [
        (["yes", "no", "yes"], [1, 0, 1], ("no", "yes")),
        (["Yes", "NO", "", "yes"], [1, 0, np.nan, 1], ("NO", "Yes")),
        (["ja", "ja"], [1, 1], ("nein", "ja")),
        (["OUI", "NON", "n/a"], [1, 0, np.nan], ("NON", "OUI")),
        (["WAHR", "FALSCH"], [1, 0], ("FALSCH", "WAHR")),
        (["vrai", "faux"], [1, 0], ("faux", "vrai")),
        (["y", "n", "y"], [1, 0, 1], ("n", "y")),
        (["T", "F"], [1, 0], ("F", "T")),
        (["TRUE", "false"], [1, 0], None),
    ],
)
def test_words_for_true_and_false_are_truths(cells, numbers, words):
    column = ds.read_table({"a": cells}).column("a")
    assert column.kind == "truth"
    np.testing.assert_array_equal(column.cells, numbers)
    assert column.words == words
    if words is not None:
        assert f"a: {words[1]} is read as 1, {words[0]} as 0" in column.notes


@pytest.mark.parametrize(
    "cells",
    [
        ["y", "y"],
        ["n"],
        ["t"],
        ["yes", "nein"],
        ["yes", "no", "unknown"],
        ["no", "oui"],
        ["j", "n"],
        ["on", "off"],
        ["m", "f"],
    ],
)
def test_words_of_other_meanings_stay_text(cells):
    assert ds.read_table({"a": cells}).kinds == {"a": "text"}


def test_classes_are_called_as_their_cells_are_spelt():
    data = {"x": [0.0, 1, 2, 3, 4, 5, 6, 7], "sick": ["Ja", "Nein"] * 4}
    assert ds.examples(data, "sick").encoding.target.categories == ("Ja", "Nein")


def read_text(text: str, **choices: Any) -> ds.Table:
    file = io.StringIO(text)
    file.name = "t.csv"
    return ds.read_table(file, **choices)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (",A,A,B,B\nt,x,y,x,y\n", ["t", "A x", "A y", "B x", "B y"]),  # pandas
        ("A title\n;A;;B;\nt;x;y;x;y\n", ["t", "A x", "A y", "B x", "B y"]),  # merged cells
        (",A,A,B,B\n,x,y,x,y\ntime,,,,\n", ["time", "A x", "A y", "B x", "B y"]),  # pandas, with the index's name
        (",A,A,B,B\nt (s),x,y,x,y\ns,m,m,m,m\n", ["t (s)", "A x", "A y", "B x", "B y"]),  # above units
        ("One title for all,,,,\nt,x,y,x,y\n", ["t", "x", "y"]),  # no group: the names stay as they are
        ("A,A,B,B,C\nt,x,y,z,w\n", ["t", "x", "y", "z", "w"]),  # nothing is ambiguous
    ],
)
def test_names_of_merged_cells_are_joined_where_the_others_are_ambiguous(text, names):
    separator = ";" if ";" in text else ","
    rows = "".join(separator.join(str(cell) for cell in (i, i + 2, 3 * i, 5, i * i)) + "\n" for i in range(1, 6))
    table = read_text(text + rows)
    assert list(table) == names
    assert table.rows == 5


@pytest.mark.parametrize(
    ("text", "rows", "said"),
    [
        ("x,y\n1,2\n2,4\n3,7\nTotal,13\n", 3, "(Total)"),
        ("x,y\n1,2\n2,4\n3,7\n\nMean,4.3\nStd,2.5\n", 3, "(Mean)"),
        ("Monat;Umsatz\nJan;2,5\nFeb;4,5\nMrz;7\nSumme:;14\n", 3, "(Summe:)"),
        ("statistic,y\ncount,3\nmean,4\nmax,7\n", 3, ""),  # what it names is what it holds
        ("x,y\n1,2\nTotal,2\n", 2, ""),  # a single row has no total
    ],
)
def test_rows_that_sum_up_the_others_are_left_out(text, rows, said):
    table = read_text(text)
    assert table.rows == rows
    words = " ".join(table.notes)
    assert said in words
    assert bool(said) == ("left out" in words)


@pytest.mark.parametrize(
    ("cells", "numbers", "said"),
    [
        (["1.23 ± 0.05", "2.5 ± 0.1"], [1.23, 2.5], "without the deviation"),
        (["1.23 +/- 0.05", "2.5"], [1.23, 2.5], "without the deviation"),
        (["1,25 ± 0,05", "2,5 ± 0,1"], [1.25, 2.5], "without the deviation"),
        (["1.2345(12)", "2.5(3)e-3", "7"], [1.2345, 2.5e-3, 7], "without the deviation"),
        (["1,200.50", "(1,200.50)", "($3.25)"], [1200.5, -1200.5, -3.25], "(5) is read as −5"),
    ],
)
def test_deviations_and_amounts_in_brackets(cells, numbers, said):
    column = ds.read_table({"a": cells}).column("a")
    np.testing.assert_allclose(column.cells, numbers)
    assert said in " ".join(column.notes)


@pytest.mark.parametrize("cells", [["01/2023", "03/2023"], ["Jan 2023", "March 2023"], ["1-2023", "3-2023"]])
def test_months_are_their_first_days(cells):
    assert ds.read_table({"a": cells})["a"].tolist() == [0, 59]


@pytest.mark.parametrize("cells", [["1,2345", "2,3456"], ["1.2024", "3.2024"], ["1 2345", "x"]])
def test_numbers_are_no_months(cells):
    assert ds.read_table({"a": cells}).kinds["a"] != "date"


def test_questions_below_the_names_of_a_survey_are_skipped():
    table = read_text("q1\tscore\nHow old are you?\tScore\n20\t1.5\n30\t2.5\n40\t3\n")
    assert list(table) == ["q1", "score"]
    titled = read_text("A title\tof it\nHow old are you?\tScore in it\n20\t1.5\n30\t2.5\n40\t3\n")
    assert list(titled) == ["How old are you?", "Score in it"]


def test_lines_drawn_below_the_names_are_skipped():
    text = " Peak   RT        Area\n  #    [min]     [mAU*s]\n------|--------|---------\n 1  0.5  10\n 2  0.7  20\n"
    assert list(read_text(text)) == ["Peak", "RT", "Area"]
