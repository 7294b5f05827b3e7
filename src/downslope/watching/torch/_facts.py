"""The facts of a trace on a PyTorch network: layers, kernels, output, loss, normalisation, as plain data."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from downslope.watching.torch._ending import ABSOLUTE, HUBER, SQUARED, LossEnding
from downslope.watching.torch._library import Module
from downslope.watching.torch._looks import Sight
from downslope.watching.torch._model import Parts, dropouts

_FEWEST_ROUNDS = 3  # a factor per round of a loop is fitted through as many
_LEAST = 1e-38
_SURE = 6  # standard errors of the share of zeros in a mask
_TAKES: dict[str, str] = dict.fromkeys((SQUARED, ABSOLUTE, HUBER), "numbers")


def network_facts(
    model: Module,
    sights: Sequence[Sight],
    parts: Parts,
    layers: dict[str, dict[str, Any]],
    before: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the facts on a network, by the last look and those before.

    Args:
        model: the model.
        sights: what the look saw, one for each loss that it looked at.
        parts: the parts of the weights.
        layers: what is known of each layer, by name; what is new is added.
        before: the facts so far: what is measured once stays.
    """
    for sight in sights:
        # Where a part begins to learn later, layers join, and those behind them are no longer the first.
        is_grown = any(layer.name not in layers for layer in sight.layers)
        for index, layer in enumerate(sight.layers):
            positions = sight.positions[index] if index < len(sight.positions) else None
            known = {
                "layer": layer.name,
                "leaf": layer.leaf,
                "bias": layer.bias,
                "input_axes": None if layer.input_axes is None else list(layer.input_axes),
                "unit_axes": None if layer.unit_axes is None else list(layer.unit_axes),
                "ranges": None if layer.input_axes is None else [[0, side] for side in layer.shape],
                "positions": positions,
                **layer.order,
            }
            if is_grown or layer.name not in layers:
                layers[layer.name] = {"activation": layer.activation, "kernel": known}
    names = merged(before.get("layers", ()), *([layer.name for layer in sight.layers] for sight in sights))
    sight = sights[0]
    facts: dict[str, Any] = {
        "layers": names,
        "activations": [layers[name]["activation"] for name in names],
        "kernels": [layers[name]["kernel"] for name in names],
        "inferred": True,
        "parameters": parts.size,
        "normalised": any(each.normalised for each in sights),
        "normalised_over": [count for each in sights for count in each.normalised_over],
        "dropout": list(dropouts(model)) or before.get("dropout") or [],
        "statistics_move": _statistics_move(model),
        **_kind(sight.ending),
        **sight.ending.facts,
    }
    if "nested" not in before:
        facts["nested"] = [_with_factors(entry, sight) for each in sights for entry in each.nested]
    if "input_size" not in before and sight.input_size is not None:
        size = math.sqrt(float(sight.input_size))
        facts["input_size"] = size if math.isfinite(size) else None
    loss = _loss_facts(sight.ending)
    if loss:
        facts["loss_facts"] = loss
    return facts


def _kind(ending: LossEnding) -> dict[str, Any]:
    """Return what is predicted, and the metric that people read."""
    if ending.name == "softmax cross-entropy" or ending.takes == "log-probabilities":
        return {"kind": "two classes" if ending.outputs == 2 else "classes", "metric": "accuracy"}
    if ending.name == "binary cross-entropy" and ending.outputs == 1:
        return {"kind": "two classes", "metric": "accuracy"}
    if ending.name in _TAKES and ending.compares:
        return {"kind": "numbers", "metric": "r2"}
    return {"kind": None}


_BY_LOGITS: dict[bool | None, str | None] = {True: "logits", False: "probabilities", None: None}


def _loss_facts(ending: LossEnding) -> dict[str, Any]:
    """Return how the loss behaves, as far as the graph says it for certain."""
    takes = _TAKES.get(ending.name) or _BY_LOGITS[ending.from_logits]
    known = {} if takes is None else {"takes": takes}
    if ending.is_broadcast:
        # Each output is compared with the targets of all rows, so that the order of the targets is nothing to it.
        return {**known, "unpaired": 0.0}
    if ending.takes:
        return {"takes": ending.takes, "unbounded": True}
    return known


def merged(first: Sequence[str], *others: Sequence[str]) -> list[str]:
    """Return all names once, each new one behind the one that it comes after."""
    names = list(first)
    for other in others:
        for before, name in itertools.pairwise(["", *other]):
            if name not in names:
                names.insert(names.index(before) + 1 if before in names else 0, name)
    return names


def dropped(sights: Sequence[Sight]) -> list[float]:
    """Return the share of units that each random mask drops, where it is written as a function.

    A mask has two values, 0 and 1/(1 − p), and as many zeros as chance p makes of them.
    """
    shares = []
    for mask in (mask for sight in sights for mask in sight.masks):
        top, zeros, others = (float(number) for number in mask.numbers)
        if not (top > 1 and 0 < zeros < 1 and others == 0):
            continue
        share = 1 - 1 / top
        if abs(zeros - share) < _SURE * math.sqrt(share * (1 - share) / mask.size):
            shares.append(share)
    return shares


def _statistics_move(model: Module) -> bool | None:
    """Tell whether running statistics depend on the batches; None without any."""
    momenta = [
        getattr(module, "momentum", None)
        for module in model.modules()
        if getattr(module, "running_mean", None) is not None
    ]
    return None if not momenta else any(momentum is None or momentum != 0 for momentum in momenta)


def _with_factors(entry: Mapping[str, Any], sight: Sight) -> dict[str, Any]:
    """Return the facts on a loop, with how much of the gradient is left a round earlier, and at the first."""
    norms = [float(norm) for leaf in entry["leaves"] for norm in sight.rounds.get(leaf, ())]
    # Of rounds whose state nothing reads, such as the last ones where the first state is the output, it is 0.
    norms = list(itertools.dropwhile(lambda norm: norm == 0, norms))
    if len(norms) < _FEWEST_ROUNDS or not all(map(math.isfinite, norms)) or max(norms) <= 0:
        return dict(entry)
    # They arrive in the order of the backward pass: the last round first.
    rounds = np.arange(len(norms))
    slope = float(np.polyfit(rounds, np.log(np.maximum(norms, _LEAST)), 1)[0])
    return {**entry, "per_step": math.exp(slope), "in_all": math.exp(slope * (len(norms) - 1))}
