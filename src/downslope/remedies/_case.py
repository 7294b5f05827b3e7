"""What remedies of a training are fitted to: what was asked for, and what came of it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope.diagnosis import TrainingEvidence
from downslope.methods import MethodFacts, facts_of
from downslope.networks import Setup
from downslope.remedies._remedy import Remedy
from downslope.trace import Trace

_BEFORE = 0.9  # of the steps to the lowest loss are kept: what goes wrong begins before it shows
_OF_UNITS = {"units", "channels", "initialisation"}  # a layer with any of these fields has weights
_WORTH_KEEPING = 0.1  # of all steps


@dataclass(frozen=True, eq=False)
class Case:
    """What a maker looks at.

    Args:
        setup: what was asked for.
        trace: what came of it.
    """

    setup: Setup
    trace: Trace

    def asked(self, name: str) -> Any:
        """Return a choice that was made; None where it was left out."""
        return self.setup.choices.get(name)

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """The settings of the method that were given."""
        return {name: told for name, told in self.setup.choices.items() if name in self.trace.plan["settings"]}

    @functools.cached_property
    def method(self) -> str:
        """The name of the method."""
        return str(self.trace.plan["method"])

    @functools.cached_property
    def facts(self) -> MethodFacts:
        """What theory says of the method."""
        return facts_of(self.trace.plan)

    @functools.cached_property
    def rate(self) -> float:
        """The learning rate; NaN where the method takes none."""
        told = self.trace.plan.get("learning_rate")
        return math.nan if told is None else float(told)

    @functools.cached_property
    def steps(self) -> int:
        """The steps that were allowed."""
        return int(self.trace.plan["steps"])

    @functools.cached_property
    def layers(self) -> tuple[Mapping[str, Any], ...]:
        """The layers of units of a built-in network, as plain data; none of others."""
        told = (self.trace.facts["network"].get("description") or {}).get("layers") or ()
        return tuple(layer for layer in told if _OF_UNITS & layer.keys())

    @functools.cached_property
    def hidden(self) -> tuple[Mapping[str, Any], ...]:
        """All of these but the last."""
        return self.layers[:-1]

    @functools.cached_property
    def activations(self) -> frozenset[str]:
        """The activations of the hidden layers."""
        return frozenset(str(layer.get("activation", "linear")) for layer in self.hidden)

    @functools.cached_property
    def sharpness(self) -> float | None:
        """The highest curvature that was seen after the first look, scaled as the method scales; None if unknown."""
        looks = self.trace.spectra[1:] or self.trace.spectra
        scaled = self.facts.scaled
        found = [look.preconditioned_highest if scaled else look.highest for look in looks]
        known = [float(λ) for λ in found if λ is not None and np.isfinite(λ) and λ > 0]
        return float(np.median(known)) if known else None

    @functools.cached_property
    def reference(self) -> float:
        """What a simple learner scores on the same rows; 1 where that is not known."""
        found = TrainingEvidence(self.trace).reference
        return 1.0 if found is None else found

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
        found = np.asarray(self.trace.columns["gradient_norm"], float)
        return found[np.isfinite(found) & (found > 0)]


Maker = Callable[[Case], Remedy | None]
