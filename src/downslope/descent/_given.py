"""What the compiled loops are given of a plan, and what a trace tells of it besides."""

from __future__ import annotations

import functools
import sys

import numpy as np

from downslope import __version__
from downslope._engine import jax
from downslope.descent._plan import Plan
from downslope.descent._recipe import Given


def given_of(made: Plan) -> Given:
    """Return the traced arguments."""
    settings = {name: np.float64(number) for name, number in made.method.settings.items() if name != "memory"}
    return Given(
        data=made.objective.data,
        rate=np.float64(made.learning_rate),
        settings=settings | {"seed": np.uint32(made.seed)},
        course={name: np.float64(number) for name, number in made.schedule.settings.items()},
        budget=np.float64(max(made.steps, 1)),
        tolerance=np.float64(made.tolerance),
        clip_norm=np.float64(made.clip_norm or 0),
        clip_value=np.float64(made.clip_value or 0),
    )


def rates_of(made: Plan, step: np.ndarray) -> np.ndarray:
    """Return the learning rate of the step that leaves each row; a single number where it never changes."""
    if made.schedule.name == "constant":
        return np.asarray(made.learning_rate)
    if made.schedule.function is not None:
        rates = jax().vmap(made.schedule.function)(step)
    else:
        rates = made.schedule.rate(step, made.learning_rate, max(made.steps, 1), made.schedule.settings, np)
    return np.append(np.asarray(rates, dtype=float)[:-1], np.nan)


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of what computed the trace; asked of the modules, as package metadata is slow to import."""
    python = ".".join(map(str, sys.version_info[:3]))
    return {"python": python, "downslope": __version__, "jax": jax().__version__, "numpy": np.__version__}
