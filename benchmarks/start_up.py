"""Seconds from the command to the answer: a descent, a fit, a sweep and a search, beside scripts that do the same.

Whole processes, interleaved, with bytecode compiled and the cache of compiled programs warm, as on the second call of a
day; a descent that is made to compile also with that cache off, as on the first. The scripts do the task alone: they
keep no record and give no verdict. Each ratio is to the script in the column beside it, or to a process that only
starts JAX.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from timing import arguments, interleaved, machine, median_ratio, publish, table

COFFEE = Path(__file__).parents[1] / "src" / "downslope" / "examples" / "coffee.csv"
DESCEND = ["descend", "f(x) = x² - 4x + 5", "--start", "x=0", "--learning-rate", "0.1", "--steps", "20"]
FIT = ["fit", str(COFFEE), "temperature = room + excess × e^(-k×minutes)"]
FIT_FROM = [*FIT, "--start", "room=20,excess=60,k=0.1"]
SWEEP = ["sweep", "f(x) = x²", "--start", "x=10"]
SEARCH = ["multistart", "x⁴ - 4x² + x", "--bounds", "x=-3..3", "--global"]

_COLUMNS = f"""
import numpy as np
minutes, temperature = np.loadtxt({str(COFFEE)!r}, delimiter=",", skiprows=1).T
def model(minutes, room, excess, k):
    return room + excess * np.exp(-k * minutes)
"""
_RATES = "rates = [0.5 ** (place / 4) * 2.83 for place in range(47)]\n"
SCRIPTS = {
    "JAX alone": "import jax; jax.devices()",
    "SciPy BFGS": """
from scipy.optimize import minimize
print(minimize(lambda x: x[0]**2 - 4*x[0] + 5, [0.0]))
""",
    "SciPy curve_fit": f"""{_COLUMNS}
from scipy.optimize import curve_fit
print(curve_fit(model, minutes, temperature, [20, 60, 0.1]))
""",
    "lmfit": f"""{_COLUMNS}
from lmfit import Model
print(Model(model).fit(temperature, minutes=minutes, room=20, excess=60, k=0.1).fit_report())
""",
    "Optax": f"""{_RATES}
import jax, optax
slope = jax.grad(lambda x: x**2)
@jax.jit
def step(x, state, rate):
    update, state = optax.sgd(rate).update(slope(x), state)
    return optax.apply_updates(x, update), state
for rate in rates:
    x, state = 10.0, optax.sgd(rate).init(10.0)
    for _ in range(1000):
        x, state = step(x, state, rate)
        if abs(2 * x) < 1e-10: break
    print(rate, x)
""",
    "PyTorch": f"""{_RATES}
import torch
for rate in rates:
    x = torch.tensor(10.0, dtype=torch.float64, requires_grad=True)
    rule = torch.optim.SGD([x], lr=rate)
    for _ in range(1000):
        rule.zero_grad()
        (x**2).backward()
        rule.step()
        if abs(x.grad.item()) < 1e-10: break
    print(rate, x.item())
""",
    "SciPy dual_annealing": """
from scipy.optimize import dual_annealing
print(dual_annealing(lambda x: x[0]**4 - 4*x[0]**2 + x[0], [(-3, 3)]))
""",
}
# What a process of ours is held against; the others, against a process that only starts JAX.
PEERS = {
    "downslope descend": "descend, by SciPy BFGS",
    "downslope fit": "fit, by SciPy curve_fit",
    "downslope fit --start": "fit, by SciPy curve_fit",
    "downslope search": "search, by SciPy dual_annealing",
}
# What is timed, by task: our command's arguments, and the scripts beside it with the library that each needs.
TASKS = {
    "descend": (DESCEND, {"SciPy BFGS": "scipy"}),
    "descend --engine jax": ([*DESCEND, "--engine", "jax"], {}),
    "slope": (["slope", "x² - 4x + 5", "--at", "x=1"], {}),
    "derive": (["derive", "(x² + 1)/x"], {}),
    "backprop": (["backprop", "L = (y - w·x)²", "--at", "w=0.5,x=2,y=1.25"], {}),
    "fit": (FIT, {"SciPy curve_fit": "scipy", "lmfit": "lmfit"}),
    "fit --start": (FIT_FROM, {}),
    "sweep": (SWEEP, {"Optax": "optax", "PyTorch": "torch"}),
    "search": (SEARCH, {"SciPy dual_annealing": "scipy"}),
}


def process(command: list[str], **variables: str) -> Callable[[], None]:
    """Return a run of a command in a process of its own."""
    environment = os.environ | variables

    def run() -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)

    return run


def script(name: str) -> Callable[[], None]:
    """Return a run of a script in a process of its own."""
    return process([sys.executable, "-c", SCRIPTS[name]])


def runs_of(cache: str) -> dict[str, Callable[[], None]]:
    """Return everything that is timed, by what it is called in the table.

    Args:
        cache: a folder for compiled programs.
    """
    downslope = str(Path(sys.executable).parent / "downslope")
    runs = {"nothing but JAX": script("JAX alone"), "downslope --help": process([downslope, "--help"])}
    for task, (words, others) in TASKS.items():
        runs[f"downslope {task}"] = process([downslope, *words], XDG_CACHE_HOME=cache)
        if "jax" in words:
            runs[f"downslope {task}, first"] = process([downslope, *words], JAX_COMPILATION_CACHE_DIR="")
        for name, library in others.items():
            if importlib.util.find_spec(library) is None:
                print(f"left out: {name} (not installed here)")
            else:
                runs[f"{task}, by {name}"] = script(name)
    return runs


def main() -> None:
    """Time every process and print the ratios."""
    given = arguments((__doc__ or "").splitlines()[0]).parse_args()
    subprocess.run([sys.executable, "-m", "compileall", "-q", "src"], check=False)
    with tempfile.TemporaryDirectory() as cache:
        seconds = interleaved(runs_of(cache), given.rounds)
    base = seconds["nothing but JAX"]
    results = {
        name: {"seconds": statistics.median(row), "ratio": median_ratio(row, base)} for name, row in seconds.items()
    }
    beside = {name: median_ratio(seconds[name], seconds[peer]) for name, peer in PEERS.items() if peer in seconds}
    rows = [
        (name, f"{one['seconds']:.2f}", f"{one['ratio']:.2f}", f"{beside[name]:.2f}" if name in beside else "")
        for name, one in results.items()
    ]
    heads = ("process", "seconds", "to JAX alone", "to its peer")
    text = f"{machine()}; medians of {given.rounds} interleaved runs.\n\n{table(heads, rows)}"
    publish(given, "start_up", text, {"rows": results})


if __name__ == "__main__":
    main()
