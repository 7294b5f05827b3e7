"""`downslope predict`: new rows with what a trained network predicts for them."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import downslope as ds
from downslope.cli import _print as show

if TYPE_CHECKING:
    import polars

_SUFFIXES = (".csv", ".tsv", ".parquet", ".pq")
_PARQUET = (".parquet", ".pq")


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
        written["predictions"] = str(_write(_frame(data, len(found)), beside, out))
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
        frame = _typed(_frame(str(path)))
        words = [name for name, kind in frame.schema.items() if not kind.is_numeric()]
        if words:
            raise ds.DataError(f"column {words[0]!r} is not of numbers", hint="the network takes numbers alone")
        array = frame.to_numpy()
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
    if out.suffix.lower() not in _SUFFIXES:
        raise ds.SettingError(f"cannot write a table into {out.name!r}", hint="the name must end in .csv or .parquet")
    if Path(data).exists() and out.exists() and out.samefile(data):
        raise ds.SettingError(f"--out would replace the rows in {data}", hint="choose another name")


def _write(frame: polars.DataFrame, columns: dict[str, np.ndarray], out: Path) -> Path:
    """Write a table with a column for each of the predictions, and return its file."""
    import polars

    added = [polars.Series(name, column.tolist()) for name, column in columns.items()]
    whole = frame.with_columns(added)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix.lower() in _PARQUET:
            _typed(whole).write_parquet(out)
        else:
            whole.write_csv(out, separator="\t" if out.suffix.lower() == ".tsv" else ",")
    except OSError as error:
        raise ds.DataError(f"{out} cannot be written: {error.strerror or error}") from None
    return out


def _frame(data: str, rows: int | None = None) -> polars.DataFrame:
    """Return the rows of a file as they stand there, or the numbers of a sample's rows.

    Args:
        data: a file, or the name of a sample.
        rows: of the sample.
    """
    import polars

    path = Path(data)
    if path.suffix.lower() == ".npy" or (not path.suffix and not path.exists()):
        return polars.DataFrame({"row": range(1, (rows or 0) + 1)})
    source = path if path.is_file() else Path(ds.__file__).parent / "examples" / path.name
    if not source.is_file():
        raise ds.DataError(f"there is no file {data!r}")
    try:
        return polars.read_parquet(source) if path.suffix.lower() in _PARQUET else _texts(source)
    except (polars.exceptions.PolarsError, ValueError, IndexError):
        raise ds.DataError(
            f"{data} cannot be read as a table", hint="a CSV file has a line of names, then as many cells in each line"
        ) from None


def _texts(source: Path) -> polars.DataFrame:
    """Return the cells of a CSV file as they stand there."""
    import polars

    lines = source.read_text(encoding="utf-8-sig").splitlines()
    delimiter = max("\t;,", key=lines[0].count)
    kept = [row for row in csv.reader(lines, delimiter=delimiter) if any(cell.strip() for cell in row)]
    cells = zip(*kept[1:], strict=True)
    texts = {name.strip(): [cell or None for cell in column] for name, column in zip(kept[0], cells, strict=True)}
    return polars.DataFrame(texts, schema=dict.fromkeys(texts, polars.String))


def _typed(frame: polars.DataFrame) -> polars.DataFrame:
    """Return a table of texts with numbers where a column holds nothing else."""
    import polars

    def typed(column: polars.Series) -> polars.Series:
        for kind in (polars.Int64, polars.Float64) if column.dtype == polars.String else ():
            try:
                return column.cast(kind)
            except polars.exceptions.InvalidOperationError:
                continue
        return column

    return polars.DataFrame([typed(column) for column in frame])
