"""The one normal form of an identifier, so that two sources that mean the same person say the same text.

E-mail and phone follow what the vendors ask for before hashing (Google, page "Format user data": trim, lower case,
E.164, SHA-256 in hex). Google's extra rule for gmail.com belongs to Google's connector: HubSpot tells those addresses
apart.

A text identifier that is an e-mail address (many sites use it as the user id) is kept as ``sha256:<hash>``: at rest no
address stands in the clear, the same address is still the same identifier, and a vendor that takes user ids as they are
is not sent personal data in them, which Google forbids.
"""

from __future__ import annotations

import re
from typing import Final

from leadup.normal import Unusable, clean, email_address, hashed, phone_number, sha256
from leadup.types import Kind

_ADDRESS: Final = re.compile(r"[^@\s]{1,64}@[^@\s]{1,253}\.[^\W\d_][\w-]*")


def normalise(kind: Kind, raw: str, *, region: str | None = None) -> str | None:
    """Return the normal form of an identifier, or None when ``raw`` tells nobody.

    E-mail and phone become the SHA-256, in hex, of their normal form; a SHA-256 in hex or base64 passes (in lower-case
    hex). Other kinds are the trimmed text (an e-mail address in them: see the module's text). Applying it to its own
    answer changes nothing.

    Args:
        kind: which kind of identifier ``raw`` is.
        raw: the text as the source gave it.
        region: the country (ISO 3166, two letters) whose phone numbers may stand without ``+`` and country code.

    Returns:
        None for placeholders ("undefined", "(not set)", "0", "-", a UUID of zeros, the hash of one, ...), for what is
        no e-mail address or phone number at all, for control characters and for texts longer than
        :data:`leadup.normal.LONGEST`.
    """
    text = clean(raw)
    if text is None:
        return None
    if kind in (Kind.EMAIL, Kind.PHONE):
        try:
            if (ready := hashed(text)) is not None:
                return ready
        except Unusable:
            return None
        plain = email_address(text) if kind is Kind.EMAIL else phone_number(text, region)
        return None if plain is None else sha256(plain)
    return pseudonym(text) if is_address(text) else text


def is_address(text: str) -> bool:
    """Whether the whole text looks like an e-mail address; wider than :func:`email_address`, for better safe."""
    return "@" in text and _ADDRESS.fullmatch(text.strip()) is not None


def pseudonym(address: str) -> str:
    """Return what stands for an address where a text is wanted: ``sha256:`` and the hash of its normal form."""
    return f"sha256:{sha256(address.strip().lower())}"
