"""The invented site: a seeded cast of visitors, and who tells of them: GA4, the tag server, the CRM, HubSpot."""

from __future__ import annotations

import itertools
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, Final

from leadup.demo.cast import CAST, becomes_a_story
from leadup.demo.truth import FOREVER
from leadup.demo.visitors import (
    A_DAY,
    AT_THE_TABLE,
    BEGIN,
    DAYS,
    FOUND_AFTER,
    Calendar,
    Deed,
    Sale,
    Visitor,
    page,
)

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
    tables: tuple[tuple[str, list[dict[str, Any]]], ...] = ()
    """GA4's tables, by date: each is written anew, whole."""
    posts: tuple[bytes, ...] = ()
    """What the tag server sends."""
    files: tuple[tuple[str, bytes], ...] = ()
    """The CRM's files: name in the watched folder, and content."""
    contacts: tuple[str, ...] = ()
    """Addresses that HubSpot comes to know."""
    deals: tuple[Sale, ...] = ()
    """Deals that come into HubSpot, or are won there."""
    found: tuple[str, ...] = ()
    """Connections that have something new to be read, which came before."""


@dataclass(frozen=True, slots=True)
class World:
    """A seed's visitors, with all that is known of them beforehand."""

    seed: int
    visitors: tuple[Visitor, ...]
    drops: tuple[Drop, ...]
    rejected: tuple[str, ...]
    """Why the bad rows must be rejected, in part."""
    repeated: int
    """Requests that the tag server sends twice."""
    nobody: int
    """Events that tell nobody."""
    events: dict[str, int]
    """By connection, how many events it has told of in the end, each once."""
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
    deeds = sorted((deed for her in cast for deed in her.deeds), key=lambda deed: (deed.at, deed.client, deed.name))
    numbered = list(enumerate(deeds, 1))
    drops: dict[datetime, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    nobody = _export(rng, calendar, numbered, drops)
    repeated = _send(rng, numbered, drops)
    rejected = _tell(rng, calendar, cast, drops)
    _introduce(cast, drops)
    _sell(cast, drops)
    return World(
        seed=seed,
        visitors=tuple(cast),
        drops=tuple(Drop(at, **{what: tuple(come) for what, come in drops[at].items()}) for at in sorted(drops)),
        rejected=rejected,
        repeated=repeated,
        nobody=nobody,
        events={
            "ga4": sum(deed.exported and not deed.spam for deed in deeds) + nobody,
            "site": sum(deed.live for deed in deeds),
            "crm": sum("name" in line for her in cast for line in her.told),
            "hubspot": sum(3 for her in cast for _ in her.sales),  # two stages, and that it was won
        },
        facts=sum("facts" in line for her in cast for line in her.told) + sum(len(her.sales) for her in cast),
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
        her.user, her.email = f"u.{number}", next(names)
        if kind not in _STRANGERS_AT_FIRST:
            her.has_account()
        later = BEGIN + timedelta(days=rng.randrange(8, 20), hours=rng.randrange(8, 18), minutes=rng.randrange(60))
        her.hubspot = rng.choices((BEGIN, later, None), (80, 6, 14))[0]
        if her.hubspot == BEGIN and rng.random() < 0.5:
            her.becomes("lead", BEGIN - timedelta(days=rng.randrange(60, 300)))
    if kind in ("who withdraws consent", "who is taken for spam"):
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
        "watcher who chats",
        "who turns out to be one",
        "who is taken for spam",
        "who withdraws consent",
        "who wants it",
    }
)
"""Kinds that can not be played by somebody who never tells who she is."""
_STRANGERS_AT_FIRST: Final = frozenset(
    {"watcher who signs in later", "watcher with a phone", "watcher who chats", "who turns out to be one"}
)


def _pair(rng: random.Random, calendar: Calendar, number: int, names: Iterator[str]) -> tuple[Visitor, Visitor]:
    """Two people at one browser: what comes before the first login is hers, what comes after the second is his."""
    day, client = rng.randrange(18), f"c.shared-{number}"

    def at(days: int, hour: int) -> datetime:
        return _on(day + days) + timedelta(hours=hour, minutes=rng.randrange(60), seconds=rng.randrange(60))

    hers = Visitor("first at a shared browser", calendar, client, f"u.first-{number}", next(names), hubspot=BEGIN)
    his = Visitor("second at a shared browser", calendar, client, f"u.second-{number}", next(names), hubspot=BEGIN)
    seen = hers.watches(at(0, 15))
    hers.signs_in(at(1, 9))
    hers.expect("watched_no_demo", (seen, FOREVER))
    login, first, second = at(2, 9), at(2, 15), at(4, 15)
    his.signs_in(login)
    his.compares(first)
    his.signed_in = FOREVER
    known = his.compares(second)  # without a login: the browser is his by now
    his.expect("pricing_twice", (known, first + timedelta(days=7)))
    return hers, his


def _on(day: int) -> datetime:
    return BEGIN + timedelta(days=day)


# ---------------------------------------------------------------- GA4's export


