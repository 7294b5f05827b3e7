"""Files of results: the old one or the new one is there at any moment, and nothing else stays."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import downslope as ds
from downslope._files import written


@pytest.fixture(scope="module")
def trace() -> ds.Trace:
    return ds.descend("x²", {"x": 1.0}, learning_rate=0.1, steps=5, progress=False)


@pytest.mark.parametrize("was", [None, "old"])
def test_a_writer_that_ends_early_changes_nothing(tmp_path: Path, was: str | None) -> None:
    target = tmp_path / "page.html"
    if was is not None:
        target.write_text(was)

    def write() -> None:
        with written(target) as partial:
            partial.write_text("half")
            assert (target.read_text() if target.exists() else None) == was, "what a kill would leave"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == ({} if was is None else {target.name: was})


def test_every_file_of_a_result_is_renamed_into_its_name(
    tmp_path: Path, trace: ds.Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed: list[str] = []
    replace = os.replace
    monkeypatch.setattr(
        os, "replace", lambda source, target: (renamed.append(Path(target).name), replace(source, target))
    )
    ds.report(trace, tmp_path / "report.html")
    for suffix in ("csv", "tsv", "parquet", "json"):
        ds.export(trace, tmp_path / f"steps.{suffix}")
    ds.draw.animate("x²", trace, tmp_path / "moving.gif")
    plt.close("all")
    assert sorted(renamed) == sorted(file.name for file in tmp_path.iterdir())


def test_links_modes_and_devices_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    with written(link) as partial:
        partial.write_text("new")
    assert link.is_symlink()
    assert (real.read_text(), stat.S_IMODE(real.stat().st_mode)) == ("new", 0o640)
    with written(Path(os.devnull)) as partial:
        assert partial == Path(os.devnull)
    umask = os.umask(0o027)
    try:
        with written(tmp_path / "fresh.txt") as partial:
            partial.write_text("")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "fresh.txt").stat().st_mode) == 0o640


@pytest.mark.parametrize("letters", [200, 250, 300])
def test_long_names(tmp_path: Path, letters: int) -> None:
    target = tmp_path / ("a" * (letters - 4) + ".csv")
    if letters <= 255:
        with written(target) as partial:
            partial.write_text("x")
        assert os.listdir(tmp_path) == [target.name]
    else:
        with pytest.raises(ds.SettingError, match="name too long"), written(target) as partial:
            partial.write_text("x")
        assert os.listdir(tmp_path) == []


def test_what_takes_a_trace_takes_a_result(trace: ds.Trace) -> None:
    class Result:
        def __init__(self) -> None:
            self.trace = trace

    assert str(ds.summary(Result())) == str(ds.summary(trace))
    assert ds.report(Result()) == ds.report(trace)
    with pytest.raises(ds.SettingError, match="summary takes a trace, not"):
        ds.summary(None)  # pyright: ignore[reportArgumentType]
