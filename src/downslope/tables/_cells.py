"""The form of a cell's text: a missing value, a number in some notation, a date, or a word."""

from __future__ import annotations

import math
import re
from typing import Any, Literal, TypeAlias

Look: TypeAlias = Literal["missing", "value", "word"]

# Spellings of a missing cell, in lower case. Runs of dashes and dots are missing as well.
MISSING = frozenset(
    {"", "na", "n/a", "<na>", "nan", "nat", "null", "(null)", "none", "missing", "?", "*", "n.a.", "#na", "#n/a"}
    | {"n/d", "(blank)", "\\n", "#n/a n/a", "-nan", "1.#qnan", "-1.#ind", "1.#ind"}
    | {"#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!", "#spill!", "#calc!", "#getting_data", "#error!"}
    | {"#nv", "#wert!", "#bezug!", "#zahl!", "#null!", "#nom?", "#valeur!", "#field!", "#blocked!", "#unknown!"}
)
# Words that say of a cell among numbers that nothing was measured; elsewhere, ND and OL may name something.
ABSENT = frozenset(
    {"nd", "n.d.", "n.d", "n. d.", "n. a.", "k.a.", "k. a.", "keine angabe", "no data", "nodata", "no value"}
    | {"not available", "not applicable", "not measured", "not detected", "not determined", "not recorded", "unknown"}
    | {"bdl", "b.d.l.", "<bdl", "bql", "blq", "<lod", "<loq", "<mdl", "<dl", "<ql", "<rl", "below lod", "below loq"}
    | {"lod", "loq", "below detection", "below detection limit", "below detection level", "nicht nachweisbar", "n.n."}
    | {"ol", "o.l.", "ovl", "ovld", "ovrflw", "ovrflow", "overflow", "overload", "overrange", "over range", "over"}
    | {"underflow", "underrange", "under range", "under", "out of range", "oor", "error", "err", "invalid", "fehler"}
    | {"no reading"}
)
ABSENT_RUN = r"^(?:\*{2,}|\?{2,})$"  # as Fortran fills a field that is too narrow
MISSING_RUN = r"^(?:[-–—―−]+|\.+|…)$"
_MISSING_RUN = re.compile(MISSING_RUN)
_MISSING_TYPES = {"NAType", "NaTType", "MaskedConstant"}  # by name, since pandas is not installed with the package

# Blanks that separate thousands, in character classes of both Python's and Polars' expressions.
BLANKS = "\u0020\u00a0\u202f\u2009\u2007"
CURRENCIES = "$€£¥₹₩₽₺₪฿"
CODES = "USD|EUR|GBP|CHF|JPY|CNY|SEK|NOK|DKK|CAD|AUD|INR|PLN|CZK|BRL|Fr\\.|kr|zł"