def _export(
    rng: random.Random,
    calendar: Calendar,
    deeds: Sequence[tuple[int, Deed]],
    drops: dict[datetime, dict[str, list[Any]]],
) -> int:
    """Write each day's table in the night after it, and anew when late rows come or spam goes.

    Returns how many rows tell nobody, because the visitor wanted no cookie.
    """
    rows: dict[int, list[tuple[Deed | None, dict[str, Any]]]] = defaultdict(list)
    for number, deed in deeds:
        if deed.exported:
            rows[(deed.at - BEGIN).days].append((deed, _row(number, deed)))
    nameless = sorted(rng.sample(range(DAYS), 4))
    for number, day in enumerate(nameless, 1):
        at = _on(day) + timedelta(hours=12, seconds=number)
        deed = Deed(name="page_view", at=at, client="", parameters={"page_location": page("/pricing")})
        rows[day].append((None, _row(-number, deed)))
    for day in range(DAYS):
        date, midday = f"{_on(day):%Y%m%d}", _on(day) + timedelta(hours=12)
        first = [row for deed, row in rows[day] if deed is None or not deed.late]
        second = [row for _, row in rows[day]]
        third = [row for deed, row in rows[day] if deed is None or not deed.spam]
        drops[calendar.known(midday)]["tables"].append((date, first))
        if second != first:
            drops[calendar.late_known(midday)]["tables"].append((date, second))
        if third != second:
            drops[calendar.gone(midday)]["tables"].append((date, third))
    return len(nameless)


def _row(number: int, deed: Deed) -> dict[str, Any]:
    """One row as GA4 exports it. Types drift, as they do: now and then a number comes as text."""
    parameters = {"ga_session_id": int((deed.at - BEGIN) / A_DAY) + 1_772_000_000, **deed.parameters}
    if deed.live:
        parameters["event_id"] = f"ev-{number}"
    if deed.gclid:
        parameters["page_location"] += f"?utm_source=google&gclid={deed.gclid}"
    return {
        "event_date": f"{deed.at:%Y%m%d}",
        "event_timestamp": str(int(deed.at.timestamp()) * 1_000_000),
        "event_name": deed.name,
        "event_params": [{"key": key, "value": _typed(value, number)} for key, value in parameters.items()],
        "event_bundle_sequence_id": str(number + 1_000),
        "user_id": deed.user or None,
        "user_pseudo_id": deed.client or None,
        "privacy_info": {"analytics_storage": "Yes" if deed.client else "No", "ads_storage": None},
        "collected_traffic_source": {"gclid": deed.gclid, "manual_source": "google"} if deed.gclid else None,
        "device": {"category": "mobile" if deed.client.endswith("-phone") else "desktop"},
        "stream_id": "4711",
        "platform": "WEB",
    }


def _typed(value: Any, number: int) -> dict[str, Any]:
    if isinstance(value, int) and number % 3:
        return {"int_value": str(value)}
    return {"string_value": str(value)}


# ---------------------------------------------------------------- the tag server


def _send(rng: random.Random, deeds: Sequence[tuple[int, Deed]], drops: dict[datetime, dict[str, list[Any]]]) -> int:
    """Send what is sent live; return how many requests come twice, since a sender saw no answer."""
    live = [(number, deed) for number, deed in deeds if deed.live]
    twice = {number for number, _ in rng.sample(live, 3)}
    for number, deed in live:
        body = json.dumps(_body(number, deed)).encode()
        drops[deed.at]["posts"] += [body] * (1 + (number in twice))
    return len(twice)


def _body(number: int, deed: Deed) -> dict[str, Any]:
    """One request as a GTM server container sends it."""
    body: dict[str, Any] = {
        "event_name": deed.name,
        "event_id": f"ev-{number}",
        "event_time_ms": int(deed.at.timestamp()) * 1_000,
        "client_id": deed.client,
        **deed.parameters,
    }
    if deed.gclid:
        body["page_location"] += f"?utm_source=google&gclid={deed.gclid}"
    if deed.user:
        body["user_id"] = deed.user
    if deed.email:
        body["user_data"] = {"email_address": deed.email}
    if deed.consent is not None:
        body["x_ga_gcs"] = "G111" if deed.consent else "G100"
    return body


# ---------------------------------------------------------------- the CRM, and HubSpot


def _tell(
    rng: random.Random, calendar: Calendar, cast: Sequence[Visitor], drops: dict[datetime, dict[str, list[Any]]]
) -> tuple[str, ...]:
    """Write the CRM's files, among their lines one that breaks off and one without a time."""
    lines: dict[datetime, list[tuple[str, str]]] = defaultdict(list)
    for her in cast:
        for line in her.told:
            lines[calendar.told(datetime.fromisoformat(line["at"]))].append((line["at"], json.dumps(line)))
    first, second = rng.sample(sorted(lines), 2)
    lines[first].append(("~", '{"name": "deal_won", "at": "2026-03-'))
    lines[second].append(("~", json.dumps({"name": "deal_won", "identifiers": {"email": "x@tidewater.example"}})))
    for at, told in lines.items():
        content = "".join(f"{line}\n" for _, line in sorted(told)).encode()
        drops[at]["files"].append((f"crm/{at:%Y-%m-%d}.jsonl", content))
    return ("not JSON", '"at" is missing')


def _introduce(cast: Sequence[Visitor], drops: dict[datetime, dict[str, list[Any]]]) -> None:
    """Let HubSpot come to know people, some of whom never visit the site."""
    for her in cast:
        if her.hubspot is not None:
            drops[her.hubspot]["contacts"].append(her.email)
    drops[BEGIN]["contacts"] += [f"contact{number}@harbour.example" for number in range(STRANGERS)]


def _sell(cast: Sequence[Visitor], drops: dict[datetime, dict[str, list[Any]]]) -> None:
    """Let deals come into HubSpot, and be won. leadup looks when HubSpot's search knows, and not before."""
    for her in cast:
        for sale in her.sales:
            drops[sale.at - AT_THE_TABLE]["deals"].append(sale)
            drops[sale.at]["deals"].append(sale)
            drops[sale.at + FOUND_AFTER]["found"].append("hubspot")


def put(drop: Drop, folder: Path) -> None:
    """Let the CRM's files appear in the folder, each whole or not at all."""
    for name, content in drop.files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.part")
        draft.write_bytes(content)
        draft.replace(path)
