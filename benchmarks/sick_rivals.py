"""The published default rules of three tools, re-expressed on our traces.

Each rule is a function from `Seen` to the first step at which it fires, or None. A tool is a function from `Seen` to
its alarms in the order in which it raises them, each with the identifiers of ours that would be a right name for it:
where the words differ, all that fit are counted as right.

What differs from the tools themselves, since the trace holds layer statistics and not tensors:

- mean |g| of a layer is ‖g‖ / √n, which is never less and for normal entries a quarter more;
- epochs are our evaluations, about forty in a run; gradients and activations are those of the look nearest to them;
- a rectified unit counts as dead if it is 0 on a whole batch; a sigmoid or tanh as saturated where it passes less than
  a hundredth of its largest slope, beyond ±6 or ±3;
- for numbers R² stands in for accuracy, without which AutoTrainer would call every regression sick.

Sources: AutoTrainer (Zhang et al., ICSE 2021; github shiningrain/AUTOTRAINER, `monitor.py`, `utils.py`), DeepDiagnosis
(Wardat et al., ICSE 2022; github DeepDiagnosis/ICSE2022, `callbacks.py`), Amazon SageMaker Debugger (list of built-in
rules in its developer guide).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import downslope as ds


class Alarm(NamedTuple):
    """An alarm of a tool: its own word, and the identifiers of ours that fit."""

    name: str
    fits: tuple[str, ...]


class Seen:
    """What the rules look at, read from a trace once.

    Args:
        trace: the trace of a network, or of a formula, of which only the loss and the gradient are there.
    """

    def __init__(self, trace: ds.Trace) -> None:
        self.trace = trace
        self.failed = trace.outcome is ds.Outcome.NOT_FINITE
        self.last = trace.last_step
        self.loss = np.asarray(trace.columns["value"], float)
        self.loss_steps = np.asarray(trace.columns["step"])
        self.network: Mapping[str, Any] = trace.facts.get("network") or {}
        self.activations = [str(name) for name in self.network.get("activations", ())]
        self._layers = trace.layers if trace.layer_names else None
        self.steps = np.unique(self._layers["step"].to_numpy()) if self._layers is not None else np.zeros(0, int)
        metric = str(self.network.get("metric", "none"))
        self.epochs = np.asarray(trace.metrics.get("step", np.zeros(0)), int)
        self.scores = {
            part: np.asarray(trace.metrics.get(f"{part}_{metric}", np.full(len(self.epochs), np.nan)), float)
            for part in ("training", "validation")
        }

    def layer(self, column: str) -> np.ndarray:
        """Return a column by layer, shape (looks, layers); NaN where it was not measured."""
        if self._layers is None:
            return np.full((0, 0), np.nan)
        return self._layers[column].to_numpy().astype(float).reshape(len(self.steps), -1)

    def kernels(self, column: str) -> np.ndarray:
        """Return a column of the kernels alone, shape (looks, layers)."""
        names = [name for name in self.trace.part_names if name.endswith("weight")]
        parts = self.trace.parts
        found = parts.filter(parts["part"].is_in(names))[column].to_numpy().astype(float)
        return found.reshape(-1, max(len(names), 1))

    @property
    def sizes(self) -> np.ndarray:
        """The parameters of each layer."""
        start = self.trace.start
        return np.array(
            [
                sum(np.size(leaf) for name, leaf in start.items() if name.startswith(f"{layer}/"))
                for layer in self.trace.layer_names
            ]
        )

    def of(self, *names: str) -> np.ndarray:
        """Return which layers have one of some activations, shape (layers,)."""
        return np.array([name in names for name in self.activations], bool)

    def look(self, step: int) -> int:
        """Return the place of the last look at or before a step."""
        return max(int(np.searchsorted(self.steps, step, side="right")) - 1, 0)


def alarms_of(trace: ds.Trace) -> dict[str, list[Alarm]]:
    """Return what each tool would have said of a trace."""
    with np.errstate(all="ignore"):
        seen = Seen(trace)
        return {name: tool(seen) for name, tool in TOOLS.items()}


def _first(steps: np.ndarray, fires: np.ndarray) -> int | None:
    """Return the first step at which a condition holds."""
    places = np.flatnonzero(fires)
    return int(steps[places[0]]) if len(places) else None


# --- AutoTrainer -----------------------------------------------------------------------------------------------------

_SATISFIED, _GAIN, _SWING, _SWINGS, _WARM_UP = 0.7, 0.01, 0.03, 0.2, 0.3


def autotrainer(seen: Seen) -> list[Alarm]:
    """Return the one problem that AutoTrainer stops at: gradients are asked only where accuracy is bad."""
    exploding = Alarm("explode", ("exploding_gradients", "not_finite", "diverged"))
    if not seen.trace.layer_names:
        return []
    for place in range(len(seen.epochs)):
        if place and seen.epochs[place] >= _WARM_UP * seen.last:
            found = _autotrainer_at(seen, place)
            if found:
                return [found]
    return [exploding] if seen.failed or np.nanmax(seen.loss, initial=0) >= 1e5 else []


def _autotrainer_at(seen: Seen, place: int) -> Alarm | None:
    """Return the problem at one epoch, if there is one."""
    training, validation = (seen.scores[part][: place + 1] for part in ("training", "validation"))
    slow = _largest_gain(training) < _GAIN and _largest_gain(validation) < _GAIN
    if slow or np.nanmax(training) < _SATISFIED or np.nanmax(validation) < _SATISFIED:
        until = seen.look(int(seen.epochs[place])) + 1
        if np.any(_zero_gradients(seen)[:until] >= 0.7):
            return Alarm("dying relu", ("dead_units",))
        if np.any(_first_over_last(seen)[:until] > 70):
            return Alarm("explode", ("exploding_gradients", "not_finite", "diverged"))
        vanishes = (_first_over_last(seen) < 1e-3) & (seen.kernels("gradient_norm")[:, 0] < 1e-4)
        if np.any(vanishes[:until]):
            return Alarm("vanish", ("vanishing_gradients",))
        return Alarm("slow convergence", ("rate_too_small", "plateau", "too_few_steps")) if slow else None
    if _swings(training) >= _SWINGS * len(training):
        return Alarm("oscillating", ("oscillating", "rate_too_large", "noise_dominated"))
    return None


def _largest_gain(scores: np.ndarray) -> float:
    return float(np.nanmax(np.diff(scores), initial=0.0))


def _zero_gradients(seen: Seen) -> np.ndarray:
    """Return the share of gradient entries that are 0, shape (looks,): those of the dead units' weights."""
    rectified = seen.of("relu")
    dead = np.where(rectified, np.nan_to_num(seen.layer("dead_share")), 0.0)
    return dead @ seen.sizes / max(seen.sizes.sum(), 1)


