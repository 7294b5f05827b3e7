"""The one door to JAX: loaded when first needed, with the settings a compiled descent wants.

XLA's CPU backend turns a small loop into one machine-code function and pays up to 4 µs an iteration for a larger one.
The bound that decides is raised before the first compilation (jax issues 26145 and 36799). And a program on the CPU
runs in the thread that calls it instead of one of JAX's own, so that pieces called from several threads spread over the
cores. What the user has put into `XLA_FLAGS` is kept; `DOWNSLOPE_XLA_FLAGS=off` leaves both alone.
"""

from __future__ import annotations

import functools
import os
from contextlib import AbstractContextManager
from types import ModuleType

_OPTION = "xla_cpu_small_while_loop_byte_threshold"


@functools.cache
def jax() -> ModuleType:
    """Return the module `jax`, imported with the settings above."""
    flags = os.environ.get("XLA_FLAGS", "")
    wanted = os.environ.get("DOWNSLOPE_XLA_FLAGS", "on") != "off"
    if wanted and "xla_backend_extra_options" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_backend_extra_options={_OPTION}=1048576".strip()
    import jax as module
    import jax.flatten_util

    if wanted:
        module.config.update("jax_cpu_enable_async_dispatch", False)
    return module


def double_precision() -> AbstractContextManager[None]:
    """Return a context in which JAX computes in float64, leaving the caller's own setting as it was."""
    return jax().enable_x64(True)


def precision(name: str) -> AbstractContextManager[None]:
    """Return a context in which JAX computes in "float64" or "float32"."""
    return jax().enable_x64(name == "float64")
