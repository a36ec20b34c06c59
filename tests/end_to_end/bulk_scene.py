"""A state in which a great many people are to join a list and a great many conversions are to be reported.

Run as a script it delivers them and polls, with the time moved on between, until nothing is left to do, and prints how
much memory that took: ``python bulk_scene.py FOLDER URL``. It loads nothing that a delivering process does not.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Table, insert, select

from leadup.delivery.book import Terms, Want, all_targets, set_targets, set_wants
from leadup.delivery.courier import Courier
from leadup.identity.vault import load_key
from leadup.outgoing import Target, Use
from leadup.state import Store, open_store
from leadup.state.tables import consents, conversions, identifiers, outbox, persons, spans
from leadup.types import EVER, NEVER, Kind, Purpose, to_us
from leadup_connectors.google_ads.destination import GoogleAdsDestination
from leadup_connectors.google_ads.settings import GoogleAdsSettings

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
AUDIENCE = Target(connection="google", use=Use.AUDIENCE, name="warm", remote_name="leadup: warm")
CONVERSION = Target(connection="google", use=Use.CONVERSION, name="sale", remote_name="leadup: sale")
ACTION = "7001"
BAD = 100
"""Every so manieth member, and conversion, is bad."""
AT_ONCE = 10_000


def play(script: str, *arguments: object) -> Mapping[str, Any]:
    """Run a scene in a process of its own; return what it printed."""
    done = subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer: Mapping[str, Any] = json.loads(done.stdout)
    return answer


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def is_bad(number: int) -> bool:
    """Whether a member is."""
    return number % BAD == 7


def trouble_of(sale: int) -> str:
    """Why a conversion is refused: by what is known here, or by what only Google knows."""
    return {11: "bad_identifier", BAD + 11: "INVALID_CURRENCY_CODE"}.get(sale % (2 * BAD), "")


def address(person: int, members: int) -> str:
    """The hash somebody goes by; a bad one's is none. Those who buy come after the members."""
    bad = is_bad(person) if person <= members else trouble_of(person - members) == "bad_identifier"
    return f"no-hash-{person}" if bad else sha256(f"p{person}@example.com")


def currency(sale: int) -> str:
    """Well formed; of some no money."""
    return "XTS" if trouble_of(sale) == "INVALID_CURRENCY_CODE" else "EUR"


def prepare(folder: Path, members: int, sales: int) -> None:
    """Write the state: people with consent, and what is wanted of them."""
    store = open_store(f"sqlite:///{folder}/state.db", folder)
    load_key(folder)
    at_us = to_us(AT)
    numbers = range(1, members + sales + 1)
    purposes = (Purpose.AD_USER_DATA, Purpose.AD_PERSONALIZATION)
    fill(store, persons, ({"id": n} for n in numbers))
    fill(
        store,
        identifiers,
        ({"id": n, "kind": Kind.EMAIL, "value": address(n, members), "first_us": at_us} for n in numbers),
    )
    fill(store, spans, ({"identifier": n, "from_us": EVER, "until_us": NEVER, "person": n} for n in numbers))
    granted = ({"anchor": n, "purpose": p, "at_us": at_us, "granted": True} for n in numbers for p in purposes)
    fill(store, consents, granted)
    bought = (
        {
            "name": "sale",
            "person": members + n,
            "transaction_id": f"t{n}",
            "opened_us": at_us,
            "events": ["e"],
            "minor": n,
            "currency": currency(n),
            "click_ids": {"gclid": f"Cj{n}"},
            "consent": {},
        }
        for n in range(1, sales + 1)
    )
    fill(store, conversions, bought)
    with store.write() as connection:
        terms = Terms(needs=frozenset({Kind.EMAIL}), purposes=frozenset(purposes))
        of_sale = replace(terms, purposes=frozenset({Purpose.AD_USER_DATA}), click_ids=frozenset({"gclid"}))
        set_targets(connection, {AUDIENCE: terms, CONVERSION: of_sale}, at_us)
        audience, sale = all_targets(connection)
        for part in _parts(range(1, members + 1)):
            set_wants(connection, audience, [Want(str(n), n, "b", "in the segment") for n in part], at_us)
        for part in _parts(range(1, sales + 1)):
            wants = [Want(f"t{n}", members + n, {"minor": n, "currency": currency(n)}, "happened") for n in part]
            set_wants(connection, sale, wants, at_us)
    store.close()


def fill(store: Store, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    """Write rows, a part at a time."""
    while part := list(islice(rows, AT_ONCE)):
        with store.write() as connection:
            connection.execute(insert(table), part)


def _parts(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), AT_ONCE):
        yield numbers[start : start + AT_ONCE]


def peak() -> float:
    """The most memory this process had, in MiB. On Linux it takes over its starter's ``ru_maxrss``, but not this."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main(folder: Path, url: str) -> None:
    started = time.process_time()
    settings = {
        "operating_account": "1234567890",
        "base_url": url,
        "terms_accepted": True,
        "conversion_actions": {"sale": ACTION},
    }
    destination = GoogleAdsDestination("google", GoogleAdsSettings.model_validate(settings))
    store, now = open_store(f"sqlite:///{folder}/state.db", folder), AT
    courier = Courier(store, load_key(folder), {"google": destination})
    passes, trouble = 0, list[str]()
    while passes < 200:
        passes += 1
        said = [report.error for report in courier.deliver(now) if report.error]
        trouble += said
        courier.poll(now)
        with store.read() as connection:
            live = outbox.c.state.in_(["pending", "sending", "accepted"])
            if connection.scalar(select(outbox.c.id).where(live).limit(1)) is None:
                break
        now += timedelta(minutes=10)
    store.close()
    sys.stdout.write(
        json.dumps({"mib": peak(), "passes": passes, "cpu": time.process_time() - started, "trouble": trouble}) + "\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
