"""What every destination owes the engine, as pytest classes. Subclass one per use, give its fixtures, and that is all.

>>> class TestAudiences(DestinationContract):           # doctest: +SKIP
...     @pytest.fixture
...     def server(self): ...                           # a running leadup.sandbox.Server
...     @pytest.fixture
...     def destination(self, server): ...              # connected to server.url, pauses well under a second
...     @pytest.fixture
...     def audience(self): ...                         # a Target
...     @pytest.fixture
...     def contacts(self, server): ...                 # three people or more, all of whom can be found there
...     @pytest.fixture
...     def members(self, server): ...                  # a function: the identifiers the vendor's audience holds

:class:`ConversionContract` and :class:`PropertyContract` ask the same of the other uses. The suites speak of no vendor
and no status code; they set faults on the emulator and look at what it holds in the end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leadup.errors import LeadupError, NeedsHuman, Refused, TryLater
from leadup.kit import Adopting, Budgeted, Destination, Inspectable
from leadup.outgoing import Address, Change, Contact, Convert, Outcome, RemoteId, Target, Unreachable, Upsert, Use
from leadup.sandbox import Server
from leadup.testing.scene import DONE, GRANTED, Scene, ids_of, joins, leaves
from leadup.types import Json, Money

FAMILIES = (TryLater, NeedsHuman, Refused)
PASSING: dict[str, dict[str, Any]] = {
    "rate limit": {"kind": "rate_limit"},
    "rate limit with Retry-After": {"kind": "rate_limit", "retry_after": 3600},
    "500": {"kind": "fail", "status": 500},
    "502": {"kind": "fail", "status": 502},
    "503": {"kind": "fail", "status": 503},
    "504": {"kind": "fail", "status": 504},
    "no answer": {"kind": "hang", "seconds": 0.2},
    "lost answer": {"kind": "lose_answer"},
}
"""Bad weather that ends by itself: the engine may try again."""
DOORS = ("check", "prepare", "address", "deliver")


class _Laws:
    """Laws that hold for every use."""

    @pytest.fixture
    def server(self) -> Server:
        """The emulator, running."""
        raise NotImplementedError

    @pytest.fixture
    def destination(self, server: Server) -> Destination:
        """A destination connected to it; its pauses between tries are well under a second."""
        raise NotImplementedError

    @pytest.fixture
    def contacts(self, server: Server) -> Sequence[Contact]:
        """Three people or more, all of whom the vendor can find."""
        raise NotImplementedError

    @pytest.fixture
    def scene(self) -> Scene:
        """Made by each contract of its own fixtures."""
        raise NotImplementedError

    @pytest.fixture
    def secrets(self, contacts: Sequence[Contact]) -> Sequence[str]:
        """What no log and no error may tell. Override to add the credentials."""
        return [email.address.get_secret_value() for c in contacts for email in c.emails if email.address]

    def test_what_it_can_do_is_data(self, scene: Scene) -> None:
        assert scene.target.use in scene.destination.can.uses
        assert all(size >= 1 for size in scene.destination.can.batch.values())

    def test_check_passes_in_good_weather(self, scene: Scene) -> None:
        scene.destination.check()

    def test_prepare_twice_finds_the_same_target(self, scene: Scene) -> None:
        first, second = (scene.destination.prepare(scene.target) for _ in range(2))
        assert first.created
        assert not second.created
        assert second.id == first.id

    def test_people_are_answered_in_order_and_nobody_is_unreachable(self, scene: Scene) -> None:
        known = dict(zip((c.person for c in scene.contacts), (a for _, a in scene.addressed()), strict=True))
        first, *rest = scene.contacts
        mixed = [first, Contact(person=-1), *reversed(rest)]
        answers = scene.destination.address(scene.target, mixed)
        assert len(answers) == len(mixed)
        for contact, answer in zip(mixed, answers, strict=True):
            if contact.person == -1:
                assert isinstance(answer, Unreachable)
                assert answer.code
                assert answer.again > timedelta(0)
            else:
                assert answer == known[contact.person]

    def test_addresses_are_sorted_and_hold_each_identifier_once(self, scene: Scene) -> None:
        for _, address in scene.addressed():
            assert list(address.ids) == sorted(set(address.ids))

    def test_nothing_to_do_is_done_at_once(self, scene: Scene) -> None:
        remote = scene.destination.prepare(scene.target)
        scene.server.sandbox.weather.log.clear()
        assert list(scene.destination.deliver(remote, [])) == []
        assert scene.server.sandbox.weather.log == []

    def test_one_receipt_per_change_and_all_arrive(self, scene: Scene) -> None:
        remote, changes = scene.ready()
        receipts = scene.deliver(remote, changes)
        assert len(receipts) == len(changes)
        assert {receipt.outcome for receipt in receipts} <= DONE
        assert sorted(scene.held()) == sorted(scene.expected(changes))

    def test_the_same_batch_twice_does_no_harm(self, scene: Scene) -> None:
        remote, changes = scene.ready()
        for _ in range(2):
            receipts = scene.deliver(remote, changes)
            assert {receipt.outcome for receipt in receipts} <= DONE
        assert sorted(scene.held()) == sorted(scene.expected(changes))

    def test_a_budget_foretells_the_calls_and_goes_down_by_them(self, scene: Scene) -> None:
        destination, log = scene.destination, scene.server.sandbox.weather.log
        if not isinstance(destination, Budgeted):
            return
        assert 0 <= destination.reserve < 1
        remote, changes = scene.ready()
        before = destination.budget()
        assert before is not None
        log.clear()
        scene.addressed()
        assert len(log) == destination.look_ups(len(scene.contacts))
        scene.deliver(remote, changes)
        foretold = destination.calls(scene.target, {changes[0].verb: len(changes)})
        assert len(log) == destination.look_ups(len(scene.contacts)) + foretold
        after = destination.budget()
        assert after is not None
        assert (after.account, after.limit, after.left) == (before.account, before.limit, before.left - len(log))
        assert after.told > before.told

    def test_a_budget_foretells_the_calls_that_prepare_a_target(self, scene: Scene) -> None:
        """When it has to be made, when it is known by its id, and what is left once a part is done."""
        destination, target, log = scene.destination, scene.target, scene.server.sandbox.weather.log
        if not isinstance(destination, Budgeted):
            return
        assert destination.preparing([]) == 0
        log.clear()
        foretold = destination.preparing([target])
        if isinstance(destination, Adopting) and target.use is Use.AUDIENCE:
            assert destination.look(target) is None
            assert len(log) + destination.preparing([target]) == foretold
        remote = scene.destination.prepare(target)
        assert (remote.created, len(log)) == (True, foretold)
        known = replace(target, known_id=remote.id)
        log.clear()
        foretold = destination.preparing([known])
        scene.destination.prepare(known)
        assert len(log) == foretold

    @pytest.mark.parametrize("weather", PASSING)
    def test_a_passing_fault_loses_and_doubles_nothing(self, scene: Scene, weather: str) -> None:
        remote, changes = scene.ready()
        scene.server.sandbox.weather.add(**PASSING[weather])
        receipts = scene.deliver(remote, changes)
        assert {receipt.outcome for receipt in receipts} <= DONE
        assert sorted(scene.held()) == sorted(scene.expected(changes))

    @pytest.mark.parametrize("door", DOORS)
    @pytest.mark.parametrize("weather", PASSING)
    def test_a_lasting_fault_is_for_later(
        self, scene: Scene, weather: str, door: str, secrets: Sequence[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        error = self._meet(scene, door, {**PASSING[weather], "times": -1}, secrets, caplog)
        if error is None:
            return
        assert isinstance(error, TryLater)
        if "retry_after" in PASSING[weather]:
            assert error.retry_after is not None
            assert error.retry_after >= timedelta(hours=1)

    @pytest.mark.parametrize("door", DOORS)
    def test_a_refused_token_needs_a_human(
        self, scene: Scene, door: str, secrets: Sequence[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        error = self._meet(scene, door, {"kind": "expire_token", "times": -1}, secrets, caplog)
        if error is None:
            return
        assert isinstance(error, NeedsHuman)
        assert error.todo

    @staticmethod
    def _meet(
        scene: Scene, door: str, fault: dict[str, Any], secrets: Sequence[str], caplog: pytest.LogCaptureFixture
    ) -> LeadupError | None:
        """Go through one door in bad weather; return the error, None where the vendor had not to be asked."""
        caplog.set_level(logging.DEBUG)
        destination = scene.destination
        remote, changes = scene.ready() if door == "deliver" else (None, ())
        weather = scene.server.sandbox.weather
        weather.log.clear()
        weather.add(**fault)
        error: LeadupError | None = None
        try:
            if door == "check":
                destination.check()
            elif door == "prepare":
                destination.prepare(scene.target)
            elif door == "address":
                assert len(destination.address(scene.target, scene.contacts)) == len(scene.contacts)
            elif door == "values" and isinstance(destination, Inspectable):
                destination.values([scene.target], scene.contacts)
            elif remote is not None:
                receipts = destination.deliver(remote, changes[: destination.can.batch[changes[0].verb]])
                assert {receipt.outcome for receipt in receipts} == {Outcome.LATER}
        except FAMILIES as raised:
            error = raised
        assert error is not None or door in ("address", "deliver"), f"{door} must ask the vendor"
        assert error is not None or door == "deliver" or weather.log == [], "the vendor failed and nobody was told"
        for secret in secrets:
            assert secret not in f"{error!r} {error}"
            assert secret not in caplog.text
        return error


class DestinationContract(_Laws):
    """The contract, stated for audiences."""

    @pytest.fixture
    def audience(self) -> Target:
        """An audience that does not exist there yet."""
        raise NotImplementedError

    @pytest.fixture
    def members(self, server: Server) -> Callable[[], Sequence[RemoteId]]:
        """A function that returns the identifiers which the vendor's audience holds (none before it exists)."""
        raise NotImplementedError

    @pytest.fixture
    def scene(
        self,
        server: Server,
        destination: Destination,
        audience: Target,
        contacts: Sequence[Contact],
        members: Callable[[], Sequence[RemoteId]],
    ) -> Scene:
        return Scene(server, destination, audience, contacts, joins, members, ids_of)

    def test_who_leaves_is_gone_and_the_others_stay(self, scene: Scene) -> None:
        remote, joined = scene.ready()
        scene.deliver(remote, joined)
        receipts = scene.deliver(remote, leaves(joined[:1]))
        assert len(receipts) == 1
        assert {receipt.outcome for receipt in receipts} <= DONE
        assert sorted(scene.held()) == sorted(ids_of(joined[1:]))

    def test_leaving_where_one_never_was_is_no_error(self, scene: Scene) -> None:
        remote, joined = scene.ready()
        receipts = scene.deliver(remote, leaves(joined))
        assert {receipt.outcome for receipt in receipts} <= DONE
        assert list(scene.held()) == []

    def test_people_come_back(self, scene: Scene) -> None:
        remote, joined = scene.ready()
        scene.deliver(remote, joined)
        scene.deliver(remote, leaves(joined))
        scene.deliver(remote, joined)
        assert sorted(scene.held()) == sorted(ids_of(joined))

    @pytest.mark.parametrize("weather", PASSING)
    def test_a_passing_fault_keeps_nobody_in(self, scene: Scene, weather: str) -> None:
        remote, joined = scene.ready()
        scene.deliver(remote, joined)
        scene.server.sandbox.weather.add(**PASSING[weather])
        receipts = scene.deliver(remote, leaves(joined))
        assert {receipt.outcome for receipt in receipts} <= DONE
        assert list(scene.held()) == []


