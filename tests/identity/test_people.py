"""What is read of persons follows who owns what, and when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import Connection, func, select

from leadup.errors import SettingsError
from leadup.identity import people
from leadup.identity.register import Sighting
from leadup.identity.resolve import absorb
from leadup.identity.vault import Vault
from leadup.normal import sha256
from leadup.outgoing import Email
from leadup.state.tables import consents
from leadup.types import Identifier, Json, Kind, Purpose
from sightings import memory, owner, scratch, seen, take_dirty

ADS, PERSONAL = Purpose.AD_USER_DATA, Purpose.AD_PERSONALIZATION
ANN = "ann@example.com"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    store = memory(tmp_path)
    with scratch(store) as connection:
        yield connection
    store.close()


@pytest.fixture
def vault() -> Vault:
    return Vault(Fernet.generate_key().decode())


def anchor(connection: Connection, names: str, at: int) -> int:
    (number,) = absorb(connection, [seen(names, at)]).anchors
    assert number is not None
    return number


def state(connection: Connection, names: str, at: int, **granted: bool) -> None:
    """Absorb a record that carries a statement."""
    number = anchor(connection, names, at)
    people.put_consents(connection, [(number, Purpose(purpose), at, yes) for purpose, yes in granted.items()])


def tell(connection: Connection, names: str, at: int, trait: str, value: Json) -> None:
    people.put_facts(connection, [(anchor(connection, names, at), trait, at, value, "")])


def consent(connection: Connection, name: str, at: int = 0) -> dict[Purpose, bool]:
    return people.consent_of(connection, people.everyone(connection)).get(owner(connection, name, at), {})


# ---------------------------------------------------------------- identifiers, contact data


def test_identifiers_come_strongest_first_with_those_lent(connection: Connection) -> None:
    absorb(connection, [seen("u1 e1 c1 k1", 1), seen("u2 c2", 2), seen("u2 e1", 3), seen("u2 h2 p2", 4)])
    (two,) = people.find(connection, "u2")
    assert [i.value for i in people.identifiers_of(connection, [two])[two]] == ["u2", "e1", "p2", "h2", "c2"]
    assert people.strongest(connection, [two]) == {two: Identifier(Kind.USER_ID, "u2")}


def test_the_strongest_of_one_kind_is_the_one_seen_first(connection: Connection) -> None:
    absorb(connection, [seen("e1 c1", 5), seen("e2 c1", 3)])
    assert people.strongest(connection, [1]) == {1: Identifier(Kind.EMAIL, "e2")}


def test_a_contact_has_the_address_in_the_clear_where_the_house_holds_it(connection: Connection, vault: Vault) -> None:
    known, unknown = (Identifier(Kind.EMAIL, sha256(text)) for text in (ANN, "bob@example.com"))
    user = Identifier(Kind.USER_ID, "u1")
    absorb(connection, [Sighting([user, *sorted([known, unknown])], 1)])
    vault.keep(connection, [(known, SecretStr(ANN))])
    contact = people.contacts(connection, [1], vault)[1]
    assert set(contact.emails) == {Email(known.value, SecretStr(ANN)), Email(unknown.value)}
    assert contact.identifiers[0] == user
    assert ANN not in repr(contact)
    with pytest.raises(SettingsError):
        people.contacts(connection, [1], Vault(Fernet.generate_key().decode()))


# ---------------------------------------------------------------- who is meant


@pytest.mark.parametrize("text", ["p1", "u7", "user_id:u7", ANN, f"email:{ANN}", sha256(ANN), "client_id:c:7", "c:7"])
def test_find(connection: Connection, text: str) -> None:
    mine = [(Kind.USER_ID, "u7"), (Kind.EMAIL, sha256(ANN)), (Kind.CLIENT_ID, "c:7")]
    absorb(connection, [Sighting([Identifier(kind, value) for kind, value in mine], 1), seen("u8", 1)])
    assert people.find(connection, text) == [1]


@pytest.mark.parametrize("text", ["", "nobody", "p99", "email:u7", "undefined", "what:ever", "p"])
def test_find_nobody(connection: Connection, text: str) -> None:
    absorb(connection, [seen("u7 c7", 1)])
    assert people.find(connection, text) == []


def test_find_all_who_shared_a_browser(connection: Connection) -> None:
    absorb(connection, [seen("u1 c1", 1), seen("u2 c1", 5)])
    assert sorted(people.find(connection, "c1")) == [1, 2]


def test_find_whom_an_old_number_has_become(connection: Connection) -> None:
    absorb(connection, [seen("c1", 1), seen("u1", 2)])
    absorb(connection, [seen("u1 c1", 3)])
    assert people.find(connection, "p2") == [1]


# ---------------------------------------------------------------- consent


def test_the_latest_statement_counts_whenever_it_is_told(connection: Connection) -> None:
    state(connection, "u1", 5, ad_user_data=True, ad_personalization=True)
    state(connection, "u1", 3, ad_user_data=False)
    assert consent(connection, "u1") == {ADS: True, PERSONAL: True}
    state(connection, "u1", 7, ad_user_data=False)
    assert consent(connection, "u1") == {ADS: False, PERSONAL: True}


@pytest.mark.parametrize("first", [True, False])
def test_at_one_instant_a_denial_counts(connection: Connection, first: bool) -> None:
    state(connection, "u1", 5, ad_user_data=first)
    state(connection, "u1", 5, ad_user_data=not first)
    assert consent(connection, "u1") == {ADS: False}


@pytest.mark.parametrize("first", [True, False])
def test_at_one_instant_a_denial_under_another_identifier_counts(connection: Connection, first: bool) -> None:
    state(connection, "u1 c1", 1)
    state(connection, "u1", 5, ad_user_data=first)
    state(connection, "c1", 5, ad_user_data=not first)
    assert consent(connection, "u1") == {ADS: False}


def test_on_a_shared_browser_each_speaks_for_himself(connection: Connection) -> None:
    state(connection, "u1 c1", 5)
    state(connection, "c1", 6, ad_user_data=True)
    state(connection, "c1", 8, ad_user_data=False)
    assert consent(connection, "u1") == {ADS: False}
    state(connection, "u2 c1", 7)
    assert (consent(connection, "u1"), consent(connection, "u2")) == ({ADS: True}, {ADS: False})


def test_a_merge_brings_both_statements_together(connection: Connection) -> None:
    state(connection, "c1", 9, ad_user_data=False)
    state(connection, "u1", 5, ad_user_data=True)
    assert consent(connection, "u1") == {ADS: True}
    state(connection, "u1 c1", 10)
    assert consent(connection, "u1") == {ADS: False}


def test_only_devices_keep_their_old_statements(connection: Connection) -> None:
    for at in (3, 1, 2):
        state(connection, "u1", at, ad_user_data=True)
        state(connection, "c1", at, ad_user_data=True)
    per_anchor = select(func.count()).select_from(consents).group_by(consents.c.anchor).order_by(func.count())
    assert list(connection.scalars(per_anchor)) == [1, 3]


def test_who_shares_an_address_is_bound_by_the_other_ones_denial(connection: Connection) -> None:
    state(connection, "u1 e1", 1, ad_user_data=True)
    state(connection, "u2 e1", 2, ad_user_data=True)
    assert people.consent_together(connection, [1, 2]) == {1: {ADS: True}, 2: {ADS: True}}
    take_dirty(connection)
    state(connection, "u1", 3, ad_user_data=False)
    assert people.consent_together(connection, [1, 2]) == {1: {ADS: False}, 2: {ADS: False}}
    assert take_dirty(connection) == {1, 2}


# ---------------------------------------------------------------- facts


def test_facts_follow_their_anchor_and_come_by_instant(connection: Connection) -> None:
    tell(connection, "e1", 5, "stage", "lead")
    tell(connection, "h1", 3, "stage", {"was": ["new", None]})
    tell(connection, "e1 h1", 4, "score", 1.5)
    expected = [(1, "stage", 3, {"was": ["new", None]}), (1, "score", 4, 1.5), (1, "stage", 5, "lead")]
    assert people.facts_of(connection, [1]) == expected


def test_a_fact_told_again_for_its_instant_is_a_correction(connection: Connection) -> None:
    tell(connection, "e1", 5, "stage", "lead")
    tell(connection, "e1", 5, "stage", None)
    assert people.facts_of(connection, [1]) == [(1, "stage", 5, None)]


def test_nothing_is_asked_of_nobody(connection: Connection, vault: Vault) -> None:
    people.put_consents(connection, [])
    people.put_facts(connection, [])
    assert people.known_from(connection, []) == {}
    assert people.contacts(connection, [], vault) == {}
    assert people.consent_together(connection, []) == {}
    assert people.facts_of(connection, []) == []
