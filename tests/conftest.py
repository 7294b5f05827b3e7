"""What every test shares: fixed seeds, the article's table, hypothesis without deadlines."""

from __future__ import annotations

import atexit
import gc
import importlib.resources
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# Both workers and every child share what they compile: nearly half of the time goes into that.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="downslope-programs-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

# Most of the time goes into compiling: programs are optimised less than what people run. The second leaves out a way of
# fusing operations that costs two thirds of what is left, compiles a program in a single piece, since splitting it
# between threads costs a quarter more and both cores are busy anyway, and leaves sums as they are: as trees of smaller
# sums they take a sixth more.
# `make test-as-users` sets both to what people have, and runs the tests marked below.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    " --xla_disable_hlo_passes=tree_reduction_rewriter",
)

# What a shell starts in the background ignores Ctrl-C, and so would every child that a test ends with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "project",
    max_examples=30,
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("project")


# Tests whose numbers come out of compiled programs. The pages, which show what people get, are `make test-docs`.
AS_USERS = (
    "smoke",
    "descent",
    "ensembles/test_multistart.py",
    "fitting",
    "networks/test_convolution.py",
    "networks/test_fast_convolutions.py",
    "networks/test_inferred_function.py",
    "networks/test_inferred_programs.py",
    "networks/test_loss_functions.py",
    "networks/test_network.py",
    "networks/test_training.py",
)
# Files that take longest, or wait longest for other processes. They begin first, so that at the end no worker is left
# with one of them.
LONG_FILES = ("test_browser", "test_doors.py", "test_resume.py", "test_journal.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, and mark the tests that `make test-as-users` and `make test-browser` run."""
    tests = Path(__file__).parent
    items.sort(key=lambda item: not item.path.name.startswith(LONG_FILES))
    for item in items:
        if item.path.is_relative_to(tests) and item.path.relative_to(tests).as_posix().startswith(AS_USERS):
            item.add_marker(pytest.mark.as_users)
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what was imported, which stays to the end, and come more rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


@pytest.fixture(scope="module", autouse=True)
def _environment_restored() -> Iterator[None]:
    """Leave the variables of the process as the module found them: benchmarks set some for the processes they start."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    np.random.seed(0)


@pytest.fixture
def houses(tmp_path: Path) -> str:
    """The path of the article's table of houses, as it ships with the package."""
    target = tmp_path / "houses.csv"
    shutil.copy(str(importlib.resources.files("downslope") / "examples" / "houses.csv"), target)
    return str(target)
