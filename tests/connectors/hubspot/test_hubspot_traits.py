"""What is known of a person from all her contacts, whatever happens to them at HubSpot."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hubspot_account import Stage
from hubspot_crm import HOUR, MINUTE, SECOND, Crm, of_each_api
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadup.identity import people
from leadup.identity.vault import Vault
from leadup.pipeline import Pipeline
from leadup.rules.loader import load_text
from leadup.state import open_store
from leadup.types import Json


class Kept:
    """A state, and who is known in it from contacts."""

    def __init__(self, folder: Path) -> None:
        vault = Vault(Fernet.generate_key().decode())
        self._pipeline = Pipeline(open_store("sqlite://", folder), vault, load_text("version: 1\n").program)
        self.close = self._pipeline.store.close

    def read(self, crm: Crm, **settings: Any) -> None:
        """Take in what contacts say now."""
        for page in crm.pull("contacts", **settings):
            self._pipeline.take("feed", page, crm.now)

    @property
    def traits(self) -> dict[str, Json]:
        """The last of each trait; of one person, who is all there is."""
        with self._pipeline.store.read() as connection:
            (one,) = people.everyone(connection)
            return {trait: value for _, trait, _, value in people.facts_of(connection, [one])}


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path)
    yield kept
    kept.close()


@of_each_api
def test_a_person_has_the_traits_of_the_contacts_that_are_left(crm: Crm, kept: Kept) -> None:
    """Two contacts with one user id, of which one is deleted; then one made anew with the address of a deleted one."""
    stages = {"ada@example.com": "lead", "ada@old.example": "customer"}
    ada, old = (crm.sandbox.add_contact(one, lifecyclestage=stage, crm_id="u1") for one, stage in stages.items())
    crm.now += MINUTE
    crm.sandbox.set_property(old, hubspot_owner_id="7")
    kept.read(crm, identifiers={"user_id": "crm_id"})
    assert kept.traits == {"lifecycle_stage": "customer", "owner": "7"}
    crm.sandbox.delete_contact(old)
    kept.read(crm, after=7 * HOUR)
    assert kept.traits == {"lifecycle_stage": "lead", "owner": None}
    crm.sandbox.delete_contact(ada)
    crm.sandbox.add_contact("ada@example.com", lifecyclestage="opportunity")
    kept.read(crm, after=7 * HOUR)
    assert kept.traits == {"lifecycle_stage": "opportunity", "owner": None}


@of_each_api
def test_of_merged_contacts_the_one_that_is_left_tells_the_traits(crm: Crm, kept: Kept) -> None:
    ada = crm.sandbox.add_contact("ada@example.com", lifecyclestage="lead")
    crm.now += MINUTE
    other = crm.sandbox.add_contact("ada@old.example", lifecyclestage="customer", hubspot_owner_id="7")
    kept.read(crm)
    crm.sandbox.merge(ada, other)
    kept.read(crm)
    assert kept.traits == {"lifecycle_stage": "lead", "owner": "7"}, "what is empty is taken over from the other one"


class Hers:
    """Contacts of one person as people edit them, and what those say that live."""

    def __init__(self, crm: Crm, kept: Kept, count: int) -> None:
        self.crm, self.kept, self.edits = crm, kept, 0
        self.ones: list[str] = []
        self.seen: dict[str, tuple[datetime, str]] = {}
        """By contact, what it was seen to say, and since when."""
        for number in range(count):
            self.ones.append(crm.sandbox.add_contact(f"c{number}@example.com", crm_id="u1"))
            self.edit("set", number, 0)

    def edit(self, what: str, one: int, other: int) -> None:
        self.crm.now += SECOND
        contact = self.ones[one % len(self.ones)]
        if what == "set":
            self.edits += 1
            self.crm.sandbox.set_property(contact, hubspot_owner_id=str(self.edits))
        elif what == "empty":
            self.crm.sandbox.set_property(contact, hubspot_owner_id="")
        elif what == "touch":
            self.crm.sandbox.set_property(contact, company="Harbour")
        elif what == "pull":
            self.pull()
        elif len(self.ones) > 1:
            self.pull()
            self.crm.now += SECOND
            self.ones.remove(contact)
            if what == "merge":
                self.crm.sandbox.merge(self.ones[other % len(self.ones)], contact)
            else:
                self.crm.sandbox.delete_contact(contact)

    def pull(self, **how: Any) -> None:
        self.kept.read(self.crm, identifiers={"user_id": "crm_id"}, **how)
        for one in self.ones:
            says = self.crm.sandbox.contact(one).get("hubspot_owner_id", "")
            if says != self.seen.get(one, (None, ""))[1]:
                self.seen[one] = self.crm.sandbox._contacts.lives[one].updated, says

    @property
    def owner(self) -> str | None:
        """What those say that live: of all the last by date."""
        said = [self.seen[one] for one in self.ones if one in self.seen and self.seen[one][1]]
        return max(said)[1] if said else None


edits = st.tuples(
    st.sampled_from(["set", "empty", "touch", "pull", "merge", "merge", "delete"]), st.integers(0, 2), st.integers(0, 2)
)


@settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=10,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(edits, min_size=5, max_size=10))
def test_a_person_has_what_her_living_contacts_say_whatever_people_do(
    raw: Stage, history: Sequence[tuple[str, int, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept = Kept(Path(folder))
        hers = Hers(Crm(raw), kept, 3)
        for step in history:
            hers.edit(*step)
        hers.pull(after=7 * HOUR)
        assert kept.traits.get("owner") == hers.owner
        kept.close()
