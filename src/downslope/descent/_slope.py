"""`slope`: value, gradient, curvature and kind of one point."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope import _tree
from downslope._judgement import Judgement
from downslope._types import Columns, Point, plain
from downslope.descent._curvature import hessian_ends, signed, split
from downslope.descent._objective import Objective, check_point
from downslope.descent._objective import objective as objective_of
from downslope.descent._slope_ground import Ground, ground_of, judged
from downslope.descent._slope_kind import NOT_DEFINED, kind_of, note_of

_ROUNDING = 1e-13  # share of the highest curvature that rounding makes of zero


@dataclass(frozen=True, eq=False)
class Slope:
    """Value, gradient, curvature and kind of one point.

    Args:
        read_as: the objective, as it was read.
        name: the name of the objective.
        point: the point, an array by part.
        value: the objective there.
        gradient: ∇f, an array by part.
        steepness: ‖∇f‖.
        uphill: the unit direction of the gradient, by part; zeros where it vanishes.
        downhill: its opposite.
        hessian: shape (size, size), for points of up to 64 numbers; else None.
        eigenvalues: of the Hessian, ascending: all of them, or the lowest and the highest where `hessian` is None.
        lowest_direction: unit eigenvector of the lowest eigenvalue, by part.
        highest_direction: unit eigenvector of the highest eigenvalue, by part.
        kind: "slope" if the gradient is not 0; else "minimum", "maximum", "saddle", "inflection" (a horizontal one, of
            one variable), "level" or "degenerate" (not decided); "kink", "edge" or "jump" where there is a value but no
            gradient, and "not finite" where there is no value.
        note: an explanation of the kind, or "".
        agreement: relative difference between the gradient and central differences; NaN where there is no gradient.
        units: units by name, the objective's own under its name.
        judgement: the classification of the point, with its evidence.
    """

    read_as: str
    name: str
    point: Columns
    value: float
    gradient: Columns
    steepness: float
    uphill: Columns
    downhill: Columns
    hessian: np.ndarray | None
    eigenvalues: np.ndarray
    lowest_direction: Columns
    highest_direction: Columns
    kind: str
    note: str
    agreement: float
    units: Mapping[str, str]
    judgement: Judgement

    @property
    def largest_stable_rate(self) -> float | None:
        """2/λ_max, above which gradient descent jumps further out at every step; None where a direction curves down.

        Where one does, no rate is stable.
        """
        lowest, highest = float(self.eigenvalues[0]), float(self.eigenvalues[-1])
        # At a flat saddle the direction down curves at higher order.
        if self.kind == "saddle" or not (highest > 0 and lowest >= -_ROUNDING * highest):
            return None
        return 2 / highest

    @property
    def best_rate(self) -> float | None:
        """2/(λ_max + λ_min), the fixed rate that shrinks the slowest direction fastest; None where one curves down."""
        lowest, highest = float(self.eigenvalues[0]), float(self.eigenvalues[-1])
        return 2 / (highest + lowest) if lowest > _ROUNDING * highest else None

    @property
    def condition_number(self) -> float | None:
        """λ_max/λ_min; None where a direction does not curve up."""
        lowest, highest = float(self.eigenvalues[0]), float(self.eigenvalues[-1])
        return highest / lowest if lowest > _ROUNDING * highest else None

    def tangent(self, at: Point) -> float:
        """Return the value of the tangent line or plane at another point: f(x₀) + ∇f·(x − x₀).

        Args:
            at: a point of the same parts.
        """
        names = list(self.point)
        other = dict(zip(names, _tree.leaves(at), strict=True))
        return self.value + sum(float(np.sum(self.gradient[n] * (np.asarray(other[n]) - self.point[n]))) for n in names)

    @property
    def is_flat(self) -> bool:
        """Whether the gradient is zero up to rounding."""
        return self.judgement.smoothness == "smooth" and self.judgement.kind != "slope"

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data, for JSON; None stands for numbers that do not exist."""
        return plain(
            {
                "at": self.point,
                "value": self.value,
                "gradient": self.gradient,
                "steepness": self.steepness,
                "uphill": self.uphill,
                "downhill": self.downhill,
                "kind": self.kind,
                "note": self.note,
                "hessian": self.hessian,
                "eigenvalues": self.eigenvalues,
                "condition_number": self.condition_number,
                "largest_stable_rate": self.largest_stable_rate,
                "best_rate": self.best_rate,
                "central_differences_agree_to": self.agreement,
                "judgement": self.judgement.as_dict(),
            }
        )

    def __str__(self) -> str:
        from downslope.descent._slope_report import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from downslope.descent._slope_report import as_html

        return as_html(self)


