"""Cells: numbers in the notations people have, dates, missing cells; what is said of them, and what is refused."""

from __future__ import annotations

import datetime
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest

import downslope as ds
from downslope.tables._table import Table

NAN = np.nan


def column(cells: list[str], **choices: Any) -> Table:
    return ds.read_table({"v": cells, "n": list(range(len(cells)))}, **choices)


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1.5D+00", "2d-1"], [1.5, 0.2]),
        (["−3", "+4", " 5 "], [-3, 4, 5]),
        (["1,5", "2,25"], [1.5, 2.25]),
        (["1,234", "12"], [1234, 12]),
        (["1.234,5", "800"], [1234.5, 800]),
        (["1.234.567", "1.000"], [1234567, 1000]),
        (["12,34,567", "1"], [1234567, 1]),
        (["1'234.5", "1’000"], [1234.5, 1000]),
        (["1\u202f234,5", "2\u00a0000"], [1234.5, 2000]),
        (["10 %", "5%"], [0.1, 0.05]),
        (["12 ‰"], [0.012]),
        (["$1,200.50", "-$3"], [1200.5, -3]),
        (["1.200,50 €", "3,00 €"], [1200.5, 3]),
        (["USD 5", "7 EUR"], [5, 7]),
        (["<0.5", "2", ">100"], [NAN, 2, NAN]),
        (["True", "FALSE", ""], [1, 0, NAN]),
        (["1.5×10^3", "2"], [1500, 2]),
        (["2.5·10⁻³", "2"], [0.0025, 2]),
        (['="1.5"', '="-2"'], [1.5, -2]),
        (["5-", "1.234,50-", "3,5"], [-5, -1234.5, 3.5]),
    ],
)
def test_numbers_in_the_notations_people_have(cells: list[str], numbers: list[float]) -> None:
    np.testing.assert_allclose(column(cells)["v"], numbers, rtol=1e-15)


@pytest.mark.parametrize("cell", ["NA", "n/a", "#N/A", "--", ".", "NULL", "", "(null)", "?", "*", "#DIV/0!", "–"])
def test_spellings_of_a_missing_cell(cell: str) -> None:
    np.testing.assert_array_equal(column(["1", cell, "3"])["v"], [1, NAN, 3])


@pytest.mark.parametrize(
    "cell", ["ND", "not detected", "<LOD", "BDL", "OL", "overflow", "No data", "k. A.", "***", "??"]
)
def test_words_for_no_measurement_are_missing_among_numbers_and_said(cell: str) -> None:
    table = column(["1", cell, "3", cell, "5"])
    np.testing.assert_array_equal(table["v"], [1, NAN, 3, NAN, 5])
    assert table.notes_on(["v"]) == (f"v: 2 cells are taken for missing ({cell!r})",)
    states = column(["CA", "ND", "SD"])
    assert states["v"].tolist() == ["CA", "ND", "SD"]
    with pytest.raises(ds.DataError, match="row 3, column v: 'abut 3'"):
        ds.fit("n = a + b v", column(["1", cell, "abut 3", "4", "5"]))


@pytest.mark.parametrize(
    "missing", [{"missing": -9999}, {"table": {"missing": -9999}}, {"table": {"missing": ["-9999"]}}]
)
def test_a_fit_hears_of_missing_cells_in_either_way(missing: dict[str, Any]) -> None:
    data = {"v": [1, 2, -9999, 4, -8], "n": [1, 2, 3, 4.5, 5]}
    assert ds.fit("n = a + b v", data, **missing).left_out == (3,)
    both = {"missing": -8, "table": missing.get("table", missing)}
    assert ds.fit("n = a + b v", data, **both).left_out == (3, 5)


def test_further_spellings_are_those_that_are_said() -> None:
    np.testing.assert_array_equal(column(["1", "bad", "-999"], missing=["bad", -999])["v"], [1, NAN, NAN])
    fit = ds.fit("n = a + b v", {"v": [1, 2, -9999, 4], "n": [1, 2, 3, 4.5]}, missing=-9999)
    assert fit.left_out == (3,)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["1", "2", "3", "-9999"], "1 cell is -9999, far outside the rest"),
        (["1", "2", "9007199254740993"], "lose their last digits"),
        (["<2.5", "3"], "'<2.5'"),
        (["$5", "$6"], "amounts in [$]"),
        (["5%", "6%"], "10 % is read as 0.1"),
    ],
)
def test_what_may_mislead_is_said_where_it_is_used(cells: list[str], words: str) -> None:
    import re

    table = column(cells)
    assert re.search(words, "\n".join(table.notes_on(["v"])))
    assert table.notes_on(["n"]) == ()


DAYS = [datetime.date(2024, 1, 20), datetime.date(2024, 2, 2), datetime.date(2024, 3, 5)]


