"""The nouns of a diagnosis: symptoms as records, the checks that look for them, and what a check returns.

Symptom ──▶ Check ──▶ Finding   the symptom shows, with its numbers
   │                  NotRun    what the check lacked
   └▶ Quantity                  the number that a remedy for it is to move
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec

from downslope import _text
from downslope._text import apart, in_words
from downslope.diagnosis._needs import lacking

if TYPE_CHECKING:
    from downslope.diagnosis._end_state import StateRule
    from downslope.diagnosis._training_evidence import TrainingEvidence


# How the checks write numbers: to four digits, and different ones differently.


DIGITS = 4  # of the numbers in a sentence
# Numbers nearer to each other than this are equal but for rounding, and may look the same.
ROUNDING = 1e-9
_LONG = 10_000_000  # whole numbers from here on are rounded
# Evidence that is read side by side: whether a rate lies above or below another decides the verdict.
_RATES = ("learning_rate", "largest_stable_rate", "best_rate")
_FACTORS = ("predicted_contraction", "observed_contraction", "stability")


def number(value: Any) -> str:
    """Return a number to four significant digits.

    >>> number(0.123456), number(1.0), number(-2e-11)
    ('0.1235', '1', '−2e−11')
    """
    return _text.number(float(value), DIGITS)


def factor(value: Any) -> str:
    """Return a factor to four significant digits, or to as many more as tell it from 1.

    >>> factor(0.98765), factor(0.99998), factor(1.0)
    ('0.9877', '0.99998', '1')
    """
    return apart(float(value), 1.0, DIGITS)[0] if abs(value - 1) > ROUNDING else "1"


def shown(value: Any) -> str:
    """Return a piece of evidence: a number, a word, or numbers by part."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {shown(entry)}" for name, entry in value.items()) + ")"
    if isinstance(value, list):
        return "[" + ", ".join(shown(entry) for entry in value) + "]"
    if isinstance(value, int):
        return str(value) if abs(value) < _LONG else _text.number(value, 3)
    return number(value) if isinstance(value, float) else str(value)


def evidence_texts(evidence: Mapping[str, Any]) -> dict[str, str]:
    """Return evidence as text, by name in words: rates that differ look different, and so do factors and 1.

    >>> evidence_texts({"learning_rate": 3.0, "largest_stable_rate": 2.9999992, "cosine": -1.0})
    {'learning rate': '3', 'largest stable rate': '2.999999', 'cosine': '−1'}
    """
    texts = {name: shown(value) for name, value in evidence.items()}
    texts |= {name: factor(evidence[name]) for name in _FACTORS if isinstance(evidence.get(name), float)}
    rates = [name for name in _RATES if isinstance(evidence.get(name), float)]
    for first, second in itertools.combinations(rates, 2):
        differ = abs(evidence[first] - evidence[second]) > ROUNDING * abs(evidence[second])
        if differ and texts[first] == texts[second]:
            texts[first], texts[second] = apart(evidence[first], evidence[second], DIGITS)
    return {in_words(name): text for name, text in texts.items()}


P = ParamSpec("P")


class Severity(enum.Enum):
    """How much a finding matters; the value is the word that the user reads."""

    GOOD = "good"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Symptom:
    """A symptom that a check looks for.

    Args:
        key: its identifier: `converged`, `rate_too_large`, …
        severity: the highest severity of its findings.
        order: its rank among causes; a smaller rank is closer to the cause and is shown first.
        meaning: its meaning in one sentence, for tables.
        quantity: the name of the quantity that shows it, one of `quantity_names`.
        remedies: the names of the remedies for it, in the order in which they are tried.
    """

    key: str
    severity: Severity
    order: int
    meaning: str
    quantity: str
    remedies: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The key as words."""
        return in_words(self.key).capitalize()


@dataclass(frozen=True)
class Finding:
    """The result of a check.

    Args:
        symptom: the identifier: `converged`, `rate_too_large`, …
        severity: GOOD (all is well), NOTE (worth knowing) or PROBLEM (the descent will not get there as it is).
        sentence: its meaning, with the numbers that matter, in one or two sentences.
        evidence: the numbers behind it, by name; plain numbers, strings, or mappings from part to number.
        threshold: the bound that the evidence was compared with, in words.
        steps: the first and last step at which it shows.
        parts: the parts it concerns; empty for all.
        confidence: from 0 to 1.
        causes: possible causes, the likeliest first.
        remedies: what to change, the first to try first.
    """

    symptom: str
    severity: Severity
    sentence: str
    evidence: Mapping[str, Any]
    threshold: str
    steps: tuple[int, int]
    parts: tuple[str, ...] = ()
    confidence: float = 1.0
    causes: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.symptom}: {self.sentence}"

    @property
    def title(self) -> str:
        """The symptom as words: `Rate too large`."""
        return in_words(self.symptom).capitalize()

    def evidence_texts(self) -> dict[str, str]:
        """Return the evidence as text, by name in words; rates that differ look different."""
        return evidence_texts(self.evidence)

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain data, for JSON."""
        return {
            "symptom": self.symptom,
            "severity": self.severity.value,
            "sentence": self.sentence,
            "evidence": dict(self.evidence),
            "threshold": self.threshold,
            "steps": list(self.steps),
            "parts": list(self.parts),
            "confidence": self.confidence,
            "causes": list(self.causes),
            "remedies": list(self.remedies),
        }


