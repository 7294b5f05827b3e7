"""The rows of a training under way: appended at a constant cost, with the same numbers as a plain list of them."""

import tracemalloc
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from downslope.descent.batches._log import BatchLog
from downslope.descent.batches._rows import GrowingColumns, Measurements
from downslope.trace import Spectrum


def test_growing_columns_hold_what_was_appended() -> None:
    rows, rng = GrowingColumns(), np.random.default_rng(1)
    pieces = [{"step": np.arange(n), "norm": rng.normal(size=(n, 3))} for n in (0, 2, 1, 40, 0, 7)]
    for piece in pieces:
        rows.append(piece)
    for name in ("step", "norm"):
        np.testing.assert_array_equal(rows.since(0)[name], np.concatenate([piece[name] for piece in pieces]))
        np.testing.assert_array_equal(rows.since(43)[name], pieces[-1][name])


def test_the_first_rows_decide_on_the_columns_even_where_there_are_none() -> None:
    rows = GrowingColumns()
    rows.append({"step": np.zeros(0, np.int64)})
    rows.append({"step": np.arange(2), "norm": np.ones((2, 3))})
    assert rows.since(0)["norm"].shape == (2, 3)


def test_a_view_copies_nothing_and_is_not_changed_later() -> None:
    rows = GrowingColumns()
    rows.append({"value": np.arange(1e6)})
    tracemalloc.start()
    view = rows.since(0)["value"]
    assert tracemalloc.get_traced_memory()[1] < 10_000
    tracemalloc.stop()
    rows.replace_last("value", np.nan)
    assert view[-1] == 999_999
    assert np.isnan(rows.last("value"))


@pytest.mark.parametrize("seed", range(5))
def test_measurements_equal_a_plain_list_of_them(seed: int) -> None:
    rng, table, plain = np.random.default_rng(seed), Measurements(), cast("dict[int, dict[str, float]]", {})
    step = 0
    for _ in range(60):
        step += int(rng.integers(0, 3))
        # A look at the curvature ends later than steps that were taken beside it.
        at = max(0, step - int(rng.integers(0, 5))) if rng.random() < 0.3 else step
        row = {name: float(rng.choice([rng.normal(), np.nan, np.inf, 0.0])) for name in "abc" if rng.random() < 0.6}
        table.add(at, row)
        plain.setdefault(at, {}).update(row)
        for name in "abcd":
            values = [plain[key][name] for key in sorted(plain) if np.isfinite(plain[key].get(name, np.nan))]
            assert table.since_best(name) == (len(values) - 1 - int(np.argmin(values)) if values else 0)
    for end in (step, step // 2):
        table.cut_after(end)
        columns = table.columns()
        assert columns["step"].tolist() == [key for key in sorted(plain) if key <= end]
        for name in table.names:
            expected = [plain[key].get(name, np.nan) for key in sorted(plain) if key <= end]
            np.testing.assert_array_equal(columns[name], expected)


def test_the_lowest_measurement_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[int] = []
    argmin = np.argmin
    monkeypatch.setattr(np, "argmin", lambda values: searches.append(len(values)) or argmin(values))
    table = Measurements()
    for step in range(500):
        table.add(step, {"validation_loss": float(step % 7)})
        assert table.since_best("validation_loss") == step
    assert len(searches) == 1


def test_only_the_first_and_the_last_spectra_keep_their_directions() -> None:
    log = BatchLog(cast("Any", SimpleNamespace()), ("w",), None)
    end = {"w": np.ones(2)}
    for step in range(6):
        whole = Spectrum(step, np.array([1.0, 2.0]), False, end, end)
        log.add_spectrum(whole if step not in (2, 5) else whole.without_directions())
    log._steps.append({"step": np.arange(1)})
    # The last but one keeps them as well, since the run may end before the last.
    assert [spectrum.has_directions for spectrum in log._spectra] == [True, False, False, True, True, False]
    kept = [spectrum.has_directions for spectrum in log.gathered()[-1]]
    assert kept == [True, False, False, False, True, False]
    assert log.last_spectrum is not None
    assert log.last_spectrum.step == 4
