"""What a network and its training are asked for, read from a request; and what there is to choose."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import downslope as ds
from downslope.lab._limits import LIMITS
from downslope.lab._messages import Table
from downslope.lab.replies._request import Request, RequestError
from downslope.lab.replies._tables import preview_of, table_of
from downslope.networks import NORMALISATIONS, activation_names, sample_names
from downslope.networks.tasks._examples import Choices

INITIALISATIONS = ("auto", "glorot_uniform", "he_normal", "lecun_normal", "normal_0.05", "normal_3", "constant_0")
# What has a field of its own in a request; everything else a remedy may change goes along as `more`.
_FIELDS = (
    "hidden",
    "activation",
    "initialisation",
    "normalisation",
    "skip",
    "dropout",
    "method",
    "learning_rate",
    "batch",
    "steps",
    "seed",
)
_MORE = frozenset(
    {
        "accumulate",
        "begin",
        "clip_norm",
        "clip_value",
        "from_logits",
        "l2",
        "loss",
        "momentum",
        "noise",
        "output_activation",
        "patience",
        "scale_targets",
        "schedule",
        "standardise",
        "validation",
        "warm_up",
        "weight_decay",
    }
)


def choices(told: dict[str, Any]) -> dict[str, Any]:
    """Return what can be chosen of a network and its training."""
    return {
        "samples": list(sample_names()),
        "activations": [name for name in activation_names() if name not in ("exponential", "softmax")],
        "initialisations": list(INITIALISATIONS),
        "normalisations": list(NORMALISATIONS),
        "methods": list(ds.method_names(for_networks=True)),
    }


def table(told: dict[str, Any]) -> dict[str, Any]:
    """Return what is in the table of a request, and which of its columns can be predicted."""
    name, columns = table_of(told)
    return {"name": name, **preview_of(columns), "target": _target(told, columns)}


def setup_of(told: dict[str, Any]) -> ds.Setup:
    """Return the training that a request asks for.

    Raises:
        SettingError, DataError: for what makes no sense, or is beyond the limits of the lab.
        RequestError: for a request that the page would not have made.
    """
    request = Request(told)
    data, target = _data(told)
    hidden = told.get("hidden")
    if not isinstance(hidden, list) or not all(isinstance(units, int) and units >= 1 for units in hidden):
        raise RequestError("The hidden layers are a list of numbers of units.")
    if len(hidden) > LIMITS.network_layers or max(hidden, default=0) > LIMITS.network_units:
        raise ds.SettingError(
            f"the lab trains up to {LIMITS.network_layers} hidden layers of up to {LIMITS.network_units} units",
            hint="in Python there is no such limit",
        )
    steps = request.steps
    if steps > LIMITS.network_steps:
        raise ds.SettingError(
            f"the lab trains for up to {LIMITS.network_steps} steps, not {steps}", hint="in Python there is no limit"
        )
    chosen = {name: told.get(name) for name in ("skip", "batch", "seed")}
    if not isinstance(chosen["skip"], bool):
        raise RequestError("skip is true or false.")
    dropout = request.number_or_none("dropout") or 0.0
    return ds.Setup.of(
        None,
        data,
        target,
        hidden=tuple(hidden),
        **{name: request.text(name) for name in ("activation", "initialisation", "normalisation", "method")},
        **chosen,
        dropout=dropout,
        learning_rate=request.number_or_none("rate"),
        steps=steps,
        **_more(told),
    )


def written(setup: ds.Setup, told: Mapping[str, Any]) -> ds.Setup:
    """Return a setup to be written down: a file by its name in place of its columns."""
    given = told.get("table")
    return dataclasses.replace(setup, data=given.name) if isinstance(given, Table) else setup


def fields_of(setup: ds.Setup) -> dict[str, Any]:
    """Return a setup as the fields of a request, the data aside."""
    known = {**dataclasses.asdict(Choices()), **setup.choices}
    told = {name: known[name] for name in _FIELDS}
    more = {name: known[name] for name in setup.said if name in _MORE}
    return {
        **{name: value for name, value in told.items() if name != "learning_rate"},
        "hidden": list(known["hidden"]),
        "rate": known["learning_rate"],
        "more": json.dumps(more) if more else None,
    }


def _data(told: dict[str, Any]) -> tuple[Any, str | None]:
    """Return the data, by name where they ship, and the column to predict where there is a choice."""
    sample = told.get("sample")
    if not isinstance(told.get("table"), Table) and sample in sample_names():
        return sample, None
    name, columns = table_of(told)
    rows = len(next(iter(columns.values())))
    if rows > LIMITS.network_rows:
        raise ds.DataError(
            f"{name} has {rows} rows; the lab trains on up to {LIMITS.network_rows}",
            hint="in Python there is no such limit",
        )
    return columns, _target(told, columns)


def _target(told: Mapping[str, Any], columns: Mapping[str, Any]) -> str:
    asked = told.get("target")
    return asked if isinstance(asked, str) and asked in columns else list(columns)[-1]


def _more(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the choices that have no field of their own."""
    text = told.get("more") or "{}"
    try:
        more = json.loads(text)
    except (TypeError, ValueError):
        more = None
    if not isinstance(more, dict) or not set(more) <= _MORE:
        raise RequestError("Further choices are a JSON object of names that the lab knows.")
    begin = more.get("begin")
    if isinstance(begin, dict) and isinstance(begin.get("steps"), int) and begin["steps"] > LIMITS.network_steps:
        raise RequestError("A beginning is shorter than the training.")
    return more
