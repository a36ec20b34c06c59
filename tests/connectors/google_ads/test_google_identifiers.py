"""What Google is sent of a person."""

from google_scenes import person, sha256
from pydantic import SecretStr

from leadup.outgoing import Contact, Email, RemoteId
from leadup.types import Identifier, Kind
from leadup_connectors.google_ads.identifiers import (
    MOST_IDENTIFIERS,
    contact_ids,
    user_ids,
)


def test_an_address_at_hand_is_hashed_in_google_s_own_form() -> None:
    general = sha256("a.b+c@gmail.com")
    identifiers = (Identifier(Kind.EMAIL, general),)
    known = Contact(person=1, identifiers=identifiers, emails=(Email(general, SecretStr("A.B+c@gmail.com")),))
    forgotten = Contact(person=1, identifiers=identifiers, emails=(Email(general),))
    assert contact_ids(known) == (RemoteId("email_sha256", sha256("ab@gmail.com")),)
    assert contact_ids(forgotten) == (RemoteId("email_sha256", general),)
    assert contact_ids(Contact(person=1, identifiers=identifiers)) == (RemoteId("email_sha256", general),)


def test_an_address_of_which_google_leaves_nothing_is_not_sent() -> None:
    general = sha256("+news@gmail.com")
    identifiers = (Identifier(Kind.EMAIL, general), Identifier(Kind.PHONE, sha256("+4930901820")))
    person = Contact(person=1, identifiers=identifiers, emails=(Email(general, SecretStr("+news@gmail.com")),))
    assert contact_ids(person) == (RemoteId("phone_sha256", sha256("+4930901820")),)


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
