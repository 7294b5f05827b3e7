"""Tables as people have them, through every door: `python benchmarks/tables.py FOLDER`.

FOLDER holds files and `tables.json`, a list of cases under `cases`. Each has a `file`, an `equation` and perhaps
`options` of the command line, and what is right: `right` and `tolerance` for the parameters (null: any, or a refusal
that says `must_say`), `must_say` for words in the notes and findings (| parts alternatives), `left_out` for the numbers
of rows, or `must_refuse` for words of the refusal. The doors are `ds.fit`, `downslope fit`, `ds.examples` and the lab's
drop.

With `--speed`, a million rows of ten columns are read beside Polars' own `read_csv`, alternately in one run.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars

import downslope as ds
from downslope.cli._main import run as command
from downslope.lab import replies
from downslope.lab._messages import UploadedFile
from downslope.lab.processes._main import answer

_ROWS, _COLUMNS, _ROUNDS = 1_000_000, 10, 5


@dataclass(frozen=True)
class Result:
    """What a door answered.

    Args:
        values: of the parameters; empty for a refusal, None where the door tells none.
        words: of the notes and findings, or of the refusal.
        left_out: numbers of the rows that were left out; None where the door tells none.
        refused: whether it refused.
    """

    values: Mapping[str, float] | None
    words: str
    left_out: Sequence[int] | None = None
    refused: bool = False


def options_of(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a case as arguments of `ds.fit`."""
    arguments: dict[str, Any] = {}
    words = iter(case.get("options", ()))
    for word in words:
        value = next(words)
        if word == "--missing":
            arguments["missing"] = (*arguments.get("missing", ()), value)
        elif word in ("--unit", "--table"):
            name, _, text = value.partition("=")
            field = "units" if word == "--unit" else "table"
            arguments[field] = {**arguments.get(field, {}), name: text}
        else:
            arguments[word.removeprefix("--")] = value
    return arguments


def by_function(case: Mapping[str, Any]) -> Result:
    """Return what `ds.fit` answers."""
    result = ds.fit(case["equation"], case["file"], **options_of(case))
    words = [*result.notes, *(finding.sentence for finding in result.findings)]
    return Result(result.values, "\n".join(words), result.left_out)


def by_command(case: Mapping[str, Any]) -> Result:
    """Return what `downslope fit … --json` answers."""
    out, err = io.StringIO(), io.StringIO()
    words = ["fit", case["file"], case["equation"], *case.get("options", ()), "--json"]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = command(words)
    if code == 2:
        return Result({}, err.getvalue(), refused=True)
    reply = json.loads(out.getvalue())
    values = {name: parameter["value"] for name, parameter in reply["parameters"].items()}
    return Result(values, json.dumps([reply["notes"], reply["findings"]], ensure_ascii=False), reply["left_out"])


def by_lab(case: Mapping[str, Any]) -> Result:
    """Return what the lab answers when the file is dropped on its page."""
    chosen = options_of(case)
    reading = {name: str(value) for name, value in chosen.get("table", {}).items()}
    if "sheet" in chosen:
        reading["sheet"] = chosen["sheet"]
    if "missing" in chosen:
        reading["missing"] = chosen["missing"][0]
    fields = {
        "table": UploadedFile(case["file"], Path(case["file"]).read_bytes()),
        "formula": case["equation"],
        "units": chosen.get("units", {}),
        "reading": reading,
        "loss": "linear",
        "method": "levenberg-marquardt",
        "steps": 500,
    }
    reply = answer(replies.VERBS["fit"], fields)
    content = json.loads(reply.body)
    if reply.status != 200:
        error = content["error"]
        return Result({}, f"{error['message']} {error['hint']}", refused=True)
    return Result(content["ends"], json.dumps([content["notes"], content["verdict"]], ensure_ascii=False))


def by_examples(case: Mapping[str, Any]) -> Result:
    """Return what `ds.examples` answers, asked for the left side of the equation and the columns of the right."""
    chosen = options_of(case)
    table = ds.read_table(case["file"], **_reading(chosen))
    model = ds.equation(case["equation"], table, units=chosen.get("units"))
    used = [name for name in model.columns if name in list(table)]
    unused = [name for name in table if name not in used]
    (target,) = model.equation.left.columns
    kept = ds.examples(
        case["file"],
        target,
        drop=unused,
        missing="drop",
        task="numbers",
        standardise=False,
        scale_targets=False,
        table=_reading(chosen),
    )
    # The examples hold the numbers of the fit: the same equation over them has the same parameters.
    columns = dict(zip(kept.encoding.features, kept.inputs.T.astype(float), strict=True))
    result = ds.fit(case["equation"], {**columns, target: kept.targets[:, 0].astype(float)})
    return Result(_none_if_scaled(result.values, chosen), "\n".join(kept.notes))


