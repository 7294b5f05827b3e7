"""`diagnose`: from a Trace to a Diagnosis."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np

from downslope._errors import SettingError, described
from downslope._text import count
from downslope.diagnosis._advice import is_settled, is_sound, rates_to_try
from downslope.diagnosis._end_state import EndState, state_of
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom
from downslope.diagnosis._needs import LACKS, is_known, lacking
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.diagnosis.checks import (
    DESCENT_CHECKS,
    DESCENT_SYMPTOMS,
    HEALTHY,
    STATE_RULES,
    TRAINING_CHECKS,
    TRAINING_SYMPTOMS,
    healthy,
    local_minimum,
    measured_not_finite,
    not_judged,
    not_started,
    recorded_not_finite,
    stepped_not_finite,
    unexplained,
)
from downslope.trace import HasTrace, HasTraces, Outcome, Trace, as_trace

_ROWS = ("step", "value", "gradient_norm", "the point", "the gradient")
_LAST_OF_DATA = 20  # checks of a lower order are those of the data
# What the comparison of scores rests on itself: such facts say nothing of whether a check of the data was prepared.
_COMPARED = frozenset(
    (
        *("data.rows", "data.validation_rows", "data.reference_score", "data.validation_reference_score"),
        *("data.chance_score", "data.shuffled_score", "data.shuffled_deviation", "data.class_counts"),
        *("data.target_low", "data.target_high", "data.target_mean", "data.target_kind", "data.metric"),
        *("network.metric", "network.kind", "metrics.training_loss", "metrics.validation_loss"),
    )
)
# What these say rests on a loss that should fall. One that an opponent moves, or a policy that collects its own data,
# may rise.
_OF_THE_COURSE = frozenset(
    ("diverged", "rate_too_large", "plateau", "too_few_steps", "loss_spike", "overfitting", "rate_ended_early")
)
_RANK = {Severity.PROBLEM: 0, Severity.GOOD: 1, Severity.NOTE: 2}
_EXAMPLE = 'ds.diagnose(ds.descend("x²", 10))'
_MARKS = {Severity.GOOD: "✓", Severity.NOTE: "•", Severity.PROBLEM: "✗"}


@dataclass(frozen=True)
class Diagnosis(Sequence[Finding]):
    """The findings of a trace, the most important first; never empty.

    It is a sequence of findings; `"saddle_point" in diagnosis` tests for a symptom.

    Args:
        findings: problems first, then the verdict on a run without any, then the notes.
        not_run: the checks that could not run, and why.
        caveats: data missing from the trace, such as damaged rows; see `Trace`.
    """

    findings: tuple[Finding, ...]
    not_run: tuple[NotRun, ...] = ()
    caveats: tuple[str, ...] = ()

    @property
    def symptoms(self) -> tuple[str, ...]:
        """The symptoms of the findings, in order."""
        return tuple(finding.symptom for finding in self.findings)

    @property
    def ok(self) -> bool:
        """Whether no finding is a problem."""
        return all(finding.severity is not Severity.PROBLEM for finding in self.findings)

    def as_list(self) -> list[dict[str, Any]]:
        """Return the findings as plain data, for JSON."""
        return [finding.as_dict() for finding in self.findings]

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Finding, ...]: ...
    def __getitem__(self, index: int | slice) -> Finding | tuple[Finding, ...]:
        return self.findings[index]

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __contains__(self, finding: object) -> bool:
        return finding in self.symptoms if isinstance(finding, str) else finding in self.findings

    def __str__(self) -> str:
        return self.as_text()

    def as_text(self, evidence: bool = False) -> str:
        """Return the findings as lines of text.

        Args:
            evidence: whether the numbers behind each finding are listed below it.
        """
        lines = [line for finding in self.findings for line in _lines(finding, evidence)]
        lines += [f"- not judged: {remark}" for remark in _by_reason(self.not_run)]
        return "\n".join(lines + [f"! {caveat}" for caveat in self.caveats])

    def __repr__(self) -> str:
        return f"<Diagnosis {', '.join(self.symptoms)}>"

    def _repr_html_(self) -> str:
        remarks = [*(f"not judged: {remark}" for remark in _by_reason(self.not_run)), *self.caveats]
        return "".join(_card(finding) for finding in self.findings) + "".join(
            f"<p><small>{html.escape(remark)}</small></p>" for remark in remarks
        )


def diagnose(trace: Trace | HasTrace | HasTraces, others: Iterable[Trace | HasTrace] = ()) -> Diagnosis:
    """Diagnose a trace: what went well, what went wrong, the numbers behind it, and what to try.

    Args:
        trace: a trace, or a result that holds one, such as a training. Only the trace is read: neither the objective
            nor the method is run again. For several runs of one setup (`Replicates`), what most of them show.
        others: traces of descents of the same objective from other starts; if one ended lower, and nothing else is
            wrong, this end is a `local_minimum`.

    Returns:
        The findings, the most important first. There is always one: a healthy run is a finding too.

    Raises:
        SettingError: for something that is no trace and holds none.
    """
    replicates = getattr(trace, "traces", None)
    if isinstance(replicates, tuple) and replicates:
        return _of_most([diagnose(replicate) for replicate in replicates])
    trace = as_trace(trace, "diagnose", _EXAMPLE)
    if not isinstance(others, Iterable):
        raise SettingError(f"others are traces, not {described(others)}", hint="ds.diagnose(trace, [other, …])")
    compared = [as_trace(other, "diagnose", _EXAMPLE) for other in others]
    # A run that exploded overflows here as well; what comes of it is ∞ or NaN, which every comparison below rejects.
    with np.errstate(all="ignore"):
        results = _results(trace)
    if not _any_problem(results):
        # A sick run may end higher than others for that reason alone.
        results.append(local_minimum(trace, compared))
    findings = [result for result in results if isinstance(result, Finding)]
    return Diagnosis(
        findings=tuple(sorted(findings, key=lambda finding: _RANK[finding.severity])),
        not_run=_left_out(results),
        caveats=(*trace.caveats, *_lost_steps(trace)),
    )


def symptoms(of: Literal["descents", "trainings"] = "trainings") -> Mapping[str, Symptom]:
    """Return every symptom that a diagnosis can report, by its key, in the order of causes.

    Args:
        of: whether those of descents or those of trainings; both know some of the same keys, with their own meanings.

    Raises:
        SettingError: for anything else.

    >>> symptoms("trainings")["overfitting"].meaning
    'The loss on rows held back rose while the training loss kept falling.'
    """
    known = {"descents": DESCENT_SYMPTOMS, "trainings": TRAINING_SYMPTOMS}
    if of not in known:
        raise SettingError(f"symptoms are of descents or of trainings, not of {described(of)}")
    return known[of]


def _of_most(diagnoses: Sequence[Diagnosis]) -> Diagnosis:
    """Return the findings that more than half of some runs share, or else those that most of them do.

    Each is that of the first run that shows it, with the number of runs before its sentence.
    """
    shown: dict[str, list[tuple[int, Finding]]] = {}
    for diagnosis in diagnoses:
        first = {finding.symptom: (index, finding) for index, finding in reversed([*enumerate(diagnosis.findings)])}
        for symptom, placed in first.items():
            shown.setdefault(symptom, []).append(placed)
    most = max(map(len, shown.values()))
    shared = [each for each in shown.values() if len(each) >= min(len(diagnoses) // 2 + 1, most)]
    # What comes first in the runs is nearer to the cause.
    shared.sort(key=lambda each: (_RANK[each[0][1].severity], sum(index for index, _ in each) / len(each)))
    findings = tuple(
        dataclasses.replace(each[0][1], sentence=f"{len(each)} of {len(diagnoses)} runs: {each[0][1].sentence}")
        for each in shared
    )
    skipped = {check.symptom: check for diagnosis in diagnoses for check in diagnosis.not_run}
    return Diagnosis(
        findings=findings,
        not_run=tuple(skipped.values()),
        caveats=tuple(dict.fromkeys(caveat for diagnosis in diagnoses for caveat in diagnosis.caveats)),
    )


def _results(trace: Trace) -> list[Finding | NotRun | None]:
    """Return the results of all checks of a trace."""
    recorded = recorded_not_finite(trace, ("step",) if trace.is_training else _ROWS)
    if recorded is None and trace.is_training:
        recorded = stepped_not_finite(trace)
    if recorded is not None:
        return [recorded]
    if not len(trace) and not trace.metrics and trace.outcome is not Outcome.NOT_FINITE:
        return [not_started()]
    results = _of_training(trace) if trace.is_training else _of_descent(trace)
    measured = measured_not_finite(trace)
    if measured is None:
        return results
    sound = [result for result in results if not (isinstance(result, Finding) and result.severity is Severity.GOOD)]
    return sound if _any_problem(sound) else [*sound, measured]


def _lost_steps(trace: Trace) -> tuple[str, ...]:
    """Return as a caveat that steps of a compiled loop were overwritten before they were read."""
    lost = (trace.facts.get("recording") or {}).get("lost_steps", 0)
    if not lost or not len(trace):
        return ()
    first = int(trace.recorded["step"][0])
    start = f"; the first row is that of step {first}, not the start" if first else ""
    return (f"{count(lost)} were overwritten before they were read{start}",)


def _left_out(results: Iterable[Finding | NotRun | None]) -> tuple[NotRun, ...]:
    """Return the checks that could not run, each symptom once, and not where another check saw it all the same."""
    seen = {result.symptom for result in results if isinstance(result, Finding)}
    by_symptom: dict[str, NotRun] = {}
    for result in results:
        if isinstance(result, NotRun) and result.symptom not in seen:
            by_symptom.setdefault(result.symptom, result)
    return tuple(by_symptom.values())


def _of_descent(trace: Trace) -> list[Finding | NotRun | None]:
    """Return the results of the checks of a descent to the bottom of a function."""
    evidence = Evidence(trace)
    state = state_of(evidence, STATE_RULES)
    return [check(evidence, state) for check in DESCENT_CHECKS]


def rates_worth_trying(trace: Trace) -> tuple[float, ...]:
    """Return the learning rates that a diagnosis of a descent would advise, the best first; empty for none."""
    if trace.outcome is Outcome.INTERRUPTED or not len(trace):
        return ()
    with np.errstate(all="ignore"):
        evidence = Evidence(trace)
        return rates_to_try(evidence, state_of(evidence, STATE_RULES))


def decay_is_worth_trying(trace: Trace) -> bool:
    """Tell whether a diagnosis of a descent would advise a learning rate that decays, as at a kink."""
    if trace.outcome is Outcome.INTERRUPTED or not len(trace):
        return False
    with np.errstate(all="ignore"):
        evidence = Evidence(trace)
        fixed = evidence.learning_rate is not None and evidence.constant_rate and not evidence.searches_line
        return fixed and state_of(evidence, STATE_RULES) is EndState.AT_KINK


def settles(trial: Trace, first: Trace) -> bool:
    """Tell whether a descent with a decaying rate settles where one with a fixed rate swings across a kink."""
    return is_settled(Evidence(trial), Evidence(first))


def is_advisable(trial: Trace, first: Trace) -> bool:
    """Tell whether the rate of a descent may be advised instead of that of another from the same start."""
    with np.errstate(all="ignore"):
        return is_sound(Evidence(trial), Evidence(first), lambda evidence: state_of(evidence, STATE_RULES))


def _of_training(trace: Trace) -> list[Finding | NotRun | None]:
    """Return the results of the checks of a training; if none sees a problem, also whether it does well."""
    evidence = TrainingEvidence(trace)
    results = [_of_fixed_target(evidence, check(evidence)) for check in TRAINING_CHECKS]
    if _any_problem(results):
        # Whether it does what the data allow all the same is a question of its own.
        return [*results, NotRun(HEALTHY.key, evidence.not_comparable)] if evidence.not_comparable else results
    target = _moving_target(evidence)
    if evidence.falls_short and not target:
        return [*results, unexplained(evidence)]
    unknown = target or evidence.not_comparable or _half_known(trace)
    noted = any(isinstance(result, Finding) for result in results)
    return [*results, not_judged(evidence, unknown, has_notes=noted) if unknown else healthy(evidence)]


def _of_fixed_target(evidence: TrainingEvidence, result: Finding | NotRun | None) -> Finding | NotRun | None:
    """Return the result of a check, and that it could not run where it takes for granted that a loss should fall."""
    reason = _moving_target(evidence)
    if not reason or not isinstance(result, Finding) or result.symptom not in _OF_THE_COURSE:
        return result
    return NotRun(result.symptom, reason)


def _moving_target(evidence: TrainingEvidence) -> str:
    """Return why the loss need not fall; empty where it should."""
    target = evidence.log.get("moving_target") or evidence.network.get("moving_target")
    return f"the loss of {target} need not fall" if target else ""


def _half_known(trace: Trace) -> str:
    """Return why a check of the data could not run though the trace has some of what it needs; empty where none is so.

    Faults of the data make a good score worth nothing. A log without a word on them is taken at its word; one that has
    lost a fact is not.
    """
    for check in TRAINING_CHECKS:
        needs = (*check.needs, *check.reads)
        lacks = lacking(needs, trace) if check.order < _LAST_OF_DATA else None
        names = (name for need in needs for name in need.split("|") if need.startswith("data."))
        own = [name for name in names if name.removesuffix("?") not in _COMPARED]
        if lacks is not None and any(is_known(name, trace) for name in own):
            return f"{check.symptom.key} could not be ruled out, since {lacks}"
    return ""


def _any_problem(results: Sequence[Finding | NotRun | None]) -> bool:
    """Tell whether any of the results is a problem."""
    return any(isinstance(result, Finding) and result.severity is Severity.PROBLEM for result in results)


def _by_reason(not_run: Iterable[NotRun]) -> list[str]:
    """Return the checks that could not run: those that lack a fact on one line, then those for the same reason."""
    reasons: dict[str, list[str]] = {}
    lacking_facts = []
    for skipped in not_run:
        name = skipped.reason.removeprefix(LACKS)
        if name != skipped.reason:
            lacking_facts.append(f"{skipped.symptom} ({name})")
        else:
            reasons.setdefault(skipped.reason, []).append(skipped.symptom)
    by_reason = [f"{', '.join(symptoms)}: {reason}" for reason, symptoms in reasons.items()]
    return [*([", ".join(lacking_facts)] if lacking_facts else []), *by_reason]


def _lines(finding: Finding, evidence: bool) -> list[str]:
    """Return a finding as lines of text: verdict and sentence, evidence if it is wanted, remedies."""
    lines = [f"{_MARKS[finding.severity]} {finding.title}: {finding.sentence}"]
    if evidence and finding.evidence:
        lines.append("    " + ", ".join(f"{name} {text}" for name, text in finding.evidence_texts().items()))
    if finding.remedies:
        lines.append("    try: " + "; ".join(finding.remedies))
    return lines


def _card(finding: Finding) -> str:
    """Return a finding as HTML."""
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(text)}</td></tr>"
        for name, text in finding.evidence_texts().items()
    )
    tries = "".join(f"<li>{html.escape(remedy)}</li>" for remedy in finding.remedies)
    return (
        f"<p>{_MARKS[finding.severity]} <b>{html.escape(finding.title)}</b>: {html.escape(finding.sentence)}</p>"
        f"<details><summary>evidence</summary><table>{rows}</table></details>" + (f"<ul>{tries}</ul>" if tries else "")
    )
