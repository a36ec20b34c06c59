"""The one normal form of an identifier, so that two sources that mean the same person say the same text.

E-mail and phone follow what the vendors ask for before hashing (Google, page "Format user data": trim, lower case,
E.164, SHA-256 in hex). Google's extra rule for gmail.com belongs to Google's connector: HubSpot tells those addresses
apart.

A text identifier that is an e-mail address (many sites use it as the user id) is kept as ``sha256:<hash>``: at rest no
address stands in the clear, the same address is still the same identifier, and a vendor that takes user ids as they are
is not sent personal data in them, which Google forbids.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import Final

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from leadup.types import Kind

LONGEST: Final = 512
"""Characters of the longest identifier; what is longer is a mistake of the source, not a key."""

_WORDS = (
    "", "null", "undefined", "none", "nan", "nil", "na", "void", "empty", "false", "true", "anonymous", "anon",
    "unknown", "guest", "not set", "not provided", "not available", "object object",
)  # fmt: skip
_LETTERS = re.compile(r"[\W_]+")
_NOBODY: Final = frozenset(_LETTERS.sub("", word) for word in _WORDS)
_NOBODY_HASHES: Final = frozenset(
    hashlib.sha256(text.encode()).hexdigest() for text in (*_WORDS, "0", "-", "n/a", "(not set)", "(none)")
)
_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
_ADDRESS: Final = re.compile(r"[^@\s]{1,64}@[^@\s]{1,253}\.[^\W\d_][\w-]*")


def normalise(kind: Kind, raw: str, *, region: str | None = None) -> str | None:
    """Return the normal form of an identifier, or None when ``raw`` tells nobody.

    E-mail and phone become the SHA-256, in hex, of their normal form; a SHA-256 in hex passes (in lower case). Other
    kinds are the trimmed text (an e-mail address in them: see the module's text). Applying it to its own answer
    changes nothing.

    Args:
        kind: which kind of identifier ``raw`` is.
        raw: the text as the source gave it.
        region: the country (ISO 3166, two letters) whose phone numbers may stand without ``+`` and country code.

    Returns:
        None for placeholders ("undefined", "(not set)", "0", "-", a UUID of zeros, the hash of one, ...), for what is
        no e-mail address or phone number at all, for control characters and for texts longer than :data:`LONGEST`.
    """
    text = clean(raw)
    if text is None:
        return None
    if kind in (Kind.EMAIL, Kind.PHONE):
        if _SHA256.fullmatch(text):
            hashed = text.lower()
            return None if hashed in _NOBODY_HASHES else hashed
        plain = email_address(text) if kind is Kind.EMAIL else phone_number(text, region)
        return None if plain is None else sha256(plain)
    return pseudonym(text) if is_address(text) else text


def clean(raw: str) -> str | None:
    """Return ``raw`` trimmed, or None when it is a placeholder, too long, or has control characters in it."""
    text = raw.strip()
    if not text or len(text) > LONGEST or is_nobody(text):
        return None
    if not text.isprintable() and any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        return None
    return text


def is_nobody(text: str) -> bool:
    """Whether a text stands for the absence of an identifier: only its letters and digits count, in any case."""
    core = _LETTERS.sub("", text).casefold()
    return core in _NOBODY or not core.strip("0")


def email_address(raw: str) -> str | None:
    """Return the address trimmed and in lower case, or None when its syntax is wrong. No DNS is asked."""
    return _email_address(raw.strip().lower())


@lru_cache(maxsize=1 << 16)
def _email_address(address: str) -> str | None:
    try:
        # addresses under .test are syntax like any other: rehearsals and emulators live there
        validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    return address


def phone_number(raw: str, region: str | None = None) -> str | None:
    """Return the number in E.164 (``+4930123456``), or None when it can be none.

    Without ``+`` and country code a number is understood only as one of ``region``. Length and form are looked at, not
    whether the range is in use: new ranges come faster than releases of the metadata.
    """
    try:
        number = phonenumbers.parse(raw, region.upper() if region else None)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None  # a number without its area code is possible too, but only next door
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def is_address(text: str) -> bool:
    """Whether the whole text looks like an e-mail address; wider than :func:`email_address`, for better safe."""
    return "@" in text and _ADDRESS.fullmatch(text.strip()) is not None


def pseudonym(address: str) -> str:
    """Return what stands for an address where a text is wanted: ``sha256:`` and the hash of its normal form."""
    return f"sha256:{sha256(address.strip().lower())}"


def sha256(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
