"""The state of a descent at its end: one for each trace, from which the verdicts follow.

Each rule recognises one state, or several of a kind, from the evidence, or passes. They are consulted by rank, the
first answer counts, and a descent that none of them recognises simply falls. A check may bring a rule of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from downslope.diagnosis._end_curvature import EndCurvature
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._steps_to_go import steps_at_speed
from downslope.diagnosis._surroundings import Fall, Surroundings
from downslope.trace import Outcome

# A millionth of the way is left when a millionth squared of the decrease is: in values, 1e-12.
ARRIVED = 1e-12
# Who asks for a coarser tolerance gets it, if a hundredth of the way (a hundredth squared of the decrease) is left.
ARRIVED_BY_TOLERANCE = 1e-4
# Values closer than this many roundings of the value are the same value.
VALUE_ROUNDINGS = 4
# A flat point that was never descended to must lie within a millionth of the point's own size.
NEAR = 1e-6
# A ten-thousandth of the steepest curvature is too much for rounding or drift to explain.
EVIDENT = 1e-4
# Where the ground curves downward, flat ground must be near: a thousandth of the point's own size.
NEAR_ON_TOP = 1e-3
# Fifty steps for each decimal digit of the way count as slow: the error then shrinks by less than ln 10 / 50 a step.
STEPS_PER_DIGIT = 50
SLOW_CONTRACTION = 1 - math.log(10) / STEPS_PER_DIGIT
# At pace p a step covers 2p of the way along the steepest curvature; slower than fifty steps a digit even there:
SLOW_PACE = math.log(10) / STEPS_PER_DIGIT / 2
# For methods whose steps do not follow the slope: ten times the steps taken are still to go.
OVERLONG = 10
# Successive updates within 26° of opposite bounce; below 1 % a step, and half over the last half, a bounce lasts.
BOUNCING_COSINE = -0.9
LASTING_CONTRACTION = 0.99
# Ends up within a tenth of the way it walked, on a value that no longer falls: it goes round and round.
GETS_NOWHERE = 0.1
# A swing of less than a hundredth of what was gained is the floor that a fixed length of step leaves.
FLOOR = 0.01
# Falling without end: the slope has grown a thousandfold, downhill all the way.
STEEPENED = 1e3
UNWEAKENED = 0.999
# Heading for a saddle: nine tenths of the decrease are done and nothing but rounding points along the way out.
SADDLE_SHARE_LEFT = 0.1
NO_WAY_OUT = 1e-12
# The noise floor is an average; ten times as high is still the floor.
NOISE_FLOORS = 10.0
# Slope and curvature that fade in step (exponent 1) mark a tail; on |x|ᵖ the exponent is (p−2)/(p−1), 0.9 at p = 11.
TAIL_EXPONENT = 0.9
# Steps of less than a billionth of the point's size: it stands.
STANDS_STILL = 1e-9
# A slope that is a thousandth of that at the start has faded.
_FADED_SLOPE = 1e-3
# A flat bottom is told from a shelf by its order p: x⁴ to x⁸ turn up again on the other side, x³ and x⁵ go on falling.
HIGHEST_FLAT_ORDER = 10.0


@dataclass(frozen=True)
class EndState:
    """The state of a descent at its end.

    Args:
        words: the state, in words.
    """

    words: str

    NOT_FINITE: ClassVar[EndState]
    AT_MINIMUM: ClassVar[EndState]
    AT_SADDLE: ClassVar[EndState]
    AT_MAXIMUM: ClassVar[EndState]
    FLAT: ClassVar[EndState]
    RISING: ClassVar[EndState]
    UNBOUNDED: ClassVar[EndState]
    AT_KINK: ClassVar[EndState]
    BOUNCING: ClassVar[EndState]
    CRAWLING: ClassVar[EndState]
    FALLING: ClassVar[EndState]


EndState.NOT_FINITE = EndState("met something that is not a finite number")
EndState.AT_MINIMUM = EndState("rests at a minimum")
EndState.AT_SADDLE = EndState("rests at a saddle, or is heading straight into one")
EndState.AT_MAXIMUM = EndState("rests on a maximum")
EndState.FLAT = EndState("lies on flat ground that need not be a bottom")
EndState.RISING = EndState("climbs")
EndState.UNBOUNDED = EndState("falls faster and faster, without end")
EndState.AT_KINK = EndState("is held by a kink or a cusp")
EndState.BOUNCING = EndState("bounces to and fro")
EndState.CRAWLING = EndState("creeps")
EndState.FALLING = EndState("falls")


_JUDGED = {
    "minimum": EndState.AT_MINIMUM,
    "saddle": EndState.AT_SADDLE,
    "maximum": EndState.AT_MAXIMUM,
    "inflection": EndState.FLAT,
}


@dataclass(frozen=True)
class StateRule:
    """The rule that recognises a state.

    Args:
        rank: rules of a smaller rank are consulted first.
        recognise: returns the state, or None where the rule does not apply.
    """

    rank: int
    recognise: Callable[[Evidence], EndState | None]


def state_of(evidence: Evidence, further: Iterable[StateRule] = ()) -> EndState:
    """Return the state of a descent at its end.

    Args:
        evidence: the quantities of the descent.
        further: rules of checks, in addition to those of this module.
    """
    for rule in sorted((*_RULES, *further), key=lambda rule: rule.rank):
        state = rule.recognise(evidence)
        if state is not None:
            return state
    return EndState.FALLING


def plunges(evidence: Evidence) -> bool:
    """Tell whether the value falls ever faster: the slope a thousandfold, the ground bending down as ever.

    On the way over a brow the slope grows as well, but the curvature weakens before the ground can turn up again.
    """
    curvature = evidence.curvature[np.isfinite(evidence.curvature)]
    if not len(curvature) or not curvature[-1] < 0 or not evidence.decrease > 0:
        return False
    grown = evidence.gradient_norm[-1] >= STEEPENED * evidence.gradient_norm[0] > 0
    # Down a cusp the slope grows as well, but the value tends to that of the tip.
    if evidence.value[len(evidence.value) // 2] - evidence.value[-1] < evidence.decrease / 2:
        return False
    return bool(grown and curvature[-1] <= UNWEAKENED * np.min(curvature))


def _rests(evidence: Evidence) -> bool:
    """Tell whether the descent stands on flat ground, as far as its numbers or its tolerance can tell."""
    end, outcome = evidence.end, evidence.trace.outcome
    left, way = end.remaining_decrease, end.newton_length
    if end.gradient_norm == 0:
        return True
    if _steepened(evidence):  # a stop close to a pole is no rest, however short the way to its flat point seems
        return False
    # Without curvature only the tolerance can tell that a descent rests.
    if left is None or way is None:
        return outcome is Outcome.CONVERGED and end.spectrum is None
    # The gradient is exact: a value too large to show a change does not hide a flat point close by.
    if end.is_level and not (end.is_bowl and way <= NEAR * (end.scale or 1.0)):
        return outcome in (Outcome.CONVERGED, Outcome.STALLED)
    if not end.is_bowl and way > NEAR_ON_TOP * end.scale and not _tiny(evidence, way):
        return False
    if left <= ARRIVED * evidence.decrease or left <= VALUE_ROUNDINGS * end.epsilon * abs(evidence.value[-1]):
        return True
    if outcome is Outcome.CONVERGED:
        return left <= ARRIVED_BY_TOLERANCE * evidence.decrease or _tiny(evidence, way)
    # A step that changes nothing is rest only close to the flat point; elsewhere the steps are too short.
    return outcome is Outcome.STALLED and way <= NEAR * end.scale


def _steepened(evidence: Evidence) -> bool:
    """Tell whether the ground is a thousand times as steep as at the start, and nowhere on the way was it steeper."""
    last = evidence.gradient_norm[-1]
    return bool(last >= STEEPENED * evidence.gradient_norm[0] > 0 and last >= np.max(evidence.gradient_norm))


def _tiny(evidence: Evidence, way: float) -> bool:
    """Tell whether the flat point lies within a millionth of the point's size, or of 1 where that is smaller."""
    return evidence.trace.outcome is Outcome.CONVERGED and way <= NEAR * max(evidence.end.scale, 1.0)


