"""The crew against executors that die, forget, answer in any order, or never had a chance."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import Counter
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope.executors import Crew, Unit
from downslope.executors import _units as worker
from tests.fake_executor import Fake

LONG = np.arange(10_000.0)


def summed(table: Any, power: int) -> float:
    return float((np.asarray(table["x"]) ** power).sum())


def failing(_: Any, number: int) -> int:
    if number == 2:
        raise ds.DataError("there is nothing here", hint="look there")
    return number


@pytest.fixture(autouse=True)
def forgetful() -> None:
    """Empty what this process keeps as a worker."""
    for kept in (worker._PARTS, worker._SUBJECTS, worker._SHARED):
        kept.clear()


def units(count: int, column: np.ndarray = LONG) -> list[Unit]:
    table = {"x": column}
    return [Unit(summed, table, (power % 5,)) for power in range(count)]


EXPECTED = [float((LONG**power).sum()) for power in range(5)]


@pytest.mark.parametrize("executor", [None, ThreadPoolExecutor(2), Fake()], ids=["here", "threads", "packed"])
def test_results_are_in_order_and_counted_as_they_end(executor: Any) -> None:
    seen = []
    with Crew(executor) as crew:
        results = crew.results(units(5), counted=lambda number, result: seen.append((number, result)))
    assert results == EXPECTED
    assert sorted(seen) == list(enumerate(EXPECTED))


def test_a_unit_whose_worker_died_is_done_again_and_counts_once() -> None:
    fake = Fake(lambda number: OSError("the worker is gone") if number in (0, 3, 4) else None)
    with Crew(fake) as crew:
        ended = list(crew.each(units(10)))
    assert Counter(number for number, _ in ended) == Counter(range(10))
    assert [result for _, result in sorted(ended)] == EXPECTED * 2
    assert fake.calls >= 13


def test_a_unit_that_ends_every_worker_is_named() -> None:
    with (
        Crew(Fake(lambda number: OSError("killed"))) as crew,
        pytest.raises(ds.ExecutorError, match=r"unit 1 .* 4 times"),
    ):
        list(crew.each(units(1)))


def test_a_pool_that_cannot_replace_its_worker_ends_with_what_was_gathered() -> None:
    fake = Fake(lambda number: None if number < 1 else BrokenExecutor("a process ended"))
    seen = {}
    with Crew(fake) as crew, pytest.raises(ds.ExecutorError, match="cannot replace it; 1 of 12 units") as caught:
        seen.update(crew.each(units(12, np.ones(3))))
    assert seen == caught.value.gathered
    assert list(seen.values()) == [3.0]
    assert fake.calls <= 12


def test_an_executor_that_was_shut_down_says_so() -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with Crew(pool) as crew, pytest.raises(ds.ExecutorError, match=r"takes no more work.*0 of 3 units"):
        list(crew.each(units(3)))


@pytest.mark.parametrize("executor", [None, Fake()], ids=["here", "packed"])
def test_the_error_of_a_unit_is_its_own(executor: Any) -> None:
    with Crew(executor) as crew, pytest.raises(ds.DataError, match="nothing here") as caught:
        list(crew.each(Unit(failing, None, (number,)) for number in range(4)))
    assert caught.value.hint == "look there"


def test_what_has_not_begun_is_cancelled() -> None:
    gate = threading.Event()

    def first_alone(number: int) -> None:
        if number:
            gate.wait(10)

    fake = Fake(first_alone)
    with Crew(fake) as crew:
        ended = crew.each(units(20, np.ones(3)))
        next(ended)
        ended.close()  # as Ctrl-C does
    assert fake.calls == 20
    assert all(future.cancelled() for future, *_ in list(fake._waiting))
    gate.set()
    assert fake.begun <= 2


def test_a_table_travels_once_whatever_holds_it() -> None:
    fake = Fake()
    subjects = [{"x": LONG, "rate": rate} for rate in range(6)]
    with Crew(fake) as crew:
        assert crew.results(Unit(summed, subject, (1,)) for subject in subjects) == [EXPECTED[1]] * 6
        assert len(crew._packer.contents) == 1
    # Without a file that it can read, a worker says what it lacks, and gets it.
    sent = [address for _, *addresses in fake.orders for address in addresses if address.content is not None]
    assert 1 <= len(sent) <= 6
    assert len(worker._PARTS) == 1
    assert all(len(order.call.content) < 1000 for order, *_ in fake.orders)


def test_a_subject_is_read_once_in_a_worker() -> None:
    with Crew(Fake()) as crew:
        crew.results(units(10))
    assert len(worker._SUBJECTS) == 1


def test_equal_values_share_the_first() -> None:
    first, second = object(), object()
    assert worker.shared("key", first) is first
    assert worker.shared("key", second) is first


@pytest.mark.parametrize(
    ("executor", "words"),
    [
        (ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")), "forked child hangs"),
        (ProcessPoolExecutor, "has none"),
        (multiprocessing, "has none"),
        (3, "has none"),
    ],
)
def test_what_would_hang_or_is_no_executor_is_refused(executor: Any, words: str) -> None:
    with pytest.raises(ds.SettingError, match=words) as caught:
        Crew(executor)
    assert "spawn" in str(caught.value.hint)


def test_processes_give_the_same_and_leave_nothing() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        with Crew(pool) as crew:
            assert crew.results([*units(5), Unit(_process, None)])[:5] == EXPECTED
            folder = crew._folder
        assert folder is not None
        assert not os.path.exists(folder.name)


def _process(_: Any) -> int:
    return os.getpid()
