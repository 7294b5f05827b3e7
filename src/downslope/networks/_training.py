"""Train: the verb from a network and data, or a loss and batches, to a Training."""

from __future__ import annotations

from typing import Unpack

from downslope._choices import checked, door, schema
from downslope.descent import settings_of_own
from downslope.networks._choices import DataLike, ModelLike, RunChoices, TargetLike, TrainChoices
from downslope.networks._setup import Setup
from downslope.networks._trained import Training


@door(TrainChoices)
def train(
    model: ModelLike | DataLike | None = None,
    data: DataLike | ModelLike | None = None,
    target: TargetLike | None = None,
    **choices: Unpack[TrainChoices],
) -> Training:
    """Train a network and keep what every step left behind.

    Args:
        model: None for a dense network as `hidden`, `activation` and the other choices of a network say; a sequence of
            layers; a `Network`; an Equinox module, one with its state as a pair, or a Flax NNX module, which come back
            in their own kind; or, with `start`, a loss function of (params, batch), perhaps with `key`. Without a model
            the data may come first: `train("iris")`.
        data: what to train on: a CSV or Parquet file, a frame, a mapping of columns, a pair (inputs, targets), or the
            name of a sample such as "digits". Or a stream of batches (inputs, targets) of one shape, which is taken as
            it is: an iterator, a loader, a list of pairs. For a loss function any tree of arrays with one entry an
            example along their first axes, or a stream of any batches; a list is a stream.
        target: the column to predict, for a table.
        **choices: as in `TrainChoices`.

    Returns:
        The trained network with its trace.

    Raises:
        DataError, SettingError, ObjectiveError: for what makes no sense, before anything is trained.

    >>> training = train("iris", hidden=16, steps=1000, progress=False)
    >>> training.metrics["validation_accuracy"] > 0.9
    True
    """
    passed = checked(TrainChoices, choices, also=("model", "data", "target"), settings=settings_of_own(choices))
    running = {name: passed.pop(name) for name in schema(RunChoices) if name in passed}
    return Setup.of(model, data, target, **passed).train(**running)
