"""The wheel, installed alone in a fresh environment."""

from __future__ import annotations

import email
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def uv() -> str:
    """Return the uv that made this environment."""
    for candidate in (shutil.which("uv"), str(ROOT / ".tools" / "bin" / "uv")):
        if candidate is not None and Path(candidate).exists():
            return candidate
    raise AssertionError("uv is not found: `make test` installs it")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = target.glob("*.whl")
    return built


def test_the_wheel_holds_all_it_needs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "downslope/formulas/reading/grammar.json" in names
    assert "downslope/examples/houses.csv" in names
    assert "downslope/examples/samples/digits.csv.gz" in names
    assert "downslope/py.typed" in names
    assert not any(name.startswith("tests") for name in names)


def test_the_metadata_hold_on_a_package_index(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = email.message_from_string(archive.read(name).decode())
    addresses = dict(entry.split(", ") for entry in metadata.get_all("Project-URL", []))
    assert {"Homepage", "Documentation", "Source", "Issues", "Changelog"} <= addresses.keys()
    licences = [Path(file).name for file in metadata.get_all("License-File", [])]
    assert sorted(licences) == ["LICENSE", "SOURCES.md", "d3-LICENSE.txt"]
    # pictures and links of README.md lead to the repository, not to files beside it
    targets = re.findall(r"\]\(([^)#\s]+)", metadata.get_payload())
    assert len(targets) > 10
    assert all(target.startswith("https://") for target in targets)
    assert f"{addresses['Source']}/raw/main/docs/images/valley.png" in targets


def test_the_addresses_are_those_of_the_project() -> None:
    """Files that cannot read pyproject.toml repeat its addresses; here is what holds them together."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"repository-code: {project['urls']['Source']}\n" in citation
    assert f"version: {project['version']}\n" in citation


@pytest.mark.slow
def test_the_command_works_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    # Here alone programs are compiled as people's are.
    ours = ("PYTHONPATH", "JAX_DISABLE_MOST_OPTIMIZATIONS", "XLA_FLAGS")
    environment = {key: value for key, value in os.environ.items() if key not in ours} | {"HOME": str(tmp_path)}
    cache = subprocess.run([uv(), "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    environment["UV_CACHE_DIR"] = cache
    fresh = tmp_path / "fresh"
    subprocess.run([uv(), "venv", "-q", "--python", sys.executable, str(fresh)], check=True, env=environment)
    python = fresh / "bin" / "python"
    subprocess.run([uv(), "pip", "install", "-q", "--python", str(python), str(wheel)], check=True, env=environment)
    command = str(fresh / "bin" / "downslope")
    typed = ["descend", "f(x) = x² - 4x + 5", "--start", "x=0", "--learning-rate", "0.1", "--steps", "20", "--json"]
    done = subprocess.run([command, *typed], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment)
    assert json.loads(done.stdout)["end"]["x"] == pytest.approx(1.976941569907863, rel=1e-14)
    drawn = subprocess.run(
        [command, "draw", "x² + 2y²", "--start", "x=4,y=3", "--plot", "valley.png"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
    )
    assert "valley.png" in drawn.stdout
    assert (tmp_path / "valley.png").stat().st_size > 10_000
    trained = subprocess.run(
        [command, "train", "digits", "--steps", "200", "--probe-every", "0", "--layers-every", "0", "--json"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
    )
    assert json.loads(trained.stdout)["metrics"]["validation_accuracy"] > 0.9
