"""Differentiate, descend, record, explain: from a textbook formula to a neural network.

    text ─▶ Formula ─▶ Objective ─▶ Plan ─▶ Trace ─▶ Finding
                                             └─▶ tables, pictures, files

`import downslope as ds` loads nothing heavy: each name is fetched from its folder when it is first used. The names
stand in `__init__.pyi`, where type checkers and editors find them.
"""

from __future__ import annotations

import importlib
import sys

from downslope._exports import exports

TYPE_CHECKING = False  # as in `typing`, whose import would take longer than everything here
__version__ = "0.1.0"


_MODULE_OF = exports(__name__, __loader__, __file__)
__all__ = sorted(_MODULE_OF)  # pyright: ignore[reportUnsupportedDunderAll]  # type checkers read the stub


def _publish(fetched: object) -> None:
    """Let the public classes and functions that are loaded print the module that people import them from."""
    loaded = (getattr(sys.modules.get(home), "__dict__", {}).get(name) for name, home in _MODULE_OF.items())
    for value in (fetched, *loaded):
        if isinstance(value, type) or hasattr(value, "__code__"):
            value.__module__ = "downslope"


if not TYPE_CHECKING:  # a module's __getattr__ would make every misspelt name pass

    def __getattr__(name: str) -> object:
        """Fetch a public name from its module when it is first used."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'downslope' has no attribute {name!r}")
        home = _MODULE_OF[name]
        value = (
            importlib.import_module(f"downslope.{name}")
            if home == "downslope"
            else getattr(importlib.import_module(home), name)
        )
        _publish(value)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
