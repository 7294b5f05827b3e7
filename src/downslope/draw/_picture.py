"""What a picture is, apart from the function that draws it: what it shows, its caption, its example, its rank."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

Shown = Literal["function", "descent", "training", "fit", "sweep", "race", "multistart", "rate finding", "prescription"]
Function = TypeVar("Function", bound=Callable[..., Any])
_KINDS = get_args(Shown)


@dataclass(frozen=True)
class Picture:
    """One picture, for lists of them: a report, a gallery, the tests of what every picture refuses.

    Args:
        draw: the function, whose first argument is what it shows.
        shows: "function", "descent" (a trace), "training" (the trace of a network), or the result's name.
        example: Python that draws it and ends in the call; the gallery runs and shows it.
        caption: what the picture shows, in a sentence; "" for pictures that explain themselves.
        marks_findings: whether the second argument are findings.
        order: its rank among pictures that show the same; pictures of equal rank come by name.
    """

    draw: Callable[..., Any]
    shows: Shown
    example: str
    caption: str = ""
    marks_findings: bool = False
    order: int = 100

    @property
    def name(self) -> str:
        """Its name in `downslope.draw`."""
        return self.draw.__name__

    @property
    def rank(self) -> tuple[int, int, str]:
        """What pictures are sorted by."""
        return _KINDS.index(self.shows), self.order, self.name

    def of(self, shown: Any, findings: Iterable[Any] = ()) -> Any:
        """Return the axes of the picture; findings are marked where it marks any.

        Raises:
            SettingError: where there is nothing of the kind to show.
        """
        return self.draw(shown, tuple(findings)) if self.marks_findings else self.draw(shown)


def picture(
    shows: Shown, *, example: str, caption: str = "", marks_findings: bool = False, order: int = 100
) -> Callable[[Function], Function]:
    """Return a decorator that describes a function as a picture; the arguments are those of `Picture`."""

    def described(draw: Function) -> Function:
        # An attribute, not a registry: `PICTURES` is read from the functions that the folder exports.
        draw.__picture__ = Picture(draw, shows, inspect.cleandoc(example), caption, marks_findings, order)  # pyright: ignore[reportFunctionMemberAccess]
        return draw

    return described


def in_order(functions: Iterable[object]) -> tuple[Picture, ...]:
    """Return the pictures that functions draw, in the order in which a report shows them."""
    described = [function.__picture__ for function in functions if hasattr(function, "__picture__")]  # pyright: ignore[reportAttributeAccessIssue]
    return tuple(sorted(described, key=lambda picture: picture.rank))
