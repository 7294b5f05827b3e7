"""A training as it goes on: its losses, what it makes of the data, what happens in its layers, and what is found."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import downslope as ds
from downslope._text import in_words, number
from downslope.lab.replies import _writing
from downslope.lab.replies._descent import verdict
from downslope.lab.replies._network_choices import fields_of, setup_of, written
from downslope.lab.replies._network_views import View
from downslope.lab.replies._request import plain, shown
from downslope.lab.replies._unit_graph import why_no_graph

# From work that calls back to pieces that can be sent one by one.


Piece = dict[str, Any]


def pieces(work: Callable[[Callable[[Piece], None]], None]) -> Iterator[Piece]:
    """Yield what work tells as it goes on.

    Args:
        work: called with the function that takes a piece; it runs on a thread of its own, and what it raises is raised
            here once all that it told before has been taken.
    """
    told: queue.SimpleQueue[Piece | BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            work(told.put)
        except BaseException as wrong:
            told.put(wrong)
        else:
            told.put(None)

    threading.Thread(target=run, daemon=True).start()
    while (piece := told.get()) is not None:
        if isinstance(piece, BaseException):
            raise piece
        yield piece


_STATISTICS = ("activation_mean", "activation_deviation", "dead_share", "saturated_share", "gradient_norm")
_SCORES = ("training_", "validation_")
_DIGITS = 4


def train(told: dict[str, Any]) -> Iterator[Piece]:
    """Yield a training as it goes on: what stays, then a piece at each evaluation, and what came of it."""
    setup = setup_of(told)
    view = View(setup, told.get("over"))
    yield _head(setup, view)
    yield from pieces(lambda send: _train(setup, view, told, send))


def _head(setup: ds.Setup, view: View) -> Piece:
    batched = setup.task.objective.batched
    assert batched is not None
    facts = batched.facts
    return {
        "head": {
            **view.head,
            "notes": facts["notes"],
            "read_as": setup.task.objective.read_as,
            "parameters": facts["network"]["parameters"],
            "layers": [layer_name(name, place) for place, name in enumerate(facts["network"]["layers"])],
            "metric": facts["network"]["metric"],
            "of": int(setup.choices["steps"]),
            "no_graph": why_no_graph(setup),
        }
    }


def _train(setup: ds.Setup, view: View, told: dict[str, Any], send: Callable[[Piece], None]) -> None:
    has_graph = why_no_graph(setup) is None

    def tell(so_far: ds.Training) -> None:
        send(_moment(so_far, view, has_graph))

    training = setup.train(progress=False, watch=tell)
    tell(training)
    send({"end": _end(setup, training, told)})


def _moment(training: ds.Training, view: View, has_graph: bool) -> Piece:
    trace = training.trace
    found = {name: plain(float(column[-1])) for name, column in trace.metrics.items() if name != "step"}
    has_steps = len(trace.columns["step"]) > 0
    return {
        "step": int(trace.metrics["step"][-1]),
        "metrics": {name: value for name, value in found.items() if name.startswith(_SCORES)},
        "picture": view.picture(training),
        "layers": layers_of(trace) if has_steps else None,
        "verdict": verdict(ds.diagnose(trace)) if has_steps else None,
        "weights": _weights(trace) if has_graph else None,
    }


def layers_of(trace: ds.Trace) -> dict[str, list[float | None]]:
    """Return what the last look inside found, by layer."""
    count = len(trace.layer_names)
    frame = trace.layers.tail(count)
    return {name: shown(frame[name].to_numpy().astype(float), _DIGITS) for name in _STATISTICS if name in frame.columns}


def _weights(trace: ds.Trace) -> list[float]:
    """Return all weights and biases, one after the other."""
    leaves = [np.asarray(trace.end[name], float).ravel() for name in trace.part_names]
    return [float(f"{weight:.7g}") for weight in np.concatenate(leaves)]


def _end(setup: ds.Setup, training: ds.Training, told: dict[str, Any]) -> dict[str, Any]:
    named = written(setup, told)
    return {
        "outcome": training.trace.outcome.value,
        "verdict": verdict(ds.diagnose(training.trace)),
        "metrics": [
            [in_words(name).capitalize(), number(value)]
            for name, value in training.metrics.items()
            if name.startswith(_SCORES)
        ],
        "python": _writing.train_python(named),
        "command": _writing.train_command(named),
        "csv": _csv(training.trace),
    }


def _csv(trace: ds.Trace) -> str:
    """Return what was measured, as a table in a file."""
    names = list(trace.metrics)
    rows = [[f"{float(value):.9g}" for value in row] for row in zip(*trace.metrics.values(), strict=True)]
    return "".join(",".join(row) + "\n" for row in itertools.chain([names], rows))


def layer_name(name: str, place: int) -> str:
    """Return what a layer is called: by its place, where it has no name of its own."""
    return f"layer {place + 1}" if name.startswith("layers/") else name


# Remedies, tried beside the control while the page looks on.


_PAIRS = 3  # of runs that prove a remedy; enough to see, and few enough to wait for


def prescribe(told: dict[str, Any]) -> Iterator[Piece]:
    """Yield how far the trials are, and at last what helped."""
    setup = setup_of(told)
    yield from pieces(lambda send: _prescribe(setup, told, send))


def _prescribe(setup: ds.Setup, told: dict[str, Any], send: Callable[[Piece], None]) -> None:
    send({"doing": "Training it as it is"})
    training = setup.train(progress=False)

    def show(done: int, most: int, value: float) -> None:
        send({"doing": "Trying remedies beside the control", "done": done, "most": most})

    found = ds.prescribe(training, seeds=_PAIRS, progress=show)
    mended = found.mended
    send(
        {
            "verdict": found.verdict,
            "heading": found.yardstick.heading,
            "effect_heading": found.yardstick.effect_heading,
            "trials": [_trial(trial, row) for trial, row in zip(found.trials, found.rows()[1:], strict=True)],
            "tried": [{"name": remedy.name, "score": plain(score)} for remedy, score in found.tried],
            "cost": f"{found.steps} steps in all, {found.seconds:.0f} seconds of one core.",
            "keep": fields_of(mended) if isinstance(mended, ds.Setup) else None,
            "python": _writing.train_python(written(mended, told)) if isinstance(mended, ds.Setup) else None,
        }
    )


def _trial(trial: Any, row: tuple[str, ...]) -> dict[str, Any]:
    mark, name, score, effect, _, moved, _ = row
    return {
        "mark": mark,
        "helped": trial.helped,
        "name": name,
        "why": trial.remedy.why,
        "score": score,
        "effect": effect,
        "mean": plain(trial.effect.mean),
        "low": plain(trial.effect.low),
        "high": plain(trial.effect.high),
        "moved": moved,
    }
