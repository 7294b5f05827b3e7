"""Files as frameworks write them, made without the frameworks: of columns, each with the rows that have it."""

from __future__ import annotations

import csv
import json
import math
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

Rows = Sequence[Mapping[str, float | None]]


def rows_of(**columns: Iterable[float | None]) -> list[dict[str, float | None]]:
    """Return rows of columns of one length."""
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def trainer_state(file: Path, rows: Rows, **state: float) -> Path:
    """Write the state of a Trainer, whose last row is the mean of the whole run."""
    history = [{name: cell for name, cell in row.items() if cell is not None} for row in rows]
    losses = [row["loss"] for row in history if "loss" in row]
    last = {"step": history[-1].get("step"), "train_loss": float(np.mean(losses)), "train_runtime": 12.5}
    content = {"best_metric": None, "epoch": 1.0, "log_history": [*history, last], **state}
    file.write_text(json.dumps(content, default=float), encoding="utf-8")
    return file


def table(file: Path, rows: Rows, empty: str = "") -> Path:
    """Write rows as a table; `empty` stands for what was not measured."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        for row in rows:
            cells = (row.get(name) for name in names)
            writer.writerow([empty if cell is None else cell for cell in cells])
    return file


def history(file: Path, **columns: Iterable[float]) -> Path:
    """Write a history of Keras."""
    file.write_text(json.dumps({name: list(map(float, cells)) for name, cells in columns.items()}), encoding="utf-8")
    return file


def json_rows(file: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    """Write rows of JSON, one a line."""
    file.write_text("\n".join(json.dumps(row, default=float) for row in rows) + "\n", encoding="utf-8")
    return file


# --- TensorBoard -----------------------------------------------------------------------------------------------------


def events(file: Path, rows: Rows, cut: int = 0, tensors: bool = False) -> Path:
    """Write an event file; without its last bytes, as of a run that was killed."""
    content = _record(_field(3, b"brain.Event:2", start=_double(1, 1.0)))
    for time, row in enumerate(rows):
        step = int(row.get("step") or 0)
        for name, cell in row.items():
            if name == "step" or cell is None:
                continue
            number = _field(8, _tensor(cell)) if tensors else b"\x15" + struct.pack("<f", cell)
            entry = _field(1, name.encode()) + number
            event = _double(1, 2.0 + time) + b"\x10" + _varint(step) + _field(5, _field(1, entry))
            content += _record(event)
    file.write_bytes(content[: len(content) - cut])
    return file


def _tensor(number: float) -> bytes:
    return b"\x08\x01" + _field(2, b"") + _field(4, struct.pack("<f", number))


def _record(body: bytes) -> bytes:
    size = struct.pack("<Q", len(body))
    return size + struct.pack("<I", _masked(size)) + body + struct.pack("<I", _masked(body))


def _masked(content: bytes) -> int:
    state = 0xFFFFFFFF
    for byte in content:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    state ^= 0xFFFFFFFF
    return (((state >> 15) | (state << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(number: int) -> bytes:
    content = b""
    while number > 0x7F:
        content += bytes([number & 0x7F | 0x80])
        number >>= 7
    return content + bytes([number])


def _field(number: int, body: bytes, start: bytes = b"") -> bytes:
    return start + _varint(number << 3 | 2) + _varint(len(body)) + body


def _double(number: int, value: float) -> bytes:
    return bytes([number << 3 | 1]) + struct.pack("<d", value)


# --- W&B -------------------------------------------------------------------------------------------------------------


def wandb_run(
    file: Path, rows: Rows, config: Mapping[str, object] | None = None, cut: int = 0, version: int = 0
) -> Path:
    """Write a run of W&B; without its last bytes, as of a run that was killed."""
    content = struct.pack("<4sHB", b":W&B", 0xBEE1, version)
    updates = b"".join(_field(1, _item(name, entry)) for name, entry in (config or {}).items())
    records = [_field(5, updates)]
    for count, row in enumerate(rows):
        items = b"".join(_field(1, _item(name, cell)) for name, cell in row.items() if cell is not None)
        step = _field(2, b"\x08" + _varint(count))
        records.append(b"\x08" + _varint(count + 1) + _field(2, items + _field(1, _item("_step", count)) + step))
    for record in records:
        content = _framed(content, record)
    file.write_bytes(content[: len(content) - cut])
    return file


def _item(name: str, entry: object) -> bytes:
    text = "NaN" if isinstance(entry, float) and math.isnan(entry) else json.dumps(entry, default=float)
    return _field(1, name.encode()) + _field(16, text.encode())


def _framed(content: bytes, record: bytes) -> bytes:
    """Add a record in pieces, none of which goes over the end of a block."""
    first = True
    while True:
        left = 32_768 - len(content) % 32_768
        if left < 7:
            content += bytes(left)
            continue
        piece, record = record[: left - 7], record[left - 7 :]
        kind = (1 if not record else 2) if first else (4 if not record else 3)
        content += struct.pack("<IHB", zlib.crc32(bytes([kind]) + piece), len(piece), kind) + piece
        first = False
        if not record:
            return content


# --- MLflow ----------------------------------------------------------------------------------------------------------


def mlflow_run(folder: Path, rows: Rows, **parameters: object) -> Path:
    """Write a run of MLflow's file store."""
    (folder / "metrics").mkdir(parents=True)
    (folder / "params").mkdir()
    (folder / "meta.yaml").write_text("run_id: aa\n", encoding="utf-8")
    for name, value in parameters.items():
        (folder / "params" / name).write_text(str(value), encoding="utf-8")
    lines: dict[str, list[str]] = {}
    for time, row in enumerate(rows):
        for name, cell in row.items():
            if name != "step" and cell is not None:
                lines.setdefault(name, []).append(f"{1700000000000 + 5 * time} {cell} {int(row['step'] or 0)}")
    for name, measured in lines.items():
        file = folder / "metrics" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(measured) + "\n", encoding="utf-8")
    return folder
