"""What went wrong around a run once, tried again in a fresh process each: `python benchmarks/reliability.py cases`.

Each case is a few lines as a user would type them, and what must come. It prints a table of what was tried and what
came. What takes longer has a benchmark of its own: `kills`, `saves`, `flips`, `tables`, `record` and `lab`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

_PATIENCE = 600  # seconds


@dataclass(frozen=True)
class Case:
    """Something that is tried.

    Args:
        name: its name in the table.
        code: what is run in an empty folder: a shell script if it is marked so, else Python.
        expected: a pattern that all that it prints must match, with the exit status as its last line.
        what: what is tried, in words.
        shell: whether it is a shell script.
        environment: variables that differ.
    """

    name: str
    what: str
    code: str
    expected: str
    shell: bool = False
    environment: dict[str, str] = field(default_factory=dict)


_PRELUDE = (
    "import os, sys, gc, json, hashlib, weakref, pickle, threading, subprocess, warnings\nfrom pathlib import Path\n"
)
_PRELUDE += "import numpy as np\nimport downslope as ds\n"
_PRELUDE += """
def tried(*works):
    for work in works:
        try:
            print("answer", str(work())[:60].replace(chr(10), " "))
        except ds.DownslopeError as error:
            print(type(error).__name__)
"""
_RUN = 't = ds.descend("f(x) = x² - 4x + 5", start={"x": 0}, learning_rate=0.1, steps=20); ds.save(t, "run")\n'
_REFUSED = r"(\w+Error\n)+0"
_SAVE = 'downslope descend "x²" --start x=3 --learning-rate 0.1 --steps 5 --quiet --save '
_SAVE_COMPILED = _SAVE.replace("--quiet", "--engine jax --quiet")

CASES = (
    Case(
        "held", "20,000 mutated formulas in one process",
        """
import random
dice, seeds, counts = random.Random(17), ["f(x) = x² - 4x + 5", "sin(2x)^2 + |y|", "√(x² + 1)/(3y)", "max(a, b) e^(-t/τ)"], {}
for _ in range(20000):
    text = list(dice.choice(seeds))
    for _ in range(dice.randrange(1, 6)):
        at = dice.randrange(len(text) + 1)
        text[at : at + dice.randrange(3)] = dice.choice("()+-*/^|x²³√_ 0e9.,=αΣ∂\\x00'\\"\\\\[]{}:lambdaimport")
    try:
        ds.formula("".join(text)); kind = "read"
    except ds.FormulaError:
        kind = "refused"
    counts[kind] = counts.get(kind, 0) + 1
print(sorted(counts))
""",
        r"\['read', 'refused'\]\n0",
    ),
    Case(
        "held", "a full disk while saving leaves nothing",
        f"(ulimit -f 1; {_SAVE} run >/dev/null 2>err; echo $?; cat err); ls -A",
        r"2\nError: run cannot be written: File too large\n(err\n)?0", shell=True,
    ),
    Case(
        "held", "the same numbers in 8 threads, in asyncio, whatever JAX_ENABLE_X64 says",
        """
import asyncio
from concurrent.futures import ThreadPoolExecutor
def digest(_=0):
    t = ds.descend("f(x, y) = (1 - x)² + 100(y - x²)²", {"x": -1, "y": 1}, method="adam", steps=200, progress=False)
    return hashlib.sha256(t.recorded["value"].tobytes()).hexdigest()
code = "import downslope as ds, hashlib; t = ds.descend('f(x, y) = (1 - x)² + 100(y - x²)²', dict(x=-1, y=1), method='adam', steps=200, progress=False); print(hashlib.sha256(t.recorded['value'].tobytes()).hexdigest())"
async def inside(): return digest()
digests = {digest(), asyncio.run(inside()), *ThreadPoolExecutor(8).map(digest, range(8))}
for value in "01":
    digests.add(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "JAX_ENABLE_X64": value}).stdout.strip())
print(len(digests))
""",
        r"1\n0",
    ),
    Case(
        "held", "strict settings of JAX",
        """
