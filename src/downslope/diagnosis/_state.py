"""Where a descent stands at its end: one answer for each trace, from which the verdicts follow.

The questions are asked in this order: did it meet what is not a number; does it rest on flat ground, and of what kind;
does it climb, fall without end, or bounce; is it heading for a saddle; does it crawl; else it simply falls.
"""

from __future__ import annotations

import enum
import math

import numpy as np

from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._ground import Ground
from downslope.diagnosis._steps_to_go import steps_at_speed
from downslope.methods import SCALED
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
# A flat bottom is told from a shelf by its order p: x⁴ to x⁸ turn up again on the other side, x³ goes on falling.
FLAT_MINIMUM_ORDERS = (3.5, 10.0)


class State(enum.Enum):
    """Where a descent stands; the value says it in words."""

    NOT_FINITE = "met something that is not a finite number"
    AT_MINIMUM = "rests at a minimum"
    AT_SADDLE = "rests at a saddle, or is heading straight into one"
    AT_MAXIMUM = "rests on a maximum"
    FLAT = "lies on flat ground that need not be a bottom"
    RISING = "climbs"
    UNBOUNDED = "falls faster and faster, without end"
    BOUNCING = "bounces to and fro"
    CRAWLING = "creeps"
    FALLING = "falls"


def state_of(evidence: Evidence) -> State:
    """Return where the descent stands."""
    if evidence.failed:
        return State.NOT_FINITE
    if _rests(evidence):
        return _kind(evidence)
    if evidence.is_noisy and _at_noise_floor(evidence):
        return State.AT_MINIMUM
    if evidence.is_rising:
        return State.RISING
    if plunges(evidence):
        return State.UNBOUNDED
    if _bounces(evidence):
        return State.BOUNCING
    if _heads_into_saddle(evidence):
        return State.AT_SADDLE
    if _is_slow(evidence):
        return State.FLAT if _fades(evidence) else State.CRAWLING
    return _still_moving(evidence)


def plunges(evidence: Evidence) -> bool:
    """Tell whether the value falls ever faster: the slope a thousandfold, the ground bending down as ever.

    On the way over a brow the slope grows as well, but the curvature weakens before the ground can turn up again.
    """
    curvature = evidence.curvature[np.isfinite(evidence.curvature)]
    if not len(curvature) or not curvature[-1] < 0 or not evidence.decrease > 0:
        return False
    grown = evidence.gradient_norm[-1] >= STEEPENED * evidence.gradient_norm[0] > 0
    return bool(grown and curvature[-1] <= UNWEAKENED * np.min(curvature))


def _rests(evidence: Evidence) -> bool:
    """Tell whether the descent stands on flat ground, as far as its numbers or its tolerance can tell."""
    ground, outcome = evidence.ground, evidence.trace.outcome
    left, way = ground.remaining_decrease, ground.newton_length
    if ground.gradient_norm == 0:
        return True
    if left is None or way is None:
        return outcome is Outcome.CONVERGED and ground.spectrum is None
    if ground.is_level:
        return outcome in (Outcome.CONVERGED, Outcome.STALLED)
    if not ground.is_bowl and way > NEAR_ON_TOP * ground.scale and not _tiny(evidence, way):
        return False
    if left <= ARRIVED * evidence.decrease or left <= VALUE_ROUNDINGS * ground.epsilon * abs(evidence.value[-1]):
        return True
    if outcome is Outcome.CONVERGED:
        return left <= ARRIVED_BY_TOLERANCE * evidence.decrease or _tiny(evidence, way)
    return outcome is Outcome.STALLED and way <= NEAR * ground.scale


def _tiny(evidence: Evidence, way: float) -> bool:
    """Tell whether the flat point lies within a millionth of the point's size, or of 1 where that is smaller."""
    return evidence.trace.outcome is Outcome.CONVERGED and way <= NEAR * max(evidence.ground.scale, 1.0)


def _kind(evidence: Evidence) -> State:
    """Return what kind of flat ground this is."""
    ground = evidence.ground
    if ground.spectrum is None:
        return State.AT_MINIMUM if evidence.decrease > 0 else State.FLAT
    if ground.is_level:
        return State.FLAT
    if ground.curves_down:
        return State.AT_SADDLE if ground.curves_up else State.AT_MAXIMUM
    if not ground.curves_up:
        return State.FLAT
    low, high = FLAT_MINIMUM_ORDERS
    return State.AT_MINIMUM if ground.order is None or low <= ground.order <= high else State.FLAT


def _at_noise_floor(evidence: Evidence) -> bool:
    """Tell whether what is left is what the noise leaves: ασ² / 2(2 − αλ) on average for each coordinate.

    On a bowl x ← (1 − αλ)x − αε settles at the variance ασ² / λ(2 − αλ); the value lies λ/2 of that above the bottom.
    """
    left, rate, stability = (
        evidence.ground.remaining_decrease,
        evidence.learning_rate,
        evidence.stability,
    )
    if left is None or rate is None or stability is None or stability >= 1 or not evidence.ground.is_bowl:
        return False
    settings = evidence.settings
    decay = (1 + evidence.last_step) ** (float(settings.get("noise_decay", 0.0)) / 2)
    noise = float(settings.get("noise", 0.0)) / decay
    coordinates = sum(len(part.ravel()) for part in evidence.trace.end.values())
    return left <= NOISE_FLOORS * coordinates * rate * noise**2 / (2 * (2 - 2 * stability))