_DIGITS = rf"(?:\d{{1,3}}(?:[{BLANKS}'’]\d{{3}})+(?:[.,]\d*)?|\d[\d.,]*|[.,]\d+)"
PLUS_MINUS = r"(?:±|\+/-|\+-)"
_MONEY = rf"(?:[{CURRENCIES}]|(?:{CODES})\b)"
_NUMBER = re.compile(
    rf"[<>≤≥]?\s*[-+−–]?\s*{_MONEY}?\s*[-+−–]?{_DIGITS}(?:\(\d{{1,3}}\))?(?:[eEdD][-+−]?\d+)?(?:\s*{PLUS_MINUS}\s*{_DIGITS})?"
    rf"\s*(?:%|‰|-|{_MONEY})?|\(\s*(?:{_MONEY}\s*{_DIGITS}|\d[\d.,]+)\s*\)|[-+]?(?:inf|infinity|∞)",
    re.IGNORECASE,
)
_TRUTH = re.compile(r"true|false|wahr|falsch|vrai|faux", re.IGNORECASE)
COMPLEX = r"^\(?(?:[-+]?[\d.]+(?:[eE][-+]?\d+)?\s?[-+]\s?[\d.]*|[-+]?\d[\d.]*)(?:[eE][-+]?\d+)?[ij]\)?$"
_COMPLEX = re.compile(COMPLEX)
MONTHS = (
    *("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    *("mär", "mai", "okt", "dez"),
)
MONTH_NUMBERS = {name: number for number, name in enumerate(MONTHS[:12], start=1)} | {
    "mär": 3,
    "mai": 5,
    "okt": 10,
    "dez": 12,
}
_MONTH = rf"(?:{'|'.join(MONTHS)})[a-zé]*\.?"
_DAY = re.compile(
    rf"(?:[a-z]{{3,9}},?\s)?(?:\d{{4}}[-/.]\d{{1,2}}(?:[-/.]\d{{1,2}})?|\d{{1,2}}[-/.]\d{{1,2}}[-/.](?:\d{{4}}|\d{{2}})"
    rf"|\d{{1,2}}\.?[-/\s]?{_MONTH}[-/,\s]*\d{{2,4}}|{_MONTH}\s\d{{1,2}},?\s\d{{4}}"
    r"|(?:19|20)\d{6}[T ]\d{2}:?\d{2}:?\d{2}\S*"
    rf"|{_MONTH}\s+\d{{1,2}}\s+\d{{1,2}}:\d{{2}}\S*(?:\s+[A-Z]{{1,4}})?\s+\d{{4}})"
    r"(?:[T,\s]+\d{1,2}:\d{2}.*)?",
    re.IGNORECASE,
)
_TIME = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s?(?:[ap]\.?m\.?)?", re.IGNORECASE)
_RULE = re.compile(r"[:|+]?[-=_]{2,}(?:[:|+]+[-=_]{2,})*[:|+]?")


def is_missing(cell: Any) -> bool:
    """Tell whether a cell holds nothing: none, not a number, pandas' NA and NaT, or a text such as "" and "n/a"."""
    if isinstance(cell, str):
        text = cell.strip().lower()
        return text in MISSING or _MISSING_RUN.match(text) is not None
    return cell is None or (isinstance(cell, float) and math.isnan(cell)) or type(cell).__name__ in _MISSING_TYPES


def look(cell: str) -> Look:
    """Return what the text of a cell is in some notation, whichever sign its decimals have.

    >>> [look(cell) for cell in ("1.234,5", "31.12.2024", "n/a", "Time (s)")]
    ['value', 'value', 'missing', 'word']
    """
    text = cell.strip()
    if text.startswith('="') and text.endswith('"'):
        text = text[2:-1]
    if is_missing(text):
        return "missing"
    known = (_NUMBER, _TRUTH, _DAY, _TIME, _COMPLEX)
    return "value" if any(pattern.fullmatch(text) for pattern in known) else "word"


def is_rule(cell: str) -> bool:
    """Tell whether a cell is drawn, as below the names of a table in plain text."""
    return _RULE.fullmatch(cell.strip()) is not None


_TOTALS = re.compile(r"(?:grand\s|sub)?totals?|sums?|(?:gesamt)?summe|gesamt|insgesamt|somme|[Σ∑]", re.IGNORECASE)
_STATISTICS = re.compile(
    r"means?|averages?|avg|mittel(?:wert)?|durchschnitt|moyenne|median|min(?:imum)?|max(?:imum)?|std(?:ev)?|s\.?d\.?"
    r"|standardabweichung|[ée]cart-type|count|anzahl|n",
    re.IGNORECASE,
)


def is_total(cell: str, *, among_values: bool) -> bool:
    """Tell whether the first cell of a row after the others says that it sums them up: Total, Mean.

    Args:
        cell: the text.
        among_values: whether other rows begin with values; beside words, only a total is none of them.

    >>> is_total("Summe:", among_values=False), is_total("mean", among_values=True)
    (True, True)
    >>> is_total("mean", among_values=False)
    False
    """
    text = cell.strip().rstrip(":").rstrip()
    return _TOTALS.fullmatch(text) is not None or (among_values and _STATISTICS.fullmatch(text) is not None)
