"""The course: its texts in every language, its numbers, and the requests that its figures make."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import random
import re
from importlib import resources

import numpy as np
import pytest
import sympy
from lab.asking import ask

from downslope.lab import _lessons

LESSONS = {lesson["id"]: lesson for lesson in _lessons.lessons()}
TEXTS = _lessons.texts()
MOST_WORDS = 150
GAP = re.compile(r"\{(\w+)\}")


def shape(value: object) -> object:
    """Return the keys of nested texts, and the gaps of each sentence."""
    if isinstance(value, dict):
        return {key: shape(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [shape(entry) for entry in value]
    return sorted(GAP.findall(str(value)))


def test_every_language_says_the_same_with_the_same_gaps() -> None:
    assert {"en", "de"} <= set(TEXTS)
    english = TEXTS["en"]
    assert set(english["chapters"]) == set(LESSONS)
    for tag, texts in TEXTS.items():
        assert {name: shape(texts[name]) for name in ("page", "chapters")} == {
            name: shape(english[name]) for name in ("page", "chapters")
        }, tag
    facts = {chapter: [row["fact"] for row in english["chapters"][chapter]["numbers"]] for chapter in LESSONS}
    for texts in TEXTS.values():
        assert {chapter: [row["fact"] for row in texts["chapters"][chapter]["numbers"]] for chapter in LESSONS} == facts


@pytest.mark.parametrize("chapter", LESSONS)
def test_a_chapter_is_short_and_its_prose_has_no_number_of_its_own(chapter: str) -> None:
    for tag, texts in TEXTS.items():
        words = texts["chapters"][chapter]
        prose = " ".join([words["title"], *words["text"], words["question"]])
        assert len(prose.split()) <= MOST_WORDS, tag
        # Numbers stand in formulas or are filled in from the facts, which another test computes.
        assert not re.search(r"\d", re.sub(r"`[^`]*`|\{\w+\}", "", prose)), tag
        filled = set(GAP.findall(" ".join([*words["text"], words["question"], words["hint"]])))
        assert filled <= set(LESSONS[chapter]["facts"]), tag


def test_the_numbers_are_right() -> None:
    p, T, t, x, y = sympy.symbols("p T t x y")
    profit, battery = -20 * p**2 + 200 * p - 300, 100 - 10 * t
    cookie = -sympy.Rational(1, 100) * T**2 - sympy.Rational(1, 2) * t**2 + 3 * T + 10 * t
    hill, valley = 100 - x**2 - 2 * y**2, x**2 - 4 * x + 5
    north = [sympy.diff(hill, name).subs({x: 3, y: 1}) for name in (x, y)]
    steps, at = {}, sympy.Integer(0)
    for step in range(1, 21):
        at -= sympy.Rational(1, 10) * sympy.diff(valley, x).subs(x, at)
        steps[step] = at
    right = {
        "slope": {
            "battery": sympy.diff(battery, t),
            **{f"at_{price}": sympy.diff(profit, p).subs(p, price) for price in (2, 5, 7)},
            "one_more": profit.subs(p, 3) - profit.subs(p, 2),
        },
        "partial": {
            "by_T": sympy.diff(cookie, T).subs(T, 150),
            "by_t": sympy.diff(cookie, t).subs(t, 10),
            "by_T_start": sympy.diff(cookie, T).subs(T, 170),
            "by_t_start": sympy.diff(cookie, t).subs(t, 6),
            "best": cookie.subs({T: 150, t: 10}),
        },
        "compass": {
            "along_x": north[0],
            "along_y": north[1],
            "steepness": sympy.sqrt(52),
            "uphill": math.degrees(math.atan2(north[1], north[0])) % 360,
        },
        "descent": {
            "rate": 0.1,
            **{f"step_{step}": steps[step] for step in (1, 2, 3, 10, 20)},
            "minimum": sympy.solve(sympy.diff(valley, x), x)[0],
        },
    }
    right |= _right_on_learning()
    assert set(right) == set(LESSONS)
    for chapter, facts in right.items():
        stated = {name: fact["value"] for name, fact in LESSONS[chapter]["facts"].items()}
        assert stated == {name: pytest.approx(float(value), rel=1e-4) for name, value in facts.items()}, chapter


def _right_on_learning() -> dict[str, dict[str, object]]:
    """Return the facts of the chapters on learning, computed anew."""
    size, price = np.array(_houses()).T
    slopes, weights = [], [0.0]
    for _ in range(3):
        slopes.append(float(np.mean(2 * (weights[-1] * size - price) * size)))
        weights.append(weights[-1] - 1e-5 * slopes[-1])
    names = sympy.symbols("w1:5 v1:3")
    w1, w2, w3, w4, v1, v2 = names
    sigmoid = [1 / (1 + sympy.exp(-z)) for z in (w1 + 2 * w2, w3 + 2 * w4)]
    loss = (2 - v1 * sigmoid[0] - v2 * sigmoid[1]) ** 2
    at = dict(zip(names, (0.5, 0.25, 1, -1, 1, 2), strict=True))
    gradient = {name: float(sympy.diff(loss, name).subs(at)) for name in names}
    ends = sorted(np.roots([4, 0, -8, 1]).real)
    lowest, _, higher = (x**4 - 4 * x**2 + x for x in ends)
    return {
        "data": {
            **{f"slope_{step}": slope for step, slope in enumerate(slopes, 1)},
            **{f"w_{step}": weights[step] for step in (1, 2, 3)},
            "w_end": float(size @ price / (size @ size)),
        },
        "rate": {
            "large_1": 10 - 20,
            "small_1": 10 * 0.998,
            "small_1000": 10 * 0.998**1000,
            "right_3": 10 * 0.8**3,
            "right_20": 10 * 0.8**20,
            "bound": 2 / 2,
            "best": 1 / 2,
        },
        "chain": {
            "inner": -2,
            "outer": 5,
            "whole": -10,
            "loss": float(loss.subs(at)),
            "by_w1": gradient[w1],
            "loss_after": float(loss.subs({name: value - 0.1 * gradient[name] for name, value in at.items()})),
        },
        "pitfalls": {
            "higher": higher,
            "lowest": lowest,
            "saddle_x": 2,
            "saddle_y": -2,
            "across": 0,
            "quarter": sympy.Rational(1, 4),
        },
    }


def _houses() -> list[tuple[float, float]]:
    """Return the houses that ship, which are those of the lesson."""
    with resources.files("downslope").joinpath("examples", "houses.csv").open(encoding="utf-8") as file:
        rows = [(float(row["size"]), float(row["price"])) for row in csv.DictReader(file)]
    assert LESSONS["data"]["formula"] == "; ".join(f"{size:g} {price:g}" for size, price in rows)
    return rows


@pytest.mark.parametrize("chapter", LESSONS)
def test_what_a_figure_can_ask_is_listed_and_answered(chapter: str) -> None:
    lesson = LESSONS[chapter]
    requests = list(_lessons.requests_of(lesson["asks"]))
    assert len({json.dumps(each, sort_keys=True) for each in requests}) == len(requests)
    for verb, request in random.Random(7).sample(requests, min(6, len(requests))):
        assert ask(verb, **request), (verb, request)


def test_varied_values_are_combined_and_entries_set_within_fields() -> None:
    asks = [
        {"verb": "a", "request": {"start": {"y": 1}}, "vary": {"start.x": [2, 3], "rate": [0.1, 0.2]}},
        {"verb": "b", "request": {}},
    ]
    assert list(_lessons.requests_of(asks)) == [
        ("a", {"start": {"y": 1, "x": x}, "rate": rate}) for x in (2, 3) for rate in (0.1, 0.2)
    ] + [("b", {})]


def test_the_snippets_run() -> None:
    for lesson in LESSONS.values():
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(lesson["python"], lesson["id"], "exec"), {})  # noqa: S102 - our own text
        assert printed.getvalue().strip(), lesson["id"]
