"""What was sent goes with a record that is merged into another one, whichever connection of the account reads that."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from delivery.scripted_vendor import Vendor
from delivery.world import GRANTED, World, email
from leadup.delivery.budgets import heard, write_days
from leadup.outgoing import Address, Budget, Contact, RemoteId, Target
from leadup.types import Fact, Identifier, Kind


class ByRecord(Vendor):
    """A vendor that finds people by the record that was read of them last."""

    def _address(self, target: Target, person: Contact) -> Address:
        return Address(tuple(RemoteId("contact", one) for one in person.of(Kind.HUBSPOT_ID)[-1:]))


@pytest.mark.parametrize(("reader", "now"), [("vendor", "1600"), ("reader", "1600"), ("stranger", "1501")])
def test_what_was_sent_goes_with_a_merged_record_of_the_same_account(reader: str, now: str) -> None:
    with closing(World(ByRecord())) as world:
        with world.store.write() as connection:
            for name, account in (("vendor", "1"), ("reader", "1"), ("stranger", "2")):
                day = Budget(account=account, limit=9, left=9, zone=ZoneInfo("UTC"), told=1)
                write_days(connection, heard({}, name, day, world.now).values())
        world.tell(email("ada"), consent=GRANTED)
        for record, *merged in (("1501",), ("1600", "1501")):
            who = (email("ada"), *(Identifier(Kind.HUBSPOT_ID, one) for one in (record, *merged)))
            said = Fact(source=reader, at=world.now, identifiers=who, facts={"member": "yes"})
            world.take(replace(said, records=(record, *merged)))
            world.later(hours=1)
            if not merged:
                world.sync()
        assert world.standing()["remote"] == [["contact", now]]
