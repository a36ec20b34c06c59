"""One state, one program, and the Google Ads destination before its emulator: the flow without sources."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from google_scenes import ACTION, connect, sandbox
from sqlalchemy import select

from delivery.world import GRANTED, START, World, email, program, user
from leadup.sandbox import Server
from leadup.state.tables import targets

RULES = program(
    """
version: 1
macro_conversions:
  bought: {event: bought, value: {property: amount, currency: currency}, same_within: 10m}
segments:
  club: {when: {person: {member: "yes"}}, activate: [vendor], guard: {max_leave: 30%}}
conversions:
  sale: {on: bought, activate: [vendor]}
"""
)
LIST = "leadup: club"


class GoogleWorld(World):
    """Time passes here and at the emulator alike."""

    def __init__(self, server: Server, **settings: Any) -> None:
        self.server, self.google = server, sandbox(server)
        self.google.set_clock(START)
        destination: Any = connect(server, conversion_actions={"sale": ACTION}, **settings)
        super().__init__(destination, RULES)

    def later(self, **by: float) -> None:
        super().later(**by)
        self.google.pass_time(timedelta(**by))

    def joins(self, *numbers: int, member: str = "yes") -> None:
        """People tell whether they are members."""
        self.take(*(self.fact(user(n), email(f"p{n}"), consent=GRANTED, member=member) for n in numbers))

    def buys(self, number: int, *, gclid: str = "", amount: int = 10) -> None:
        """Somebody bought, long enough ago for the click to be known; without one it is reported by his address."""
        who, ago = (user(number), email(f"p{number}")), timedelta(hours=7)
        self.did("bought", f"b{number}", *who, consent=GRANTED, gclid=gclid, ago=ago, amount=amount, currency="EUR")

    def send(self) -> None:
        """Judge and deliver."""
        self.tick()
        self.deliver()

    def hear(self) -> None:
        """Let Google work, and ask what became of it."""
        self.google.settle()
        self.courier.poll(self.now, force=True)

    def target(self, use: str) -> Any:
        """The row of the only target of a use."""
        with self.store.read() as connection:
            return connection.execute(select(targets).where(targets.c.use == use)).one()
