"""Problems with a known answer, for tests of anything that descends or judges.

Each is a textbook formula, written once for SymPy, NumPy and the reader of formulas alike, with its lowest value, where
a sensible descent starts, and plans: healthy ones that must raise no alarm, and sick ones with the symptom they show.

References: Moré, Garbow and Hillstrom, "Testing unconstrained optimization software", 1981; Jamil and Yang, "A
literature survey of benchmark functions for global optimization problems", 2013.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy


@dataclass(frozen=True)
class Run:
    """How to descend, and what must be said of it.

    Args:
        symptom: the first finding, where it is fixed; "" if any that is no problem will do.
        learning_rate: the rate α.
        steps: the most steps to take.
        method: the method's name.
        start: where to start instead of the problem's own start.
    """

    symptom: str
    learning_rate: float
    steps: int
    method: str = "gradient descent"
    start: Mapping[str, float] | None = None

    def __str__(self) -> str:
        return f"{self.method} at {self.learning_rate} for {self.steps}"


@dataclass(frozen=True)
class Problem:
    """A function with a known minimum.

    Args:
        name: what the literature calls it.
        formula: in plain ASCII, as the reader of formulas and SymPy both take it.
        start: the usual start, by coordinate.
        minimum: its lowest value.
        healthy: plans that must raise no alarm.
        sick: plans with the symptom that they show.
    """

    name: str
    formula: str
    start: Mapping[str, float]
    minimum: float
    healthy: tuple[Run, ...] = ()
    sick: tuple[Run, ...] = field(default=())

    def __str__(self) -> str:
        return self.name

    @functools.cached_property
    def functions(self) -> tuple[Any, Any, Any]:
        """Value, gradient and Hessian as functions of an array of coordinates, by SymPy."""
        names = sorted(self.start)
        symbols = sympy.symbols(names, real=True)
        known: dict[str, Any] = dict(zip(names, symbols, strict=True))
        expression = sympy.parse_expr(self.formula, local_dict=known)
        gradient = [expression.diff(symbol) for symbol in symbols]
        hessian = [[entry.diff(symbol) for symbol in symbols] for entry in gradient]
        compiled = [sympy.lambdify(symbols, thing, "numpy", cse=True) for thing in (expression, gradient, hessian)]
        value, slope, bend = compiled
        return (
            lambda point: float(value(*point)),
            lambda point: np.array(slope(*point), dtype=float),
            lambda point: np.array(bend(*point), dtype=float),
        )


def _xy(x: float, y: float) -> dict[str, float]:
    return {"x": x, "y": y}


PROBLEMS: tuple[Problem, ...] = (
    Problem(
        "Parabola",
        "x**2",
        {"x": 10.0},
        0.0,
        healthy=(
            Run("converged", 0.1, 200),
            Run("still_descending", 0.1, 20),
            Run("converged", 0.5, 10),
            Run("converged", 0.9, 200),
            Run("still_descending", 0.99, 100),
            Run("converged", 0.1, 1000, "momentum"),
            Run("converged", 0.1, 1000, "nesterov"),
            Run("converged", 0.1, 2000, "adam"),
            Run("still_descending", 0.1, 100, "adam"),
        ),
        sick=(
            Run("oscillating", 1.0, 100),
            Run("rate_too_large", 1.01, 100),
            Run("rate_too_large", 1.1, 20000),
            Run("rate_too_small", 0.001, 1000),
            Run("rate_too_small", 1e-5, 100),
            Run("rate_too_large", 2.0, 100, "momentum"),
            Run("rate_too_large", 0.7, 100, "nesterov"),
            Run("rate_too_small", 1e-4, 100, "adam"),
        ),
    ),
    Problem("Article's parabola", "x**2 - 4*x + 5", {"x": 0.0}, 1.0, healthy=(Run("still_descending", 0.1, 20),)),
    Problem(
        "Houses",
        "((200000 - 100000*w)**2 + (300000 - 150000*w)**2 + (400000 - 200000*w)**2)/3/1e6",
        {"w": 0.0},
        0.0,
        healthy=(Run("converged", 1e-5, 200),),
    ),
    Problem(
        "Elliptic bowl",
        "x**2 + 2*y**2",
        _xy(4.0, 3.0),
        0.0,
        healthy=(Run("still_descending", 0.1, 20), Run("converged", 0.1, 300)),
        sick=(Run("rate_too_large", 0.51, 100), Run("rate_too_small", 1e-4, 200)),
    ),
    Problem(
        "Narrow bowl",
        "x**2 + 100*y**2",
        _xy(1.0, 1.0),
        0.0,
        healthy=(
            Run("still_descending", 0.009, 100),
            Run("converged", 0.009, 3000),
            Run("converged", 0.009, 800, "momentum"),
        ),
        sick=(Run("rate_too_large", 0.0102, 200), Run("oscillating", 0.01, 1000)),
    ),
    Problem(
        "Rotated bowl",
        "7*x**2 - 6*sqrt(3)*x*y + 13*y**2",
        _xy(5.8, -9.0),
        0.0,
        healthy=(Run("converged", 0.05, 400),),
    ),
    Problem("Matyas", "0.26*(x**2 + y**2) - 0.48*x*y", _xy(3.6, -8.9), 0.0, healthy=(Run("converged", 0.9, 2000),)),
    Problem("Booth", "(x + 2*y - 7)**2 + (2*x + y - 5)**2", _xy(0.0, 0.0), 0.0, healthy=(Run("converged", 0.1, 300),)),
    Problem(
        "Rosenbrock",
        "100*(y - x**2)**2 + (1 - x)**2",
        _xy(-1.2, 1.0),
        0.0,
        healthy=(
            Run("still_descending", 0.001, 1000),
            Run("converged", 0.001, 100000),
            Run("", 0.0005, 5000, "momentum"),
            Run("", 0.01, 2000, "adam"),
        ),
        sick=(Run("rate_too_large", 0.1, 100),),
    ),
    Problem(
        "Beale",
        "(1.5 - x + x*y)**2 + (2.25 - x + x*y**2)**2 + (2.625 - x + x*y**3)**2",
        _xy(1.0, 1.0),
        0.0,
        healthy=(Run("", 0.02, 500), Run("converged", 0.02, 6000), Run("", 0.05, 3000, "adam")),
        sick=(Run("rate_too_large", 0.8, 100),),
    ),
    Problem(
        "Himmelblau",
        "(x**2 + y - 11)**2 + (x + y**2 - 7)**2",
        _xy(0.0, 0.0),
        0.0,
        healthy=(Run("converged", 0.01, 500), Run("still_descending", 0.01, 20), Run("", 0.1, 500, "adam")),
        sick=(Run("maximum", 0.01, 100, start=_xy(-0.2708445906673476, -0.9230385564799816)),),
    ),
    Problem(
        "Goldstein-Price",
        "(1 + (x + y + 1)**2*(19 - 14*x + 3*x**2 - 14*y + 6*x*y + 3*y**2))"
        "*(30 + (2*x - 3*y)**2*(18 - 32*x + 12*x**2 + 48*y - 36*x*y + 27*y**2))",
        _xy(0.3, -0.7),
        3.0,
        healthy=(Run("converged", 0.0003, 3000),),
    ),
    Problem(
        "Three-hump camel",
        "2*x**2 - 1.05*x**4 + x**6/6 + x*y + y**2",
        _xy(1.0, 1.0),
        0.0,
        healthy=(Run("converged", 0.1, 500),),
    ),
    Problem(
        "Six-hump camel",
        "(4 - 2.1*x**2 + x**4/3)*x**2 + x*y + (-4 + 4*y**2)*y**2",
        _xy(0.5, 0.5),
        -1.0316284534898774,
        healthy=(Run("converged", 0.03, 500),),
        sick=(Run("saddle_point", 0.03, 100, start=_xy(0.0, 0.0)),),
    ),
    Problem(
        "McCormick",
        "sin(x + y) + (x - y)**2 - 1.5*x + 2.5*y + 1",
        _xy(0.0, 0.0),
        -1.9132229549810367,
        healthy=(Run("converged", 0.1, 1000),),
    ),
    Problem(
        "Branin",
        "(y - 5.1*x**2/(4*pi**2) + 5*x/pi - 6)**2 + 10*(1 - 1/(8*pi))*cos(x) + 10",
        _xy(5.0, 1.0),
        0.3978873577297383,
        healthy=(Run("converged", 0.05, 1000),),
    ),
    Problem(
        "Bohachevsky",
        "x**2 + 2*y**2 - 0.3*cos(3*pi*x) - 0.4*cos(4*pi*y) + 0.7",
        _xy(0.1, 0.1),
        0.0,
        healthy=(Run("converged", 0.02, 500),),
    ),
    Problem(
        "Rastrigin",
        "20 + x**2 - 10*cos(2*pi*x) + y**2 - 10*cos(2*pi*y)",
        _xy(-0.03, -0.32),
        0.0,
        healthy=(Run("converged", 0.002, 500),),
        sick=(Run("rate_too_small", 1e-6, 200),),
    ),
    Problem(
        "Easom",
        "-cos(x)*cos(y)*exp(-(x - pi)**2 - (y - pi)**2)",
        _xy(2.5, 3.5),
        -1.0,
        healthy=(Run("converged", 0.2, 500),),
        sick=(Run("plateau", 0.2, 100, start=_xy(7.5, -1.0)),),
    ),
    Problem(
        "Dixon-Price",
        "(x - 1)**2 + 2*(2*y**2 - x)**2",
        _xy(2.0, 1.5),
        0.0,
        healthy=(Run("converged", 0.02, 3000),),
    ),
    Problem(
        "Zettl",
        "(x**2 + y**2 - 2*x)**2 + x/4",
        _xy(0.5, 0.5),
        -0.003791237220468898,
        healthy=(Run("converged", 0.05, 3000), Run("", 0.05, 100)),
    ),
    Problem(
        "Styblinski-Tang",
        "(x**4 - 16*x**2 + 5*x + y**4 - 16*y**2 + 5*y)/2",
        _xy(-1.0, -1.0),
        -78.33233140754282,
        healthy=(Run("converged", 0.01, 500),),
    ),
    Problem(
        "Powell singular",
        "(a + 10*b)**2 + 5*(c - d)**2 + (b - 2*c)**4 + 10*(a - d)**4",
        {"a": 3.0, "b": -1.0, "c": 0.0, "d": 1.0},
        0.0,
        healthy=(Run("still_descending", 0.004, 2000), Run("", 0.004, 20000)),
    ),
    Problem(
        "Wood",
        "100*(a**2 - b)**2 + (a - 1)**2 + (c - 1)**2 + 90*(c**2 - d)**2 + 10.1*((b - 1)**2 + (d - 1)**2) "
        "+ 19.8*(b - 1)*(d - 1)",
        {"a": 0.5, "b": 0.3, "c": 0.5, "d": 0.3},
        0.0,
        healthy=(Run("", 0.001, 3000), Run("converged", 0.001, 60000)),
    ),
    Problem(
        "Brent",
        "(x + 10)**2 + (y + 10)**2 + exp(-x**2 - y**2)",
        _xy(3.6, -8.9),
        0.0,
        healthy=(Run("converged", 0.1, 300), Run("converged", 0.6, 300)),
    ),
    Problem(
        "Sphere in six",
        "a**2 + b**2 + c**2 + d**2 + g**2 + h**2",
        {"a": 1.0, "b": -2.0, "c": 3.0, "d": -4.0, "g": 5.0, "h": 0.0},
        0.0,
        healthy=(Run("converged", 0.25, 100), Run("converged", 0.95, 500)),
        sick=(Run("rate_too_large", 1.05, 100),),
    ),
    Problem(
        "Sum of squares in five",
        "a**2 + 2*b**2 + 3*c**2 + 4*d**2 + 5*g**2",
        {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0, "g": 1.0},
        0.0,
        healthy=(Run("converged", 0.15, 300), Run("still_descending", 0.05, 30)),
    ),
    Problem("Quartic", "x**4", {"x": 1.0}, 0.0, healthy=(Run("still_descending", 0.05, 100), Run("", 0.05, 20000))),
    Problem(
        "Double well",
        "x**4 - 2*x**2",
        {"x": 0.1},
        -1.0,
        healthy=(Run("converged", 0.05, 300), Run("still_descending", 0.05, 5)),
        sick=(Run("maximum", 0.05, 100, start={"x": 0.0}),),
    ),
    Problem("Softened modulus", "sqrt(1 + x**2)", {"x": 3.0}, 1.0, healthy=(Run("converged", 0.5, 100),)),
    Problem(
        "Logarithmic barrier",
        "x - log(x)",
        {"x": 0.5},
        1.0,
        healthy=(Run("converged", 0.2, 300),),
        sick=(Run("rate_too_large", 5.0, 100, start={"x": 4.0}),),
    ),
)

SICK_GROUNDS: tuple[Problem, ...] = (
    Problem(
        "Saddle",
        "x**2 - y**2",
        _xy(1.0, 0.0),
        -np.inf,
        sick=(
            Run("saddle_point", 0.1, 20),
            Run("saddle_point", 0.1, 100),
            Run("saddle_point", 0.1, 1000),
            Run("saddle_point", 0.1, 1000, "momentum"),
            Run("saddle_point", 0.1, 2000, "adam"),
            Run("saddle_point", 0.1, 100, start=_xy(0.0, 0.0)),
            Run("diverged", 0.1, 100, start=_xy(1.0, 1e-3)),
            Run("diverged", 0.1, 20000, start=_xy(1.0, 1e-3)),
        ),
    ),
    Problem(
        "Hilltop",
        "-x**2",
        {"x": 0.0},
        -np.inf,
        sick=(Run("maximum", 0.1, 100), Run("diverged", 0.1, 100, start={"x": 1})),
    ),
    Problem("Monkey saddle", "x**3 - 3*x*y**2", _xy(0.0, 0.0), -np.inf, sick=(Run("plateau", 0.1, 100),)),
    Problem(
        "Sigmoid",
        "1/(1 + exp(-x))",
        {"x": 10.0},
        0.0,
        sick=(Run("plateau", 0.1, 100), Run("plateau", 0.1, 1000), Run("plateau", 0.1, 100, start={"x": -10.0})),
    ),
    Problem(
        "Saturated neuron",
        "(1/(1 + exp(-x)) - 1)**2",
        {"x": -10.0},
        0.0,
        sick=tuple(Run("plateau", 0.1, 100, start={"x": x}) for x in (-8.0, -10.0, -20.0, -30.0, -37.0)),
    ),
    Problem("Gaussian pit", "1 - exp(-x**2 - y**2)", _xy(4.0, 4.0), 0.0, sick=(Run("plateau", 0.1, 100),)),
    Problem("Logarithm", "log(x)", {"x": 1.0}, -np.inf, sick=(Run("not_finite", 0.1, 100),)),
    Problem("Explosive quartic", "x**4", {"x": 10.0}, 0.0, sick=(Run("rate_too_large", 0.1, 100),)),
)
