"""The options of the commands that train networks, and how their texts become values."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import downslope as ds
from downslope.cli import _options as options

TrainingData = Annotated[
    str, typer.Argument(metavar="DATA", help='A CSV or Parquet file; or a sample: "digits", "iris", "wine", …')
]
Target = Annotated[str | None, typer.Option("--target", metavar="COLUMN", help="The column to predict.")]
Hidden = Annotated[
    str | None, typer.Option("--hidden", metavar="SIZES", help="Units of the hidden layers; 64,64 if not given.")
]
Convolutions = Annotated[
    str | None, typer.Option("--convolutions", metavar="SIZES", help="Channels of convolutions before them: 16,32.")
]
Activation = Annotated[str | None, typer.Option("--activation", help="Of the hidden layers: relu, tanh, gelu, …")]
Initialisation = Annotated[
    str | None, typer.Option("--initialisation", help="How weights begin; what suits the activation if not given.")
]
Normalisation = Annotated[str | None, typer.Option("--normalisation", help="Of the hidden layers: batch or layer.")]
Skip = Annotated[bool, typer.Option("--skip", help="Lead around hidden layers of one size.")]
Dropout = Annotated[float | None, typer.Option("--dropout", help="The share of units to leave out while training.")]
OutputActivation = Annotated[
    str | None, typer.Option("--output-activation", help="Of the output; what suits the loss if not given.")
]
Loss = Annotated[
    str | None, typer.Option("--loss", help="mse, mae, huber, cross-entropy, …; what suits the target if not given.")
]
Begin = Annotated[
    str | None,
    typer.Option(
        "--begin",
        metavar="NAME=VALUE,…",
        help="First steps that are taken otherwise, and how many: steps=100,learning_rate=1.",
    ),
]
Steps = Annotated[int, typer.Option("--steps", "-n", metavar="N", help="The most steps to take.")]
Batch = Annotated[str, typer.Option("--batch", metavar="N|all", help="Examples of a step.")]
MethodName = Annotated[str, typer.Option("--method", "-m", help="How to step: adam, adamw, momentum, lion, …")]
Schedule = Annotated[
    str | None, typer.Option("--schedule", help="How the rate changes: constant, step, exponential, cosine, warm-up.")
]
Validation = Annotated[
    str | None,
    typer.Option(
        "--validation",
        metavar="SHARE|FILE",
        help="Rows held back: a fifth if not given, 0 for none; or a file of them.",
    ),
]
Patience = Annotated[
    int | None,
    typer.Option("--patience", metavar="N", help="Stop after N evaluations without a lower validation loss."),
]
WeightDecay = Annotated[
    float | None, typer.Option("--weight-decay", help="Share of the weights, times the rate, taken away each step.")
]
L2 = Annotated[float | None, typer.Option("--l2", help="λ of a penalty λ Σ w² in the loss.")]
Accumulate = Annotated[int | None, typer.Option("--accumulate", metavar="N", help="Batches averaged for one step.")]
MixedPrecision = Annotated[bool, typer.Option("--mixed-precision", help="Compute in bfloat16, keep float32 weights.")]
Missing = Annotated[str | None, typer.Option("--missing", help="Cells that are missing: refuse, drop or mean.")]
Task = Annotated[str | None, typer.Option("--task", help="Read the target as classes or numbers.")]
Drop = Annotated[str | None, typer.Option("--drop", metavar="COLUMNS", help="Columns to leave out: id,name.")]
NoStandardise = Annotated[bool, typer.Option("--no-standardise", help="Leave the inputs as they are.")]
EvaluateEvery = Annotated[
    int | None, typer.Option("--evaluate-every", metavar="N", help="Steps between evaluations; 40 in all if not given.")
]
LayersEvery = Annotated[
    int | None,
    typer.Option("--layers-every", metavar="N", help="Steps between looks inside the layers: 10; 0 for none."),
]
ProbeEvery = Annotated[
    int | None, typer.Option("--probe-every", metavar="N", help="Steps between looks at the curvature; 0 for none.")
]
Save = Annotated[
    Path | None, typer.Option("--save", metavar="DIR", help="Write the run into this folder while it goes on.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --save.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run in --save.")]
Prescribe = Annotated[bool, typer.Option("--prescribe", help="Then try what may mend it, and say what helped.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A folder that `train --save` made.")]
NewData = Annotated[str, typer.Argument(metavar="DATA", help="A CSV, Parquet or .npy file of new rows; or a sample.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write the rows with their predictions: .csv, .tsv or .parquet."),
]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", help="Tell how sure the network is of each class, a column each.")
]

_ASSIGNED = re.compile(r"\b([a-z_]+)=(?:\"([^\"]*)\"|'([^']*)'|([\w.]+))?")


def sizes(text: str | None, option: str) -> tuple[int, ...] | None:
    """Return sizes such as `64,64`; none at all for "none" and "".

    Raises:
        SettingError: if one is not a whole number from 1 up.
    """
    if text is None:
        return None
    pieces = [piece.strip() for piece in text.replace(";", ",").split(",")]
    if text.strip().lower() in ("", "none", "0"):
        return ()
    for piece in pieces:
        if not piece.isdecimal() or int(piece) < 1:
            raise ds.SettingError(
                f"{option}: {piece!r} is not a whole number from 1 up", hint=f"for example {option} 64,64"
            )
    return tuple(int(piece) for piece in pieces)


def batch(text: str) -> int | None:
    """Return the examples of a step; None for all of them.

    Raises:
        SettingError: if it is neither a whole number from 1 up nor "all".
    """
    if text.strip().lower() == "all":
        return None
    if not text.strip().isdecimal() or int(text) < 1:
        raise ds.SettingError(
            f"--batch is a whole number from 1 up, or all; not {text!r}", hint="for example --batch 32"
        )
    return int(text)


def beginning(text: str | None) -> dict[str, Any] | None:
    """Return the choices that a text such as `steps=100,learning_rate=1` tells of; "none" is None, "true" is True.

    Raises:
        SettingError: if a piece is not `name=value`.
    """
    if text is None:
        return None
    told = options.pairs(text.replace(";", ",").split(","), "--begin")
    return {name: _read(word) for name, word in told.items()}


_CONSTANTS: dict[str, bool | None] = {"none": None, "true": True, "false": False}


def _read(text: str) -> bool | int | float | str | None:
    """Return the constant or number that a text is, a whole one if it is, or else the text."""
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if text.isdecimal():
        return int(text)
    word = options.column_or_number(text)
    assert word is not None
    return word


def share_or_file(text: str) -> float | str:
    """Return the share that a text is, or else the text, as a file's name."""
    try:
        return float(text)
    except ValueError:
        return text


