"""What a watch keeps of the rows that it has seen."""

from __future__ import annotations

import numpy as np
import pytest

from downslope.watching._seen import ClassRecalls, comparable, scores_of_classes


@pytest.mark.parametrize("looks", [1, 7, 64, 65, 500])
def test_recalls_are_those_of_the_end_in_bounded_memory(looks: int) -> None:
    recalls = ClassRecalls()
    for look in range(looks):
        recalls.add(np.array([[20.0, 20.0], [20.0, 20.0 * (look >= looks // 2)]]))
    late = recalls.late()
    assert late is not None
    rows, right = late
    assert rows.sum() <= max(0.55 * looks, 1) * 40
    assert scores_of_classes(rows, right)["recall"] == [1.0, 1.0]
    assert len(recalls._blocks) <= 64


def test_a_rare_class_gets_rows_from_a_longer_end() -> None:
    recalls = ClassRecalls()
    for _ in range(40):
        recalls.add(np.array([[30.0, 1.0], [30.0, 0.0]]))
    late = recalls.late()
    assert late is not None
    assert late[0].tolist() == [600, 20]


def test_a_balanced_reference_is_no_reference_of_an_accuracy() -> None:
    facts = {"metric": "balanced_accuracy", "reference_score": 0.8, "rows": 90}
    assert comparable(facts, {"validation_accuracy"}) == {"rows": 90, "balanced_reference_score": 0.8}
    assert comparable(facts, {"validation_balanced_accuracy"}) == facts
