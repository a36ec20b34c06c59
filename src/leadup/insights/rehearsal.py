"""``leadup rules try``: judges rules over records with no state at all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from leadup.engine.gather import gather
from leadup.engine.kernel import judge
from leadup.identity import people
from leadup.identity.normalise import normalise
from leadup.identity.vault import Vault
from leadup.insights.words import instant
from leadup.normal import email_address, phone_number
from leadup.pipeline import Pipeline
from leadup.rules.lists import Listing
from leadup.rules.program import Program
from leadup.state import open_store
from leadup.types import Event, Fact, Identifier, Kind, Page, to_us

PAGE = 5_000


def try_rules(
    program: Program,
    records: Sequence[Event | Fact],
    at: datetime,
    region: str | None = None,
    lists: Mapping[str, Listing] | None = None,
) -> dict[str, Any]:
    """Judge a program over records, taken as complete up to ``at``, in a state that is thrown away.

    Members are verdicts after ``exclude`` and groups; consent and holdout do not apply. Each is named by the strongest
    identifier, as the records gave it.
    """
    records = _latest(records)
    names = _as_given(records, region)
    with tempfile.TemporaryDirectory(prefix="leadup-try-") as folder:
        store = open_store("sqlite://", Path(folder))
        pipeline = Pipeline(store, Vault(Fernet.generate_key().decode()), program, region=region)
        pipeline.use(program, {}, at, lists)
        for start in range(0, len(records), PAGE):
            pipeline.take("try", Page(records=records[start : start + PAGE], cursor={}), at)
        with store.read() as connection:
            everyone = people.everyone(connection)
            tables = gather(connection, program, everyone)
            marks = dict.fromkeys(program.patterns, to_us(at))
            table = judge(program, *tables, at=to_us(at), watermarks=marks)
            strongest = people.strongest(connection, everyone)
        store.close()
    rows = table.to_pylist()
    segments = {}
    for name in program.segments:
        members = [
            {
                "person": names.get(strongest[row["person"]], strongest[row["person"]].value),
                "until": instant(row[f"until:{name}"]),
            }
            for row in rows
            if row[f"in:{name}"]
        ]
        segments[name] = {"members": sorted(members, key=lambda member: str(member["person"]))}
    return {"at": instant(to_us(at)), "people": len(rows), "segments": segments}


def _latest(records: Sequence[Event | Fact]) -> list[Event | Fact]:
    """The records without events of which a later revision follows, however far: who only they name was never seen."""
    last = {(one.source, one.id): place for place, one in enumerate(records) if isinstance(one, Event)}
    return [one for place, one in enumerate(records) if not isinstance(one, Event) or last[one.source, one.id] == place]


def _as_given(records: Iterable[Event | Fact], region: str | None) -> dict[Identifier, str]:
    """The text of each identifier that is hashed or may be, as the records themselves hold it in the clear."""
    readable: dict[Kind, Callable[[str], str | None]] = {
        Kind.EMAIL: email_address,
        Kind.PHONE: lambda raw: phone_number(raw, region),
        Kind.USER_ID: str.strip,
    }
    found = {}
    for record in records:
        for identifier in record.identifiers:
            read = readable.get(identifier.kind)
            sealed = normalise(identifier.kind, identifier.value, region=region) if read else None
            plain = read(identifier.value) if read else None
            if sealed and plain:
                found[Identifier(identifier.kind, sealed)] = plain
    return found
