"""Saved fits: the nouns of a fit as plain JSON and arrays, beside its trace, and back.

    fit.json         the fit for people and programs: parameters, errors, findings
    fit_state.json   its nouns: each a mapping from the fields of its class, by the class's name
    fit_arrays.npz   the arrays that they hold

Only classes that are listed here are made from a file, by their fields, so that a folder from elsewhere runs no code.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import math
import os
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import numpy as np

from downslope._errors import TraceError
from downslope._text import printable
from downslope.diagnosis import Diagnosis, Finding, NotRun, Severity
from downslope.fitting._group_errors import GroupErrors
from downslope.fitting._grouped_fit import GroupedFit
from downslope.fitting._groups import Grouping, Groups
from downslope.fitting._inference import Interval
from downslope.fitting._model import EquationModel
from downslope.fitting._problem import FitArguments, FitProblem, mean_square
from downslope.fitting._result import Fit
from downslope.fitting._uncertainty import Parameter, Uncertainty
from downslope.formulas import VOIGT, Condition, Equation, Expression, ForeignFunction, Formula
from downslope.tables import Clock
from downslope.trace import Attached, Damaged, HasTrace, Trace, read_arrays, read_json, save_attached
from downslope.trace import load as load_trace
from downslope.trace import save as save_trace

_VERSION = 1
STATE, ARRAYS = "fit_state.json", "fit_arrays.npz"
_MADE_AGAIN = ("trace", "objective")  # fields of a Fit that follow from the others or have files of their own


@functools.cache
def _classes() -> dict[str, type]:
    """Return the classes that a saved fit consists of, by name."""
    own = (
        *(Fit, GroupedFit, GroupErrors, Groups, Grouping, EquationModel, Equation, Formula, FitProblem, FitArguments),
        *(Uncertainty, Parameter, Interval, Diagnosis, Finding, NotRun, Severity, Clock),
        *get_args(Expression),
        *get_args(Condition),
    )
    return {kind.__name__: kind for kind in own}


def _attached(fit: Fit | GroupedFit) -> Attached:
    """Return the files of a fit."""
    arrays: dict[str, np.ndarray] = {}
    state = _plain(fit, arrays)
    text = json.dumps(fit.as_dict(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    return Attached({"fit.json": text}, {STATE: {"version": _VERSION, "state": state}}, {ARRAYS: arrays})


def _plain(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Return a value as JSON holds it; arrays are put aside by name."""
    if isinstance(value, str) and value is VOIGT:
        return {"special": str(value)}
    if isinstance(value, ForeignFunction):
        own = {"is_column": list(value.is_column), "way": value.way, "orders": list(value.orders)}
        return {"function": str(value), **own}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, enum.Enum):
        return {"is": type(value).__name__, "value": value.value}
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf":
            return {"cells": [_plain(cell, arrays) for cell in value.tolist()], "type": value.dtype.char}
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, Fraction):
        return {"fraction": str(value)}
    if type(value).__name__ in _classes():
        return {"is": type(value).__name__, "fields": {n: _plain(each, arrays) for n, each in _fields(value)}}
    if isinstance(value, tuple | frozenset):
        return {"tuple": [_plain(each, arrays) for each in value]}
    if isinstance(value, list):
        return [_plain(each, arrays) for each in value]
    if isinstance(value, Mapping):
        return {"map": [[_plain(key, arrays), _plain(each, arrays)] for key, each in value.items()]}
    raise TraceError(f"a fit with a {type(value).__name__} cannot be saved")


def _fields(value: Any) -> list[tuple[str, Any]]:
    """Return the fields of a noun that are saved."""
    names = (
        getattr(value, "_fields", ())
        if isinstance(value, tuple)
        else [field.name for field in dataclasses.fields(value)]
    )
    without = _MADE_AGAIN if isinstance(value, Fit) else ()
    return [(name, getattr(value, name)) for name in names if name not in without]