@pytest.mark.parametrize(
    "form",
    ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y"],
)
def test_dates_count_days(form: str) -> None:
    table = column([day.strftime(form) for day in DAYS])
    assert table.kinds["v"] == "date"
    assert table["v"].tolist() == [0, 13, 45]
    assert table.notes_on(["v"]) == ("v counts days since 2024-01-20",)


def test_times_and_offsets() -> None:
    summer = ["2024-03-31T01:00:00+01:00", "2024-03-31T04:00:00+02:00"]  # the clock jumps between them
    assert column(summer)["v"].tolist() == [0, 2 / 24]
    assert column(["23:30", "00:30"])["v"].tolist() == [0, 1 / 24]
    assert column(["20240105T063000Z", "20240105T123000+0200"])["v"].tolist() == [0, 4 / 24]
    assert column(["20240105 06:30:00", "20240106 06:30:00"])["v"].tolist() == [0, 1]
    digits = column(["20240105", "20240106"])
    assert digits["v"].tolist() == [20240105, 20240106]
    assert digits.notes_on(["v"]) == ("v: 20240105 is read as a number; write 2024-01-05 if it is a day",)
    unix = ["Sat Jan 20 06:30:00 2024", "Sun Jan 21 06:30:00 UTC 2024", "Tue Jan  2 18:30:00 2024"]
    assert column(unix)["v"].tolist() == [0, 1, -17.5]
    assert column(["11:00 PM", "11:30 PM"])["v"].tolist() == [0, 0.5 / 24]
    fit = ds.fit("y = a + b t", {"t": ["10:00", "11:00", "12:00"], "y": [1, 2, 3]}, units={"t": "hour"})
    assert fit["b"] == pytest.approx(1)
    assert "t counts hours since 10:00:00" in fit.notes


def test_dates_in_predictions_are_counted_from_the_first_of_the_fit() -> None:
    fit = ds.fit("y = a + b day", {"day": DAYS, "y": [1.0, 14.0, 46.0]})
    assert fit.predict({"day": [datetime.date(2024, 1, 21)]}).value == pytest.approx([2])
    assert fit.predict({"day": "2024-01-22"}).value == pytest.approx([3])
    assert fit.predict({"day": [3]}).value == pytest.approx([4])
    kept = ds.examples({"day": DAYS * 4, "y": np.arange(12.0)}, "y", standardise=False, task="numbers")
    assert kept.encoding.encode({"day": [datetime.date(2024, 1, 25)]}).tolist() == [[5]]
    again = type(kept.encoding).from_dict(kept.encoding.as_dict())
    assert again.encode({"day": ["2024-01-25"]}).tolist() == [[5]]


def test_parts_of_dates_in_formulas() -> None:
    months = [datetime.date(2024, month, 15) for month in range(1, 13)]
    data = {"day": months, "y": [3.0 * month + 1 for month in range(1, 13)]}
    fit = ds.fit("y = a + b month(day)", data)
    assert fit.values == pytest.approx({"a": 1, "b": 3})
    assert fit.predict({"day": [datetime.date(2030, 2, 1)]}).value == pytest.approx([7])
    assert ds.objective("mean(w·dayofyear(day))", data)({"w": 1.0}) == pytest.approx(
        np.mean([day.timetuple().tm_yday for day in months])
    )


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["01/02/2024", "03/04/2024"], "column v, '01/02/2024' can be day/month/year or month/day/year"),
        (["1+2j", "3"], r"column v, row 1: 1\+2j is complex"),
        (["1", "2", "abut 3"], "row 3, column v: 'abut 3' is not a number"),
        (["1,5", "2,5", "2,5", "ca. 3"], "row 4, column v: 'ca. 3' is not a number"),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_is_used(cells: list[str], words: str) -> None:
    table = column(cells)
    assert table["n"][0] == 0
    with pytest.raises(ds.DataError, match=words):
        ds.fit("n = a + b v", table)


def test_names_are_typed_in_backquotes_or_by_their_plain_part() -> None:
    data = {"Time (s)": [0, 1, 2], "Temp [°C]": [5.0, 7.0, 9.0], "Flow (in)": [1, 2, 4], "Flow (out)": [1, 2, 4]}
    for equation in ("`Temp [°C]` = a + b×`Time (s)`", "Temp = a + b×Time", "`Temp` = a + b `Time`"):
        fit = ds.fit(equation, data)
        assert fit.values == pytest.approx({"a": 5, "b": 2})
        assert fit.read_as == "`Temp [°C]` = a + b·`Time (s)`"
    assert ds.fit(fit.read_as, data).read_as == fit.read_as
    assert fit.parameters["b"].unit == "°C/s"
    assert fit.predict({"Time": [3]}).value == pytest.approx([11])
    with pytest.raises(ds.FormulaError, match=r"Flow matches 2 columns[\s\S]*`Flow \(in\)` or `Flow \(out\)`"):
        ds.fit("Temp = a + b Flow", data)
    with pytest.raises(ds.FormulaError, match=r"did you mean `Time \(s\)`\?"):
        ds.fit("Temp = a + b `Tme (s)`", data)
    assert ds.objective("mean((Temp - w)²)", data)({"w": 7.0}) == pytest.approx(8 / 3)


