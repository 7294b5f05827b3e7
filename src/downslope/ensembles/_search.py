"""Search for the lowest minimum of an objective in a box or about a point, with evidence that it is the lowest."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np

from downslope._choices import checked, defaults, door
from downslope._engine import jax
from downslope._errors import ObjectiveError
from downslope._text import number
from downslope._types import Point, plain
from downslope.descent import COMPILING, EngineName, Objective, chosen_engine, obstacle
from downslope.descent import objective as objective_of
from downslope.ensembles._basins import Basin, gathered, heights, is_far, level, point_in_words, relief, shown_row
from downslope.ensembles._choices import SearchChoices
from downslope.ensembles._hopping import CHAINS, Islands, begin, compiled, in_numpy, iteration_seconds
from downslope.ensembles._lanes import count, on_device
from downslope.ensembles._space import Space, in_units, numeric_objective, program, space_of
from downslope.executors import Crew, Unit
from downslope.formulas import Formula

_ISLANDS = 4
_MOST_ROUNDS = 64
_NOWHERE = 100_000  # evaluations without a finite value after which a search gives up
_FIRST_ITERATIONS = 32  # before the first test for the end
_SHARE = 8  # of the iterations so far, which pass until the next test
_ENDLESS = 1 << 62


@dataclass(frozen=True, eq=False)
class Search:
    """The result of a search.

    Args:
        best: the lowest basin; its `count` is the number of rounds that ended there.
        basins: the basins where rounds ended, the lowest first; rounds are independent of each other.
        rounds: number of completed rounds.
        confirmations: number of rounds that ended as low as the best.
        evaluations: number of evaluations of value and gradient.
        evaluations_to_best: evaluations until the lowest value was first reached, to the nearest iteration.
        seconds: duration, compilation included.
        compiling: seconds spent on compilation, included in `seconds`.
        engine: "numpy", "jax", or "numpy, jax" if the second took over.
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
    compiling: float
    engine: str
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
        if self.best.kind in ("saddle", "maximum"):
            return (
                f"The lowest point that was met, {value} at {where}, is a {self.best.kind}: the value falls from there."
            )
        kind = "" if self.best.kind == "minimum" else f" ({_KINDS.get(self.best.kind, self.best.kind)})"
        return f"The lowest value found is {value} at {where}{kind}. {self._evidence()}"

    def _evidence(self) -> str:
        """Return a sentence on how many rounds ended at the best."""
        if not self.rounds:
            return "No round ended; allow more time or more evaluations."
        if self.confirmations == self.rounds:
            times = {1: "The one round", 2: "Both rounds"}.get(self.rounds, f"All {self.rounds} rounds")
            return f"{times} from independent starts ended there."
        if not self.confirmations:
            return f"None of the {self.rounds} rounds that ended reached this value again: it may not be the lowest."
        return f"{self.confirmations} of {self.rounds} rounds from independent starts ended there, and none lower."

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain data, for JSON."""
        return plain(
            {
                "read_as": self.objective.read_as,
                "best": self.best.as_dict(),
                "basins": [basin.as_dict() for basin in self.basins],
                "rounds": self.rounds,
                "found": self.confirmations,
                "evaluations": self.evaluations,
                "evaluations_to_best": self.evaluations_to_best,
                "seconds": self.seconds,
                "compiling": self.compiling,
                "engine": self.engine,
                "stopped": self.stopped,
                "sentence": self.sentence,
            }
        )

    def __str__(self) -> str:
        effort = f"{self.evaluations:,} evaluations".replace(",", " ")
        compiling = f", {self.compiling:.2f} s of them compiling" if self.compiling else ""
        spent = f"{effort} in {self.seconds:.2f} s{compiling}; {_REASONS[self.stopped]}"
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
    """Search for the lowest valley, and report how often it was found again.

    Islands of 16 chains hop from valley to valley; one that finds nothing lower for long ends its round and starts
    again at random points. The search stops when enough rounds have ended at the same lowest point, when the target is
    reached, or when the time or the evaluations are used up. Such a search cannot prove that there is nothing lower.

    Args:
        objective: a formula's text, a Formula, a JAX function of a point, or an Objective.
        bounds: (low, high) of every variable by name; for a function, a pair of points.
        **choices: as in `SearchChoices`.

    Returns:
        The lowest point, and the evidence for it.

    Raises:
        PointError: for invalid bounds or an invalid spread.
        SettingError: for invalid limits.
        ObjectiveError: if no finite value was found.

    >>> best = search("x⁴ - 4x² + x", bounds={"x": (-3, 3)})
    >>> round(best.point["x"], 6), round(best.value, 6), best.stopped
    (-1.472998, -5.444192, 'evidence')
    """
    chosen = {**defaults(SearchChoices), **checked(SearchChoices, choices, also=("objective", "bounds"))}
    goal = objective_of(objective, chosen["data"], units=chosen["units"], table=chosen["table"])
    space = space_of(goal, bounds, chosen["spread"], chosen["centre"])
    began = time.perf_counter()
    islands = chosen["islands"] or _ISLANDS
    with Crew(chosen["executor"], threads=count) as crew:
        run = _IslandSearch(space, islands, chosen["seed"], chosen["engine"], crew)
        stopped = run.until(chosen["confirmations"], chosen["target"], chosen["seconds"], chosen["evaluations"])
        return run.result(stopped, time.perf_counter() - began)


def _advanced(space: Space, islands: Islands, number: int, seed: int, first: int, iterations: int) -> Islands:
    """Return some islands after a number of iterations, compiled."""
    numbers = np.uint32(seed), np.int64(first), np.int64(iterations)
    shared = (*numbers, space.origin, space.extent, space.unit_bounds, space.objective.data)
    return on_device(program(space, compiled), (islands, *shared), number, "float64")


class _IslandSearch:
    """A running search: in NumPy from the first moment, compiled from where that pays.

    Args:
        space: the box or cloud.
        islands: number of islands.
        seed: seed of the random numbers.
        engine: "numpy", "jax" or "auto".
        crew: advances them once they are compiled.
    """

    def __init__(self, space: Space, islands: int, seed: int, engine: EngineName, crew: Crew) -> None:
        self.space, self._crew = space, crew
        self.evaluations = 0
        self._seed, self._count = seed, islands
        self._iterations, self._compiling = 0, 0.0
        self._compiled = False
        self._states = [begin(seed, np.arange(islands), space.unit_bounds, _MOST_ROUNDS)]
        self._engine = chosen_engine(engine, obstacle(space.objective), lambda: 0.0)
        # How long a search takes is not known beforehand. It is compiled once NumPy has computed for about as long as
        # compiling takes: by the estimate, not by the clock, so that a seed gives the same search again.
        self._most_in_numpy = 0
        goal = numeric_objective(space)
        if self._engine == "numpy" and goal is not None:
            self._at = in_units(goal.values_and_gradients, space.origin, space.extent)
            seconds = iteration_seconds(space, islands)
            self._most_in_numpy = _ENDLESS if engine == "numpy" else int(COMPILING / seconds) + 1

    def until(self, confirmations: int, target: float | None, seconds: float, evaluations: int | None) -> str:
        """Run until there is a reason to stop, and return it."""
        began = time.perf_counter()
        most = None if evaluations is None else max(evaluations // (self._count * CHAINS), 1)
        per_iteration = 0.0
        try:
            while True:
                spent = time.perf_counter() - began
                iterations = max(_FIRST_ITERATIONS, self._iterations // _SHARE)
                if most is not None:
                    iterations = min(iterations, most - self._iterations)
                if per_iteration:
                    iterations = max(min(iterations, int((seconds - spent) / per_iteration)), 1)
                if self._is_worth_compiling(seconds - spent):
                    self._compile()
                before = time.perf_counter()
                self._advance(iterations)
                now = time.perf_counter()
                per_iteration = (now - before) / iterations
                if target is not None and self._gathered("lowest").min() <= target:
                    return "target"
                if confirmations and self._confirmations() >= confirmations:
                    return "evidence"
                if self.evaluations >= _NOWHERE and not np.isfinite(self._gathered("lowest").min()):
                    return "nowhere"
                if is_far(self.space, self._lowest_points()).any():
                    return "unbounded"
                if most is not None and self._iterations >= most:
                    return "evaluations"
                if now - began >= seconds:
                    return "time"
        except KeyboardInterrupt:
            return "interrupted"

    def _is_worth_compiling(self, left: float) -> bool:
        """Whether NumPy has computed for as long as compiling takes; not in the last seconds that are left."""
        return (
            not self._compiled
            and self._iterations >= self._most_in_numpy
            and (not self._most_in_numpy or left > COMPILING)
        )

    def _compile(self) -> None:
        """Go on in JAX from here."""
        began = time.perf_counter()
        self._compiled = True
        # By twos whatever the machine, since another number of lanes may round otherwise.
        pieces = self._count // 2 if self._count % 2 == 0 else self._count
        (state,) = self._states
        leaves = [np.split(np.asarray(leaf), pieces) for leaf in jax().tree.leaves(state)]
        shape = jax().tree.structure(state)
        self._states = [jax().tree.unflatten(shape, piece) for piece in zip(*leaves, strict=True)]
        self._engine = "numpy, jax" if self._iterations else "jax"
        self._advance(0)
        self._compiling = time.perf_counter() - began

    def _advance(self, iterations: int) -> None:
        """Advance every island by a number of iterations."""
        space, first = self.space, self._iterations + 1
        if not self._compiled:
            (state,) = self._states
            self._states = [in_numpy(self._at, state, self._seed, first, iterations, space.unit_bounds)]
        else:
            span = self._seed, first, iterations
            units = [Unit(_advanced, space, (state, number, *span)) for number, state in enumerate(self._states)]
            self._states = self._crew.results(units)
        self._iterations += iterations
        self.evaluations += iterations * self._count * CHAINS

    def _gathered(self, name: str) -> np.ndarray:
        """Return one field of every island, stacked."""
        return np.concatenate([getattr(state, name) for state in self._states])

    def _lowest_points(self) -> np.ndarray:
        """Return the point of the lowest value of every island, shape (islands, size)."""
        return self.space.origin + self.space.extent * self._gathered("lowest_point")

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
                f"{space.objective.read_as} has no finite value at any of {self.evaluations} points searched",
                hint="choose other bounds",
            )
        ended = self._ended()
        # The lowest point comes first, as its descent need not be over: it is not among the recorded rounds then.
        units = np.concatenate([self._gathered("lowest_point")[[np.argmin(lowest)]], self._gathered("points")[ended]])
        points = np.clip(space.origin + space.extent * units, space.low, space.high)
        basins, index = gathered(space, points, along_creases=True)
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
        # A round counts by the bottom of its basin; where the descents were not at rest, by what it had reached.
        settled = np.array(heights(space, points[1:]))
        for position, basin in enumerate(basins):
            if basin.kind not in ("not at rest", "other"):
                settled[index[1:] == position] = basin.value
        reached = self._gathered("reached")[lowest <= lowest.min() + 1e-9 * max(1.0, abs(lowest.min()))].min()
        return Search(
            best=best,
            basins=tuple(basin for basin in counted if basin.count),
            rounds=rounds,
            confirmations=sum(level(value, best.value, rise) for value in settled.tolist()),
            evaluations=self.evaluations,
            evaluations_to_best=min(int(reached) * self._count, self.evaluations),
            seconds=seconds,
            compiling=self._compiling,
            engine=self._engine,
            stopped=stopped,
            objective=space.objective,
            space=space,
        )
