"""People, rules, a clock, and a vendor in memory: the whole flow but the sockets, in a few lines of test."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import func, select

from delivery.scripted_vendor import Crash, Vendor
from leadup.delivery.activations import activations
from leadup.delivery.book import all_targets
from leadup.delivery.courier import Courier, Delivered
from leadup.delivery.planning import accept
from leadup.identity.normalise import normalise
from leadup.identity.vault import Vault
from leadup.outgoing import Change
from leadup.pipeline import Pipeline, Ticked
from leadup.rules.loader import load_text
from leadup.rules.program import Program
from leadup.state import open_store
from leadup.state.tables import ledger, outbox, standings
from leadup.types import Consent, Event, Fact, Identifier, Json, Kind, Page, Purpose, to_us

START = datetime.fromisoformat("2026-03-01T00:00:00Z")
GRANTED: Consent = dict.fromkeys(Purpose, True)
DENIED: Consent = dict.fromkeys(Purpose, False)
NEVER_ASKED: Consent = {purpose: True for purpose in Purpose if purpose != Purpose.EMAIL_MARKETING}
"""Consent to all that is needed; nobody asked whether marketing e-mail is welcome."""
OPTED_OUT: Consent = {Purpose.EMAIL_MARKETING: False}
VAULT = Vault(Fernet.generate_key().decode())
RULES = """
version: 1
micro_conversions:
  clicked: {event: click}
macro_conversions:
  bought: {event: bought, value: {property: amount, currency: currency}, same_within: 10m}
scores:
  heat: {half_life: 7d, points: {clicked: 10}, tiers: {warm: 20}}
segments:
  club: {when: {person: {member: "yes"}}, activate: [vendor], guard: {max_leave: 30%}}
conversions:
  sale: {on: bought, activate: [vendor]}
properties:
  tier: {tier: heat, activate: [vendor]}
"""


def program(rules: str) -> Program:
    """Read rules that send to the connection ``vendor``."""
    return load_text(rules, connections=["vendor"]).program


PROGRAM = program(RULES)


def user(number: int) -> Identifier:
    return Identifier(Kind.USER_ID, f"u{number}")


def email(name: str) -> Identifier:
    """An address as a source gives it; the state must never show it in the clear."""
    return Identifier(Kind.EMAIL, f"{name}@example.com")


def hashed(address: Identifier) -> str:
    """What the vendor sees of an address."""
    return str(normalise(Kind.EMAIL, address.value))


class World:
    """One state, one program, one vendor. Time stands still but for :meth:`later`."""

    def __init__(self, vendor: Vendor | None = None, rules: Program = PROGRAM) -> None:
        self.now = START
        self.vendor = vendor or Vendor()
        self._folder = tempfile.TemporaryDirectory()
        self.store = open_store("sqlite://", Path(self._folder.name))
        self.pipeline = Pipeline(self.store, VAULT, rules)
        self._pages = 0
        self.use(rules)
        self.restart()

    def use(self, rules: Program) -> None:
        """Let rules go live."""
        self.pipeline.use(rules, activations(rules, {"vendor": self.vendor.can}, 0.3), self.now)

    def restart(self) -> None:
        """What a new process has: the state, and nothing in memory."""
        self.courier = Courier(self.store, VAULT, {"vendor": self.vendor})

    def close(self) -> None:
        self.store.close()
        self._folder.cleanup()

    def later(self, **by: float) -> None:
        """Let time pass."""
        self.now += timedelta(**by)

    # ------------------------------------------------------------ what people do

    def take(self, *records: Event | Fact) -> None:
        """Read a page."""
        self._pages += 1
        self.pipeline.take("t", Page(records=records, cursor={"page": self._pages}, complete_until=self.now), self.now)

    def tell(self, *who: Identifier, consent: Consent | None = None, **facts: Json) -> None:
        """A CRM says something of a person: ``tell(user(1), email("ada"), member="yes")``."""
        self.take(self.fact(*who, consent=consent, **facts))

    def fact(self, *who: Identifier, consent: Consent | None = None, **facts: Json) -> Fact:
        return Fact(source="t", at=self.now, identifiers=who, facts=facts, consent=consent or {})

    def did(
        self,
        name: str,
        key: str,
        *who: Identifier,
        consent: Consent | None = None,
        gclid: str = "",
        ago: timedelta = timedelta(0),
        **properties: Json,
    ) -> None:
        """Somebody does something: ``did("bought", "b1", user(1), amount=10, currency="EUR")``."""
        self.take(
            Event(
                source="t",
                id=key,
                name=name,
                at=self.now - ago,
                identifiers=who,
                properties=properties,
                click_ids={"gclid": gclid} if gclid else {},
                consent=consent or {},
            )
        )

    # ------------------------------------------------------------ what the engine does

    def tick(self) -> Ticked:
        return self.pipeline.tick(self.now)

    def deliver(self, *, force: bool = False) -> list[Delivered]:
        return self.courier.deliver(self.now, force=force)

    def sync(self, *, force: bool = False) -> None:
        """Judge, deliver, let the vendor work, and hear of it. A process that is killed is started again."""
        self.tick()
        try:
            self.deliver(force=force)
        except Crash:
            self.restart()
        self.vendor.work()
        self.courier.poll(self.now, force=True)

    def accept(self) -> int:
        """Release whatever a guard holds."""
        with self.store.write() as connection:
            held = [target for target in all_targets(connection) if target.guard]
            return sum(accept(connection, one, str(one.guard), "ada", to_us(self.now)) for one in held)

    # ------------------------------------------------------------ what is to be seen

    @property
    def members(self) -> set[str]:
        """The cards in the audience."""
        return {member.value for member in self.vendor.members["club"]}

    def changes(self, verb: str = "", *, since: int = 0) -> list[Change]:
        """What reached the vendor's door, of one verb or all."""
        return [change for _, change in self.vendor.sent[since:] if verb in ("", change.verb)]

    def rows(self, table: Any = outbox, *where: Any) -> list[Mapping[str, Any]]:
        """Rows of a table, by its first column."""
        with self.store.read() as connection:
            query = select(table).where(*where).order_by(*table.primary_key.columns)
            return [dict(row) for row in connection.execute(query).mappings()]

    def standing(self, *where: Any) -> Mapping[str, Any]:
        """The only row of ``standings`` for which this holds."""
        [row] = self.rows(standings, *where)
        return row

    def states(self, verb: str) -> list[str]:
        """States of the outbox rows of a verb, oldest first."""
        return [row["state"] for row in self.rows(outbox, outbox.c.verb == verb)]

    def said(self, verb: str) -> list[str]:
        """What the ledger says happened to changes of a verb, in order."""
        return [row["what"] for row in self.rows(ledger, ledger.c.verb == verb)]

    def ledger_size(self) -> int:
        with self.store.read() as connection:
            return int(connection.scalar(select(func.count()).select_from(ledger)) or 0)

    def everything_stored(self, tables: Sequence[Any]) -> str:
        """All that these tables hold, as text."""
        return json.dumps([[list(row.values()) for row in self.rows(table)] for table in tables], default=str)
