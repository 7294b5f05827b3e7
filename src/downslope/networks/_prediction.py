"""Predict: the verb from a training, or what is left of it on disk, and new rows to predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from downslope._errors import TraceError
from downslope.networks._trained import Training, trained
from downslope.networks.data._encoding import Encoding
from downslope.networks.layers._network import network_from
from downslope.networks.models._model import model_of
from downslope.trace import Outcome, Trace, load


def predict(run: Training | Trace | str | Path, data: Any, *, probabilities: bool = False) -> np.ndarray:
    """Return what a trained network predicts for new rows.

    Args:
        run: a training, its trace, or the folder that it was saved in; of a run that is still being written, the
            network is the one that was written last.
        data: rows with the columns that the network was trained on, in any order; others are left aside. An array,
            for a network that was trained on arrays.
        probabilities: whether to return how sure the network is of each class in place of its label.

    Returns:
        Labels, shape (rows,), or numbers in the target's own scale, shape (rows,) or (rows, targets). Probabilities
        have the shape (rows, classes), each row adding up to 1, the classes in ascending order, that of
            `encoding.target.categories`.

    Raises:
        TraceError: if there is no such run, nothing of it is written yet, or its network is not a built-in one and the
            trace alone was given.
        SettingError: for probabilities of a network that predicts numbers, or whose loss makes none of its outputs.
        DataError: for rows that cannot be read, naming row and column.
    """
    if isinstance(run, Training):
        return run.predict(data, probabilities=probabilities)
    trace = run if isinstance(run, Trace) else load(run)
    return restored(trace).predict(data, probabilities=probabilities)


def restored(trace: Trace) -> Training:
    """Return a training from its trace alone, as far as its network is a built-in one.

    Raises:
        TraceError: if it is not, or if nothing of the run is written yet.
    """
    told = trace.facts.get("network", {}).get("description", {})
    if "encoding" not in trace.facts or told.get("kind") != "network":
        raise TraceError(
            "this trace does not tell how to build its network again",
            hint="only networks of downslope's own layers are saved whole; others predict through `Training.predict`",
        )
    if trace.outcome is Outcome.RUNNING and "memory" not in trace.facts:
        raise TraceError(
            "nothing of this run is written down yet to predict with",
            hint="wait a second; or, if it was cut off, go on with it: train(…, save=folder, resume=True)",
        )
    model = model_of(network_from(told))
    return trained(model, trace, Encoding.from_dict(trace.facts["encoding"]), tuple(trace.facts.get("notes", ())))
