"""A learning rate finding: two estimates, the runs that checked them, and the chosen rate, if any."""

from __future__ import annotations

import dataclasses
import html
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from downslope._text import aligned, apart, count, html_table, number
from downslope.descent import Plan
from downslope.networks import Setup


@dataclass(frozen=True)
class RateCheck:
    """The first steps of a run at one rate.

    Args:
        rate: the learning rate.
        before: the loss at the start; over batches, the mean over the same batches as `after`.
        after: the loss at the end; over batches the mean over the last fifth of the steps; ∞ for a run that was not
            finite.
        error: the standard error of `before` − `after` from batch to batch; 0 without batches.
        steps: steps taken.
        pace: the step from which the loss stays close to the final loss of the best rate; ∞ if it never does.
    """

    rate: float
    before: float
    after: float
    error: float
    steps: int
    pace: float = np.inf

    @property
    def descends(self) -> bool:
        """Whether the loss fell by more than it varies from batch to batch."""
        return bool(np.isfinite(self.after)) and self.before - self.after > 2 * self.error

    @property
    def verdict(self) -> str:
        """The result, in two words."""
        if not np.isfinite(self.after):
            return "runs away"
        return "descends" if self.descends else "climbs" if self.after > self.before else "stands still"


@dataclass(frozen=True, eq=False)
class RateFinding:
    """The learning rate of a plan or a training, by two estimates that short runs checked.

    Args:
        specification: the plan or the setup, unchanged.
        read_as: the objective, in words.
        method: the name of its method.
        test_rates: the rate of each step of the range test, shape (steps,).
        test_losses: the loss after each of them, shape (steps,); over batches the mean loss of the start, times the
            share of the start's loss on the same batch that is left.
        steepest: the rate at which the range test fell fastest; None where it never fell.
        stable_bound: the largest stable rate by the curvature of the start and of the first steps; None if unknown.
        bound_missing: the reason why it is unknown.
        checks: the runs at the candidates, by rate.
        picked: the index of the chosen rate among them; None if no rate descends.
        budget: the most steps of each check.
        steps: the cost in steps.
        caution: why no fixed rate leads to a minimum of a formula; "" where nothing speaks against the pick.
    """

    specification: Plan | Setup = field(repr=False)
    read_as: str
    method: str
    test_rates: np.ndarray
    test_losses: np.ndarray
    steepest: float | None
    stable_bound: float | None
    bound_missing: str
    checks: tuple[RateCheck, ...]
    picked: int | None
    budget: int
    steps: int
    caution: str = ""

    @property
    def pick(self) -> RateCheck | None:
        """The run at the chosen rate; None if no rate descends."""
        return None if self.picked is None else self.checks[self.picked]

    @property
    def learning_rate(self) -> float | None:
        """The chosen rate; None if no rate descends."""
        return None if self.pick is None else self.pick.rate

    @property
    def chosen(self) -> Plan | Setup | None:
        """The plan or setup with the chosen rate, for `descend` or `train`; None if no rate descends."""
        if self.learning_rate is None:
            return None
        if isinstance(self.specification, Plan):
            return dataclasses.replace(self.specification, learning_rate=self.learning_rate)
        return self.specification.changed(learning_rate=self.learning_rate)

    @property
    def sentence(self) -> str:
        """The result, in a few sentences."""
        return f"{self._pick_sentence()} {self._estimates_sentence()}"

    def _pick_sentence(self) -> str:
        """Return the result of the checks."""
        pick = self.pick
        if pick is not None and self.caution:
            return (
                f"No fixed rate leads to a minimum. {self.caution} Of the rates checked, α = {number(pick.rate)} does "
                f"best over {count(pick.steps)}, from {number(pick.before, 4)} to {number(pick.after, 4)}."
            )
        if pick is not None:
            return (
                f"Take α = {number(pick.rate)}: checked over {count(pick.steps)}, it brings the loss from "
                f"{number(pick.before, 4)} to {number(pick.after, 4)}."
            )
        if all(check.steps == 0 and np.isfinite(check.after) for check in self.checks):
            return "No rate descends: the start is at rest already."
        ways = {check.verdict for check in self.checks}
        low, high = (number(self.checks[index].rate, 2) for index in (0, -1))
        why = {
            frozenset(
                {"runs away"}
            ): "each runs away: the loss or its gradient is not finite at the start or soon after",
            frozenset({"stands still"}): "at each, the loss does not move: the gradient is zero, or lost in noise",
        }.get(frozenset(ways), f"each of them {' or '.join(sorted(ways))}")
        return f"No rate descends: of {len(self.checks)} checked from {low} to {high}, {why}."

    def _estimates_sentence(self) -> str:
        """Return the sentence on the two estimates."""
        fell = "never falls" if self.steepest is None else f"falls fastest at {number(self.steepest, 2)}"
        if self.stable_bound is None:
            return f"The range test {fell}. No bound by curvature: {self.bound_missing}."
        above = self.learning_rate is not None and self.learning_rate > self.stable_bound
        beyond = ", which this rate is above: watch a longer run" if above else ""
        bound = apart(self.stable_bound, self.learning_rate or 0.0, 3)[0]
        return f"The range test {fell}; by curvature rates are stable below {bound}{beyond}."

    def rows(self) -> list[tuple[str, ...]]:
        """Return the checks as rows of text, the headings first; the pick is marked."""
        return [
            ("learning rate", "loss at the end", "verdict", ""),
            *(
                (
                    number(check.rate),
                    number(check.after, 5),
                    check.verdict,
                    self._mark() if index == self.picked else "",
                )
                for index, check in enumerate(self.checks)
            ),
        ]

    def _mark(self) -> str:
        return "◀ lowest" if self.caution else "◀ take this"

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain data, for JSON."""
        pick = self.pick
        return {
            "read_as": self.read_as,
            "method": self.method,
            "learning_rate": self.learning_rate,
            "loss_before": None if pick is None else pick.before,
            "loss_after": None if pick is None else pick.after,
            "stable_bound": self.stable_bound,
            "bound_missing": self.bound_missing or None,
            "steepest": self.steepest,
            "range_test": {"rates": self.test_rates.tolist(), "losses": self.test_losses.tolist()},
            "checks": [
                {
                    "learning_rate": check.rate,
                    "loss_before": check.before,
                    "loss_after": check.after if np.isfinite(check.after) else None,
                    "verdict": check.verdict,
                }
                for check in self.checks
            ],
            "budget": self.budget,
            "steps": self.steps,
            "caution": self.caution or None,
            "sentence": self.sentence,
        }

    def __str__(self) -> str:
        head = f"Read as  {self.read_as}\nMethod   {self.method}"
        cost = f"All checks together took {count(self.steps)}; the run itself is unchanged."
        return "\n".join([head, "", *aligned(self.rows(), words=(2, 3)), "", self.sentence, cost])

    def __repr__(self) -> str:
        rate = "no rate descends" if self.learning_rate is None else f"α = {number(self.learning_rate)}"
        return f"<RateFinding: {rate}, {len(self.checks)} checked>"

    def _repr_html_(self) -> str:
        return f"{html_table(self.rows(), self.read_as)}<p>{html.escape(self.sentence)}</p>"
