"""Sheets of Excel and OpenDocument, read by calamine; the layout is detected in the first rows as for plain text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import DataError, SettingError, nearest
from downslope._files import guarded
from downslope.tables._cells import is_total, look
from downslope.tables._layout import SAMPLE, layout_of_cells
from downslope.tables._raw_table import RawTable, ReadChoices, assembled, footer_note

if TYPE_CHECKING:
    import polars


def read_excel(name: str, source: Path | bytes, choices: ReadChoices) -> RawTable:
    """Return the columns of a sheet: the one that is named, or the first that holds a table.

    Raises:
        DataError: for a file that cannot be read, or without a table.
        SettingError: for a sheet that is not there.
    """
    import fastexcel

    with guarded(name, DataError, what="a workbook that can be read"):
        book = fastexcel.read_excel(source if isinstance(source, bytes) else str(source))
        sheets = list(book.sheet_names)
    wanted = [_sheet(name, sheets, choices.sheet)] if choices.sheet is not None else sheets
    for sheet in wanted:
        with guarded(name, DataError, what="a workbook that can be read"):
            frame = book.load_sheet(sheet, header_row=None, skip_rows=0, dtypes="string").to_polars()
        raw = _table_in(name, sheet, frame, choices)
        if raw is not None:
            said = () if len(sheets) == 1 or choices.sheet is not None else (f"sheet {sheet!r} of {len(sheets)}",)
            return replace(raw, read={**raw.read, "sheets": sheets}, notes=(*said, *raw.notes))
    where = f"sheet {wanted[0]!r} of {name}" if len(wanted) == 1 else name
    raise DataError(f"{where} holds no table", hint=f"its sheets are {', '.join(sheets)}")


def _sheet(name: str, sheets: list[str], wanted: str | int) -> str:
    """Return the name of a sheet, which may be chosen by its number."""
    text = str(wanted)
    if text in sheets:
        return text
    if text.isdecimal() and 1 <= int(text) <= len(sheets):
        return sheets[int(text) - 1]
    close = nearest(text, sheets)
    raise SettingError(
        f"{name} has no sheet {text!r}",
        hint=f"did you mean {close}?" if close else f"its sheets are {', '.join(sheets)}",
    )


def _table_in(name: str, sheet: str, frame: polars.DataFrame, choices: ReadChoices) -> RawTable | None:
    """Return the table in a sheet; None where there is none."""
    rows = [tuple("" if cell is None else cell.strip() for cell in row) for row in frame.head(SAMPLE).rows()]
    if sum(any(row) for row in rows) < 2:
        return None
    shape = layout_of_cells(rows, choices.layout)
    if shape.is_text and choices.sheet is None and len(rows[0]) < 2:
        return None
    body = frame.slice(shape.first_row - 1)
    filled = ~body.select(_blank(column) for column in body.columns).fold(lambda one, other: one & other)
    numbers = np.flatnonzero(filled.to_numpy()) + shape.first_row
    body = body.filter(filled)
    footer = _footer(body) if not shape.is_text else 0
    said: list[str] = []
    if footer:
        said.append(footer_note(numbers[-footer], str(body.row(-footer)[0] or "")))
        body, numbers = body.head(-footer), numbers[:-footer]
    if body.is_empty():
        return None
    raw = assembled(name, body.get_columns(), shape, numbers, choices, said)
    read: dict[str, Any] = {"format": "sheet", "sheet": sheet, **raw.read}
    return RawTable(raw.columns, raw.numbers, raw.units, raw.lines, read, raw.notes)


def _blank(column: str) -> Any:
    import polars

    return polars.col(column).fill_null("").str.strip_chars() == ""


def _footer(body: polars.DataFrame) -> int:
    """Return the number of rows of text at the end."""
    count = 0
    begins_with_value = look(str(body.row(0)[0] or "")) == "value" if body.height else False
    for row in reversed(body.tail(SAMPLE).rows()):
        looks = [look(cell) for cell in row if cell is not None]
        is_sum = is_total(str(row[0] or ""), among_values=begins_with_value)
        if ("value" in looks and not is_sum) or "word" not in looks:
            break
        count += 1
    return count if count < body.height else 0
