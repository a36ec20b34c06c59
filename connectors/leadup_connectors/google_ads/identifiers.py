"""What is sent of a person: hashes of e-mail addresses and phone numbers (SHA-256 in hex), a user id, a click id."""

from __future__ import annotations

import re
from collections.abc import Mapping

from leadup.normal import sha256
from leadup.outgoing import Contact, RemoteId
from leadup.types import Kind
from leadup_connectors.google_ads.forms import normal_email

MOST_IDENTIFIERS = 10
"""Per member and per event (Data Manager API, "Limits and quotas")."""

EMAIL = "email_sha256"
PHONE = "phone_sha256"
USER_ID = "user_id"

CLICK_IDS = ("gclid", "gbraid", "wbraid")
"""A conversion is reported by at most one of them; a gclid says most."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_sha256(text: str) -> bool:
    """Whether ``text`` is a SHA-256 in lower-case hex."""
    return _SHA256.fullmatch(text) is not None


def email_sha256(address: str) -> str | None:
    """Return the SHA-256 (hex) of an address's normal form; None if it has none, as ``+news@gmail.com``."""
    normal = normal_email(address)
    return None if normal.startswith("@") else sha256(normal)


def contact_ids(contact: Contact) -> tuple[RemoteId, ...]:
    """Return the hashed e-mails and phones of a person, sorted, at most :data:`MOST_IDENTIFIERS`.

    Of an address that is at hand Google's own normal form is hashed; of the others the hash that is known is used.
    """
    known = {email.sha256 for email in contact.emails}
    emails = {
        email.sha256 if email.address is None else email_sha256(email.address.get_secret_value())
        for email in contact.emails
    }
    emails.update(hashed for hashed in contact.of(Kind.EMAIL) if hashed not in known)
    ids = {RemoteId(EMAIL, hashed) for hashed in emails if hashed is not None}
    ids.update(RemoteId(PHONE, hashed) for hashed in contact.of(Kind.PHONE))
    return tuple(sorted(ids)[:MOST_IDENTIFIERS])


def user_ids(contact: Contact) -> tuple[RemoteId, ...]:
    """Return the person's user id as the only identifier, or nothing. A member of a USER_ID list has exactly one."""
    return tuple(sorted(RemoteId(USER_ID, value) for value in contact.of(Kind.USER_ID))[:1])


def click_id(click_ids: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the kind and value of the click id to send."""
    return next(((kind, click_ids[kind]) for kind in CLICK_IDS if click_ids.get(kind)), None)
