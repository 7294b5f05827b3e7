"""The frameworks that the tests in `tests/frameworks` need: imported, or named with the command that installs them."""

from __future__ import annotations

import importlib
import os
import warnings
from types import ModuleType

import pytest

# Read by the frameworks when they are imported: one thread beside the other worker, and nothing from the network.
_SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "KERAS_BACKEND": "jax",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def needs(*names: str) -> ModuleType:
    """Import frameworks and return the first, or skip the module that asks for them.

    `torch = needs("torch", "lightning.pytorch")` stands at the top of a module of tests, before its other imports of
    these frameworks. Under `make test-frameworks`, which installs them all, a missing one fails.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a framework about itself: the house's filters make errors of them
            first, *_ = [importlib.import_module(name) for name in names]
            return first
    except ImportError as error:
        message = f"{error}: `make test-frameworks` installs it and runs these tests"
        if os.environ.get("DOWNSLOPE_FRAMEWORKS"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message, allow_module_level=True)