def _bounces(evidence: Evidence) -> bool:
    """Tell whether successive updates undo each other without dying away."""
    cosine, observed = evidence.cosine_late, evidence.observed_contraction
    swells = evidence.may_still_swell and (evidence.stability or 0) < 1
    if evidence.is_noisy or swells or cosine is None or observed is None:
        return False
    lasts = observed > LASTING_CONTRACTION and observed ** (evidence.last_step / 2) > 0.5
    if cosine < BOUNCING_COSINE and lasts:
        return True
    return not evidence.is_falling and evidence.straightness is not None and evidence.straightness < GETS_NOWHERE


def _heads_into_saddle(evidence: Evidence) -> bool:
    """Tell whether the descent nears a saddle with nothing but rounding along the direction that leads out."""
    ground = evidence.ground
    if not (ground.curves_down and ground.curves_up) or not ground.modes or evidence.trace.gradients is None:
        return False
    along_way_out = ground.modes[0][0]
    if _lingers(evidence, along_way_out):
        return True
    return along_way_out <= NO_WAY_OUT * ground.gradient_norm and evidence.share_left <= SADDLE_SHARE_LEFT


def _lingers(evidence: Evidence, along_way_out: float) -> bool:
    """Tell whether the flat point lies close by and it takes as many steps as were taken to get away from it.

    Along a curvature λ < 0 the distance d from the flat point grows by 1 + α|λ| a step: ln(L / d) / ln(1 + α|λ|) steps
    to the path's own length L.
    """
    ground, rate = evidence.ground, evidence.learning_rate
    way, lowest = ground.newton_length, ground.lowest
    if evidence.bound is None or evidence.method in SCALED or rate is None or way is None or lowest is None:
        return False
    if not way < FLOOR * ground.scale or not along_way_out > 0:
        return False
    distance = along_way_out / abs(lowest)
    return math.log(ground.scale / distance) / math.log1p(rate * abs(lowest)) > evidence.last_step


def _is_slow(evidence: Evidence) -> bool:
    """Tell whether the steps are short against the steepest curvature met, while most of the way is still to go."""
    if evidence.pace is None or evidence.is_noisy or len(evidence.step) < 2:
        return False
    far = evidence.share_left > ARRIVED_BY_TOLERANCE
    unfinished = evidence.steps_to_go is None or evidence.steps_to_go > evidence.last_step
    if evidence.bound is None or evidence.method in SCALED:
        # Their steps are as long as the rate, whatever the slope: what counts is how many the way would take.
        unfinished = (steps_at_speed(evidence) or 0) > OVERLONG * evidence.last_step
    speeding_up = evidence.curvature[-1] < 0 and evidence.pace * 2 * evidence.last_step > 1
    return evidence.pace < SLOW_PACE and far and unfinished and not speeding_up


def _fades(evidence: Evidence) -> bool:
    """Tell whether the ground ahead is a tail, where slope and curvature fade (or grow) in step, as those of exp(x)."""
    if evidence.ground.is_level or evidence.curvature[-1] == 0:
        return True
    start, end = evidence.ground.start_highest, evidence.ground.highest
    if evidence.curvature[-1] < 0:
        start, end = -float(evidence.curvature[0]), -float(evidence.curvature[-1])
    slopes = evidence.gradient_norm[0], evidence.gradient_norm[-1]
    if start is None or end is None or not min(start, end, *slopes) > 0 or slopes[0] == slopes[1]:
        return False
    change, bend = np.log(slopes[1]) - np.log(slopes[0]), np.log(end) - np.log(start)
    return bool(abs(change) > 1e-12 and bend / change > TAIL_EXPONENT)


def _still_moving(evidence: Evidence) -> State:
    """Return the state of a descent that neither rests nor misbehaves."""
    outcome, ground = evidence.trace.outcome, evidence.ground
    if outcome is Outcome.STALLED and evidence.method not in SCALED and not evidence.searches_line:
        return State.CRAWLING
    if outcome in (Outcome.CONVERGED, Outcome.STALLED) and _stands_between(ground):
        return State.AT_SADDLE
    if _is_balanced(evidence):
        return State.AT_MINIMUM
    tail = ground.is_level or not ground.is_bowl
    return State.FLAT if outcome in (Outcome.CONVERGED, Outcome.STALLED) and tail else State.FALLING


def _is_balanced(evidence: Evidence) -> bool:
    """Tell whether a method that shrinks the weights stands where the slope balances that, near a bottom."""
    if not evidence.settings.get("weight_decay") or not evidence.ground.is_bowl or len(evidence.update_norm) < 2:
        return False
    still = evidence.update_norm[-2] <= STANDS_STILL * evidence.ground.scale
    return bool(still and evidence.share_left <= ARRIVED_BY_TOLERANCE)


def _stands_between(ground: Ground) -> bool:
    """Tell whether the two ends of the curvature make a saddle close by, whatever flat directions lie between them."""
    if not (ground.lowest is not None and ground.lowest < -EVIDENT * ground.size and len(ground.modes) > 1):
        return False
    ends = ground.modes[:2]
    return bool(ground.highest and ground.highest > 0) and all(
        abs(c) <= NEAR * ground.scale * abs(curvature) for c, curvature in ends
    )
