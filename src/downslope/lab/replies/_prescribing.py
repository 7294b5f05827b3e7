"""Remedies, tried beside the control while the page looks on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import downslope as ds
from downslope.lab.replies import _writing
from downslope.lab.replies._bridge import Piece, pieces
from downslope.lab.replies._network_choices import fields_of, setup_of, written
from downslope.lab.replies._numbers import plain

_PAIRS = 3  # of runs that prove a remedy; enough to see, and few enough to wait for


def prescribe(told: dict[str, Any]) -> Iterator[Piece]:
    """Yield how far the trials are, and at last what helped."""
    setup = setup_of(told)
    yield from pieces(lambda send: _prescribe(setup, told, send))


def _prescribe(setup: ds.Setup, told: dict[str, Any], send: Callable[[Piece], None]) -> None:
    send({"doing": "Training it as it is"})
    training = setup.train(progress=False)

    def show(done: int, most: int, value: float) -> None:
        send({"doing": "Trying remedies beside the control", "done": done, "most": most})

    found = ds.prescribe(training, seeds=_PAIRS, progress=show)
    mended = found.mended
    send(
        {
            "verdict": found.verdict,
            "heading": found.yardstick.heading,
            "effect_heading": found.yardstick.effect_heading,
            "trials": [_trial(trial, row) for trial, row in zip(found.trials, found.rows()[1:], strict=True)],
            "tried": [{"name": remedy.name, "score": plain(score)} for remedy, score in found.tried],
            "cost": f"{found.steps} steps in all, {found.seconds:.0f} seconds of one core.",
            "keep": fields_of(mended) if isinstance(mended, ds.Setup) else None,
            "python": _writing.train_python(written(mended, told)) if isinstance(mended, ds.Setup) else None,
        }
    )


def _trial(trial: Any, row: tuple[str, ...]) -> dict[str, Any]:
    mark, name, score, effect, _, moved, _ = row
    return {
        "mark": mark,
        "helped": trial.helped,
        "name": name,
        "why": trial.remedy.why,
        "score": score,
        "effect": effect,
        "mean": plain(trial.effect.mean),
        "low": plain(trial.effect.low),
        "high": plain(trial.effect.high),
        "moved": moved,
    }
