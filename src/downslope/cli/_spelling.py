"""ASCII spellings of characters that a terminal's encoding lacks: `x^2` for x², `alpha` for α, `sqrt(x)` for √x.

What cannot be printed is replaced, and nothing else: cp1252 has ², so that x² stays there and x⁴ becomes x^4. A formula
that is spelled this way is read to the same expression again; a Greek name is read as its English word.
"""

from __future__ import annotations

import re
import unicodedata

_SPELLINGS = {
    **dict.fromkeys("−–‐‑‒⁃", "-"), "—": "--", "±": "+-", "∓": "-+",
    **dict.fromkeys("·×⋅∗∙•", "*"), **dict.fromkeys("÷∕⁄", "/"),
    "≈": "~", "≤": "<=", "≥": ">=", "≠": "!=", "∞": "inf", "∂": "d", "∇": "grad", "∈": "in",
    "→": "->", "←": "<-", "⇒": "=>", "⇔": "<=>", "⌊": "floor(", "⌋": ")", "⌈": "ceil(", "⌉": ")",
    **dict.fromkeys("‖│┤┃", "|"), **dict.fromkeys("─━╴╸╶╺", "-"), **dict.fromkeys("└├┌┐┘┬┴┼", "+"),
    "▶": ">", "◀": "<", "✓": "ok", "✗": "x", "…": "...", "⋮": ":", "′": "'", "″": '"',
    **dict.fromkeys("‘’", "'"), **dict.fromkeys("“”„", '"'),
    "°": "deg", "µ": "u", "€": "EUR", "£": "GBP", "½": "(1/2)", "⅓": "(1/3)", "⅔": "(2/3)", "¼": "(1/4)", "¾": "(3/4)",
    "⅛": "(1/8)", **dict(zip("▁▂▃▄▅▆▇█", "_.-:=+*#", strict=True)),
}  # fmt: skip
_SUPERSCRIPT = "²³¹\u02b0-\u02b8\u02e0-\u02e4\u1d2c-\u1d61\u1d78\u1d9b-\u1dbf\u2070-\u207f"
_SUBSCRIPT = "\u1d62-\u1d6a\u2080-\u209c\u2c7c"
_LETTER = r"[^\W\d_]"
_NEXT = rf"(?![{_SUPERSCRIPT}{_SUBSCRIPT}])[\w√∛∇]"  # a factor that follows without a sign
# What is spelled as a whole. Operand and neighbours are looked at, since √x needs parentheses and πx a sign between.
_UNIT = re.compile(
    rf"[√∛](?P<operand>{_LETTER}[{_SUBSCRIPT}]*|\d+(?:\.\d+)?)?"
    rf"|(?P<super>[{_SUPERSCRIPT}]+)(?=(?P<digit>\d)?)"
    rf"|(?P<sub>[{_SUBSCRIPT}]+)"
    rf"|(?P<joined>(?<={_LETTER}))?π(?=(?P<joins>{_NEXT})?)"
    rf"|∇(?=(?P<applied>{_NEXT})?)"
    r"|(?P<bullet>^· )"
    r"|(?P<gap>(?<=\S) {3,}(?=\S))"
    r"|[^\x00-\x7f]"
)
_CARETS = re.compile(r" *\^+ *")


def spelled(text: str, encoding: str) -> str:
    """Return a text whose letters all exist in an encoding.

    >>> spelled("−∇f = √x·α⁻¹⁰ → 2πr²", "ascii")
    '-grad f = sqrt(x)*alpha^-10 -> 2pi*r^2'
    >>> spelled("x⁴ + x²", "cp1252")
    'x^4 + x²'
    """
    if _fits(text, encoding):
        return text
    lines = text.split("\n")
    fitted = [_spelled_line(line, encoding) for line in lines]
    for number, line in enumerate(lines[1:], 1):
        if _CARETS.fullmatch(line):  # marks a position in the line above, which moves with its spelling
            above, caret = lines[number - 1], line.index("^")
            grown = len(_spelled_line(above[:caret], encoding)) - len(above[:caret])
            fitted[number] = " " * grown + line
    return "\n".join(fitted)


def _fits(text: str, encoding: str) -> bool:
    """Tell whether an encoding has every letter of a text."""
    if text.isascii():
        return True
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _spelled_line(line: str, encoding: str) -> str:
    """Return a line with what it cannot hold spelled; a gap between columns makes room for longer spellings."""
    if _fits(line, encoding):
        return line
    pieces, end, grown = [], 0, 0
    for match in _UNIT.finditer(line):
        pieces.append(line[end : match.start()])
        end = match.end()
        whole = match[0]
        if match["gap"]:
            taken = min(grown, len(whole) - 2)
            grown -= taken
            pieces.append(whole[taken:])
            continue
        fitted = whole if _fits(whole, encoding) else _spelling(match, encoding)
        grown = max(0, grown + len(fitted) - len(whole))
        pieces.append(fitted)
    return "".join(pieces) + line[end:]


def _spelling(match: re.Match[str], encoding: str) -> str:
    """Return the ASCII spelling of a unit."""
    unit = match[0]
    if unit[0] in "√∛":
        root, operand = {"√": "sqrt", "∛": "cbrt"}[unit[0]], match["operand"]
        return f"{root}({_spelled_line(operand, encoding)})" if operand else root
    if match["super"]:
        exponent = _plain(unit)
        bare = match["digit"] is None and re.fullmatch(r"-?\d+|[A-Za-z]", exponent)
        return f"^{exponent}" if bare else f"^({exponent})"
    if match["sub"]:
        index = _plain(unit)
        return f"_{index}" if index.isalnum() else f"_({index})"
    if unit == "π":
        return "*" * (match["joined"] is not None) + "pi" + "*" * (match["joins"] is not None)
    if match["bullet"]:
        return "- "
    if unit == "∇":
        return "grad" + " " * (match["applied"] is not None)
    return _SPELLINGS.get(unit) or _letter(unit)


def _plain(text: str) -> str:
    """Return raised or lowered letters as plain ones."""
    return unicodedata.normalize("NFKC", text).replace("−", "-")


def _letter(character: str) -> str:
    """Return a Greek letter as a word, another letter without its accent, and the code of anything else."""
    name = unicodedata.name(character, "").split()
    if name[:1] == ["GREEK"] and "LETTER" in name:
        word = name[name.index("LETTER") + 1 :]
        word = "lambda" if "LAMDA" in word else word[-1 if word[0] == "FINAL" else 0].lower()
        return word.capitalize() if "CAPITAL" in name else word
    plain = "".join(part for part in unicodedata.normalize("NFKD", character) if part.isascii())
    return plain or character.encode("ascii", "backslashreplace").decode()
