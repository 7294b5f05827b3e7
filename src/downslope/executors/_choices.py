"""The choice of an executor, shared by all verbs that make many runs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeAlias, TypedDict

from downslope._choices import Choice

if TYPE_CHECKING:
    from concurrent.futures import Future

    from distributed import Client  # pyright: ignore[reportMissingImports] - an extra


class Submits(Protocol):
    """An executor of `concurrent.futures`, or anything with its `submit`."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> "Future[Any]":
        """Begin a call, and return its future."""
        ...


ExecutorLike: TypeAlias = "Submits | Client | str | None"


class ExecutorChoices(TypedDict, total=False):
    """Where independent runs take place."""

    executor: Annotated[
        ExecutorLike,
        Choice(
            None,
            "Where to run: an executor of `concurrent.futures`, a Dask `Client`, or the address of a Dask "
            "scheduler; None for threads of this process. The result is the same to the last bit.",
            "run",
            kind="text",
            option="--scheduler",
            metavar="ADDRESS",
            checks=False,
            typed="Spread the runs over the workers of a Dask scheduler: tcp://host:8786.",
        ),
    ]
