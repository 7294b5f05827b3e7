"""Time 20 000 recorded steps on the two-dimensional Rosenbrock function against other ways to write the loop.

Every row keeps x, y, the value and both parts of the gradient of each step, and hands them over as arrays. The native
loop is C, compiled with -O3; it allocates its record anew each time, as all do. The loops that go through Python
once a step run fewer steps, and are given per step. A plan chooses the engine for a single run, for which compiling
would take longer than all its steps in NumPy; a plan that is run again and again asks for `engine="jax"`.
"""

from __future__ import annotations

import ctypes
import statistics
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from native import library
from timing import arguments, interleaved, machine, median_ratio, publish, table

import downslope as ds

STEPS = 20_000
FEW_STEPS = 300
RATE = 1e-3
START = {"x": -1.2, "y": 1.0}
FORMULA = "f(x, y) = 100(y - x²)² + (1 - x)²"
NATIVE = """
void descend(double x, double y, double rate, long steps, double *X, double *Y, double *F, double *GX, double *GY) {
    for (long i = 0; i <= steps; i++) {
        double a = y - x * x, b = 1 - x, gx = -400 * x * a - 2 * b, gy = 200 * a;
        X[i] = x; Y[i] = y; F[i] = 100 * a * a + b * b; GX[i] = gx; GY[i] = gy;
        x -= rate * gx; y -= rate * gy;
    }
}
"""


def native() -> Callable[[], np.ndarray] | None:
    """Return the native loop, or None where there is no C compiler."""
    loaded = library(NATIVE)
    if loaded is None:
        return None
    function = loaded.descend
    pointer = ctypes.POINTER(ctypes.c_double)
    function.argtypes = [ctypes.c_double] * 3 + [ctypes.c_long] + [pointer] * 5
    function.restype = None

    def run() -> np.ndarray:
        record = np.empty((5, STEPS + 1))
        function(START["x"], START["y"], RATE, STEPS, *(row.ctypes.data_as(pointer) for row in record))
        return record

    return run


def ours(record: ds.Record, engine: Literal["auto", "jax"] = "jax") -> Callable[[], ds.Trace]:
    """Return the descent as a user calls it, from a plan made beforehand."""
    plan = ds.plan(FORMULA, START, learning_rate=RATE, steps=STEPS, tolerance=0.0, record=record, engine=engine)
    return lambda: ds.descend(plan, progress=False)


def program_alone() -> Callable[[], Any]:
    """Return the compiled program alone, without what makes a plan of it before and a trace of it after."""
    import jax

    from downslope.descent._descend import prepared

    record = ds.Record(curvature=False, spectrum=False)
    plan = ds.plan(FORMULA, START, learning_rate=RATE, steps=STEPS, tolerance=0.0, record=record, engine="jax")
    ready = prepared(plan)

    def run() -> Any:
        with jax.enable_x64(True):
            chunk = ready.program.begin(ready.start, ready.zero, ready.first_steps, ready.arguments)
            return np.asarray(chunk.record)

    return run


def jax_per_step() -> Callable[[], Any]:
    """Return a jitted step called from a Python loop."""
    import jax

    with jax.enable_x64(True):
        gradient = jax.value_and_grad(lambda p: 100 * (p[1] - p[0] ** 2) ** 2 + (1 - p[0]) ** 2)
        step = jax.jit(lambda p: (*gradient(p), p - RATE * gradient(p)[1]))

    def run() -> Any:
        with jax.enable_x64(True):
            point, rows = jax.numpy.array(list(START.values())), []
            for _ in range(FEW_STEPS):
                value, slope, following = step(point)
                rows.append((point, value, slope))
                point = following
            return jax.block_until_ready(rows)

    return run


def optax_per_step() -> Callable[[], Any]:
    """Return Optax's update, jitted, called from a Python loop."""
    import jax
    import optax

    with jax.enable_x64(True):
        rule = optax.sgd(RATE)
        gradient = jax.value_and_grad(lambda p: 100 * (p[1] - p[0] ** 2) ** 2 + (1 - p[0]) ** 2)

        @jax.jit
        def step(point: Any, state: Any) -> Any:
            value, slope = gradient(point)
            update, state = rule.update(slope, state)
            return value, slope, optax.apply_updates(point, update), state

    def run() -> Any:
        with jax.enable_x64(True):
            point, rows = jax.numpy.array(list(START.values())), []
            state = rule.init(point)
            for _ in range(FEW_STEPS):
                value, slope, following, state = step(point, state)
                rows.append((point, value, slope))
                point = following
            return jax.block_until_ready(rows)

    return run


def torch_per_step() -> Callable[[], Any] | None:
    """Return PyTorch's SGD in a Python loop, or None where there is no PyTorch."""
    try:
        import torch  # pyright: ignore[reportMissingImports]  # a peer, which make bench installs
    except ImportError:
        return None

    def run() -> Any:
        point = torch.tensor(list(START.values()), dtype=torch.float64, requires_grad=True)
        rule, rows = torch.optim.SGD([point], lr=RATE), []
        for _ in range(FEW_STEPS):
            rule.zero_grad()
            value = 100 * (point[1] - point[0] ** 2) ** 2 + (1 - point[0]) ** 2
            value.backward()
            rows.append((point.detach().clone(), value.detach(), point.grad.clone()))
            rule.step()
        return rows

    return run


def main() -> None:
    """Time every way to write the loop and print the ratios."""
    given = arguments((__doc__ or "").splitlines()[0]).parse_args()
    alone = "downslope, its compiled program alone"
    same, default = "downslope, the same five columns", "downslope, its whole record"
    first = "downslope, its whole record, by the engine of a single run"
    runs: dict[str, Callable[[], Any] | None] = {
        "native loop (C)": native(),
        alone: program_alone(),
        same: ours(ds.Record(curvature=False, spectrum=False)),
        default: ours(ds.Record()),
        first: ours(ds.Record(), "auto"),
        "JAX, a jitted step per Python iteration": jax_per_step(),
        "Optax, a jitted step per Python iteration": optax_per_step(),
        "PyTorch optim.SGD": torch_per_step(),
    }
    for name in [name for name, run in runs.items() if run is None]:
        print(f"left out: {name} (not installed here)")
        del runs[name]
    taken = {name: STEPS if "downslope" in name or "native" in name else FEW_STEPS for name in runs}
    seconds = interleaved({name: run for name, run in runs.items() if run is not None}, given.rounds)
    per_step = {name: [one / taken[name] for one in row] for name, row in seconds.items()}
    base, own = per_step.get("native loop (C)"), per_step[same]
    results = {
        name: {
            "nanoseconds_per_step": statistics.median(row) * 1e9,
            "ratio_to_native": median_ratio(row, base) if base else None,
            "ratio_to_downslope": median_ratio(row, own),
        }
        for name, row in per_step.items()
    }
    rows = [
        (
            name,
            f"{one['nanoseconds_per_step']:.1f}",
            f"{one['ratio_to_native']:.2f}" if base else "",
            f"{one['ratio_to_downslope']:.2f}",
        )
        for name, one in results.items()
    ]
    heads = ("loop", "ns a step", "native = 1", "downslope = 1")
    text = f"{machine()}; medians of {given.rounds} interleaved runs.\n\n{table(heads, rows)}"
    publish(given, "loops", text, {"steps": STEPS, "rows": results})


if __name__ == "__main__":
    main()
