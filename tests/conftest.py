"""What every test shares: fixed seeds, the article's table, hypothesis without deadlines."""

from __future__ import annotations

import importlib.resources
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "project", deadline=None, derandomize=bool(os.environ.get("CI")), suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("project")


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    np.random.seed(0)


@pytest.fixture
def houses(tmp_path: Path) -> str:
    """The path of the article's table of houses, as it ships with the package."""
    target = tmp_path / "houses.csv"
    shutil.copy(str(importlib.resources.files("downslope") / "examples" / "houses.csv"), target)
    return str(target)
