"""Worlds of vendors that take so many calls a day."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from delivery.metered_vendor import RULES, Make, Metered
from delivery.world import World, program


@pytest.fixture
def make() -> Iterator[Make]:
    worlds = []

    def made(vendor: Metered) -> World:
        worlds.append(World(vendor, program(RULES)))
        return worlds[-1]

    yield made
    for world in worlds:
        world.close()
