"""The normal forms that Google compares, before hashing.

Sources: Data Manager API, "Format user data" and reference page "AddressInfo" (names without punctuation); Google Ads
Help, "Formatting guidelines for uploading hashed data" (one space within names, form of postal codes).

Where Google says nothing, the text is left as its own tag would hash it: composed (Unicode NFC) and in the lower case
of Unicode, never case-folded, so that "ß" stays "ß". Domains in other scripts stay in them.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Final

from leadup.normal import (
    USUAL_SLIPS,
    NormalForm,
    Normaliser,
    Unusable,
    check,
    e164,
    email_address,
    hashed,
    is_nobody,
    sha256,
)

GMAIL: Final = frozenset({"gmail.com", "googlemail.com"})
TITLES: Final = frozenset(
    (
        *("mr", "mrs", "ms", "miss", "mx", "dr", "prof", "sir", "madam", "herr", "frau", "mme", "mlle", "monsieur"),
        *("madame", "sr", "sra", "srta", "señor", "señora", "señorita"),
    )
)
"""Words that Google wants left out before a given name ("prefixes such as Mrs."), without their dot."""
SUFFIXES: Final = frozenset(["jr", "sr", "jnr", "snr", "ii", "iii", "iv", "phd", "md", "esq", "dds", "mba"])
"""Words that Google wants left out after a family name ("suffixes such as Jr."), without dots."""
REAL_NAMES: Final = frozenset({"guest", "na", "nan", "nil", "null"})
"""Placeholders elsewhere; as the whole of a name they may be a person's."""

_POSTAL = re.compile(r"[A-Za-z0-9]+(?:[ -][A-Za-z0-9]+)*")
_LONGEST_POSTAL = 12

Plain = Callable[[str, str | None], str]


def normal_email(address: str) -> str:
    """Return Google's normal form of an e-mail address, whose syntax is not looked at.

    Lower case, no white space anywhere; at gmail.com and googlemail.com also no dots in the local part and nothing
    from a "+" on. Other domains keep both: there they may be part of the name.
    """
    local, at, domain = _lower("".join(address.split())).rpartition("@")
    if domain in GMAIL:
        local = local.partition("+")[0].replace(".", "")
    return f"{local}{at}{domain}"


def base64_of(sha256_hex: str) -> str:
    """Return a hash in base64 (standard alphabet, padded), the other encoding that Google takes."""
    return base64.b64encode(bytes.fromhex(sha256_hex)).decode("ascii")


def _email(text: str, _region: str | None) -> str:
    normal = normal_email(text)
    local, at, domain = normal.rpartition("@")
    if not at:
        raise Unusable("there is no @ in it")
    if not local:
        raise Unusable("nothing is left before the @")
    if not domain:
        raise Unusable("there is no domain after the @")
    if email_address(normal) is None:
        raise Unusable("it is no e-mail address by its syntax")
    return normal


def _phone(text: str, region: str | None) -> str:
    return e164(text, region)


def _given_name(text: str, _region: str | None) -> str:
    words = _words(text)
    while words and words[0] in TITLES:
        del words[0]
    if not words:
        raise Unusable("it is a title without a name")
    return " ".join(words)


def _family_name(text: str, _region: str | None) -> str:
    words = _words(text)
    while len(words) > 1 and words[-1] in SUFFIXES:  # what stands alone is somebody's name: Ii, Md
        del words[-1]
    return " ".join(words)


def _words(text: str) -> list[str]:
    """The words of a name, in lower case, without punctuation, symbols and invisible characters."""
    composed = unicodedata.normalize("NFC", text.replace(",", " "))  # "King,Jr" is two words
    kept = "".join(c for c in composed if c.isspace() or unicodedata.category(c)[0] not in "PSC")
    words = _lower(kept).split()
    if not any(c.isalpha() for word in words for c in word):
        raise Unusable("there is no letter in it")
    return words


def _country_code(text: str, _region: str | None) -> str:
    code = text.upper() if text.isascii() else ""  # "ß".upper() is a country, South Sudan
    if code in _countries():
        return code
    slip = USUAL_SLIPS.get(code)
    raise Unusable("it is no country code of ISO 3166-1 in two letters" + (f"; the code is {slip}" if slip else ""))


def _postal_code(text: str, _region: str | None) -> str:
    if is_nobody(text):
        raise Unusable("it is a placeholder")
    if len(text) > _LONGEST_POSTAL:
        raise Unusable(f"it is longer than {_LONGEST_POSTAL} characters")
    if not _POSTAL.fullmatch(text):
        raise Unusable("a postal code has letters A to Z, digits, and single spaces or hyphens between them")
    if not any(c.isdigit() for c in text):
        raise Unusable("there is no digit in it")
    return text


@lru_cache(maxsize=1)
def _countries() -> frozenset[str]:
    """The codes of ISO 3166-1, from the table that the time zone database keeps."""
    table = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    return frozenset(line[:2] for line in table.splitlines() if line and not line.startswith("#"))


def _lower(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def _hashes(plain: Plain, names: frozenset[str] = frozenset()) -> Normaliser:
    """Make a normaliser of a kind that is hashed; ``names`` are real, though placeholders elsewhere."""

    def normal(raw: str, region: str | None = None, /) -> NormalForm:
        text = _checked(raw)
        if (ready := hashed(text)) is not None:
            return NormalForm(ready, ready)
        if is_nobody(text) and text.casefold() not in names:
            raise Unusable("it is a placeholder")
        form = plain(text, region)
        return NormalForm(form, sha256(form))

    return normal


def _in_the_clear(plain: Plain) -> Normaliser:
    """Make a normaliser of a kind that Google takes as it is."""

    def normal(raw: str, region: str | None = None, /) -> NormalForm:
        text = _checked(raw)
        if hashed(text) is not None:
            raise Unusable("it is a hash, and Google takes this in the clear only")
        return NormalForm(plain(text, region), None)

    return normal


def _checked(raw: str) -> str:
    """The text with one space wherever there is white space, line breaks too."""
    return check(" ".join(raw.split()))


FORMS: Final[Mapping[str, Normaliser]] = {
    "email": _hashes(_email),
    "phone": _hashes(_phone),
    "given_name": _hashes(_given_name, REAL_NAMES),
    "family_name": _hashes(_family_name, REAL_NAMES),
    "country_code": _in_the_clear(_country_code),
    "postal_code": _in_the_clear(_postal_code),
}
"""By kind, what ``leadup identity normalise KIND --for google_ads`` answers."""
