"""Identifiers as Google's page "Format user data" wants them."""

import pytest
from google_scenes import person, sha256
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from leadup.types import Contact, Email, Identifier, Kind, RemoteId
from leadup_connectors.google_ads.identifiers import (
    MOST_IDENTIFIERS,
    contact_ids,
    email_sha256,
    is_sha256,
    normal_email,
    user_ids,
)

LOCAL = st.text("abcXYZ019.+-_", min_size=1, max_size=12)
DOMAIN = st.sampled_from(["gmail.com", "GoogleMail.com", "example.com", "mail.example.co.uk"])


@pytest.mark.parametrize(
    ("address", "normal"),
    [
        ("cloudy.sanfrancisco+shopping@gmail.com", "cloudysanfrancisco@gmail.com"),
        ("user.name+NYC@Example.com", "user.name+nyc@example.com"),
        ("  Ann.Lee@Example.COM\n", "ann.lee@example.com"),
        ("ann lee@example.com", "annlee@example.com"),
        ("A.B+c@GoogleMail.com", "ab@googlemail.com"),
        ("a.b@gmail.com.example.com", "a.b@gmail.com.example.com"),
        ("a.b@notgmail.com", "a.b@notgmail.com"),
        ("a..b+x+y@gmail.com", "ab@gmail.com"),
    ],
)
def test_normal_form(address: str, normal: str) -> None:
    assert normal_email(address) == normal
    assert email_sha256(address) == sha256(normal)


def test_the_hash_is_plain_sha256_in_lower_case_hex() -> None:
    assert email_sha256("test@example.com") == "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b"


@given(LOCAL, DOMAIN)
def test_the_normal_form_of_a_normal_form_is_itself(local: str, domain: str) -> None:
    once = normal_email(f"{local}@{domain}")
    assert normal_email(once) == once


@given(LOCAL, DOMAIN)
def test_what_is_hashed_is_not_hashed_again(local: str, domain: str) -> None:
    once = email_sha256(f"{local}@{domain}")
    assert is_sha256(once)
    assert email_sha256(once) == once
    assert email_sha256(once.upper()) == once


def test_an_address_at_hand_is_hashed_in_google_s_own_form() -> None:
    general = sha256("a.b+c@gmail.com")
    identifiers = (Identifier(Kind.EMAIL, general),)
    known = Contact(person=1, identifiers=identifiers, emails=(Email(general, SecretStr("A.B+c@gmail.com")),))
    forgotten = Contact(person=1, identifiers=identifiers, emails=(Email(general),))
    assert contact_ids(known) == (RemoteId("email_sha256", sha256("ab@gmail.com")),)
    assert contact_ids(forgotten) == (RemoteId("email_sha256", general),)
    assert contact_ids(Contact(person=1, identifiers=identifiers)) == (RemoteId("email_sha256", general),)


def test_all_of_a_person_s_addresses_and_phones_go_sorted_and_at_most_ten() -> None:
    assert contact_ids(person(1)) == (
        RemoteId("email_sha256", sha256("person1@example.com")),
        RemoteId("phone_sha256", sha256("+4915100000001")),
    )
    many = Contact(person=2, identifiers=tuple(Identifier(Kind.EMAIL, sha256(str(n))) for n in range(12)))
    found = contact_ids(many)
    assert len(found) == MOST_IDENTIFIERS
    assert list(found) == sorted(found)
    assert found == contact_ids(Contact(person=2, identifiers=tuple(reversed(many.identifiers))))


def test_user_ids_are_sent_as_they_are() -> None:
    assert user_ids(person(1)) == (RemoteId("user_id", "u1"),)
    assert user_ids(Contact(person=1, identifiers=(Identifier(Kind.CLIENT_ID, "c1"),))) == ()
