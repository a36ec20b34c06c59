"""Normal forms: the same person, said in another way, is the same text; a placeholder is nobody."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadup.identity.normalise import normalise
from leadup.normal import LONGEST, phone_number, sha256
from leadup.types import Kind

TEXT_KINDS = [kind for kind in Kind if kind not in (Kind.EMAIL, Kind.PHONE)]
ANN = "ann@example.com"
NOBODY = [
    *("", " ", "null", "NULL", "undefined", "None", "NaN", "nil", "0", "0.0", "-", "--", "n/a", "N/A", '""', "''"),
    *("(not set)", "not_set", "(none)", "[object Object]", "anonymous", "Unknown", "guest", "true", "False"),
    "00000000-0000-0000-0000-000000000000",
]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("raw", NOBODY)
def test_nobody(kind: Kind, raw: str) -> None:
    assert normalise(kind, raw) is None
    assert normalise(kind, f"  {raw.upper()}\n") is None


@pytest.mark.parametrize(
    "raw", ["u1", "007", "10", "nullius", "Null Island", "0x1f", "unknown-77", "名無し", "true north"]
)
def test_somebody(raw: str) -> None:
    assert normalise(Kind.USER_ID, raw) == raw


def test_text_is_trimmed_and_otherwise_left_alone() -> None:
    assert normalise(Kind.CLIENT_ID, "\t1234567890.1790000000 ") == "1234567890.1790000000"
    assert normalise(Kind.USER_ID, "Ann Lee") == "Ann Lee"
    assert normalise(Kind.USER_ID, "ANN") != normalise(Kind.USER_ID, "ann")


@pytest.mark.parametrize("raw", ["u\x001", "u\n1", "u\ud8001", "u\x7f", "x" * (LONGEST + 1)])
def test_what_is_no_key_is_refused(raw: str) -> None:
    assert normalise(Kind.USER_ID, raw) is None


def test_the_longest_text_passes() -> None:
    assert normalise(Kind.USER_ID, "x" * LONGEST) == "x" * LONGEST


@pytest.mark.parametrize("raw", [ANN, "  Ann@Example.COM\n", sha256(ANN), sha256(ANN).upper()])
def test_an_address_in_any_dress_has_one_hash(raw: str) -> None:
    assert normalise(Kind.EMAIL, raw) == sha256(ANN)


@pytest.mark.parametrize("raw", ["ann", "ann@", "@example.com", "ann@example", "ann lee@example.com", "a@@example.com"])
def test_what_is_no_address(raw: str) -> None:
    assert normalise(Kind.EMAIL, raw) is None


def test_addresses_of_emulators_and_other_scripts_pass() -> None:
    assert normalise(Kind.EMAIL, "ann@acme.test") == sha256("ann@acme.test")
    assert normalise(Kind.EMAIL, "Ünal@bücher.example") == sha256("ünal@bücher.example")


def test_gmail_is_not_special_here() -> None:
    assert normalise(Kind.EMAIL, "a.nn+x@gmail.com") != normalise(Kind.EMAIL, "ann@gmail.com")


@pytest.mark.parametrize("placeholder", ["", "null", "undefined", "(not set)", "n/a", "0"])
@pytest.mark.parametrize("kind", [Kind.EMAIL, Kind.PHONE])
def test_the_hash_of_a_placeholder_is_nobody(kind: Kind, placeholder: str) -> None:
    assert normalise(kind, sha256(placeholder)) is None


@pytest.mark.parametrize(
    ("raw", "region", "e164"),
    [
        ("+49 30 901820", None, "+4930901820"),
        ("030 / 90 18 20", "DE", "+4930901820"),
        ("030 901820", "de", "+4930901820"),
        ("0049 30 901820", "DE", "+4930901820"),
        ("(415) 555-2671", "US", "+14155552671"),
        ("+1 415 555 2671", "DE", "+14155552671"),
    ],
)
def test_phone_numbers_become_e164(raw: str, region: str | None, e164: str) -> None:
    assert phone_number(raw, region) == e164
    assert normalise(Kind.PHONE, raw, region=region) == sha256(e164)


@pytest.mark.parametrize(
    ("raw", "region"),
    [("030 901820", None), ("12", "DE"), ("call me", "DE"), ("030 901820", "XX"), ("+999 12345678", None)],
)
def test_what_is_no_phone_number(raw: str, region: str | None) -> None:
    assert normalise(Kind.PHONE, raw, region=region) is None


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_an_address_is_not_kept_in_the_clear_under_any_kind(kind: Kind) -> None:
    assert normalise(kind, " Ann@Example.com") == f"sha256:{sha256(ANN)}"


@given(st.sampled_from(list(Kind)), st.one_of(st.text(), st.emails(), st.sampled_from(NOBODY)))
def test_a_normal_form_is_its_own(kind: Kind, raw: str) -> None:
    once = normalise(kind, raw, region="DE")
    assert once is None or normalise(kind, once, region="DE") == once


@pytest.mark.parametrize("kind", [Kind.EMAIL, Kind.PHONE])
def test_a_hash_in_base64_is_the_same_hash(kind: Kind) -> None:
    written = base64.b64encode(bytes.fromhex(sha256(ANN))).decode()
    assert normalise(kind, written) == sha256(ANN)
    assert normalise(kind, base64.b64encode(bytes.fromhex(sha256("null"))).decode()) is None
    assert normalise(Kind.USER_ID, written) == written, "a user id may look like anything"
