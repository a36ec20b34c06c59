"""Normal forms of e-mail addresses and phone numbers, and hashes that come ready made.

What vendors ask for before hashing is built on these; where one wants more, its connector adds it. Nothing here quotes
what it was given, so its errors may go anywhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

import phonenumbers
from email_validator import EmailNotValidError, validate_email

LONGEST: Final = 512
"""Characters of the longest identifier; what is longer is a mistake of the source, not a key."""
USUAL_SLIPS: Final[Mapping[str, str]] = {"UK": "GB", "EL": "GR"}
"""Two letters that many write for a country, and its code in ISO 3166-1."""

_WORDS = (
    "", "null", "undefined", "none", "nan", "nil", "na", "void", "empty", "false", "true", "anonymous", "anon",
    "unknown", "guest", "not set", "not provided", "not available", "object object",
)  # fmt: skip
_LETTERS = re.compile(r"[\W_]+")
_NOBODY: Final = frozenset(_LETTERS.sub("", word) for word in _WORDS)
_NOBODY_HASHES: Final = frozenset(
    hashlib.sha256(text.encode()).hexdigest() for text in (*_WORDS, "0", "-", "n/a", "(not set)", "(none)")
)
_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{43}=")
_PHONE_FAULTS: Final = {
    phonenumbers.ValidationResult.TOO_SHORT: "it is too short for a phone number of its country",
    phonenumbers.ValidationResult.TOO_LONG: "it is too long for a phone number of its country",
    phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "it has too few digits, or its area code is missing",
    phonenumbers.ValidationResult.INVALID_LENGTH: "no phone number of its country has so many digits",
}


class Unusable(ValueError):
    """Why a text is no identifier of its kind. The text of the error does not repeat what was given."""


@dataclass(frozen=True, slots=True)
class NormalForm:
    """An identifier as a vendor compares it."""

    text: str
    """The normal form; of what came hashed, the hash in lower-case hex."""
    sha256: str | None
    """Its SHA-256 in lower-case hex; None where the vendor wants the text as it is."""


class Normaliser(Protocol):
    """Tells the normal form that a vendor wants of one kind of identifier."""

    def __call__(self, raw: str, region: str | None = None, /) -> NormalForm:
        """Return the normal form of ``raw``; applying it to its own ``text`` changes nothing.

        Args:
            raw: the text as somebody wrote it.
            region: the country (ISO 3166) whose phone numbers may stand without ``+`` and country code.

        Raises:
            Unusable: there is none, and why.
        """


def check(raw: str) -> str:
    """Return ``raw`` trimmed.

    Raises:
        Unusable: it is empty, longer than :data:`LONGEST`, or has control characters in it.
    """
    text = raw.strip()
    if not text:
        raise Unusable("it is empty")
    if len(text) > LONGEST:
        raise Unusable(f"it is longer than {LONGEST} characters")
    if not text.isprintable() and any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise Unusable("it holds control characters")
    return text


def clean(raw: str) -> str | None:
    """Return ``raw`` trimmed, or None when it is a placeholder, too long, or has control characters in it."""
    try:
        text = check(raw)
    except Unusable:
        return None
    return None if is_nobody(text) else text


def is_nobody(text: str) -> bool:
    """Whether a text stands for the absence of an identifier: only its letters and digits count, in any case."""
    core = _LETTERS.sub("", text).casefold()
    return core in _NOBODY or not core.strip("0")


def hashed(text: str) -> str | None:
    """Return, in lower-case hex, the SHA-256 that ``text`` is in hex or base64; None when it is none.

    Raises:
        Unusable: it is the hash of a placeholder, e.g. of the empty text.
    """
    if _HEX.fullmatch(text):
        found = text.lower()
    elif _BASE64.fullmatch(text):
        try:
            found = base64.b64decode(text, validate=True).hex()
        except binascii.Error:
            return None
    else:
        return None
    if found in _NOBODY_HASHES:
        raise Unusable("it is the hash of an empty value or a placeholder")
    return found


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
    """Return the number in E.164 (``+4930123456``), or None when it can be none (:func:`e164`)."""
    try:
        return e164(raw, region)
    except Unusable:
        return None


def e164(raw: str, region: str | None = None) -> str:
    """Return the number in E.164 (``+4930123456``).

    Without ``+`` and country code a number is understood only as one of ``region``. Length and form are looked at, not
    whether the range is in use: new ranges come faster than releases of the metadata. An extension is left out.

    Raises:
        Unusable: it can be no phone number, and why.
    """
    try:
        number = phonenumbers.parse(raw, region.upper() if region else None)
    except phonenumbers.NumberParseException as error:
        kind = error.error_type
        if kind == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
            if raw.lstrip().startswith("+"):
                raise Unusable("there is no such country code") from None
            raise Unusable("it has no country code (+49…) and no region says which is meant") from None
        if kind == phonenumbers.NumberParseException.NOT_A_NUMBER:
            raise Unusable("it is no phone number") from None
        long = kind == phonenumbers.NumberParseException.TOO_LONG
        raise Unusable(f"it is too {'long' if long else 'short'} for a phone number") from None
    # a number without its area code is possible too, but only next door
    if fault := _PHONE_FAULTS.get(phonenumbers.is_possible_number_with_reason(number)):
        raise Unusable(fault)
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def region_code(raw: str) -> str:
    """Return the country (ISO 3166-1, two capital letters) whose phone numbers ``raw`` asks for.

    Raises:
        Unusable: it is none that has phone numbers.
    """
    code = raw.strip().upper()
    if code in phonenumbers.SUPPORTED_REGIONS:
        return code
    slip = USUAL_SLIPS.get(code)
    hint = f"; the code is {slip}" if slip else ", as DE or US"
    raise Unusable(f"it is no country of ISO 3166-1 in two letters{hint}")


def sha256(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
