"""The time from nothing to the first answer about a formula that was never seen, beside scripts that answer the same.

Each round draws other numbers into the formulas, so that nothing is compiled or cached before. *In a process* that is
running counts milliseconds of the processor, after one round that loads the libraries; *as a process* counts seconds of
the clock from the command, or from the start of a script, to the end. Ours and the peer's follow each other; ratios are
medians over the rounds, below 1 where ours is faster. The scripts do the task alone: their formulas are Python already,
and they keep no record and give no verdict.
"""

from __future__ import annotations

import contextlib
import io
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from timing import arguments, machine, publish, table

_HEADS = ("answer", "in a process, ms", "peer", "peer's, ms", "ratio", "as a process, s", "peer's, s", "ratio")


@dataclass(frozen=True)
class Task:
    """A question about a formula.

    Args:
        name: what is asked.
        formula: as it is written in a book; numbers are drawn for {a}, {b} and {c}.
        words: of our command, the formula aside.
        call: the same in Python; the formula is called `text`.
        peers: scripts by name; {f} is the formula in Python.
        python: the formula in Python.
    """

    name: str
    formula: str
    words: tuple[str, ...]
    call: str
    peers: dict[str, str]
    python: str = ""

    def with_numbers(self, numbers: dict[str, str]) -> Task:
        """Return the task with numbers and a file in the place of their names."""

        def put(text: str) -> str:
            for name, number in numbers.items():
                text = text.replace(f"{{{name}}}", number)
            return text

        python = put(self.python)
        peers = {name: put(script).replace("{f}", python) for name, script in self.peers.items()}
        return Task(self.name, put(self.formula), tuple(map(put, self.words)), put(self.call), peers, python)

    @property
    def command(self) -> list[str]:
        """The command that answers."""
        verb, *rest = self.words
        file = [rest.pop(0)] if verb == "fit" else []  # stands before the equation
        return [str(Path(sys.executable).with_name("downslope")), verb, *file, self.formula, *rest]

    @property
    def script(self) -> str:
        """The call as a script."""
        return f"import downslope as ds\ntext = {self.formula!r}\nprint({self.call})"


_VALLEY = {"formula": "f(x, y) = {a}x² + {b}(y - x)² + sin({c}x)", "python": "{a}*x**2 + {b}*(y - x)**2 + sin({c}*x)"}
_QUARTIC = {"formula": "f(x) = {a}x⁴ - 4x² + {b}x", "python": "{a}*x**4 - 4*x**2 + {b}*x"}
_NUMPY = "from numpy import *\nfrom scipy.optimize import minimize\ndef f(p):\n    x, y = p\n    return {f}\n"
_SYMPY = "from sympy import *\nx, y = symbols('x y')\nf = {f}\n"
TASKS = (
    Task(
        "descent",
        words=("descend", "--start", "x=2,y=1", "--steps", "100", "--learning-rate", "0.02"),
        call="ds.descend(text, {'x': 2, 'y': 1}, steps=100, learning_rate=0.02)",
        peers={
            "SciPy minimize": f"{_NUMPY}print(minimize(f, [2, 1]))",
            "downslope in JAX": "import downslope as ds\n"
            "print(ds.descend('f(x, y) = {a}x² + {b}(y - x)² + sin({c}x) + 0', {'x': 2, 'y': 1}, steps=100, "
            "learning_rate=0.02, engine='jax'))",
        },
        **_VALLEY,
    ),
    Task(
        "slope",
        words=("slope", "--at", "x=2,y=1"),
        call="ds.slope(text, {'x': 2, 'y': 1})",
        peers={
            "SymPy diff, hessian": f"{_SYMPY}at = {{x: 2, y: 1}}\n"
            "print([f.diff(v).evalf(subs=at) for v in (x, y)], hessian(f, (x, y)).subs(at).evalf().eigenvals())"
        },
        **_VALLEY,
    ),
    Task(
        "derivation",
        words=("derive",),
        call="ds.derive(text, 'x')",
        peers={"SymPy diff, simplify": f"{_SYMPY}print(simplify(f.diff(x)))"},
        formula="f(x) = {a}x·sin({b}x) + x²/({c} + x²)",
        python="{a}*x*sin({b}*x) + x**2/({c} + x**2)",
    ),
    Task(
        "critical points",
        words=("critical", "--within", "x=-3..3"),
        call="ds.critical_points(text, {'x': (-3, 3)})",
        peers={"SymPy solve": f"{_SYMPY}print([(p, f.subs(x, p), f.diff(x, 2).subs(x, p)) for p in solve(f.diff(x))])"},
        **_QUARTIC,
    ),
    Task(
        "fit",
        words=("fit", "{file}", "--start", "A=2,k=1,c=0"),
        call="ds.fit('{file}', text, start={'A': 2, 'k': 1, 'c': 0})",
        peers={
            "SciPy curve_fit": "import numpy as np\nfrom scipy.optimize import curve_fit\n"
            "x, y = np.loadtxt('{file}', delimiter=',', skiprows=1).T\n"
            "print(curve_fit(lambda x, A, k, c: {f}, x, y, [2, 1, 0]))"
        },
        formula="y = A·e^(-k·x) + c·{a}",
        python="A*np.exp(-k*x) + c*{a}",
    ),
    Task(
        "race",
        words=("compare", "--start", "x=2,y=1", "--steps", "100"),
        call="ds.compare(text, {'x': 2, 'y': 1}, steps=100)",
        peers={
            "SciPy minimize, 7 methods": f"{_NUMPY}names = 'Nelder-Mead Powell CG BFGS L-BFGS-B TNC SLSQP'\n"
            "for name in names.split():\n    print(minimize(f, [2, 1], method=name))"
        },
        **_VALLEY,
    ),
    Task(
        "search",
        words=("search", "--bounds", "x=-3..3"),
        call="ds.search(text, {'x': (-3, 3)})",
        peers={
            "SciPy dual_annealing": "from scipy.optimize import dual_annealing\n"
            "def f(p):\n    x, = p\n    return {f}\nprint(dual_annealing(f, [(-3, 3)]))"
        },
        **_QUARTIC,
    ),
)