def sheet(rows: list[list[str | float]]) -> str:
    cells = "".join(
        "<row>"
        + "".join(
            f"<c><v>{cell}</v></c>" if isinstance(cell, float) else f'<c t="inlineStr"><is><t>{cell}</t></is></c>'
            for cell in row
        )
        + "</row>"
        for row in rows
    )
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    return f"<worksheet {space}><sheetData>{cells}</sheetData></worksheet>"


def workbook(sheets: dict[str, list[list[str | float]]]) -> bytes:
    """Return a workbook of the fewest parts."""
    space = "http://schemas.openxmlformats.org"
    main, office = f"{space}/spreadsheetml/2006/main", f"{space}/officeDocument/2006/relationships"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    numbers = range(1, len(sheets) + 1)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{space}/package/2006/content-types">'
        + '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        + f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        + "".join(f'<Override PartName="/xl/{n}.xml" ContentType="{kind}.worksheet+xml"/>' for n in numbers)
        + "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{space}/package/2006/relationships"><Relationship Id="r1" '
        + f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        + "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, start=1))
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{space}/package/2006/relationships">'
        + "".join(f'<Relationship Id="r{n}" Type="{office}/worksheet" Target="{n}.xml"/>' for n in numbers)
        + "</Relationships>",
    } | {f"xl/{n}.xml": sheet(rows) for n, rows in enumerate(sheets.values(), start=1)}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return file.getvalue()


def test_sheets(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.xlsx"
    content = workbook(
        {"About": [["A note"]], "May": [["Run 3"], [], ["x", "y"], [1.0, 2.0], [2.0, 4.0]], "June": [["x"], [9.0]]}
    )
    file.write_bytes(content)
    table = ds.read_table(file)
    assert table["y"].tolist() == [2, 4]
    assert table.notes == ("a.xlsx: sheet 'May' of 3; names in line 3.",)
    assert ds.read_table(file, sheet="June")["x"].tolist() == [9]
    assert ds.read_table(file, sheet=2)["x"].tolist() == [1, 2]
    with pytest.raises(ds.SettingError, match=r"a.xlsx has no sheet 'Mai'\ndid you mean May\?"):
        ds.read_table(file, sheet="Mai")
    for end in (40, len(content) // 2, len(content) - 30):
        file.write_bytes(content[:end])
        with pytest.raises(ds.DataError, match=r"a\.xlsx"):
            ds.read_table(file)
    assert capfd.readouterr().err == ""


def test_sources_in_memory() -> None:
    frame = polars.DataFrame({"x": [1, 2, 3], "y": [2, 4, 6]})
    sources = {
        "lazy": frame.lazy(),
        "records": [{"x": 1, "y": 2}, {"x": 2, "y": 4}, {"x": 3, "y": 6}],
        "rows with names": [["x", "y"], [1, 2], [2, 4], [3, 6]],
        "fields": np.array([(1, 2), (2, 4), (3, 6)], dtype=[("x", ">f8"), ("y", "i4")]),
        "frame": frame,
        "pandas index": pandas.DataFrame({"y": [2, 4, 6]}, index=pandas.Index([1, 2, 3], name="x")),
    }
    for name, source in sources.items():
        table = ds.read_table(source)
        assert (table["x"].tolist(), table["y"].tolist()) == ([1, 2, 3], [2, 4, 6]), name
    assert ds.read_table(np.array([[1, 2, 3], [2, 4, 6]]))["column_2"].tolist() == [2, 4, 6]
    assert ds.read_table(np.array([[1, 2], [2, 4], [3, 6]]))["column_2"].tolist() == [2, 4, 6]
    with pytest.raises(ds.DataError, match="complex"):
        ds.read_table({"x": np.array([1, 2, 3j, 4])})
    with pytest.raises(ds.DataError, match="row 2 has 1 cells, but row 1 has 2"):
        ds.read_table([[1, 2], [3]])


@pytest.mark.parametrize("label", ["blank", "nil", "control"])
def test_a_word_that_names_a_group_is_not_missing(label: str) -> None:
    table = ds.read_table({"sample": [label, "dose", label], "signal": [1.0, 2.0, 1.5]})
    assert table["sample"].tolist() == [label, "dose", label]
