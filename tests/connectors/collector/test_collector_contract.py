"""The collector keeps the contract of sources; its other end sends over HTTP, in each format."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from collecting import Door, record
from leadup.kit import Source
from leadup.testing.sources import Feed, SourceContract


class Senders:
    """Send events to the collector, in bodies of every shape."""

    def __init__(self, door: Door, form: str) -> None:
        self._door, self._form, self._count = door, form, 0

    def source(self) -> Source:
        return self._door.source(page_requests=3)

    def add(self, count: int) -> Sequence[Hashable]:
        keys = [f"e{self._count + n}" for n in range(count)]
        self._count += count
        waiting = list(map(self._event, keys))
        while waiting:
            size = 1 + len(waiting) % 3
            body, waiting = waiting[:size], waiting[size:]
            lines = b"\n".join(json.dumps(one).encode() for one in body)
            assert self._door.post(lines if len(waiting) % 2 else body).status == 204
        return keys

    def _event(self, key: str) -> dict[str, Any]:
        if self._form == "leadup":
            return record(key)
        return {"event_name": "page_view", "event_id": key, "client_id": "1.2", "event_time_ms": 1772362800000}


class TestCollector(SourceContract):
    @pytest.fixture(params=["leadup", "gtm_server"])
    def feed(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Feed]:
        with Door(tmp_path, format=request.param) as door:
            yield Senders(door, request.param)
