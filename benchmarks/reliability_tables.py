"""Damage files of tables and read them: each is read, or refused with a `DataError`, without a word on standard error.

Used by `reliability.py tables`. Polars ends the process over some of these files, which is why many are tried.
"""

from __future__ import annotations

import io
import os
import random
import struct
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars

import downslope as ds

_HUGE = b"\xfe" + b"\xff" * 8 + b"\x01"  # the largest number of 64 bits, as Parquet writes numbers
_FRAME = polars.DataFrame(
    {
        "size": [50.0, 100.0, 150.0, None] * 50,
        "price": list(range(200)),
        "town": ["Aa", "Bb", "Cc", None] * 50,
        "sold": [True, False] * 100,
    }
)


def _parquet() -> list[bytes]:
    """Return Parquet files of all compressions, in one part and in several."""
    files = []
    for compression in ("uncompressed", "zstd", "snappy", "gzip", "lz4", "brotli"):
        for rows in (20, 200):
            written = io.BytesIO()
            _FRAME.write_parquet(written, compression=compression, row_group_size=rows)  # pyright: ignore[reportArgumentType]
            files.append(written.getvalue())
    return files


def _numpy() -> list[bytes]:
    """Return files of NumPy arrays."""
    files = []
    for array in (np.linspace(0, 1, 40).reshape(10, 4), np.arange(12), np.zeros((0, 4)), np.ones((3, 4), "F")):
        written = io.BytesIO()
        np.save(written, array)
        files.append(written.getvalue())
    return files


def _excel() -> list[bytes]:
    """Return workbooks: as programs write them, and with parts that are not compressed, so that changes reach cells."""
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    schemas = "http://schemas.openxmlformats.org"
    main, office = f"{schemas}/spreadsheetml/2006/main", f"{schemas}/officeDocument/2006/relationships"
    links = f'{head}<Relationships xmlns="{schemas}/package/2006/relationships">'
    types = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    rows = [_FRAME.columns, *_FRAME.head(40).rows()]
    cells = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
    parts = {
        "[Content_Types].xml": f'{head}<Types xmlns="{schemas}/package/2006/content-types">'
        f'<Override PartName="/xl/workbook.xml" ContentType="{types}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{types}.worksheet+xml"/></Types>',
        "_rels/.rels": f'{links}<Relationship Id="r1" Type="{office}/officeDocument" Target="xl/workbook.xml"/>'
        "</Relationships>",
        "xl/workbook.xml": f'{head}<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="prices" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{links}<Relationship Id="r1" Type="{office}/worksheet" '
        'Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'{head}<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>',
    }
    files = []
    for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w", compression) as archive:
            for name, text in parts.items():
                archive.writestr(name, text)
        files.append(written.getvalue())
    return files


def _cell(value: object) -> str:
    """Return a cell of a sheet."""
    if value is None:
        return "<c/>"
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    return f'<c t="b"><v>{int(value)}</v></c>' if isinstance(value, bool) else f"<c><v>{value}</v></c>"


WHOLE: dict[str, Callable[[], list[bytes]]] = {
    ".parquet": _parquet,
    ".csv": lambda: [_FRAME.write_csv().encode(), _FRAME.write_csv(separator=";").encode("utf-8-sig")],
    ".tsv": lambda: [_FRAME.write_csv(separator="\t").encode()],
    ".npy": _numpy,
    ".xlsx": _excel,
}


def damaged(suffix: str, count: int, seed: int) -> Iterator[bytes]:
    """Yield files of a format with one to five changes each, half of them near the end, where Parquet is described."""
    chance, files = random.Random(seed), WHOLE[suffix]()
    for _ in range(count):
        data = bytearray(chance.choice(files))
        for _ in range(chance.choice((1, 1, 2, 5))):
            data = _changed(data, chance) or bytearray(b"\n")
        yield bytes(data)


def _changed(data: bytearray, chance: random.Random) -> bytearray:
    """Return data with one change."""
    first = 0 if chance.random() < 0.5 else max(0, len(data) - 900)
    at, kind = chance.randrange(first, len(data)), chance.randrange(6)
    if kind == 0:
        data[at] ^= 1 << chance.randrange(8)
    elif kind == 1:
        data[at] = chance.choice((0, 1, 0x22, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    elif kind == 2:
        del data[at : at + chance.randrange(1, 20)]
    elif kind == 3:
        data[at:at] = chance.randbytes(chance.randrange(1, 9))
    elif kind == 4:
        data = data[:at]
    else:
        data = _with_claim(data, at)
    return data


def _with_claim(data: bytearray, at: int) -> bytearray:
    """Return data with a huge number in place of a byte, and the length of a footer of Parquet put right."""
    changed = data[:at] + _HUGE + data[at + 1 :]
    if len(data) > 12 and data[-4:] == b"PAR1":
        (length,) = struct.unpack("<I", data[-8:-4])
        if len(data) - 8 - length <= at < len(data) - 8:
            changed[-8:-4] = struct.pack("<I", (length + len(_HUGE) - 1) % 2**32)
    return changed


def read(file: Path) -> str:
    """Read a file as users do, and return what came: "read" or "refused"; anything else is raised."""
    try:
        if file.suffix == ".npy":
            from downslope.tables import array_in

            array_in(file.name, file)
        else:
            ds.read_table(file)
    except ds.DataError:
        return "refused"
    return "read"


def tables(count: int, seed: int) -> None:
    """Print how many damaged files of each format are read, refused, and leave a word on standard error."""
    with tempfile.TemporaryDirectory(prefix="downslope-tables-") as folder, tempfile.TemporaryFile() as errors:
        before = os.dup(2)
        os.dup2(errors.fileno(), 2)
        try:
            for suffix in WHOLE:
                outcomes: Counter[str] = Counter()
                for number, data in enumerate(damaged(suffix, count, seed)):
                    file = Path(folder) / f"{number}{suffix}"
                    file.write_bytes(data)
                    outcomes[read(file)] += 1
                    file.unlink()
                said = errors.seek(0, os.SEEK_END)
                print(f"{suffix}: {outcomes['read']} read, {outcomes['refused']} refused, {said} bytes of messages")
        finally:
            os.dup2(before, 2)
