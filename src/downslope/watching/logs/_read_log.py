"""`read_log`: from the file or folder of a finished run to a Trace."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from downslope._errors import DataError, SettingError, described
from downslope._files import reason
from downslope.trace import Trace
from downslope.watching.logs._as_trace import trace_of
from downslope.watching.logs._delimited_logs import is_table, read_table
from downslope.watching.logs._dvclive import dvclive_metrics, read_dvclive
from downslope.watching.logs._json_logs import is_json_rows, read_json
from downslope.watching.logs._log import Log, refusal
from downslope.watching.logs._mlflow import is_mlflow_run, mlflow_runs, read_mlflow
from downslope.watching.logs._tensorboard import is_events, read_events
from downslope.watching.logs._text_logs import read_text
from downslope.watching.logs._wandb import is_wandb, read_wandb, wandb_runs

_EVENTS = "events.out.tfevents"
# Names of logs in the folder of a run, the surest first.
_NAMED = (
    "trainer_state.json",
    "metrics.csv",
    "results.csv",
    "history.json",
    "metrics.json",
    "metrics.jsonl",
    "log.csv",
)
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")  # gzip, bzip2, xz, zstandard
_SHOWN = 4  # logs that a message names


def read_log(place: str | os.PathLike[str], *, names: Mapping[str, str] | None = None) -> Trace:
    """Read the log of a finished training as a trace.

    Supported are Hugging Face's `trainer_state.json`, Lightning's `metrics.csv` and other tables, Keras's history and
    CSVLogger, TensorBoard event files, W&B's `run-….wandb`, MLflow's file store, DVCLive folders, JSON lines, and lines
    of text. None of these libraries is needed. The format is recognised by its content.

    If the log holds several runs, as of a restarted training, the last one is read. What was chosen and
    left out is in `facts["notes"]` and `caveats` of the trace.

    Args:
        place: a file, or the folder of a run that holds one.
        names: the roles of columns whose names do not show them: `{"loss": "my_total", "validation_loss": "held"}`;
            also "step", "learning_rate", "gradient_norm", `validation_accuracy`, ….

    Raises:
        DataError: for a file that is not a log, holds no loss, or cannot be read; says why.
        SettingError: for `names` that the log does not have.
    """
    if not isinstance(place, str | os.PathLike):
        raise SettingError(f"a log is a file or a folder, not {described(place)}", hint='ds.read_log("metrics.csv")')
    path = Path(place)
    try:
        if path.is_dir():
            return trace_of(_in_folder(path), path.name or str(path), names)
        return trace_of(_in_file(path), path.name, names)
    except FileNotFoundError:
        raise DataError(f"there is no log {path}") from None
    except (OSError, ValueError) as error:
        detail = reason(error) if isinstance(error, OSError) else str(error)
        raise DataError(f"{path} cannot be read: {detail}") from None


def _in_file(file: Path) -> Log:
    """Return the log in a file, by what its first bytes are."""
    with file.open("rb") as stream:
        head = stream.read(4096)
    if not head.strip():
        raise refusal(file.name, "is empty")
    if is_wandb(head):
        return read_wandb(file.name, file)
    if is_events(head):
        return read_events(file.name, [("", file)])
    if head.startswith(_COMPRESSED):
        raise refusal(file.name, "is compressed", "unpack it first")
    if head.startswith(b"PK\x03\x04"):
        raise refusal(file.name, "is an archive or a spreadsheet", "unpack it, or save the sheet as CSV")
    if head.startswith(b"SQLite format 3"):
        raise refusal(file.name, "is a database", "MLflow's file store can be read, a folder mlruns; not its database")
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise refusal(file.name, "is not a known log: it is not text")
    return _in_text(file.name, _decoded(file.read_bytes()))


def _decoded(content: bytes) -> str:
    """Return the text of some bytes; what is no UTF-8 is marked, since only the numbers count."""
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return content.decode(encoding, "replace")


def _in_text(name: str, text: str) -> Log:
    """Return the log in a text: JSON, rows of JSON, a table, or lines."""
    first = text.lstrip()[:1]
    if first in "[{" and not text.lstrip().startswith("{'"):
        try:
            return read_json(name, text)
        except DataError:
            # Lines of a program may begin with a bracket.
            if first == "{" and is_json_rows(text):
                raise
            if name.endswith((".json", ".jsonl", ".ndjson")):
                raise
    if is_table(text):
        return read_table(name, text)
    return read_text(name, text)


def _in_folder(folder: Path) -> Log:
    """Return the log in the folder of a run.

    Raises:
        DataError: for a folder without a log, and for one with several runs.
    """
    if is_mlflow_run(folder):
        return read_mlflow(folder.name, folder)
    events = sorted(folder.rglob(f"{_EVENTS}*"))
    if events:
        return _in_event_files(folder, events)
    metrics = dvclive_metrics(folder)
    if metrics is not None:
        return read_dvclive(folder.name, metrics)
    runs = [*wandb_runs(folder), *mlflow_runs(folder)]
    named = [folder / name for name in _NAMED if (folder / name).is_file()]
    if named:
        return _in_file(named[0])
    checkpoints = [path for path in folder.glob("checkpoint-*/trainer_state.json") if path.parent.name[11:].isdigit()]
    if checkpoints:
        return _in_file(max(checkpoints, key=lambda path: int(path.parent.name[11:])))
    below = [path for name in _NAMED for depth in ("*", "*/*") for path in folder.glob(f"{depth}/{name}")]
    logs = [*runs, *sorted(below)]
    if not logs:
        raise refusal(folder.name, "is a folder without a log")
    if len(logs) > 1:
        shown = ", ".join(str(log.relative_to(folder)) for log in logs[-_SHOWN:])
        raise refusal(str(folder), f"holds {len(logs)} logs", f"name one of them: {shown}")
    return read_mlflow(logs[0].name, logs[0]) if logs[0].is_dir() else _in_file(logs[0])


def _in_event_files(folder: Path, events: list[Path]) -> Log:
    """Return the log in the event files of one run: in its folder, and by writer in folders below."""
    folders = {file.parent for file in events}
    prefixes = {below: "" if below == folder else below.relative_to(folder).as_posix() + "/" for below in folders}
    # Keras and others have a folder for each set of rows; folders of other names are runs.
    runs = [below for below, prefix in prefixes.items() if below != folder and not _names_rows(prefix)]
    if len(folders) > 1 and runs and folder not in folders:
        shown = ", ".join(sorted(str(run.relative_to(folder)) for run in runs)[-_SHOWN:])
        raise refusal(str(folder), f"holds the event files of {len(runs)} runs", f"name one of them: {shown}")
    if len(folders) == 1:
        prefixes = dict.fromkeys(folders, "")
    return read_events(folder.name, [(prefixes[file.parent], file) for file in events])


def _names_rows(prefix: str) -> bool:
    """Tell whether the name of a folder says of which rows its numbers are."""
    words = prefix.strip("/").lower().replace("_", "/").split("/")
    return any(word in ("train", "training", "val", "validation", "valid", "test", "eval", "dev") for word in words)
