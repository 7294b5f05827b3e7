"""A remedy as data, and the runs that remedies are fitted to."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from downslope._types import Point
from downslope.descent import Plan
from downslope.diagnosis import Evidence, Symptom, TrainingEvidence
from downslope.methods import MethodFacts, facts_of
from downslope.networks import Setup
from downslope.trace import Trace


@dataclass(frozen=True)
class Remedy:
    """A change of a plan or of a training, as data.

    Args:
        name: its name in a sentence: "relu in the hidden layers".
        why: the theory, in a sentence, with its source.
        changes: new values for arguments of `train` or of `plan`.
        moves: the name of the quantity that it should change, one of `quantity_names`.
        symptom: the finding that it is for.
        parts: the remedies that it combines; empty for a single one.
        elements: the single changes bundled in a named remedy; empty for a single change.
        key: the name of its maker; "" for a combination.
    """

    name: str
    why: str
    changes: Mapping[str, Any]
    moves: str
    symptom: str = ""
    parts: tuple[Remedy, ...] = ()
    elements: tuple[Remedy, ...] = ()
    key: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"

    @property
    def single_changes(self) -> tuple[Remedy, ...]:
        """Its smallest parts, each of which can be left out by itself."""
        if self.parts:
            return tuple(element for part in self.parts for element in part.single_changes)
        return self.elements or (self,)

    def with_other(self, other: Remedy) -> Remedy | None:
        """Return both combined; None if they change the same argument differently, or one is part of the other."""
        if any(name in self.changes and not same(self.changes[name], value) for name, value in other.changes.items()):
            return None
        both = self.then(other)
        return None if len(both.changes) in (len(self.changes), len(other.changes)) else both

    def then(self, other: Remedy) -> Remedy:
        """Return both combined; the other's changes take precedence, and parts that it replaces whole are dropped."""
        kept = [part for part in self.parts or (self,) if not part.changes.keys() <= other.changes.keys()]
        parts = (*kept, *(other.parts or (other,)))
        return Remedy(
            name=" + ".join(part.name for part in parts),
            why=" ".join(part.why for part in parts),
            changes={**self.changes, **other.changes},
            moves=self.moves if kept else other.moves,
            symptom=self.symptom,
            parts=parts,
        )


def two_digits(value: float) -> float:
    """Return a number with two digits, as a person would type it."""
    return float(f"{value:.2g}")


def same(first: Any, second: Any) -> bool:
    """Tell whether two changes are equal; starts may hold arrays."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(same(first[name], second[name]) for name in first)
    if isinstance(first, np.ndarray) or isinstance(second, np.ndarray):
        return np.array_equal(np.asarray(first), np.asarray(second))
    return bool(first == second)


# --- the runs that remedies are fitted to ----------------------------------------------------------------------------

_BEFORE = 0.9  # of the steps to the lowest loss are kept: what goes wrong begins before it shows
_WORTH_KEEPING = 0.1  # of all steps
_OF_UNITS = {"units", "channels", "initialisation"}  # a layer with any of these fields has weights


@dataclass(frozen=True, eq=False)
class TrainingCase:
    """A training that remedies are fitted to.

    Args:
        setup: its configuration.
        trace: its trace.
    """

    setup: Setup
    trace: Trace

    def choice(self, name: str) -> Any:
        """Return a choice of the setup; None where it was left out."""
        return self.setup.choices.get(name)

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """The settings of the method that the setup names."""
        return {name: value for name, value in self.setup.choices.items() if name in self.trace.plan["settings"]}

    @functools.cached_property
    def method(self) -> str:
        """The name of the method."""
        return str(self.trace.plan["method"])

    @functools.cached_property
    def facts(self) -> MethodFacts:
        """The theory of the method."""
        return facts_of(self.trace.plan)

    @functools.cached_property
    def rate(self) -> float:
        """The learning rate; NaN where the method takes none."""
        rate = self.trace.plan.get("learning_rate")
        return math.nan if rate is None else float(rate)

    @functools.cached_property
    def steps(self) -> int:
        """The steps that were allowed."""
        return int(self.trace.plan["steps"])

    @functools.cached_property
    def layers(self) -> tuple[Mapping[str, Any], ...]:
        """The layers of units of a built-in network, as plain data; none of others."""
        layers = (self.trace.facts["network"].get("description") or {}).get("layers") or ()
        return tuple(layer for layer in layers if _OF_UNITS & layer.keys())

    @functools.cached_property
    def hidden(self) -> tuple[Mapping[str, Any], ...]:
        """All of these but the last."""
        return self.layers[:-1]

    @functools.cached_property
    def activations(self) -> frozenset[str]:
        """The activations of the hidden layers."""
        names = self.trace.facts["network"].get("activations") or ()
        # An activation may stand behind its layer, by itself.
        if len(names) == len(self.layers):
            return frozenset(str(name) for name in names[:-1])
        return frozenset(str(layer.get("activation", "linear")) for layer in self.hidden)

    @functools.cached_property
    def sharpness(self) -> float | None:
        """The highest curvature that was seen after the first look, scaled as the method scales; None if unknown."""
        looks = self.trace.spectra[1:] or self.trace.spectra
        scaled = self.facts.scaled
        highest = [look.preconditioned_highest if scaled else look.highest for look in looks]
        known = [float(λ) for λ in highest if λ is not None and np.isfinite(λ) and λ > 0]
        return float(np.median(known)) if known else None

    @functools.cached_property
    def reference(self) -> float:
        """The score of a simple learner on the same rows; 1 if unknown."""
        reference = TrainingEvidence(self.trace).reference
        return 1.0 if reference is None else reference

    @functools.cached_property
    def noise_scale(self) -> float | None:
        """The gradient's noise scale in examples, the median over the looks; None where it is not known."""
        scales = np.asarray(self.trace.metrics.get("noise_scale", ()), float)
        known = scales[np.isfinite(scales)]
        return float(np.median(known)) if len(known) else None

    @functools.cached_property
    def healthy_steps(self) -> int:
        """The steps up to a little before the lowest loss that came before the highest; 0 for less than a tenth."""
        loss = np.asarray(self.trace.columns["value"], float)
        high = np.append(np.where(np.isfinite(loss), loss, np.inf), np.inf if self.trace.not_finite_step else -np.inf)
        lowest = int(np.argmin(high[: int(np.argmax(high)) + 1]))
        steps = int(_BEFORE * lowest)
        return steps if _WORTH_KEEPING * self.steps < steps < self.steps else 0

    @functools.cached_property
    def norms(self) -> np.ndarray:
        """The gradient's norms that were finite."""
        norms = np.asarray(self.trace.columns["gradient_norm"], float)
        return norms[np.isfinite(norms) & (norms > 0)]


