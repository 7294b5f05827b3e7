"""Griffe extension: what our docstrings write more briefly than its parser reads.

- An example stands at the end without a heading; it becomes a block of code.
- `low, high: the ends` describes two parameters; each gets a line of its own.
- `**choices: Unpack[…]` stands for many arguments; the table of parameters has each of them, from the schema of
  choices, while the signature stays short.
- A class without a constructor that can be seen (a named tuple, an Equinox module) has attributes, not parameters.
"""

from __future__ import annotations

import importlib
import operator
import re
from collections.abc import Iterator
from types import ModuleType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import griffe
from tables import described

import downslope as ds

_EXAMPLE = re.compile(r"(?:^>>> .*\n?(?:^(?!\s*$).*\n?)*)+", re.MULTILINE)
_TOGETHER = re.compile(r"^(?P<indent> {4})(?P<names>\w+(?:, \w+)+):(?P<text> .*(?:\n {5,}.*)*)", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrite the docstrings of a package once it is loaded."""

    def on_package(self, *, pkg: griffe.Module, loader: Any, **kwargs: Any) -> None:
        """Rewrite every docstring, and then write out the choices that functions take."""
        objects = list(_objects(pkg))
        for obj in objects:
            _rewrite(obj)
        for obj in objects:
            if isinstance(obj, griffe.Function) and any("Unpack" in str(item.annotation) for item in obj.parameters):
                _write_out(obj)


def _rewrite(obj: griffe.Object) -> None:
    """Rewrite the docstring of a module, a class or a function."""
    if obj.docstring is None:
        return
    obj.docstring.value = rewritten(obj.docstring.value)
    if obj.is_class and "__init__" not in obj.members and "dataclass" not in obj.labels:
        obj.docstring.value = obj.docstring.value.replace("\nArgs:\n", "\nAttributes:\n")


def _objects(obj: griffe.Object) -> Iterator[griffe.Object]:
    """Yield an object and all beneath it."""
    yield obj
    for member in obj.members.values():
        if isinstance(member, griffe.Object):
            yield from _objects(member)


def _write_out(function: griffe.Function) -> None:
    """Replace `**choices` in the table of a function's parameters by the choices."""
    try:
        choices = ds.choices(operator.attrgetter(function.path.removeprefix("downslope."))(_package(function)))
    except ds.SettingError:  # it takes none of the schema
        return
    if function.docstring is None:
        return
    section = next((part for part in function.docstring.parsed if part.kind.value == "parameters"), None)
    if section is None:
        return
    named = {parameter.name for parameter in function.parameters}
    section.value[:] = [parameter for parameter in section.value if not parameter.name.startswith("**")]
    section.value += [
        griffe.DocstringParameter(
            name, annotation=_type(choice.type), description=described(choice), value=repr(choice.default)
        )
        for name, choice in choices.items()
        if name not in named
    ]


def _package(function: griffe.Function) -> ModuleType:
    """Return the package, with the module of a function imported."""
    importlib.import_module(function.module.path)
    return ds


def _type(annotation: Any) -> str:
    """Return a type in few words: without modules, and `str` for a list of names, which the description has."""
    kind = get_origin(annotation)
    if kind is Literal:
        return "str"
    if kind in (Union, UnionType):
        return " | ".join(dict.fromkeys(map(_type, get_args(annotation))))
    if isinstance(annotation, type) and kind is None:
        return annotation.__name__.replace("NoneType", "None")
    return re.sub(r"(?:\w+\.)+(?=\w)", "", str(annotation))


def rewritten(text: str) -> str:
    """Return a docstring with fenced examples and a line for each parameter."""
    apart = _TOGETHER.sub(
        lambda m: "\n".join(f"{m['indent']}{name}:{m['text']}" for name in m["names"].split(", ")), text
    )
    return _EXAMPLE.sub(lambda m: f"```pycon\n{m[0].rstrip()}\n```\n", apart).rstrip()
