"""`watch`: the recording of a training that another loop runs, independent of the framework.

    watch = ds.watch(model, optimizer, "runs/digits")
    for inputs, targets in batches:
        loss = criterion(model(inputs), targets)
        watch.loss(loss)                    # the one line in the loop
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    print(ds.diagnose(watch.close()))

What looks into the training is an `Instrument` of its framework. A watch without one takes scalars alone, by `row`.
"""

from __future__ import annotations

import functools
import os
import sys
import time
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, TypeVar, Unpack

from downslope._choices import checked, defaults, door
from downslope._errors import DownslopeError, SettingError, TraceError, described
from downslope._types import Columns
from downslope.trace import Outcome, Trace
from downslope.watching._choices import WatchChoices
from downslope.watching._rows import WatchedRows

Loss = TypeVar("Loss")

_POSITIONAL = ("model", "optimizer", "folder")
_FETCH_SECONDS = 30.0  # a loop of long steps is fetched sooner than after `flush` of them


class Instrument(Protocol):
    """The part of a watch that measures a training and adds rows; one for each framework.

    Whatever fails in it is its own concern: none of these may raise because a look failed.
    """

    def loss(self, value: Any) -> None:
        """Receive a loss, between the forward and the backward pass."""
        ...

    def flush(self) -> None:
        """Add what was recorded since the last time to the rows."""
        ...

    def resume(self, step: int) -> None:
        """Number the next step."""
        ...

    @property
    def next_step(self) -> int:
        """The step that is recorded next: as many as were taken."""
        ...

    def score(self) -> Mapping[str, float]:
        """Return how well the batches since the last time were predicted, as `training_accuracy` or `training_r2`."""
        ...

    @property
    def rows_evaluated(self) -> int | None:
        """The number of rows evaluated since the last step; None if unknown."""
        ...

    @property
    def end(self) -> Columns | None:
        """The current weights by part; None if they are too many, or unknown."""
        ...

    def close(self) -> None:
        """Remove all hooks from model, optimizer and framework."""
        ...


class Follower(Protocol):
    """A recipient of the trace of a watch as it grows, such as a tracker."""

    def follow(self, trace: Trace) -> None:
        """Receive the trace so far."""
        ...

    def close(self, trace: Trace) -> None:
        """Receive the finished trace."""
        ...