class ConversionContract(_Laws):
    """The contract for conversions."""

    @pytest.fixture
    def conversion(self) -> Target:
        """A conversion that has nothing reported yet."""
        raise NotImplementedError

    @pytest.fixture
    def conversions(self, server: Server) -> Callable[[], Sequence[tuple[str, int]]]:
        """A function that returns (transaction id, value in minor units) of each conversion the vendor counts."""
        raise NotImplementedError

    @pytest.fixture
    def at(self) -> datetime:
        """When the conversions happened: an instant that the vendor still takes."""
        return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)

    @pytest.fixture
    def scene(
        self,
        server: Server,
        destination: Destination,
        conversion: Target,
        contacts: Sequence[Contact],
        conversions: Callable[[], Sequence[tuple[str, int]]],
        at: datetime,
    ) -> Scene:
        def changes(people: Sequence[tuple[Contact, Address]]) -> Sequence[Change]:
            return [
                Convert(
                    key=f"convert-{contact.person}",
                    person=contact.person,
                    to=address,
                    consent=GRANTED,
                    transaction_id=f"t-{contact.person}",
                    at=at,
                    value=Money(1000 + contact.person, "EUR"),
                )
                for contact, address in people
            ]

        def expected(sent: Sequence[Change]) -> Sequence[tuple[str, int]]:
            return [(c.transaction_id, c.value.minor) for c in sent if isinstance(c, Convert) and c.value]

        return Scene(server, destination, conversion, contacts, changes, conversions, expected)


