"""A score that rests on too few rows: `too_few_rows`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from downslope._text import count, in_words
from downslope.diagnosis._chance import r2_error, share_error
from downslope.diagnosis._finding import Finding, NotRun, Severity, Symptom, check, number, training_finding
from downslope.diagnosis._needs import lacking, without
from downslope.diagnosis._training_evidence import TrainingEvidence

TOO_FEW_ROWS = Symptom(
    "too_few_rows",
    Severity.PROBLEM,
    order=16,
    meaning="The score is too uncertain to say much, or the weights can memorise the training rows.",
    quantity="score_gap",
    remedies=("weight_decay", "dropout", "early_stopping"),
)

_SHARE = 0.25  # of the gain over guessing
_GUESS = 0.5  # of it: two errors from guessing, from which a score can hardly be told then
_FEWEST = 5  # rows held back; of fewer not even the scatter is known
_SURE = 3.0  # errors of what a simple learner gains over guessing
_FEW = 30  # rows held back
_NEARLY = 0.05  # of what there is to gain: rows that are as good as learnt
# So few rows are memorised by as many weights, and none is left to tell.
_BY_HEART = 50
_ENOUGH = 100  # rows, of which a simple learner sees whether there is anything to learn


@check(
    TOO_FEW_ROWS,
    needs=(
        *("data.rows?", "data.validation_rows?", "data.reference_score?", "data.chance_score?"),
        *("data.validation_reference_score?", "data.every_combination?", "data.share_on_both_sides?"),
        *("network.parameters", "network.metric"),
    ),
)
def too_few_rows(evidence: TrainingEvidence) -> Finding | NotRun | None:
    """Find a score on rows held back whose error is large, or a score on rows that could be memorised.

    Quantity: the standard error of the score on rows held back, beside what score or reference gain over guessing; and
    rows beside weights where none are held back. Theory: the error of a share falls with the root of the rows, and a
    network of more weights than rows can fit any targets (Zhang et al. 2017). Threshold: a quarter of the gain, a
    problem for less than 30 rows and from half of the gain on, where the rows trained on are learnt; five rows; fewer
    than 50 rows and no more than weights.
    """
    data, rows = evidence.data, evidence.data["rows"]
    held = data["validation_rows"]
    if evidence.training_score is None and not evidence.failed:
        return NotRun(TOO_FEW_ROWS.key, "the score on the rows trained on was not measured")
    if data["every_combination"] and (not held or data["share_on_both_sides"] == 1):
        return None  # a truth table has no other rows
    if not held:
        if rows is None or rows >= min(_BY_HEART, evidence.network["parameters"]):
            return None
        return _by_heart(evidence, rows)
    lacks = lacking(("scores.validation?",), evidence.trace)
    scores: Mapping[str, Any] = {} if lacks else evidence.trace.facts["scores"]["validation"] or {}
    score, error = scores.get(evidence.metric), _error(evidence, scores, held)
    if not evidence.is_learnable and rows is not None and rows >= _ENOUGH:
        return None
    known = [value for value in (evidence.reference, evidence.score if lacks else score) if value is not None]
    gain = max(known, default=0.0) - (data["chance_score"] or 0.0)
    if lacks is not None:
        # A run that goes on has no scores by rows yet; of a share, the number of rows says enough where it is large.
        usual = None if evidence.metric == "r2" else evidence.score_error
        is_clear = held >= _FEWEST and usual is not None and usual <= _SHARE * gain / 2
        return None if is_clear else NotRun(TOO_FEW_ROWS.key, lacks)
    if held >= _FEWEST and scores and error is None:
        return NotRun(TOO_FEW_ROWS.key, without(f"scores.validation.{evidence.metric}_error"))
    if held >= _FEWEST and (error is None or error <= _SHARE * gain):
        return _learnt_alone(evidence, score, error)
    # Where nothing can be learnt, there is no gain to measure; shuffled targets would tell.
    enough = rows if rows is not None and rows >= _ENOUGH and evidence.beats_shuffled is None else None
    if enough and evidence.reference is not None and gain <= _SURE * share_error(evidence.reference, enough):
        return NotRun(TOO_FEW_ROWS.key, without("data.shuffled_score beside data.shuffled_deviation"))
    return training_finding(
        evidence,
        TOO_FEW_ROWS,
        f"{count(held, 'row')} held back {'is' if held == 1 else 'are'} too few: "
        + (
            f"the standard error of the score is {number(error)}, where {number(max(gain, 0.0))} is to be gained over "
            "guessing."
            if error is not None and held >= _FEWEST
            else "their score says next to nothing."
        ),
        f"a standard error of a quarter of the gain over guessing, and {_FEWEST} rows held back",
        numbers={"validation_rows": held, "score_error": error, "gain": gain},
        causes=("too few rows",),
        remedies=("more rows", "a larger share held back", "a smaller network"),
        problem=_are_learnt(evidence) and (held < _FEW or error is None or error > _GUESS * gain),
    )


def _are_learnt(evidence: TrainingEvidence) -> bool:
    """Tell whether the rows trained on are learnt, by half at least.

    What keeps a network from learning a few rows lies elsewhere.
    """
    chance = 0.0 if evidence.metric == "r2" else evidence.data["chance_score"] or 0.0
    return evidence.training_score is not None and evidence.training_score >= (1 + chance) / 2


def _error(evidence: TrainingEvidence, scores: Mapping[str, Any], held: int) -> float | None:
    """Return the standard error of the score; of R² below 0, which a network far off has, that of the reference's."""
    score, error = scores.get(evidence.metric), scores.get(f"{evidence.metric}_error")
    if evidence.metric != "r2" or (score is not None and score >= 0):
        return error
    return r2_error(evidence.reference or 0.0, held)


def _learnt_alone(evidence: TrainingEvidence, score: float | None, error: float | None) -> Finding | None:
    """Return the finding for few rows that are learnt while those held back are far from it; None for others."""
    data, rows, parameters = evidence.data, evidence.data["rows"], int(evidence.network["parameters"])
    training, chance = evidence.training_score, data["chance_score"] or 0.0
    if rows is None or rows >= min(_BY_HEART, parameters) or training is None or score is None or error is None:
        return None
    if training < 1 - _NEARLY * (1 - chance) or training - score < max(_SHARE * (training - chance), 2 * error):
        return None
    return training_finding(
        evidence,
        TOO_FEW_ROWS,
        f"{count(rows, 'row')} and {parameters} weights: they are memorised, at {in_words(evidence.metric)} "
        f"{number(training)}, and rows held back have {number(score)}.",
        f"{_BY_HEART} rows, more rows than weights, or scores within a quarter of the gain of each other",
        numbers={"rows": rows, "parameters": parameters, "training_score": training},
        causes=("too few rows",),
        remedies=("more rows", "a smaller network", "a penalty or dropout"),
        problem=True,
    )


def _by_heart(evidence: TrainingEvidence, rows: int) -> Finding:
    """Return the finding for few rows of which none are held back."""
    parameters = int(evidence.network["parameters"])
    return training_finding(
        evidence,
        TOO_FEW_ROWS,
        f"{count(rows, 'row')} and {parameters} weights: they can be memorised, and no row is held back to tell.",
        f"{_BY_HEART} rows, more rows than weights, or rows held back",
        numbers={"rows": rows, "parameters": parameters},
        causes=("too few rows",),
        remedies=("more rows, some of them held back", "a smaller network"),
        problem=_are_learnt(evidence),
    )
