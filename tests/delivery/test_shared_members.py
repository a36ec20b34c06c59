"""Persons who resolve to one remote member: it is there while any of them should be."""

from __future__ import annotations

from delivery.world import GRANTED, World, email, hashed, user


def test_two_who_join_as_one_member_in_one_batch_leave_one_after_the_other() -> None:
    world = World()
    try:
        shared = email("office")
        for number in (1, 2):
            world.tell(user(number), shared, consent=GRANTED, member="yes")
        world.sync()
        assert hashed(shared) in str(world.vendor.members)

        world.later(hours=1)
        world.tell(user(1), member="no")
        world.sync()
        assert hashed(shared) in str(world.vendor.members), "the other one should be there still"

        world.later(hours=1)
        world.tell(user(2), member="no")
        world.sync()
        assert hashed(shared) not in str(world.vendor.members)
    finally:
        world.close()
