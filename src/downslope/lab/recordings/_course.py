"""The recording of the course: the reply to every request that the figures of its chapters make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import downslope as ds
from downslope.lab._lessons import lessons, requests_of, texts
from downslope.lab._messages import function_at
from downslope.lab.recordings._packing import packed, page_file
from downslope.lab.replies import VERBS


def course_file(chapter: str | int | None, language: str | None) -> Iterator[str | bytes]:
    """Yield in words what is recorded next, and at last the file with the course.

    Args:
        chapter: the number or the id of the only chapter; None for all.
        language: the only language; None for all.

    Raises:
        SettingError: if there is no such chapter or language.
    """
    chapters, words = _chapters(chapter), _texts(language)
    replies = []
    for lesson in chapters:
        yield f"Chapter {lesson['id']}"
        for verb, request in requests_of(lesson["asks"]):
            replies.append((verb, request, function_at(VERBS[verb])(request)))
    data = {"lessons": {"chapters": chapters}, "texts": words, "replies": replies}
    languages = list(words)
    note = words[languages[0]]["page"]["recorded"]
    yield page_file("learn", packed(data), note=note, entry="learn/main.js", languages=languages)


def _chapters(chapter: str | int | None) -> list[dict[str, Any]]:
    """Return the chapters to record."""
    every = lessons()
    if chapter is None:
        return every
    chosen = [lesson for index, lesson in enumerate(every, 1) if str(chapter) in (str(index), lesson["id"])]
    if not chosen:
        names = ", ".join(lesson["id"] for lesson in every)
        raise ds.SettingError(f"there is no chapter {chapter!r}", hint=f"1 to {len(every)}, or one of {names}")
    return chosen


def _texts(language: str | None) -> dict[str, Any]:
    """Return the texts to record, by language; English first."""
    every = texts()
    if language is None:
        return dict(sorted(every.items(), key=lambda pair: (pair[0] != "en", pair[0])))
    if language not in every:
        raise ds.SettingError(f"the course has no texts in {language!r}", hint=f"one of {', '.join(every)}")
    return {language: every[language]}
