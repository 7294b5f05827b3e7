"""The quantities that the checks of a training share, each computed once for a trace.

Nothing here judges but `falls_short`, the question that decides whether a symptom is a problem at all: does the network
do what the data allow? It is compared with what nearest neighbours or ridge regression make of the same rows, which
needs no network, and with guessing. Where the trace does not say enough to compare, the answer is None. Many networks
are odd inside and learn all the same; published tools raise alarms on them.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from downslope._types import Plain
from downslope.diagnosis._blocks import Blocks
from downslope.diagnosis._cells import CellState, evaluated_states
from downslope.diagnosis._chance import ChanceLevel, chance_level, ends_at_guessing, r2_error, share_error
from downslope.diagnosis._course import Course
from downslope.diagnosis._evidence import last_rate
from downslope.diagnosis._layer_evidence import LayerEvidence
from downslope.methods import facts_of
from downslope.trace import Outcome, Trace

# A network is short of a simple learner by so much of what there is to gain over guessing, beyond chance.
_SHORT = 0.1
_SCORE_NOISE = 2.0  # standard errors of the score over the validation rows
_UNSURE = 0.25  # of what there is to gain over guessing; a score within such an error says little
# How many rows a set may have whose size is not known: for one number, and for a range.
_USUAL_ROWS, _FEW_ROWS, _MANY_ROWS = 100, 25, 10_000
_SETS = ("training", "validation")
# Means over epochs are a course of their own where they are ten; evaluations say how the end is from the third on.
_FEW_EPOCHS, _FEW_HELD = 10, 3
_TO_THE_END = 0.9  # of the steps: evaluations up to there are of the end
_FEW_ROWS_OF_LOG = 10  # a log of fewer shows no course
_GAIN = 0.05  # of the first loss on rows held back: such a fall is something learnt


class TrainingEvidence:
    """The quantities of a training that the checks use.

    Args:
        trace: the trace to be judged; its facts describe data and network.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.step = np.asarray(trace.columns["step"])
        self.loss = np.asarray(trace.columns["value"], dtype=float)
        self.gradient_norm = np.asarray(trace.columns["gradient_norm"], dtype=float)
        self.network: Plain = trace.facts.get("network") or {}
        self.data: Plain = trace.facts.get("data") or {}
        self.method = facts_of(trace.plan)
        self.log: Plain = trace.facts.get("log") or {}
        self.settings: Plain = trace.plan.get("settings") or {}
        self.layers = trace.layer_names
        self.inside = LayerEvidence(trace)

    # --- how well it does ----------------------------------------------------------------------------------------

    @property
    def failed(self) -> bool:
        """Whether it met something that is not a finite number."""
        return self.trace.outcome is Outcome.NOT_FINITE

    @property
    def unit(self) -> str:
        """The unit that the steps count: "step", "epoch", or "row"."""
        return str(self.log.get("unit", "step"))

    @property
    def last_step(self) -> int:
        """The number of steps taken."""
        return self.trace.steps_taken if len(self.trace) else 0

    @functools.cached_property
    def metric(self) -> str:
        """The metric for people: "accuracy", "balanced_accuracy" or "r2"; "loss" if none was measured."""
        named = self.network.get("metric") or self.data.get("metric")
        if named is not None:
            return str(named)
        # A trace that does not say so may hold one of them all the same.
        scores = (name for name in ("accuracy", "r2") for of in _SETS if len(self.measured(f"{of}_{name}")))
        return next(scores, "loss")

    @property
    def is_classes(self) -> bool:
        """Whether the targets are classes."""
        return self.network.get("kind") in ("classes", "two classes")

    def measured(self, name: str) -> np.ndarray:
        """Return a measurement at each evaluation where it is finite; empty without any."""
        column = np.asarray(self.trace.metrics.get(name, ()), dtype=float)
        return column[np.isfinite(column)]

    @functools.cached_property
    def kept_step(self) -> float | None:
        """The step whose network was kept in place of the last one; NaN where that is not known, None for the last."""
        kept = self.trace.facts.get("kept") or {}
        by = (self.trace.plan.get("batches") or {}).get("best_by")
        if not kept and (not by or self.trace.outcome is Outcome.RUNNING):
            return None
        return float(kept.get("step", math.nan)) if "step" in self.trace.metrics else math.nan

    def last(self, name: str) -> float | None:
        """Return the last measurement of a name of the network that is judged.

        None without any, or where it is not finite.
        """
        if name not in self.trace.metrics:
            return None
        states = evaluated_states(self.trace, name)
        taken = np.flatnonzero(states != CellState.NOT_MEASURED)
        if self.kept_step is not None:
            taken = taken[np.asarray(self.trace.metrics["step"])[taken] <= self.kept_step]
        if not len(taken) or states[taken[-1]] == CellState.NOT_FINITE:
            return None
        return float(self.trace.metrics[name][taken[-1]])

    @functools.cached_property
    def score(self) -> float | None:
        """The metric at the end on rows that were held back, or on those trained on where none were.

        A loss is no score: nothing says which loss the data allow.
        """
        if self.is_held_back:
            return self.last(f"validation_{self.metric}")
        # Where rows were held back, that of the others does not stand in for theirs.
        return None if self.data.get("validation_rows") else self.training_score

    @functools.cached_property
    def training_score(self) -> float | None:
        """The metric at the end on rows trained on."""
        return None if self.metric == "loss" else self.last(f"training_{self.metric}")

    @functools.cached_property
    def is_held_back(self) -> bool:
        """Whether the score is that of rows that were held back."""
        return self.metric != "loss" and self.last(f"validation_{self.metric}") is not None

    @functools.cached_property
    def reference(self) -> float | None:
        """The better score of nearest neighbours and ridge regression, on training and held-back rows together.

        Held-back rows may be easier than the others, for example if labels are noise on one side only. So the
        reference is never below the score that simple learners surely exceed on the held-back rows alone.
        """
        return None if not self._references else sum(self._references) / len(self._references)

    @functools.cached_property
    def _references(self) -> tuple[float, ...]:
        """The possible references: one number, or the ends of a range if the trace does not determine it.

        The rows held back are few, and those trained on are scored with each left out: pooled, the score is surer.
        """
        # The held-back reference alone would be as noisy as its few rows.
        names = [(f"{kind}reference_score", f"{kind}rows") for kind in ("validation_", "")]
        pairs = [(self.data.get(score), self.data.get(rows)) for score, rows in names]
        known = [(float(score), rows or 0) for score, rows in pairs if score is not None and math.isfinite(score)]
        if len(known) == 1 and self.is_held_back:
            # One of the two is missing: the other is only known within its error.
            score, rows = known[0]
            # R² of targets with long tails scatters far beyond any law, which the rows themselves show.
            wide = _SCORE_NOISE * max(share_error(score, rows or _USUAL_ROWS), self._measured_error or 0.0)
            return (score - wide, score + wide)
        if len(known) < 2 or not all(rows for _, rows in known):
            return tuple(score for score, _ in known)
        pooled = sum(score * rows for score, rows in known) / sum(rows for _, rows in known)
        held, rows = known[0]
        # The same learner on the rows that the network is scored on: what it surely reaches there, they allow.
        sure = held - _SCORE_NOISE * max(share_error(held, rows), self._measured_error or 0.0)
        return (max(pooled, sure) if self.is_held_back else pooled,)

    @functools.cached_property
    def chance(self) -> float | None:
        """The score of guessing."""
        chance = self.data.get("chance_score")
        return None if chance is None else float(chance)

    @property
    def is_learnable(self) -> bool:
        """Whether a simple learner does clearly better on the targets than on shuffled ones, or none was compared."""
        return self.beats_shuffled is not False

    @functools.cached_property
    def beats_shuffled(self) -> bool | None:
        """Whether a simple learner does clearly better on the targets than on shuffled ones; None if not compared."""
        score, shuffled = self.data.get("reference_score"), self.data.get("shuffled_score")
        spread = self.data.get("shuffled_deviation")
        if score is None or shuffled is None or spread is None:
            return None
        # A permutation test: three deviations above the scores on shuffled targets.
        return float(score) > float(shuffled) + 3 * max(float(spread), 1e-3)

    @property
    def margin(self) -> float:
        """The distance below the reference at which the network counts as falling short."""
        return self._margins[1]

    @functools.cached_property
    def _margins(self) -> tuple[float, float]:
        """The least and the greatest margin that what is known allows; the same where all of it is known."""
        reference = self.reference or 0.0
        # A score between guessing, of which R² makes 0, and nothing at all.
        guesses = (0.0, reference) if self.chance is None and self.metric != "r2" else (self.chance or 0.0,) * 2
        gains = [max(reference - guess, 0.0) for guess in guesses]
        rows = self._rows_of_score
        sizes = (rows,) if rows else (_FEW_ROWS, _MANY_ROWS)
        # The standard error of a share over so many rows; R² is treated alike, for want of a law of its own.
        noises = [_SCORE_NOISE * share_error(self.reference or 0.5, size) for size in sizes]
        return max(_SHORT * min(gains), min(noises), 0.02), max(_SHORT * max(gains), max(noises), 0.02)

    @functools.cached_property
    def _rows_of_score(self) -> float | None:
        """The rows that the score was measured on; of a mean over uneven classes as many as would know it as well."""
        rows = self.data.get("validation_rows") if self.is_held_back else self.data.get("rows")
        if not rows or self.metric != "balanced_accuracy":
            return rows
        counts = np.array([count for count in self.data.get("class_counts") or () if count], dtype=float)
        # The variance of the mean of C shares is Σ 1 / n over C², that of a share of n rows 1 / n.
        return float(rows * len(counts) ** 2 / (counts.sum() * np.sum(1 / counts))) if len(counts) else None

    @functools.cached_property
    def _measured_error(self) -> float | None:
        """The standard error of the score from the rows themselves, which needs no law; None where it is not known."""
        measured = (self.trace.facts.get("scores") or {}).get("validation" if self.is_held_back else "training") or {}
        error = measured.get(f"{self.metric}_error")
        return None if error is None else float(error)

    @functools.cached_property
    def score_error(self) -> float | None:
        """The standard error of the score over the rows that it was measured on; None where these are not known."""
        if self.score is not None and self._measured_error is not None:
            return self._measured_error
        rows = self._rows_of_score
        if not rows or self.score is None:
            return None
        if self.metric == "r2":
            return r2_error(self.score, rows)
        # Of a share that is 0 or 1 in the sample, half a row more of each kind (Agresti and Coull, 1998).
        return math.sqrt((share := (self.score * rows + 1) / (rows + 2)) * (1 - share) / (rows + 2))

    @functools.cached_property
    def learned(self) -> float | None:
        """The score between guessing (0) and the reference (1)."""
        if self.score is None or self.reference is None or self.chance is None or self.reference <= self.chance:
            return None
        return (self.score - self.chance) / (self.reference - self.chance)

    @functools.cached_property
    def falls_short(self) -> bool | None:
        """Whether the network does worse than the data allow; None where that cannot be known."""
        if self.failed or self.loss_rose:
            return True
        if self.score is None or not self._references:
            # Without a score there is still the loss: one that never moved has learnt nothing.
            return True if self.has_not_begun or self.chance_level is not None else None
        if self._is_below(self.score):
            return True
        # A score of few rows settles nothing, but a loss that never moved on targets that can be learnt does.
        if self.has_not_begun and self.beats_shuffled:
            return True
        enough = self.score >= max(self._references) - self._margins[0]
        return False if enough and self.is_held_back and self._is_sure else None

    @functools.cached_property
    def underfits(self) -> bool | None:
        """Whether it falls short on the very rows that it is trained on; None where that cannot be known."""
        if self.failed or self.loss_rose or not self.falls_short or not self._references or self.score is None:
            return self.falls_short
        if self.training_score is None:
            return None
        if self._is_below(self.training_score):
            return True
        return False if self.training_score >= max(self._references) - self._margins[0] else None

    @property
    def _is_sure(self) -> bool:
        """Whether the score's standard error is known, and at most a quarter of what there is to gain over guessing."""
        if self.score_error is None or self.reference is None or (self.chance is None and self.metric != "r2"):
            return False
        return self.score_error <= _UNSURE * (max(self.reference, self.score or 0.0) - (self.chance or 0.0))

    def _is_below(self, score: float) -> bool:
        """Tell whether a score is below the reference by more than the margin, whatever is not known of the two."""
        return score < min(self._references) - self._margins[1]

    @functools.cached_property
    def not_comparable(self) -> str:
        """The missing facts without which the score cannot be compared with the reference; empty if none."""
        if self.falls_short is not None:
            return ""
        if any(not self._is_finite_at_end(f"{of}_{self.metric}") for of in _SETS):
            return "the last evaluation is not finite"
        if self.score is None:
            return "no score was measured"
        if not self._references:
            return "what a simple learner makes of the same rows is not known"
        if not self.is_held_back:
            return "no rows were held back"
        if self.score_error is None:
            return "on how many rows the score was measured is not known"
        return "the reference is not known well enough" if self._is_sure else "the score is not known well enough"

    def _is_finite_at_end(self, name: str) -> bool:
        """Tell whether the last measurement of a name is finite, or none was taken."""
        return name not in self.trace.metrics or not len(self.measured(name)) or self.last(name) is not None

    @functools.cached_property
    def course(self) -> Course:
        """The loss on the rows trained on: by evaluation where there were two, else by step."""
        for name, fewest in (("training_loss", 2), ("training_epoch_loss", _FEW_EPOCHS)):
            losses = self._course_of(name)
            if len(losses) >= fewest:
                return losses
        return Course(self.step, self.loss)

    def _course_of(self, name: str) -> Course:
        """Return the course of an evaluation."""
        numbers = np.asarray(self.trace.metrics.get(name, ()), dtype=float)
        return Course(np.asarray(self.trace.metrics.get("step", np.arange(len(numbers))))[: len(numbers)], numbers)

    @functools.cached_property
    def held(self) -> Course:
        """The loss on rows held back, by evaluation."""
        return self._course_of("validation_loss")

    @functools.cached_property
    def blocks(self) -> Blocks:
        """The loss on the rows trained on in ten blocks."""
        return Blocks(self.course.numbers)

    @functools.cached_property
    def held_blocks(self) -> Blocks:
        """The loss on rows held back in ten blocks."""
        return Blocks(self.held.numbers)

    @functools.cached_property
    def has_not_begun(self) -> bool:
        """Whether the loss stays where it began, from the first step on, and that on rows held back as well."""
        late = self.log.get("begins_late", len(self.step) > 0 and self.step[0] > 1)
        blocks = self.blocks
        risen = blocks.rose and blocks.rise > _GAIN * abs(blocks.medians[blocks.lowest])
        few = bool(self.log) and len(self.course) < _FEW_ROWS_OF_LOG
        if late or few or not self.course.is_flat or risen or self.log.get("parts_move"):
            return False
        held = self.held_blocks
        first, last = held.medians[0], held.medians[-1]
        return not (len(self.held) > 2 and held.fell and first - last > _GAIN * abs(first))

    @functools.cached_property
    def chance_level(self) -> ChanceLevel | None:
        """The loss of guessing at which the loss came to rest, or below which a cross-entropy did not end."""
        accuracy = self.last("validation_accuracy")
        named, counts = (self.network.get("loss") or {}).get("name", ""), self.data.get("class_counts")
        if self.is_classes and counts and "cross-entropy" in named:
            ended = ends_at_guessing(
                self.loss, counts, self.last("training_accuracy") if accuracy is None else accuracy
            )
            if ended is not None:
                return ended
        return chance_level(self.course.numbers, self.held.numbers, accuracy)

    @functools.cached_property
    def rises_by_design(self) -> bool:
        """Whether the loss on rows held back stays as it was where the loss was lowest: an opponent's part rises."""
        if not len(self.step) or len(self.held) < _FEW_HELD or self.held.steps[-1] < _TO_THE_END * self.step[-1]:
            return False
        lowest = self.blocks.lowest / max(len(self.blocks.rows) - 1, 1)
        then = self.held.numbers[round(lowest * (len(self.held) - 1))]
        now = self.held_blocks.medians[-1]
        return bool(now - then <= _GAIN * abs(then))

    @property
    def loss_rose(self) -> bool:
        """Whether the loss on the rows trained on ended above where it began, beyond its scatter."""
        return self.course.rose and not self.rises_by_design

    @functools.cached_property
    def fell_by(self) -> float | None:
        """The share of the loss that is gone; None where the loss is no size, since it may be negative."""
        losses = self.measured("training_loss")
        first, last = (losses[0], losses[-1]) if len(losses) > 1 else (self.start_of(self.loss), self.end_of(self.loss))
        return float((first - last) / first) if first > 0 and last >= 0 else None

    # --- how it moved --------------------------------------------------------------------------------------------

    @functools.cached_property
    def learning_rate(self) -> float | None:
        """The rate of the last step."""
        return last_rate(self.trace)

    @functools.cached_property
    def smoothed(self) -> np.ndarray:
        """The loss averaged over windows of a fiftieth of the run, one number a window."""
        # Fifty windows: enough to see a course, each long enough to average batches.
        size = max(1, len(self.loss) // 50)
        whole = len(self.loss) // size * size
        return self.loss[:whole].reshape(-1, size).mean(1)

    @functools.cached_property
    def epochs(self) -> float | None:
        """The number of times that each row was seen; None if rows or batches are unknown."""
        batches, rows = self.trace.plan.get("batches"), self.data.get("rows")
        if not rows or batches is None:
            return None
        size = batches.get("size") or rows
        return self.last_step * size * batches.get("accumulate", 1) / rows

    @functools.cached_property
    def batch(self) -> int | None:
        """Examples of one step; None where the plan does not say."""
        batches = self.trace.plan.get("batches")
        return None if batches is None else batches.get("size") or self.data.get("rows")

    @functools.cached_property
    def still_falling(self) -> float:
        """The share by which the loss fell over the last fifth of the run, beyond its scatter; 0 if it did not."""
        losses = self.measured("training_loss")
        course = losses if len(losses) >= 10 else self.smoothed
        if len(course) < 5 or not np.all(np.isfinite(course)):
            return 0.0
        late = course[-max(len(course) // 5, 3) :]
        # A fall counts only beyond twice the scatter around the fitted line, so that noise is no progress.
        line = np.polyfit(np.arange(len(late)), late, 1)
        scatter = float(np.std(late - np.polyval(line, np.arange(len(late)))))
        fall = -line[0] * (len(late) - 1)
        return float(fall / late.mean()) if fall > 2 * scatter and late.mean() > 0 else 0.0

    def root_mean_square(self, what: str) -> float | None:
        """Return the root mean square of the "input" or "target" as the network sees it; None if not known."""
        mean, deviation = self.data.get(f"{what}_mean"), self.data.get(f"{what}_deviation")
        return None if mean is None or deviation is None else math.hypot(mean, deviation)

    # --- the layers ----------------------------------------------------------------------------------------------

    def of_layers(self, name: str) -> np.ndarray:
        """Return a quantity of the layers, shape (looks, layers); no looks where it was not recorded."""
        return self.inside.of(name)

    def early(self, name: str) -> np.ndarray:
        """Return a quantity of the layers at the first looks, shape (layers,): the median."""
        return self.inside.early(name)

    def late(self, name: str) -> np.ndarray:
        """Return a quantity of the layers at the last looks, shape (layers,): the median."""
        return self.inside.late(name)

    @property
    def activations(self) -> tuple[str, ...]:
        """The activation of each layer; "" where it is not known."""
        return self.inside.activations

    @property
    def hidden(self) -> np.ndarray:
        """The indices of the hidden layers."""
        return self.inside.hidden

    def numbers(self, **further: Any) -> dict[str, Any]:
        """Return the scores and further numbers, those that are known, as evidence."""
        numbers = {self.metric: self.score, "reference": self.reference, "guessing": self.chance, **further}
        return {name: entry for name, entry in numbers.items() if _is_known(entry)}

    @property
    def all_steps(self) -> tuple[int, int]:
        """The first and the last step."""
        return (int(self.step[0]), int(self.step[-1])) if len(self.step) else (0, 0)

    @staticmethod
    def start_of(course: np.ndarray) -> float:
        """Return the mean over the first twentieth."""
        return float(np.mean(course[: max(1, len(course) // 20)])) if len(course) else math.nan

    @staticmethod
    def end_of(course: np.ndarray) -> float:
        """Return the mean over the last twentieth."""
        return float(np.mean(course[-max(1, len(course) // 20) :])) if len(course) else math.nan


def unseen_kernels(evidence: TrainingEvidence) -> str:
    """Return why a symptom may hide in kernels inside loops and branches; empty without any."""
    return evidence.inside.unseen


def unfollowed_kernels(evidence: TrainingEvidence) -> str:
    """Return the same of those whose gradient was not followed from step to step either."""
    return evidence.inside.unfollowed


def _is_known(entry: Any) -> bool:
    """Tell whether a piece of evidence is there and finite."""
    return entry is not None and (not isinstance(entry, float) or math.isfinite(entry))
