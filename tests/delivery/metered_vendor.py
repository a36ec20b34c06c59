"""A vendor that takes so many calls a day, and rules for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from math import ceil
from zoneinfo import ZoneInfo

from delivery.scripted_vendor import Vendor
from delivery.world import GRANTED, World, email, user
from leadup.errors import BudgetSpent
from leadup.outgoing import Address, Budget, Change, Contact, Receipt, RemoteTarget, Target, Unreachable

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = "2026-03-01T23:00:00Z"
"""The end of the first day of a :class:`World`, in Berlin."""
RULES = """
version: 1
segments:
  club: {when: {person: {member: "yes"}}, activate: [vendor], guard: {max_leave: 100%}}
  guests: {when: {person: {guest: "yes"}}, activate: [vendor]}
"""


class Metered(Vendor):
    """A vendor that takes so many calls a day, batches of two changes, and finds ten people by a call."""

    def __init__(self, daily: int, reserve: float = 0.1) -> None:
        super().__init__(batch=2)
        self.daily, self.reserve = daily, reserve
        self.left = daily
        self.said: Budget | None = None
        self.told = 0
        self.asked = 0
        """Calls that were made, refused ones among them."""

    def midnight(self) -> None:
        """A new day begins; nobody hears of it before the next call."""
        self.left = self.daily

    def spend(self, calls: int) -> None:
        """Other apps make calls, and one of ours hears of it."""
        self.left -= calls
        self.say()

    def say(self) -> None:
        self.told += 1
        self.said = Budget(account="vendor 1", limit=self.daily, left=self.left, zone=BERLIN, told=self.told)

    def budget(self) -> Budget | None:
        return self.said

    def calls(self, target: Target, changes: Mapping[str, int]) -> int:
        return sum(ceil(count / 2) for count in changes.values())

    def look_ups(self, people: int) -> int:
        return ceil(people / 10)

    def preparing(self, targets: Collection[Target]) -> int:
        return len(targets)

    def creating(self, people: int, batches: Collection[int]) -> int:
        return 0

    def prepare(self, target: Target) -> RemoteTarget:
        self.call(1)
        return super().prepare(target)

    def address(self, target: Target, people: Sequence[Contact]) -> Sequence[Address | Unreachable]:
        self.call(self.look_ups(len(people)))
        return super().address(target, people)

    def deliver(self, to: RemoteTarget, batch: Sequence[Change]) -> Sequence[Receipt]:
        self.call(1)
        return super().deliver(to, batch)

    def call(self, calls: int) -> None:
        self.asked += calls
        try:
            if self.left < calls:
                raise BudgetSpent("The vendor takes no more calls today.", retry_after=timedelta(hours=1))
            self.left -= calls
        finally:
            self.say()


def tell(world: World, *numbers: int, **facts: str) -> None:
    world.take(*(world.fact(user(n), email(f"v{n}"), consent=GRANTED, **facts) for n in numbers))


Make = Callable[[Metered], World]
"""Makes a world in which such a vendor is sent to."""
