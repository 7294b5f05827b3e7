"""Tables in plain text: the bytes decoded, the layout detected in the first lines, the rows parsed by Polars."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import DataError, SettingError
from downslope._files import guarded
from downslope.tables._cell_lines import blanks_as_tabs, split, without_remark
from downslope.tables._cells import is_rule, is_total, look
from downslope.tables._layout import COMMENTS, SAMPLE, TextLayout, is_comment, layout
from downslope.tables._raw_table import RawTable, ReadChoices, assembled, check_width, footer_note

if TYPE_CHECKING:
    from pathlib import Path

    import polars

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FEW = 8  # letters beyond ASCII from which a guess is worth more than the usual encoding
_MOST_ABOVE = 5000  # lines in which the table begins at the latest
_LARGE = 1 << 20  # bytes from which clean rows are handed to Polars without a look at each line
_MOST_FOOTER = 50  # lines of text after a table
_FEWEST_SUMMED = 2  # rows above a total
# Encodings of scripts other than the Latin one; a guess among all of them is mostly wrong for short texts.
_SCRIPTS = ["cp1251", "koi8_r", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr", "cp1253", "cp1255", "cp1256"]
_FOREIGN = 0.3  # of the letters beyond ASCII: a script of its own, which cp1252 would garble


def read_delimited(name: str, source: Path | bytes, choices: ReadChoices) -> RawTable:
    """Return the columns of a table in plain text.

    Raises:
        DataError: for a file that is empty or no text, and for a row with too few or too many cells.
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    said: list[str] = []
    data, encoding = _as_utf8(name, data, choices.encoding)
    if encoding not in ("utf-8", "utf-8-sig"):
        said.append(f"encoding {encoding}")
    if b"\r" in data[: 1 << 16] and b"\n" not in data[: 1 << 16]:  # line ends of the old Macintosh
        data = data.replace(b"\r", b"\n")
    try:
        return _read(name, data, encoding, choices, said, SAMPLE)
    except DataError:
        # What stands above the table may be longer than a sample.
        if data.count(b"\n") <= SAMPLE:
            raise
        return _read(name, data, encoding, choices, said, _MOST_ABOVE)


def _read(name: str, data: bytes, encoding: str, choices: ReadChoices, said: Sequence[str], sample: int) -> RawTable:
    """Return the columns of a text in UTF-8, its layout read off so many first lines."""
    lines = _logical(_first_lines(data, sample))
    if not any(line.strip() for line in lines):
        raise DataError(f"{name} is empty", hint="a table has a line of column names, then a line for each row")
    check_width(name, max(line.count(sign) for line in lines for sign in "\t;|,") + 1)
    shape = layout(lines, choices.layout)
    clean = _clean_columns(data, lines, shape) if len(data) > _LARGE else None
    if clean is not None:
        numbers = np.arange(len(clean[0])) + shape.first_row
        raw = assembled(name, clean, shape, numbers, choices, said)
    else:
        cells, numbers, more = _careful_columns(name, data, shape)
        raw = assembled(name, cells, shape, numbers, choices, [*said, *more])
    return RawTable(
        raw.columns, raw.numbers, raw.units, raw.lines, {"format": "text", "encoding": encoding, **raw.read}, raw.notes
    )


# Bytes and lines.


def _as_utf8(name: str, data: bytes, encoding: str | None) -> tuple[bytes, str]:
    """Return text in UTF-8 without a mark, and the encoding it came in."""
    if encoding is not None:
        try:
            return data.decode(encoding).removeprefix("\ufeff").encode(), encoding
        except LookupError:
            raise SettingError(f"there is no encoding {encoding!r}", hint="for example utf-8, cp1252, utf-16") from None
        except UnicodeDecodeError:
            raise DataError(f"{name} is not text in {encoding}") from None
    for mark, marked in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(marked).encode(), marked
            except UnicodeDecodeError:
                raise DataError(f"{name} is not text in {marked}, though its mark says so") from None
    if data.isascii():
        if b"\0" not in data:
            return data, "utf-8"
    else:
        try:
            data.decode()
            if b"\0" not in data:
                return data, "utf-8"
        except UnicodeDecodeError:
            pass
    return _in_older_encoding(name, data)


def _in_older_encoding(name: str, data: bytes) -> tuple[bytes, str]:
    """Return text that is not UTF-8 as UTF-8, and its encoding."""
    head = data[: 1 << 16]
    zeros = (head[0::2].count(0), head[1::2].count(0))
    if max(zeros) > len(head) // 4 and min(zeros) < len(head) // 100:
        encoding = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
        return data.decode(encoding, errors="replace").encode(), encoding
    if b"\0" in data:
        raise DataError(f"{name} is no text", hint="save the table as CSV in UTF-8")
    high = sum(byte >= 0x80 for byte in head)
    letters = sum(chr(byte).isalpha() for byte in head if byte < 0x80)
    if high >= _FEW and high > _FOREIGN * letters:
        from charset_normalizer import from_bytes

        best = from_bytes(head, cp_isolation=_SCRIPTS).best()
        if best is not None:
            return data.decode(best.encoding, errors="replace").encode(), best.encoding
    try:
        return data.decode("cp1252").encode(), "cp1252"
    except UnicodeDecodeError:
        return data.decode("latin-1").encode(), "latin-1"


