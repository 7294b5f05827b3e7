"""The public names of a package, read from the stub that lists them for type checkers.

A stub has two kinds of lines. `from M import N as N` exports one name; `from M import *` exports the `__all__` of M, so
that a name is added there alone. M is read as text: nothing of it is imported before a name of it is used.
"""

from __future__ import annotations

import os


def exports(package: str, loader: object, file: str) -> dict[str, str]:
    """Return the module that each public name of a package comes from.

    Args:
        package: its name.
        loader: its `__loader__`, which also reads from a zip file.
        file: its `__file__`.
    """
    root = file.rpartition(os.path.join(*package.split("."), "__init__.py"))[0]

    def text(path: str) -> str:
        return loader.get_data(path).decode()  # type: ignore[attr-defined]  # a loader of files has it

    modules: dict[str, str] = {}
    for line in text(file + "i").splitlines():
        if not line.startswith("from downslope"):
            continue
        _, module, _, name, *_ = line.split()
        listed = _listed(text(os.path.join(root, *module.split(".")) + ".py")) if name == "*" else [name]
        modules |= dict.fromkeys(listed, module)
    return modules


def _listed(source: str) -> list[str]:
    """Return the names in a module's `__all__`, a list of literals.

    >>> _listed('__all__ = ["Dense", "Flatten"]')
    ['Dense', 'Flatten']
    """
    entries = f"\n{source}".partition("\n__all__ = [")[2]
    return [entry.strip().strip('"') for entry in entries.partition("]")[0].split(",") if entry.strip()]