def slope(objective: Any, at: Point, *, data: Any = None, units: Mapping[str, str] | None = None) -> Slope:
    """Return value, gradient, curvature, kind and learning rates at one point.

    If there is no value or no gradient, the kind and a note say why: a pole, an edge of the domain, a kink.

    Args:
        objective: a formula's text, a Formula, a JAX function of a point, or an Objective.
        at: the point: a mapping of names to numbers for a formula, any pytree of arrays for a function.
        data: the table of a formula's data columns.
        units: units by name, for a formula.

    Raises:
        DownslopeError: for text, a point or a function that cannot be used.

    >>> slope("h(x, y) = 100 - x² - 2y²", at={"x": 3, "y": 1}).steepness
    7.211102550927978
    """
    goal = objective_of(objective, data, units=units)
    at = check_point(goal, at)
    ground = ground_of(goal, at)
    return _assemble(goal, at, ground, judged(ground))


def _assemble(goal: Objective, at: Point, ground: Ground, judgement: Judgement) -> Slope:
    """Return the slope from computed values."""
    names, flat = _tree.part_names(at), ground.flat
    has_gradient = judgement.smoothness == "smooth"
    gradient = np.asarray(judgement.gradient, float) if has_gradient else np.full(len(flat), np.nan)
    steepness = math.hypot(*gradient.tolist())  # whose squares may overflow
    uphill = gradient / steepness if steepness > 0 else np.zeros_like(gradient)
    if has_gradient and judgement.kind != "slope":
        uphill = np.zeros_like(gradient)  # the direction of rounding
    hessian = (
        ground.hessian if has_gradient else None if ground.hessian is None else np.full_like(ground.hessian, np.nan)
    )
    if ground.hessian is None:
        ends = hessian_ends(goal, at)
        eigenvalues = np.array([ends.lowest, ends.highest])
        low, high = ends.lowest_direction, ends.highest_direction
    elif hessian is not None and np.all(np.isfinite(hessian)):
        eigenvalues, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
        low, high = split(signed(vectors[:, 0]), at), split(signed(vectors[:, -1]), at)
    else:
        eigenvalues = np.full(len(gradient), np.nan)
        low = high = split(np.full(len(gradient), np.nan), at)
    kind = kind_of(judgement)
    return Slope(
        read_as=goal.read_as,
        name=goal.name,
        point={name: np.asarray(leaf) for name, leaf in zip(names, _tree.leaves(at), strict=True)},
        value=float("nan") if kind == NOT_DEFINED else ground.value,
        gradient=split(gradient, at),
        steepness=steepness,
        uphill=split(uphill, at),
        downhill=split(-uphill + 0.0, at),
        hessian=hessian,
        eigenvalues=eigenvalues,
        lowest_direction=low,
        highest_direction=high,
        kind=kind,
        note=note_of(judgement, _called(goal), names if _is_plain(at) else (), flat.tolist()),
        agreement=_agreement(gradient, ground.differences),
        units=goal.units,
        judgement=judgement,
    )


def _agreement(gradient: np.ndarray, differences: np.ndarray) -> float:
    """Return the relative difference between a gradient and central differences."""
    steepness = math.hypot(*gradient.tolist())
    scale = max(steepness, math.hypot(*differences.tolist()), float(np.finfo(float).tiny))
    return 0.0 if steepness == 0 else math.hypot(*(differences - gradient).tolist()) / scale


def _called(goal: Objective) -> str:
    """Return the name of the value in a sentence: the formula's name, or the formula if it has none."""
    return goal.name if goal.formula is None or goal.formula.name is not None else goal.read_as


def _is_plain(point: Point) -> bool:
    """Tell whether a point is a mapping of names to numbers."""
    return all(np.ndim(leaf) == 0 for leaf in _tree.leaves(point))
