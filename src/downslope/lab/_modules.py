"""The ES modules of a page joined into one script, for a page of few requests and for files that need none.

Each module becomes a function that is called once and returns what it exports; modules come after those that they
import. So names of different modules never meet, and the sources stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from posixpath import dirname, join, normpath

_IMPORT = re.compile(r'^import\s*(?:(\{[^}]*\}|\*\s*as\s+[\w$]+)\s*from\s*)?"([^"]+)";?[ \t]*\n', re.MULTILINE)
_EXPORT = re.compile(r"^export\s+((?:async\s+)?(?:function\*?|class|const)\s+([\w$]+))", re.MULTILINE)
_LIST = re.compile(r"^export\s*\{([^}]*)\};?[ \t]*\n", re.MULTILINE)
_REST = re.compile(r"^(?:import|export|await)\b.*", re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*(?:/\*(?:[^*]|\*(?!/))*\*/|//.*)[ \t]*\n", re.MULTILINE)  # on lines of its own


def joined(sources: Mapping[str, str], *entries: str) -> str:
    """Return the modules that entries import, and the entries, as one script without imports.

    The script is a module or a classic script. It can stand between the tags of a page.

    Args:
        sources: the text of each module by its path.
        entries: the paths of modules, called in this order.

    Raises:
        ValueError: for a module that is missing, imports in a circle, or has another form of `import` or `export` than
            `import { a, b as c } from "./x.js"`, `import * as x from "./x.js"`, `import "./x.js"`, `export` before a
            function, a class or a const, and `export { a, b as c }`.
    """
    numbers: dict[str, int | None] = {}
    wrapped: list[str] = []
    for entry in entries:
        _add(entry, sources, numbers, wrapped)
    return '"use strict";\n' + "".join(wrapped).replace("</script", "<\\/script")


def module_paths(sources: Mapping[str, str], *entries: str) -> list[str]:
    """Return the paths of the entries and of all modules that they import."""
    numbers: dict[str, int | None] = {}
    for entry in entries:
        _add(entry, sources, numbers, [])
    return list(numbers)


def _add(path: str, sources: Mapping[str, str], numbers: dict[str, int | None], wrapped: list[str]) -> int:
    """Append a module behind those that it imports, unless it is there; return its number."""
    if path in numbers:
        number = numbers[path]
        if number is None:
            raise ValueError(f"{path} imports itself, through {', '.join(numbers)}")
        return number
    if path not in sources:
        raise ValueError(f"there is no module {path}")
    numbers[path] = None
    text, head = sources[path].rstrip() + "\n", []
    for names, source in _IMPORT.findall(text):
        number = _add(normpath(join(dirname(path), source)), sources, numbers, wrapped)
        if names:
            head.append(f"const {_bound(names)} = $module{number};\n")
    body = _IMPORT.sub("", _COMMENT.sub("", text))
    exported = [name for _, name in _EXPORT.findall(body)]
    exported += [_property(part) for group in _LIST.findall(body) for part in _parts(group)]
    body = _LIST.sub("", _EXPORT.sub(r"\1", body))
    rest = _REST.search(body)
    if rest is not None:
        raise ValueError(f"{path} has a line that cannot be joined: {rest[0]}")
    numbers[path] = number = sum(known is not None for known in numbers.values())
    end = f"return {{ {', '.join(exported)} }};\n" if exported else ""
    wrapped.append(f"const $module{number} = (() => {{\n{''.join(head)}{body}{end}}})();\n")
    return number


def _bound(names: str) -> str:
    """Return the names of an import as the left side of an assignment."""
    if names.startswith("*"):
        return names.partition(" as ")[2].strip()
    return "{ " + ", ".join(part.replace(" as ", ": ") for part in _parts(names[1:-1])) + " }"


def _property(part: str) -> str:
    """Return `a as b` of a list of exports as a property of an object."""
    name, _, outside = part.partition(" as ")
    return f"{outside}: {name}" if outside else name


def _parts(names: str) -> Iterable[str]:
    return (re.sub(r"\s+", " ", part.strip()) for part in names.split(",") if part.strip())