def _first_lines(data: bytes, count: int) -> list[str]:
    """Return the first lines of text."""
    end = -1
    for _ in range(count):
        following = data.find(b"\n", end + 1)
        if following < 0:
            end = len(data)
            break
        end = following
    return _lines(data[: max(end, 0)])


def _lines(data: bytes) -> list[str]:
    return data.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _logical(lines: list[str]) -> list[str]:
    """Return lines with those joined that a quoted cell spans; what follows its first line is left blank."""
    if not any(line.count('"') % 2 for line in lines):
        return lines
    joined = list(lines)
    at = 0
    while at < len(joined):
        end = at
        # A single quote that nothing closes, as in 5", is no quoted cell.
        while joined[at].count('"') % 2 and end + 1 < len(lines) and end - at < _MOST_FOOTER:
            end += 1
            joined[at] += " " + lines[end]
        if joined[at].count('"') % 2:
            joined[at] = lines[at]
            end = at
        for number in range(at + 1, end + 1):
            joined[number] = ""
        at = end + 1
    return joined


# Large files without anything unusual.


_UNUSUAL_STARTS = b"\n\r \t" + "".join(COMMENTS).encode()  # of a line
_PIECE = 1 << 20  # bytes that stay in the processor's cache


def _clean_columns(data: bytes, lines: Sequence[str], shape: TextLayout) -> list[polars.Series] | None:
    """Return the columns of rows that Polars can read as they are; None where some line needs a look.

    What is checked is the whole text at once: no blank line and no comment, and as many separators as rows want.
    """
    import polars

    if shape.separator == " " or len(lines) < SAMPLE:
        return None
    begin = 0
    for _ in range(shape.first_row - 1):
        begin = data.index(b"\n", begin) + 1
    rows = data.count(b"\n", begin) + (not data.endswith(b"\n"))
    if data.find(b'"', begin) >= 0 or not _is_regular(data, begin, shape.separator, rows * (shape.width - 1)):
        return None
    sample = [split(line, shape.separator) for line in lines[shape.first_row - 1 : -1]]
    is_number = [all(_is_plain(row[column]) for row in sample) for column in range(shape.width)]
    schema = {f"c{column}": polars.Float64 if plain else polars.String for column, plain in enumerate(is_number)}
    try:
        with guarded("the text", DataError):
            frame = polars.read_csv(
                data,
                has_header=False,
                skip_rows=shape.first_row - 1,
                separator=shape.separator,
                schema=schema,
                quote_char=None,
            )
    except DataError:
        return None
    exact = all(
        -(2**53) < extreme < 2**53  # pyright: ignore[reportOperatorIssue]  # a float, as its column is
        for name, kind in schema.items()
        if kind == polars.Float64
        for extreme in (frame[name].min() or 0.0, frame[name].max() or 0.0)
    )
    return frame.get_columns() if exact and frame.height == rows else None


def _is_regular(data: bytes, begin: int, separator: str, separators: int) -> bool:
    """Tell whether text has so many separators, and no line that begins with a blank, a comment, or not at all."""
    unusual = np.zeros(256, dtype=bool)
    unusual[list(_UNUSUAL_STARTS)] = True
    text = np.frombuffer(data, np.uint8)
    count = 0
    for first in range(begin, len(text), _PIECE):
        piece = text[first : first + _PIECE]
        count += int(np.count_nonzero(piece == ord(separator)))
        starts = np.flatnonzero(piece == ord("\n")) + first + 1
        if len(starts) and starts[-1] == len(text):
            starts = starts[:-1]
        if unusual[text[starts]].any():
            return False
    return count == separators


