"""One visitor: what she does on the site, and what must follow from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from leadup.demo.truth import FOREVER, POINTS, Points, Span, common, spans

BEGIN: Final = datetime(2026, 3, 2, tzinfo=UTC)
DAYS: Final = 28
END: Final = BEGIN + timedelta(days=DAYS, hours=1)
AFTER_MIDNIGHT: Final = timedelta(minutes=5)
"""When the file of a day comes, after the day has ended."""
TRIED_EVERY: Final = timedelta(hours=24)
"""How often leadup asks HubSpot again for a contact that it does not know."""

DEMO_VALUE: Final = 28_800
"""Cents: what the rules say that a demo request is worth."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """When what happens comes to be known."""

    late: int
    """The day (0 is the first) whose file comes a day late."""

    def known(self, at: datetime) -> datetime:
        """When the site's file with this instant comes."""
        day = (at - BEGIN).days
        return BEGIN + timedelta(days=day + 1 + (day == self.late)) + AFTER_MIDNIGHT

    def told(self, at: datetime) -> datetime:
        """When the CRM's file with this instant comes; the CRM is never late."""
        return BEGIN + timedelta(days=max((at - BEGIN).days + 1, 0)) + (AFTER_MIDNIGHT if at >= BEGIN else timedelta(0))


@dataclass(frozen=True, slots=True)
class Conversion:
    """A conversion that must stand at Google, by what does not depend on any id of ours."""

    action: str
    """``demo`` or ``won``."""
    at: datetime
    minor: int
    """Cents of euros."""
    click_id: str
    identifiers: tuple[str, ...]


