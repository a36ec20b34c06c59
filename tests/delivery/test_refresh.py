"""Members are sent again before the vendor forgets them."""

from __future__ import annotations

from datetime import timedelta

from delivery.scripted_vendor import Vendor
from delivery.world import GRANTED, World, email, hashed, user


def test_a_contact_that_the_vendor_makes_late_is_joined_with_the_next_refresh() -> None:
    world = World(Vendor(refresh_after=timedelta(days=9)))
    world.vendor.unknown = {hashed(email("dan"))}
    world.did("login", "l1", user(1), email("dan"))
    world.did("login", "l2", user(1), email("bob"))
    world.tell(user(1), consent=GRANTED, member="yes")
    world.sync()
    assert world.members == {hashed(email("bob"))}
    world.vendor.unknown = set()
    world.later(days=8, hours=23)
    world.sync()
    assert len(world.changes("join")) == 1, "it is not due"
    world.later(hours=1)
    world.sync()
    assert world.members == {hashed(email("bob")), hashed(email("dan"))}
    world.close()
