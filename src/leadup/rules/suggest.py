"""The nearest right word."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the one of ``words`` that ``word`` was most likely meant to be, or None."""
    by_plain = {_plain(candidate): candidate for candidate in sorted(words, reverse=True)}
    close = get_close_matches(_plain(word), by_plain, n=1)
    return by_plain[close[0]] if close else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return ``did you mean "…"?``, or nothing when no word is near."""
    near = nearest(word, words)
    return f'did you mean "{near}"?' if near else ""


def _plain(word: str) -> str:
    return word.casefold().replace("-", "_").replace(" ", "_")[:100]
