"""What is known of a person from all her contacts, whatever happens to them at HubSpot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hubspot_crm import HOUR, MINUTE, Crm, of_each_api

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