@dataclass(eq=False, slots=True)
class Visitor:
    """A visitor and her truth."""

    archetype: str
    calendar: Calendar
    client: str
    user: str = ""
    email: str = ""
    """As she types it; "" for who never tells."""
    consent: bool | None = True
    """What she says to the banner; None: she was never asked."""
    hubspot: datetime | None = None
    """When HubSpot comes to know her; None: never."""
    signed_in: datetime = FOREVER
    """From then on her events carry her user id and address."""
    gclid: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    """Lines of the CRM's files."""
    segments: dict[str, list[Span]] = field(default_factory=dict)
    """By segment: when its rule holds for her, as far as is known at the time."""
    points: list[Points] = field(default_factory=list)
    conversions: list[Conversion] = field(default_factory=list)
    refused: datetime = FOREVER
    """From when on it is known that she withdrew her consent."""

    # ------------------------------------------------------------ what she does

    def does(self, name: str, at: datetime, /, *, client: str = "", click: bool = False, **properties: Any) -> None:
        """Leave an event."""
        identifiers = {"client_id": client or self.client}
        if at >= self.signed_in:
            identifiers |= {"user_id": self.user, "email": self.email}
        event: dict[str, Any] = {"name": name, "at": instant(at), "identifiers": identifiers, "properties": properties}
        if click and self.gclid:
            event["click_ids"] = {"gclid": self.gclid}
        if self.consent is not None:
            word = "granted" if self.consent else "denied"
            event["consent"] = {"ad_user_data": word, "ad_personalization": word}
        self.events.append(event)

    def watches(self, at: datetime, *, client: str = "") -> datetime:
        """Watch the demo video; ``at`` is when three quarters are reached. Returns when that is known."""
        for percent, minutes in ((25, -6), (50, -3), (75, 0)):
            when = at + timedelta(minutes=minutes)
            self.does("video_progress", when, client=client, video_id="demo", percent=percent)
        self.does("video_complete", at + timedelta(minutes=3), client=client, video_id="demo")
        return self._counts("video", at)

    def compares(self, at: datetime) -> datetime:
        """Look at the prices, twice within half an hour, which counts once."""
        self.does("page_view", at, path="/pricing")
        self.does("page_view", at + timedelta(minutes=4), path="/pricing/teams")
        return self._counts("pricing", at)

    def downloads(self, at: datetime, name: str) -> datetime:
        """Take a guide."""
        self.does("file_download", at, extension="pdf", name=name)
        return self._counts("guide", at)

    def begins(self, at: datetime) -> datetime:
        """Begin the demo form."""
        self.does("form_start", at, form_id="demo")
        return self._counts("form", at)

    def asks(self, at: datetime, *, twice: bool = False) -> datetime:
        """Send the demo form; ``twice``: and again, which is the same request."""
        self.does("generate_lead", at, click=True, form_id="demo")
        if twice:
            self.does("generate_lead", at + timedelta(minutes=3), click=True, form_id="demo")
        known = self.calendar.known(at)
        if self.consent and (self.gclid or at >= self.signed_in):
            identifiers = (self.hashed,) if at >= self.signed_in else ()
            self.conversions.append(Conversion("demo", at, DEMO_VALUE, self.gclid, identifiers))
        return known

    def becomes(self, stage: str, at: datetime) -> datetime:
        """Have the CRM give her another stage. Returns when that is known."""
        facts = {"lifecycle_stage": stage}
        self.told.append({"person": {"email": self.email}, "facts": facts, "at": instant(at)})
        return self.calendar.told(at)

    def buys(self, at: datetime, minor: int) -> datetime:
        """Win her as a customer, for so many cents. Returns when that is known."""
        properties = {"amount": f"{minor // 100}.{minor % 100:02}", "currency": "EUR"}
        self.told.append(
            {"name": "deal_won", "at": instant(at), "identifiers": {"email": self.email}, "properties": properties}
        )
        if held := self.consent and self.calendar.told(at) < self.refused:
            assert held
            self.conversions.append(Conversion("won", at, minor, "", (self.hashed,)))
        return self.becomes("customer", at)

    def withdraws(self, at: datetime) -> datetime:
        """Take her consent back. Returns when that is known."""
        self.consent = False
        self.does("page_view", at, path="/privacy")
        self.refused = self.calendar.known(at)
        return self.refused

    def _counts(self, what: str, at: datetime) -> datetime:
        known = self.calendar.known(at)
        self.points.append(Points(at, known, POINTS[what]))
        return known

    # ------------------------------------------------------------ what must follow

    def expect(self, segment: str, *pairs: Span) -> None:
        """State when the rule of a segment holds for her."""
        self.segments[segment] = spans(*pairs)

    @property
    def hashed(self) -> str:
        """Her address as Google gets it."""
        return hashlib.sha256(self.email.lower().encode()).hexdigest()

    @property
    def reached(self) -> datetime:
        """From when on leadup has her address."""
        return min(
            (self.calendar.known(_at(e)) for e in self.events if "email" in e["identifiers"]),
            default=FOREVER,
        )

    def in_google(self, segment: str) -> list[Span]:
        """When she must be in the Google list of a segment: address and consent are there."""
        first = min((self.calendar.known(_at(e)) for e in self.events if "consent" in e), default=FOREVER)
        stated = self.events[0].get("consent", {}).get("ad_user_data") == "granted"
        allowed = [(max(first, self.reached), self.refused)] if stated else []
        return common(self.segments.get(segment, []), allowed)

    def in_hubspot(self, segment: str) -> list[Span]:
        """When she must be in the HubSpot list of a segment: HubSpot knows her, and leadup has asked again."""
        if self.hubspot is None:
            return []
        wanted = common(self.segments.get(segment, []), [(self.reached, FOREVER)])
        return spans(*((begin + self._tries(begin) * TRIED_EVERY, end) for begin, end in wanted))

    def _tries(self, wanted: datetime) -> int:
        assert self.hubspot is not None
        return max(0, -((wanted - self.hubspot) // TRIED_EVERY))


def instant(at: datetime) -> str:
    """ISO 8601 in UTC with ``Z``."""
    return at.isoformat().replace("+00:00", "Z")


def _at(event: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(event["at"])