def _kind(evidence: Evidence) -> EndState | None:
    """Return the kind of a flat point; None if the point is not flat."""
    end, around = evidence.end, evidence.around
    if around is not None and around.falls is not None:
        return _kind_of_falling(evidence, around, around.falls)
    if end.spectrum is None:
        return EndState.AT_MINIMUM if evidence.decrease > 0 else EndState.FLAT
    # Values that rise all around prove a minimum where slope and curvature are zero, as those of x⁴ at 0.
    if end.gradient_norm == 0 and around is not None and around.judged == "minimum":
        return EndState.AT_MINIMUM
    if end.is_level and not (end.is_bowl and (end.newton_length or 0.0) <= NEAR * (end.scale or 1.0)):
        return EndState.FLAT
    if around is not None and around.edge and end.gradient_norm > 0 and not end.is_bowl:
        return None  # a slope down to the edge of the domain
    if around is not None and around.judged in _JUDGED:
        return _JUDGED[around.judged]
    # Values around outrank the curvature at one point, which may be negative on the flank of a flat minimum.
    if around is not None and around.rises:
        return EndState.AT_MINIMUM
    if end.curves_down:
        return EndState.AT_SADDLE if end.curves_up else EndState.AT_MAXIMUM
    if not end.curves_up:
        return EndState.FLAT
    if end.order is None:
        return EndState.FLAT if end.has_faded else EndState.AT_MINIMUM
    return EndState.AT_MINIMUM if end.order <= HIGHEST_FLAT_ORDER and round(end.order) % 2 == 0 else EndState.FLAT


