"""The steps of a program as nodes: labelled in their order, and written as a textbook would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from downslope.backpropagation._draft import Draft, given
from downslope.backpropagation._labels import free_letter, free_result, numbered, printable
from downslope.backpropagation._primitives import atom, constant, kind_of, partial_texts, written
from downslope.backpropagation._steps import Known, Step

_LONGEST_NAME = 48


def named(steps: Mapping[int, Step], parts: Sequence[str], name: str) -> list[Draft]:
    """Return steps as the nodes of a graph.

    Args:
        steps: by their place in the program, the parts of the point first, the result last.
        parts: what the parts of the point are called.
        name: what the result is called.
    """
    plain = ["x"] if list(parts) == ["value"] else [printable(part) for part in parts]  # a bare array is x
    letter, result = free_letter([*plain, name]), free_result(printable(name), plain)
    labels = {place: plain[place] for place in range(len(plain))}
    for number, place in enumerate(list(steps)[len(plain) :], start=1):
        labels[place] = numbered(letter, number)
    labels[list(steps)[-1]] = result
    numbers = {place: number for number, place in enumerate(steps)}
    texts: dict[int, tuple[str, int]] = {place: atom(part) for place, part in enumerate(plain)}
    drafts = []
    for place, step in steps.items():
        if place < len(plain):
            drafts.append(given(plain[place], step.value))
            continue
        texts[place] = _expanded(step, labels, texts)
        inputs = tuple(numbers[one] for one in step.inputs)
        role = "result" if labels[place] == result else "operation"
        drafts.append(_draft(step, labels, labels[place], texts[place][0], role, inputs))
    return drafts


def _draft(step: Step, labels: Mapping[int, str], label: str, name: str, role: str, inputs: tuple[int, ...]) -> Draft:
    """Return a step as a node."""
    shown = [_operand(known, labels) for known in step.operands]
    computed_as = shown[0][0] if _is_bare(step) else written(_primitive(step), step.settings, shown)[0]
    kind = kind_of(_primitive(step), step.settings)
    symbols = _symbols(step, [text for text, _ in shown], label, kind)
    return Draft(label, name, kind, computed_as, role, step.value, inputs, symbols, step.back)


def _expanded(step: Step, labels: Mapping[int, str], texts: Mapping[int, tuple[str, int]]) -> tuple[str, int]:
    """Return a step written out down to the parts of the point, or down to its inputs where that grows too long."""
    if _is_bare(step):
        return _operand(step.operands[0], labels)
    full = [
        texts.get(known.place, _operand(known, labels)) if known.place is not None else constant(known.value)
        for known in step.operands
    ]
    found = written(_primitive(step), step.settings, full)
    if len(found[0]) <= _LONGEST_NAME:
        return found
    return written(_primitive(step), step.settings, [_operand(known, labels) for known in step.operands])


def _symbols(step: Step, shown: list[str], label: str, kind: str) -> tuple[str, ...]:
    """Return the local derivative by each input that the gradient passes to."""
    if _is_bare(step):
        return ("1",) * len(step.inputs)
    partials = partial_texts(_primitive(step), step.settings, shown, label)
    if partials is None:
        return (kind,) * len(step.inputs)
    found = []
    for place in step.inputs:
        own = [text for text, known in zip(partials, step.operands, strict=True) if known.place == place]
        found.append(_added(own))
    return tuple(found)


def _added(texts: Sequence[str]) -> str:
    """Return texts as a sum; two equal ones as twice the one."""
    if len(texts) == 2 and texts[0] == texts[1]:
        return "2" if texts[0] == "1" else f"2{texts[0]}"
    return " + ".join(texts).replace("+ -", "- ")


def _primitive(step: Step) -> str:
    """Return the name of a step's primitive, or of the function whose own derivative rule it follows."""
    return step.settings.get("name of rule") or step.primitive


def _is_bare(step: Step) -> bool:
    """Tell whether a step only gives its input, or a constant, as the result."""
    return step.primitive in ("copy", "constant") and not step.settings


def _operand(known: Known, labels: Mapping[int, str]) -> tuple[str, int]:
    """Return an input as a text: its label, or its number where it is a constant."""
    return constant(known.value) if known.place is None else atom(labels[known.place])
