"""One visitor's story: what she did, what leadup made of it and why, and what Google saw of her."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, select

from leadup.clock import parse_instant
from leadup.demo.play import ACTIONS, Played
from leadup.demo.visitors import END, Visitor, instant
from leadup.identity import people
from leadup.insights.explain import explain
from leadup.insights.words import instant as instant_of
from leadup.outgoing import Use
from leadup.state.tables import outbox, targets
from leadup.types import Json, to_us

VENDORS = {"hubspot": "HubSpot", "google_ads": "Google"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the story."""

    at: str
    who: str
    """``she``, ``hubspot``, ``leadup`` or ``google``."""
    what: str
    why: str = ""

    def as_json(self) -> dict[str, Json]:
        """The form for ``--json``."""
        return asdict(self)


def story(played: Played) -> list[Line]:
    """Tell the heroine's story, in the order of time."""
    her, program = played.world.heroine, played.app.rules.program
    with played.app.store.read() as connection:
        [person] = people.find(connection, her.email)
        told = explain(connection, program, person, list(program.segments), to_us(END))
        lines = [*_deeds(her), *_moves(played, connection, person, told), *_reports(connection, person)]
    # What happens at one instant: first she, then whom she leaves, then where she comes.
    ordered = sorted(lines, key=lambda line: (line.at, line.who != "she", line.what.startswith("joins"), line.what))
    return [*ordered, *_held(played, her)]


# ---------------------------------------------------------------- what she did


def _deeds(her: Visitor) -> Iterator[Line]:
    for deed in her.deeds:
        if what := _deed(deed.name, deed.parameters):
            yield Line(instant(deed.at), "she", what, "she comes by an ad" if deed.gclid else "")
    for sale in her.sales:
        worth = _money(sale.minor / 100, "EUR")
        yield Line(instant(sale.at), "hubspot", f"deal won, {worth}", "leadup reads it there a minute later")


def _deed(name: str, of: Mapping[str, Any]) -> str:
    """Say what she did, if a rule or the reader cares."""
    match name:
        case "page_view" if "/pricing/teams" not in of["page_location"]:
            return f"looks at {urlsplit(of['page_location']).path}"
        case "video_progress" if of["video_percent"] == 75:
            return "has watched three quarters of the demo video"
        case "consent_update":
            return "agrees to the banner"
        case "file_download":
            return f"takes the guide {of['link_text']!r}"
        case "sign_up":
            return "signs up with her e-mail address"
        case "form_start":
            return "begins the demo form"
        case "generate_lead":
            return "asks for a demo"
    return ""


# ---------------------------------------------------------------- what leadup made of it


def _moves(played: Played, connection: Connection, person: int, told: Mapping[str, Any]) -> Iterator[Line]:
    """Joins and leaves as they were sent, those of one instant and segment in one line, each with its reason."""
    sent: dict[tuple[str, str, str], list[str]] = {}
    for line in told["ledger"]:
        vendor, use, name = line["target"].split("/")
        if use == "audience" and line["what"] == "sent":
            sent.setdefault((line["at"], line["verb"], name), []).append(VENDORS[vendor])
    for (at, verb, name), where in sent.items():
        moved = {one["at"]: one["what"] for one in told["segments"][name]["history"]}
        why = (
            _reason(played, connection, person, name, at, joins=verb == "join")
            if at in moved
            else "held before; now there is an address to find her by"
        )
        yield Line(at, "leadup", f"{verb}s {name} at {' and '.join(sorted(where))}", why)


def _reason(played: Played, connection: Connection, person: int, name: str, at: str, *, joins: bool) -> str:
    """What the rule said at that instant: what held, or what no longer did."""
    program = played.app.rules.program
    judged = explain(connection, program, person, [name], to_us(parse_instant(at)))["segments"][name]
    parts = list(_parts(judged["conditions"]))
    if joins:
        return "; ".join(text for text, holds in parts if holds)
    lost = [_denied(text) for text, holds in parts if not holds]
    return "; ".join(lost) or judged["history"][-1]["why"]


def _denied(text: str) -> str:
    for negation, plain in (("did not ", "did "), ("not ", "")):
        if text.startswith(negation):
            return plain + text.removeprefix(negation)
    return f"no longer: {text}"


def _parts(conditions: list[dict[str, Any]]) -> Iterator[tuple[str, bool]]:
    """The leaves of a condition in plain words; a ``not`` and what it denies are one."""
    nodes = iter(conditions)
    for node in nodes:
        if node["text"] == "not":
            yield f"not {next(nodes)['text']}", node["holds"]
        elif node["text"] not in ("all of", "any of"):
            yield node["text"], node["holds"]


def _reports(connection: Connection, person: int) -> Iterator[Line]:
    sent = outbox.join(targets, outbox.c.target == targets.c.id)
    query = select(outbox.c.verb, outbox.c.want, outbox.c.sent_us, targets.c.name).select_from(sent)
    of_hers = query.where(outbox.c.person == person, targets.c.use == Use.CONVERSION, outbox.c.sent_us.is_not(None))
    for row in connection.execute(of_hers.order_by(outbox.c.id)):
        at = str(instant_of(row.sent_us))
        worth = _money(row.want["minor"] / 100, row.want["currency"])
        if row.verb == "convert":
            yield Line(at, "leadup", f"is reported to Google: {row.name}, {worth}")
        else:
            yield Line(at, "leadup", f"is restated at Google: {row.name}, {worth}")


# ---------------------------------------------------------------- what Google saw


def _held(played: Played, her: Visitor) -> Iterator[Line]:
    """Her conversions as Google's emulator holds them."""
    held = played.google.state()["conversions"]
    for name, action in ACTIONS.items():
        for one in held.get(action, {}).values():
            if her.hashed in one["identifiers"]:
                by = " and ".join(filter(None, (one["click_id"] and f"click {one['click_id']}", "her hashed address")))
                values = " → ".join(_money(each["value"], each["currency"]) for each in one["history"])
                what = f"holds {name}, {values}, {_times(one['count'])}"
                yield Line(_utc(one["at"]), "google", what, f"by {by}")


def _money(value: float, currency: str) -> str:
    return f"{value:,.2f} {currency}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _utc(text: str) -> str:
    return datetime.fromisoformat(text).isoformat().replace("+00:00", "Z")