def _first_over_last(seen: Seen) -> np.ndarray:
    """Return the norm of the first kernel's gradient over that of the last, shape (looks,)."""
    norms = seen.kernels("gradient_norm")
    return norms[:, 0] / norms[:, -1]


def _swings(scores: np.ndarray) -> int:
    """Return how many peaks stand at least 0.03 over the valley of the same rank."""
    before, here, after = scores[:-2], scores[1:-1], scores[2:]
    peaks = here[(here >= before) & (here >= after)]
    valleys = here[(here <= before) & (here <= after)]
    count = min(len(peaks), len(valleys))
    return int(np.sum(peaks[:count] - valleys[:count] >= _SWING))


# --- DeepDiagnosis ---------------------------------------------------------------------------------------------------


def deepdiagnosis(seen: Seen) -> list[Alarm]:
    """Return the first problem that DeepDiagnosis stops at."""
    rules: Sequence[tuple[Callable[[Seen], int | None], Alarm]] = (
        (_out_of_range, Alarm("out of range", ("wrong_output_activation", "wrong_loss"))),
        (_numerical, Alarm("numerical error", ("not_finite", "exploding_gradients", "diverged"))),
        (_dead, Alarm("dead node", ("dead_units",))),
        (_saturated, Alarm("saturated activation", ("saturated_units",))),
        (_unchanged, Alarm("unchanged tensor", ("dead_units", "saturated_units", "rate_too_small", "plateau"))),
        (_vanishing_mean, Alarm("vanishing gradient", ("vanishing_gradients",))),
    )
    fired = [(step, alarm) for rule, alarm in rules if (step := rule(seen)) is not None]
    return [min(fired, key=lambda one: one[0])[1]] if fired else []


def _out_of_range(seen: Seen) -> int | None:
    """Fire at the start if the last activation cannot reach the targets, or has nothing to do with the loss."""
    data, last = seen.trace.facts.get("data") or {}, (seen.activations or ["softmax"])[-1]
    if last == "softmax" or not data:
        return None
    entropy = "softmax" in str(seen.network["loss"]["name"])
    if data.get("target_low") is None:
        counts = data.get("class_counts") or []
        single = seen.network["description"]["layers"][-1].get("units") == 1
        low, high = 0.0, float(len(counts) - 1) if single else 1.0
    else:
        low, high = data["target_low"], data["target_high"]
    lowest, highest = {"sigmoid": (0, 1), "tanh": (-1, 1), "relu": (0, np.inf), "elu": (-1, np.inf)}.get(
        last, (-np.inf, np.inf)
    )
    fires = (entropy and last in ("relu", "linear")) or low < lowest or high > highest
    return 0 if fires else None


def _numerical(seen: Seen) -> int | None:
    """Fire where a layer's mean output or mean gradient is NaN, infinite or exactly 0."""
    zero = np.any((seen.layer("activation_mean") == 0) | (seen.layer("gradient_norm") == 0), axis=-1)
    first = _first(seen.steps, zero)
    return seen.last if first is None and seen.failed else first