def given(**choices: Any) -> dict[str, Any]:
    """Return the choices that were made: those left at None or False are the library's to make."""
    return {name: value for name, value in choices.items() if value is not None and value is not False}


def choices(
    *, hidden: str | None, convolutions: str | None, validation: str | None, begin: str | None = None, **others: Any
) -> dict[str, Any]:
    """Return the choices of a training that were made, those that are typed as text as what they mean."""
    return given(
        hidden=sizes(hidden, "--hidden"),
        convolutions=sizes(convolutions, "--convolutions"),
        validation=None if validation is None else share_or_file(validation),
        begin=beginning(begin),
        **others,
    )


def refuse_options(settings: Mapping[str, float], options: set[str]) -> None:
    """Raise for a setting that has an option of its own."""
    for name in settings:
        if name in options:
            raise ds.SettingError(f"--set does not take {name!r}", hint=f"it has an option: {as_option(name)}")


def as_option(name: str) -> str:
    """Return a name of Python as the option it is at the terminal."""
    return "--" + name.replace("_", "-")


def as_typed(text: str) -> str:
    """Return a sentence with arguments of Python written as options.

    >>> as_typed('missing="mean" fills them in')
    '--missing mean fills them in'
    >>> as_typed('resume=True goes on with it')
    '--resume goes on with it'
    """

    def typed(found: re.Match[str]) -> str:
        name, *values = found.groups()
        value = next((value for value in values if value is not None), None)
        return as_option(name) if value in (None, "True") else f"{as_option(name)} {shlex.quote(value)}"

    return _ASSIGNED.sub(typed, text)


@contextlib.contextmanager
def told_as_typed(arguments: Collection[str]) -> Iterator[None]:
    """Let errors name options where they name arguments of Python.

    Args:
        arguments: their names.
    """
    try:
        yield
    except ds.DownslopeError as error:
        for name in arguments:
            if "_" in name:
                error.message = re.sub(rf"\b{name}\b", as_option(name), error.message)
        error.hint = error.hint and as_typed(error.hint)
        raise
