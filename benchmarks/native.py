"""C code that a benchmark compares with, compiled where there is a compiler."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path


def library(source: str, flags: Sequence[str] = ()) -> ctypes.CDLL | None:
    """Return C source as a loaded library, or None where there is no C compiler.

    Args:
        source: the C code.
        flags: what to give the compiler beside -O3 and -march=native.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    folder = Path(tempfile.mkdtemp())
    (folder / "loop.c").write_text(source)
    command = [compiler, "-O3", "-march=native", "-shared", "-fPIC", str(folder / "loop.c"), *flags]
    subprocess.run([*command, "-o", str(folder / "loop.so")], check=True)
    return ctypes.CDLL(str(folder / "loop.so"))
