"""How fast rows are planned, and built into requests to the Data Manager API.

    python benchmarks/delivery.py --rows 50000

Building is set against Google's own proto-plus classes, which build the same requests; planning against a plain insert
of the very rows that it writes, into a state of the same tables. Times are CPU seconds, the fastest of each.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.ads import datamanager_v1 as v1
from sqlalchemy import delete, insert, select

from leadup.delivery.book import Terms, Want, all_targets, set_targets, set_wants
from leadup.delivery.planning import plan_all
from leadup.outgoing import Address, Convert, Join, RemoteId, Target, Use
from leadup.state import Store, open_store
from leadup.state.store import chunks
from leadup.state.tables import ledger, outbox
from leadup.types import Money, Purpose, to_us
from leadup_connectors.google_ads.client.data_manager import DataManager, Taken
from leadup_connectors.google_ads.settings import GoogleAdsSettings

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
AUDIENCE = Target(connection="google", use=Use.AUDIENCE, name="warm", remote_name="leadup: warm")
CONSENT = {Purpose.AD_USER_DATA: True, Purpose.AD_PERSONALIZATION: True}
SETTINGS = GoogleAdsSettings(operating_account="1234567890", base_url="http://127.0.0.1:9", terms_accepted=True)
MEMBERS, EVENTS = 10_000, 2_000


class Building(DataManager):
    """Builds requests, and sends none."""

    built = 0

    def _send(self, doing: str, call: Callable[..., Any], kind: Any, request: Any) -> Taken:
        self.built += request.ByteSize()
        return Taken("", {})


def address(number: int) -> Address:
    kinds = ("email_sha256", "phone_sha256")
    return Address(tuple(RemoteId(kind, hashlib.sha256(f"{kind}{number}".encode()).hexdigest()) for kind in kinds))


def joins(count: int) -> list[Join]:
    return [Join(key=f"j{n}", person=n, to=address(n), consent=CONSENT) for n in range(count)]


def converts(count: int) -> list[Convert]:
    common: dict[str, Any] = {"at": AT, "value": Money(1050, "EUR"), "consent": CONSENT}
    return [
        Convert(key=f"c{n}", person=n, to=address(n), transaction_id=f"t{n}", click_ids={"gclid": f"Cj{n}"}, **common)
        for n in range(count)
    ]


# ---------------------------------------------------------------- the baselines


def _plus_consent() -> Any:
    granted = v1.ConsentStatus.CONSENT_GRANTED
    return v1.Consent(ad_user_data=granted, ad_personalization=granted)


def _plus_user(to: Address) -> Any:
    email, phone = to.ids
    return v1.UserData(
        user_identifiers=[
            v1.UserIdentifier(email_address=email.value),
            v1.UserIdentifier(phone_number=phone.value),
        ]
    )


def plus_members(rows: Sequence[Join]) -> int:
    members = [v1.AudienceMember(user_data=_plus_user(row.to), consent=_plus_consent()) for row in rows]
    return len(members)


def plus_events(rows: Sequence[Convert]) -> int:
    events = [
        v1.Event(
            transaction_id=row.transaction_id,
            event_source=v1.EventSource.WEB,
            event_timestamp=row.at,
            ad_identifiers=v1.AdIdentifiers(gclid=row.click_ids["gclid"]),
            user_data=_plus_user(row.to),
            conversion_value=row.value.major if row.value else 0.0,
            currency="EUR",
            consent=_plus_consent(),
        )
        for row in rows
    ]
    return len(events)


def insert_plainly(store: Store, rows: Sequence[dict[str, Any]]) -> None:
    with store.write() as connection:
        for part in chunks(rows):
            connection.execute(insert(outbox), part)


# ---------------------------------------------------------------- measuring


def cpu(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def planning(count: int, folder: Path) -> tuple[float, float]:
    """CPU seconds of planning so many joins, and of inserting the rows that came of it."""
    store, at_us = open_store(f"sqlite:///{folder}/state.db", folder), to_us(AT)
    with store.write() as connection:
        set_targets(connection, {AUDIENCE: Terms()}, at_us)
        [target] = all_targets(connection)
        set_wants(connection, target, [Want(str(n), n, "b", "in the segment") for n in range(count)], at_us)

    def plan() -> None:
        with store.write() as connection:
            plan_all(connection, all_targets(connection), at_us)

    planned = cpu(plan)
    with store.write() as connection:
        rows = [dict(row) for row in connection.execute(select(outbox)).mappings()]
        connection.execute(delete(outbox))
        connection.execute(delete(ledger))
    if len(rows) != count:
        raise SystemExit(f"{len(rows):,} rows were planned, not {count:,}: something else was measured.")
    inserted = cpu(lambda: insert_plainly(store, rows))
    store.close()
    return planned, inserted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--times", type=int, default=3, help="take the fastest of so many")
    options = parser.parse_args()
    api, members, events = Building(SETTINGS), joins(options.rows), converts(options.rows)
    pairs: list[tuple[str, str, Callable[[], object], Callable[[], object]]] = [
        (
            "members",
            "members by proto-plus",
            lambda: [api.ingest_members("1", part) for part in chunks(members, MEMBERS)],
            lambda: [plus_members(part) for part in chunks(members, MEMBERS)],
        ),
        (
            "conversions",
            "conversions by proto-plus",
            lambda: [api.ingest_events("1", part) for part in chunks(events, EVENTS)],
            lambda: [plus_events(part) for part in chunks(events, EVENTS)],
        ),
    ]
    for name, baseline, build, rival in pairs:
        ours, theirs = (min(cpu(work) for _ in range(options.times)) for work in (build, rival))
        show(f"baseline: {baseline}", options.rows, theirs, 1.0)
        show(f"build requests of {name}", options.rows, ours, ours / theirs)
    measured = []
    for _ in range(options.times):
        with tempfile.TemporaryDirectory() as folder:
            measured.append(planning(options.rows, Path(folder)))
    planned, inserted = (min(column) for column in zip(*measured, strict=True))
    show("baseline: plain insert of the planned rows", options.rows, inserted, 1.0)
    show("plan joins, with the ledger", options.rows, planned, planned / inserted)


def show(name: str, rows: int, seconds: float, ratio: float) -> None:
    print(f"{name:<44} {seconds:8.3f} s {rows / max(seconds, 1e-9):12,.0f} rows/s {ratio:8.2f} x")


if __name__ == "__main__":
    main()
