"""Normal forms as Google's pages ask for them: a table that names the page of each case, and laws for any text.

``LEADUP_UPDATE_GOLDEN=1 pytest tests/connectors/google_ads/test_google_forms.py`` writes its page anew.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leadup.normal import LONGEST, NormalForm, Unusable
from leadup_connectors.google_ads.forms import FORMS, SUFFIXES, TITLES, base64_of, normal_email

TABLE: list[dict[str, Any]] = json.loads(Path(__file__).with_name("google_normal_forms.json").read_text("utf-8"))
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "google-identifiers.md"
HASHED = ["email", "phone", "given_name", "family_name"]
IN_THE_CLEAR = ["country_code", "postal_code"]

KIND = st.sampled_from(sorted(FORMS))
SPACE = st.text(" \t\n\r\u00a0\u2003", max_size=3)
LOCAL = st.text("abcXYZ019_-", min_size=1, max_size=12)
NAME = st.text("abcxyzäöüéñøłжцшλπω", min_size=2, max_size=12)
ANY = st.one_of(st.text(max_size=40), st.emails(), st.text("+0123456789 ()-/.x", max_size=20), NAME)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def answer(kind: str, raw: str, region: str | None = None) -> NormalForm | Unusable:
    try:
        return FORMS[kind](raw, region)
    except Unusable as refusal:
        return refusal


def form(kind: str, raw: str, region: str | None = None) -> str | None:
    found = answer(kind, raw, region)
    return None if isinstance(found, Unusable) else found.text


# ---------------------------------------------------------------- the table


@pytest.mark.parametrize("case", TABLE, ids=[f"{case['kind']}-{case['input'][:24]!r}" for case in TABLE])
def test_a_case_of_the_table(case: dict[str, Any]) -> None:
    normaliser = FORMS[case["kind"]]
    if "refused" in case:
        with pytest.raises(Unusable) as refusal:
            normaliser(case["input"], case.get("region"))
        assert str(refusal.value) == case["refused"]
        return
    text = case["normalised"]
    came_hashed = len(text) == 64
    wanted = None if case["kind"] in IN_THE_CLEAR else text if came_hashed else sha256(text)
    assert normaliser(case["input"], case.get("region")) == NormalForm(text, wanted)


def test_the_table_has_each_kind_and_a_page_for_every_case() -> None:
    assert len(TABLE) >= 60
    assert {case["kind"] for case in TABLE} == set(FORMS)
    assert all(case["page"] for case in TABLE)
    assert len({(case["kind"], case["input"], case.get("region")) for case in TABLE}) == len(TABLE)


def test_the_page_made_from_the_table_is_fresh() -> None:
    if os.environ.get("LEADUP_UPDATE_GOLDEN"):
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page()


def page() -> str:
    """The table as a page to read."""
    lines = [
        "# What Google compares: normal forms by example",
        "",
        "Made from the table that the tests go by (`tests/connectors/google_ads/google_normal_forms.json`); a test",
        "keeps it fresh. `leadup identity normalise KIND VALUE --for google_ads` answers the same, with the hash.",
        "E-mail, phone and names are hashed (SHA-256 of the normal form in UTF-8, as hex or base64); country and",
        "postal code are Google's in the clear.",
    ]
    for kind in FORMS:
        lines += ["", f"## {kind}", "", "| given | region | normal form | rests on |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {_cell(case['input'])} | {case.get('region', '')} | "
            + (f"refused: {case['refused']}" if "refused" in case else _cell(case["normalised"]))
            + f" | {case['page']} |"
            for case in TABLE
            if case["kind"] == kind
        ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text as code, with what can not be seen written out; of a hash the beginning."""
    seen = "".join(c if c.isprintable() and not unicodedata.combining(c) else ascii(c)[1:-1] for c in text)
    seen = seen if len(seen) < 60 else f"{seen[:12]}…"
    return f"`` {seen} ``" if seen else "(nothing)"


# ---------------------------------------------------------------- laws