def _kind_of_falling(evidence: Evidence, around: Surroundings, fall: Fall) -> EndState:
    """Return the kind of a flat point from which the value falls along some ray."""
    if around.endless is not None and evidence.gradient_norm[-1] > _FADED_SLOPE * evidence.gradient_norm[0]:
        return EndState.FALLING
    if fall.both_ways:
        return EndState.AT_SADDLE if around.rises else EndState.AT_MAXIMUM
    if len(fall.along) == 1 or evidence.trace.gradients is None or not around.rises:
        return EndState.FLAT
    # A slope along the ray makes it a tail or a slope that fades; without one it leads out of a saddle of odd order.
    slope = abs(float(np.asarray(evidence.trace.gradients[-1], dtype=float) @ fall.along))
    return EndState.AT_SADDLE if slope <= NEAR * abs(fall.change) / fall.distance else EndState.FLAT


def _at_noise_floor(evidence: Evidence) -> bool:
    """Tell whether the rest is that of the noise: on average ασ² / 2(2 − αλ) per coordinate.

    On a bowl x ← (1 − αλ)x − αε settles at the variance ασ² / λ(2 − αλ); the value lies λ/2 of that above the bottom.
    """
    left, rate, stability = (
        evidence.end.remaining_decrease,
        evidence.learning_rate,
        evidence.stability,
    )
    if left is None or rate is None or stability is None or stability >= 1 or not evidence.end.is_bowl:
        return False
    settings = evidence.settings
    # The noise decays as (1 + t)^(−γ/2), Neelakantan et al. 2015.
    decay = (1 + evidence.last_step) ** (float(settings.get("noise_decay", 0.0)) / 2)
    noise = float(settings.get("noise", 0.0)) / decay
    coordinates = sum(len(part.ravel()) for part in evidence.trace.end.values())
    return left <= NOISE_FLOORS * coordinates * rate * noise**2 / (2 * (2 - 2 * stability))


def _bounces(evidence: Evidence) -> bool:
    """Tell whether successive updates undo each other without dying away."""
    cosine, observed = evidence.cosine_late, evidence.observed_contraction
    if evidence.around is not None and evidence.around.meets_pole:
        return False
    swells = evidence.may_still_swell and (evidence.stability or 0) < 1
    if evidence.is_noisy or swells or cosine is None or observed is None:
        return False
    # A bounce that dies away is slow convergence with a sign, and no problem.
    lasts = observed > LASTING_CONTRACTION and min(observed, 1.0) ** (evidence.last_step / 2) > 0.5
    if cosine < BOUNCING_COSINE and lasts:
        return True
    return not evidence.is_falling and evidence.straightness is not None and evidence.straightness < GETS_NOWHERE


