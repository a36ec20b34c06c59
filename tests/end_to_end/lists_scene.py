"""A state in which a great many people are to be in many lists of HubSpot, and some are to change places later.

Run as a script it delivers until nothing is left to do, lets people change places, delivers that, and prints how much
memory it took: ``python lists_scene.py FOLDER URL CONTACTS``. It loads nothing that a delivering process does not.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bulk_scene import fill, peak
from pydantic import SecretStr
from sqlalchemy import select, update

from leadup.delivery.book import Terms, Want, all_targets, set_targets, set_wants
from leadup.delivery.courier import Courier
from leadup.delivery.planning import plan_all
from leadup.identity.vault import load_key
from leadup.outgoing import Target, Use
from leadup.state import Store, open_store
from leadup.state.store import chunks
from leadup.state.tables import identifiers, outbox, persons, spans, targets, vault
from leadup.types import EVER, NEVER, Kind, to_us
from leadup_connectors.hubspot.destination import HubSpotDestination
from leadup_connectors.hubspot.settings import HubSpotSettings

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOKEN = "pat-eu1-5ec7e7"
UNKNOWN = 100
"""Every so manieth person has no contact at HubSpot."""
AT_ONCE = 10_000


def email(person: int) -> str:
    return f"p{person}@example.com"


def is_known(person: int) -> bool:
    """Whether HubSpot has a contact."""
    return person % UNKNOWN != 7


def name_of(number: int) -> str:
    """A list's name at HubSpot."""
    return f"leadup: s{number:02}"


def wanted(number: int, contacts: int, *, later: bool) -> set[int]:
    """Who is to be in a list: one in ten of all, and later one in ten of these has given way to somebody else."""
    rng = random.Random(number)
    everybody = range(1, contacts + 1)
    first = rng.sample(everybody, contacts // 10)
    if not later:
        return set(first)
    gone = set(rng.sample(first, len(first) // 10))
    others = sorted(set(everybody) - set(first))
    return set(first) - gone | set(rng.sample(others, len(gone)))


def prepare(folder: Path, contacts: int, lists: int, made: str) -> None:
    """Write the state: people with their addresses, and what is wanted of them. ``made``: the id of the first list."""
    store, key = open_store(f"sqlite:///{folder}/state.db", folder), load_key(folder)
    numbers = range(1, contacts + 1)
    fill(store, persons, ({"id": n} for n in numbers))
    known = ({"id": n, "kind": Kind.EMAIL, "value": _sha256(email(n)), "first_us": to_us(AT)} for n in numbers)
    fill(store, identifiers, known)
    fill(store, spans, ({"identifier": n, "from_us": EVER, "until_us": NEVER, "person": n} for n in numbers))
    fill(store, vault, ({"identifier": n, "cipher": key.encrypt(SecretStr(email(n)))} for n in numbers))
    segments = [
        Target(connection="hubspot", use=Use.AUDIENCE, name=f"s{n:02}", remote_name=name_of(n)) for n in range(lists)
    ]
    with store.write() as connection:
        set_targets(connection, dict.fromkeys(segments, Terms(needs=frozenset({Kind.EMAIL}))), to_us(AT))
        first = targets.c.name == segments[0].name
        connection.execute(update(targets).where(first).values(remote_id=made))
    want(store, contacts, AT, later=False)
    store.close()


def want(store: Store, contacts: int, now: datetime, *, later: bool) -> None:
    """Have everybody wanted where he is to be, and planned."""
    with store.read() as connection:
        found = all_targets(connection)
    for number, target in enumerate(found):
        with store.write() as connection:
            for part in chunks(_wants(number, contacts, later=later), AT_ONCE):
                set_wants(connection, target, part, to_us(now))
            plan_all(connection, [target], to_us(now))


def _wants(number: int, contacts: int, *, later: bool) -> Iterator[Want]:
    now = wanted(number, contacts, later=later)
    before = wanted(number, contacts, later=False) if later else set()
    for person in sorted(now ^ before):
        yield Want(str(person), person, "b" if person in now else None, "moved" if later else "in the segment")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def deliver(store: Store, courier: Courier, now: datetime) -> datetime:
    """Deliver until nothing is due for hours, with the time moved on between."""
    for _ in range(60):
        courier.deliver(now)
        soon = outbox.c.state.in_(["pending", "sending"]) & (outbox.c.next_us < to_us(now + timedelta(hours=6)))
        with store.read() as connection:
            if connection.scalar(select(outbox.c.id).where(soon).limit(1)) is None:
                break
        now += timedelta(minutes=1)
    return now


def main(folder: Path, url: str, contacts: int) -> None:
    settings = {"access_token": TOKEN, "base_url": url, "pause": 0.01}
    store = open_store(f"sqlite:///{folder}/state.db", folder)
    destination = HubSpotDestination("hubspot", HubSpotSettings.model_validate(settings))
    courier = Courier(store, load_key(folder), {"hubspot": destination})
    now = deliver(store, courier, AT) + timedelta(hours=1)
    first = peak()
    want(store, contacts, now, later=True)
    deliver(store, courier, now)
    store.close()
    sys.stdout.write(json.dumps({"first": first, "mib": peak()}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
