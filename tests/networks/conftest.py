"""Fixtures of the tests of networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.networks.tables import CARS


@pytest.fixture
def cars(tmp_path: Path) -> str:
    path = tmp_path / "cars.csv"
    path.write_text(CARS, encoding="utf-8")
    return str(path)