def _is_plain(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return not cell
    return "_" not in cell and look(cell) == "value"


# Every other file, line by line.


def _careful_columns(name: str, data: bytes, shape: TextLayout) -> tuple[list[polars.Series], np.ndarray, list[str]]:
    """Return the cells of the rows by column, the line of each row, and what was left out, in words."""
    lines = _logical(_lines(data))
    separator = "\t" if shape.separator == " " else shape.separator
    heading = lines[shape.names_line - 1].strip() if shape.names_line is not None else None
    rows, numbers, repeated, remarks = [], [], 0, 0
    empty = separator + ' "\t'
    for number in range(shape.first_row, len(lines) + 1):
        line = lines[number - 1]
        if not line.strip(empty) or is_comment(line, shape.comments):
            continue
        if is_rule(line) and len(split(line, shape.separator)) != shape.width:
            continue
        if heading is not None and line.strip() == heading:
            repeated += 1
            continue
        plain = without_remark(line, shape.separator)
        remarks += plain is not line
        line = plain
        rows.append(blanks_as_tabs(line) if shape.separator == " " else line)
        numbers.append(number)
    said = [f"the names occur {repeated} times more"] if repeated else []
    said += [f"remarks after # in {remarks} rows left out"] if remarks else []
    footer = _footer(rows, numbers, separator, shape)
    if footer:
        first = numbers[len(rows) - footer]
        said.append(footer_note(first, split(rows[len(rows) - footer], separator)[0]))
        del rows[len(rows) - footer :], numbers[len(rows) :]
    numbers = numbers[: len(rows)]
    if not rows:
        raise DataError(f"{name} has column names but no rows")
    if shape.may_end_early:
        said.append("rows that end early completed with missing cells")
    rows = [_fitting(name, line, separator, shape, row, numbers[row]) for row, line in enumerate(rows)]
    return _parsed(name, rows, separator, shape.width), np.array(numbers), said


def _footer(rows: Sequence[str], numbers: Sequence[int], separator: str, shape: TextLayout) -> int:
    """Return the number of lines of text after the rows."""
    count = 0
    begins_with_value = bool(rows) and look(split(rows[0], separator)[0]) == "value"
    for index in range(len(rows) - 1, max(len(rows) - _MOST_FOOTER, 0), -1):
        cells = split(rows[index], separator)
        looks = [look(cell) for cell in cells]
        is_text = "value" not in looks or (len(cells) != shape.width and looks[0] == "word")
        # A sentence may hold the separator and a number: "Source: the office, 2024", after a blank line.
        is_text |= looks[0] == "word" and begins_with_value and numbers[index] > numbers[index - 1] + 1
        is_text |= is_total(cells[0], among_values=begins_with_value) and index >= _FEWEST_SUMMED
        is_drawn = all(map(is_rule, filter(None, cells)))
        if not (is_drawn or (is_text and "word" in looks and (not shape.is_text or len(cells) != shape.width))):
            break
        count += 1
    return count if count < len(rows) else 0


def _fitting(name: str, line: str, separator: str, shape: TextLayout, row: int, number: int) -> str:
    """Return a row with as many cells as the table is wide; what is too much may only be empty.

    Raises:
        DataError: for any other row.
    """
    count = line.count(separator) + 1
    if count == shape.width:
        return line
    cells = split(line, separator) if '"' in line else tuple(line.split(separator))
    if len(cells) == shape.width:
        return line
    if shape.may_end_early and 1 < len(cells) < shape.width:
        return line + separator * (shape.width - len(cells))
    if len(cells) > shape.width and not any(cell.strip() for cell in cells[shape.width :]):
        text = line
        for _ in range(len(cells) - shape.width):
            text = text.rstrip().rstrip('"').removesuffix(separator) if separator != "\t" else text.removesuffix("\t")
        return text
    where = f"row {row + 1}" + ("" if number == row + 2 else f" (line {number})")
    names = f"{len(shape.names)} names" if shape.names else f"{shape.width} columns"
    hint = (
        "a remark between rows begins with #"
        if "value" not in map(look, cells)
        else "a decimal comma needs semicolons between the columns, or quotes; write a point instead"
        if separator == "," and len(cells) > shape.width
        else "put a cell that holds the separator into quotes"
        if len(cells) > shape.width
        else "leave a cell empty where it is missing, and write its separator"
    )
    raise DataError(
        f"{name}, {where}: {len(cells)} cell{'s' * (len(cells) != 1)} for {names}: {line[:60]!r}", hint=hint
    )


def _parsed(name: str, rows: Sequence[str], separator: str, width: int) -> list[polars.Series]:
    """Return the cells of rows by column, as text."""
    import polars

    text = "\n".join(rows)
    if '"' in text:  # Polars knows quotes at the very beginning of a cell only
        text = re.sub(rf"(^|{re.escape(separator)})[ ]+\"", r'\1"', text, flags=re.MULTILINE)
    schema = {f"c{column}": polars.String for column in range(width)}
    errors: list[DataError] = []
    signs: tuple[Any, ...] = ('"', None)
    for quote in signs if '"' in text else (None,):
        try:
            with guarded(name, DataError, what="a table that can be read"):
                frame = polars.read_csv(
                    text.encode(), has_header=False, separator=separator, schema=schema, quote_char=quote
                )
        except DataError as error:
            errors.append(error)
            continue
        if frame.height == len(rows):
            return frame.get_columns()
    raise (
        errors[0] if errors else DataError(f"{name}: the quotes do not match", hint="a quote within a cell is doubled")
    )
