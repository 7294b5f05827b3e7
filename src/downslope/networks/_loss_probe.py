"""A loss tested on artificial outputs: whether it pairs them with targets, what it takes, and where it leads.

Nothing is read from names or from how a loss is written. Every number is a change of the loss, over a change that is
due: that between outputs drawn anew. So neither the unit of the loss nor that of the targets matters, and a penalty on
the weights, which no output changes, does not either.

Outputs are drawn where the loss is defined. For numbers they lie between two targets, so that they are positive where
the targets are; for classes between 0.1 and 0.9, which are logits and probabilities alike.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._engine import jax, kept, precision, structure_of
from downslope._types import Plain

if TYPE_CHECKING:
    from jax import Array

_ROWS = 16
_DRAWS = 5  # of outputs; their losses span the change that is due
NEAREST = 5e-3  # a change below this share of the one that is due is none
_MIXED = 0.05  # a part of a change beyond this share belongs to rows together
_SURE = (8.0, 32.0, 64.0)  # logits of a class that is as good as certain
_FAR = (1e2, 1e3, 1e4)
_WIDE = 40.0
# The outputs between which halves of a batch are exchanged, by the name of the exchange.
_ENDS = {"a": ("drawn 0", "drawn 1"), "b": ("drawn 1", "drawn 2"), "c": ("wide", "drawn 1")}

# What a loss may take.
LOGITS, PROBABILITIES, LOG_PROBABILITIES, NUMBERS_AS_THEY_ARE = (
    "logits",
    "probabilities",
    "log-probabilities",
    "numbers",
)

_FAMILIES = {LOGITS: " 8.0", PROBABILITIES: " shares", LOG_PROBABILITIES: " logarithms"}  # of outputs that say a class
_SHIFTS = (1, -1)  # classes counted from 1, or from −1
_CLEAR = 0.3  # of the range of costs


@dataclass(frozen=True)
class LossBehaviour:
    """The behaviour of a loss on artificial outputs; None for what could not be measured.

    Args:
        unpaired: the change when targets are moved to other rows, over the change that is due; 0 for a loss that does
            not compare row by row.
        not_additive: the part of a change of the outputs in both halves of a batch that is not the sum of the changes
            in each, over the change that is due. 0 for a mean over rows, also one with weights, its root or logarithm.
        joint: how much the change of the outputs depends on which targets they are compared with, over the change that
            is due; 0 for a loss that does not compare the two at all.
        descent: the change when outputs move towards the targets, over the change that is due, the least of several;
            above 0 for a loss whose sign is wrong.
        takes: "logits", "probabilities", "log-probabilities" or "numbers"; "" where its values do not tell.
        form: "squares" for a loss that is quadratic in the outputs, else "".
        label_gain: the change of the loss from sure and right outputs to sure and wrong ones, over the range of both
            and of undecided ones. 0 for a loss that does not tell them apart.
        squeezed: the width that logits are squeezed into within the loss before their softmax, such as 1 for
            probabilities; None for none.
        unbounded: whether the loss falls without end as the outputs grow.
        leaf: the leaf of a batch that `unpaired` is about, where it is not the targets.
        unread: the leaves of a batch that the loss does not read, where it reads a single one; "" for none.
        label_shift: how many classes after its own the output stands that costs a label least; 0 for its own, None
            where that is not known.
    """

    unpaired: float | None = None
    not_additive: float | None = None
    joint: float | None = None
    descent: float | None = None
    takes: str = ""
    form: str = ""
    label_gain: float | None = None
    squeezed: float | None = None
    unbounded: bool | None = None
    leaf: str = ""
    unread: str = ""
    label_shift: int | None = None

    @property
    def is_blind(self) -> bool:
        """Whether it is the same whichever row a target belongs to, though no row depends on the others."""
        if self.unpaired is None or self.not_additive is None or self.joint is None:
            return False
        return self.unpaired < NEAREST and self.not_additive < _MIXED and self.joint > NEAREST

    def describe(self) -> Plain:
        """Return the behaviour as plain data."""
        return dataclasses.asdict(self)


def probed(
    value: Callable[[Array, Any], Array],
    shape: tuple[int, ...],
    targets: tuple[np.ndarray, ...],
    classes: int,
    own: Hashable | None = None,
) -> LossBehaviour:
    """Return the behaviour of a loss on artificial outputs.

    Args:
        value: the loss of outputs, shape (rows, …), and a tuple of targets; JAX can trace it.
        shape: the shape of the outputs for one example.
        targets: the arrays that outputs are compared with, shape (rows, …), the targets first.
        classes: the number of classes; 0 for targets that are numbers.
        own: what tells this loss from others of downslope's own, whose programs are kept; None for a user's.

    >>> def broadcast(outputs, targets):
    ...     return ((outputs - targets[0]) ** 2).mean()
    >>> numbers = np.arange(20.0)
    >>> probed(broadcast, (1,), (numbers,), 0).unpaired < 1e-3
    True
    >>> probed(lambda outputs, targets: broadcast(outputs[:, 0], targets), (1,), (numbers,), 0).unpaired > 0.1
    True
    """
    trial = _LossTrial.of(shape, targets, classes)
    if trial is None:
        return LossBehaviour()
    for outputs in trial.ways_to_draw:
        cases = trial.cases(outputs)
        try:
            losses = _values(value, cases, own)
        except Exception:  # a loss of the user's may take whole batches alone, or other outputs
            return LossBehaviour()
        measured = _Measured(dict(zip(cases, losses, strict=True)))
        if measured.due is not None:
            return _behaviour(measured, trial)
    return LossBehaviour()


# --- what is tried ---------------------------------------------------------------------------------------------------

Case = tuple[np.ndarray, tuple[np.ndarray, ...]]


@dataclass(frozen=True, eq=False)
class _LossTrial:
    """Targets, and the artificial outputs that go with them.

    Args:
        targets: some rows of the targets.
        others: rows from one end of the targets.
        shape: the shape of all outputs.
        classes: the number of classes; 0 for numbers.
    """

    targets: tuple[np.ndarray, ...]
    others: tuple[np.ndarray, ...]
    shape: tuple[int, ...]
    classes: int

    @classmethod
    def of(cls, shape: tuple[int, ...], targets: tuple[np.ndarray, ...], classes: int) -> _LossTrial | None:
        """Return the trial for targets; None for too few rows, or for targets that are all the same."""
        random = np.random.default_rng(0)
        main = targets[0]
        chosen = random.permutation(len(main))[: 64 * _ROWS]
        levels = main[chosen].reshape(len(chosen), -1)
        order = chosen[np.argsort(levels.mean(axis=1) if levels.dtype.kind in "biuf" else chosen, kind="stable")]
        rows = min(_ROWS, len(main) // 2 * 2)
        if rows < 4 or np.all(levels == levels[0]):
            return None
        if classes and main.ndim == 1:
            # As many of each class as there are: of a rare one there may be none among a few rows.
            order = order[_spread_classes(main[order])]
        # Evenly over the sorted targets, in an order of their own.
        some = order[np.linspace(0, len(order) - 1, rows).round().astype(int)]
        some = some[random.permutation(rows)]
        # A single end, so that their mean is another than that of the rows above.
        ends = order[: max(len(order) // 3, 1)]
        last = np.resize(ends, rows)
        return cls(
            tuple(leaf[some] for leaf in targets), tuple(leaf[last] for leaf in targets), (rows, *shape), classes
        )

    @property
    def ways_to_draw(self) -> list[list[np.ndarray]]:
        """Several arrays of outputs, drawn in one way after another until the loss is a number there."""
        random = np.random.default_rng(1)
        shares = [random.uniform(0.1, 0.9, self.shape).astype(np.float32) for _ in range(_DRAWS)]
        if self.classes or self.targets[0].dtype.kind not in "fiub":
            return [shares]
        pool = self.targets[0].reshape(self.shape[0], -1)
        # As many columns as there are outputs: those of the targets, over and over.
        columns = np.resize(np.arange(pool.shape[1]), math.prod(self.shape[1:]))
        between = []
        for share in shares:
            first, second = (pool[random.permutation(self.shape[0])][:, columns] for _ in range(2))
            between.append((first + share.reshape(first.shape) * (second - first)).reshape(self.shape))
        return [[np.asarray(outputs, np.float32) for outputs in between], shares]

    @property
    def units(self) -> float:
        """The size of a step of the outputs: the deviation of the targets, 1 for classes."""
        main = self.targets[0]
        return 1.0 if self.classes or main.dtype.kind not in "fiub" else max(float(np.std(main)), 1e-30)

    def labels(self, step: int = 0) -> np.ndarray | None:
        """Return 1 for the class of each row and 0 for the others, the class moved on by `step`; None without."""
        outputs, main = math.prod(self.shape[1:]), self.targets[0]
        if not self.classes or len(self.shape) != 2 or main.ndim != 1:
            return None
        wanted = (main.astype(int) + step) % self.classes
        if outputs == 1 and self.classes == 2:
            return wanted[:, None].astype(np.float32)
        return np.eye(outputs, dtype=np.float32)[wanted] if outputs == self.classes else None

    def cases(self, outputs: list[np.ndarray]) -> dict[str, Case]:
        """Return outputs and targets to compute the loss of, by name."""
        first_draw, second_draw, third_draw, *_ = outputs
        here, rows = self.targets, self.shape[0]
        half = (np.arange(rows) < rows // 2).reshape(-1, *[1] * (len(self.shape) - 1))
        cases = {f"drawn {index}": (drawn, here) for index, drawn in enumerate(outputs)}
        # Every cyclic shift: a single one may move targets onto equal ones.
        cases |= {
            f"dealt {shift}": (first_draw, tuple(np.roll(leaf, shift, axis=0) for leaf in here))
            for shift in range(1, rows)
        }
        # Rows of large logits decide for the others what a softmax over the rows is.
        wide = _WIDE * (first_draw - 0.5)
        cases["wide"] = wide, here
        for name, (first, second) in {
            "a": (first_draw, second_draw),
            "b": (second_draw, third_draw),
            "c": (wide, second_draw),
        }.items():
            cases[f"halves {name}"] = np.where(half, first, second), here
            cases[f"swapped {name}"] = np.where(half, second, first), here
        cases |= {"other targets": (first_draw, self.others), "both other": (second_draw, self.others)}
        # Four points along a line, for the differences of second and third order.
        cases |= {f"line {index}": (first_draw + index * 3 * (second_draw - first_draw), here) for index in (1, 2, 3)}
        ahead = np.random.default_rng(2).normal(size=self.shape).astype(np.float32)
        for sign in (1, -1):
            cases |= {f"far {sign} {size}": (first_draw + sign * size * self.units * ahead, here) for size in _FAR}
        wanted = self.labels()
        if wanted is None:
            return {**cases, **self._of_numbers(outputs)}
        return {**cases, **self._of_classes(outputs, wanted)}

    def _of_numbers(self, outputs: list[np.ndarray]) -> dict[str, Case]:
        """Return outputs that were moved towards targets of their own size."""
        main = self.targets[0]
        if self.classes or main[0].size != outputs[0][0].size or main.dtype.kind not in "fiub":
            return {}
        wanted = main.reshape(self.shape)
        return {
            f"towards {index}": ((drawn + 0.1 * (wanted - drawn)).astype(np.float32), self.targets)
            for index, drawn in enumerate(outputs)
        }

    def _of_classes(self, outputs: list[np.ndarray], wanted: np.ndarray) -> dict[str, Case]:
        """Return outputs that say which class, right and wrong, as logits and as probabilities."""
        here, first_draw = self.targets, outputs[0]
        sideways = np.random.default_rng(3).uniform(-5, 5, (self.shape[0], 1)).astype(np.float32)
        wrong = self.labels(1)
        assert wrong is not None
        single = self.shape[1] == 1
        even = 0.5 if single else 1 / self.classes
        cases = {
            f"towards {index}": ((drawn + 0.1 * (wanted - even)).astype(np.float32), here)
            for index, drawn in enumerate(outputs)
        }
        cases |= {
            "shifted": (first_draw + sideways, here),
            "raised": (first_draw + 1, here),
            "doubled": (2 * first_draw, here),
            "beyond": (3 * first_draw - 1, here),
            "beyond, cut": (np.clip(3 * first_draw - 1, 1e-7, 1 - 1e-7), here),
            "even logits": (np.zeros(self.shape, np.float32), here),
            "even shares": (np.full(self.shape, even, np.float32), here),
            "even logarithms": (np.full(self.shape, math.log(even), np.float32), here),
        }
        for name, labels in (("right", wanted), ("wrong", wrong)):
            share = (0.98 * labels + 0.02 * even).astype(np.float32)
            cases |= {f"{name} {size}": (size * (2 * labels - 1), here) for size in (0.5, 2.0, *_SURE)}
            cases |= {f"{name} shares": (share, here), f"{name} logarithms": (np.log(share), here)}
        for step in _SHIFTS if self.classes > 2 and not single else ():
            labels = self.labels(step)
            assert labels is not None
            share = (0.98 * labels + 0.02 * even).astype(np.float32)
            cases |= {f"moved {step} 8.0": (_SURE[0] * (2 * labels - 1), here), f"moved {step} shares": (share, here)}
            cases[f"moved {step} logarithms"] = np.log(share), here
        return cases


def _spread_classes(classes: np.ndarray) -> np.ndarray:
    """Return the indices of rows sorted by class, as many of each class as the rarest has or two, whichever is more."""
    counts = np.bincount(classes.astype(int).ravel())
    most = max(int(counts[counts > 0].min()), 2)
    places = np.arange(len(classes)) - np.searchsorted(classes.ravel(), classes.ravel())
    return np.flatnonzero(places < most)


def _values(value: Callable[[Array, Any], Array], cases: dict[str, Case], own: Hashable | None) -> list[float]:
    """Return the loss of each case."""

    def build() -> Any:
        return jax().jit(lambda pairs: jax().lax.map(lambda pair: value(*pair), pairs))

    outputs, targets = zip(*cases.values(), strict=True)
    stacked = np.stack(outputs).astype(np.float32), tuple(np.stack(leaves) for leaves in zip(*targets, strict=True))
    # One compiled program for all cases: compiling costs more than computing.
    each = build() if own is None else kept(structure_of(("loss", own)), "each", build)
    with precision("float32"):
        return np.asarray(each(stacked), np.float64).reshape(len(cases)).tolist()


# --- what the values tell --------------------------------------------------------------------------------------------


class _Measured:
    """The losses of the cases.

    Args:
        losses: by the name of the case.
    """

    def __init__(self, losses: dict[str, float]) -> None:
        self._losses = losses
        drawn = [losses[f"drawn {index}"] for index in range(_DRAWS)]
        span, size = max(drawn) - min(drawn), max(map(abs, drawn))
        # Below the rounding of a float32 nothing is left to compare.
        self.due = span if math.isfinite(size) and span > 1e-6 * size else None
        self.base = drawn[0]

    def __getitem__(self, case: str) -> float:
        return self._losses.get(case, math.nan)

    def change(self, case: str, since: str = "drawn 0") -> float:
        """Return the change of the loss from one case to another, over the change that is due; NaN if not known."""
        return (self[case] - self[since]) / (self.due or math.nan)

    def changes(self, prefix: str) -> list[float]:
        """Return the changes of all cases whose names begin so and are numbered, each from the draw of its number."""
        names = [name for name in self._losses if name.startswith(prefix)]
        return [self.change(name, f"drawn {name.rpartition(' ')[2]}") for name in names]

    def are_same(self, case: str, other: str) -> bool:
        """Tell whether two cases have the same loss."""
        return abs(self.change(case, other)) < NEAREST


def _behaviour(measured: _Measured, trial: _LossTrial) -> LossBehaviour:
    """Return the behaviour that follows from the losses of the cases."""
    dealt = [measured.change(f"dealt {shift}") for shift in range(1, trial.shape[0])]
    towards = measured.changes("towards")
    joint = measured.change("drawn 1") - measured.change("both other", "other targets")
    form = _form(measured)
    takes = "" if trial.labels() is None else _takes(measured, form, trial.shape[1] == 1)
    if not trial.classes and form:
        takes = NUMBERS_AS_THEY_ARE
    return LossBehaviour(
        unpaired=known(max(map(abs, dealt))),
        not_additive=known(_interaction(measured, "abc" if takes == LOGITS else "ab")),
        joint=known(abs(joint)),
        descent=known(min(towards)) if towards else None,
        takes=takes,
        form=form,
        label_gain=None if trial.labels() is None else _label_gain(measured, takes),
        label_shift=_label_shift(measured, takes) if trial.labels() is not None and trial.classes > 2 else None,
        squeezed=_squeezed(measured, trial) if takes == LOGITS else None,
        unbounded=_is_unbounded(measured),
    )


def known(value: float) -> float | None:
    """Return a number, None for one that is not finite."""
    return value if math.isfinite(value) else None


def _interaction(measured: _Measured, exchanges: str) -> float:
    """Return how far the change in two halves of a batch is from the sum of the changes in each, the most of several.

    A root or a logarithm of a mean does not mix rows either: the least over the functions that undo one is returned.
    """
    undoing = {"nothing": lambda v: v, "root": np.square, "logarithm": lambda v: np.exp(v - v[0]), "power": np.log}
    shares: dict[str, list[float]] = {name: [] for name in undoing}
    for exchange in exchanges:
        cases = (*_ENDS[exchange], f"halves {exchange}", f"swapped {exchange}")
        values = np.array([measured[case] for case in cases])
        with np.errstate(all="ignore"):
            for name, undo in undoing.items():
                a, b, c, d = undo(values)
                shares[name].append(abs(a + b - c - d) / max(float(np.ptp([a, b, c, d])), 1e-30))
    most = [float(np.max(of_exchanges)) for of_exchanges in shares.values()]
    return min((share for share in most if math.isfinite(share)), default=math.nan)


def _form(measured: _Measured) -> str:
    """Return "squares" for a loss whose third difference along a line is 0 and whose second is not, else ""."""
    first, second, third, fourth = (measured[name] for name in ("drawn 0", "line 1", "line 2", "line 3"))
    bend, twist = first - 2 * second + third, fourth - 3 * third + 3 * second - first
    bent = abs(bend) > 0.1 * (measured.due or math.nan)
    return "squares" if bent and abs(twist) < 0.01 * abs(bend) else ""


def _takes(measured: _Measured, form: str, single: bool) -> str:
    """Return the kind of outputs that a loss of classes takes; "" if its values do not show it."""
    if not single and measured.are_same("shifted", "drawn 0"):
        return LOGITS
    line = [measured[name] for name in ("drawn 0", "line 1", "line 2")]
    if not single and abs(line[0] - 2 * line[1] + line[2]) < 1e-3 * abs(line[2] - line[0]):
        return LOG_PROBABILITIES
    beyond = measured["beyond"]
    if not math.isfinite(beyond) or measured.are_same("beyond", "beyond, cut"):
        return PROBABILITIES
    if not single and measured.are_same("doubled", "drawn 0"):
        return PROBABILITIES
    if form:
        return NUMBERS_AS_THEY_ARE
    # The surer, the farther right and wrong are apart.
    gaps = [measured[f"wrong {size}"] - measured[f"right {size}"] for size in (0.5, 2.0, 8.0)]
    return LOGITS if 0 < gaps[0] < gaps[1] < gaps[2] else ""


def _label_gain(measured: _Measured, takes: str) -> float | None:
    """Return the loss of confident wrong outputs minus that of confident right ones, over the range of the loss."""
    evens = {" 8.0": "even logits", " shares": "even shares", " logarithms": "even logarithms"}
    gains = []
    for family in [_FAMILIES[takes]] if takes in _FAMILIES else _FAMILIES.values():
        right, wrong, even = measured[f"right{family}"], measured[f"wrong{family}"], measured[evens[family]]
        span = max(right, wrong, even) - min(right, wrong, even)
        if math.isfinite(span) and span > 0:
            gains.append((wrong - right) / span)
    # Where it is not known what the loss takes, the kind of outputs that it tells apart best.
    return max(gains, default=None)


def _label_shift(measured: _Measured, takes: str) -> int | None:
    """Return the offset, in classes, of the output that clearly costs a label least; None if unknown.

    Under a loss of the wrong sign all classes but a label's own cost alike.
    """
    family = _FAMILIES.get(takes)
    if family is None:
        return None
    costs = {0: measured[f"right{family}"], **{step: measured[f"moved {step}{family}"] for step in _SHIFTS}}
    if not all(map(math.isfinite, costs.values())):
        return None
    best, second, *_, worst = sorted(costs, key=costs.__getitem__)
    clear = costs[second] - costs[best] > _CLEAR * (costs[worst] - costs[best]) > 0
    return best if clear else None


def _squeezed(measured: _Measured, trial: _LossTrial) -> float | None:
    """Return the width that a cross-entropy squeezes logits into before its softmax; None if it does not.

    With logits from a to a + w, one class at the top and the others at the bottom, the loss of a right row lies
    log K − log(1 + (K − 1) exp(−w)) below that of equal logits, and w below that of a wrong one.
    """
    right, wrong, even = measured["right 64.0"], measured["wrong 64.0"], measured["even logits"]
    width = wrong - right
    if trial.shape[1] < 2 or not 0 < width < 20 or not measured.are_same("right 64.0", "right 32.0"):
        return None
    expected = math.log(trial.classes) - math.log1p((trial.classes - 1) * math.exp(-width))
    return width if abs(even - right - expected) < 0.01 * max(expected, 1e-3) else None


def _is_unbounded(measured: _Measured) -> bool | None:
    """Tell whether the loss falls in proportion to the outputs, or faster, as they grow in some direction."""
    is_known = False
    for sign in (1, -1):
        near, far, farther = (measured[f"far {sign} {size}"] - measured.base for size in _FAR)
        if math.isnan(farther):
            continue
        is_known = True
        # Tenfold outputs, at least five times the fall; a logarithm falls by as much again.
        if farther < 5 * far and far < 5 * near and near < 0:
            return True
    return False if is_known else None
