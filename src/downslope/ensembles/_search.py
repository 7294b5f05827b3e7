"""Search for the lowest minimum of an objective in a box or about a point, with evidence that it is the lowest."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np

from downslope._choices import checked, defaults, door
from downslope._engine import jax, precision
from downslope._errors import ObjectiveError
from downslope._text import number
from downslope._types import Point
from downslope.descent import Objective
from downslope.descent import objective as objective_of
from downslope.ensembles._basins import Basin, gathered, heights, level, point_in_words, relief, shown_row
from downslope.ensembles._choices import SearchChoices
from downslope.ensembles._hopping import CHAINS, programs
from downslope.ensembles._lanes import count, side_by_side
from downslope.ensembles._space import Space, program, space_of
from downslope.formulas import Formula

_ISLANDS = 4
_MOST_ROUNDS = 64
_FIRST_ITERATIONS = 64
_CHUNK_SECONDS = 0.05
_MOST_ITERATIONS = 100_000


@dataclass(frozen=True, eq=False)
class Search:
    """The result of a search.

    Args:
        best: the lowest basin; its `count` is the number of rounds that ended there.
        basins: the basins where rounds ended, the lowest first; rounds are independent of each other.
        rounds: number of completed rounds.
        confirmations: number of rounds that ended as low as the best.
        evaluations: number of evaluations of value and gradient.
        evaluations_to_best: evaluations until the lowest value was first met, to the nearest iteration.
        seconds: duration, compilation included.
        stopped: "evidence", "target", "time", "evaluations" or "interrupted".
        objective: the objective.
        space: the box or cloud that was searched.
    """

    best: Basin
    basins: tuple[Basin, ...]
    rounds: int
    confirmations: int
    evaluations: int
    evaluations_to_best: int
    seconds: float
    stopped: str
    objective: Objective = field(repr=False)
    space: Space = field(repr=False)

    @property
    def point(self) -> Point:
        """The point with the lowest value."""
        return self.best.point

    @property
    def value(self) -> float:
        """The lowest value."""
        return self.best.value

    @property
    def sentence(self) -> str:
        """The result and the evidence for it, in a sentence or two."""
        where = point_in_words(self.space.layout.names, shown_row(self.space, self.best))
        value = number(self.value, 10)
        if self.best.kind == "pole":
            return (
                f"The value falls without bound at the pole {where}, so there is no lowest value; the lowest that was "
                f"met is {value}."
            )
        if self.best.kind == "not at rest":
            return (
                f"The lowest point is not at rest: the value {value} at {where} still falls there. {self._evidence()}"
            )
        kind = "" if self.best.kind == "minimum" else f" ({_KINDS.get(self.best.kind, self.best.kind)})"
        return f"The lowest value found is {value} at {where}{kind}. {self._evidence()}"

    def _evidence(self) -> str:
        """Return a sentence on how many rounds ended at the best."""
        if not self.rounds:
            return "No round came to its end; give it more time or more evaluations."
        if self.confirmations == self.rounds:
            times = {1: "The one round", 2: "Both rounds"}.get(self.rounds, f"All {self.rounds} rounds")
            return f"{times} from independent starts ended there."
        if not self.confirmations:
            return f"None of the {self.rounds} rounds that ended reached this value again: it may not be the lowest."
        return f"{self.confirmations} of {self.rounds} rounds from independent starts ended there, and none lower."

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain data, for JSON."""
        return {
            "read_as": self.objective.read_as,
            "best": self.best.as_dict(),
            "basins": [basin.as_dict() for basin in self.basins],
            "rounds": self.rounds,
            "found": self.confirmations,
            "evaluations": self.evaluations,
            "evaluations_to_best": self.evaluations_to_best,
            "seconds": self.seconds,
            "stopped": self.stopped,
            "sentence": self.sentence,
        }

    def __str__(self) -> str:
        effort = f"{self.evaluations:,} evaluations".replace(",", " ")
        spent = f"{effort} in {self.seconds:.2f} s; {_REASONS[self.stopped]}"
        return f"Read as  {self.objective.read_as}\n\n{self.sentence}\n{spent}"

    def __repr__(self) -> str:
        return f"<Search {self.value:.6g}, found by {self.confirmations} of {self.rounds} rounds>"


_KINDS = {
    "edge": "on the edge of the bounds, beyond which the value may fall on",
    "flat": "on flat ground: the value may tend to a bound",
}
_REASONS = {
    "evidence": "stopped because the best was found often enough.",
    "target": "stopped because the target was reached.",
    "time": "stopped because the time was up.",
    "evaluations": "stopped because the evaluations were used up.",
    "interrupted": "stopped by the user.",
}


@door(SearchChoices)
def search(
    objective: str | Formula | Objective | Callable[..., Any],
    bounds: Mapping[str, tuple[float, float]] | tuple[Point, Point] | None = None,
    **choices: Unpack[SearchChoices],
) -> Search:
    """Search for the lowest valley, and say how often it was found again.

    Islands of 16 chains hop from valley to valley; each that finds nothing lower for long ends its round and begins
    anew at random points. The search stops when enough rounds have ended at one lowest point, when the target is
    reached, or when the time or the evaluations are used up. No search of this kind proves that there is nothing lower.

    Args:
        objective: a formula's text, a Formula, a JAX function of a point, or an Objective.
        bounds: (low, high) of every variable by name; for a function, a pair of points.
        **choices: as in `SearchChoices`.

    Returns:
        The lowest point, and what speaks for it.

    Raises:
        PointError: for bounds or a spread that make no sense.
        SettingError: for limits that make none.
        ObjectiveError: if no finite value was met.

    >>> best = search("x⁴ - 4x² + x", bounds={"x": (-3, 3)})
    >>> round(best.point["x"], 6), round(best.value, 6), best.stopped
    (-1.472998, -5.444192, 'evidence')
    """
    chosen = {**defaults(SearchChoices), **checked(SearchChoices, choices, also=("objective", "bounds"))}
    goal = objective_of(objective, chosen["data"], units=chosen["units"])
    space = space_of(goal, bounds, chosen["spread"], chosen["centre"])
    evaluations = chosen["evaluations"]
    islands = chosen["islands"] or (_ISLANDS if evaluations is not None else max(_ISLANDS, count()))
    run = _IslandSearch(space, islands, chosen["seed"])
    began = time.perf_counter()
    stopped = run.until(chosen["confirmations"], chosen["target"], chosen["seconds"], evaluations)
    return run.result(stopped, time.perf_counter() - began)


