"""The invented site: a seeded cast of visitors, and the files that tell of them, day by day."""

from __future__ import annotations

import gzip
import itertools
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, Final

from leadup.demo.cast import CAST, becomes_a_story
from leadup.demo.truth import FOREVER
from leadup.demo.visitors import BEGIN, DAYS, Calendar, Visitor

FIRST: Final = (
    "alma", "bo", "cleo", "dag", "edda", "finn", "greta", "hugo", "ines", "jonas", "kaja", "leo",
    "mila", "nils", "olga", "pia", "rosa", "sami", "tilda", "ulf", "vera", "wim", "yara", "zoe",
)  # fmt: skip
COMPANIES: Final = ("borealis", "kiwano", "lumen-works", "nordlicht", "orchard", "pendel", "quarry", "sundial")
HEROINE: Final = "ada@tidewater.example"
VISITORS: Final = 150
STRANGERS: Final = 12
"""Contacts of HubSpot that never visit the site."""


@dataclass(frozen=True, slots=True)
class Drop:
    """What comes at one instant."""

    at: datetime
    files: tuple[tuple[str, bytes], ...] = ()
    """Name in the watched folder, and content."""
    contacts: tuple[str, ...] = ()
    """Addresses that HubSpot comes to know."""


@dataclass(frozen=True, slots=True)
class World:
    """A seed's visitors, with all that is known of them beforehand."""

    seed: int
    visitors: tuple[Visitor, ...]
    drops: tuple[Drop, ...]
    rejected: tuple[str, ...]
    """Why the bad rows must be rejected, in part."""
    repeated: int
    """Rows that come twice."""
    nobody: int
    """Events that tell nobody."""
    events: int
    """Events, each once."""
    facts: int

    @property
    def heroine(self) -> Visitor:
        """The one whose story is told."""
        return next(her for her in self.visitors if her.email == HEROINE)


def make_world(seed: int, visitors: int = VISITORS) -> World:
    """Invent a world of about so many visitors, one of each kind at least. A seed gives the same to the byte."""
    rng = random.Random(f"leadup demo {seed}")  # noqa: S311 - invented people, no secrets
    calendar = Calendar(late=rng.randrange(9, 19))
    cast = _cast(rng, calendar, visitors / VISITORS)
    rows = _rows(cast)
    nobody = _nameless(rng, rows)
    rejected = _spoil(rng, rows)
    repeated = _repeat(rng, rows, calendar)
    return World(
        seed=seed,
        visitors=tuple(cast),
        drops=tuple(_drops(cast, rows, calendar)),
        rejected=rejected,
        repeated=repeated,
        nobody=nobody,
        events=sum(len(her.events) + sum("name" in line for line in her.told) for her in cast) + nobody,
        facts=sum("facts" in line for her in cast for line in her.told),
    )


# ---------------------------------------------------------------- visitors


def _cast(rng: random.Random, calendar: Calendar, scale: float) -> list[Visitor]:
    names = _names(rng)
    heroine = Visitor("heroine", calendar, client="c.ada", user="u.ada", email=HEROINE, hubspot=BEGIN, gclid="Cj0-ada")
    becomes_a_story(heroine, rng, 2)
    visitors = [heroine]
    for kind, play, count, last in CAST:
        for _ in range(_scaled(count, scale)):
            her = _visitor(rng, calendar, kind, len(visitors), names)
            play(her, rng, rng.randrange(last + 1))
            visitors.append(her)
    for number in range(_scaled(3, scale)):
        visitors += _pair(rng, calendar, number, names)
    return visitors


def _scaled(count: int, scale: float) -> int:
    return max(1, round(count * scale))


def _names(rng: random.Random) -> Iterator[str]:
    """Addresses, none of them twice."""
    names = list(product(FIRST, COMPANIES))
    rng.shuffle(names)
    for more in itertools.count():
        yield from (f"{first}{more or ''}@{company}.example" for first, company in names)


def _visitor(rng: random.Random, calendar: Calendar, kind: str, number: int, names: Iterator[str]) -> Visitor:
    her = Visitor(kind, calendar, client=f"c.{number}", gclid=f"Cj0-{number}" if rng.random() < 0.4 else "")
    her.consent = rng.choices((True, False, None), (70, 15, 15))[0]
    told = kind != "passer-by" and (rng.random() < 0.75 or kind in _TELLS)
    if told:
        her.user, her.email, her.signed_in = f"u.{number}", next(names), BEGIN
        later = BEGIN + timedelta(days=rng.randrange(8, 20), hours=rng.randrange(8, 18), minutes=rng.randrange(60))
        her.hubspot = rng.choices((BEGIN, later, None), (80, 6, 14))[0]
        if her.hubspot == BEGIN and rng.random() < 0.5:
            her.becomes("lead", BEGIN - timedelta(days=rng.randrange(60, 300)))
    if kind == "who withdraws consent":
        her.consent = True
    if kind == "quick finisher" and not told:
        her.gclid, her.consent = f"Cj0-{number}", True
    return her


_TELLS: Final = frozenset(
    {
        "watcher who becomes a customer",
        "watching customer",
        "watcher who signs in later",
        "watcher with a phone",
        "who withdraws consent",
        "who wants it",
    }
)
"""Kinds that can not be played by somebody who never tells who she is."""


