"""What the library says in the figures of the course, in the languages that the course speaks.

Whoever words a message of the library anew words it in `static/learn/texts.*.json` as well, under `messages`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from lab.asking import ask, refusal

from downslope.lab import _lessons

GAP = re.compile(r"\{(\w+)\}")
OTHERS = {tag: texts["messages"] for tag, texts in _lessons.texts().items() if tag != "en"}
LESSONS = {lesson["id"]: lesson for lesson in _lessons.lessons()}
# Functions that pupils try, among them some on which a descent ends badly.
FUNCTIONS = (
    "x⁴",
    "x³",
    "|x|",
    "√|x|",
    "1/x",
    "ln x",
    "e^(-x)",
    "-x²",
    "x² + 100y²",
    "x²y²",
    "x² - y²",
    "x⁴ - y⁴",
    "x³ + y³",
    "sin x · cos y",
    "tan x",
    "x·y",
    "(1 - x)² + 100(y - x²)²",
)
MISTAKES = {
    "secants": [
        *("", "x +", "x + )", "(x", "sin", "sin()", "x² = 4", "1/0", "foo(x)", "3,5x", "a·x", "5", "|x", "x!!", "√"),
        *("f(x)=y", "x;y", "x^^2", "1 2", "x < 3", "∫x dx", "lim x", "∞", "x = y = z", "max(x)", "f(x) f(x)"),
    ],
    "slices": ["x²", "x + y + z"],
    "compass": ["sin x"],
}
OPTIONS = {
    "secants": {"at": None, "widths": [1, 0.5], "box": None},
    "slices": {"start": None, "box": None},
    "compass": {"start": None, "directions": 8},
}


def is_known(message: str, messages: dict[str, str]) -> bool:
    """Tell whether a language knows a message as a whole, or each of its sentences, as the page puts them together."""
    return says(message, messages) or all(says(sentence, messages) for sentence in re.split(r"(?<=\.) ", message))


def says(sentence: str, messages: dict[str, str]) -> bool:
    for english in messages:
        pattern = r"((?:(?!\. ).)+?)".join(map(re.escape, re.split(r"\{\w+\}", english)))
        values = re.fullmatch(pattern, sentence, re.DOTALL)
        if values and all(
            says(f"… {value}", messages)
            for name, value in zip(GAP.findall(english), values.groups(), strict=True)
            if name.startswith("phrase")
        ):
            return True
    return False


def shown(reply: dict[str, Any]) -> Iterator[str]:
    """Yield what the figures show of the findings of a reply."""
    verdict = reply.get("verdict")
    of_descent = [] if not isinstance(verdict, dict) else [verdict["findings"]]
    for findings in [
        *of_descent,
        *(part["findings"] for part in [reply, *reply.get("runs", [])] if "findings" in part),
    ]:
        grave = [finding["sentence"] for finding in findings if finding["severity"] == "problem"]
        yield from [finding["sentence"] for finding in findings[:1]] + grave
    if isinstance(verdict, str):
        yield verdict


@pytest.mark.parametrize("tag", OTHERS)
def test_a_message_keeps_its_gaps(tag: str) -> None:
    for english, said in OTHERS[tag].items():
        assert sorted(GAP.findall(english)) == sorted(GAP.findall(said)), english
        assert len(set(GAP.findall(english))) == len(GAP.findall(english)), english


@pytest.mark.parametrize("chapter", ["rate", "pitfalls"])
def test_all_that_is_found_in_the_lessons_is_said_in_each_language(chapter: str) -> None:
    for verb, request in _lessons.requests_of(LESSONS[chapter]["asks"]):
        if verb in ("descend", "mend", "trained"):
            for sentence in shown(ask(verb, **request)):
                assert all(is_known(sentence, messages) for messages in OTHERS.values()), sentence


@pytest.mark.parametrize("formula", FUNCTIONS)
def test_what_mends_functions_of_their_own_is_said_in_each_language(formula: str) -> None:
    request = {"formula": formula, "start": None, "box": None, "method": "gradient descent", "rate": None, "steps": 100}
    for sentence in shown(ask("mend", **request)):
        assert all(is_known(sentence, messages) for messages in OTHERS.values()), sentence


@pytest.mark.parametrize("formula", FUNCTIONS)
def test_what_is_found_on_functions_of_their_own_is_said_in_each_language(formula: str) -> None:
    start = ask("read", formula=formula)["start"]
    for at, rate in [*((start, rate) for rate in (0.001, 0.1, 1, 10)), (dict.fromkeys(start, 0.0), 0.1)]:
        request = {"formula": formula, "start": at, "rate": rate, "method": "gradient descent", "steps": 100}
        for sentence in shown(ask("descend", **request)):
            assert all(is_known(sentence, messages) for messages in OTHERS.values()), sentence


@pytest.mark.parametrize(
    "name",
    [
        *("momentum", "nesterov", "Newton's method", "BFGS", "L-BFGS", "Adam at 0.1", "RMSprop at 0.1"),
        *("momentum 0.9 at 0.1", "rate 0.1, from the curvature", "rate 0.1, the best for the curvatures at the end"),
        *(f"rate 0.1, {share}" for share in ("a tenth", "a hundredth", "ten times as much", "a hundred times as much")),
        *("gradients cut to 1", "noise of 0.1 in the gradient", "200 steps", "tolerance 1e-8", "a start at x = 1"),
        *("a rate that decays as a cosine", "a rate that decays to a hundredth", "a start a little off, x = 1"),
        *("warm-up over a tenth of the steps", "rate 10, a hundred times as much + momentum"),
    ],
)
def test_each_remedy_of_a_descent_has_a_name_in_each_language(name: str) -> None:
    sentence = f"With {name}, the value goes from 1 to 0.5, lower by 0.5 (5 of 5 starts) over 5 paired starts."
    for messages in OTHERS.values():
        assert is_known(sentence, messages)


@pytest.mark.parametrize(
    ("verb", "formula"), [(verb, formula) for verb, all_of in MISTAKES.items() for formula in all_of]
)
def test_what_is_wrong_with_a_formula_is_said_in_each_language(verb: str, formula: str) -> None:
    error = refusal(verb, formula=formula, **OPTIONS[verb])
    for messages in OTHERS.values():
        assert is_known(error["message"], messages), error["message"]
        assert error["hint"] is None or is_known(error["hint"], messages), error["hint"]