class _IslandSearch:
    """A running search.

    Args:
        space: the box or cloud.
        islands: number of islands.
        seed: seed of the random numbers.
    """

    def __init__(self, space: Space, islands: int, seed: int) -> None:
        self.space = space
        self.evaluations = 0
        self._islands = islands
        self._begin, self._go_on = program(space, programs, _MOST_ROUNDS)
        pieces = min(count(), islands)
        pieces = next(size for size in range(pieces, 0, -1) if islands % size == 0)
        with precision("float64"):
            keys = jax().device_get(jax().random.key_data(jax().random.split(jax().random.key(seed), islands)))
        batches = np.split(keys, pieces)
        self._states = side_by_side(self._begin, [(batch, space.unit_bounds) for batch in batches], "float64")

    def until(self, confirmations: int, target: float | None, seconds: float, evaluations: int | None) -> str:
        """Run until there is a reason to stop, and return it."""
        self._advance(0)  # compiles, which does not count towards `seconds`
        began = time.perf_counter()
        most = None if evaluations is None else max(evaluations // (self._islands * CHAINS), 1)
        done, iterations = 0, _FIRST_ITERATIONS
        try:
            while True:
                iterations = iterations if most is None else min(iterations, most - done)
                before = time.perf_counter()
                self._advance(iterations)
                done += iterations
                now = time.perf_counter()
                if target is not None and self._gathered("lowest").min() <= target:
                    return "target"
                if confirmations and self._confirmations() >= confirmations:
                    return "evidence"
                if most is not None and done >= most:
                    return "evaluations"
                if now - began >= seconds:
                    return "time"
                # As many iterations as fit the time between two tests, but at most four times as many as the last time:
                # the first measurements are rough.
                left = min(_CHUNK_SECONDS, seconds - (now - began))
                per_iteration = (now - before) / iterations
                iterations = int(np.clip(left / max(per_iteration, 1e-9), 1, min(4 * iterations, _MOST_ITERATIONS)))
        except KeyboardInterrupt:
            return "interrupted"

    def _advance(self, iterations: int) -> None:
        """Advance every island by a number of iterations."""
        space = self.space
        shared = (np.int64(iterations), space.origin, space.extent, space.unit_bounds, space.objective.data)
        self._states = side_by_side(self._go_on, [(state, *shared) for state in self._states], "float64")
        self.evaluations += iterations * self._islands * CHAINS

    def _gathered(self, name: str) -> np.ndarray:
        """Return one field of every island, stacked."""
        return np.concatenate([getattr(state, name) for state in self._states])

    def _ended(self) -> np.ndarray:
        """Return a mask of the completed rounds in the islands' records, shape (islands, most rounds)."""
        return np.arange(_MOST_ROUNDS) < self._gathered("rounds")[:, None]

    def _confirmations(self) -> int:
        """Return the number of rounds that ended at the lowest value."""
        best = float(self._gathered("lowest").min())
        rise = relief(self.space)
        return sum(level(float(value), best, rise) for value in self._gathered("values")[self._ended()])

    def result(self, stopped: str, seconds: float) -> Search:
        """Return the result of the search.

        Raises:
            ObjectiveError: if no value was finite, or the objective is unbounded below.
        """
        space, lowest = self.space, self._gathered("lowest")
        if not np.isfinite(lowest.min()):
            raise ObjectiveError(
                f"{space.objective.read_as} has no finite value in the region searched",
                hint="choose other bounds",
            )
        ended = self._ended()
        # The lowest point comes first, as its descent need not be over: it is not among the recorded rounds then.
        units = np.concatenate([self._gathered("lowest_point")[[np.argmin(lowest)]], self._gathered("points")[ended]])
        points = np.clip(space.origin + space.extent * units, space.low, space.high)
        basins, index = gathered(space, points)
        if index[0] < 0:
            raise ObjectiveError(
                f"{space.objective.read_as} is unbounded below", hint="give bounds to search inside a box"
            )
        counts = [int(np.sum(index[1:] == position)) for position in range(len(basins))]
        rounds = len(points) - 1
        counted = tuple(
            Basin(basin.point, basin.value, basin.kind, times, times / max(rounds, 1))
            for basin, times in zip(basins, counts, strict=True)
        )
        best, rise = counted[0], relief(space)
        reached = self._gathered("reached")[lowest <= lowest.min() + 1e-9 * max(1.0, abs(lowest.min()))].min()
        return Search(
            best=best,
            basins=tuple(basin for basin in counted if basin.count),
            rounds=rounds,
            confirmations=sum(level(value, best.value, rise) for value in heights(space, points[1:]).tolist()),
            evaluations=self.evaluations,
            evaluations_to_best=min(int(reached) * self._islands, self.evaluations),
            seconds=seconds,
            stopped=stopped,
            objective=space.objective,
            space=space,
        )
