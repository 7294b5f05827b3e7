"""Independent fits of a thousand groups: in one call, and by a loop over SciPy's curve_fit, interleaved.

Each group has 20 rows of an exponential with an offset, amplitudes, rates and offsets of its own, and noise. Both begin
at the same start. The parameters and their errors are compared with curve_fit at its tightest tolerances.
"""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
from scipy.optimize import curve_fit
from timing import arguments, interleaved, machine, median_ratio, publish, table

import downslope as ds

_GROUPS, _ROWS, _ROUNDS = 1000, 20, 7
_EQUATION = "y = A×e^(-k×x) + c"
_START = {"A": 2.0, "k": 1.0, "c": 0.3}


def decay(x: np.ndarray, amplitude: Any, rate: Any, offset: Any) -> np.ndarray:
    return amplitude * np.exp(-rate * x) + offset


def columns(seed: int) -> dict[str, np.ndarray]:
    """Return the table: a group, x and y in each row."""
    random = np.random.default_rng(seed)
    x = np.tile(np.linspace(0, 5, _ROWS), (_GROUPS, 1))
    amplitude, rate, offset = (random.uniform(low, high, (_GROUPS, 1)) for low, high in ((1, 5), (0.5, 1.5), (0, 1)))
    y = decay(x, amplitude, rate, offset) + 0.02 * random.normal(size=x.shape)
    return {"sample": np.repeat(np.arange(_GROUPS), _ROWS), "x": x.ravel(), "y": y.ravel()}


def together(data: dict[str, np.ndarray], start: dict[str, float] | None = _START) -> Any:
    fit: Any = ds.fit(_EQUATION, data, by="sample", shared=(), start=start)
    return np.array(fit.free_values.T), np.array(fit.errors.standard_errors(pooled=False).T)


def one_by_one(data: dict[str, np.ndarray], **settings: Any) -> Any:
    x, y = data["x"].reshape(_GROUPS, _ROWS), data["y"].reshape(_GROUPS, _ROWS)
    fits: Any = [curve_fit(decay, x[g], y[g], p0=tuple(_START.values()), **settings)[:2] for g in range(_GROUPS)]
    return np.array([values for values, _ in fits]), np.array([np.sqrt(np.diag(matrix)) for _, matrix in fits])


def main() -> None:
    given = arguments(__doc__ or "", rounds=7).parse_args()
    data = columns(0)
    (values, errors), (wanted, wanted_errors) = together(data), one_by_one(data, ftol=1e-14, xtol=1e-14, gtol=1e-14)
    searched, _ = together(data, None)
    loop, ours, without = "a loop over curve_fit, with a start", "ds.fit(by=…), with a start", "ds.fit(by=…), without"
    runs = {
        loop: lambda: one_by_one(data),
        ours: lambda: together(data),
        without: lambda: together(data, None),
    }
    seconds = interleaved(runs, given.rounds)
    ratios = {name: median_ratio(seconds[loop], row) for name, row in seconds.items()}
    rows = [
        (name, f"{statistics.median(row) * 1e3:.0f}", f"1/{ratios[name]:.3g}" if name != loop else "1")
        for name, row in seconds.items()
    ]
    away = float(np.max(np.abs(values - wanted) / wanted_errors))
    away_of_errors = float(np.max(np.abs(errors / wanted_errors - 1)))
    away_without = float(np.max(np.abs(searched - wanted) / wanted_errors))
    heads = (f"{_GROUPS} groups of {_ROWS} rows", "ms", "of the loop")
    text = (
        f"{machine()}; medians of {given.rounds} interleaved runs.\n\n{table(heads, rows)}\n\n"
        f"Largest difference from curve_fit at its tightest tolerances: {away:.0e} standard errors of the parameters, "
        f"{away_without:.0e} without a start, {away_of_errors:.0e} of the errors."
    )
    results = {"ratios": ratios, "away": away, "away_without": away_without, "away_of_errors": away_of_errors}
    publish(given, "groups", text, results)


if __name__ == "__main__":
    main()
