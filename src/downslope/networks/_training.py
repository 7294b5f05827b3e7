"""Train: the verb from a network and data, or a loss and batches, to a Training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from downslope.methods import Method
from downslope.networks._setup import ARGUMENTS, Setup
from downslope.networks._trained import Training


def train(
    model: Any = None,
    data: Any = None,
    target: Any = None,
    *,
    start: Any = None,
    begin: Mapping[str, Any] | None = None,
    steps: int = 2000,
    batch: int | None = 32,
    method: str | Method | Any = "adam",
    learning_rate: float | Callable[[Any], Any] | None = None,
    schedule: Any = None,
    validation: float | Any = None,
    patience: int | None = None,
    weight_decay: float = 0.0,
    l2: float = 0.0,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    accumulate: int = 1,
    mixed_precision: bool = False,
    evaluate_every: int | None = None,
    probe_every: int | None = None,
    layers_every: int = 10,
    save: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool | Callable[[int, int, float], None] | None = None,
    watch: Callable[[Training], None] | None = None,
    seed: int = 0,
    standardise: bool = True,
    scale_targets: bool = True,
    missing: Any = "refuse",
    task: Any = None,
    drop: str | Sequence[str] = (),
    **others: Any,
) -> Training:
    """Train a network and keep what every step left behind.

    Args:
        model: None for a dense network as `hidden`, `activation` and the other choices of a network say; a sequence of
            layers; a `Network`; an Equinox module, one with its state as a pair, or a Flax NNX module, which come back
            in their own kind; or, with `start`, a loss function of (params, batch), perhaps with `key`.
        data: what to train on: a CSV or Parquet file, a frame, a mapping of columns, a pair (inputs, targets), or the
            name of a sample such as "digits". Or a stream of batches (inputs, targets) of one shape, which is taken as
            it is: an iterator, a loader, a list of pairs. For a loss function any tree of arrays with one entry an
            example along their first axes, or a stream of any batches; a list is a stream.
        target: the column to predict, for a table.
        start: the parameters that a loss function begins with, a tree of arrays or an Equinox module.
        begin: choices that the first `steps` of it are taken with and the rest are not: method, learning_rate,
            schedule, clip_norm, clip_value, weight_decay, and settings of these. With `revive` units that are dead
            after them begin anew, with newly drawn weights.
        steps: the steps to take in all.
        batch: examples of a step; None for all of them. A stream has its own.
        method: how to step, as for `plan`.
        learning_rate: the rate α; None for 0.001 with Adam and its like, 0.1 with gradient descent, 0.01 with others.
        schedule: how the rate changes, as for `plan`.
        validation: the share of the rows held back, 0 for none; None for a fifth of ten rows or more; or other data,
            of a stream the only way.
        patience: evaluations without a better validation loss after which the run ends.
        weight_decay: share of the weights, times the rate, that each step takes away (decoupled, as in AdamW).
        l2: λ of a penalty λ Σ w² on all kernels, part of the loss.
        clip_norm: longest gradient that is stepped along, as for `plan`.
        clip_value: largest entry of the gradient, as for `plan`.
        accumulate: batches whose gradients are averaged for one step.
        mixed_precision: compute in bfloat16, with weights in float32.
        evaluate_every: steps from one evaluation to the next; about 40 in all if None.
        probe_every: steps from one look at the Hessian's ends and the gradient's noise to the next; about 20 in all if
            None, 1000 steps apart at least (250 if each sees all examples); 0 for none.
        layers_every: steps from one look inside the layers to the next; 0 for none.
        save: a folder to write the run into while it goes on; killed at any moment, it can be gone on with. One that
            holds a run is refused, so that none is lost.
        resume: whether to go on with the run in `save`, to the same numbers; begun if nothing is there.
        overwrite: whether to replace the run in `save`.
        progress: as for `descend`.
        watch: called at each evaluation but the last with the training as it is then, for example to draw it; the
            numbers are the same with it and without.
        seed: of weights, order of examples, dropout and the choice of rows to validate.
        standardise: whether inputs get mean 0 and deviation 1.
        scale_targets: whether targets that are numbers do.
        missing: what becomes of missing cells, as for `examples`.
        task: "classes" or "numbers", as for `examples`.
        drop: columns to leave out.
        others: choices of a network (`hidden`, `convolutions`, `activation`, `initialisation`, `normalisation`, `skip`,
            `dropout`, `output_activation`, `loss`, `from_logits`), and settings of the method or the schedule.

    Returns:
        The trained network with its trace.

    Raises:
        DataError, SettingError, ObjectiveError: for what makes no sense, before anything is trained.

    >>> made = train(data="iris", hidden=(16,), steps=1000, progress=False)
    >>> made.metrics["validation_accuracy"] > 0.9
    True
    """
    asked: dict[str, Any] = {name: told for name, told in locals().items() if name in ARGUMENTS} | others
    return Setup.of(model, data, target, **asked).train(
        progress=progress, save=save, resume=resume, overwrite=overwrite, watch=watch
    )