class PropertyContract(_Laws):
    """The contract for properties of people."""

    @pytest.fixture
    def property_target(self) -> Target:
        """A property that does not exist there yet."""
        raise NotImplementedError

    @pytest.fixture
    def values(self, server: Server) -> Callable[[], Sequence[tuple[RemoteId, str]]]:
        """A function that returns who holds a value of the property, and the value as text."""
        raise NotImplementedError

    @pytest.fixture
    def scene(
        self,
        server: Server,
        destination: Destination,
        property_target: Target,
        contacts: Sequence[Contact],
        values: Callable[[], Sequence[tuple[RemoteId, str]]],
    ) -> Scene:
        def changes(people: Sequence[tuple[Contact, Address]]) -> Sequence[Change]:
            return [
                Upsert(
                    key=f"upsert-{contact.person}",
                    person=contact.person,
                    to=address,
                    consent=GRANTED,
                    properties={property_target.name: 10 + contact.person},
                )
                for contact, address in people
            ]

        def expected(sent: Sequence[Change]) -> Sequence[tuple[RemoteId, str]]:
            return [
                (remote_id, str(change.properties[property_target.name]))
                for change in sent
                if isinstance(change, Upsert)
                for remote_id in change.to.ids
            ]

        return Scene(server, destination, property_target, contacts, changes, values, expected)

    def test_what_is_to_be_cleared_is_cleared_only_where_it_is_ours(self, scene: Scene) -> None:
        remote, written = scene.ready()
        scene.deliver(remote, written)
        name = scene.target.name

        def clear(change: Change, ours: Json) -> Change:
            assert isinstance(change, Upsert)
            return replace(change, key=f"clear-{change.person}", properties={name: None}, ours={name: [ours]})

        first, *others = (change for change in written if isinstance(change, Upsert))
        clears = [clear(first, first.properties[name]), *(clear(other, "somebody else's") for other in others)]
        receipts = scene.deliver(remote, clears)
        assert {receipt.outcome for receipt in receipts} <= DONE
        assert sorted(held for held in scene.held() if held[1]) == sorted(scene.expected(others))

    def test_what_stands_is_told_as_it_was_written(self, scene: Scene) -> None:
        destination = scene.destination
        if not isinstance(destination, Inspectable):
            return
        remote, written = scene.ready()
        name, [untold, *others] = scene.target.name, scene.contacts
        scene.deliver(remote, written[1:])
        before = sorted(scene.held())
        stranger = Contact(person=-1)
        answers = destination.values([scene.target], [stranger, *reversed(others), untold])
        assert len(answers) == len(scene.contacts) + 1
        [nobody, *found, nothing] = answers
        assert isinstance(nobody, Unreachable)
        upserts = [change for change in reversed(written[1:]) if isinstance(change, Upsert)]
        assert found == [{one: {name: change.properties[name]} for one in change.to.ids} for change in upserts]
        assert nothing == {one: {name: None} for one in written[0].to.ids}
        assert sorted(scene.held()) == before, "looking changes nothing"

    def test_people_in_a_row_are_looked_at_together(self, scene: Scene) -> None:
        destination, log = scene.destination, scene.server.sandbox.weather.log
        if not isinstance(destination, Inspectable) or not isinstance(destination, Budgeted):
            return
        scene.ready()
        log.clear()
        destination.values([scene.target, replace(scene.target, name=f"{scene.target.name}_2")], scene.contacts)
        assert len(log) == destination.look_ups(len(scene.contacts))

    @pytest.mark.parametrize("weather", ["503", "no answer"])
    def test_values_that_can_not_be_read_are_for_later(
        self, scene: Scene, weather: str, secrets: Sequence[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        if isinstance(scene.destination, Inspectable):
            error = self._meet(scene, "values", {**PASSING[weather], "times": -1}, secrets, caplog)
            assert isinstance(error, TryLater)
