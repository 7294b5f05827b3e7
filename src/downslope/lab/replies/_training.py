"""Trainings and trials of remedies, streamed as they run."""

from __future__ import annotations

import itertools
import queue
import re
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import downslope as ds
from downslope._text import in_words, number
from downslope._types import plain
from downslope.lab._messages import scheduler
from downslope.lab.replies._descent import verdict_reply
from downslope.lab.replies._network_choices import fields_of, setup_of, written
from downslope.lab.replies._network_views import View, ratios_of, why_no_graph, with_weights
from downslope.lab.replies._request import PageRequest, RequestError, program, rounded

Piece = dict[str, Any]
Send = Callable[[Piece], None]

_STATISTICS = ("activation_mean", "activation_deviation", "dead_share", "saturated_share", "gradient_norm")
_SCORES = ("training_", "validation_")
_DIGITS = 4
_OF_LAYERS = frozenset(name for name, choice in ds.choices(ds.train).items() if choice.noun == "network")
_TRAININGS = 10  # that a prescription may spend; a person waits for them


def train(fields: dict[str, Any]) -> Iterator[Piece]:
    """Yield a training: its head, a piece at each evaluation, and its end.

    A training whose rate was changed on its way consists of stages, each with the weights that the one before left.
    With `weights`, those before the last are left out: the page has them already.
    """
    setup = setup_of(fields)
    view = View(setup, fields.get("over"), ratios_of(fields))
    stages = stages_of(setup, fields)
    yield _head(setup, view)
    yield from pieces(lambda send: _train(setup, stages, view, fields, send))


def prescribe(fields: dict[str, Any]) -> Iterator[Piece]:
    """Yield the progress of trials of remedies, and the prescription at last."""
    setup = setup_of(fields)
    yield from pieces(lambda send: _prescribe(setup, fields, send))


