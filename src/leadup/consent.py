"""What may leave, to whom, for which purpose. Pure.

A row that adds or reports leaves if and only if the person's latest statement grants every purpose the use needs, and
so does the event's own statement where it makes one, at the moment of sending. Unknown is no. A leave always may.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from leadup.types import Consent, Purpose


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a row may leave; when not, which purposes are in the way and how."""

    granted: bool
    because: str = ""
    """In plain words, e.g. ``ad_user_data was denied``; empty when granted."""
    statement: Consent = field(default_factory=dict)
    """The purposes that were needed, as they stood."""


def permission(needed: Collection[Purpose], person: Consent, event: Consent | None = None) -> Permission:
    """Decide for one row: ``person`` holds the latest statement per purpose, ``event`` the reported event's own."""
    missing = []
    for purpose in sorted(needed):
        if purpose not in person:
            missing.append(f"{purpose} was never stated")
        elif not person[purpose]:
            missing.append(f"{purpose} was denied")
        elif event and not event.get(purpose, True):
            missing.append(f"{purpose} was denied by the event itself")
    return Permission(not missing, "; ".join(missing), dict.fromkeys(sorted(needed), True) if not missing else {})


def strictest(statements: Iterable[Consent]) -> dict[Purpose, bool]:
    """Fold the statements of persons who share one address: a purpose is granted only if all of them grant it."""
    together = list(statements)
    purposes = {purpose for statement in together for purpose in statement}
    return {purpose: all(statement.get(purpose, False) for statement in together) for purpose in purposes}


def from_text(words: Mapping[str, str]) -> dict[Purpose, bool]:
    """Read ``{"ad_user_data": "granted"}``.

    Raises:
        ValueError: an unknown purpose, or a word other than ``granted`` and ``denied``.
    """
    consent: dict[Purpose, bool] = {}
    for name, word in words.items():
        if name not in set(Purpose):
            raise ValueError(f"{name!r} is not a purpose of consent; there are {', '.join(Purpose)}")
        if word not in ("granted", "denied"):
            raise ValueError(f"consent {name}: {word!r} is neither 'granted' nor 'denied'")
        consent[Purpose(name)] = word == "granted"
    return consent
