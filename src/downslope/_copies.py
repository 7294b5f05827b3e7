"""Pickling and copying of nouns: for another process, for a file, or as a copy.

A noun is pickled as its fields; what is computed from them again is dropped. What it does with functions of its own
is a class and not a closure. A function of the user's travels by its name, as everywhere in Python: one without a name
in a module is pickled by cloudpickle alone, which joblib and Dask use.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import sys
from types import BuiltinFunctionType, FunctionType
from typing import Any

from downslope._errors import ObjectiveError

# Libraries that take functions by their code; nothing else tells a noun which of them asks for its state.
_BY_CODE = ("cloudpickle", "dill", "copy")


def fields_alone(self: Any) -> dict[str, Any]:
    """Return the state of a dataclass without its cached properties; for `__getstate__`."""
    return {field.name: self.__dict__[field.name] for field in dataclasses.fields(self)}


def has_name(function: Any) -> bool:
    """Tell whether a function is the one that its name in its module leads to, by which it can be pickled."""
    inner = sys.modules.get(getattr(function, "__module__", None) or "")
    for part in getattr(function, "__qualname__", "<lambda>").split("."):
        inner = getattr(inner, part, None)
    return inner is function


@dataclasses.dataclass(frozen=True)
class Reference:
    """A function by where it is, for those that pickle does not take by their name.

    Args:
        module: its module.
        name: its name there; or that of a function that has it as a default.
        default: which default of that function it is; None for the function itself.
    """

    module: str
    name: str
    default: int | None = None

    @classmethod
    def to(cls, function: Any) -> Reference | None:
        """Return the reference to a function; None if its module does not lead to it."""
        module = getattr(function, "__module__", None) or ""
        if has_name(function):
            return cls(module, function.__qualname__)
        # A lambda that is a default, as the final activation of equinox.nn.MLP.
        for name, owner in vars(sys.modules.get(module, object)).items():
            for method in vars(owner) if isinstance(owner, type) else ():
                defaults = _defaults(vars(owner)[method])
                if any(default is function for default in defaults):
                    return cls(module, f"{name}.{method}", [default is function for default in defaults].index(True))
        return None

    def function(self) -> Any:
        """Return the function."""
        inner = importlib.import_module(self.module)
        for part in self.name.split("."):
            inner = getattr(inner, part)
        return inner if self.default is None else _defaults(inner)[self.default]


def _defaults(function: Any) -> tuple[Any, ...]:
    """Return the defaults of a function, within what wraps it."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return getattr(function, "__defaults__", None) or ()


def check_functions(what: str, *values: Any) -> None:
    """Raise if a noun that is about to be pickled holds a function without a name in a module.

    Args:
        what: what the functions are of.
        values: functions, and anything else, which is not looked at.

    Raises:
        ObjectiveError: unless a library is at work that takes functions by their code.
    """
    for value in values:
        function = value
        while isinstance(function, functools.partial):
            function = function.func
        if isinstance(function, FunctionType | BuiltinFunctionType) and not has_name(function) and not _by_code():
            called = getattr(function, "__qualname__", repr(function))
            raise ObjectiveError(
                f"{what} cannot be pickled, since {called} is not a function at the top level of a module",
                hint="define it with def at the top of a module, or use cloudpickle",
            )


def _by_code() -> bool:
    """Tell whether a library that pickles functions by their code is at work, or a plain copy."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").split(".")[0] in _BY_CODE or "cloudpickle" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False
