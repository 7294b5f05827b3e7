"""A prescription: the trials, ranked, their cost, and the changes to keep."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from downslope._text import aligned, in_words, listed, number
from downslope._types import plain
from downslope.descent import Plan
from downslope.diagnosis import Diagnosis, quantity
from downslope.networks import Setup
from downslope.remedies._remedy import Remedy
from downslope.remedies._trial import Trial, Yardstick

_MARK = {True: "✓", False: "✗", None: "–"}


@dataclass(frozen=True, eq=False)
class Prescription:
    """The remedies tried for a run, what each did, and the best.

    Args:
        specification: the plan or setup of the run.
        yardstick: the measure by which runs are judged.
        diagnosis: the run's diagnosis.
        score: the run's own score.
        trials: the remedies that were proved, those that helped first.
        tried: every remedy that was tried once, with the score that it then had.
        control: scores of the unchanged run with the seeds of the trials.
        reseeded: its scores with further seeds.
        steps: the steps that all runs took.
        seconds: the same in seconds of one core.
        interrupted: whether Ctrl-C, or an executor that could not go on, cut it short.
        note: a remark on how to read the scores; "" for none.
        needed: the changes of the best remedy without which it does not help, with the score that it has without each;
            none where it is a single change, or was not taken apart.
        causes: the findings that the best remedy is for.
        history: the steps spent in all when a remedy was proved that was then the best, with the remedy.
    """

    specification: Setup | Plan
    yardstick: Yardstick
    diagnosis: Diagnosis
    score: float
    trials: tuple[Trial, ...] = ()
    tried: tuple[tuple[Remedy, float], ...] = ()
    control: tuple[float, ...] = ()
    reseeded: tuple[float, ...] = ()
    steps: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    note: str = ""
    needed: tuple[tuple[Remedy, float], ...] = ()
    causes: tuple[str, ...] = ()
    history: tuple[tuple[int, Remedy], ...] = ()

    @property
    def best(self) -> Trial | None:
        """The trial that helped most; None where nothing did."""
        return next((trial for trial in self.trials if trial.helped), None)

    @property
    def mended(self) -> Setup | Plan | None:
        """The setup or plan with the best remedy, ready to `train` or `descend`; None where nothing helped."""
        return None if self.best is None else self.specification.changed(**self.best.remedy.changes)

    @property
    def verdict(self) -> str:
        """The result, in a sentence."""
        if self.diagnosis.ok and not self.tried:
            return "Nothing is wrong, so nothing was changed."
        if self.diagnosis.ok and not self.interrupted and self.best is None:
            return f"Nothing is wrong, and nothing helped with what was noted: {self._failed()}"
        if self.interrupted:
            short = f"Cut short after {self.steps} steps" + (f": {self._of_best()}" if self.best else ".")
            return f"{short} {self.note}".rstrip()
        if self.best is None:
            return f"Nothing helped: {self._failed()}{self._without_minimum}"
        return f"{self._of_best()}{self._without_minimum}"

    @property
    def _without_minimum(self) -> str:
        """The sentence on an objective that is unbounded below, which no remedy changes; "" for others."""
        is_unbounded = any(finding.symptom == "unbounded" for finding in self.diagnosis.findings)
        return " There is no minimum to be found: the objective is unbounded below." if is_unbounded else ""

    def _failed(self) -> str:
        """Return the clause on the remedies that were tried in vain."""
        if not self.tried:
            return "no remedy is known for this, or the budget allows none."
        tried = "1 remedy was tried" if len(self.tried) == 1 else f"{len(self.tried)} remedies were tried"
        if any(trial.effect.low > 0 and trial.net.low > 0 for trial in self.trials):
            return f"{tried}, and where the {self.yardstick.words} got better, what was wrong did not."
        return f"{tried}."

    def _of_best(self) -> str:
        """Return the sentence on the effect of the best remedy."""
        assert self.best is not None
        yardstick, effect, name = self.yardstick, self.best.effect, self.best.remedy.name
        before, after = yardstick.shown(self.control), yardstick.shown(self.best.scores)
        return (
            f"With {name}{',' if ',' in name else ''} the {yardstick.words} goes from {before} to {after}, "
            f"{yardstick.lead}{yardstick.improvement(effect)} over {effect.pairs} paired {yardstick.pairs}."
        )

    @property
    def unchanged(self) -> str:
        """The scores of the unchanged runs, in words."""
        text = f"Unchanged: {self.yardstick.shown(self.control)}"
        return f"{text}; {self.yardstick.luck}: {self.yardstick.shown(self.reseeded)}" if self.reseeded else text

    @property
    def reason(self) -> str:
        """Which changes of the best remedy were needed, and which findings they are for, in a sentence or two."""
        if self.best is None:
            return ""
        without = [f"{change.name} (without: {self.yardstick.shown([score])})" for change, score in self.needed]
        needed = f"Of its changes these were needed: {listed(without)}." if without else ""
        words = listed([in_words(cause) for cause in self.causes])
        confirmed = f"That confirms: {words}." if self.causes else ""
        return f"{needed} {confirmed}".strip()

    def rows(self) -> list[tuple[str, ...]]:
        """Return the trials as rows of text, the headings first."""
        yardstick = self.yardstick
        luck = bool(self.reseeded)
        return [
            (
                "",
                "remedy",
                yardstick.heading,
                yardstick.effect_heading,
                *([f"against {yardstick.luck}"] if luck else []),
                "what was to move",
                "steps",
            ),
            *(
                (
                    _MARK[trial.helped],
                    trial.remedy.name,
                    yardstick.shown(trial.scores),
                    yardstick.improvement(trial.effect),
                    *([yardstick.improvement(trial.net)] if luck else []),
                    _moved(trial),
                    str(trial.steps),
                )
                for trial in self.trials
            ),
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data, for JSON."""
        sign = self.yardstick.sign
        facts = {
            "verdict": self.verdict,
            "judged_by": self.yardstick.words,
            "findings": list(self.diagnosis.symptoms),
            "score": sign * self.score,
            "control": [sign * score for score in self.control],
            "reseeded": [sign * score for score in self.reseeded],
            "trials": [_as_dict(trial, sign) for trial in self.trials],
            "tried": {remedy.name: sign * score for remedy, score in self.tried},
            "steps": self.steps,
            "seconds": self.seconds,
            "keep": None if self.mended is None else self.mended.as_python(),
            "note": self.note,
            "needed": {change.name: sign * score for change, score in self.needed},
            "causes": list(self.causes),
            "proved": [{"steps": steps, "remedy": remedy.name} for steps, remedy in self.history],
        }
        return plain(facts)

    def __str__(self) -> str:
        lines = [self.verdict]
        if self.trials:
            lines += ["", f"{self.unchanged}. {self.note}".rstrip()]
            rows = self.rows()
            lines += aligned(rows, words=(0, 1, len(rows[0]) - 2))
        if self.reason:
            lines += ["", self.reason]
        if self.mended is not None:
            lines += ["", f"Keep: {self.mended.as_python()}"]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Prescription: {self.verdict}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def _as_dict(trial: Trial, sign: int) -> dict[str, Any]:
    """Return a trial as plain data."""
    return {
        "remedy": trial.remedy.name,
        "why": trial.remedy.why,
        "symptom": trial.remedy.symptom,
        "changes": dict(trial.remedy.changes),
        "scores": [sign * score for score in trial.scores],
        "effect": vars(trial.effect),
        "net_of_reseeding": vars(trial.net),
        "moves": trial.remedy.moves,
        "before": trial.before,
        "after": trial.after,
        "moved": trial.moved,
        "helped": trial.helped,
        "steps": trial.steps,
    }


def _moved(trial: Trial) -> str:
    """Return the quantity that was to move, before and after."""
    if trial.before is None or trial.after is None:
        return f"{quantity(trial.remedy.moves).words}: not known"
    before, after = (number(value, 3) for value in (trial.before, trial.after))
    return f"{quantity(trial.remedy.moves).words}: {before} → {after} {_MARK[trial.moved]}"