def _pair(rng: random.Random, calendar: Calendar, number: int, names: Iterator[str]) -> tuple[Visitor, Visitor]:
    """Two people at one browser: what comes before the first login is hers, what comes after the second is his."""
    day, client = rng.randrange(18), f"c.shared-{number}"

    def at(days: int, hour: int) -> datetime:
        return _on(day + days) + timedelta(hours=hour, minutes=rng.randrange(60), seconds=rng.randrange(60))

    hers = Visitor("first at a shared browser", calendar, client, f"u.first-{number}", next(names), hubspot=BEGIN)
    his = Visitor("second at a shared browser", calendar, client, f"u.second-{number}", next(names), hubspot=BEGIN)
    seen = hers.watches(at(0, 15))
    hers.signed_in = at(1, 9)
    hers.does("login", hers.signed_in)
    hers.expect("watched_no_demo", (seen, FOREVER))
    login, first, second = at(2, 9), at(2, 15), at(4, 15)
    his.signed_in = login
    his.does("login", login)
    his.compares(first)
    his.signed_in = FOREVER
    known = his.compares(second)  # without a login: the browser is his by now
    his.expect("pricing_twice", (known, first + timedelta(days=7)))
    return hers, his


def _on(day: int) -> datetime:
    return BEGIN + timedelta(days=day)


# ---------------------------------------------------------------- rows


def _rows(visitors: Sequence[Visitor]) -> dict[int, list[str]]:
    """Lines of the site's files by day; ids in the order of time."""
    events = sorted((e for her in visitors for e in her.events), key=lambda e: (e["at"], e["identifiers"]["client_id"]))
    rows: dict[int, list[str]] = defaultdict(list)
    for number, event in enumerate(events, 1):
        day = (datetime.fromisoformat(event["at"]) - BEGIN).days
        rows[day].append(_line({"id": f"e{number}", **event}))
    return rows


def _nameless(rng: random.Random, rows: dict[int, list[str]]) -> int:
    """Add events of a browser whose client id got lost."""
    for number, day in enumerate(days := sorted(rng.sample(range(DAYS), 4)), 1):
        at = (_on(day) + timedelta(hours=12, seconds=number)).isoformat()
        event = {"id": f"n{number}", "name": "page_view", "at": at, "identifiers": {"client_id": "undefined"}}
        rows[day].append(_line({**event, "properties": {"path": "/pricing"}}))
    return len(days)


def _spoil(rng: random.Random, rows: dict[int, list[str]]) -> tuple[str, ...]:
    """Add a row that breaks off, and one without a time."""
    first, second = rng.sample(range(DAYS), 2)
    rows[first].insert(rng.randint(0, len(rows[first])), '{"id": "b1", "name": "page_view", "at": "2026-03-')
    rows[second].append(_line({"id": "b2", "name": "page_view", "identifiers": {"client_id": "c.1"}}))
    return ("not JSON", '"at" is missing')


def _repeat(rng: random.Random, rows: dict[int, list[str]], calendar: Calendar) -> int:
    """Repeat a day's last demo request in the next day's file."""
    days = [day for day in range(DAYS - 1) if calendar.late not in (day, day + 1) and _requests(rows[day])]
    day = rng.choice(days)
    rows[day + 1].insert(0, _requests(rows[day])[-1])
    return 1


def _requests(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if '"generate_lead"' in line]


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False)


# ---------------------------------------------------------------- files


def _drops(visitors: Sequence[Visitor], rows: dict[int, list[str]], calendar: Calendar) -> list[Drop]:
    """Each day's file in the night after it; every third is gzipped, and one comes a day late."""
    files: dict[datetime, list[tuple[str, bytes]]] = defaultdict(list)
    contacts: dict[datetime, list[str]] = defaultdict(list)
    for day in range(DAYS):
        packed = day % 3 == 2
        name = f"site/{_on(day):%Y-%m-%d}.jsonl{'.gz' if packed else ''}"
        files[calendar.known(_on(day))].append((name, _content(rows[day], packed=packed)))
    told: dict[datetime, list[tuple[str, str]]] = defaultdict(list)
    for her in visitors:
        for line in her.told:
            told[calendar.told(datetime.fromisoformat(line["at"]))].append((line["at"], _line(line)))
        if her.hubspot is not None:
            contacts[her.hubspot].append(her.email)
    contacts[BEGIN] += [f"contact{number}@harbour.example" for number in range(STRANGERS)]
    for at, lines in told.items():
        files[at].append((f"crm/{at:%Y-%m-%d}.jsonl", _content([line for _, line in sorted(lines)], packed=False)))
    instants = sorted({*files, *contacts})
    return [Drop(at, tuple(sorted(files[at])), tuple(contacts[at])) for at in instants]


def _content(lines: Sequence[str], *, packed: bool) -> bytes:
    content = "".join(f"{line}\n" for line in lines).encode()
    return gzip.compress(content, mtime=0) if packed else content


def put(drop: Drop, folder: Path) -> None:
    """Let the files appear in the folder, each whole or not at all."""
    for name, content in drop.files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.part")
        draft.write_bytes(content)
        draft.replace(path)