class Watch:
    """The recording of a training; a context manager, which closes at the end.

    Created by `watch`.

    Args:
        rows: the rows so far.
        instrument: the part that records the layers; None for scalars alone.
        flush: the number of pending rows after which they are written.
        followers: the trackers that receive the trace as it grows.
    """

    def __init__(
        self, rows: WatchedRows, instrument: Instrument | None, *, flush: int = 100, followers: Sequence[Follower] = ()
    ) -> None:
        self._rows, self._instrument, self._flush = rows, instrument, flush
        self._followers, self._followed = tuple(followers), 0
        self._fetched = time.monotonic()
        self._closed: Trace | None = None
        # A script that ends without closing has its last rows written all the same.
        self._at_exit = weakref.finalize(self, _write_at_exit, rows, instrument)

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(Outcome.INTERRUPTED if kind is not None else None)

    def loss(self, value: Loss) -> Loss:
        """Record the loss of a batch, and return it; call it between forward and backward pass, once per micro-batch.

        Raises:
            SettingError: for a watch of scalars alone.
        """
        if self._instrument is None:
            raise SettingError(
                "this watch has no model, so it takes only scalars", hint="watch.row(step, loss=…) once a step"
            )
        if self._closed is None:
            self._rows.claim()
            self._instrument.loss(value)
            self._after(self._instrument.next_step)
        return value

    def step(self, state: Any, model: Any = None) -> None:
        """Record the rows that one or several steps of a JAX loop left in the optimizer's state.

        It may be called after each step: nothing is read back until the state is full.

        Args:
            state: the state of the transformation from `ds.recorded`, or an object that holds it: the state of a chain,
                a `TrainState` of Flax, an `Optimizer` of Flax NNX.
            model: the weights after the step, in the same form as at the start; None to skip them.

        Raises:
            SettingError: for a watch of anything but a JAX loop, or a state without rows.
        """
        take = getattr(self._instrument, "step", None)
        if take is None:
            raise SettingError(
                "step is for loops of JAX, and this is a watch of "
                + ("scalars alone" if self._instrument is None else "another framework"),
                hint="tx = ds.recorded(optax.adam(1e-3)); ds.watch(params, tx, criterion=loss, batch=batch)",
            )
        if self._closed is None:
            self._rows.claim()
            take(state, model)
            self._after(self._instrument.next_step if self._instrument is not None else 0)

    def row(
        self,
        step: int,
        *,
        loss: float,
        gradient_norm: float | None = None,
        update_norm: float | None = None,
        learning_rate: float | None = None,
    ) -> None:
        """Record a step by its scalars, for a loop in any framework.

        Args:
            step: the number of the step, higher than in the previous row.
            loss: its loss, a number.
            gradient_norm: the norm of its gradient.
            update_norm: the norm of the change of the weights.
            learning_rate: its rate.

        Raises:
            SettingError: for a step that does not ascend, or a value that is not a number.

        >>> scalars = watch()
        >>> for step in range(3):
        ...     scalars.row(step, loss=2.0 - step, learning_rate=0.1)
        >>> scalars.close().value
        0.0
        """
        if self._closed is not None:
            raise SettingError("the watch is closed and takes no more rows", hint="start another watch")
        scalars = {"gradient_norm": gradient_norm, "update_norm": update_norm, "learning_rate": learning_rate}
        numbers = {name: None if x is None else _number(x, name) for name, x in scalars.items()}
        self._rows.add_step(_step(step), _number(loss, "loss"), **numbers)
        self._after(len(self._rows))

    def evaluation(self, *, step: int | None = None, **measured: float) -> None:
        """Record an evaluation over whole sets: `validation_loss`, `validation_accuracy`, `training_r2`, ….

        Args:
            step: the number of steps taken so far, if it differs from that of the watch.
            measured: the measurements by name. `validation_rows` and `training_rows`, how many rows these are, are kept
                as facts: with them a diagnosis knows how sure a score is.

        Raises:
            SettingError: for a name or a value that is none.
        """
        if self._closed is not None:
            raise SettingError("the watch is closed and takes no more evaluations", hint="start another watch")
        numbers = {name: _number(value, name) for name, value in measured.items()}
        odd = next((name for name in numbers if not name.startswith(("training_", "validation_"))), None)
        if odd is not None:
            raise SettingError(
                f"evaluations begin with training_ or validation_, not {odd!r}", hint=f"validation_{odd}=…"
            )
        data = dict(self._rows.facts.get("data") or {})
        if self._instrument is not None and not any(name.startswith("training_") for name in numbers):
            seen = self._instrument.rows_evaluated
            if seen is not None:
                numbers = {"validation_rows": seen, **numbers}
        for name, key in (("validation_rows", "validation_rows"), ("training_rows", "rows")):
            if name in numbers:
                data[key] = int(numbers.pop(name))
                self._rows.facts["data"] = data
        if numbers:
            self._rows.measure(self._now() if step is None else _step(step), {**self._batch_score(), **numbers})

    def _batch_score(self) -> Mapping[str, float]:
        """Return how well the batches since the last evaluation were predicted, as far as it is known."""
        if self._instrument is None:
            return {}
        self._instrument.flush()
        return self._instrument.score()

    def _now(self) -> int:
        """Return the step that an evaluation belongs to."""
        if self._instrument is not None:
            return self._instrument.next_step
        return self._rows.last_step or 0

    def _after(self, rows: int) -> None:
        """Fetch and write what is pending, from time to time."""
        due = rows - self._followed >= self._flush
        if self._instrument is not None:
            if not due and time.monotonic() - self._fetched < _FETCH_SECONDS:
                return
            self._instrument.flush()
            self._fetched = time.monotonic()
        self._write()
        if due:
            self._followed = rows
            if self._followers:
                trace = self.trace
                for follower in self._followers:
                    follower.follow(trace)

    def _write(self) -> None:
        """Write what is pending; what cannot be written once some rows are, is kept in memory."""
        try:
            self._rows.write()
        except TraceError as error:
            if not self._rows.is_written:
                raise
            self._rows.keep_in_memory()
            warnings.warn(f"the run is no longer written: {error.message}; the watch continues in memory", stacklevel=4)

    @property
    def trace(self) -> Trace:
        """The trace so far; after `close`, the finished trace."""
        if self._closed is not None:
            return self._closed
        if self._instrument is not None:
            self._instrument.flush()
        return self._rows.trace(end=None if self._instrument is None else self._instrument.end)

    def close(self, outcome: Outcome | None = None) -> Trace:
        """End the watch, and return the finished trace; a second call returns the same.

        Args:
            outcome: how the training ended; by default that it used its steps, unless it ended with numbers that are
                not finite.
        """
        if self._closed is not None:
            return self._closed
        end = None
        if self._instrument is not None:
            if not self._rows.measured and len(self._rows) + self._instrument.next_step:
                self._measure_batches()
            self._instrument.flush()
            end = self._instrument.end
            self._instrument.close()
        ended = self._rows.trace(None, end)
        self._closed = (
            ended if outcome is None or ended.outcome is Outcome.NOT_FINITE else ended.replace(outcome=outcome)
        )
        self._at_exit.detach()
        try:
            self._rows.finish(self._closed)
        except TraceError as error:
            if not self._rows.is_written:
                raise
            warnings.warn(f"the run could not be written to its end: {error.message}", stacklevel=2)
        for follower in self._followers:
            follower.close(self._closed)
        return self._closed

    def _measure_batches(self) -> None:
        """Record how well the batches were predicted, of a training that was never evaluated."""
        score = self._batch_score()
        if score:
            self._rows.measure(self._now(), score)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the watch as plain data, to be saved beside model and optimizer."""
        if self._instrument is not None:
            self._instrument.flush()
        step = self._instrument.next_step if self._instrument is not None else None
        return {**self._rows.state(), "next_step": step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state: later rows are dropped, also in the folder.

        Raises:
            SettingError: for anything but a state, or after the first row.
        """
        self._rows.restore(state)
        if self._instrument is not None:
            self._instrument.resume(int(state.get("next_step") or 0))

    def __repr__(self) -> str:
        where = "" if self._rows.folder is None else f" in {self._rows.folder}"
        return f"<Watch of {len(self._rows)} rows{where}>"