def _heads_into_saddle(evidence: Evidence) -> bool:
    """Tell whether the descent nears a saddle with nothing but rounding along the direction that leads out."""
    end = evidence.end
    if not (end.curves_down and end.curves_up) or not end.modes or evidence.trace.gradients is None:
        return False
    if _steepened(evidence):
        return False
    # The Hessian along the path may be indefinite though the limit is a minimum, as on x²y²: the values tell.
    if evidence.around is not None and (evidence.around.falls is None or not evidence.around.falls.both_ways):
        return False
    along_way_out = end.modes[0][0]
    if _lingers(evidence, along_way_out):
        return True
    return along_way_out <= NO_WAY_OUT * end.gradient_norm and evidence.share_left <= SADDLE_SHARE_LEFT


def _lingers(evidence: Evidence, along_way_out: float) -> bool:
    """Tell whether a flat point is near and leaving it takes as many steps as were taken.

    Along a curvature λ < 0 the distance d from the flat point grows by 1 + α|λ| a step: ln(L / d) / ln(1 + α|λ|) steps
    to the path's own length L.
    """
    end, rate = evidence.end, evidence.learning_rate
    way, lowest = end.newton_length, end.lowest
    if evidence.bound is None or evidence.method.scaled or rate is None or way is None or lowest is None:
        return False
    if not way < FLOOR * end.scale or not along_way_out > 0:
        return False
    distance = along_way_out / abs(lowest)
    return math.log(end.scale / distance) / math.log1p(rate * abs(lowest)) > evidence.last_step


def _is_held(evidence: Evidence) -> bool:
    """Tell whether a kink or a cusp keeps the descent from settling: no fixed rate does, and a line search stalls."""
    around = evidence.around
    if around is None:
        return False
    if evidence.trace.outcome is Outcome.CONVERGED or evidence.end.gradient_norm == 0:
        # The derivative is taken as 0 on the tip of |x|, where there is none.
        tip = around.crossing
        return tip is not None and tip.kind == "sharp" and tip.row == len(evidence.step) - 1
    stuck = evidence.trace.outcome is Outcome.STALLED or evidence.searches_line
    if around.blocked and stuck and not _falls_late(evidence):
        return True
    crossing = around.crossing
    if crossing is None or crossing.kind != "sharp":
        return False
    if stuck and crossing.row == len(evidence.step) - 1:
        return True
    late = crossing.row >= len(evidence.step) // 2
    return late and (evidence.is_rising or _bounces(evidence) or _swings(evidence))


