"""A fit that was saved is a fit again: the same numbers, and the same predictions."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import downslope as ds

X = np.linspace(0, 5, 20)
TABLE = {
    "x": np.tile(X, 2),
    "y": np.r_[3 * np.exp(-X) + 0.5, 2 * np.exp(-X) + 0.1] + 0.01 * np.sin(40 * np.r_[X, X + 1]),
    "cup": np.repeat(["red", "blue"], 20),
    "s": np.linspace(0.01, 0.02, 40),
}
DECAY = "y = A×e^(-k×x) + c"
FITS = {
    "plain": {},
    "by": {"by": "cup", "shared": "k"},
    "side by side": {"by": "cup"},
    "known deviations": {"sigma": "s", "absolute_sigma": True, "units": {"x": "s"}, "confidence": 0.9},
    "constrained": {"fixed": {"c": 0.3}, "ties": {"A": "10c"}},
    "bounded": {"bounds": {"k": (0, 0.5)}},
    "robust": {"loss": "huber"},
    "by profile": {"intervals": "profile", "rows": "1:20"},
    "descent": {"method": "adam", "steps": 5},
}


@pytest.mark.parametrize("options", FITS.values(), ids=FITS)
def test_a_loaded_fit_is_the_fit(options: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if options == {"by": "cup"}:
        monkeypatch.setattr("downslope.fitting._grouped._MOST_TOGETHER", 0)
    fit = ds.fit(DECAY, TABLE, **options)
    pickled = pickle.loads(pickle.dumps(fit))  # noqa: S301  # our own bytes
    for again in (ds.load(ds.save(fit, tmp_path / "run")), pickled):
        assert type(again) is type(fit)
        assert str(again) == str(fit)
        assert json.dumps(again.as_dict()) == json.dumps(fit.as_dict())
        new = {"x": [0.3, 7.0], "cup": ["blue", "red"]}
        for mine, theirs in zip(again.predict(new), fit.predict(new), strict=True):
            assert mine.tolist() == theirs.tolist()
    assert isinstance(fit, ds.GroupedFit) or len(ds.load_trace(tmp_path / "run")) == len(fit.trace)


def test_a_saved_fit_is_replaced_and_other_folders_are_not(tmp_path: Path) -> None:
    fit = ds.fit(DECAY, TABLE)
    ds.save(fit, tmp_path / "run")
    ds.save(fit, tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear reader")
    with pytest.raises(ds.TraceError, match="is not a trace"):
        ds.save(fit, tmp_path / "mine")


def test_damage_is_told(tmp_path: Path) -> None:
    run = ds.save(ds.fit(DECAY, TABLE), tmp_path / "run")
    content = (run / "fit_arrays.npz").read_bytes()
    (run / "fit_arrays.npz").write_bytes(content[:-9] + b"123456789")
    with pytest.raises(ds.TraceError, match="is damaged"):
        ds.load(run)
    (run / "fit_arrays.npz").write_bytes(content)
    state = json.loads((run / "fit_state.json").read_text())
    state["state"]["is"] = "Popen"
    (run / "fit_state.json").write_text(json.dumps(state))
    with pytest.raises(ds.TraceError, match="is damaged"):
        ds.load(run)
    assert len(ds.load_trace(run))