def _none_if_scaled(values: Mapping[str, float], chosen: Mapping[str, Any]) -> Mapping[str, float] | None:
    return None if "units" in chosen else values  # examples count dates in days


def _reading(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said about the table."""
    return {**chosen.get("table", {}), **{name: chosen[name] for name in ("sheet", "missing") if name in chosen}}


DOORS: dict[str, Callable[[Mapping[str, Any]], Result]] = {
    "ds.fit": by_function,
    "downslope fit": by_command,
    "ds.examples": by_examples,
    "lab": by_lab,
}


def wrong(case: Mapping[str, Any], door: str) -> str | None:
    """Return what is wrong with a door's answer; None where it is right."""
    try:
        result = DOORS[door](case)
    except ds.DownslopeError as error:
        result = Result({}, str(error), refused=True)
    except Exception as error:  # a traceback is wrong whatever it is
        return f"{type(error).__name__}: {error}"
    words = result.words.lower()
    wanted = case.get("must_refuse" if result.refused else "must_say", ())
    # Examples count dates in days, whatever the unit of a column in a fit.
    wanted = () if result.values is None else wanted
    lacking = [word for word in wanted if not any(part.lower() in words for part in word.split("|"))]
    if case.get("must_refuse"):
        return None if result.refused and not lacking else f"not refused with {lacking}: {result.words[:300]}"
    if result.refused:
        is_free = case.get("right", 0) is None and all(
            any(part.lower() in words for part in word.split("|")) for word in case.get("must_say", ())
        )
        return None if is_free else f"refused: {result.words[:300]}"
    if lacking:
        return f"does not say {lacking}: {result.words[:300]}"
    # Pages and examples hold fewer digits than the fit.
    tolerance = max(case.get("tolerance", 1e-6), {"lab": 1e-5, "ds.examples": 3e-5}.get(door, 0.0))
    for name, value in (case.get("right") or {}).items() if result.values is not None else ():
        came = (result.values or {}).get(name, float("nan"))
        if not abs(came - value) <= tolerance * max(1.0, abs(value)):
            return f"{name} is {came}, not {value}"
    if "left_out" in case and result.left_out is not None and list(result.left_out) != case["left_out"]:
        return f"left out {list(result.left_out)}, not {case['left_out']}"
    return None


def judge(folder: Path, doors: Sequence[str], kind: str | None) -> int:
    """Print the share of cases that each door has right; return how many answers are wrong."""
    cases = json.loads((folder / "tables.json").read_text(encoding="utf-8"))["cases"]
    cases = [case for case in cases if kind in (None, case["kind"])]
    right: Counter[str] = Counter()
    os.chdir(folder)
    for case in cases:
        for door in doors:
            fault = wrong(case, door)
            right[door] += fault is None
            if fault is not None:
                print(f"{case['id']}  {door}  {case['file']}  {case['equation']}\n    {fault}")
    for door in doors:
        print(f"{door:14} {right[door]} of {len(cases)} right ({100 * right[door] / len(cases):.1f} %)")
    return len(cases) * len(doors) - sum(right.values())


def speed() -> None:
    """Print how long a clean file of a million rows takes, beside Polars' own reader."""
    numbers = np.random.default_rng(0).normal(size=(_ROWS, _COLUMNS)).round(4)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clean.csv"
        polars.DataFrame({f"x{i}": numbers[:, i] for i in range(_COLUMNS)}).write_csv(file)
        times: dict[str, list[float]] = {"polars": [], "downslope": []}
        for _ in range(_ROUNDS):
            for name, read in (("polars", polars.read_csv), ("downslope", ds.read_table)):
                begin = time.perf_counter()
                read(file)
                times[name].append(time.perf_counter() - begin)
    theirs, ours = (statistics.median(times[name]) for name in ("polars", "downslope"))
    print(f"{_ROWS} rows of {_COLUMNS}: Polars {theirs:.2f} s, read_table {ours:.2f} s, ratio {ours / theirs:.2f}")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="a folder with tables.json")
    parser.add_argument("--door", choices=DOORS, action="append", help="one of the doors; all by default")
    parser.add_argument("--kind", help="cases of this kind alone")
    parser.add_argument("--speed", action="store_true", help="measure the time of a large file")
    arguments = parser.parse_args()
    if arguments.speed:
        speed()
    return min(judge(arguments.folder, arguments.door or list(DOORS), arguments.kind), 1) if arguments.folder else 0


if __name__ == "__main__":
    raise SystemExit(main())
