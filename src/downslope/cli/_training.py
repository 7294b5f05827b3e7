"""The commands of networks: train and predict."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import downslope as ds
from downslope._files import refuse_unwritable
from downslope._hosts import join_launched
from downslope.cli import _fits, _remedies
from downslope.cli import _options as options
from downslope.cli import _print as _pictures
from downslope.cli import _print as show
from downslope.cli._streams import Output

TrainingData = Annotated[
    str,
    typer.Argument(metavar="DATA", help='A table: .csv, .xlsx, .parquet, …; or a sample: "digits", "iris", "wine", …'),
]
Target = Annotated[str | None, typer.Option("--target", metavar="COLUMN", help="The column to predict.")]
Prescribe = Annotated[bool, typer.Option("--prescribe", help="Then try remedies, and report which helped.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run saved with `train --save` or `fit --save`.")]
NewData = Annotated[
    str, typer.Argument(metavar="DATA", help="A table of new rows: .csv, .xlsx, .parquet, .npy, …; or a sample.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write the rows with their predictions: .csv, .tsv or .parquet."),
]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", help="Add the probability of each class, one column per class.")
]


@options.takes("train")
def train(
    data: TrainingData,
    target: Target = None,
    *,
    prescribe: Prescribe = False,
    plot: options.Plot = None,
    report: options.Report = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    evidence: options.Evidence = False,
    check: options.Check = False,
    **choices: Any,
) -> int:
    """Train a network on a table or images, and diagnose it."""
    _pictures.check_file(plot)  # before the training, which may take long
    if report is not None:
        refuse_unwritable(report)
    is_first = choices.get("devices") != "all" or _joined()
    if "seeds" in choices:
        _refuse_with_seeds({"--plot": plot, "--report": report, "--prescribe": prescribe or None})
        replicates = ds.train(None, data, target, **choices)
        if not is_first:
            return 0
        _print_replicates(replicates, choices.get("save"), json=json, quiet=quiet, evidence=evidence)
        return 0 if ds.diagnose(replicates).ok or not check else 1
    training = ds.train(None, data, target, **choices)
    if not is_first:  # the first process prints and writes for all
        return 0
    trace, diagnosis, summary = training.trace, ds.diagnose(training.trace), ds.summary(training.trace)
    written = {"saved": str(choices["save"])} if "save" in choices else {}
    if plot is not None:
        written["plot"] = str(_pictures.write_training(trace, diagnosis, plot))
    written |= show.written_report(trace, diagnosis, report)
    if json:
        mended = {"prescription": _remedies.prescription_as_dict(ds.prescribe(training))} if prescribe else {}
        judged = {"findings": diagnosis.as_list(), "not_run": diagnosis.not_run}
        show.as_json(summary.as_dict() | judged | mended | written)
    else:
        show.training(summary, diagnosis, quiet=quiet, evidence=evidence)
        show.files(written)
        if "saved" in written and not quiet:
            _print_next(data, trace.outcome, shlex.quote(written["saved"]))
        if prescribe:
            print()
            _remedies.print_prescription(ds.prescribe(training), quiet=quiet)
    return 0 if diagnosis.ok or not check else 1


def _joined() -> bool:
    """Join the processes that were started together, if there are several; tell whether this one is the first."""
    if isinstance(sys.stdout, Output):
        sys.stdout.keep_to_itself()  # joining prints lines of its own, which are no JSON
    return join_launched()


def _refuse_with_seeds(options: Mapping[str, Any]) -> None:
    """Raise for an option that is about one training."""
    for option, value in options.items():
        if value is not None:
            raise ds.SettingError(
                f"{option} applies to a single training, and --seeds trains several", hint="leave out one of the two"
            )


def _print_replicates(replicates: ds.Replicates, save: Any, *, json: bool, quiet: bool, evidence: bool) -> None:
    """Print trainings with several seeds: a row for each, the interval of each score, what most of them show."""
    diagnosis, written = ds.diagnose(replicates), {} if save is None else {"saved": str(save)}
    if json:
        show.as_json(
            {
                "seeds": list(replicates.seeds),
                "scores": {name: dataclasses.asdict(score) for name, score in replicates.scores.items()},
                "outcomes": [trace.outcome.identifier for trace in replicates.traces],
                "symptoms": {symptom: list(seeds) for symptom, seeds in replicates.symptoms.items()},
                "findings": diagnosis.as_list(),
                "not_run": diagnosis.not_run,
                **written,
            }
        )
    else:
        if not quiet:
            summary = ds.summary(replicates[0])
            show.labelled("Read as", *map(options.as_typed, summary.notes))
            show.labelled("Network", summary.network)
            show.labelled("Method", summary.method)
            print()
            show.table(replicates.table, words={"finding"})
            print()
        show.table(replicates.score_table, words={"95 %", *list(replicates.score_table)[:1]})
        print()
        show.findings(diagnosis, details=not quiet, evidence=evidence)
        show.files(written)


def _print_next(data: str, outcome: ds.Outcome, folder: str) -> None:
    """Print the next commands for a saved run."""
    if outcome is ds.Outcome.INTERRUPTED:
        print("Go on: type the same command again, with --resume")
    rows = "new.csv" if Path(data).suffix else data
    print(f"Predict: downslope predict {folder} {shlex.quote(rows)}")


@options.takes("fit", only=("missing", "sheet", "table"))
def predict(
    run: Run,
    data: NewData,
    out: Out = None,
    probabilities: Probabilities = False,
    *,
    json: options.Json = False,
    quiet: options.Quiet = False,
    **choices: Any,
) -> None:
    """Predict new rows with a trained network or a saved fit."""
    if out is not None:
        _fits.check_out(out, data)
    reading = reading_of(choices)
    trace = ds.load(run)
    if not isinstance(trace, ds.Trace):
        _predict_by_fit(trace, data, reading, out, json=json, quiet=quiet)
        return
    values = _predicted(trace, data, reading, probabilities=probabilities)
    target = trace.facts["encoding"]["target"]
    names = [str(name) for name in target["names"]]
    headings = [str(label) for label in target["categories"]] if probabilities else names
    columns = dict(zip(headings, [values] if values.ndim == 1 else values.T, strict=True))
    kind = "probability" if probabilities else "predicted"
    written = {}
    if out is not None:
        beside = {f"{kind}_{heading}": column for heading, column in columns.items()}
        written["predictions"] = str(ds.write_table({**_cells(data, reading, len(values)), **beside}, out, infer=True))
    if trace.outcome is ds.Outcome.RUNNING:
        print(f"The run in {run} has not ended: predicted by the network as it was last written.", file=sys.stderr)
    if json:
        predictions = {"probabilities" if probabilities else "predicted": columns}
        show.as_json({"targets": names, "rows": len(values), **predictions, **written})
    elif out is None:
        _print_predictions(columns, quiet=quiet)
    else:
        print(f"Predicted {len(values)} rows: {out}")


def reading_of(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a table is read as `ds.read_table` takes it, of the options that say so."""
    return {**choices.get("table", {}), **{name: choices[name] for name in ("missing", "sheet") if name in choices}}


