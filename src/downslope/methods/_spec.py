"""The record of a method, the only source on methods for all other modules; and the form of its update rule.

MethodSpec ─▶ Method (a spec with its settings chosen) ─▶ Rule (the functions that the compiled loop calls)
└▶ MethodFacts (numbers for a diagnosis)
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from downslope._arrays import Arrays
from downslope._errors import SettingError, described
from downslope._types import Point
from downslope.methods._theory import MethodFacts, NoTheory, Settings, Theory

if TYPE_CHECKING:
    from optax import GradientTransformation

Scale = Callable[[Any, Settings], Point]


@dataclass(frozen=True)
class Setting:
    """A numeric setting of a method.

    Args:
        name: its keyword.
        default: its default value.
        help: its description, in a sentence.
        least: the smallest value that makes sense.
        below: the bound that it must stay under, ∞ for none.
        whole: whether it is a whole number.
        structural: whether another value needs another compiled program; other settings are arguments of the program.
    """

    name: str
    default: float
    help: str
    least: float = 0.0
    below: float = math.inf
    whole: bool = False
    structural: bool = False

    def check(self, owner: str, value: Any) -> None:
        """Raise a SettingError for a value out of range; `owner` is the method's name."""
        plain = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        if self.whole and plain and (value < self.least or value != int(value)):
            raise SettingError(f"{self.name} of {owner} must be a whole number of at least {self.least:g}, not {value}")
        if not plain or value < self.least:
            raise SettingError(
                f"{self.name} of {owner} must be a number of at least {self.least:g}, not {described(value)}"
            )
        if value >= self.below:
            raise SettingError(
                f"{self.name} of {owner} must be below {self.below:g}, not {value}", hint=f"{self.default:g} is usual"
            )


# Every method whose steps scale with the rate can shrink the weights; only some do so unasked.
WEIGHT_DECAY = Setting("weight_decay", 0.0, "Share of the rate by which the weights shrink at each step.")


_UNKNOWN = NoTheory()