def _dead(seen: Seen) -> int | None:
    """Fire at the end if at least 70 % of the outputs of a rectified layer are 0."""
    shares = seen.layer("saturated_share")[-1:, seen.of("relu")]
    return seen.last if np.any(shares >= 0.7) else None


def _saturated(seen: Seen) -> int | None:
    """Fire where more than half of the inputs of a sigmoid or tanh layer lie beyond ±5 (here: ±6 and ±3)."""
    shares = seen.layer("saturated_share")[:, seen.of("sigmoid", "tanh")]
    return _first(seen.steps, np.any(shares > 0.5, axis=-1))


def _unchanged(seen: Seen) -> int | None:
    """Fire where a layer's mean output, or the accuracy, is the same to the last bit over five epochs, or twenty."""
    means = seen.layer("activation_mean")[[seen.look(int(step)) for step in seen.epochs]]
    same = [np.any(np.ptp(means[at - 4 : at + 1], axis=0) == 0) for at in range(4, len(means))]
    first = _first(seen.epochs[4:], np.array(same, bool))
    scores = seen.scores["training"]
    stuck = [np.ptp(scores[at - 19 : at + 1]) == 0 for at in range(19, len(scores))]
    other = _first(seen.epochs[19:], np.array(stuck, bool))
    return min((step for step in (first, other) if step is not None), default=None)


def _vanishing_mean(seen: Seen) -> int | None:
    """Fire where the mean |g| of a layer, or of all there is, is below 1e-7."""
    if len(seen.steps):
        return _first(seen.steps, np.any(seen.layer("gradient_norm") / np.sqrt(seen.sizes) < 1e-7, axis=-1))
    size = sum(np.size(leaf) for leaf in seen.trace.start.values())
    return _first(seen.loss_steps, np.asarray(seen.trace.columns["gradient_norm"]) / np.sqrt(size) < 1e-7)


# --- SageMaker Debugger ----------------------------------------------------------------------------------------------


def sagemaker(seen: Seen) -> list[Alarm]:
    """Return all rules that fire, the earliest first; each runs by itself and none stops another."""
    rules: Sequence[tuple[Callable[[Seen], int | None], Alarm]] = (
        (_poor_weights, Alarm("PoorWeightInitialization", ("poor_initialisation", "symmetric_units"))),
        (_vanishing_mean, Alarm("VanishingGradient", ("vanishing_gradients",))),
        (_exploding_tensor, Alarm("ExplodingTensor", ("not_finite", "exploding_gradients", "diverged"))),
        (_dead_relu, Alarm("DeadRelu", ("dead_units",))),
        (_saturated_units, Alarm("SaturatedActivation", ("saturated_units",))),
        (_update_ratio, Alarm("WeightUpdateRatio", ("rate_too_large", "rate_too_small"))),
        (_not_decreasing, Alarm("LossNotDecreasing", ("rate_too_small", "plateau", "oscillating", "diverged"))),
    )
    fired = [(step, alarm) for rule, alarm in rules if (step := rule(seen)) is not None]
    return [alarm for _, alarm in sorted(fired, key=lambda one: one[0])]


def _poor_weights(seen: Seen) -> int | None:
    """Fire at the start if the variances of rectified layers differ by more than a factor 10."""
    variances = seen.layer("activation_deviation")[:1, seen.of("relu")] ** 2
    return 0 if variances.shape[-1] > 1 and np.any(variances.max(axis=-1) > 10 * variances.min(axis=-1)) else None


def _exploding_tensor(seen: Seen) -> int | None:
    """Fire at a NaN or an infinite number."""
    return seen.last if seen.failed or not np.all(np.isfinite(seen.loss)) else None


def _dead_relu(seen: Seen) -> int | None:
    """Fire where more than half of a rectified layer's units are active less than 1 % of the time."""
    return _first(seen.steps, np.any(seen.layer("dead_share")[:, seen.of("relu")] > 0.5, axis=-1))


def _saturated_units(seen: Seen) -> int | None:
    """Fire where more than half of a sigmoid or tanh layer's units are saturated all the time."""
    return _first(seen.steps, np.any(seen.layer("dead_share")[:, seen.of("sigmoid", "tanh")] > 0.5, axis=-1))


def _update_ratio(seen: Seen) -> int | None:
    """Fire where an update is more than 10 times or less than 1e-8 of its weights."""
    ratio = seen.layer("update_norm") / seen.layer("parameter_norm")
    return _first(seen.steps, np.any((ratio > 10) | (ratio < 1e-8), axis=-1))


def _not_decreasing(seen: Seen) -> int | None:
    """Fire where the loss falls by less than 0.1 % in 10 steps."""
    loss = seen.loss[np.isfinite(seen.loss)][::10]
    fell = (loss[:-1] - loss[1:]) / np.abs(loss[:-1])
    return _first(seen.loss_steps[::10][1:], fell < 0.001)


TOOLS: Mapping[str, Callable[[Seen], list[Alarm]]] = {
    "AutoTrainer": autotrainer,
    "DeepDiagnosis": deepdiagnosis,
    "SageMaker Debugger": sagemaker,
}
