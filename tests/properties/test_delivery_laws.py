"""The laws of delivery, over random histories of people, weather, crashes and time.

A real state in memory, the real pipeline and courier, and a vendor (``tests/delivery/scripted_vendor.py``) that answers
at once or later, in any weather. People join, leave, convert, merge, change addresses and their minds about consent.

During all of it:

- nothing is sent for a person without consent at that moment, leaves and lowered values excepted;
- a leave is never given up;
- whom somebody else put there stays; a leave spares what another member needs; nobody is joined again without a reason;
  two deliveries at one instant send nothing the second time;
- every change of a row's state has its line in the ledger; nothing that is stored has an e-mail address in the clear;
- what has left has left no identifiers behind.

And once the weather has cleared: the vendor holds what is wanted, each conversion once and with its present value, but
for rows that were refused and say why.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import select

from delivery.scripted_vendor import Crash, Vendor
from delivery.world import DENIED, GRANTED, NEVER_ASKED, OPTED_OUT, World, email, hashed, user
from leadup.delivery.book import LIVE, all_targets
from leadup.identity import people
from leadup.outgoing import Change, Convert, Join, Leave, RemoteId, Restate, Upsert
from leadup.plan import Standing
from leadup.state.tables import conversions, ledger, memberships, outbox, persons, remote_ids, standings, targets
from leadup.types import Identifier, Kind, Purpose

USERS = [user(n) for n in range(3)]
NAMES = ["ada", "bob", "cyd", "dan"]
EMAILS = [email(name) for name in NAMES]
CROWD = [email(f"crowd{n}") for n in range(21)]
REFRESH = timedelta(days=9)
SAID = {
    "sending": {"sent"},
    "accepted": {"accepted"},
    "processed": {"confirmed", "already", "processed", "spared"},
    "failed": {"rejected", "failed"},
    "uncertain": {"uncertain"},
    "withheld": {"withheld"},
    "pending": {"later", "released"},
    "replaced": {"replaced"},
}
"""What the ledger may say of a row that came to a state."""
AUDIT = (
    "create temp table moves (row integer, old text, new text)",
    """create temp trigger audit after update of state on outbox when old.state <> new.state
    begin insert into moves values (new.id, old.state, new.state); end""",
)
UNLESS_DENIED = {Join: {Purpose.EMAIL_MARKETING}}
NEEDS = {
    Join: {Purpose.AD_USER_DATA, Purpose.AD_PERSONALIZATION},
    Convert: {Purpose.AD_USER_DATA},
    Restate: {Purpose.AD_USER_DATA},
    Upsert: {Purpose.ANALYTICS},
}

who = st.sampled_from([(one,) for one in [*USERS, *EMAILS]] + list(zip(USERS, EMAILS, strict=False)))
links = st.tuples(st.sampled_from(USERS), st.sampled_from(EMAILS))
consents = st.sampled_from([None, None, GRANTED, NEVER_ASKED, DENIED, OPTED_OUT])
purchases = st.integers(0, 3)
calls = ["later", "lost", "busy", "half", "human", "refused", "crash", "crash after", "reject", "postpone", ""]
fates = ["processed", "failed", "failed for now", "partial", "partial for now"]


class Delivery(RuleBasedStateMachine):
    """One vendor, a handful of people who keep changing their minds, and a crowd that comes and goes as one."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World

    @initialize(late=st.booleans(), together=st.booleans(), batch=st.sampled_from([1, 2, 100]))
    def open(self, late: bool, together: bool, batch: int) -> None:
        self.world = World(Vendor(late=late, together=together, batch=batch, refresh_after=REFRESH))
        self.vendor = self.world.vendor
        self.vendor.watch = self.looks_at
        self.broken: list[str] = []
        self.addressed: dict[str, tuple[Change, tuple[str, ...]]] = {}
        self.doubtful: set[RemoteId] = set()
        self.taken_out: set[RemoteId] = set()
        self.found_late: set[RemoteId] = set()
        self.unanswered: set[str] = set()
        with self.world.store.write() as connection:
            for statement in AUDIT:
                connection.exec_driver_sql(statement)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.clears()
            finally:
                self.world.close()

    # ------------------------------------------------------------ people

    @rule(who=who, member=st.sampled_from(["yes", "yes", "no"]), consent=consents)
    def tells(self, who: tuple[Identifier, ...], member: str, consent: Any) -> None:
        self.world.tell(*who, consent=consent, member=member)

    @rule(who=who, consent=st.sampled_from([GRANTED, NEVER_ASKED, DENIED, OPTED_OUT]))
    def decides(self, who: tuple[Identifier, ...], consent: Any) -> None:
        self.world.tell(*who, consent=consent)

    @rule(link=links)
    def logs_in(self, link: tuple[Identifier, Identifier]) -> None:
        """Two persons turn out to be one, or somebody has another address."""
        self.world.did("login", f"l{self.world.now}", *link)

    @rule(who=who, key=purchases, amount=st.sampled_from([10, 20, 30]), gclid=st.sampled_from(["", "g1"]))
    def buys(self, who: tuple[Identifier, ...], key: int, amount: int, gclid: str) -> None:
        """A purchase, or the same one with another amount."""
        self.world.did("bought", f"b{key}", *who, gclid=gclid, amount=amount, currency="EUR")

    @rule(who=who, key=purchases)
    def returns(self, who: tuple[Identifier, ...], key: int) -> None:
        """The event was something else: a source revises it to another name."""
        self.world.did("returned", f"b{key}", *who)

    @rule(who=who)
    def clicks(self, who: tuple[Identifier, ...]) -> None:
        self.world.did("click", f"c{self.world.now}", *who)

    @rule(member=st.sampled_from(["yes", "no"]))
    def crowd(self, member: str) -> None:
        world = self.world
        world.take(*(world.fact(one, consent=GRANTED, member=member) for one in CROWD))

    # ------------------------------------------------------------ the vendor

    @rule(faults=st.lists(st.sampled_from(calls), min_size=1, max_size=3))
    def weather(self, faults: list[str]) -> None:
        self.vendor.faults = faults

    @precondition(lambda self: self.vendor.late)
    @rule(fates=st.lists(st.sampled_from(fates), min_size=1, max_size=3))
    def fate(self, fates: list[str]) -> None:
        self.vendor.fates = fates

    @rule(name=st.sampled_from(NAMES))
    def forgets_or_finds(self, name: str) -> None:
        """A contact is made at the vendor, or deleted there before anybody is filed under it.

        Who is there under another address is known there by a contact made late from the next refresh on.
        """
        card = hashed(email(name))
        if card in self.vendor.unknown:
            self._finds({card})
        elif not any(card in {i.value for i in ids} for ids in self.vendor.members.values()):
            self.vendor.unknown.add(card)

    def _finds(self, cards: set[str]) -> None:
        self.vendor.unknown -= cards
        self.found_late |= {RemoteId("card", card) for card in cards}

    @precondition(lambda self: not self.vendor.late)
    @rule(name=st.sampled_from(NAMES))
    def somebody_else_adds(self, name: str) -> None:
        """Only a vendor that says ``already`` lets us know."""
        [card] = self.vendor.ids_of([hashed(email(name))]) or [None]
        if card is not None and card not in self.vendor.members["club"] and card not in self.doubtful:
            self.vendor.members["club"].add(card)
            self.vendor.foreign.add(card)

    @rule()
    def works(self) -> None:
        self.vendor.work()

    # ------------------------------------------------------------ the engine

    @rule(
        by=st.sampled_from([timedelta(minutes=1), timedelta(hours=1), timedelta(hours=7), timedelta(days=1), REFRESH])
    )
    def time_passes(self, by: timedelta) -> None:
        self.world.now += by

    @rule()
    def ticks(self) -> None:
        self.world.tick()

    @rule(force=st.booleans())
    def delivers(self, force: bool) -> None:
        try:
            self.world.deliver(force=force)
        except Crash:
            self.world.restart()
        else:
            if not force:
                self.vendor.faults = []
                seen = len(self.vendor.sent)
                self.world.deliver()
                assert self.vendor.sent[seen:] == [], "nothing is new, and nothing is due"
        self.holds_together()

    @rule(faults=st.lists(st.sampled_from(calls), max_size=2))
    def syncs(self, faults: list[str]) -> None:
        self.vendor.faults = faults
        self.world.tick()
        self.delivers(force=False)

    @rule()
    def syncs_in_good_weather(self) -> None:
        self.vendor.faults = []
        self.world.sync()
        self.holds_together()

    @rule(force=st.booleans())
    def polls(self, force: bool) -> None:
        self.world.courier.poll(self.world.now, force=force)
        self.holds_together()

    @rule()
    def accepts(self) -> None:
        self.world.accept()

    # ------------------------------------------------------------ the laws, whenever something is sent

    def looks_at(self, to: str, change: Change) -> None:
        """Look at each change as it comes to the vendor's door. The courier would take our verdict for the vendor's."""
        try:
            self.sees(change)
        except AssertionError as error:
            self.broken.append(f"{change.verb} of {change.person}: {error}")

    def sees(self, change: Change) -> None:
        with self.world.store.read() as connection:
            stated = people.consent_together(connection, [change.person])[change.person]
            [row] = connection.execute(select(outbox).where(outbox.c.key == change.key)).mappings()
            assert row["state"] == "sending"
            if not isinstance(change, Leave) and not self._lowers(change):
                needed, optional = NEEDS[type(change)], UNLESS_DENIED.get(type(change), set())
                assert all(stated.get(purpose) for purpose in needed)
                assert all(stated.get(purpose, True) for purpose in optional)
                assert change.consent == dict.fromkeys(needed | (optional & stated.keys()), True)
            if self.vendor.faults and self.vendor.faults[0] in ("later", "lost", "crash", "crash after"):
                self.unanswered.add(row["subject"])
                self.doubtful |= set(change.to.ids) if isinstance(change, Join) else set()
            if isinstance(change, Join):
                self._has_a_reason(connection, row, change)
            if isinstance(change, Leave):
                self._takes_only_ours(connection, row, change)

    def _lowers(self, change: Change) -> bool:
        if not isinstance(change, Restate) or change.value is None:
            return False
        told = self.vendor.conversions.get(change.transaction_id)
        return told is not None and (change.value.minor or 0) <= (told[-1][0] or 0)

    def _has_a_reason(self, connection: Any, row: Any, join: Join) -> None:
        """A member who is there is not joined again, but with another address or after so long."""
        hashes = people.contacts(connection, [join.person], self.world.pipeline._vault)[join.person].of(Kind.EMAIL)
        known, self.addressed[join.key] = join.key in self.addressed, (join, hashes)
        everybody = [
            p for p, now in people.current(connection, self._persons(connection)).items() if now == join.person
        ]
        mine = (ledger.c.target == row["target"]) & ledger.c.person.in_(everybody) & (ledger.c.row != row["id"])
        said = list(connection.execute(select(ledger).where(mine).order_by(ledger.c.id)))
        sent = [line for line in said if line.what == "sent"]
        if known or not sent or sent[-1].verb != "join":
            return
        last = [line for line in said if line.row == sent[-1].row][-1]
        key = connection.scalar(select(outbox.c.key).where(outbox.c.id == last.row))
        before, hashes_then = self.addressed[key]
        if last.what in ("confirmed", "already", "processed"):
            old = last.at_us + int(REFRESH.total_seconds() * 1e6) <= row["sent_us"]
            assert old or before.to != join.to or hashes_then != hashes, "joined again without a reason"

    def _persons(self, connection: Any) -> list[int]:
        return list(connection.scalars(select(persons.c.id)))

    def _takes_only_ours(self, connection: Any, row: Any, leave: Leave) -> None:
        ids = set(leave.to.ids)
        assert not ids & self.vendor.foreign - self.doubtful, "somebody else put them there"
        query = select(standings).where(standings.c.target == row["target"])
        for standing in connection.execute(query).mappings():
            if standing["subject"] == row["subject"]:
                if standing["urgent"]:
                    self.taken_out |= ids
            elif standing["want"] is not None and not ids <= self.taken_out:
                others = {RemoteId(kind, value) for kind, value in standing["remote"] or []}
                assert not ids & others, "another member needs these"

    # ------------------------------------------------------------ the laws, at any time

    def holds_together(self) -> None:
        assert self.broken == []
        world = self.world
        with world.store.read() as connection:
            moves = Counter(map(tuple, connection.exec_driver_sql("select row, new from moves").all()))
            said = Counter((line.row, line.what) for line in connection.execute(select(ledger)))
            done = ("processed", "failed", "replaced", "uncertain", "withheld")
            rows = list(connection.execute(select(outbox)).mappings())
            book = list(connection.execute(select(standings)).mappings())
            held = {(r.target, r.subject, r.kind, r.value) for r in connection.execute(select(remote_ids))}
        for (row, state), times in moves.items():
            assert sum(said[row, what] for what in SAID[state]) >= times, (
                f"{times} x {state}, the ledger knows of fewer"
            )
        assert not [row["id"] for row in rows if row["verb"] == "leave" and row["state"] in ("failed", "uncertain")]
        live = Counter((row["target"], row["subject"]) for row in rows if row["state"] in LIVE)
        assert set(live.values()) <= {1}
        stored = world.everything_stored([outbox, ledger, standings, targets, remote_ids, conversions])
        assert "@" not in stored
        assert [row["id"] for row in rows if row["state"] in done and (row["remote"] or row["before"])] == []
        for one in book:
            if one["standing"] == Standing.ABSENT:
                assert not one["remote"], "what has left has left nothing behind"
                assert one["stands"] is None
        sent = {(one["target"], one["subject"], kind, value) for one in book for kind, value in one["remote"] or []}
        assert held == sent, "both records of what was sent agree"

    # ------------------------------------------------------------ the laws, in the end

    def clears(self) -> None:
        """Good weather from now on, and enough of it: until nothing waits, and all were refreshed if that can help."""
        world, vendor = self.world, self.vendor
        vendor.faults, vendor.fates = [], []
        self._finds(set(vendor.unknown))
        self._comes_to_rest()
        self._all_is_right()
        if self.found_late:
            world.now += REFRESH
            self.found_late = set()
            self._comes_to_rest()
            self._all_is_right()

    def _comes_to_rest(self) -> None:
        world = self.world
        for _ in range(12):
            world.now += timedelta(hours=25)
            world.tick()
            world.accept()
            world.sync()
            self.holds_together()
            with world.store.read() as connection:
                waiting = select(outbox.c.subject).where(outbox.c.state.in_([*LIVE, "accepted"]))
                left = set(connection.scalars(waiting.union(select(standings.c.subject).where(standings.c.open))))
            if not left:
                return
        raise AssertionError(f"still waiting: {left}")

    def _all_is_right(self) -> None:
        with self.world.store.read() as connection:
            self._audience_is_right(connection)
            self._conversions_are_right(connection)

    def _closed(self, connection: Any, target: int) -> dict[str, Any]:
        """By subject, the last row that was sent and refused or left uncertain, for reasons it gives."""
        last: dict[str, Any] = {}
        for row in connection.execute(select(outbox).where(outbox.c.target == target).order_by(outbox.c.id)).mappings():
            if row["sent_us"] is not None:
                last[row["subject"]] = row
        closed = {subject: row for subject, row in last.items() if row["state"] in ("failed", "uncertain")}
        assert all(row["code"] and row["detail"] for row in closed.values())
        return closed

    def _audience_is_right(self, connection: Any) -> None:
        [target] = [t for t in all_targets(connection) if t.target.name == "club"]
        closed = self._closed(connection, target.id)
        everyone = people.everyone(connection)
        inside = set(connection.scalars(select(memberships.c.person)))
        stated = people.consent_together(connection, everyone)
        known = people.contacts(connection, everyone, self.world.pipeline._vault)
        expected, refused = set(self.vendor.foreign), set[RemoteId]()
        for person in everyone:
            ids = set(self.vendor.ids_of(known[person].of(Kind.EMAIL)))
            permitted = all(stated[person].get(purpose) for purpose in NEEDS[Join])
            permitted &= all(stated[person].get(purpose, True) for purpose in UNLESS_DENIED[Join])
            if str(person) in closed:
                refused |= ids
            elif person in inside and permitted:
                expected |= ids
        for one in connection.execute(select(standings).where(standings.c.target == target.id)).mappings():
            if one["subject"] in closed:
                refused |= {RemoteId(kind, value) for kind, value in one["remote"] or []}
        members = self.vendor.members["club"]
        assert expected - members <= self.taken_out | self.found_late | refused, "somebody is missing"
        assert members - expected <= refused, "somebody is still there"

    def _conversions_are_right(self, connection: Any) -> None:
        [target] = [t for t in all_targets(connection) if t.target.name == "sale"]
        closed = self._closed(connection, target.id)
        everyone = people.everyone(connection)
        stated = people.consent_together(connection, everyone)
        known = people.identifiers_of(connection, everyone)
        book = list(connection.execute(select(conversions)).mappings())
        may_count = set(
            connection.scalars(select(standings.c.subject).where(standings.c.standing == Standing.POSSIBLE))
        )
        assert set(self.vendor.conversions) <= {row["transaction_id"] for row in book}
        for row in book:
            told = self.vendor.conversions.get(row["transaction_id"])
            permitted = stated[row["person"]].get(Purpose.AD_USER_DATA)
            if row["transaction_id"] in closed:
                continue
            if not row["events"]:
                unasked = row["transaction_id"] in may_count and not permitted
                assert told is None or told[-1][0] == 0 or unasked, "taken back"
                continue
            if not permitted:
                continue
            reachable = row["click_ids"] or any(i.kind is Kind.EMAIL for i in known[row["person"]])
            assert told is not None or not reachable, "never reported"
            assert told is None or told[-1] == (row["minor"], row["currency"]), "reported with an old value"
        unknown = select(outbox.c.subject).where(outbox.c.target == target.id, outbox.c.state == "uncertain")
        assert self.vendor.blind <= set(connection.scalars(unknown)) | self.unanswered, "restated, and never reported"


quick = settings(
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # to shrink would take many minutes; the steps that are printed can be cut by hand
    report_multiple_bugs=False,
    max_examples=40,
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def test_the_laws_of_delivery_hold() -> None:
    run_state_machine_as_test(Delivery, settings=quick)


@pytest.mark.slow
def test_the_laws_of_delivery_hold_for_long() -> None:
    run_state_machine_as_test(Delivery, settings=settings(quick, max_examples=110, stateful_step_count=60))