@dataclass(frozen=True)
class NotRun:
    """A check that could not run.

    Args:
        symptom: what it looks for.
        reason: the missing data, as a sentence.
    """

    symptom: str
    reason: str

    def __str__(self) -> str:
        return f"{self.symptom}: {self.reason}"


@dataclass(frozen=True)
class Quantity:
    """A number of a trace that a remedy should change.

    Args:
        name: its identifier.
        words: what it is.
        wanted: "lower", "higher", or "nearer to 1" (by its logarithm).
        of: computes it from the evidence; None or NaN where it is not known.
        needs: what a training must record for it: "layers", "curvature", or "" for neither.
    """

    name: str
    words: str
    wanted: str
    of: Callable[[Any], float | None]
    needs: str = ""


Result = Finding | NotRun | None


@dataclass(frozen=True)
class Check(Generic[P]):
    """A symptom together with the function that looks for it.

    Args:
        symptom: what it looks for.
        find: takes the evidence (and of a descent its end state); returns a Finding, None where the symptom does not
            show, or a NotRun where the trace lacks what the check needs.
        order: when its finding is shown; that of the symptom, unless two checks look for the same one.
        rule: how a descent's end state is recognised that only this check knows.
        quantities: those that only this check computes.
        needs: what the trace must have for it to run at all, as dotted names; see `_needs`.
        reads: what it looks at, too: without these it may still find the symptom, but cannot say that there is none.
        hidden_by: why the symptom may be where it does not look, from the evidence; "" where it looks everywhere.
    """

    symptom: Symptom
    find: Callable[P, Result]
    order: int
    rule: StateRule | None = None
    quantities: tuple[Quantity, ...] = ()
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    hidden_by: Callable[[Any], str] | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Result:
        if not self.needs and not self.reads:
            return self.find(*args, **kwargs)
        evidence: Any = args[0]
        lacks = lacking(self.needs, evidence.trace)
        if lacks is not None:
            return NotRun(self.symptom.key, lacks)
        result = self.find(*args, **kwargs)
        if isinstance(result, Finding):
            return result
        # Silence means that the symptom does not show, which only a check that sees all of the network, and has all its
        # facts, can say.
        hidden = "" if self.hidden_by is None else self.hidden_by(evidence)
        if hidden:
            return NotRun(self.symptom.key, hidden)
        lacks = None if result is not None else lacking(self.reads, evidence.trace)
        return result if lacks is None else NotRun(self.symptom.key, lacks)


def check(
    symptom: Symptom,
    *,
    order: int | None = None,
    rule: StateRule | None = None,
    quantities: tuple[Quantity, ...] = (),
    needs: tuple[str, ...] = (),
    reads: tuple[str, ...] = (),
    hidden_by: Callable[[Any], str] | None = None,
) -> Callable[[Callable[P, Result]], Check[P]]:
    """Return the decorator that makes a check of a function; see `Check` for the arguments."""

    def of(find: Callable[P, Result]) -> Check[P]:
        rank = symptom.order if order is None else order
        return Check(symptom, find, rank, rule, quantities, needs, reads, hidden_by)

    return of


def by_cause(*checks: Check[P]) -> tuple[Check[P], ...]:
    """Return checks in the order of causes."""
    return tuple(sorted(checks, key=lambda check: check.order))


def by_key(symptoms: Iterable[Symptom]) -> dict[str, Symptom]:
    """Return symptoms by key, in the order of causes."""
    return {symptom.key: symptom for symptom in sorted(symptoms, key=lambda symptom: symptom.order)}


def unjudged(evidence: TrainingEvidence, symptom: Symptom) -> NotRun:
    """Return the reason why a check could not run that compares the score with what the data allow."""
    return NotRun(symptom.key, evidence.not_comparable or "whether the rows trained on are learnt is not known")


def training_finding(
    evidence: TrainingEvidence,
    symptom: Symptom,
    sentence: str,
    threshold: str,
    *,
    numbers: dict[str, Any] | None = None,
    parts: tuple[str, ...] = (),
    causes: tuple[str, ...] = (),
    remedies: tuple[str, ...] = (),
    confidence: float = 0.9,
    problem: bool | None = None,
    if_unknown: bool = False,
) -> Finding:
    """Return a finding over all steps of a training: a problem where the network falls short, else a note.

    Args:
        evidence: the quantities of the training.
        symptom: the symptom that shows.
        sentence: what it means.
        threshold: the bound that the evidence was compared with, in words.
        numbers: the numbers behind it.
        parts: the layers it concerns.
        causes: possible causes, the likeliest first.
        remedies: what to change.
        confidence: from 0 to 1.
        problem: whether it is a problem; None where that depends on whether the network falls short of what the data
            allow.
        if_unknown: whether it is a problem where it is not known if the network falls short: for what is wrong in any
            network.
    """
    serious = problem
    if serious is None:
        serious = if_unknown if evidence.falls_short is None else evidence.falls_short
    return Finding(
        symptom.key,
        Severity.PROBLEM if serious else Severity.NOTE,
        sentence,
        evidence.numbers(**(numbers or {})),
        threshold,
        evidence.all_steps,
        parts=parts,
        confidence=confidence,
        causes=causes,
        remedies=remedies,
    )