def _predict_by_fit(
    result: ds.Fit | ds.GroupedFit, data: str, reading: Mapping[str, Any], out: Path | None, *, json: bool, quiet: bool
) -> None:
    """Predict new rows with a fit, with the band of the curve."""
    columns = _fits.predicted(result, data, reading)
    written = {} if out is None else {"predictions": _fits.write_predicted(data, reading, columns, out)}
    if json:
        show.as_json(
            {"targets": [result.model.equation.left.read_as], "rows": len(columns["low"]), **columns, **written}
        )
    elif out is None:
        _fits.print_predicted(columns, quiet=quiet)
    else:
        print(f"Predicted {len(columns['low'])} rows: {out}")


def _predicted(trace: ds.Trace, data: str, reading: Mapping[str, Any], *, probabilities: bool) -> np.ndarray:
    """Return the predictions for the rows of a file or a sample."""
    columns = (trace.facts.get("encoding") or {}).get("columns", ())
    return ds.predict(trace, _rows(data, reading, named=bool(columns)), probabilities=probabilities)


def _rows(data: str, reading: Mapping[str, Any], *, named: bool) -> Any:
    """Return rows as `ds.predict` takes them.

    Args:
        data: a file, or the name of a sample.
        reading: how the file is read, where it was said.
        named: whether the network was trained on a table, whose columns have names.
    """
    path = Path(data)
    if not path.suffix and not os.path.exists(path):
        examples = ds.examples(data, standardise=False)
        return dict(zip(examples.encoding.features, examples.inputs.T, strict=True)) if named else examples.inputs
    return ds.read_table(path, **reading) if reading else data


def _print_predictions(columns: dict[str, np.ndarray], *, quiet: bool) -> None:
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


def _cells(data: str, reading: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """Return the columns of a file unchanged, or numbers for the rows of a sample or an array."""
    path = Path(data)
    if path.suffix.lower() == ".npy" or (not path.suffix and not os.path.exists(path)):
        return {"row": list(range(1, rows + 1))}
    return dict(ds.read_cells(path, **reading))
