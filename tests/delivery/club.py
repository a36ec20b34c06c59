"""A club, for tests of audiences: whoever is its member is in the audience."""

from __future__ import annotations

from typing import Any

from delivery.world import DENIED, GRANTED, World, email, hashed, user
from leadup.insights.status import status


def club(more: str = "guard: {max_leave: 100%}") -> str:
    """Rules with the audience, and more words on it."""
    return f"""
version: 1
segments:
  club: {{when: {{person: {{member: "yes"}}}}, activate: [vendor], {more}}}
"""


def tell(world: World, *numbers: int, member: str = "yes", granted: bool = True) -> None:
    """A CRM says of these people whether they are members."""
    for number in numbers:
        consent = GRANTED if granted else DENIED
        world.tell(user(number), email(f"v{number}"), consent=consent, member=member)


def enrol(world: World, *numbers: int, member: str = "yes") -> None:
    """The same, sent at once; then an hour passes."""
    tell(world, *numbers, member=member)
    world.sync()
    world.later(hours=1)


def card(number: int) -> str:
    """By what the vendor knows somebody."""
    return hashed(email(f"v{number}"))


def audience(world: World) -> dict[str, Any]:
    """What ``leadup status`` shows of the audience."""
    with world.store.read() as connection:
        [one] = status(connection)["audiences"]
    return dict(one)
