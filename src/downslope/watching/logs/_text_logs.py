"""Logs as a program prints them: names and numbers in lines of text of one or several kinds.

Epoch 3/10 | train loss 0.412 | val loss: 0.388          step 250: train loss 4.39, val loss 4.40
{'loss': 0.34, 'learning_rate': 5e-05, 'epoch': 0.1}     250 train 4.3932
938/938 [=====] - 5s 5ms/step - loss: 0.21 - val_loss: 0.19
"""

from __future__ import annotations

import functools
import re

from downslope.watching.logs._log import NUMBER, Log, as_number, columns_of, refusal
from downslope.watching.logs._names import is_epoch, is_step, parse

_NUMBER = rf"{NUMBER.pattern}\b"
_WORD = r"[A-Za-z][\w/.\-]*(?:'s\b)?"
_PAIR = re.compile(
    rf"['\"]?(?P<name>{_WORD}(?:[ ]{_WORD}){{0,2}})['\"]?\s*(?P<mark>[:=]|\s)\s*"
    rf"(?:tensor\(|[\[('\"])?(?P<number>{_NUMBER})",
    re.IGNORECASE,
)
# nanoGPT and its kin write the step first, then what was measured.
_LEADING = re.compile(rf"^\s*(?P<step>\d+)\s+(?P<name>train|val|valid|test|eval)\s+(?P<number>{_NUMBER})\s*$")
# llm.c: `s:250 trl:3.31 lr:0.0006 norm:0.4`, and `tel` for the loss on rows held back.
_SHORT = re.compile(r"^s:\d+ [a-z]+:[\d.]")
_SHORT_PAIR = re.compile(rf"\b(\w+):({_NUMBER})")
_SHORT_NAMES = {"s": "step", "trl": "train loss", "tel": "val loss", "lr": "lr", "norm": "grad norm"}
# XGBoost, LightGBM and CatBoost begin a line with the number of the tree.
_ROUND = re.compile(r"^(?:\[(?P<bracketed>\d+)\]\s|(?P<round>\d+):\s)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\x08")
_MODE = re.compile(r"\b(train(?:ing)?|val(?:id(?:ation)?)?|test|evaluation|eval)\b", re.IGNORECASE)
_OF_ROWS = ("loss", "error", "accuracy", "r2", "score")
_USUAL = ("loss", "error", "learning_rate", "gradient_norm", "accuracy", "r2", "score")


def read_text(name: str, text: str) -> Log:
    """Return the log in lines of text."""
    rows = []
    count: dict[str, float] = {}
    for line in _COLOUR.sub("", text).split("\n"):
        # A progress bar writes over its own line; what it showed last counts.
        numbers = _numbers(line.rstrip("\r").rpartition("\r")[2])
        count |= {key: number for key, number in numbers.items() if is_step(key) or is_epoch(key)}
        if len(numbers) > len(numbers.keys() & count.keys()):
            rows.append({**count, **numbers})
    if not rows or (not count and len(rows) == 1):  # one number in prose is no log
        raise refusal(
            name,
            "is not a readable log: no line has a loss",
            "a log is trainer_state.json, metrics.csv, an event file, a .wandb file, history.json, mlruns/…, or lines "
            "such as `step 10 loss 0.3`",
        )
    length, columns = columns_of(rows)
    return Log("lines of text", length, columns)


def _numbers(line: str) -> dict[str, float]:
    """Return the numbers of a line by name: those that count steps and those that a log is about."""
    leading = _LEADING.match(line)
    if leading:
        return {"step": float(leading["step"]), leading["name"]: float(leading["number"])}
    if _SHORT.match(line):
        return {_SHORT_NAMES[name]: float(number) for name, number in _SHORT_PAIR.findall(line) if name in _SHORT_NAMES}
    numbers: dict[str, float] = {}
    for pair in _PAIR.finditer(line):
        key = _known_name(pair["name"], marked=pair["mark"] in ":=")
        number = as_number(pair["number"])
        if key is None or number is None:
            continue
        column = parse(key)
        if column.quantity in _OF_ROWS:
            # `Test set: average loss: 0.03, accuracy: 0.99` says once of which rows all is, up to another such word.
            mode = "" if column.rows else next(iter(_MODE.findall(line[: pair.start()])[-1:]), "")
            if mode:
                key = f"{mode} {key}"
        numbers.setdefault(key, number)
    round_of = _ROUND.match(line)
    if round_of and any(parse(key).rows for key in numbers) and not any(map(is_step, numbers)):
        numbers["iteration"] = float(round_of["round"] or round_of["bracketed"])
    return numbers


@functools.lru_cache(maxsize=4096)
def _known_name(text: str, *, marked: bool) -> str | None:
    """Return the part of some words that is a name, the longest that is one; None where none is.

    Of `5ms/step - loss` it is `loss`. Without a colon any word may stand before a number.
    """
    words = text.replace("'s", "").replace("'", "").split(" ")
    for first in range(len(words)):
        key = " ".join(words[first:])
        if is_step(key) or is_epoch(key):
            return key.lower()
        column = parse(key)
        if column.quantity in _USUAL and (marked or column.quantity != "score"):
            return key
        if column.rows and not column.quantity and not column.part and marked:
            return key
    return None
