"""Runs that W&B keeps on disk, `run-….wandb`: blocks of a LevelDB log, of which each record is a `Record`.

The format is private to W&B. A version other than the known one is refused. A run that was killed ends within a record.
Reference: wandb/sdk/internal/datastore.py, wandb/proto/wandb_internal.proto.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from downslope.trace import TracePlan
from downslope.watching.logs._log import Log, as_number, columns_of, refusal
from downslope.watching.logs._wire import as_signed, as_text, fields

_MAGIC = b":W&B"
_HEADER = struct.Struct("<4sHB")
_CHECK, _VERSION = 0xBEE1, 0
_BLOCK = 32_768
_PIECE = struct.Struct("<IHB")  # checksum, length and kind of a piece
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_HISTORY, _CONFIG, _RUN = 2, 5, 17  # of a record
_CONFIG_OF_RUN = 4
_ITEM, _STEP = 1, 2  # of a history
_KEY, _NESTED_KEY, _JSON = 1, 2, 16  # of an item
_UPDATE = 1  # of a config
# Names under which people keep the steps that they planned and their batches.
_PLANNED = ("max_steps", "total_steps", "num_steps", "train_steps", "max_iters", "steps")
_SIZES = ("batch_size", "train_batch_size", "per_device_train_batch_size")


def is_wandb(head: bytes) -> bool:
    """Tell whether the first bytes of a file are those of a run of W&B."""
    return head.startswith(_MAGIC)


def wandb_runs(folder: Path) -> list[Path]:
    """Return the runs of W&B in a folder, in its folders of runs, and in its folder `wandb`.

    `latest-run` is a link to one of them.
    """
    files = (file for depth in ("", "*/", "wandb/*/") for file in folder.glob(f"{depth}run-*.wandb"))
    return sorted({file.resolve(): file for file in files if not file.parent.is_symlink()}.values())


def read_wandb(name: str, file: Path) -> Log:
    """Return the log in a run of W&B."""
    content = file.read_bytes()
    if len(content) < _HEADER.size:
        raise refusal(name, "is cut off within its header")
    _, check, version = _HEADER.unpack_from(content)
    if check != _CHECK or version != _VERSION:
        raise refusal(name, f"is of version {version} of W&B's format, and version {_VERSION} is known")
    rows: list[dict[str, float]] = []
    config: dict[str, Any] = {}
    caveats: tuple[str, ...] = ()
    for record in _records(content):
        try:
            if record is None:
                raise ValueError("a piece that is cut off")
            _add(record, rows, config)
        except ValueError:
            caveats = (f"{file.name} ends in a record that is cut off or damaged; all before it are read",)
            break
    if not rows:
        raise refusal(name, "holds no history: nothing was logged")
    length, columns = columns_of(rows)
    return Log("W&B", length, columns, _plan(config), caveats, axis=_axis(columns))


def _records(content: bytes) -> Iterator[bytes | None]:
    """Yield the records of a file, of one or several pieces each; None last, where it ends within one."""
    at, parts = _HEADER.size, []
    while at < len(content):
        left = _BLOCK - at % _BLOCK
        if left < _PIECE.size:  # the rest of a block that holds no header is filled with zeros
            at += left
            continue
        if at + _PIECE.size > len(content):
            yield None
            return
        checksum, size, kind = _PIECE.unpack_from(content, at)
        if not kind and not size:
            at += left
            continue
        body = content[at + _PIECE.size : at + _PIECE.size + size]
        if len(body) < size or zlib.crc32(bytes([kind]) + body) != checksum:
            yield None
            return
        at += _PIECE.size + size
        if kind in (_FULL, _FIRST):
            parts = []
        parts.append(body)
        if kind in (_FULL, _LAST):
            yield b"".join(parts)
        elif kind not in (_FIRST, _MIDDLE):
            yield None
            return
    if parts and kind in (_FIRST, _MIDDLE):
        yield None


def _add(record: bytes, rows: list[dict[str, float]], config: dict[str, Any]) -> None:
    """Add what a record says to the rows of the history or to the configuration."""
    for number, content in fields(record):
        if isinstance(content, int):
            continue
        if number == _HISTORY:
            row = _history(content)
            if row:
                rows.append(row)
        elif number == _CONFIG:
            config |= _updates(content)
        elif number == _RUN:
            for inner, part in fields(content):
                if inner == _CONFIG_OF_RUN and not isinstance(part, int):
                    config |= _updates(part)


def _updates(content: memoryview) -> dict[str, Any]:
    """Return the entries of a configuration by name."""
    items = (item for number, item in fields(content) if number == _UPDATE and not isinstance(item, int))
    return dict(_item(item) for item in items)


def _history(content: memoryview) -> dict[str, float]:
    """Return the numbers of a row of a history by name."""
    row: dict[str, float] = {}
    for number, item in fields(content):
        if number == _STEP and not isinstance(item, int):
            row["_step"] = float(sum(as_signed(step) for field, step in fields(item) if field == 1))
        elif number == _ITEM and not isinstance(item, int):
            key, entry = _item(item)
            scalar = as_number(entry)
            if scalar is not None and (key == "_step" or not key.startswith("_")):
                row[key] = scalar
    return row if row.keys() - {"_step"} else {}


def _item(content: memoryview) -> tuple[str, Any]:
    """Return key and entry of an item; None for an entry that is no JSON."""
    key, nested, entry = "", [], None
    for number, part in fields(content):
        if number == _KEY:
            key = as_text(part)
        elif number == _NESTED_KEY:
            nested.append(as_text(part))
        elif number == _JSON:
            try:
                entry = json.loads(as_text(part))
            except ValueError:
                entry = None
    return key or "/".join(nested), entry


def _axis(columns: Mapping[str, Any]) -> str | None:
    """Return the column that counts steps; W&B's own counts calls, and stands in where there is no other."""
    return next((name for name in ("trainer/global_step", "train/global_step", "global_step") if name in columns), None)


def _plan(config: Mapping[str, Any]) -> TracePlan:
    """Return what a configuration says was to be done."""
    plan = TracePlan()
    steps = next((as_number(config[name]) for name in _PLANNED if name in config), None)
    if steps is not None and steps > 0:
        plan["steps"] = int(steps)
    size = next((as_number(config[name]) for name in _SIZES if name in config), None)
    if size is not None and size >= 1:
        plan["batches"] = {"size": int(size)}
    return plan