TrainingMaker = Callable[[TrainingCase], Remedy | None]


@dataclass(frozen=True)
class OtherStart:
    """A descent from another start.

    Args:
        start: the start.
        value: the value at its end.
    """

    start: Point
    value: float


@dataclass(frozen=True, eq=False)
class DescentCase:
    """A descent that remedies are fitted to.

    Args:
        plan: its plan.
        trace: its trace.
        others: healthy descents from other starts.
    """

    plan: Plan
    trace: Trace
    others: tuple[OtherStart, ...] = field(default=())

    @functools.cached_property
    def evidence(self) -> Evidence:
        """The quantities that the checks share."""
        return Evidence(self.trace)

    @property
    def method(self) -> str:
        """The name of the method."""
        return self.plan.method.name

    @property
    def rate(self) -> float:
        """The learning rate; NaN where the method takes none."""
        return self.plan.learning_rate

    @property
    def is_even(self) -> bool:
        """Whether the rate never changes."""
        return self.plan.schedule.name == "constant" and math.isfinite(self.rate)

    @functools.cached_property
    def size(self) -> float:
        """The size of the point and the way; 1 for a descent that stayed at 0."""
        return self.evidence.end.scale or 1.0

    @property
    def runs_away(self) -> bool:
        """Whether the value rose above its start or was no number in the end."""
        return self.evidence.failed or self.evidence.is_rising

    @property
    def what_steps_move(self) -> str:
        """The metric that a step-size remedy should improve: the highest value if the run rose, else the distance."""
        return "highest_value" if self.runs_away else "distance"


DescentMaker = Callable[[DescentCase], Remedy | None]
Maker = TypeVar("Maker", TrainingMaker, DescentMaker)


def helps(*symptoms: str) -> Callable[[Maker], Maker]:
    """Return a decorator that names symptoms for which a remedy is tried after those that their records name.

    So a remedy that is added to symptoms that exist is written in one file.

    Args:
        symptoms: their keys.
    """

    def described(maker: Maker) -> Maker:
        maker.__helps__ = symptoms  # type: ignore[attr-defined]  # a function takes attributes
        return maker

    return described


def makers_for(symptom: str, records: Mapping[str, Symptom], makers: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the makers of the remedies for a symptom, in the order in which they are tried; none if it is unknown.

    Args:
        symptom: its key.
        records: the symptoms by key.
        makers: the names of the modules that hold makers, with their values.

    Raises:
        KeyError: for a record that names a remedy that is not there, which a test rules out.
    """
    if symptom not in records:
        return ()
    named = [makers[key] for key in records[symptom].remedies]
    naming = [maker for maker in makers.values() if symptom in getattr(maker, "__helps__", ())]
    return tuple(dict.fromkeys((*named, *naming)))
