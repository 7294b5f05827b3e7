"""Classification of points: the one place that decides what kind of point lies at given coordinates.

A function is seen through `Surface`: values, gradients, a Hessian. The order of the evidence is

1. limits along rays, where there is no value: pole, gap, edge, jump, outside the domain;
2. one-sided slopes along opposite rays, unless the function is known to be smooth: kink, cusp, edge;
3. the gradient, held against the distance to the flat point that it implies: slope or not;
4. signs of the Hessian, each variable measured in its own unit of curvature, so that x² + 10⁷y² is as round as x² + y².
   A sign counts if it is the same at the neighbouring points that cannot be told from this one;
5. where the Hessian is singular, the splitting lemma (Gromoll and Meyer): the kind is that of the steep directions'
   signs and of the reduced value h(t), the value at the displacement t along the flat directions after Newton steps
   over the steep ones. For (x² − y)(x² − 3y), h(t) = −t⁴/3. Its sign is looked up at several distances;
6. where the ground is not smooth, the lowest and the highest value at several distances all around.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from downslope._judgement import Judgement, Look, Side
from downslope._looks import SIGNAL, Rises, kind_of_looks, looks_of
from downslope._numbers import median
from downslope._rays import Ray, directions_of, joint, rays

_EPSILON = float(np.finfo(float).eps)
_NEAR = 1e-7  # share of the lengths by which a Newton step may miss a flat point: √ε and a digit
_BLUR = 1e-11  # share of the lengths within which two points are the same to a sign of curvature
_SINGULAR = 1e-11  # scaled curvature that rounding of a Hessian's entries leaves
_DRIFT = 3.0  # a curvature must exceed its change over the blur by this factor
_LEVEL = 1e-7  # share of the steep directions' change that rounding leaves along a curve of critical points
_STEPS_AWAY = 3  # Newton's steps that have to grow before a point counts as no neighbour of a flat one
_GROWTH = 1.05
_STEEP_STEPS = 12  # chord-Newton steps over the steep directions
# Gauss and Legendre's rule of order 8, as `leggauss` has it, whose import takes as long as a descent.
_POSITIVE = np.array([0.18343464249564978, 0.525532409916329, 0.7966664774136267, 0.9602898564975362])
_THEIRS = np.array([0.36268378337836166, 0.3137066458778869, 0.22238103445337443, 0.10122853629037706])
_NODES, _WEIGHTS = np.concatenate([-_POSITIVE[::-1], _POSITIVE]), np.concatenate([_THEIRS[::-1], _THEIRS])
_MANY = 8  # variables above which rays all around are few: the cost grows, the evidence does not

Rows = Callable[[np.ndarray], np.ndarray]
Changes = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Surface:
    """A function as numbers.

    Args:
        values: rows of coordinates, shape (rows, size), to values, shape (rows,).
        gradients: rows to gradients, shape (rows, size).
        hessian: one point, shape (size,), to its Hessian, shape (size, size); None if it is too large.
        is_smooth: whether derivatives of all orders exist wherever there is a value.
        changes: a point and rows to the changes of the value and bounds of their errors, for functions that know them
            better than rounding allows; None to take differences.
    """

    values: Rows
    gradients: Rows
    hessian: Callable[[np.ndarray], np.ndarray] | None
    is_smooth: bool = False
    changes: Changes | None = None


@dataclass
class _Ground:
    """A point of a surface with what was computed of it."""

    surface: Surface
    point: np.ndarray
    lengths: np.ndarray
    blur: float
    value: float = float("nan")
    gradient: np.ndarray = field(default_factory=lambda: np.empty(0))

    def change(self, base: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the changes of the value from a base to rows, and the rounding in them."""
        if self.surface.changes is not None:
            return self.surface.changes(base, rows)
        with np.errstate(all="ignore"):
            start = self.surface.values(base[None])[0]
            ends = self.surface.values(rows)
            return ends - start, 8 * _EPSILON * np.maximum(np.abs(ends), abs(start))

    def rise(self, base: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the changes from a base to rows on smooth ground, by the gradient where rounding hides the values.

        A change is the integral of the gradient along the straight line, which a constant of 10¹⁷ does not blur.
        """
        change, error = self.change(base, rows)
        hidden = np.isfinite(change) & (np.abs(change) <= SIGNAL * error)
        if not hidden.any():
            return change, error
        ways = rows[hidden] - base
        nodes = base + ways[:, None, :] * ((_NODES[:, None] + 1) / 2)
        with np.errstate(all="ignore"):
            flat = self.surface.gradients(nodes.reshape(-1, len(base))).reshape(nodes.shape)
            rates = np.sum(flat * ways[:, None, :], axis=2)
            total = rates @ (_WEIGHTS / 2)
            # Adding up rates of both signs loses what cancels; a smooth rate is integrated to more digits than these.
            doubt = 1e-9 * np.abs(rates) @ (_WEIGHTS / 2)
        sure = np.isfinite(total)
        change[hidden] = np.where(sure, total, change[hidden])
        error[hidden] = np.where(sure, doubt, error[hidden])
        return change, error


def judge(
    surface: Surface,
    point: np.ndarray,
    *,
    lengths: np.ndarray | None = None,
    blur: float = 0.0,
    at_rest: bool | None = None,
    is_missing: bool = False,
) -> Judgement:
    """Decide what kind of point lies at given coordinates.

    Args:
        surface: the function.
        point: shape (size,).
        lengths: a length for each variable that the function is expected to change over, shape (size,); by default the
            coordinate's size, at least 1. Distances are shares of them.
        blur: how well the point is known, as a share of the lengths: closer than this nothing is looked at. 0 for
            coordinates that are meant exactly.
        at_rest: whether the point counts as flat; None to decide that from the gradient.
        is_missing: whether there is no value at the point, although the nearest float may have one: tan at π/2.
    """
    point = np.asarray(point, float)
    scale = np.maximum(np.abs(point), 1.0) if lengths is None else np.asarray(lengths, float)
    ground = _Ground(surface, point, scale, blur)
    with np.errstate(all="ignore"):
        ground.value = float(surface.values(point[None])[0])
        ground.gradient = np.asarray(surface.gradients(point[None])[0], float)
        if is_missing or not np.isfinite(ground.value):
            return _without_value(ground)
        if not surface.is_smooth or not np.all(np.isfinite(ground.gradient)):
            rough = _rough(ground)
            if rough is not None:
                return rough
        if not np.all(np.isfinite(ground.gradient)):
            return _rough_exactly(ground) or _without_gradient(ground)
        return _smooth(ground, at_rest)


# Points without a value


def _without_value(ground: _Ground) -> Judgement:
    """Judge a point at which there is no value, by the limits along rays."""
    sides = _rounded(ground, tuple(ray.side(float("nan")) for ray in _all_rays(ground)))
    known = [side for side in sides if side.trend != "undefined"]
    trends = {side.trend for side in known}
    if not known:
        return Judgement("undefined", "undefined", certain=True, by="limits", sides=sides)
    if trends & {"rises", "falls"}:
        return Judgement("undefined", "pole", by="limits", sides=sides)
    limits = np.array([side.limit for side in known])
    size = float(np.max(np.abs(limits)))
    spread = float(np.ptp(limits))
    # A limit extrapolated from values is good to some six digits.
    if spread > 1e-5 * max(size, _variation(ground)):
        return Judgement("undefined", "jump", by="limits", sides=sides)
    limit = float(median(limits))
    limit = 0.0 if abs(limit) <= 1e-9 * _variation(ground) else limit
    if len(known) < len(sides):
        return Judgement("undefined", "edge", by="limits", value=limit, sides=sides)
    return _filled(ground, limit, sides)


def _filled(ground: _Ground, limit: float, sides: tuple[Side, ...]) -> Judgement:
    """Judge a gap as if the limit stood in it."""

    def change(base: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ends = ground.surface.values(rows)
        # The limit is an estimate, and what cancels in a quotient near its gap is lost.
        return ends - limit, np.full(len(rows), 1e-10 * max(abs(limit), _variation(ground), 1e-300))

    kind, isolated, looks = _around(ground, change)
    sides = tuple(replace(side, slope=float("nan")) for side in sides)  # what cancels spoils them
    return Judgement(kind, "gap", isolated, by="limits", value=limit, sides=sides, looks=looks)


def _rounded(ground: _Ground, sides: tuple[Side, ...]) -> tuple[Side, ...]:
    """Return the ground along rays with 0 for limits and slopes that are nothing but rounding."""
    unit = _variation(ground)
    slope = unit / float(np.max(ground.lengths))
    return tuple(
        replace(
            side,
            limit=0.0 if abs(side.limit) <= 1e-9 * unit else side.limit,
            slope=0.0 if abs(side.slope) <= 1e-9 * slope else side.slope,
        )
        for side in sides
    )


def _variation(ground: _Ground) -> float:
    """Return how much the value varies over the lengths, to hold a limit against."""
    rows = ground.point + 0.1 * ground.lengths * directions_of(len(ground.point))
    values = ground.surface.values(rows)
    values = np.abs(values[np.isfinite(values)])
    return float(np.max(values, initial=0.0))


# Points where the gradient may not exist


def _all_rays(ground: _Ground) -> list[Ray]:
    """Return rays in opposite pairs."""
    size = len(ground.point)
    more = 3 if size <= _MANY else 0
    return rays(ground.surface.values, ground.point, ground.lengths, directions_of(size, more), ground.blur)


def _rough(ground: _Ground) -> Judgement | None:
    """Judge a point where the domain ends or the slope jumps; None where the ground is smooth."""
    every = _all_rays(ground)
    pairs = list(zip(every[::2], every[1::2], strict=True))
    sides = _rounded(ground, tuple(ray.side(ground.value) for ray in every))
    limits = [side.limit for side in sides if side.trend == "finite"]
    tolerance = 1e-6 * max(abs(ground.value), _variation(ground))
    smoothness = "smooth"
    if any(side.trend in ("rises", "falls") for side in sides):
        smoothness = "pole"
    elif any(abs(limit - ground.value) > tolerance for limit in limits):
        smoothness = "jump"
    elif any(side.trend == "undefined" for side in sides):
        smoothness = "edge"
    else:
        joints = [joint(ahead, behind, ground.value) for ahead, behind in pairs]
        smoothness = next((kind for kind in ("cusp", "kink") if kind in joints), "smooth")
    if smoothness == "smooth":
        return None
    kind, isolated, looks = _around(ground, ground.change)
    if kind == "inflection" or (kind == "saddle" and any(map(_passes, sides[::2], sides[1::2]))):
        kind = "slope"
    return Judgement(
        kind,
        smoothness,
        isolated,
        by="slopes" if smoothness in ("kink", "cusp") else "limits",
        value=ground.value,
        gradient=tuple(np.where(np.isfinite(ground.gradient), ground.gradient, np.nan).tolist()),
        sides=sides,
        looks=looks,
    )


def _rough_exactly(ground: _Ground) -> Judgement | None:
    """Judge a kink that rounding hides, as that of √(1 − cos x) at 0, by changes of the value that are free of it."""
    changes = ground.surface.changes
    if changes is None:
        return None
    surface = replace(ground.surface, values=lambda rows: changes(ground.point, rows)[0])
    rough = _rough(replace(ground, surface=surface, value=0.0))
    if rough is None or rough.smoothness not in ("kink", "cusp"):
        return None
    sides = tuple(replace(side, limit=side.limit + ground.value) for side in rough.sides)
    return replace(rough, value=ground.value, sides=sides)


def _without_gradient(ground: _Ground) -> Judgement:
    """Judge a point on smooth ground whose gradient has no number, as that of e^(−1/x²) at 0, by differences."""
    size = len(ground.point)
    ahead = [ray.slope(ground.value) for ray in _all_rays(ground)[: 2 * size : 2]]
    gradient = tuple(float(slope) for slope in ahead)
    if np.any(np.abs(ahead) * ground.lengths > 1e-6 * _variation(ground)):
        return Judgement("slope", "smooth", by="slopes", value=ground.value, gradient=gradient)
    kind, isolated, looks = _around(ground, ground.change)
    return Judgement(kind, "smooth", isolated, by="values", value=ground.value, gradient=(0.0,) * size, looks=looks)


def _passes(ahead: Side, behind: Side) -> bool:
    """Tell whether the value rises along one ray and falls along the opposite one, at first order."""
    slopes = ahead.slope, behind.slope
    return min(slopes) < 0 < max(slopes) and min(map(abs, slopes)) > 1e-6 * max(map(abs, slopes))


def _around(ground: _Ground, change: Changes) -> tuple[str, bool | None, tuple[Look, ...]]:
    """Return the kind of the values all around a point, whether it is isolated, and the evidence."""
    size = len(ground.point)

    def rises(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return change(ground.point, ground.point + shares * ground.lengths)

    # A curved valley that ends in a kink, as of |y − x²|, is sharper than angles can be told at the smallest distances.
    kind, isolated, looks = kind_of_looks(
        looks_of(rises, size, max(ground.blur, 1e-4 if size > 1 else 0.0), False), size
    )
    if kind == "inflection" and looks[-1].highest < (looks[-1].radius / looks[0].radius) ** 1.5 * looks[0].highest:
        kind = "slope"  # the change is in proportion to the distance, and not to its cube
    return kind, isolated, looks


# Smooth ground


def _smooth(ground: _Ground, at_rest: bool | None) -> Judgement:
    """Judge a point with value and gradient."""
    size, gradient = len(ground.point), ground.gradient
    hessian = None if ground.surface.hessian is None else _hessian(ground, ground.point)
    if hessian is None or not np.all(np.isfinite(hessian)):
        return _without_hessian(ground, at_rest)
    units = _units(hessian, ground.lengths)
    scaled = hessian * units * units[:, None]
    curvatures, directions = np.linalg.eigh(scaled)
    slopes = directions.T @ (units * gradient)
    steep = np.abs(curvatures) > _SINGULAR
    rests = _rests(ground, curvatures, directions, slopes, steep, units) if at_rest is None else at_rest
    common = {
        "value": ground.value,
        "gradient": tuple(map(float, gradient)),
        "curvatures": tuple(map(float, curvatures)),
    }
    if not rests:
        return Judgement("slope", "smooth", certain=True, by="slopes", **common)
    # The flat point lies about one Newton step away, so that anything closer than a few of them is not looked at.
    step = np.where(steep, slopes / np.where(steep, curvatures, 1.0), 0.0)
    missed = float(np.max(np.abs(units * (directions @ step)) / ground.lengths, initial=0.0))
    near = max(4 * missed, _BLUR, ground.blur, 8 * _EPSILON * float(np.max(np.abs(ground.point) / ground.lengths)))
    steep &= np.abs(curvatures) > _DRIFT * _drift(ground, scaled, units, near)
    if steep.all():
        return Judgement(_by_signs(curvatures), "smooth", True, certain=True, by="curvature", **common)
    up, down = bool(np.any(curvatures[steep] > 0)), bool(np.any(curvatures[steep] < 0))
    flat = directions[:, ~steep]
    along = units[:, None] * flat
    along /= np.max(np.abs(along) / ground.lengths[:, None], axis=0)
    common["flat_directions"] = tuple(map(tuple, (along / np.linalg.norm(along, axis=0)).T.tolist()))
    if up and down:
        return Judgement("saddle", "smooth", None, certain=True, by="curvature", **common)
    rises = _reduced(ground, units[:, None] * directions[:, steep], curvatures[steep], along)
    reduced, isolated, looks = kind_of_looks(
        looks_of(rises, along.shape[1], max(10 * missed, ground.blur)), along.shape[1]
    )
    if reduced == "degenerate" and steep.any():
        unit = float(np.min(np.abs(curvatures[steep]))) * float(np.min(ground.lengths / units)) ** 2 / 2
        if looks and all(_is_level(look, unit) for look in looks):
            reduced, isolated = "level", False
    kind = _joined(reduced, up, down, size)
    return Judgement(
        kind, "smooth", isolated, certain=False, by="values" if kind != "degenerate" else "", looks=looks, **common
    )


def _hessian(ground: _Ground, point: np.ndarray) -> np.ndarray:
    """Return the symmetric Hessian at a point."""
    assert ground.surface.hessian is not None
    hessian = np.asarray(ground.surface.hessian(point), float)
    return (hessian + hessian.T) / 2


def _units(hessian: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return a unit for each variable in which the largest entry of its row of the Hessian is 1.

    A variable without curvature keeps its length. References: Ruiz, "A scaling algorithm to equilibrate both rows and
    columns norms in matrices", 2001.
    """
    units = np.where(np.max(np.abs(hessian), axis=1) > 0, 1.0, lengths)
    for _ in range(40):
        largest = np.max(np.abs(hessian * units * units[:, None]), axis=1)
        largest = np.where(largest > 0, largest, 1.0)
        if np.all(np.abs(largest - 1) < 1e-3):
            break
        units = units / np.sqrt(largest)
    return units


def _rests(
    ground: _Ground,
    curvatures: np.ndarray,
    directions: np.ndarray,
    slopes: np.ndarray,
    steep: np.ndarray,
    units: np.ndarray,
) -> bool:
    """Tell whether the gradient is zero up to rounding."""
    if not np.any(slopes):
        return True
    steps = np.where(steep, slopes / np.where(steep, curvatures, 1.0), 0.0)
    missed = np.abs(units * (directions @ steps)) / ground.lengths
    gain = float(np.sum(np.abs(steps * slopes)))
    near = bool(np.all(missed <= _NEAR)) and not _leads_away(ground, directions, steps, steep, units)
    drowned = gain <= 1e-14 * abs(ground.value) and bool(np.all(missed <= 1e-4))
    if not (near or drowned):
        return False
    # Along the flat directions a gradient must not be more than rounding of its own terms or of the value.
    rest = np.abs(directions[:, ~steep] @ slopes[~steep]) / units * ground.lengths
    typical = np.abs(ground.surface.gradients(ground.point + 0.1 * ground.lengths * directions_of(len(rest), 0)))
    typical = np.max(np.where(np.isfinite(typical), typical, 0.0), axis=0) * ground.lengths
    return bool(np.all(rest <= np.maximum(1e-9 * typical, 1e-14 * abs(ground.value))))


def _leads_away(
    ground: _Ground, directions: np.ndarray, steps: np.ndarray, steep: np.ndarray, units: np.ndarray
) -> bool:
    """Tell whether Newton's steps grow, one further on than the other: toward no flat point, as from 10⁻⁹ on 1/x.

    Steps toward a flat point shrink, each to a share of the one before or to rounding.
    """
    point, last = ground.point, steps
    for _ in range(_STEPS_AWAY):
        point = point - units * (directions @ last)
        gradient = np.asarray(ground.surface.gradients(point[None])[0], float)
        hessian = _hessian(ground, point) * units * units[:, None]
        if not (np.all(np.isfinite(gradient)) and np.all(np.isfinite(hessian))):
            return False
        curvatures = np.einsum("ik,ij,jk->k", directions, hessian, directions)
        counted = steep & (curvatures != 0)
        step = np.where(counted, directions.T @ (units * gradient) / np.where(counted, curvatures, 1.0), 0.0)
        if step @ last <= 0 or np.linalg.norm(step) <= _GROWTH * np.linalg.norm(last):
            return False
        last = step
    return True


def _drift(ground: _Ground, scaled: np.ndarray, units: np.ndarray, near: float) -> float:
    """Return how much the scaled Hessian changes between points that cannot be told from this one."""
    size = len(ground.point)
    largest = 0.0
    for direction in directions_of(size, 2 if size > 1 else 0)[: 2 * _MANY]:
        moved = _hessian(ground, ground.point + near * ground.lengths * direction) * units * units[:, None]
        if np.all(np.isfinite(moved)):
            largest = max(largest, float(np.linalg.norm(moved - scaled, 2)))
    return largest


def _without_hessian(ground: _Ground, at_rest: bool | None) -> Judgement:
    """Judge a point by its values alone."""
    size = len(ground.point)
    gradient = tuple(map(float, ground.gradient))
    if not at_rest and np.any(ground.gradient != 0):
        return Judgement("slope", "smooth", certain=True, by="slopes", value=ground.value, gradient=gradient)
    if size > _MANY:
        return Judgement("degenerate", "smooth", value=ground.value, gradient=gradient)
    kind, isolated, looks = _around(ground, ground.rise)
    return Judgement(kind, "smooth", isolated, by="values", value=ground.value, gradient=gradient, looks=looks)


def _by_signs(curvatures: np.ndarray) -> str:
    """Return the kind that the signs of all curvatures decide."""
    if curvatures[0] > 0:
        return "minimum"
    return "maximum" if curvatures[-1] < 0 else "saddle"


def _is_level(look: Look, unit: float) -> bool:
    """Tell whether changes along flat directions are nothing against those of the steep ones, unit·r²."""
    return max(-look.lowest, look.highest) <= _LEVEL * unit * look.radius**2


def _joined(reduced: str, up: bool, down: bool, size: int) -> str:
    """Return the kind of a point from that of the reduced value and the signs of the steep directions."""
    if reduced in ("inflection", "saddle"):
        return "inflection" if size == 1 else "saddle"
    if reduced == "level":
        return "minimum" if up else "maximum" if down else "level"
    if (reduced == "minimum" and down) or (reduced == "maximum" and up):
        return "saddle"
    return reduced


def _reduced(ground: _Ground, steep: np.ndarray, curvatures: np.ndarray, along: np.ndarray) -> Rises:
    """Return the function from displacements along the flat directions to the reduced change of the value.

    Args:
        ground: the point.
        steep: the steep directions, each in its own unit, shape (size, steep).
        curvatures: their scaled curvatures.
        along: the flat directions, shape (size, flat).
    """

    def settled(rows: np.ndarray) -> np.ndarray:
        if not steep.shape[1]:
            return rows
        for _ in range(_STEEP_STEPS):
            slopes = ground.surface.gradients(rows) @ steep
            step = (slopes / curvatures) @ steep.T
            rows = np.where(np.all(np.isfinite(step), axis=1, keepdims=True), rows - step, rows)
            if np.nanmax(np.abs(step) / ground.lengths, initial=0.0) <= _EPSILON * np.max(np.abs(rows - ground.point)):
                break
        return rows

    base = settled(ground.point[None])[0]

    def rises(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = settled(base + shares @ along.T)
        change, error = ground.rise(base, rows)
        # What the Newton steps leave of the slope over the steep directions is a part of the value, g²/2λ.
        left = ground.surface.gradients(rows) @ steep
        doubt = np.sum(left**2 / np.abs(curvatures), axis=1) if steep.shape[1] else 0.0
        return change, error + doubt

    return rises
