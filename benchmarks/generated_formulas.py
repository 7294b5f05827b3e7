"""Formulas at random, as people write them: sums of products, powers, quotients and functions of one or two variables.

They are smooth and finite around their start for the most part; a few have kinks, poles and edges of their domain, as
formulas of people do.
"""

from __future__ import annotations

import random

_FUNCTIONS = (
    "sin", "cos", "tanh", "atan", "exp", "ln", "√", "sigmoid", "softplus", "relu", "abs", "cbrt", "erf", "cosh",
    "asinh",
)  # fmt: skip
# An inner expression that keeps a function within its domain for the most part.
_SAFE = {"ln": "1 + ({})²", "√": "0.5 + ({})²", "exp": "-({})²/4", "cosh": "({})/3"}


def generated(count: int, seed: int = 0) -> list[tuple[str, dict[str, float]]]:
    """Return formulas with a start for each.

    Args:
        count: how many.
        seed: of the random numbers.
    """
    draw = random.Random(seed)
    return [_problem(draw) for _ in range(count)]


def _problem(draw: random.Random) -> tuple[str, dict[str, float]]:
    names = draw.choice((("x",), ("x", "y")))
    terms = [_term(draw, names) for _ in range(draw.randint(2, 4))]
    # A bowl around the terms keeps most of them from running away.
    bowl = [f"{_number(draw, 0.2, 1.5)}·{name}²" for name in names] if draw.random() < 0.8 else []
    text = f"f({', '.join(names)}) = " + " + ".join(terms + bowl)
    return text, {name: round(draw.uniform(-2, 2), 2) for name in names}


def _number(draw: random.Random, low: float = 0.2, high: float = 3.0) -> str:
    return f"{draw.uniform(low, high):.2f}"


def _term(draw: random.Random, names: tuple[str, ...]) -> str:
    kind = draw.random()
    inner = _inner(draw, names)
    if kind < 0.35:
        function = draw.choice(_FUNCTIONS)
        return f"{_number(draw)}·{function}({_SAFE.get(function, '{}').format(inner)})"
    if kind < 0.6:
        return f"{_number(draw, 0.1, 1.0)}·({inner})^{draw.choice((2, 2, 3, 4))}"
    if kind < 0.75:
        return f"({inner})/({_number(draw)} + ({_inner(draw, names)})²)"
    if kind < 0.85:
        return f"{_number(draw)}·{draw.choice(names)}·{draw.choice(names)}"
    if kind < 0.9:
        return f"{draw.choice(('max', 'min'))}({inner}, {_number(draw)}·{draw.choice(names)})"
    if kind < 0.95:
        return f"({_number(draw)} + ({inner})²)^{draw.choice(('1.5', '(1/3)', '0.5', '(-1/2)', '(-2)'))}"
    return f"{_number(draw)}·{draw.choice(names)}·sin({inner})"


def _inner(draw: random.Random, names: tuple[str, ...]) -> str:
    parts = [f"{_number(draw)}·{name}" for name in names if draw.random() < 0.8] or [names[0]]
    shift = f" {draw.choice('+-')} {_number(draw)}" if draw.random() < 0.6 else ""
    return " + ".join(parts) + shift
