"""PyTorch, imported on first use, when a watched model has already loaded it."""

from __future__ import annotations

import importlib
from typing import Any, TypeAlias

# PyTorch is no dependency, so that type checkers do not find it.
Tensor: TypeAlias = Any
Module: TypeAlias = Any
Optimizer: TypeAlias = Any
Node: TypeAlias = Any


class _Library:
    """The attributes of the package, each fetched once."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module("torch"), name)
        setattr(self, name, value)
        return value


torch: Any = _Library()
