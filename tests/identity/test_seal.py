"""A sealed record holds no address in the clear, wherever the source put one."""

from __future__ import annotations

from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadup.identity.seal import redact, seal
from leadup.normal import sha256
from leadup.types import Event, Fact, Identifier, Kind

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN, ANN_HASH = "ann@example.com", sha256("ann@example.com")


def event(*identifiers: tuple[Kind, str], **more: Any) -> Event:
    return Event(
        source="web", id="e1", name="n", at=AT, identifiers=tuple(Identifier(k, v) for k, v in identifiers), **more
    )


def test_identifiers_are_normal_unique_and_strongest_first() -> None:
    given_ = event(
        (Kind.HUTK, "k"),
        (Kind.CLIENT_ID, " c2"),
        (Kind.CLIENT_ID, "c1"),
        (Kind.EMAIL, "Ann@Example.com"),
        (Kind.EMAIL, ANN_HASH.upper()),
        (Kind.USER_ID, "undefined"),
        (Kind.PHONE, "030 901820"),
    )
    sealed = seal(given_, region="DE")
    assert sealed.record.identifiers == (
        Identifier(Kind.EMAIL, ANN_HASH),
        Identifier(Kind.PHONE, sha256("+4930901820")),
        Identifier(Kind.CLIENT_ID, "c1"),
        Identifier(Kind.CLIENT_ID, "c2"),
        Identifier(Kind.HUTK, "k"),
    )


def test_the_raw_address_is_handed_out_apart_and_never_shown() -> None:
    sealed = seal(event((Kind.EMAIL, " Ann@Example.com"), (Kind.EMAIL, sha256("other@example.com"))))
    ((identifier, secret),) = sealed.secrets
    assert (identifier, secret.get_secret_value()) == (Identifier(Kind.EMAIL, ANN_HASH), ANN)
    assert "example.com" not in repr(sealed).lower()


def test_a_user_id_that_is_an_address_is_that_address_too() -> None:
    sealed = seal(event((Kind.USER_ID, "Ann@Example.com")))
    assert sealed.record.identifiers == (
        Identifier(Kind.USER_ID, f"sha256:{ANN_HASH}"),
        Identifier(Kind.EMAIL, ANN_HASH),
    )
    assert [secret.get_secret_value() for _, secret in sealed.secrets] == [ANN]


def test_addresses_in_properties_are_hashed_at_any_depth() -> None:
    properties = {
        "to": " Ann@Example.com ",
        "form": {"fields": ["x", ANN, {"mail": ANN}], "ok": True, "n": 1.5, "none": None},
        "package": "react@18.2.0",
        "text": f"mail {ANN}",
        "handle": "@ann",
    }
    hashed = f"sha256:{ANN_HASH}"
    assert seal(event(properties=properties)).record.properties == {
        "to": hashed,
        "form": {"fields": ["x", hashed, {"mail": hashed}], "ok": True, "n": 1.5, "none": None},
        "package": "react@18.2.0",
        "text": f"mail {ANN}",
        "handle": "@ann",
    }


def test_facts_are_sealed_like_properties() -> None:
    fact = Fact(source="crm", at=AT, identifiers=(Identifier(Kind.EMAIL, ANN),), facts={"email": ANN, "stage": "lead"})
    sealed = seal(fact)
    assert sealed.record.facts == {"email": f"sha256:{ANN_HASH}", "stage": "lead"}
    assert sealed.record.identifiers == (Identifier(Kind.EMAIL, ANN_HASH),)


def test_click_ids_that_are_placeholders_are_dropped_and_are_no_identifiers() -> None:
    sealed = seal(event(click_ids={"gclid": " Cj0K ", "gbraid": "undefined", "fbclid": ""})).record
    assert sealed.click_ids == {"gclid": "Cj0K"}
    assert sealed.identifiers == ()


json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.emails()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)


@given(
    st.lists(st.tuples(st.sampled_from(list(Kind)), st.one_of(st.text(), st.emails())), max_size=4),
    st.dictionaries(st.text(), json, max_size=3),
)
def test_what_is_sealed_stays_as_it_is(identifiers: list[tuple[Kind, str]], properties: dict[str, Any]) -> None:
    once = seal(event(*identifiers, properties=properties)).record
    again = seal(once)
    assert astuple(again.record) == astuple(once)
    assert again.secrets == ()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"row 7: {ANN},12", "row 7: <e-mail>,12"),
        ('{"email": "Ann.Lee+x@mail.example.co.uk"}', '{"email": "<e-mail>"}'),
        ("https://x.test/?email=ann%40example.com&a=1", "https://x.test/?email=<e-mail>&a=1"),
        (f"<{ANN}>;mailto:{ANN}", "<<e-mail>>;mailto:<e-mail>"),
        ("nobody here @ 5 pm, a@b", "nobody here @ 5 pm, a@b"),
        ("ünal@bücher.example", "<e-mail>"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    assert redact(text) == shown


@given(st.text(), st.emails(), st.text())
def test_redact_leaves_no_address(before: str, address: str, after: str) -> None:
    domain = address[address.rindex("@") :]
    assert domain not in redact(f"{before} {address} {after}")


def test_redact_takes_long_texts() -> None:
    assert redact("x" * 200_000 + "@" + "y" * 200_000).startswith("x")
