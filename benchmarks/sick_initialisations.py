"""How weights begin, from any spelling: a name of this library, or numbers that are drawn here.

`he_normal`, `kaiming_normal_`, `HeNormal()`; `normal_0.05`, `RandomNormal(stddev=0.05)`, `N(0, 0.05)`, "normal with
standard deviation 0.05"; `uniform_0.05`, `U(-0.05, 0.05)`; `truncated_normal`, `TruncatedNormal(mean=0, stddev=0.1)`;
`const_0.01`, `Constant(0.01)`, 0.01; `zeros`, `ones`, `orthogonal`, `VarianceScaling(scale=2.0)`. What is not said is
what Keras does: a deviation of 0.05, a uniform distribution on ±0.05. A second number of N(…) is a deviation unless a
power is written: N(0, 0.1²).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sick_faults import UnbuildableError
from sick_recipes import call_in, snake

_DEVIATION = 0.05
_CUT = 2.0  # deviations beyond which a truncated normal number is drawn anew
_WHO = ("glorot", "he", "lecun")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"


@dataclass(frozen=True)
class Drawn:
    """A distribution that the library has no name for.

    Args:
        kind: the shape of it.
        first, second: the ends of a uniform distribution, else mean and deviation.
    """

    kind: Literal["uniform", "normal", "truncated", "orthogonal"]
    first: float
    second: float

    def of(self, random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return numbers of a shape (…, inputs, units)."""
        if self.kind == "uniform":
            return random.uniform(self.first, self.second, shape)
        if self.kind == "orthogonal":
            return self.second * _orthogonal(random, shape)
        numbers = random.normal(size=shape)
        while self.kind == "truncated" and np.any(beyond := np.abs(numbers) > _CUT):
            numbers[beyond] = random.normal(size=int(beyond.sum()))
        return self.first + self.second * numbers


def initialisation_of(told: Any) -> str | Drawn:
    """Return an initialisation as this library spells it, or the distribution that is drawn from.

    Raises:
        UnbuildableError: for one that is not known.

    >>> initialisation_of("kaiming_uniform_"), initialisation_of("RandomNormal(mean=0.0, stddev=0.01)")
    ('he_uniform', 'normal_0.01')
    >>> initialisation_of("truncated_normal")
    Drawn(kind='truncated', first=0.0, second=0.05)
    """
    if told is None or told == "":
        return "glorot_uniform"
    if isinstance(told, int | float):
        return f"constant_{float(told)!r}"
    name, values, words = _parts(told)
    if name in ("zeros", "zero", "all_zeros", "all_zero"):
        return "zeros"
    if name in ("ones", "one", "all_ones", "all_one"):
        return "ones"
    if name == "variance_scaling":
        return _variance_scaling(words)
    who, _, shape = name.partition("_")
    if who in _WHO and shape in ("uniform", "normal", ""):
        return f"{who}_{shape or 'uniform'}"
    if re.match(r"const(ant)?\b|fill|value", name.replace("_", " ")):
        return f"constant_{float(words.get('value', values[0] if values else 0.0))!r}"
    if "orthogonal" in name:
        return Drawn("orthogonal", 0.0, float(words.get("gain", values[0] if values else 1.0)))
    if "uniform" in name or name in ("u", "rand"):
        return _uniform(values, words, unit=name == "rand")
    if "normal" in name or "gauss" in name or name in ("n", "randn"):
        return _normal(name, values, words)
    raise UnbuildableError(f"there is no initialisation {told!r} here")


