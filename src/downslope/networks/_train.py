"""`train`: from data and choices to a trained network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack, overload

from downslope._choices import checked, door, schema
from downslope._errors import SettingError
from downslope.descent import settings_of_own
from downslope.networks._choices import DataLike, ModelLike, ReplicateChoices, RunChoices, TargetLike, TrainChoices
from downslope.networks._replicates import Replicates
from downslope.networks._setup import Setup
from downslope.networks._trained import Training


@overload
def train(
    model: ModelLike | DataLike | None = None,
    data: DataLike | ModelLike | None = None,
    target: TargetLike | None = None,
    *,
    seeds: None = None,
    **choices: Unpack[TrainChoices],
) -> Training: ...
@overload
def train(
    model: ModelLike | DataLike | None = None,
    data: DataLike | ModelLike | None = None,
    target: TargetLike | None = None,
    *,
    seeds: int | Sequence[int],
    **choices: Unpack[TrainChoices],
) -> Replicates: ...
@door(ReplicateChoices)
def train(  # noqa: D417  # `seeds` is described by its Choice
    model: ModelLike | DataLike | None = None,
    data: DataLike | ModelLike | None = None,
    target: TargetLike | None = None,
    *,
    seeds: int | Sequence[int] | None = None,
    **choices: Unpack[TrainChoices],
) -> Training | Replicates:
    """Train a network and record every step.

    Args:
        model: None for a dense network described by `hidden`, `activation` and the other network choices; a sequence of
            layers; a `Network`; an Equinox module, one with its state as a pair, or a Flax NNX module, which come back
            in their own kind; or, with `start`, a loss function of (params, batch), perhaps with `key`. Without a model
            the data may come first: `train("iris")`.
        data: what to train on: a file, a frame, a mapping of columns, a pair (inputs, targets), or the name of a
            sample such as "digits". Or a stream of batches (inputs, targets) of one shape, which is used
            unchanged: an iterator, a loader, a list of pairs. For a loss function any tree of arrays with one entry an
            example along their first axes, or a stream of any batches; a list is a stream.
        target: the column to predict, for a table.
        **choices: as in `ReplicateChoices`.

    Returns:
        The trained network with its trace; with `seeds`, all of them, with an interval for each score.

    Raises:
        DataError, SettingError, ObjectiveError: for data, choices or a model that cannot be used, before any step.

    >>> training = train("iris", hidden=16, steps=1000, progress=False)
    >>> training.metrics["validation_accuracy"] > 0.9
    True
    """
    known = ("model", "data", "target", "seeds")
    passed = checked(TrainChoices, choices, also=known, settings=settings_of_own(choices))
    running = {name: passed.pop(name) for name in schema(RunChoices) if name in passed}
    if isinstance(model, Setup):
        raise SettingError("a setup already holds its model, data and choices", hint="setup.train() trains it")
    setup = Setup.of(model, data, target, **passed)
    return setup.train(**running) if seeds is None else setup.replicate(seeds, **running)
