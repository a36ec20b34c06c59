"""A conveyor belt of people: at each instant somebody joins, somebody leaves and converts, and a deal is restated, so
that every pass of the flow sends rows of every kind. What must come of it is known beforehand, however often it was
interrupted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from installation import SETTINGS, Installation, event
from leadup.state.tables import outbox, standings
from leadup_connectors.google_ads.sandbox.rows import identifiers, rows_of

RULES = """\
version: 1
micro_conversions:
  video: {event: video_progress}
macro_conversions:
  requested: {event: generate_lead, value: 288 EUR}
  deal: {event: deal_won, value: {property: amount, currency: currency}}
scores:
  intent: {half_life: 3650d, points: {video: 40, requested: 10}}
segments:
  watched:
    when: {all: [{did: video, within: 300d}, {did_not: requested, within: 300d}]}
    activate: [hubspot, google_ads]
properties:
  leadup_intent: {score: intent, activate: [hubspot]}
conversions:
  demo: {on: requested, activate: [google_ads]}
  won: {on: deal, activate: [google_ads]}
"""
SMALL = SETTINGS.replace('path = "events/*"\n', 'path = "events/*"\npage_size = 4\n').replace(
    "[connections.hubspot]\n", "[connections.hubspot]\npause = 0.01\n"
)
"""Pages are small, so that there are several; a lost answer is not waited for long."""
WATCHED = "leadup: watched"
DENIED = {"ad_user_data": "denied", "ad_personalization": "denied"}
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def address(who: str) -> str:
    return f"{who}@example.com"


def hashed(who: str) -> str:
    """How somebody is known to Google."""
    return hashlib.sha256(address(who).encode()).hexdigest()


class Belt:
    """One installation, and how far its belt has moved."""

    def __init__(self, site: Installation) -> None:
        self.site = site
        self.moves = 0
        self.contacts: dict[str, str] = {}

    @property
    def now(self) -> datetime:
        return START + self.moves * HOUR

    def move(self) -> None:
        """The next hour: Xn and Yn watch and win a deal; who came before Xn asks for a demo, and his deal grows."""
        self.moves += 1
        n, before = self.moves, self.moves - 1
        for who in (f"x{n}", f"y{n}"):
            self.contacts[who] = self.site.hubspot.add_contact(email=address(who))
        records = [self._event(f"v-{who}", "video_progress", who) for who in (f"x{n}", f"y{n}")]
        records += [self._deal(who, 100) for who in (f"x{n}", f"y{n}")]
        if before:
            records += [self._event(f"r-x{before}", "generate_lead", f"x{before}"), self._deal(f"x{before}", 9000)]
        self.site.drop(records, f"{n:04}.jsonl")

    def deny(self) -> str:
        """The latest Y withdraws consent; return who that is."""
        who = f"y{self.moves}"
        self.site.drop([self._event(f"n-{who}", "page_view", who, consent=DENIED)], f"{self.moves:04}-denied.jsonl")
        return who

    def _event(self, key: str, name: str, who: str, **more: Any) -> dict[str, Any]:
        return event(key, name, (self.now - HOUR / 2).isoformat(), email=address(who), **more)

    def _deal(self, who: str, amount: int) -> dict[str, Any]:
        made = START + int(who[1:]) * HOUR - HOUR / 2
        properties = {"amount": amount, "currency": "EUR"}
        return event(f"d-{who}", "deal_won", made.isoformat(), properties=properties, email=address(who))

    # ------------------------------------------------------------ what must be true

    def settle(self) -> None:
        """Let Google work off all, and hear of it."""
        self.site.settle(self.now + HOUR / 2)

    def check(self) -> None:
        """Compare the log, the book and both vendors with what the moves so far must have come to."""
        here, gone = f"x{self.moves}", [f"x{n}" for n in range(1, self.moves)]
        denied = [f"y{n}" for n in range(1, self.moves + 1)]
        self._check_house(len(gone))
        # HubSpot needs no consent of its own: every Y has stayed, and each change was made once.
        expected = {(who, "join"): 1 for who in (here, *gone, *denied)} | {(who, "leave"): 1 for who in gone}
        assert self.changes() == expected
        assert self.site.hubspot.members(WATCHED) == {self.contacts[who] for who in (here, *denied)}
        intents = {who: self.site.hubspot.contact(self.contacts[who])["leadup_intent"] for who in self.contacts}
        assert intents == {who: "49" if who in gone else "39" for who in self.contacts}
        # Google
        assert self.site.google.members(WATCHED) == {hashed(here)}
        demo = self.site.google.conversions("7001").values()
        assert sorted((c["identifiers"][0], c["value"], c["count"]) for c in demo) == sorted(
            (hashed(who), 288.0, 1) for who in gone
        )
        won = {c["identifiers"][0]: c for c in self.site.google.conversions("7002").values()}
        assert len(won) == len(self.site.google.conversions("7002"))
        assert {key for key in won if key not in map(hashed, denied)} == {hashed(who) for who in (here, *gone)}
        for who in (here, *gone):
            values = [100.0, 9000.0] if who in gone else [100.0]
            assert [each["value"] for each in won[hashed(who)]["history"]] == values
        assert {c["count"] for c in won.values()} <= {1}
        assert self.asked_of_google("leave") <= {hashed(who) for who in (*gone, *denied)}

    def _check_house(self, gone: int) -> None:
        app = self.site.app()
        with app.store.read() as connection:
            events = [key for batch in app.log.read(connection) for key in batch["id"].to_pylist()]
            assert len(events) == len(set(events)), "an event stands twice in the log"
            assert len(events) == 5 * self.moves + gone, "v and d of X and Y, n of Y, r of who is gone"
            assert not list(connection.scalars(select(standings.c.subject).where(standings.c.open)))
            under_way = outbox.c.state.in_(["held", "pending", "sending", "accepted"])
            assert not connection.execute(select(outbox.c.verb, outbox.c.state).where(under_way)).all()
            assert not list(connection.scalars(select(outbox.c.detail).where(outbox.c.state == "failed")))
        app.store.close()

    def changes(self) -> dict[tuple[str, str], int]:
        """How often HubSpot changed each membership; what was so already is left out."""
        names = {contact: who for who, contact in self.contacts.items()}
        changed = self.site.hubspot.state()["memberships"]
        return {(names[m["contact"]], m["verb"]): m["times"] for m in changed if "redundant" not in m["verb"]}

    def asked_of_google(self, *verbs: str, since: int = 0) -> set[str]:
        """Whom rows of these verbs were about, in the requests that Google took since its ``since``-th."""
        accepted = list(self.site.google.account.accepted.values())[since:]
        return {key for one in accepted if one.verb in verbs for key in _people(one.message)}

    def taken_by_google(self) -> int:
        """How many requests Google has taken."""
        return len(self.site.google.account.accepted)


def _people(message: Any) -> Iterator[str]:
    for row in rows_of(message)[1]:
        yield from identifiers(row)
