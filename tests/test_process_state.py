"""The process belongs to the user: nothing of it that they can see changes, whatever of downslope they call."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from downslope import _engine

# In a process of its own: this one has imported and changed everything already.
SCRIPT = r"""
import decimal, gc, locale, logging, os, random, signal, sys, tempfile, threading, warnings
# What libraries do when they are imported is theirs.
import numpy as np, jax, matplotlib, polars, scipy.special, sympy
import downslope as ds

def state():
    umask = os.umask(0o022)
    os.umask(umask)
    return {
        "environment": dict(os.environ),
        "jax": dict(jax.config.values),
        "matrix products": jax.config.jax_default_matmul_precision,
        "numpy errors": np.geterr(),
        "numpy printing": np.get_printoptions(),
        "numpy chance": repr(np.random.get_state()),
        "chance": random.getstate(),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "locale": locale.setlocale(locale.LC_ALL),
        "matplotlib": {**matplotlib.rcParams, "backend": matplotlib.get_backend(auto_select=False)},
        "recursion": sys.getrecursionlimit(),
        "hooks": (sys.excepthook, sys.unraisablehook, threading.excepthook, sys.displayhook, sys.gettrace()),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "folder": os.getcwd(),
        "umask": umask,
        "loggers": (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
        "decimals": repr(decimal.getcontext()),
        "memory": (gc.isenabled(), gc.get_threshold()),
        "warnings": list(warnings.filters),
    }

before = state()

def check(name, verb):
    verb()
    now = state()
    for what in before:
        if before[what] != now[what]:
            print(name, what)

goal = "f(x, y) = (x - 1)² + 2y²"
start = {"x": 3.0, "y": 1.0}
table = {"x": [1.0, 2.0, 3.0, 4.0], "y": [2.1, 3.9, 6.2, 7.9]}
folder = tempfile.mkdtemp()
trace = []
verbs = {
    "formula": lambda: str(ds.derive("sin 2x")),
    "units": lambda: ds.formula("d = v×t", units={"v": "km/h", "t": "s"}).derivative("t").units,
    "critical_points": lambda: str(ds.critical_points("x³ - x", {"x": (-2, 2)})),
    "slope": lambda: ds.slope(goal, start),
    "descend": lambda: trace.append(ds.descend(goal, start, learning_rate=0.1, steps=5)),
    "float32": lambda: ds.descend(lambda p: (p["w"] ** 2).sum(), {"w": np.ones(3)}, learning_rate=0.1, steps=5),
    "away": lambda: ds.descend("x⁴", {"x": 9.0}, learning_rate=9.0, steps=50),
    "diagnose": lambda: str(ds.diagnose(trace[0])),
    "save": lambda: (ds.save(trace[0], folder + "/run"), ds.load(folder + "/run")),
    "sweep": lambda: str(ds.sweep(goal, start, [0.1, 0.2], steps=5)),
    "multistart": lambda: str(ds.multistart(goal, bounds={"x": (-1, 1), "y": (-1, 1)}, starts=4)),
    "fit": lambda: str(ds.fit("y = a×x + b", table)),
    "train": lambda: str(ds.train("iris", hidden=(2,), steps=5, probe_every=0, progress=False)),
    "backprop": lambda: str(ds.backprop("x × y + x", {"x": 2.0, "y": 3.0})),
    "draw": lambda: ds.draw.curve("x²", ds.descend("x²", {"x": 3.0}, steps=5, learning_rate=0.1)),
    "clear_caches": ds.clear_caches,
}
for name, verb in verbs.items():
    check(name, verb)
"""


def test_no_verb_changes_what_the_user_can_see_of_the_process() -> None:
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "MPLBACKEND": "agg"}
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr, result.stdout.strip()) == (0, "", "")


@pytest.mark.parametrize("flags", [None, "", "--xla_cpu_use_fusion_emitters=false"])
def test_the_flags_of_xla_are_as_they_were(flags: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    import jax

    monkeypatch.delenv("XLA_FLAGS", raising=False)
    if flags is not None:
        monkeypatch.setenv("XLA_FLAGS", flags)
    seen = []
    monkeypatch.setattr(_engine, "_read_flags", lambda module: seen.append(os.environ["XLA_FLAGS"]))
    _engine._raise_bound(jax)
    assert os.environ.get("XLA_FLAGS") == flags
    assert "small_while_loop" in seen[0]
    assert (flags or "") in seen[0]