MakeInstrument = Callable[[WatchedRows, WatchChoices], Instrument | None]


@door(WatchChoices)
def watch(
    model: Any = None,
    optimizer: Any = None,
    folder: str | os.PathLike[str] | None = None,
    **choices: Unpack[WatchChoices],
) -> Watch:
    """Record a training that your own loop runs, as `train` would, without changing its results.

    Args:
        model: the model, a `torch.nn.Module`; for a JAX loop, the weights before the first step: a tree of arrays, an
            Equinox or a Flax NNX module. None to record only scalars, by `Watch.row`.
        optimizer: its optimizer, or a list of them; for a JAX loop, the transformation from `ds.recorded`.
        folder: the folder to which the run is written and which the lab can follow; None to keep it in memory.
        **choices: as in `WatchChoices`.

    Raises:
        SettingError: for a model of an unknown framework, or a choice out of range.
    """
    return begin_watch(functools.partial(_instrument, model, optimizer), folder, **choices)


def begin_watch(
    make: MakeInstrument, folder: str | os.PathLike[str] | None = None, **choices: Unpack[WatchChoices]
) -> Watch:
    """Begin a watch with an instrument of the caller's own.

    Args:
        make: the function from rows and choices to the instrument that adds to these rows; it may complete their plan
            and facts.
        folder: as for `watch`.
        **choices: as in `WatchChoices`.

    Raises:
        SettingError: for a choice out of range.
    """
    passed = WatchChoices(**defaults(WatchChoices) | checked(WatchChoices, choices, also=_POSITIONAL))
    name, steps = passed["name"], passed["steps"]
    rows = WatchedRows(folder, overwrite=passed["overwrite"], plan={} if name is None else {"read_as": name})
    if steps is not None:
        rows.plan["steps"] = steps
    instrument = make(rows, passed)
    try:
        followers = _followers(passed["also"], name) if rows.writes else ()
    except DownslopeError:
        if instrument is not None:
            instrument.close()
        raise
    return Watch(rows, instrument, flush=passed["flush"], followers=followers)


def _instrument(model: Any, optimizer: Any, rows: WatchedRows, choices: WatchChoices) -> Instrument | None:
    """Return the instrument for a model, by its framework; None without a model."""
    if model is None and optimizer is None:
        return None
    looks: dict[str, Any] = {name: choices[name] for name in ("every", "curvature_every")} | {
        "most_rows": choices["rows"]
    }
    if _is_torch(model):
        from downslope.watching.torch import TorchInstrument

        own: dict[str, Any] = {name: choices[name] for name in ("flush", "steps", "criterion", "scaler")}
        return TorchInstrument(model, optimizer, rows, **looks, **own)
    if choices["criterion"] is not None or _is_transformation(optimizer):
        from downslope.watching.optax import LoopInstrument

        return LoopInstrument(rows, model, **looks, loss=choices["criterion"], batch=choices["batch"])
    raise SettingError(
        f"a watch takes a torch.nn.Module and its optimizer, or the transformation of a loop of JAX, not "
        f"{described(model)}",
        hint="ds.watch(folder=…) takes only scalars, by row(step, loss=…)",
    )


def _followers(also: str | Sequence[str] | None, name: str | None) -> Sequence[Follower]:
    """Return the trackers that a watch sends to."""
    if also is None:
        return ()
    from downslope.watching.sinks import following

    return following(also, name)


def _is_transformation(optimizer: Any) -> bool:
    """Tell whether an optimizer is a transformation of Optax, or holds one as that of Flax NNX does."""
    transformation = getattr(optimizer, "tx", optimizer)
    return callable(getattr(transformation, "init", None)) and callable(getattr(transformation, "update", None))


def _is_torch(model: Any) -> bool:
    """Tell whether a model is one of PyTorch, which is loaded if it is."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _write_at_exit(rows: WatchedRows, instrument: Instrument | None) -> None:
    """Write what is pending of a watch that was never closed."""
    if instrument is not None:
        instrument.flush()
        instrument.close()
    rows.write(force=True)
    rows.release()


def _step(value: Any) -> int:
    """Return a step as a whole number, or raise."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < 0:
        raise SettingError(f"a step is a whole number from 0 on, not {described(value)}")
    return int(value)


def _number(value: Any, name: str) -> float:
    """Return a number, also that of a tensor or an array of one, or raise."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise SettingError(f"{name} is a number, not {described(value)}") from None
