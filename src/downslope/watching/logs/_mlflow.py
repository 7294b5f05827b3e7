"""Runs in MLflow's file store: `mlruns/EXPERIMENT/RUN/metrics/KEY`, a line `time value step` for each measurement.

Keys may hold slashes, which are folders. Newer stores are databases, which are not read.
"""

from __future__ import annotations

from pathlib import Path

from downslope.trace import TracePlan
from downslope.watching.logs._log import Log, as_number, columns_of, refusal

_PLANNED = ("max_steps", "total_steps", "num_steps", "steps")
_SIZES = ("batch_size", "train_batch_size", "per_device_train_batch_size")


def is_mlflow_run(folder: Path) -> bool:
    """Tell whether a folder is a run of MLflow's file store."""
    return (folder / "metrics").is_dir() and ((folder / "meta.yaml").is_file() or (folder / "params").is_dir())


def mlflow_runs(folder: Path) -> list[Path]:
    """Return the runs below a folder of experiments, or of one experiment, the last one written last."""
    runs = [path for depth in ("*", "*/*", "mlruns/*/*") for path in folder.glob(depth) if is_mlflow_run(path)]
    return sorted(runs, key=lambda run: run.stat().st_mtime)


def read_mlflow(name: str, run: Path) -> Log:
    """Return the log of a run in MLflow's file store."""
    timed: list[tuple[int, int, str, float]] = []
    damaged = 0
    for file in sorted(path for path in (run / "metrics").rglob("*") if path.is_file()):
        key = file.relative_to(run / "metrics").as_posix()
        for count, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines()):
            cells = line.split()
            number = as_number(cells[1]) if len(cells) in (2, 3) else None
            if number is None:
                damaged += bool(line.strip())
                continue
            step = int(cells[2]) if len(cells) == 3 and cells[2].lstrip("-").isdigit() else count
            timed.append((int(cells[0]) if cells[0].isdigit() else 0, step, key, number))
    if not timed:
        raise refusal(name, "holds no metrics: nothing was logged")
    rows: list[dict[str, float]] = []
    for _, step, key, number in sorted(timed, key=lambda entry: entry[:2]):
        # What is logged at once has one step and about one time.
        if not rows or rows[-1]["step"] != step or key in rows[-1]:
            rows.append({"step": float(step)})
        rows[-1][key] = number
    length, columns = columns_of(rows)
    caveats = (f"{damaged} lines are not measurements and were left out",) if damaged else ()
    return Log("MLflow", length, columns, _plan(run), caveats, axis="step")


def _plan(run: Path) -> TracePlan:
    """Return what the parameters of a run say was to be done."""
    plan = TracePlan()
    steps, size = _parameter(run, _PLANNED), _parameter(run, _SIZES)
    if steps is not None and steps > 0:
        plan["steps"] = int(steps)
    if size is not None and size >= 1:
        plan["batches"] = {"size": int(size)}
    return plan


def _parameter(run: Path, names: tuple[str, ...]) -> float | None:
    """Return the first of some parameters that is a number."""
    for name in names:
        file = run / "params" / name
        if file.is_file():
            number = as_number(file.read_text(encoding="utf-8", errors="replace").strip())
            if number is not None:
                return number
    return None
