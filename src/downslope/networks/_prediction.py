"""Predict: the verb from a training, or what is left of it on disk, and new rows to predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from downslope._errors import TraceError
from downslope.networks._model import model_of
from downslope.networks._network import network_from
from downslope.networks._trained import Training, trained
from downslope.networks.data._encoding import Encoding
from downslope.trace import Trace, load


def predict(run: Training | Trace | str | Path, data: Any) -> np.ndarray:
    """Return what a trained network predicts for new rows.

    Args:
        run: a training, its trace, or the folder that it was saved in.
        data: rows with the columns that the network was trained on, in any order; others are left aside. An array,
            for a network that was trained on arrays.

    Returns:
        Labels, shape (rows,), or numbers in the target's own scale, shape (rows,) or (rows, targets).

    Raises:
        TraceError: if there is no such run, or its network is not a built-in one and the trace alone was given.
        DataError: for rows that cannot be read, naming row and column.
    """
    if isinstance(run, Training):
        return run.predict(data)
    trace = run if isinstance(run, Trace) else load(run)
    return restored(trace).predict(data)


def restored(trace: Trace) -> Training:
    """Return a training from its trace alone, as far as its network is a built-in one.

    Raises:
        TraceError: if it is not.
    """
    told = trace.facts.get("network", {}).get("description", {})
    if "encoding" not in trace.facts or told.get("kind") != "network":
        raise TraceError(
            "this trace does not tell how to build its network again",
            hint="only networks of downslope's own layers are saved whole; others predict through `Training.predict`",
        )
    model = model_of(network_from(told))
    return trained(model, trace, Encoding.from_dict(trace.facts["encoding"]), ())