def _falls_late(evidence: Evidence) -> bool:
    """Tell whether the value still fell by more than rounding in the last tenth of the steps."""
    row = min(len(evidence.value) - 2, 9 * len(evidence.value) // 10)
    fall = float(evidence.value[row] - evidence.value[-1]) if row >= 0 else 0.0
    return fall > VALUE_ROUNDINGS * evidence.end.epsilon * max(abs(evidence.value[-1]), evidence.decrease)


def _swings(evidence: Evidence) -> bool:
    """Tell whether a third of the late steps turned back and the value does not fall."""
    late = evidence.cosine[len(evidence.cosine) // 2 :]
    late = late[np.isfinite(late)]
    return bool(len(late) and np.mean(late < BOUNCING_COSINE) > 1 / 3 and not evidence.is_falling)


def _is_slow(evidence: Evidence) -> bool:
    """Tell whether the steps are short against the steepest curvature met, while most of the distance remains."""
    if evidence.pace is None or evidence.is_noisy or len(evidence.step) < 2:
        return False
    far = evidence.share_left > ARRIVED_BY_TOLERANCE
    unfinished = evidence.steps_to_go is None or evidence.steps_to_go > evidence.last_step
    if evidence.bound is None or evidence.method.scaled:
        # Their steps are as long as the rate, whatever the slope: what counts is how many the way would take.
        unfinished = (steps_at_speed(evidence) or 0) > OVERLONG * evidence.last_step
    # On ground that curves downward the slope still grows: short steps now need not stay short.
    speeding_up = evidence.curvature[-1] < 0 and evidence.pace * 2 * evidence.last_step > 1
    return evidence.pace < SLOW_PACE and far and unfinished and not speeding_up


def _fades(evidence: Evidence) -> bool:
    """Tell whether the ground ahead is a tail, where slope and curvature fade (or grow) in step, as those of exp(x)."""
    # A value too large to show a change hides a bowl, which slope and curvature still show.
    if (evidence.end.is_level and not evidence.end.is_bowl) or evidence.curvature[-1] == 0:
        return True
    start, end = evidence.end.start_highest, evidence.end.highest
    if evidence.curvature[-1] < 0:
        start, end = -float(evidence.curvature[0]), -float(evidence.curvature[-1])
    slopes = evidence.gradient_norm[0], evidence.gradient_norm[-1]
    if start is None or end is None or not min(start, end, *slopes) > 0 or slopes[0] == slopes[1]:
        return False
    change, bend = np.log(slopes[1]) - np.log(slopes[0]), np.log(end) - np.log(start)
    return bool(abs(change) > 1e-12 and bend / change > TAIL_EXPONENT)


def _moves_nothing(evidence: Evidence) -> bool:
    """Tell whether a step changed nothing any more, though its length follows the slope and is not searched for."""
    stalled = evidence.trace.outcome is Outcome.STALLED
    return stalled and not evidence.method.scaled and not evidence.searches_line


def _has_stopped(evidence: Evidence) -> bool:
    """Tell whether the descent ended by itself, before its steps ran out."""
    return evidence.trace.outcome in (Outcome.CONVERGED, Outcome.STALLED)


def _on_tail(evidence: Evidence) -> bool:
    """Tell whether the surface at the end is level or not a bowl."""
    around = evidence.around
    if _steepened(evidence):
        return False
    if around is not None and around.edge and evidence.end.gradient_norm > 0 and not evidence.end.is_level:
        return False
    return evidence.end.is_level or not evidence.end.is_bowl


def _is_balanced(evidence: Evidence) -> bool:
    """Tell whether a method that shrinks the weights stands where the slope balances that, near a bottom."""
    if not evidence.settings.get("weight_decay") or not evidence.end.is_bowl or len(evidence.update_norm) < 2:
        return False
    still = evidence.update_norm[-2] <= STANDS_STILL * evidence.end.scale
    return bool(still and evidence.share_left <= ARRIVED_BY_TOLERANCE)


def _stands_between(end: EndCurvature) -> bool:
    """Tell whether the two ends of the curvature make a saddle close by, whatever flat directions lie between them."""
    if not (end.lowest is not None and end.lowest < -EVIDENT * end.size and len(end.modes) > 1):
        return False
    ends = end.modes[:2]
    return bool(end.highest and end.highest > 0) and all(
        abs(c) <= NEAR * end.scale * abs(curvature) for c, curvature in ends
    )


def _if(state: EndState, *conditions: Callable[[Evidence], bool]) -> Callable[[Evidence], EndState | None]:
    """Return the function that returns a state if all conditions hold."""
    return lambda evidence: state if all(holds(evidence) for holds in conditions) else None


_RULES = (
    StateRule(10, _if(EndState.NOT_FINITE, lambda evidence: evidence.failed)),
    StateRule(15, _if(EndState.AT_KINK, _is_held)),
    StateRule(20, lambda evidence: _kind(evidence) if _rests(evidence) else None),
    StateRule(30, _if(EndState.AT_MINIMUM, lambda evidence: evidence.is_noisy, _at_noise_floor)),
    StateRule(40, _if(EndState.RISING, lambda evidence: evidence.is_rising)),
    StateRule(50, _if(EndState.UNBOUNDED, plunges)),
    StateRule(60, _if(EndState.BOUNCING, _bounces)),
    StateRule(70, _if(EndState.AT_SADDLE, _heads_into_saddle)),
    StateRule(80, _if(EndState.FLAT, _is_slow, _fades)),
    StateRule(90, _if(EndState.CRAWLING, _is_slow, lambda evidence: not evidence.falls_ahead)),
    StateRule(100, _if(EndState.CRAWLING, _moves_nothing)),
    StateRule(
        110,
        _if(
            EndState.AT_SADDLE,
            _has_stopped,
            lambda evidence: _stands_between(evidence.end) and not _steepened(evidence),
        ),
    ),
    StateRule(120, _if(EndState.AT_MINIMUM, _is_balanced)),
    StateRule(130, _if(EndState.FLAT, _has_stopped, _on_tail)),
)
