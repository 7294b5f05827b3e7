"""Frameworks are there, and loaded by nothing but what needs them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from needing import needs

FRAMEWORKS = ("torch", "lightning", "transformers", "accelerate", "keras", "tensorboardX", "wandb", "mlflow")


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_each_framework_is_there(name: str) -> None:
    assert needs(name).__name__ == name


def test_importing_downslope_loads_no_framework() -> None:
    code = f"import downslope, sys\nprint(*[name for name in {FRAMEWORKS!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
