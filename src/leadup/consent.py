"""What may leave, to whom, for which purpose. Pure.

A row that adds or reports leaves if and only if the person's latest statement grants every purpose the use needs, and
so does the event's own statement where it makes one, at the moment of sending. Unknown is no. A leave always may.

Some purposes people opt out of (marketing e-mail in a CRM): of these a denial keeps the row back, and unknown passes.
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
    """The purposes that counted, as they stood; one that was never stated and need not be is left out."""


def permission(
    needed: Collection[Purpose],
    person: Consent,
    event: Consent | None = None,
    *,
    unless_denied: Collection[Purpose] = (),
) -> Permission:
    """Decide for one row: ``person`` holds the latest statement per purpose, ``event`` the reported event's own.

    Every purpose ``needed`` has to be granted; none of ``unless_denied`` may be denied.
    """
    missing, stated = [], []
    for purpose in sorted({*needed, *unless_denied}):
        if purpose not in person and purpose in needed:
            missing.append(f"{purpose} was never stated")
        elif not person.get(purpose, True):
            missing.append(f"{purpose} was denied")
        elif event and not event.get(purpose, True):
            missing.append(f"{purpose} was denied by the event itself")
        elif purpose in person:
            stated.append(purpose)
    return Permission(not missing, "; ".join(missing), dict.fromkeys(stated, True) if not missing else {})


def strictest(statements: Iterable[Consent]) -> dict[Purpose, bool]:
    """Fold the statements of persons who share one address.

    A purpose is denied if one of them denies it, granted if all of them grant it, and else was never stated by them.
    """
    together = list(statements)
    folded = {}
    for purpose in {purpose for statement in together for purpose in statement}:
        said = [statement.get(purpose) for statement in together]
        if False in said or None not in said:
            folded[purpose] = False not in said
    return folded


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
