"""`downslope predict`: new rows with what a trained network predicts for them."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

import downslope as ds
from downslope.cli import _print as show


def run(folder: str, data: str, out: Path | None, *, probabilities: bool, as_json: bool, quiet: bool) -> None:
    """Predict the rows of a file or a sample, and print the predictions or write them beside the rows."""
    if out is not None:
        _check_out(out, data)
    trace = ds.load(folder)
    found = _predicted(trace, data, probabilities=probabilities)
    target = trace.facts["encoding"]["target"]
    names = [str(name) for name in target["names"]]
    headings = [str(label) for label in target["categories"]] if probabilities else names
    columns = dict(zip(headings, [found] if found.ndim == 1 else found.T, strict=True))
    what = "probability" if probabilities else "predicted"
    written = {}
    if out is not None:
        beside = {f"{what}_{heading}": column for heading, column in columns.items()}
        written["predictions"] = str(ds.write_table({**_cells(data, len(found)), **beside}, out, infer=True))
    _tell_running(trace, folder)
    if as_json:
        told = {"probabilities" if probabilities else "predicted": columns}
        show.as_json({"targets": names, "rows": len(found), **told, **written})
    elif out is None:
        _print(columns, quiet=quiet)
    else:
        print(f"Predicted {len(found)} rows: {out}")


def _tell_running(trace: ds.Trace, folder: str) -> None:
    """Say, beside the predictions, that a run was cut off or is under way."""
    if trace.outcome is ds.Outcome.RUNNING:
        print(f"The run in {folder} has not ended: predicted by the network as it was last written.", file=sys.stderr)


def _predicted(trace: ds.Trace, data: str, *, probabilities: bool) -> np.ndarray:
    """Return the predictions for the rows of a file or a sample."""
    shape = (trace.facts.get("encoding") or {}).get("shape", ())
    columns = (trace.facts.get("encoding") or {}).get("columns", ())
    return ds.predict(trace, _rows(data, tuple(shape), named=bool(columns)), probabilities=probabilities)


def _rows(data: str, shape: tuple[int, ...], *, named: bool) -> Any:
    """Return rows as `ds.predict` takes them.

    Args:
        data: a file, or the name of a sample.
        shape: of one row of an array.
        named: whether the network was trained on a table, whose columns have names.
    """
    path = Path(data)
    if not path.suffix and not path.exists():
        made = ds.examples(data, standardise=False)
        return dict(zip(made.encoding.features, made.inputs.T, strict=True)) if named else made.inputs
    if named or not shape:
        return data
    return _array(path, shape)


def _array(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return the rows of a file as an array, shape (rows, *shape).

    Raises:
        DataError: if a row is not as many numbers as the network takes.
    """
    if path.suffix.lower() == ".npy":
        try:
            array = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ds.DataError(f"{path} cannot be read: {error}") from None
    else:
        table = ds.read_table(path)
        words = [name for name, kind in table.kinds.items() if kind != "number"]
        if words:
            raise ds.DataError(f"column {words[0]!r} is not of numbers", hint="the network takes numbers alone")
        array = np.stack(list(table.values()), axis=1)
    size = math.prod(shape)
    if array.ndim == 0 or math.prod(array.shape[1:]) != size:
        sides = " × ".join(map(str, shape))
        count = math.prod(array.shape[1:]) if array.ndim else 0
        raise ds.DataError(f"a row has {count} numbers in {path.name}, and the network takes {sides}")
    return array.reshape(-1, *shape)


def _print(columns: dict[str, np.ndarray], *, quiet: bool) -> None:
    """Print predictions under the names of their targets, with row numbers; in quiet all of them, without either."""
    texts = {name: [_text(cell) for cell in column.tolist()] for name, column in columns.items()}
    if quiet:
        print("\n".join("\t".join(row) for row in zip(*texts.values(), strict=True)))
        return
    rows = len(next(iter(texts.values())))
    cut = show.table({"row": list(range(1, rows + 1)), **texts})
    if cut:
        print(f"\n{rows} rows; --quiet prints every prediction, --out FILE writes them beside the rows.")


def _text(cell: Any) -> str:
    """Return a prediction as text: numbers in six digits, labels as they are."""
    return show.number(cell) if isinstance(cell, float) else str(cell)


def _check_out(out: Path, data: str) -> None:
    """Raise, before anything is done, where predictions cannot be written."""
    suffixes = ds.table_suffixes("write")
    if out.suffix.lower() not in suffixes:
        hint = f"the name must end in {', '.join(suffixes[:-1])} or {suffixes[-1]}"
        raise ds.SettingError(f"cannot write a table into {out.name!r}", hint=hint)
    if Path(data).exists() and out.exists() and out.samefile(data):
        raise ds.SettingError(f"--out would replace the rows in {data}", hint="choose another name")


def _cells(data: str, rows: int) -> dict[str, Any]:
    """Return the columns of a file as they stand in it, or the numbers of so many rows of a sample or an array."""
    path = Path(data)
    if path.suffix.lower() == ".npy" or (not path.suffix and not path.exists()):
        return {"row": list(range(1, rows + 1))}
    return dict(ds.read_cells(path))
