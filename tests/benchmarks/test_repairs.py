"""The benchmark of repairs: what counts as repaired, what rivals draw, and what was proved within a budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from downslope.remedies import Remedy

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _beside_the_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def remedy(**changes: Any) -> Remedy:
    return Remedy("a name", "because", changes, "training_score")


def test_half_of_the_gap_must_be_closed_beyond_doubt() -> None:
    from repairs import is_repaired

    control = [0.1, 0.12, 0.11, 0.1, 0.13]
    assert is_repaired(control, [0.7, 0.72, 0.69, 0.71, 0.7], 0.9)
    assert not is_repaired(control, [0.3, 0.32, 0.29, 0.31, 0.3], 0.9)
    assert not is_repaired(control, [0.0, 1.0, 0.9, 0.2, 0.9], 0.9)
    assert not is_repaired(control, [0.7, 0.72, 0.69, 0.71, 0.7], 0.1)


def test_a_rival_that_is_told_nothing_draws_its_rates() -> None:
    from random_repairs import Draws

    makers = [lambda case: remedy(learning_rate=case), lambda case: remedy(clip_norm=case)]
    told, blind = (Draws(makers, 0.123, "name", blind=blind) for blind in (False, True))
    drawn = [changes for _ in range(20) for changes in (blind.one(),)]
    rates = [changes["learning_rate"] for changes in drawn if "learning_rate" in changes]
    assert len(set(rates)) > 3
    assert all(1e-4 <= rate <= 1e-1 for rate in rates)
    assert 0.123 not in [value for changes in drawn for value in changes.values()]
    assert all(value == 0.123 for value in told.some().values())


def test_the_best_within_a_budget_is_of_what_was_paid_for() -> None:
    from random_repairs import Try, best_within

    tries = [Try({"a": 1}, 0.3, 10, 1.0), Try({"b": 1}, 0.2, 10, 1.0), Try({"c": 1}, 0.8, 10, 1.0)]
    assert best_within(tries, 0.1, 9) == ({}, 0.0)
    assert best_within(tries, 0.1, 25) == ({"a": 1}, 2.0)
    assert best_within(tries, 0.1, 30) == ({"c": 1}, 3.0)
    assert best_within(tries, 0.9, 30)[0] == {}


def test_the_curve_tells_what_was_repaired_by_when() -> None:
    from repairs import mends, summary

    control, mended = [0.1, 0.12, 0.11], [0.9, 0.88, 0.89]
    entry = {
        "id": "a", "sick": True, "part": "tuned", "control": control, "reference": 0.9, "first_proof": 7.0,
        "trainings_spent": 9.0, "seconds_spent": {"ours": 3.0, "random_search": 5.0},
        "columns": {"ours": {"5": control, "10": mended, "end": mended},
                    "random_search": {"5": control, "10": control}},
    }  # fmt: skip
    assert [mends(entry, "ours", at) for at in ("5", "10", "20")] == [False, True, None]
    rates = summary([entry])
    assert rates["curves"]["ours"]["10"]["value"] == 1
    assert rates["curves"]["random_search"]["10"]["value"] == 0
    assert rates["ahead"]["random_search"]["10"]["value"] == 1
    assert rates["of_repairable"]["n"] == 1


def test_a_remedy_repaired_a_run_if_it_closed_half_of_the_gap() -> None:
    from repair_counts import repairs_of

    entry = {
        "own": {"end": 0.2}, "reference": 0.8,
        "tries": {"relu": {"end": 0.9}, "adam": {"end": 0.5}, "skips": {"end": 0.55}, "roomy": None},
    }  # fmt: skip
    assert repairs_of(entry) == {"relu": True, "adam": False, "skips": True}
    assert repairs_of({**entry, "own": {"end": 0.87}}) == {}