def _noun(plain: Any, arrays: Mapping[str, np.ndarray], more: Mapping[str, Any]) -> Any:
    """Return what `_plain` was made from.

    Args:
        plain: the value as JSON holds it.
        arrays: the arrays that were put aside.
        more: fields of the fit itself that were not saved with it.
    """
    if isinstance(plain, list):
        return [_noun(each, arrays, more) for each in plain]
    if not isinstance(plain, dict):
        return plain
    match next(iter(plain)):
        case "float":
            return float(plain["float"])
        case "array":
            return arrays[plain["array"]]
        case "cells":
            cells = np.empty(len(plain["cells"]), dtype=object)
            cells[:] = [_noun(each, arrays, more) for each in plain["cells"]]
            return cells if plain["type"] == "O" else cells.astype(plain["type"])
        case "special":
            return VOIGT
        case "function":
            if more.get("function") is None:
                name = plain["function"]
                raise TraceError(
                    f"the model of this fit is the Python function {name}, and functions are not saved",
                    hint=f"ds.load(folder, function={name})",
                )
            return ForeignFunction(
                plain["function"], more["function"], plain["is_column"], plain["way"], plain["orders"]
            )
        case "fraction":
            return Fraction(plain["fraction"])
        case "tuple":
            return tuple(_noun(each, arrays, more) for each in plain["tuple"])
        case "map":
            return {_noun(key, arrays, more): _noun(each, arrays, more) for key, each in plain["map"]}
    kind = _classes()[plain["is"]]
    if "value" in plain:
        return kind(plain["value"])
    fields = {name: _noun(each, arrays, more) for name, each in plain["fields"].items()}
    if kind is Fit:
        objective = mean_square(fields["model"], fields["problem"], fields["arguments"])
        fields |= {"trace": more["trace"], "objective": objective}
    return kind(**fields)


def save(result: Trace | HasTrace | GroupedFit, folder: str | os.PathLike[str]) -> Path:
    """Save a trace, or a result with its trace, in a folder; what was saved there before is replaced.

    A fit can be loaded again as a fit that predicts; for other results, the trace is loaded.

    Args:
        result: a trace, or a result that holds one, such as a fit or a training.
        folder: the folder; its parents are created. A symbolic link is followed and kept.

    Returns:
        The folder.

    Raises:
        SettingError: if the first argument is neither.
        TraceError: if the folder holds anything but a saved result, is being written, or cannot be written.

    >>> import tempfile
    >>> import downslope as ds
    >>> fit = ds.fit("price = w × size", {"size": [50, 100, 150], "price": [100, 200, 300]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = ds.load(ds.save(fit, f"{folder}/houses"))
    >>> again.predict({"size": [200]}).value.round(6).tolist()
    [400.0]
    """
    if isinstance(result, GroupedFit):
        return save_attached(_attached(result), folder, STATE)
    return save_trace(result, folder, _attached(result) if isinstance(result, Fit) else None)


def load(
    folder: str | os.PathLike[str], *, damaged: Damaged = "refuse", function: Callable[..., Any] | None = None
) -> Trace | Fit | GroupedFit:
    """Load a saved fit as a fit, and any other saved result as its trace; both equal the original to the last bit.

    Args:
        folder: a folder written by `save`, or by a training with `save=`.
        damaged: how to treat a damaged run: "refuse" raises, "keep" returns what is intact, like `load_trace`;
            for a fit whose own files are damaged, that is the trace.
        function: the fitted Python function, if the model was one; code is never loaded from a folder.

    Raises:
        TraceError: if there is nothing saved, it is of another version, or it is damaged.
    """
    path = Path(folder) if isinstance(folder, str | os.PathLike) else None
    if path is None or not os.path.isfile(path / STATE):  # Path.is_file raises for names that are too long
        return load_trace(folder, damaged=damaged)
    try:
        document = read_json(path / STATE)
        if document.fields.get("version") != _VERSION:
            raise TraceError(f"{path / STATE} is of version {document.fields.get('version')}, not {_VERSION}")
        if not document.sealed:
            raise TraceError(f"{path / STATE} is damaged: it has no checksum")
        return _fit(path, document.fields["state"], read_arrays(path / ARRAYS), damaged, function)
    except TraceError as error:
        if damaged != "keep" or not os.path.isfile(path / "trace.json"):
            raise
        trace = load_trace(path, damaged="keep")
        return trace.replace(caveats=(*trace.caveats, f"{error.message}; this is its trace alone"))


def _fit(
    path: Path,
    state: Any,
    arrays: Mapping[str, np.ndarray],
    damaged: Damaged,
    function: Callable[..., Any] | None,
) -> Fit | GroupedFit:
    """Return the fit of a state and its arrays.

    Raises:
        TraceError: if the state is no fit, or its trace is damaged.
    """
    more: dict[str, Any] = {"function": function}
    try:
        if state["is"] == Fit.__name__:
            more["trace"] = load_trace(path, damaged=damaged)
        fit = _noun(state, arrays, more)
        if not isinstance(fit, Fit | GroupedFit):
            raise ValueError("it holds no fit")
        fit.as_dict()
    except TraceError:
        raise
    except Exception as error:  # the fields of a state from elsewhere may hold anything, so that anything may be raised
        raise TraceError(f"{path / STATE} is damaged: {printable(repr(error))}") from None
    return fit