def pieces(work: Callable[[Send], None]) -> Generator[Piece]:
    """Yield the pieces that a function sends while it works.

    Args:
        work: called on a thread of its own with the function that takes a piece. Its error is raised here, after all
            pieces that it sent before.
    """
    # `train` and `prescribe` report through callbacks; a reply is a generator, so one of the two needs a thread.
    results: queue.SimpleQueue[Piece | BaseException | None] = queue.SimpleQueue()
    closed = threading.Event()

    def send(piece: Piece) -> None:
        if closed.is_set():
            raise _StoppedError
        results.put(piece)

    def run() -> None:
        try:
            work(send)
        except BaseException as error:
            results.put(error)
        else:
            results.put(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while (piece := results.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        # A generator that is closed early stops the work at its next report, and waits: two trainings at a time would
        # only delay each other.
        closed.set()
        thread.join()


class _StoppedError(Exception):
    """Nobody waits for the pieces of a reply any more."""


def layers_of(trace: ds.Trace) -> dict[str, list[float | None]]:
    """Return the last statistics of the layers, by layer."""
    frame = trace.layers.tail(len(trace.layer_names))
    return {
        name: rounded(frame[name].to_numpy().astype(float), _DIGITS) for name in _STATISTICS if name in frame.columns
    }


def layer_name(name: str, index: int) -> str:
    """Return the name of a layer for people; a layer of a built-in network is called by its number."""
    return f"layer {index + 1}" if name.startswith("layers/") else name


def _head(setup: ds.Setup, view: View) -> Piece:
    """Return the constants of a training."""
    batched = setup.task.objective.batched
    assert batched is not None
    facts = batched.facts
    return {
        "head": {
            **view.head,
            "notes": facts["notes"],
            "read_as": setup.task.objective.read_as,
            "parameters": facts["network"]["parameters"],
            "layers": [layer_name(name, index) for index, name in enumerate(facts["network"]["layers"])],
            "metric": facts["network"]["metric"],
            "of": int(setup.choices["steps"]),
            "no_graph": why_no_graph(setup),
            "devices": _devices(),
        }
    }


def _devices() -> int:
    """Return the number of devices of this machine that can each take a part of a batch."""
    from downslope._engine import jax

    return jax().local_device_count()


@dataclass(frozen=True, eq=False)
class Stage:
    """A part of a training with one learning rate.

    Args:
        setup: what is trained, of which a later stage takes the network of the stage before.
        begin: the step at which it begins.
    """

    setup: ds.Setup
    begin: int


def stages_of(setup: ds.Setup, fields: dict[str, Any]) -> list[Stage]:
    """Return the stages of a training, one for each learning rate that it had: `earlier` maps last steps to rates."""
    earlier = fields.get("earlier") or {}
    if not isinstance(earlier, dict) or not all(re.fullmatch(r"[1-9]\d{0,6}", step) for step in earlier):
        raise RequestError("The earlier rates are numbers by the step up to which each was used.")
    rates = PageRequest(earlier)
    changes = sorted((int(step), rates.number_or_none(step)) for step in earlier)
    steps = int(setup.choices["steps"])
    ends = [*(step for step, _ in changes), steps]
    if any(last <= first for first, last in itertools.pairwise(ends)):
        raise RequestError("A rate is used for at least one step.")
    parts = zip([0, *ends], ends, [rate for _, rate in changes] + [setup.choices["learning_rate"]], strict=False)
    return [
        Stage(setup.changed(learning_rate=rate, steps=end - begin) if changes else setup, begin)
        for begin, end, rate in parts
    ]


def _train(setup: ds.Setup, stages: list[Stage], view: View, fields: dict[str, Any], send: Send) -> None:
    has_graph = why_no_graph(setup) is None
    devices = _wanted_devices(fields)
    network, training, csvs = None, None, []
    if len(stages) > 1 and fields.get("weights") is not None:
        network, stages = with_weights(setup.task.start, fields["weights"]), stages[-1:]
    for stage in stages:

        def send_moment(training: ds.Training, begin: int = stage.begin) -> None:
            send(_moment(training, view, has_graph, begin))

        own = stage.setup if network is None else stage.setup.changed(model=network)
        training = own.train(progress=False, watch=send_moment, devices=devices)
        send_moment(training)
        network = training.model
        csvs.append(_csv_rows(training.trace, stage.begin))
    assert training is not None
    send({"end": _end(setup, training, fields, csvs)})


def _wanted_devices(fields: dict[str, Any]) -> int | str | None:
    """Return the number of devices of a request, or "all"; None for one."""
    devices = fields.get("devices")
    if devices is None or devices == "all" or (isinstance(devices, int) and not isinstance(devices, bool)):
        return devices
    raise RequestError('devices is a number, or "all".')


def _moment(training: ds.Training, view: View, has_graph: bool, begin: int) -> Piece:
    """Return a training as it is at an evaluation of a stage that began at this step."""
    trace = training.trace
    metrics = {name: plain(float(column[-1])) for name, column in trace.metrics.items() if name.startswith(_SCORES)}
    has_steps = len(trace.columns["step"]) > 0
    return {
        "step": begin + int(trace.metrics["step"][-1]),
        "metrics": metrics,
        "picture": view.picture(training),
        "layers": layers_of(trace) if has_steps else None,
        "verdict": verdict_reply(ds.diagnose(trace)) if has_steps else None,
        # The page sends them back with a request for the graph, since a worker keeps no training.
        "weights": _weights(trace) if has_graph else None,
    }


def _weights(trace: ds.Trace) -> list[float]:
    """Return all weights and biases, one after the other."""
    leaves = [np.asarray(trace.end[name], float).ravel() for name in trace.part_names]
    return [float(f"{weight:.7g}") for weight in np.concatenate(leaves)]


def _end(setup: ds.Setup, training: ds.Training, fields: dict[str, Any], csvs: list[list[str]]) -> dict[str, Any]:
    named = written(setup, fields)
    stages, devices = stages_of(named, fields), _wanted_devices(fields)
    return {
        "outcome": training.trace.ending,
        "verdict": verdict_reply(ds.diagnose(training.trace)),
        "metrics": [
            [in_words(name).capitalize(), number(value)]
            for name, value in training.metrics.items()
            if name.startswith(_SCORES)
        ],
        "python": _python([stage.setup for stage in stages], devices),
        "command": _command(named, devices) if len(stages) == 1 else None,
        "csv": "\n".join([",".join(training.trace.metrics), *itertools.chain(*csvs), ""]),
    }


def _python(stages: Sequence[ds.Setup], devices: int | str | None = None) -> str:
    """Return a training as a program, in which each later stage goes on with the network of the one before."""
    more = "" if devices in (None, 1) else f", devices={devices!r}"
    first, *later = stages
    # A network that is built already has the choices of its layers, which are left out.
    own = [replace(setup, choices={n: c for n, c in setup.choices.items() if n not in _OF_LAYERS}) for setup in later]
    calls = [first.as_python(), *(setup.as_python().replace("ds.train(", "ds.train(training.model, ") for setup in own)]
    whole = "\ntraining = ".join(f"{call.removesuffix(')')}{more})" for call in calls)
    return program("training", whole, "training", "ds.diagnose(training.trace)")


def _command(setup: ds.Setup, devices: int | str | None) -> str | None:
    command = ds.as_command(setup)
    return command if command is None or devices in (None, 1) else f"{command} --devices {devices}"


def _csv_rows(trace: ds.Trace, begin: int) -> list[str]:
    """Return the metrics by step as lines of comma-separated values; the steps are counted on from a first one."""
    columns = {**trace.metrics, "step": trace.metrics["step"] + begin}
    return [
        ",".join(f"{float(value):.9g}" for value in row)
        for row in zip(*(columns[name] for name in trace.metrics), strict=True)
    ]


def _prescribe(setup: ds.Setup, fields: dict[str, Any], send: Send) -> None:
    send({"doing": "Training it as it is"})
    training = setup.train(progress=False)

    def send_progress(done: int, most: int, value: float) -> None:
        send({"doing": "Trying remedies beside the control", "done": done, "most": most})

    prescription = ds.prescribe(training, trainings=_TRAININGS, progress=send_progress, executor=scheduler())
    mended = prescription.mended
    rows = prescription.rows()[1:]
    send(
        {
            "verdict": prescription.verdict,
            "heading": prescription.yardstick.heading,
            "effect_heading": prescription.yardstick.effect_heading,
            "trials": [_trial(trial, row) for trial, row in zip(prescription.trials, rows, strict=True)],
            "tried": [{"name": remedy.name, "score": plain(score)} for remedy, score in prescription.tried],
            "reason": prescription.reason,
            "cost": f"{prescription.steps} steps in all, {prescription.seconds:.0f} seconds of one core.",
            "keep": fields_of(mended) if isinstance(mended, ds.Setup) else None,
            "python": _python([written(mended, fields)]) if isinstance(mended, ds.Setup) else None,
        }
    )


def _trial(trial: ds.Trial, row: tuple[str, ...]) -> dict[str, Any]:
    mark, name, score, effect, *_, moved, _ = row
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