@dataclass(frozen=True)
class MethodSpec:
    """One optimiser: its update rule, its settings, and its theory.

    Args:
        name: its name, which plans and traces keep.
        help: one sentence on its steps.
        update: from the settings, an Optax transformation, or a `Direction` for the rules of the table. It returns the
            uphill direction, and the step is −α times it; where `searches_line` is set it returns the whole step. The
            settings may be traced.
        settings: its settings.
        aliases: other names of it.
        default_rate: the default learning rate of a descent; None for a line search.
        network_rate: the same for a training.
        scale: from the transformation's state and the settings, the scale P by which each coordinate of the gradient
            is divided; None where there is none. The bound of `theory` then holds for P⁻¹H.
        theory: the stability bound and the error's recurrence on a quadratic, or the statement that none is known.
        searches_line: whether it searches for the length of each step; such a method takes no learning rate.
        normalised: whether its steps have about the length of the rate, whatever the slope.
        noisy: whether it adds noise to the gradient.
        follows_gradient: whether a step is −α∇f without memory, so that steps can be run ahead and undone.
        suits_networks: whether it is among the methods offered for networks.
        in_races: whether `compare` includes it by default.
        reference: where it was published.

    >>> import optax
    >>> heavy = MethodSpec(
    ...     "my momentum",
    ...     "Add half of the last step.",
    ...     lambda settings: optax.trace(settings["share"]),
    ...     (Setting("share", 0.5, "Share of the last step that is kept.", below=1),),
    ...     theory=Theory(
    ...         lambda s: 2 + 2 * s["share"], "2 + 2β", lambda s: ((1 + s["share"], -1.0), (-s["share"], 0.0))
    ...     ),
    ... )
    >>> heavy.facts({}).bound
    3.0
    """

    name: str
    help: str
    update: Callable[[Settings], GradientTransformation | Direction]
    settings: tuple[Setting, ...] = ()
    aliases: tuple[str, ...] = ()
    default_rate: float | None = 0.1
    network_rate: float | None = 0.01
    scale: Scale | None = None
    theory: Theory | NoTheory = _UNKNOWN
    searches_line: bool = False
    normalised: bool = False
    noisy: bool = False
    follows_gradient: bool = False
    suits_networks: bool = False
    in_races: bool = False
    reference: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise SettingError(f"the name of a method is text, not {described(self.name)}")
        if not callable(self.update):
            raise SettingError(
                f"the update of {self.name} must be a function from settings to an Optax transformation",
                hint="for example update=lambda settings: optax.trace(settings['momentum'])",
            )
        if not isinstance(self.theory, Theory | NoTheory):
            raise SettingError(
                f"the theory of {self.name} must be a ds.Theory or a ds.NoTheory, not {described(self.theory)}"
            )
        for setting in self.settings:
            setting.check(self.name, setting.default)

    def __hash__(self) -> int:
        return hash(self.name)  # hashing every field costs as much as a short descent, and programs are looked up by it

    @property
    def defaults(self) -> dict[str, float]:
        """The settings with their default values."""
        return {setting.name: setting.default for setting in self.settings}

    @property
    def decays_weights(self) -> bool:
        """Whether it decays the weights by default."""
        return WEIGHT_DECAY.name in self.defaults

    @property
    def takes_rate(self) -> bool:
        """Whether it takes a learning rate."""
        return self.default_rate is not None

    def setting(self, name: str) -> Setting | None:
        """Return a setting by its name; None if the method has none of that name."""
        if name == WEIGHT_DECAY.name and self.takes_rate and not self.decays_weights:
            return WEIGHT_DECAY
        return next((setting for setting in self.settings if setting.name == name), None)

    def facts(self, settings: Mapping[str, Any]) -> MethodFacts:
        """Return the numbers that a diagnosis needs, for some settings; the others have their default values."""
        complete = {**self.defaults, **settings}
        theory = self.theory if isinstance(self.theory, Theory) else None
        recurrence = theory.recurrence if theory is not None else None
        return MethodFacts(
            name=self.name,
            bound=None if theory is None else float(theory.bound(complete)),
            bound_text="" if theory is None else theory.bound_text,
            recurrence=None if recurrence is None else tuple(recurrence(complete)),
            scaled=self.scale is not None,
            searches_line=self.searches_line,
            noisy=self.noisy,
        )

    def __repr__(self) -> str:
        return f"<MethodSpec {self.name}>"


class RuleInput(NamedTuple):
    """The point at which a rule computes its update.

    Args:
        point: the point.
        value: the objective there.
        gradient: the gradient there, clipped if the plan says so.
        rate: the learning rate of this step.
        settings: the rule's settings, traced.
        value_function: the objective as a function of the point alone, which `Arrays` differentiates.
    """

    point: Point
    value: Any
    gradient: Point
    rate: Any
    settings: Mapping[str, Any]
    value_function: Any


class Direction(NamedTuple):
    """A rule in the array interface, which runs in NumPy and in JAX; other records return an Optax transformation.

    Args:
        init: the state at a point.
        update: the uphill direction, or the whole step of a rule that searches a line, and the next state.
    """

    init: Callable[[Arrays, Point], Any]
    update: Callable[[Arrays, RuleInput, Any], tuple[Point, Any]]


class Rule(NamedTuple):
    """An update rule.

    Args:
        init: the rule's state at the start, from the point and the settings.
        update: the update and the next state, from a RuleInput and the state.
        preconditioner: the scale P of each coordinate where the rule divides by one, from state and settings; else
            None.
        stateless: whether the state is empty, so that steps may be run ahead and thrown away.
        parallel: whether every update points along the gradient.
    """

    init: Callable[[Point, Settings], Any]
    update: Callable[[RuleInput, Any], tuple[Point, Any]]
    preconditioner: Callable[[Any, Settings], Point] | None = None
    stateless: bool = False
    parallel: bool = False
