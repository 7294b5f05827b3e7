"""Tests with PyTorch, Lightning, Transformers, Keras and trackers; `make test-frameworks` installs those and runs them.

Each has the mark `frameworks`. A module begins with `torch = needs("torch")` of `tests/needing.py`, or a test takes the
fixture `framework`: both skip where it is not installed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from needing import needs

collect_ignore = [
    "keras_trainings.py",
    "torch_architectures.py",
    "torch_kills.py",
]  # scripts, run in processes of their own


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and let warnings of frameworks about themselves pass; those at our lines fail."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.frameworks)
            item.add_marker(pytest.mark.filterwarnings("default", "error:::downslope"), append=False)


@pytest.fixture
def framework() -> Callable[..., ModuleType]:
    """Return what imports a framework by name, or skips the test."""
    return needs


@pytest.fixture
def one_thread() -> None:
    """Let PyTorch compute in one thread, beside the other workers."""
    needs("torch").set_num_threads(1)
