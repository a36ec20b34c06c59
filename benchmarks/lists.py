"""How many calls, and how much work, it takes to put people into lists of HubSpot.

    python benchmarks/lists.py --contacts 5000 --lists 10

Baseline: a script that a careful engineer would write with hubspot-api-client. List by list it looks people up by 100,
adds them by 500, and remembers nothing. leadup looks everybody up once, plans, guards, and writes a ledger of it.
The emulator answers both, in a process of its own. Times are CPU seconds of the delivering process.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hubspot import HubSpot
from hubspot.crm.lists import MembershipsApi
from pydantic import SecretStr
from sqlalchemy import insert

from leadup.delivery.book import Terms, Want, all_targets, set_targets, set_wants
from leadup.delivery.courier import Courier
from leadup.delivery.planning import plan_all
from leadup.identity.vault import Vault, load_key
from leadup.sandbox import Server
from leadup.state import Store, open_store
from leadup.state.store import chunks
from leadup.state.tables import identifiers, persons, spans, vault
from leadup.types import EVER, NEVER, Kind, Target, Use, to_us
from leadup_connectors.hubspot.destination import HubSpotDestination
from leadup_connectors.hubspot.sandbox import HubSpotSandbox
from leadup_connectors.hubspot.settings import HubSpotSettings

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOKEN = "pat-eu1-5ec7e7"
LOOK_UP, CHUNK = 100, 500


def email(person: int) -> str:
    return f"p{person}@example.com"


def members(number: int, contacts: int) -> list[int]:
    """Who is to be in a list: two in five of all."""
    return random.Random(number).sample(range(1, contacts + 1), contacts * 2 // 5)


# ---------------------------------------------------------------- the vendor


def serve(contacts: int, line: Connection) -> None:
    hubspot = HubSpotSandbox(token=TOKEN)
    for person in range(1, contacts + 1):
        hubspot.add_contact(email(person))
    with Server(hubspot) as server:
        line.send(server.url)
        line.recv()
        joined = sum(one.verb == "join" and one.effective for one in hubspot.asked)
        line.send((len(hubspot.weather.log), joined))


@contextmanager
def vendor(contacts: int) -> Iterator[tuple[str, Callable[[], tuple[int, int]]]]:
    """Yield an emulator's address, and what tells in the end how many calls and how many new members it saw."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(contacts, there))
    process.start()

    def seen() -> tuple[int, int]:
        here.send("done")
        calls, joined = here.recv()
        return int(calls), int(joined)

    yield here.recv(), seen
    process.join()


# ---------------------------------------------------------------- the two ways


def by_script(url: str, contacts: int, lists: int) -> None:
    """Fill the lists by the plain script."""
    sdk = HubSpot(access_token=TOKEN, host=url)
    lists_api, batch = sdk.crm.lists.lists_api, sdk.crm.contacts.batch_api
    memberships = MembershipsApi(lists_api.api_client)
    for number in range(lists):
        name = f"script: s{number}"
        made = lists_api.create({"name": name, "objectTypeId": "0-1", "processingType": "MANUAL"})
        ids: list[str] = []
        for part in chunks(members(number, contacts), LOOK_UP):
            asked = {"idProperty": "email", "properties": ["email"], "propertiesWithHistory": []}
            found = batch.read({**asked, "inputs": [{"id": email(person)} for person in part]})
            ids += [one.id for one in found.results]
        for some in chunks(ids, CHUNK):
            memberships.add(made.list.list_id, some)


def prepare(folder: Path, contacts: int, lists: int) -> tuple[Store, Vault]:
    """Write a state in which everybody is wanted where he is to be."""
    store, key = open_store(f"sqlite:///{folder}/state.db", folder), load_key(folder)
    numbers = range(1, contacts + 1)
    rows: list[tuple[Any, list[dict[str, Any]]]] = [
        (persons, [{"id": n} for n in numbers]),
        (identifiers, [{"id": n, "kind": Kind.EMAIL, "value": _sha256(email(n)), "first_us": 0} for n in numbers]),
        (spans, [{"identifier": n, "from_us": EVER, "until_us": NEVER, "person": n} for n in numbers]),
        (vault, [{"identifier": n, "cipher": key.encrypt(SecretStr(email(n)))} for n in numbers]),
    ]
    wanted = [
        Target(connection="hubspot", use=Use.AUDIENCE, name=f"s{n:03}", remote_name=f"leadup: s{n}")
        for n in range(lists)
    ]
    with store.write() as connection:
        for table, some in rows:
            connection.execute(insert(table), some)
        set_targets(connection, dict.fromkeys(wanted, Terms(needs=frozenset({Kind.EMAIL}))), to_us(AT))
        for number, target in enumerate(all_targets(connection)):
            wants = [Want(str(n), n, "b", "in the segment") for n in members(number, contacts)]
            set_wants(connection, target, wants, to_us(AT))
        plan_all(connection, all_targets(connection), to_us(AT))
    return store, key


def by_leadup(url: str, store: Store, key: Vault) -> None:
    """Fill the lists by the courier."""
    settings = HubSpotSettings(access_token=SecretStr(TOKEN), base_url=url)
    courier = Courier(store, key, {"hubspot": HubSpotDestination("hubspot", settings)})
    trouble = [report.error for report in courier.deliver(AT) if report.error]
    if trouble:
        raise SystemExit(trouble[0])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# ---------------------------------------------------------------- measuring


def measure(contacts: int, lists: int, work: Callable[[str], None]) -> tuple[float, int]:
    """CPU seconds and calls of filling empty lists."""
    with vendor(contacts) as (url, seen):
        begin = time.process_time()
        work(url)
        seconds = time.process_time() - begin
        calls, joined = seen()
    wanted = sum(len(members(number, contacts)) for number in range(lists))
    if joined != wanted:
        raise SystemExit(f"{joined:,} people joined, not {wanted:,}: something else was measured.")
    return seconds, calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contacts", type=int, default=10_000)
    parser.add_argument("--lists", type=int, default=10)
    options = parser.parse_args()
    contacts, lists = options.contacts, options.lists
    theirs, their_calls = measure(contacts, lists, lambda url: by_script(url, contacts, lists))
    with tempfile.TemporaryDirectory() as folder:
        store, key = prepare(Path(folder), contacts, lists)
        ours, our_calls = measure(contacts, lists, lambda url: by_leadup(url, store, key))
        store.close()
    rows = sum(len(members(number, contacts)) for number in range(lists))
    show("baseline: a script with hubspot-api-client", theirs, their_calls, rows, [1.0, 1.0])
    show("leadup, with plan, guards and ledger", ours, our_calls, rows, [our_calls / their_calls, ours / theirs])


def show(name: str, seconds: float, calls: int, rows: int, ratios: Sequence[float]) -> None:
    of_calls, of_time = ratios
    print(f"{name:<44} {calls:8,} calls {of_calls:5.2f} x {seconds:8.3f} s {rows:10,} joins {of_time:8.2f} x")


if __name__ == "__main__":
    main()