def _parts(told: Any) -> tuple[str, list[float], dict[str, Any]]:
    """Return the name of an initialisation in small letters, the numbers behind it, and those with a name."""
    if isinstance(told, Mapping):
        entries = {snake(str(key)): value for key, value in told.items()}
        name = str(entries.pop("name", entries.pop("type", entries.pop("class_name", ""))))
        nested = entries.pop("config", None)
        return snake(name), [], {**entries, **(nested if isinstance(nested, Mapping) else {})}
    text = str(told).strip()
    called, args, words = call_in(text.replace("²", "**2").replace("^", "**"))
    if args or words:
        numbers = [_evaluated(one) for one in args]
        # N(0, 0.1²) names a variance, which is written as a power.
        return _plain_name(called), numbers, {snake(key): value for key, value in words.items()}
    numbers = [float(one) for one in re.findall(rf"(?<![\w.])[-+]?{_NUMBER.removeprefix('[-+]?')}", _spaced(text))]
    return _plain_name(re.split(r"[\d(,±=]", text, maxsplit=1)[0]), numbers, {}


def _plain_name(name: str) -> str:
    """Return a name without what frameworks add to it."""
    plain = snake(name.rpartition(".")[2]).replace("xavier", "glorot").replace("kaiming", "he")
    plain = re.sub(r"_(initiali[sz]er|init|with|of|std|stddev|standard|deviation|on)\b.*$", "", plain)
    return re.sub(r"^random_", "", plain).strip("_")


def _spaced(text: str) -> str:
    """Return a text in which a number behind an underscore stands apart: uniform_0.05."""
    return re.sub(r"_(?=[-+.\d])", " ", text)


def _evaluated(value: Any) -> float:
    """Return a number of a call; of a power, its base: it is the deviation, squared."""
    if isinstance(value, str):
        base, _, _ = value.partition("**")
        try:
            return float(base)
        except ValueError:
            raise UnbuildableError(f"cannot read the number {value!r} of an initialisation") from None
    return float(value)


def _first_of(words: Mapping[str, Any], names: tuple[str, ...], usual: float) -> float:
    return next((float(words[name]) for name in names if words.get(name) is not None), usual)


def _uniform(values: list[float], words: Mapping[str, Any], *, unit: bool) -> str | Drawn:
    """Return a uniform distribution: on ±s for one number, on [a, b] for two."""
    usual = (0.0, 1.0) if unit else (-_DEVIATION, _DEVIATION)
    ends = (-abs(values[0]), abs(values[0])) if len(values) == 1 else tuple(values[:2]) or usual
    low = _first_of(words, ("minval", "low", "a"), ends[0])
    high = _first_of(words, ("maxval", "high", "b", "scale"), ends[1])
    if "maxval" not in words and "scale" in words:
        low = -high
    return f"uniform_{high!r}" if low == -high else Drawn("uniform", low, high)


def _normal(name: str, values: list[float], words: Mapping[str, Any]) -> str | Drawn:
    """Return a normal distribution: of deviation s for one number, of mean and deviation for two."""
    usual = 1.0 if name == "randn" else _DEVIATION
    mean, deviation = (values[0], values[1]) if len(values) > 1 else (0.0, values[0] if values else usual)
    mean = _first_of(words, ("mean", "loc", "mu"), mean)
    deviation = _first_of(words, ("stddev", "std", "sd", "scale", "sigma", "standard_deviation"), deviation)
    if "trunc" in name:
        return Drawn("truncated", mean, deviation)
    return f"normal_{deviation!r}" if mean == 0 else Drawn("normal", mean, deviation)


def _variance_scaling(words: Mapping[str, Any]) -> str:
    """Return the initialisation of this library with a scale and a mode of Keras."""
    scale, mode = float(words.get("scale", 1.0)), str(words.get("mode", "fan_in"))
    shape = "uniform" if "uniform" in str(words.get("distribution", "")) else "normal"
    who = {(1.0, "fan_in"): "lecun", (2.0, "fan_in"): "he", (1.0, "fan_avg"): "glorot"}.get((scale, mode))
    if who is None:
        raise UnbuildableError(f"there is no variance scaling by {scale:g} of {mode} here")
    return f"{who}_{shape}"


def _orthogonal(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return a matrix whose rows or columns are orthonormal, whichever are fewer (Saxe et al. 2013)."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    square, triangle = np.linalg.qr(random.normal(size=(max(rows, columns), min(rows, columns))))
    square = square * np.sign(np.diag(triangle))
    return (square if rows >= columns else square.T).reshape(shape)