@given(KIND, ANY, st.sampled_from([None, "DE", "US"]))
@example("given_name", "Dr. ̈a", None)
@example("family_name", "ΑΣ-ΑΣ jr", None)
def test_a_normal_form_is_its_own_and_a_refusal_is_said_and_quotes_nothing(
    kind: str, raw: str, region: str | None
) -> None:
    once = answer(kind, raw, region)
    if isinstance(once, Unusable):
        assert str(once)
        assert len(raw.strip()) < 8 or raw.strip() not in str(once)
    else:
        assert answer(kind, once.text, region) == once
        assert once.text == once.text.strip()


@given(st.sampled_from(HASHED), ANY)
def test_what_is_hashed_is_not_hashed_again(kind: str, raw: str) -> None:
    hashed = sha256(f"x{raw}".encode("utf-8", "replace").decode())
    for written in (hashed, hashed.upper(), f" {hashed}\n", base64_of(hashed)):
        assert answer(kind, written) == NormalForm(hashed, hashed)


@given(st.binary(min_size=32, max_size=32))
def test_base64_is_that_of_the_bytes(digest: bytes) -> None:
    assert base64.b64decode(base64_of(digest.hex())) == digest


@given(LOCAL, st.sampled_from(["gmail.com", "example.com", "mail.example.co.uk"]), SPACE, SPACE, SPACE)
def test_case_and_white_space_do_not_change_an_address(
    local: str, domain: str, before: str, within: str, after: str
) -> None:
    address = f"x{local}x@{domain}"
    wanted = form("email", address)
    assert wanted is not None
    half = len(address) // 2
    for dressed in (address.upper(), address.lower(), f"{before}{address[:half]}{within}{address[half:]}{after}"):
        assert form("email", dressed) == wanted


@given(LOCAL, LOCAL, st.sampled_from(["gmail.com", "GMAIL.COM", "googlemail.com"]))
def test_at_gmail_dots_and_tags_mean_nothing(local: str, tag: str, domain: str) -> None:
    plain = normal_email(f"{local}@{domain}")
    assert normal_email(f"{'.'.join(local)}+{tag}@{domain}") == plain
    assert normal_email(f"{local}+{tag}+{tag}@{domain}") == plain


@given(LOCAL, LOCAL, st.sampled_from(["example.com", "gmail.com.example", "mygmail.com", "gmail.de", "x.gmail.com"]))
def test_elsewhere_dots_and_tags_are_kept(local: str, tag: str, domain: str) -> None:
    address = f"{local}.{local}+{tag}@{domain}"
    assert normal_email(address) == address.lower()


@given(NAME, SPACE, SPACE, st.sampled_from(sorted(TITLES)), st.sampled_from(sorted(SUFFIXES)))
def test_case_space_titles_and_suffixes_do_not_change_a_name(
    name: str, before: str, after: str, title: str, suffix: str
) -> None:
    wanted = form("given_name", name)
    assert wanted is not None
    assert form("given_name", f"{before}{name.upper()}{after}") == wanted
    assert form("given_name", f"{title.title()}. {name}") == wanted
    assert form("family_name", f"{name}, {suffix.upper()}.") == wanted


@given(st.integers(100_000, 9_999_999), st.sampled_from(["", " ", "-", "/", "."]))
def test_a_number_is_the_same_with_and_without_its_country(subscriber: int, gap: str) -> None:
    digits = str(subscriber)
    wanted = f"+4930{digits}"
    national = f"030{gap}{gap.join(digits[i : i + 2] for i in range(0, len(digits), 2))}"
    assert form("phone", national, "DE") == wanted
    assert form("phone", f"+49 30 {digits}", "US") == wanted
    assert form("phone", national) is None


@pytest.mark.parametrize("kind", sorted(FORMS))
def test_length_and_control_characters(kind: str) -> None:
    for raw, why in [("x" * (LONGEST + 1), "longer than"), ("ann\x00@example.com", "control"), ("\ud800", "control")]:
        with pytest.raises(Unusable, match=why):
            FORMS[kind](raw)
