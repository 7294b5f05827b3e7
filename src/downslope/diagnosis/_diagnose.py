"""Judge: the verb from a Trace to a Diagnosis."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from downslope._errors import SettingError, described
from downslope.diagnosis._end_state import state_of
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import Finding, NotRun, Severity
from downslope.diagnosis._training_evidence import TrainingEvidence
from downslope.diagnosis.checks import (
    DESCENT_CHECKS,
    STATE_RULES,
    TRAINING_CHECKS,
    healthy,
    local_minimum,
    measured_not_finite,
    not_started,
    recorded_not_finite,
    unexplained,
)
from downslope.trace import HasTrace, Trace, as_trace

_RANK = {Severity.PROBLEM: 0, Severity.GOOD: 1, Severity.NOTE: 2}
_EXAMPLE = 'ds.diagnose(ds.descend("x²", 10))'
_MARKS = {Severity.GOOD: "✓", Severity.NOTE: "•", Severity.PROBLEM: "✗"}


@dataclass(frozen=True)
class Diagnosis(Sequence[Finding]):
    """The findings of a trace, the most important first; never empty.

    It is a sequence of findings, and `"saddle_point" in diagnosis` asks by symptom.

    Args:
        findings: problems first, then the verdict on a run without any, then the notes.
        not_run: the checks that could not run, and why.
        caveats: what the trace lacked, such as rows that were damaged; see `Trace`.
    """

    findings: tuple[Finding, ...]
    not_run: tuple[NotRun, ...] = ()
    caveats: tuple[str, ...] = ()

    @property
    def symptoms(self) -> tuple[str, ...]:
        """The identifiers of the findings, in their order."""
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
        lines = [line for finding in self.findings for line in _lines(finding)]
        lines += [f"- not judged: {skipped}" for skipped in self.not_run]
        return "\n".join(lines + [f"! {caveat}" for caveat in self.caveats])

    def __repr__(self) -> str:
        return f"<Diagnosis {', '.join(self.symptoms)}>"

    def _repr_html_(self) -> str:
        remarks = [*(f"not judged: {skipped}" for skipped in self.not_run), *self.caveats]
        return "".join(_card(finding) for finding in self.findings) + "".join(
            f"<p><small>{html.escape(remark)}</small></p>" for remark in remarks
        )


def diagnose(trace: Trace | HasTrace, others: Iterable[Trace | HasTrace] = ()) -> Diagnosis:
    """Judge a trace: what went well, what went wrong, the numbers behind it, and what to try.

    Args:
        trace: a trace, or a result that holds one, such as a training. Only the trace is read: neither the objective
            nor the method is run again.
        others: traces of descents of the same objective from other starts; if one ended lower, and nothing else is
            wrong, this end is a `local_minimum`.

    Returns:
        The findings, the most important first. There is always one: a healthy run is a finding too.

    Raises:
        SettingError: for something that is no trace and holds none.
    """
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
        not_run=tuple(result for result in results if isinstance(result, NotRun)),
        caveats=trace.caveats,
    )


def _results(trace: Trace) -> list[Finding | NotRun | None]:
    """Return the results of all checks of a trace."""
    recorded = recorded_not_finite(trace)
    if recorded is not None:
        return [recorded]
    if not len(trace) and not trace.metrics:
        return [not_started()]
    results = _of_training(trace) if trace.metrics or "network" in trace.facts else _of_descent(trace)
    measured = measured_not_finite(trace)
    if measured is None:
        return results
    sound = [result for result in results if not (isinstance(result, Finding) and result.severity is Severity.GOOD)]
    return sound if _any_problem(sound) else [*sound, measured]


def _of_descent(trace: Trace) -> list[Finding | NotRun | None]:
    """Return the results of the checks of a descent to the bottom of a function."""
    evidence = Evidence(trace)
    state = state_of(evidence, STATE_RULES)
    return [check(evidence, state) for check in DESCENT_CHECKS]


def _of_training(trace: Trace) -> list[Finding | NotRun | None]:
    """Return the results of the checks of a training; if none sees a problem, also whether it does well."""
    evidence = TrainingEvidence(trace)
    results = [check(evidence) for check in TRAINING_CHECKS]
    if _any_problem(results):
        return results
    return [*results, unexplained(evidence) if evidence.falls_short else healthy(evidence)]


def _any_problem(results: Sequence[Finding | NotRun | None]) -> bool:
    """Tell whether any of the results is a problem."""
    return any(isinstance(result, Finding) and result.severity is Severity.PROBLEM for result in results)


def _lines(finding: Finding) -> list[str]:
    """Return a finding as lines of text: verdict and sentence, evidence, remedies."""
    lines = [f"{_MARKS[finding.severity]} {finding.title}: {finding.sentence}"]
    if finding.evidence:
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
