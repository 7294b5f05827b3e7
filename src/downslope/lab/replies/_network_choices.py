"""The choices of a network and its training: read from a request, written to one, and listed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import downslope as ds
from downslope.lab._messages import LIMITS, UploadedFile
from downslope.lab.replies._examples import preview_of, sampled, table_of
from downslope.lab.replies._request import PageRequest, RequestError

_CHOICES = ds.choices(ds.train)
_ILL_INITIALISATIONS = ("normal_0.05", "normal_3", "constant_0")  # of the examples that fail
# Choices with a field of their own in a request; everything else that a remedy may change is in `more`.
_FIELDS = (
    "hidden",
    "activation",
    "initialisation",
    "normalisation",
    "skip",
    "dropout",
    "class_weights",
    "method",
    "learning_rate",
    "batch",
    "steps",
    "seed",
)
# These cost more than a visitor may use, or decide what the pictures of the page are drawn from.
_WITHHELD = frozenset({"start", "evaluate_every", "probe_every", "layers_every"})
# By kind, so that a choice that is added to `train` can be sent at once; other kinds name files, columns or objects.
_SENT_KINDS = frozenset({"number", "whole", "rate", "truth", "name", "pairs", "weights"})
_MORE = frozenset(
    name
    for name, choice in _CHOICES.items()
    if choice.noun != "run" and choice.kind in _SENT_KINDS and name not in (*_FIELDS, *_WITHHELD)
) | {"validation", "class_weights"}  # the weights once had no field of their own, and links keep theirs


def choices(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the lists of choices for a network and its training."""
    return {
        "samples": list(ds.sample_names()),
        "activations": [name for name in _CHOICES["activation"].names if name not in ("exponential", "softmax")],
        "initialisations": [*_CHOICES["initialisation"].names, *_ILL_INITIALISATIONS],
        "normalisations": list(_CHOICES["normalisation"].names),
        "methods": list(ds.method_names(for_networks=True)),
        "class_weights": list(_CHOICES["class_weights"].names),
    }


def table(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a preview of the table of a request, and the column to predict."""
    name, columns = table_of(fields)
    columns = sampled(columns, LIMITS.network_rows)
    return {"name": name, **preview_of(columns), "target": _target(fields, columns)}


def check(fields: dict[str, Any]) -> dict[str, Any]:
    """Return nothing for settings that can be trained; others are refused as a training would refuse them."""
    setup = setup_of(fields)
    setup.plan()
    return {}


def setup_of(fields: dict[str, Any]) -> ds.Setup:
    """Return the setup of a request.

    Raises:
        SettingError, DataError: for choices that make no sense, or exceed the limits of the lab.
        RequestError: for a request that the page never sends.
    """
    request = PageRequest(fields)
    data, target = _data(fields)
    hidden = fields.get("hidden")
    if not isinstance(hidden, list) or not all(isinstance(units, int) and units >= 1 for units in hidden):
        raise RequestError("Each hidden layer has at least one unit.", hint="For example 8,8 for two layers.")
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
    plain = {name: fields.get(name) for name in ("skip", "batch", "seed")}
    if not isinstance(plain["skip"], bool):
        raise RequestError("skip is true or false.")
    dropout = request.number_or_none("dropout") or 0.0
    return ds.Setup.of(
        None,
        data,
        target,
        hidden=tuple(hidden),
        **{name: request.text(name) for name in ("activation", "initialisation", "normalisation", "method")},
        **plain,
        dropout=dropout,
        learning_rate=request.number_or_none("rate"),
        steps=steps,
        **_class_weights(fields),
        **_more(fields),
    )


def written(setup: ds.Setup, fields: Mapping[str, Any]) -> ds.Setup:
    """Return a setup to be written down: with the name of an uploaded file in place of its columns."""
    table = fields.get("table")
    return dataclasses.replace(setup, data=table.name) if isinstance(table, UploadedFile) else setup


def fields_of(setup: ds.Setup) -> dict[str, Any]:
    """Return a setup as the fields of a request, without the data."""
    known = setup.all_choices
    weights = _written_weights(known["class_weights"])
    own = [name for name in _FIELDS if name != "class_weights" or weights is not None]
    more = {name: known[name] for name in setup.explicit_choices if name in _MORE and name not in own}
    return {
        **{name: known[name] for name in _FIELDS if name != "learning_rate"},
        "hidden": list(known["hidden"]),
        "rate": known["learning_rate"],
        "class_weights": weights,
        "more": json.dumps(more) if more else None,
    }


def _data(fields: dict[str, Any]) -> tuple[Any, str | None]:
    """Return the data, by name where they ship, and the column to predict where there is a choice."""
    sample = fields.get("sample")
    if not isinstance(fields.get("table"), UploadedFile) and isinstance(sample, str):
        if sample not in ds.sample_names():
            hint = f"There are {', '.join(ds.sample_names())}."
            raise RequestError(f"No data {sample[:40]!r} ship with the lab.", hint=hint)
        return sample, None
    _, columns = table_of(fields)
    return sampled(columns, LIMITS.network_rows), _target(fields, columns)


def _target(fields: Mapping[str, Any], columns: Mapping[str, Any]) -> str:
    target = fields.get("target")
    return target if isinstance(target, str) and target in columns else list(columns)[-1]


def _class_weights(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the weights of the classes, typed as in the command: a word, numbers in order, or numbers by label."""
    text = fields.get("class_weights")
    if text is None:
        return {}
    if not isinstance(text, str):
        raise RequestError("class_weights is a text.")
    if text in _CHOICES["class_weights"].names:
        return {"class_weights": text}
    parts = [part.rpartition("=") for part in text.split(",")]
    try:
        weights = [float(weight) for _, _, weight in parts]
    except ValueError:
        raise ds.SettingError(
            f"{text[:40]!r} are not class weights", hint="for example balanced, or 1,20, or no=1,yes=20"
        ) from None
    labels = [label.strip() for label, _, _ in parts if label]
    return {"class_weights": dict(zip(labels, weights, strict=True)) if len(labels) == len(weights) else weights}


def _written_weights(weights: Any) -> str | None:
    """Return the weights of the classes as they are typed; None where there are none, or a label has a comma."""
    if weights is None or isinstance(weights, str):
        return weights
    if isinstance(weights, Mapping) and any("," in str(label) for label in weights):
        return None
    if isinstance(weights, Mapping):
        return ",".join(f"{label}={float(weight)!r}" for label, weight in weights.items())
    return ",".join(repr(float(weight)) for weight in weights)


def _more(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the choices without a field of their own."""
    text = fields.get("more") or "{}"
    try:
        more = json.loads(text)
    except (TypeError, ValueError):
        more = None
    if not isinstance(more, dict) or not set(more) <= _MORE:
        raise RequestError("Further choices are a JSON object of names that the lab knows.")
    if not isinstance(more.get("validation", 0.0), int | float):  # a name would be read as a file of this machine
        raise RequestError("validation is a share of the rows.")
    begin = more.get("begin")
    if isinstance(begin, dict) and isinstance(begin.get("steps"), int) and begin["steps"] > LIMITS.network_steps:
        raise RequestError("The first steps must be fewer than those of the whole training.")
    return more
