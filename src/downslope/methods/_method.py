"""A method: a record with its settings chosen, or any Optax transformation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from downslope._arrays import JAX_ARRAYS, Arrays
from downslope._errors import SettingError, nearest
from downslope._text import listed
from downslope._types import Point
from downslope.methods._spec import Direction, MethodSpec, Rule, RuleInput
from downslope.methods._table import CUSTOM, METHODS, MethodName, spec_named
from downslope.methods._theory import MethodFacts, Settings

if TYPE_CHECKING:
    from optax import GradientTransformation


@dataclass(frozen=True)
class Method:
    """An update rule with its settings.

    Args:
        spec: the record of the method.
        settings: the numbers of the rule, by name: `momentum`, `beta1`, …; the defaults are filled in.
        transformation: an Optax transformation that is the method and holds its own learning rate; else None.
    """

    spec: MethodSpec
    settings: Mapping[str, float] = field(default_factory=dict)
    transformation: GradientTransformation | None = None

    def __hash__(self) -> int:
        return hash((self.spec, tuple(sorted(self.settings.items())), *map(id, self.transformation or ())))

    @property
    def name(self) -> str:
        """The name of the method; "custom" for an Optax transformation."""
        return self.spec.name

    @property
    def searches_line(self) -> bool:
        """Whether it searches for the length of each step, so that no learning rate applies."""
        return self.spec.searches_line

    @property
    def structure(self) -> Method:
        """The part of the method that forces recompilation: the other settings are arguments of the program."""
        kept = {setting.name: self.settings[setting.name] for setting in self.spec.settings if setting.structural}
        return Method(self.spec, kept | ({"weight_decay": 0.0} if self.decays else {}), self.transformation)

    @property
    def decays(self) -> bool:
        """Whether the weights shrink by a share of the rate at each step."""
        return "weight_decay" in self.settings

    @property
    def is_plain(self) -> bool:
        """Whether its rule is written in the array interface, and so runs without JAX."""
        return self.transformation is None and isinstance(self.spec.update(self.settings), Direction)

    @property
    def takes_rate(self) -> bool:
        """Whether it takes a learning rate: line searches find their own, and an Optax transformation holds one."""
        return self.spec.takes_rate

    @property
    def default_rate(self) -> float:
        """The learning rate of a descent where none is chosen.

        Raises:
            SettingError: for a method that takes none.
        """
        if self.spec.default_rate is None:
            raise SettingError(f"{self.name} takes no learning rate")
        return self.spec.default_rate

    @property
    def facts(self) -> MethodFacts:
        """The theory of the method at these settings."""
        return self.spec.facts(self.settings)


def method_names(*, for_networks: bool = False) -> tuple[str, ...]:
    """Return the names of the methods, the simplest first.

    Args:
        for_networks: whether to leave out methods that are of little use for networks.
    """
    return tuple(spec.name for spec in METHODS if spec.suits_networks or not for_networks)


def method(
    spec: MethodName | str | MethodSpec | Method | GradientTransformation = "gradient descent", **settings: float
) -> Method:
    """Return a method from its name and settings, from your own record, or from an Optax transformation.

    Args:
        spec: a name of `method_names()` in any case, with spaces, hyphens or underscores; a `MethodSpec`; an Optax
            `GradientTransformation`; or a Method.
        settings: settings that differ from the defaults.

    Returns:
        The method with every setting filled in.

    Raises:
        SettingError: for an unknown name or setting, or a setting out of its range.

    >>> method("Adam", beta1=0.8).settings["beta1"]
    0.8
    """
    if isinstance(spec, Method):
        return spec if not settings else _with_settings(spec, settings)
    if isinstance(spec, MethodSpec):
        return _with_settings(Method(spec, spec.defaults), settings)
    if not isinstance(spec, str):
        return _custom(spec, settings)
    record = spec_named(spec)
    if record is None:
        plain = " ".join(spec.lower().replace("_", " ").split())
        every_name = [*method_names(), *(alias for known in METHODS for alias in known.aliases)]
        raise SettingError(f"there is no method {spec!r}", hint=_known("known are", plain, every_name))
    return _with_settings(Method(record, record.defaults), settings)


def _with_settings(method: Method, settings: Mapping[str, float]) -> Method:
    """Return the method with other settings, checked."""
    for name, value in settings.items():
        setting = method.spec.setting(name)
        if setting is None:
            owners = [spec.name for spec in METHODS if name in spec.defaults]
            hint = (
                f"it is a setting of {listed(owners)}: method={owners[0]!r}"
                if owners
                else _known("it has", name, method.spec.defaults)
            )
            raise SettingError(f"{method.name} has no setting {name!r}", hint=hint)
        setting.check(method.name, value)
    return Method(method.spec, {**method.settings, **settings}, method.transformation)


def _custom(transformation: Any, settings: Mapping[str, float]) -> Method:
    """Return a method around an Optax transformation."""
    if not (hasattr(transformation, "init") and hasattr(transformation, "update")):
        raise SettingError(
            f"a method is a name or an Optax transformation, not {type(transformation).__name__}",
            hint=f"names: {', '.join(method_names())}",
        )
    if settings:
        raise SettingError(
            f"an Optax transformation holds its own settings; {sorted(settings)[0]!r} cannot be passed with it"
        )
    return Method(CUSTOM, {}, transformation)


def _known(lead: str, name: str, known: Iterable[str]) -> str:
    """Return a hint that lists what is known, the nearest name first."""
    names = list(known)
    close = nearest(name, names)
    listed = f"{lead} {', '.join(names) or 'none'}"
    return f"did you mean {close!r}? {listed}" if close else listed


# Rules: the update of a method, in the form in which a loop calls it.


def rule_of(method: Method, arrays: Arrays = JAX_ARRAYS) -> Rule:
    """Return the rule of a method; of its settings only the structural ones are read here.

    Args:
        method: the method.
        arrays: what it computes with; an Optax transformation needs JAX's.
    """
    spec = method.spec
    if method.transformation is not None:
        return _whole_step(lambda settings: method.transformation)
    fixed = {setting.name: method.settings[setting.name] for setting in spec.settings if setting.structural}

    def direction_of(settings: Settings) -> Any:
        return spec.update({**settings, **fixed})

    direction = _remembered(direction_of) if arrays is not JAX_ARRAYS else direction_of
    if spec.searches_line and not method.is_plain:
        return _whole_step(direction)
    if spec.searches_line:
        return Rule(
            lambda point, settings: direction(settings).init(arrays, point),
            lambda step, state: direction(step.settings).update(arrays, step, state),
        )
    follows = spec.follows_gradient and not method.decays

    def init(point: Point, settings: Settings) -> Any:
        chosen = direction(settings)
        return chosen.init(arrays, point) if isinstance(chosen, Direction) else chosen.init(point)

    def update(step: RuleInput, state: Any) -> tuple[Point, Any]:
        chosen = direction(step.settings)
        if isinstance(chosen, Direction):
            uphill, state = chosen.update(arrays, step, state)
        else:
            uphill, state = chosen.update(step.gradient, state, step.point)
        if not method.decays:
            return arrays.map(lambda up: -step.rate * up, uphill), state
        # Decoupled from the gradient (Loshchilov and Hutter 2019): no scale divides the weights' share.
        decay = step.settings["weight_decay"]
        return arrays.map(lambda up, leaf: -step.rate * (up + decay * leaf), uphill, step.point), state

    return Rule(init, update, spec.scale, follows, follows)


def _remembered(direction: Callable[[Settings], Any]) -> Callable[[Settings], Any]:
    """Return a function that keeps its last result: the settings are the same at every step of a descent."""
    last: tuple[Settings | None, Any] = (None, None)

    def remembered(settings: Settings) -> Any:
        nonlocal last
        known, result = last
        if settings is not known:
            result = direction(settings)
            last = (settings, result)
        return result

    return remembered


def _whole_step(transformation: Callable[[Settings], Any]) -> Rule:
    """Return the rule of an Optax transformation that scales its steps by itself."""
    import optax

    def update(step: RuleInput, state: Any) -> tuple[Point, Any]:
        return optax.with_extra_args_support(transformation(step.settings)).update(
            step.gradient,
            state,
            step.point,
            value=step.value,
            grad=step.gradient,
            value_fn=step.value_function,
        )

    return Rule(lambda point, settings: transformation(settings).init(point), update)
