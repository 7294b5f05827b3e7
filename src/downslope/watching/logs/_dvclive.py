"""Runs that DVCLive keeps: a file of steps and values for each metric, in `dvclive/plots/metrics`.

The path of a file below that folder is the metric's name, `val/loss.tsv`; `metrics.json` has the last values alone.
"""

from __future__ import annotations

from pathlib import Path

from downslope.watching.logs._delimited_logs import read_table
from downslope.watching.logs._log import Log, columns_of, refusal

_METRICS = Path("plots", "metrics")


def dvclive_metrics(folder: Path) -> Path | None:
    """Return the folder of metrics of a run of DVCLive, from that of the run or from the one that holds it."""
    folders = (folder / _METRICS, folder / "dvclive" / _METRICS)
    return next((path for path in folders if any(path.rglob("*.tsv"))), None)


def read_dvclive(name: str, metrics: Path) -> Log:
    """Return the log of a run of DVCLive."""
    rows: dict[float, dict[str, float]] = {}
    for file in sorted(metrics.rglob("*.tsv")):
        metric = file.relative_to(metrics).with_suffix("").as_posix()
        columns = read_table(file.name, file.read_text(encoding="utf-8", errors="replace")).columns
        values = next((columns[column] for column in columns if column in (file.stem, metric)), None)
        steps = columns.get("step")
        if values is None or steps is None:
            continue
        at = dict(zip(steps.rows.tolist(), steps.numbers.tolist(), strict=True))
        for row, value in zip(values.rows.tolist(), values.numbers.tolist(), strict=True):
            if row in at:
                rows.setdefault(at[row], {"step": at[row]})[metric] = value
    if not rows:
        raise refusal(name, "holds no metrics: nothing was logged")
    length, columns = columns_of(rows[step] for step in sorted(rows))
    return Log("DVCLive", length, columns, axis="step")
