"""With which compiler flags the processes that benchmarks start compute."""

import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_flags_behind_those_for_one_thread_are_in_force(monkeypatch):
    """XLA stops reading its flags at a word that is not one."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from processes import single_thread

    monkeypatch.setenv("XLA_FLAGS", "")
    single_thread.__wrapped__()
    count = "import jax; print(len(jax.local_devices()))"
    environment = os.environ | {"XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=4"}
    ended = subprocess.run([sys.executable, "-c", count], env=environment, check=True, capture_output=True, text=True)
    assert ended.stdout == "4\n"
