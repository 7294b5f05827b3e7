"""How to step: a name and its settings, or any Optax transformation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from downslope._errors import SettingError, nearest

_DEFAULT_RATE = 0.1


@dataclass(frozen=True)
class Method:
    """How to step.

    Args:
        name: one of `method_names()`, or "custom" for an Optax transformation.
        settings: the numbers of the rule, by name: `momentum`, `beta1`, …; the defaults are filled in.
        transformation: for "custom", the Optax transformation, which holds its own learning rate.
    """

    name: str
    settings: Mapping[str, float] = field(default_factory=dict)
    transformation: Any = None

    @property
    def searches_line(self) -> bool:
        """Whether each step's length is searched for along the line, so that no learning rate applies."""
        return self.name in _LINE_SEARCH

    @property
    def compiled(self) -> tuple[str, float | None, Any, bool]:
        """What of it is compiled: name, memory, transformation, decay; other settings are arguments of the program."""
        return self.name, self.settings.get("memory"), self.transformation, self.decays

    @property
    def decays(self) -> bool:
        """Whether the weights shrink by a share of the rate at each step."""
        return "weight_decay" in self.settings

    @property
    def takes_rate(self) -> bool:
        """Whether it takes a learning rate: line searches find their own, and an Optax transformation holds one."""
        return not (self.searches_line or self.name == "custom")

    @property
    def default_rate(self) -> float:
        """The learning rate where none is given: 0.1, or 0.01 for rules whose steps are as long as the rate itself."""
        return 0.01 if self.name in _NORMALISED else _DEFAULT_RATE


_SETTINGS: dict[str, dict[str, float]] = {
    "gradient descent": {},
    "gradient descent with noise": {"noise": 0.1, "noise_decay": 0.55},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "adagrad": {"initial": 0.1, "epsilon": 1e-7},
    "rmsprop": {"decay": 0.9, "epsilon": 1e-8},
    "adam": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    "adamw": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 1e-4},
    "lion": {"beta1": 0.9, "beta2": 0.99, "weight_decay": 1e-3},
    "newton": {},
    "bfgs": {},
    "l-bfgs": {"memory": 10},
}
_OTHER_NAMES = {
    "gd": "gradient descent",
    "sgd": "gradient descent",
    "steepest descent": "gradient descent",
    "noise": "gradient descent with noise",
    "noisy sgd": "gradient descent with noise",
    "sgd with noise": "gradient descent with noise",
    "heavy ball": "momentum",
    "nag": "nesterov",
    "lbfgs": "l-bfgs",
}
_LINE_SEARCH = {"newton", "bfgs", "l-bfgs"}
_NORMALISED = {"rmsprop", "lion"}


def method_names() -> tuple[str, ...]:
    """Return the names of the methods, the plainest first."""
    return tuple(_SETTINGS)


def method(thing: str | Method | Any = "gradient descent", **settings: float) -> Method:
    """Return a method from its name and settings, or from an Optax transformation.

    Args:
        thing: a name of `method_names()` in any case, with spaces, hyphens or underscores; or an Optax
            `GradientTransformation`; or a Method.
        settings: numbers of the rule that differ from its defaults.

    Returns:
        The method with every setting filled in.

    Raises:
        SettingError: for an unknown name or setting, or a setting out of its range.

    >>> method("Adam", beta1=0.8).settings["beta1"]
    0.8
    """
    if isinstance(thing, Method):
        return thing
    if not isinstance(thing, str):
        return _custom(thing, settings)
    name = _canonical(thing)
    defaults = _SETTINGS[name]
    for key, number in settings.items():
        if key not in defaults and not (key == "weight_decay" and name not in _LINE_SEARCH):
            raise SettingError(f"{name} has no setting {key!r}", hint=_known("it has", key, defaults))
        _check_range(name, key, number)
    return Method(name, {**defaults, **settings})


def _custom(thing: Any, settings: Mapping[str, float]) -> Method:
    """Return a method around an Optax transformation."""
    if not (hasattr(thing, "init") and hasattr(thing, "update")):
        raise SettingError(
            f"a method is a name or an Optax transformation, not {type(thing).__name__}",
            hint=f"names: {', '.join(_SETTINGS)}",
        )
    if settings:
        raise SettingError(
            f"an Optax transformation holds its own settings; {sorted(settings)[0]!r} cannot be given beside it"
        )
    return Method("custom", {}, thing)


def _canonical(name: str) -> str:
    """Return the name as the tables spell it."""
    plain = " ".join(name.lower().replace("_", " ").split())
    for spelling in (plain, plain.replace(" ", "-"), plain.replace("-", " "), plain.replace("-", "").replace(" ", "")):
        found = _OTHER_NAMES.get(spelling, spelling)
        if found in _SETTINGS:
            return found
    raise SettingError(f"there is no method {name!r}", hint=_known("known are", plain, {**_SETTINGS, **_OTHER_NAMES}))


def _known(lead: str, name: str, known: Mapping[str, Any]) -> str:
    """Return a hint that lists what is known, the nearest name first."""
    close = nearest(name, known)
    listed = f"{lead} {', '.join(known) or 'none'}"
    return f"did you mean {close!r}? {listed}" if close else listed


def _check_range(name: str, key: str, number: Any) -> None:
    """Raise for a setting that makes no sense."""
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number) or number < 0:
        raise SettingError(f"{key} of {name} must be a number from 0 up, not {number!r}")
    if key in {"momentum", "beta1", "beta2", "decay"} and number >= 1:
        raise SettingError(f"{key} of {name} must be below 1, not {number}", hint="0.9 is usual")
    if key == "memory" and (number < 1 or number != int(number)):
        raise SettingError(f"memory of {name} must be a whole number from 1 up, not {number}")