class Times:
    """The seconds of each round, by task and by what answered: "ours" or a peer."""

    def __init__(self) -> None:
        self.seconds: dict[str, dict[str, list[float]]] = {}

    def note(self, task: str, name: str, seconds: float) -> None:
        """Note one round."""
        self.seconds.setdefault(task, {}).setdefault(name, []).append(seconds)

    def row(self, task: str, peer: str, unit: float, form: str) -> tuple[str, str, str]:
        """Return the medians of ours and of a peer, and their ratio."""
        ours, others = self.seconds[task]["ours"], self.seconds[task][peer]
        ratio = statistics.median(one / other for one, other in zip(ours, others, strict=True))
        return (
            form.format(statistics.median(ours) / unit),
            form.format(statistics.median(others) / unit),
            f"{ratio:.2f}",
        )


def main() -> None:
    """Time every answer and its peers, and print the medians."""
    parser = arguments((__doc__ or "").splitlines()[0], rounds=9)
    parser.add_argument("--processes", type=int, default=5, help="how often each is timed as a process")
    options = parser.parse_args()
    draw, inside, outside = random.Random(18), Times(), Times()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds + 1):
            for task in TASKS:
                drawn = with_numbers(task, draw, Path(folder), number)
                runs = {"ours": (drawn.script, drawn.command)} | {
                    name: (script, [sys.executable, "-c", script]) for name, script in drawn.peers.items()
                }
                # In turn each comes first; the first round loads libraries and bytecode, and does not count.
                for name in sorted(runs, reverse=number % 2 == 1):
                    script, command = runs[name]
                    seconds = in_process(script)
                    if number > 0:
                        inside.note(task.name, name, seconds)
                    if 0 < number <= options.processes:
                        outside.note(task.name, name, as_process(command))
    rows = []
    for task in TASKS:
        for peer in task.peers:
            ours, others, ratio = inside.row(task.name, peer, 1e-3, "{:.1f}")
            processes = outside.row(task.name, peer, 1, "{:.2f}")
            rows.append((task.name, ours, peer, others, ratio, *processes))
    text = (
        f"{machine()}; medians of {options.rounds} formulas in a process and of {options.processes} as a process, none "
        f"seen before.\n\n{table(_HEADS, rows)}"
    )
    publish(options, "first_answer", text, {"in a process": inside.seconds, "as a process": outside.seconds})


def with_numbers(task: Task, draw: random.Random, folder: Path, number: int) -> Task:
    """Return a task with numbers, and a table of a length of its own for a fit."""
    a, b, c = (draw.uniform(0.5, 2.0) for _ in range(3))
    file = folder / f"decay-{number}.csv"
    if task.name == "fit":
        x = np.linspace(0, 8, 40 + number)
        y = 3 * np.exp(-0.5 * x) + 1 + 0.02 * np.random.default_rng(number).normal(size=len(x))
        np.savetxt(file, np.column_stack([x, y]), delimiter=",", header="x,y", comments="")
    return task.with_numbers({"a": f"{a:.3f}", "b": f"{b:.3f}", "c": f"{c:.3f}", "file": str(file)})


def in_process(script: str) -> float:
    """Return the seconds of the processor that a script takes in this process."""
    code = compile(script, "script", "exec")
    with contextlib.redirect_stdout(io.StringIO()):
        began = time.process_time()
        exec(code, {})  # noqa: S102 - the scripts stand above
        return time.process_time() - began


def as_process(command: list[str]) -> float:
    """Return the seconds that a command takes."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
