"""The page of all modules: the first sentence of each folder and module, read from the source without importing it."""

from __future__ import annotations

import ast
from pathlib import Path

from tables import summary, table

SOURCE = Path(__file__).resolve().parents[1] / "src" / "downslope"


def page() -> str:
    """Return the page's Markdown."""
    folders = [SOURCE, *sorted(path.parent for path in SOURCE.rglob("__init__.py") if path.parent != SOURCE)]
    parts = [
        "# Modules",
        "Every module and the first sentence of its docstring. [The architecture](architecture.md) has the map.",
    ]
    for folder in folders:
        name = folder.relative_to(SOURCE.parent).as_posix()
        files = sorted(file for file in folder.glob("*.py") if file.name != "__init__.py")
        parts += [f"## {name}/", _sentence(folder / "__init__.py")]
        if files:
            parts.append(table(["module", ""], ([f"`{file.stem}`", _sentence(file)] for file in files)))
    return "\n\n".join(parts) + "\n"


def _sentence(file: Path) -> str:
    """Return the first sentence of a module's docstring."""
    return summary(ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "")