import jax
goal = ("f(x, y) = x² + y²", {"x": 1, "y": 2})
for setting in (jax.disable_jit(), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"), jax.checking_leaks()):
    with setting:
        print(round(ds.descend(*goal, learning_rate=0.1, steps=3, progress=False).value, 6))
""",
        r"(1\.31072\n){4}0",
    ),
    Case(
        "held", "a pickled archive, a link to /dev/zero, a pipe, a truncated file",
        f"""
{_RUN}
class Evil:
    def __reduce__(self): return os.system, ("touch ran",)
ds.save(ds.descend(lambda p: (p["w"] ** 2).sum(), {{"w": np.ones(100)}}, learning_rate=0.1, steps=3), "big")
np.savez("big/points.npz", np.array([Evil()], object), allow_pickle=True)
os.rename("run/steps.arrow", "kept")
def linked(): os.symlink("/dev/zero", "run/steps.arrow"); return ds.load("run")
def piped(): os.unlink("run/steps.arrow"); os.mkfifo("run/steps.arrow"); return ds.load("run")
def cut(): os.unlink("run/steps.arrow"); Path("run/steps.arrow").write_bytes(Path("kept").read_bytes()[:-9]); return ds.load("run")
tried(lambda: ds.load("big"), linked, piped, cut)
print(Path("ran").exists())
""",
        r"(TraceError\n){4}False\n0",
    ),
    Case(
        "held", "each file of a run cut off at every length",
        f"""
{_RUN}
from downslope.trace import _load
_load._WAITS = ()
kinds = set()
for file in (Path("run/trace.json"), Path("run/steps.arrow")):
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        try: ds.load("run"); kinds.add("answer")
        except ds.TraceError: kinds.add("refused")
    file.write_bytes(whole)
print(kinds)
""",
        r"\{'refused'\}\n0",
    ),
    Case("held", "`import downslope` is light", "", r"True\n0"),
    Case(
        "A1", "a flipped bit of the last value",
        f"""
{_RUN}
b = bytearray(open("run/steps.arrow", "rb").read()); i = bytes(b).rfind(np.float64(t.recorded["value"][-1]).tobytes())
b[i + 7] ^= 0x40; open("run/steps.arrow", "wb").write(b)
try: ds.load("run")
except ds.TraceError as error: print(error)
print(ds.diagnose(t.replace(recorded={{**t.recorded, "value": np.r_[t.recorded["value"][:-1], np.nan]}})).symptoms)
""",
        r"run/steps.arrow is damaged: lost are the rows after step 15\n.*\n\('not_finite'.*\)\n0",
    ),
    Case(
        "A2", "parts whose paths print alike",
        'tried(lambda: ds.descend(lambda p: p["a/b"]**2 + p["a"]["b"]**2, start={"a/b": 2.0, "a": {"b": 1.0}}, steps=3, learning_rate=0.1))',
        _REFUSED,
    ),
    Case(
        "A3", "complex columns of a fit, an objective, a training, examples and a table, and complex starts",
        """
z = np.array([1, 2, 3j, 4]); y = [1.0, 2, 3, 4]; e = "y = a×x + b"
tried(lambda: ds.fit(e, {"x": z, "y": y}), lambda: ds.fit(e, {"x": list(z), "y": y}), lambda: ds.fit(e, {"x": y, "y": z}),
      lambda: ds.fit(e, {"x": y, "y": y}, start={"a": 1j}), lambda: ds.objective("L(w) = mean((y - w×x)²)", {"x": z, "y": y}),
      lambda: ds.examples((z[:, None], y)), lambda: ds.descend("x²", {"x": 1j}, steps=2),
      lambda: ds.train(data={"x": z, "y": y}, target="y", steps=2, progress=False), lambda: ds.read_table({"x": z}))
""",
        _REFUSED,
    ),
    Case(
        "B1", "an emptied and a cut off entry of the compile cache",
        f"""
export XDG_CACHE_HOME=$PWD/cache; unset JAX_COMPILATION_CACHE_DIR; {_SAVE_COMPILED} a 2>&1 >/dev/null
for f in cache/downslope/compiled/*-cache; do : > "$f"; done
{_SAVE_COMPILED} b 2>&1 >/dev/null; find cache -size 0 -name '*-cache' | wc -l
for f in cache/downslope/compiled/*-cache; do head -c 100 "$f" > x; cp x "$f"; done
{_SAVE_COMPILED} c 2>&1 >/dev/null; find cache -size -1k -name '*-cache' | wc -l; ls cache/downslope/compiled/.*.partial 2>/dev/null | wc -l
""",
        r"0\n0\n0\n0", shell=True,
    ),
    Case(
        "B2", "leftovers of a killed save, and an old run that was moved aside",
        f"""
{_RUN}
os.mkdir(".run-0123abcd.new"); ds.save(t, "run"); print(sorted(n for n in os.listdir() if "run" in n))
os.rename("run", ".run-0123abcd.old"); print(ds.load("run").last_step); ds.save(t, "run"); print(sorted(n for n in os.listdir() if "run" in n))
""",
        r"\['run'\]\n20\n\['run'\]\n0",
    ),
    Case(
        "B3", "two trainings into one folder, and two that resume",
        """
t() { downslope train iris --steps 60000 --save run --quiet "$@"; }
t >/dev/null 2>&1 & first=$!
for i in $(seq 300); do test -e run/progress.json && break; sleep 0.1; done
t 2>&1 >/dev/null | head -n 1; t --resume 2>&1 >/dev/null | head -n 1; kill -INT $first; wait $first; echo $?
""",
        r"(Error: run is being written by process \d+ on \S+ since .*\n){2}(0|130)\n0", shell=True,
    ),
    Case(
        "B4", "a folder removed under a training",
        """
import shutil
def remove(done, steps, value):
    if done > 200 and Path("run").exists(): shutil.rmtree("run")
try: ds.train("iris", hidden=(4,), steps=60000, save="run", progress=remove)
except ds.TraceError as error: print(error)
""",
        r"the folder \S*run is gone\n.*\n0",
    ),
    Case(
        "B5", "Ctrl-C at 12 moments of the first 3 s",
        """
import time
for tenth in range(1, 13):
    p = subprocess.Popen([sys.executable, "-m", "downslope", "train", "iris", "--steps", "200000", "--quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(tenth / 4); p.send_signal(2); err = p.communicate()[1]
    print(p.returncode, "Traceback" in err)
""",
        r"(130 False\n){12}0",
    ),
    Case(
        "B6", "a training without layers, killed and resumed",
        """
code = '''
import os, sys, downslope as ds
def stop(t):
    if t.trace.last_step >= 200: os.kill(os.getpid(), 9)
t = ds.train(data="iris", hidden=(4,), steps=4000, layers_every=0, probe_every=0, evaluate_every=50, save=sys.argv[2],
    progress=False, watch=stop if sys.argv[1] == "begin" else None, resume=sys.argv[1] == "resume")
'''
print([subprocess.run([sys.executable, "-c", code, *a.split()]).returncode for a in ("begin run", "resume run", "whole other")])
a, b = ds.load("run"), ds.load("other")
print(all(np.array_equal(a.recorded[n], b.recorded[n], equal_nan=True) for n in b.recorded), all(np.array_equal(a.end[n], b.end[n]) for n in b.end))
""",
        r"\[-9, 0, 0\]\nTrue True\n0",
    ),
    Case(
        "C1", "modes of a descent, a fit, a training, a report, new and replaced, under umask 022 and 007",
        f"""
for mask in 022 007; do umask $mask; for again in 1 2; do
{_SAVE} a$mask >/dev/null; downslope fit "y = a x + b" "$SAMPLE" --save b$mask --quiet >/dev/null
downslope train xor --steps 20 --save c$mask --overwrite --quiet >/dev/null; downslope diagnose a$mask --report d$mask.html >/dev/null
done; stat -c %a a$mask a$mask/trace.json b$mask c$mask c$mask/trace.json d$mask.html | tr '\\n' ' '; done
""",
        r"755 644 755 755 644 644 770 660 770 770 660 660 0", shell=True,
    ),
    Case(
        "C1", "two users and one run: the second reads it and is refused as a writer",
        f"""
umask 022; chmod 755 .; {_SAVE} run >/dev/null; {_SAVE} run2 >/dev/null
cat > second.py <<'END'
import os, sys, downslope as ds, jax
ds.diagnose(ds.load("run2"))  # imports what a folder of the first user's own may hold
os.setgid(65534); os.setuid(65534)
t = ds.load("run"); print(t.last_step, ds.diagnose(t).symptoms)
try: ds.save(t, "run")
except ds.TraceError as error: print(error)
END
python second.py
""",
        r"5 \('still_descending',\)\nrun cannot be written: Permission denied\n0", shell=True,
    ),
    Case(
        "C2", "help, answers and errors in cp1252 and ASCII",
        """
for e in cp1252 ascii; do export PYTHONIOENCODING=$e
downslope --help >/dev/null && downslope descend "f(α) = α⁴ + √(α² + 1)" --start α=1 --learning-rate 0.1 --steps 5 2>&1 >/dev/null | grep -c -i 'traceback|codec'
downslope derive "α²·√x" | head -n 1; downslope derive "α²+(" >/dev/null 2>&1; echo $?; done
""",
        r"0\n.+\n2\n0\n.+\n2\n0", shell=True,
    ),
    Case(
        "C2", "closed and full standard output, unwritable pictures, long names",
        f"""
downslope --version >&-; echo $?; downslope derive "x²" >/dev/full; echo $?
downslope descend "x²" --start x=1 --learning-rate 0.1 --steps 3 --quiet --plot /proc/x.png; echo $?
{_SAVE} $(printf 'a%.0s' $(seq 300)); echo $?
""",
        r"0\nError: the output cannot be written: No space left on device\n2\nError: /proc/x.png cannot be written.*\n2\nError: a+….* File name too long\n2\n0",
        shell=True,
    ),
    Case(
        "C3", "a run saved through a symbolic link",
        f"mkdir real; ln -s real link; {_SAVE} link >/dev/null; test -L link && test -e real/trace.json && ls -A",
        r"link\nreal\n0", shell=True,
    ),
    Case(
        "C4", "escapes of a terminal in a run of someone else",
        """
ds.save(ds.descend("x²", {"x": 1}, learning_rate=0.1, steps=5).replace(plan={"read_as": "\\x1b[2Jx\\u202e", "method": "\\x1b]0;m\\x07"}), "run")
t = ds.load("run"); shown = str(t) + str(ds.diagnose(t)) + str(ds.summary(t)) + subprocess.run(["downslope", "diagnose", "run"], capture_output=True, text=True).stdout
print(any(c in shown for c in "\\x1b\\x07\\u202e"))
""",
        r"False\n0",
    ),
    Case(
        "C5", "hostile headers of one's own choice, with a right checksum",
        f"""
from downslope.trace._checksum import sealed_text
{_RUN}
head = json.loads(Path("run/trace.json").read_text()); del head["checksum"]
def loaded(**changes):
    Path("run/trace.json").write_bytes(sealed_text(json.dumps({{**head, **changes}}, indent=1).encode())); return ds.load("run")
def stream(**changes): return loaded(streams={{"steps": {{**head["streams"]["steps"], **changes}}}})
nested = []
for _ in range(900): nested = [nested]
tried(*[lambda c=c: stream(**c) for c in (dict(file="/etc/passwd"), dict(file="../x"), dict(length=10**18), dict(length=-1))],
      *[lambda c=c: loaded(**c) for c in (dict(plan=None), dict(plan=[]), dict(start="evil"), dict(facts=nested), dict(start={{"x": {{"array": [1], "shape": [10**15], "type": "float64"}}}}), dict(streams=[]))])
""",
        _REFUSED,
    ),
    Case(
        "C6", "damaged Parquet files, 400 of them",
        """
sys.path.insert(0, BENCHMARKS)
import reliability_tables as r, collections
c = collections.Counter()
for n, data in enumerate(r.damaged(".parquet", 400, 4)):
    Path("a.parquet").write_bytes(data); c[r.read(Path("a.parquet"))] += 1
print(sorted(c))
""",
        r"\['read', 'refused'\]\n0",
    ),
    Case(
        "D1", "an objective, a setup, a fit, a training die",
        """
def objective():
    o = ds.objective("L(w) = mean((y - w×x)²)", {"x": np.arange(2e6), "y": np.arange(2e6)}); ds.descend(o, {"w": 0.}, learning_rate=1e-13, steps=3, progress=False); return o
def fit(): return ds.fit("y = a×x + b", {"x": np.arange(1e5), "y": np.arange(1e5)})
def training(): return ds.train(data=(np.ones((500, 3)), np.ones(500)), hidden=(3,), steps=20, progress=False)
def setup(): s = ds.Setup.of(None, (np.ones((500, 3)), np.ones(500)), hidden=(3,), steps=20); s.train(progress=False); return s
for work in (objective, fit, training, setup):
    r = weakref.ref(work()); gc.collect(); print(r() is None)
""",
        r"(True\n){4}0",
    ),
    Case(
        "F", "wrong types, seeds and starts",
        """
tried(lambda: ds.train(data="iris", hidden=8, steps=3, progress=False), *[lambda s=s: ds.train("iris", seed=s, steps=3, progress=False) for s in (-1, 2**70, 1.5)],
      lambda: ds.descend("x²", {"x": 1}, seed=2**70, steps=3), lambda: ds.descend(lambda p: (p["w"] ** 2).sum(), start={"w": np.zeros(0)}, steps=3),
      lambda: ds.train("iris", save=3), lambda: ds.train("iris", watch=3), lambda: ds.diagnose(None), lambda: ds.load(None), lambda: ds.fit({"x": [1, 2], "y": [1, 2]}, "y = a×x"),
      lambda: ds.descend(lambda p: 3.0, start={"w": 1.0}, steps=3))
pickle.loads(pickle.dumps([ds.plan("f(x, y) = (1-x)² + 100(y-x²)²", {"x": 1., "y": 2.}), ds.objective("x²"), ds.fit("y = a×x + b", {"x": [1, 2, 3], "y": [1, 2, 4]})]))
s = ds.Setup.of(None, "iris", hidden=(8,), steps=50); s.task; print(len(pickle.dumps(s)) < 2000)
import jax
with jax.debug_nans(True): print(ds.descend("x⁴", {"x": 9}, learning_rate=9, steps=50).outcome.name)
""",
        r"answer.*\n(\w+Error\n|answer.*\n)+True\nNOT_FINITE\n0",
    ),
    Case(
        "H", "what JAX and the environment hold afterwards",
        """
import jax, polars  # which sets a variable for its allocator
before = dict(os.environ); dispatch = jax.config.jax_cpu_enable_async_dispatch if hasattr(jax.config, "jax_cpu_enable_async_dispatch") else None
ds.descend("x²", {"x": 1}, learning_rate=0.1, steps=3); ds.train("xor", steps=3, progress=False)
print(dict(os.environ) == before, jax.numpy.ones(1).dtype, dispatch == (jax.config.jax_cpu_enable_async_dispatch if dispatch is not None else None))
""",
        r"True float32 True\n0",
    ),
)  # fmt: skip


def cases(only: str = "") -> None:
    """Print a table of what was tried and what came; of a case that went wrong, all that it printed."""
    print("| case | tried | came |\n|---|---|---|")
    wrong = []
    for case in CASES:
        if only and case.name != only:
            continue
        printed = _printed(case)
        right = re.fullmatch(case.expected, printed) is not None
        print(f"| {case.name} | {case.what} | {'as promised' if right else '**not as promised**'} |", flush=True)
        if not right:
            wrong.append(f"--- {case.name}: {case.what}\n{printed}\nexpected {case.expected}")
    print("\n".join(wrong), end="\n" if wrong else "")


def _printed(case: Case) -> str:
    """Return what a case prints and its exit status, without the blank lines."""
    benchmarks = Path(__file__).parent
    samples = Path(__file__).parents[1] / "src" / "downslope" / "examples"
    with tempfile.TemporaryDirectory(prefix="downslope-cases-") as folder:
        environment = {
            name: value for name, value in os.environ.items() if name not in ("PYTHONIOENCODING", "JAX_ENABLE_X64")
        }
        # The command of this environment, also where nobody has activated it.
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
        environment |= {"SAMPLE": str(_line(Path(folder).parent, samples)), **case.environment}
        if case.what.startswith("`import"):
            code = "import time, downslope; print(time.process_time() < 0.5)"
        else:
            code = case.code if case.shell else f"BENCHMARKS = {str(benchmarks)!r}\n{_PRELUDE}{case.code}"
        command = ["bash", "-c", code] if case.shell else [sys.executable, "-c", code]
        done = subprocess.run(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="backslashreplace",
            timeout=_PATIENCE, check=False,
        )  # fmt: skip
    lines = [line for line in done.stdout.replace(" \n", "\n").split("\n") if line.strip()]
    text = "\n".join(lines)
    return f"{text}\n{done.returncode}" if text and not text.endswith(" ") else f"{text}{done.returncode}"


def _line(folder: Path, samples: Path) -> Path:
    """Return a table of points on a line."""
    file = folder / "downslope-line.csv"
    file.write_text("x,y\n1,2.1\n2,3.9\n3,6.2\n4,7.8\n5,10.1\n")
    return file
