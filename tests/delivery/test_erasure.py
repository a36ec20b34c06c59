"""Erasure: out of every audience first, then out of everything; others keep what is theirs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from delivery.scripted_vendor import Vendor
from delivery.world import GRANTED, VAULT, World, email, hashed, user
from leadup.erasure.ask import ask, held
from leadup.erasure.work import Receipt, lift, receipts, work
from leadup.identity import people
from leadup.state.tables import erasures, identifiers, ledger, metadata, outbox, persons, sources
from leadup.types import Identifier, Kind, to_us

ADA, BOB = user(1), user(2)
ADAS = email("ada")
BROWSER = Identifier(Kind.CLIENT_ID, "browser.1")


class Site(World):
    """A world in which people are erased."""

    def number(self, who: Identifier) -> int:
        with self.store.read() as connection:
            [found] = people.find(connection, str(who))
        return found

    def erase(self, who: Identifier) -> int:
        return ask(self.store, self.pipeline.log, VAULT, self.number(who), self.now, "ops")

    def go_on(self, *, force: bool = False) -> None:
        """What the daemon does: judge, deliver, and see how far the requests are."""
        self.sync(force=force)
        work(self.store, self.pipeline.log, None, to_us(self.now), force=force)

    def receipt(self, number: int = 1) -> Receipt:
        with self.store.read() as connection:
            [found] = receipts(connection, None, ["vendor"], number)
        return found

    def everything(self) -> str:
        return self.everything_stored(metadata.sorted_tables)

    def suppressed(self) -> int:
        [row] = self.rows(sources)
        return int(row["suppressed"])


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def ada_and_bob(site: Site) -> None:
    """Both are in the club, have clicked and bought; all has been sent."""
    for who, name in ((ADA, "ada"), (BOB, "bob")):
        site.tell(who, email(name), consent=GRANTED, member="yes")
        site.did("click", f"c-{name}", who, gclid=f"g-{name}")
        site.did("bought", f"b-{name}", who, amount=10, currency="EUR")
    site.sync()


def test_she_leaves_first_and_then_nothing_is_left(site: Site) -> None:
    ada_and_bob(site)
    assert site.members == {hashed(ADAS), hashed(email("bob"))}
    number = site.number(ADA)
    bought = dict(site.vendor.conversions)
    assert site.erase(ADA) == 1
    waits = site.receipt()
    assert (waits.state, waits.done_at) == ("leaving", None)
    assert waits.waits_for[0] == "vendor/audience/club to confirm that she is out (pending)"
    site.go_on()
    assert site.members == {hashed(email("bob"))}
    done = site.receipt()
    assert (done.state, done.waits_for, done.asked_by) == ("done", [], "ops")
    assert [(one["target"], one["outcome"]) for one in done.audiences] == [("vendor/audience/club", "confirmed")]
    assert site.vendor.conversions == bought, "what was reported stays as it is"
    left = site.everything()
    for trace in (hashed(ADAS), "ada@", "-ada", '"u1"'):
        assert trace not in left
    with site.store.read() as connection:
        assert people.find(connection, f"p{number}") == []
        assert connection.scalar(select(persons.c.merged_into).where(persons.c.id == number)) == people.NOBODY
    assert [line["what"] for line in site.rows(ledger, ledger.c.subject == "erasure 1")][-2:] == ["sent", "confirmed"]


def test_what_is_held_is_said_before(site: Site) -> None:
    ada_and_bob(site)
    found = held(site.store, site.pipeline.log, site.number(ADA))
    assert found.identifiers == {"user_id": 1, "email": 1}
    assert found.records["events"] == 2
    assert found.segments == ("club",)
    assert found.audiences == {"vendor/audience/club": "present"}
    assert found.reported["vendor/conversion/sale"] == 1
    assert found.shared == 0


@pytest.mark.parametrize("again", ["the same records", "only the e-mail address", "with a new browser"])
def test_what_is_read_again_does_not_bring_her_back(site: Site, again: str) -> None:
    ada_and_bob(site)
    site.erase(ADA)
    site.go_on()
    if again == "the same records":
        site.did("click", "c-ada", ADA, gclid="g-ada")
        site.tell(ADA, ADAS, consent=GRANTED, member="yes")
    elif again == "only the e-mail address":
        site.tell(ADAS, member="yes")
        site.tell(email("ADA"), member="yes")
    else:
        site.did("click", "new1", BROWSER)
        site.did("click", "new2", BROWSER, ADAS)
    site.go_on()
    assert site.members == {hashed(email("bob"))}
    assert site.suppressed() == (1 if again == "with a new browser" else 2)
    with site.store.read() as connection:
        assert people.find(connection, str(ADA)) == people.find(connection, "ada@example.com") == []
    assert hashed(ADAS) not in site.everything()


def test_who_is_lifted_may_come_again(site: Site) -> None:
    ada_and_bob(site)
    site.erase(ADA)
    site.go_on()
    with site.store.write() as connection:
        assert lift(connection, 1, to_us(site.now)) == 2
    site.tell(ADA, ADAS, consent=GRANTED, member="yes")
    site.go_on()
    assert site.members == {hashed(ADAS), hashed(email("bob"))}
    assert site.suppressed() == 0


def test_a_vendor_that_refuses_is_waited_for(site: Site) -> None:
    ada_and_bob(site)
    site.vendor.faults = ["reject"]
    site.erase(ADA)
    site.go_on()
    waits = site.receipt()
    assert waits.state == "leaving"
    assert "pending odd" in waits.waits_for[0]
    assert "ada@" not in str(waits)
    site.later(minutes=59)
    site.go_on()
    assert site.receipt().state == "leaving"
    assert site.members == {hashed(ADAS), hashed(email("bob"))}
    site.later(minutes=1)
    site.go_on()
    site.go_on()
    assert site.receipt().state == "done"
    assert site.members == {hashed(email("bob"))}


def test_a_join_that_was_on_its_way_is_followed_by_its_leave() -> None:
    site = Site(Vendor(late=True))
    site.tell(ADA, ADAS, consent=GRANTED, member="yes")
    site.tick()
    site.vendor.faults = ["lost"]
    site.deliver()
    site.erase(ADA)
    site.later(hours=1)
    site.go_on()
    site.go_on()
    assert site.members == set()
    assert site.changes("join")[1:] == [], "no second join"
    assert site.receipt().state == "done"
    assert hashed(ADAS) not in site.everything()
    site.close()


def test_what_another_member_also_sent_is_left_there(site: Site) -> None:
    site.vendor.cards = {hashed(ADAS): "family", hashed(email("bob")): "family"}
    site.tell(BOB, email("bob"), consent=GRANTED, member="yes")
    site.sync()
    ada_and_bob(site)
    assert site.members == {"family"}
    site.erase(ADA)
    site.go_on()
    assert site.members == {"family"}
    assert site.receipt().audiences[0]["outcome"] == "spared"
    assert site.receipt().state == "done"


def test_a_browser_that_changed_hands_stays_the_others(site: Site) -> None:
    site.did("click", "a1", ADA, BROWSER)
    site.later(hours=1)
    site.did("click", "anon", BROWSER)
    site.later(hours=1)
    site.did("click", "b1", BOB, BROWSER)
    site.later(hours=1)
    site.did("click", "b2", BROWSER)
    site.sync()
    site.erase(ADA)
    site.go_on()
    bob = site.number(BOB)
    with site.store.read() as connection:
        kept = sorted(
            e.id for batch in site.pipeline.log.read(connection) for _, e in site.pipeline.log.events_of(batch)
        )
        assert kept == ["b1", "b2"]
        assert people.find(connection, str(BROWSER)) == [bob]
        known = people.known_from(connection, [bob])
    assert list(known.values()) == [to_us(site.now) - 3_600_000_000], "he is known since he came, not since she did"
    site.did("click", "anon", BROWSER, ago=timedelta(hours=2))
    assert site.suppressed() == 1
    site.did("click", "b3", BROWSER)
    assert site.suppressed() == 1


def test_two_requests_do_not_disturb_each_other(site: Site) -> None:
    ada_and_bob(site)
    assert [site.erase(ADA), site.erase(BOB)] == [1, 2]
    site.go_on()
    assert [site.receipt(n).state for n in (1, 2)] == ["done", "done"]
    assert site.members == set()
    assert not site.rows(identifiers)
    assert not site.rows(outbox)
    assert len(site.rows(erasures)) == 2
