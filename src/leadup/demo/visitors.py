"""One visitor: what she does on the site, by which roads it comes, and what must follow from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from leadup.demo.ladder import Chance, Step, ways
from leadup.demo.truth import FOREVER, POINTS, Points, Span, common, spans

BEGIN: Final = datetime(2026, 3, 2, tzinfo=UTC)
DAYS: Final = 30
END: Final = BEGIN + timedelta(days=DAYS, hours=1)
AFTER_MIDNIGHT: Final = timedelta(minutes=5)
"""When GA4's table of a day comes, after the day has ended."""
A_DAY: Final = timedelta(days=1)
TRIED_EVERY: Final = timedelta(hours=24)
"""How often leadup asks HubSpot again for a contact that it does not know."""

FOUND_AFTER: Final = timedelta(minutes=1)
"""When HubSpot's search, and so leadup, knows of a change."""
AT_THE_TABLE: Final = timedelta(days=3)
"""How long a deal that is won has been in HubSpot before."""
CLICK_KNOWN_AFTER: Final = timedelta(hours=6)
"""When Google knows a click."""
DEMO_VALUE: Final = 28_800
"""Cents: what the rules say that a demo request is worth."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """When what happens comes to be known. What the tag server sends is known at once."""

    late: int
    """The day (0 is the first) whose table comes a day late."""

    def known(self, at: datetime) -> datetime:
        """When GA4's table with this instant comes."""
        day = (at - BEGIN).days
        return BEGIN + timedelta(days=day + 1 + (day == self.late)) + AFTER_MIDNIGHT

    def late_known(self, at: datetime) -> datetime:
        """When the table comes again, with the rows that were late."""
        return self.known(at) + A_DAY

    def gone(self, at: datetime) -> datetime:
        """When the table comes once more, without the rows that GA4 has taken for spam since."""
        return self.known(at) + 2 * A_DAY

    def told(self, at: datetime) -> datetime:
        """When the CRM's file with this instant comes; the CRM is never late."""
        return BEGIN + timedelta(days=max((at - BEGIN).days + 1, 0)) + (AFTER_MIDNIGHT if at >= BEGIN else timedelta(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something she did, in the site's own words: names and parameters are those of GA4."""

    name: str
    at: datetime
    client: str
    user: str = ""
    email: str = ""
    """As she typed it. GA4 must never see it: only the tag server does."""
    gclid: str = ""
    consent: bool | None = None
    """What she has said to the banner by then."""
    parameters: Mapping[str, Any]
    live: bool = False
    """Whether the tag server sends it, at once."""
    exported: bool = True
    """Whether GA4's export has it: what has both comes twice."""
    late: bool = False
    """Whether it is missing in the table at first."""
    spam: bool = False
    """Whether it is missing in the table in the end."""


@dataclass(frozen=True, slots=True)
class Sale:
    """A deal in HubSpot, which is won."""

    email: str
    at: datetime
    minor: int
    """Cents of euros."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A conversion that must stand at Google, by what does not depend on any id of ours."""

    action: str
    """``demo`` or ``interest``."""
    at: datetime
    values: tuple[int, ...]
    """Cents of euros: what was reported, and what it was restated to."""
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
    """"" for who never tells."""
    consent: bool | None = True
    """What she says to the banner; None: she was never asked."""
    hubspot: datetime | None = None
    """When HubSpot comes to know her; None: never."""
    signed_in: datetime = FOREVER
    """From then on what she does carries her user id."""
    gclid: str = ""
    deeds: list[Deed] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    """Lines of the CRM's files."""
    sales: list[Sale] = field(default_factory=list)
    """Her deals, where HubSpot has them."""
    segments: dict[str, list[Span]] = field(default_factory=dict)
    """By segment: when its rule holds for her, as far as is known at the time."""
    points: list[Points] = field(default_factory=list)
    conversions: list[Conversion] = field(default_factory=list)
    """Of demo requests."""
    steps: list[Step] = field(default_factory=list)
    """Towards a deal."""
    one: dict[str, datetime] = field(default_factory=dict)
    """Other browsers, and when each turned out to be hers."""
    landed: datetime = FOREVER
    """When she came by an ad first."""
    asked: datetime = FOREVER
    """When she has said to the banner what she thinks of it."""
    refused: datetime = FOREVER
    """From when on it is known that she withdrew her consent."""
    met: set[str] = field(default_factory=set)
    """Browsers in which the banner has asked her."""

    # ------------------------------------------------------------ what she does

    def does(
        self,
        name: str,
        at: datetime,
        /,
        *,
        client: str = "",
        live: bool = False,
        tells: bool = False,
        lands: bool = False,
        exported: bool = True,
        late: bool = False,
        spam: bool = False,
        **parameters: Any,
    ) -> None:
        """Leave an event. ``live``: by the tag server, too; ``tells``: with her address; ``lands``: by an ad."""
        client = client or self.client
        if client not in self.met and self.consent is not None:
            self.met.add(client)
            self.asked = min(self.asked, at)
            self._leave("consent_update", at, client, {}, live=True, exported=False)
        self._leave(
            name,
            at,
            client,
            parameters,
            live=live,
            exported=exported,
            late=late,
            spam=spam,
            gclid=self.gclid if lands else "",
            email=self.email if tells else "",
        )

    def _leave(self, name: str, at: datetime, client: str, parameters: Mapping[str, Any], **more: Any) -> None:
        user = self.user if at >= self.signed_in else ""
        deed = Deed(name=name, at=at, client=client, user=user, consent=self.consent, parameters=parameters, **more)
        self.deeds.append(deed)

    def looks(self, at: datetime, path: str, *, client: str = "") -> None:
        """Look at a page; the first that an ad leads to is where she lands."""
        lands = bool(self.gclid) and at < self.landed
        if lands:
            self.landed = at
        self.does("page_view", at, client=client, live=lands, lands=lands, page_location=page(path))

    def signs_in(self, at: datetime, *, client: str = "", name: str = "login") -> datetime:
        """Tell who she is: user id and address, in one browser. It is known at once."""
        self.signed_in = min(self.signed_in, at)
        if client:
            self.one[client] = at
        self.does(name, at, client=client, live=True, tells=True, method="email")
        return at

    def watches(self, at: datetime, *, client: str = "", late: bool = False) -> datetime:
        """Watch the demo video; ``at`` is when three quarters are reached. Returns when that is known."""
        video: dict[str, Any] = {"video_title": "Product demo", "video_provider": "youtube"}
        for percent, minutes in ((25, -6), (50, -3), (75, 0)):
            when = at + timedelta(minutes=minutes)
            self.does("video_progress", when, client=client, late=late, **video, video_percent=percent)
        self.does("video_complete", at + timedelta(minutes=3), client=client, late=late, **video, video_percent=100)
        known = self._counts("video", at, late=late)
        self.steps.append(Step("video", at, known, who=client))
        return known

    def compares(self, at: datetime, *, client: str = "") -> datetime:
        """Look at the prices, twice within half an hour, which counts once."""
        self.does("page_view", at, client=client, page_location=page("/pricing"))
        self.does("page_view", at + timedelta(minutes=4), client=client, page_location=page("/pricing/teams?seats=40"))
        known = self._counts("pricing", at)
        self.steps.append(Step("pricing", at, known, who=client))
        return known

    def downloads(self, at: datetime, name: str) -> datetime:
        """Take a guide."""
        self.does("file_download", at, file_extension="pdf", file_name=f"/guides/{name}.pdf", link_text=name)
        return self._counts("guide", at)

    def begins(self, at: datetime) -> datetime:
        """Begin the demo form."""
        self.does("form_start", at, form_id="demo")
        return self._counts("form", at)

    def chats(self, at: datetime) -> datetime:
        """Write to the chat, and leave an address there. It is known at once."""
        self.does("chat_start", at, live=True, tells=True, exported=False, channel="site")
        return at

    def asks(
        self, at: datetime, *, twice: bool = False, live: bool = True, late: bool = False, spam: bool = False
    ) -> datetime:
        """Send the demo form; ``twice``: and again, which is the same request. Returns when that is known.

        ``live``: the tag server sends it at once, and GA4 has it, too. Otherwise only GA4 has it.
        """
        if self.gclid and self.landed > at:
            self.looks(at - timedelta(minutes=2), "/demo")
        how: dict[str, Any] = {"live": live, "tells": live and at >= self.signed_in, "late": late, "spam": spam}
        self.does("generate_lead", at, **how, form_id="demo")
        if twice:
            self.does("generate_lead", at + timedelta(minutes=3), **how, form_id="demo")
        if self.consent and (self.landed <= at or at >= self.signed_in):
            identifiers = (self.hashed,) if at >= self.signed_in else ()
            values = (DEMO_VALUE, 0) if spam else (DEMO_VALUE,)
            self.conversions.append(Conversion("demo", at, values, self.clicked(at), identifiers))
        known = at if live else self.calendar.late_known(at) if late else self.calendar.known(at)
        self.steps.append(Step("asked", at, known, self.calendar.gone(at) if spam else FOREVER))
        return known

    def clicked(self, at: datetime) -> str:
        """The click id that something she does then carries."""
        return self.gclid if self.landed <= at else ""

    def becomes(self, stage: str, at: datetime) -> datetime:
        """Have the CRM give her another stage. Returns when that is known."""
        self.told.append({"person": {"email": self.email}, "facts": {"lifecycle_stage": stage}, "at": instant(at)})
        return self.calendar.told(at)

    def has_account(self) -> None:
        """Let the CRM know from the beginning which address her user id has."""
        self.signed_in = BEGIN
        person = {"user_id": self.user, "email": self.email}
        self.told.append({"person": person, "facts": {"plan": "trial"}, "at": instant(BEGIN - A_DAY)})

    def buys(self, at: datetime, minor: int) -> datetime:
        """Win her as a customer, for so many cents. Returns when that is known.

        Whose contact is in HubSpot has her deal there, and HubSpot calls her a customer; the others are in the CRM.
        """
        if self.hubspot is not None and self.hubspot <= at - AT_THE_TABLE:
            self.sales.append(Sale(self.email, at, minor))
            self.steps.append(Step("won", at, at + FOUND_AFTER, cents=minor))
            return at + FOUND_AFTER
        properties = {"amount": f"{minor // 100}.{minor % 100:02}", "currency": "EUR"}
        self.told.append(
            {"name": "deal_won", "at": instant(at), "identifiers": {"email": self.email}, "properties": properties}
        )
        self.steps.append(Step("won", at, self.calendar.told(at), cents=minor))
        return self.becomes("customer", at)

    def withdraws(self, at: datetime) -> datetime:
        """Take her consent back. It is known at once."""
        self.consent = False
        self.does("consent_update", at, live=True, exported=False)
        self.refused = at
        return at

    def _counts(self, what: str, at: datetime, *, late: bool = False) -> datetime:
        known = self.calendar.late_known(at) if late else self.calendar.known(at)
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
        if self.signed_in == BEGIN:
            return BEGIN
        return min((deed.at for deed in self.deeds if deed.email), default=FOREVER)

    def all_conversions(self) -> list[Conversion]:
        """All that must stand at Google."""
        agreed = any(deed.consent for deed in self.deeds)
        chance = Chance(
            landed=self.landed if self.gclid else FOREVER,
            click_known=min(self.landed, END) + CLICK_KNOWN_AFTER,
            reached=self.reached,
            agreed=self.asked if agreed else FOREVER,
            refused=self.refused,
            one=self.one,
        )
        return self.conversions + [
            Conversion(
                "interest",
                way.at,
                tuple(way.values),
                self.gclid if way.clicked else "",
                (self.hashed,) if way.addressed else (),
            )
            for way in ways(self.steps, chance, END)
        ]

    def in_google(self, segment: str) -> list[Span]:
        """When she must be in the Google list of a segment: address and consent are there."""
        agreed = any(deed.consent for deed in self.deeds)
        allowed = [(max(self.asked, self.reached), self.refused)] if agreed else []
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


def page(path: str) -> str:
    """The address of a page of the site."""
    return f"https://harbour.example{path}"


def instant(at: datetime) -> str:
    """ISO 8601 in UTC with ``Z``."""
    return at.isoformat().replace("+00:00", "Z")
