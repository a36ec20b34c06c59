"""What people sent by forms, as events: the bridge between an address and a browser.

HubSpot tells the newest first. A reading goes back to where the last one was complete, page by page.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from leadup.errors import NeedsHuman
from leadup.kit import canonical, did_you_mean
from leadup.types import CLICK_IDS, Event, Identifier, Json, Kind
from leadup_connectors.hubspot.answers import HubSpotRefused
from leadup_connectors.hubspot.client import HubSpotClient
from leadup_connectors.hubspot.client.forms import Submitted
from leadup_connectors.hubspot.reading.brought import Brought, translated
from leadup_connectors.hubspot.reading.scan import MOST_SEEN
from leadup_connectors.hubspot.records import Form, Submission, from_milliseconds, milliseconds
from leadup_connectors.hubspot.settings import EMAIL, HubSpotSettings

NAME: Final = "form_submit"
"""GA4's name for it ("Enhanced measurement events")."""
_UTM: Final = {f"utm_{name}": name for name in ("source", "medium", "campaign", "term", "content")}


@dataclass(slots=True)
class Stand:
    """How far a form's submissions are read. All instants are milliseconds."""

    done: int | None = None
    """All that was sent before has been read."""
    seen: dict[str, int] = field(default_factory=dict)
    """What was sent since then and has been read: when, by id."""
    began: int | None = None
    """When the reading that is under way began."""
    after: str = ""
    """Where it goes on."""

    @classmethod
    def of(cls, said: Any) -> Stand:
        """Return what a cursor says."""
        return cls(**said) if said else cls()

    def said(self) -> Json:
        """Return it for the cursor."""
        return asdict(self)


class Forms:
    """Turns submissions into events."""

    def __init__(self, connection: str, settings: HubSpotSettings, client: HubSpotClient) -> None:
        self._connection, self._settings, self._client = connection, settings, client
        self._lag = timedelta(seconds=settings.index_lag) // timedelta(milliseconds=1)

    def wanted(self) -> list[Form]:
        """Return the forms that are to be read; one that the settings name and HubSpot has not is left out."""
        named = self._settings.forms
        return [form for form in self._client.forms.all() if not named or form.id in named]

    def check(self) -> None:
        """Look whether HubSpot has the forms that the settings name, and these the fields.

        Raises:
            NeedsHuman: not all of them.
        """
        settings = self._settings
        if not (settings.forms or settings.form_fields or settings.identifiers.get("user_id")):
            return
        there = {form.id: form for form in self._client.forms.all()}
        for name in settings.forms:
            if name not in there:
                called = next((form.id for form in there.values() if form.name == name), "")
                hint = f": it is called so, and its id is {called!r}." if called else did_you_mean(name, there) or "."
                raise self._lacks(f"HubSpot has no form with the id {name!r}", "forms", hint, "the id of the form")
        wanted = [form for form in there.values() if form.id in (settings.forms or there)]
        fields = {field for form in wanted for field in form.fields}
        if not all(form.fields for form in wanted):
            return  # of forms that are not HubSpot's own it may tell none
        named = dict.fromkeys(settings.form_fields, "form_fields")
        if (user_id := settings.identifiers.get("user_id")) and not self._is_of_contacts(user_id):
            named[user_id] = "identifiers"
        for name, setting in named.items():
            if wanted and name not in fields:
                hint = did_you_mean(name, fields) or "."
                raise self._lacks(f"No form that is read has a field {name!r}", setting, hint, "its internal name")

    def _lacks(self, what: str, setting: str, hint: str, write: str) -> NeedsHuman:
        return NeedsHuman(
            f"{what}, which {setting} of connection {self._connection!r} names{hint}",
            todo=f"write {write} as HubSpot has it, or take it out of `{setting}`",
        )

    def _is_of_contacts(self, name: str) -> bool:
        """Whether contacts that are read tell this property."""
        reads = not {"contacts", "deals"}.isdisjoint(self._settings.read)
        return reads and self._client.properties.find(name) is not None

    def submissions(self, form: Form, stand: Stand, now: int, start: int | None) -> Iterator[Brought]:
        """Yield what was sent by a form since the last time; after each page ``stand`` says how to go on after it.

        A form that is gone brings nothing, and stops nothing.
        """
        floor = stand.done if stand.done is not None else start
        began = now if stand.began is None else stand.began
        before: set[str] = set()  # what came in meanwhile moves rows to the next page, where they come again
        more = True
        while more:
            page = self._page(form, stand)
            if page is None:
                stand.began, stand.after = None, ""
                return
            began = stand.began = milliseconds(self._client.earlier(from_milliseconds(began)))
            rows = {self._id(form, one): one for one in page.submissions}
            late = {one: row for one, row in rows.items() if floor is None or row.at >= floor}
            fresh = [(one, row) for one, row in late.items() if one not in before and one not in stand.seen]
            more = page.after is not None and len(late) == len(rows)
            before, stand.after = set(rows), page.after or "" if more else ""
            room = MOST_SEEN - len(stand.seen)
            stand.seen.update([(one, row.at) for one, row in fresh if row.at >= began - self._lag][: max(room, 0)])
            if not more:
                stand.done, stand.began = began - self._lag, None
                stand.seen = {one: at for one, at in stand.seen.items() if at >= stand.done}
            yield translated(
                fresh, lambda row, to: to.records.append(self._event(form, *row)), lambda _: f"forms/{form.id}"
            )

    def _page(self, form: Form, stand: Stand) -> Submitted | None:
        size = self._settings.page_size
        try:
            return self._client.forms.submissions(form.id, stand.after, limit=size)
        except HubSpotRefused as refused:
            if refused.status != 400 or not stand.after:
                raise
        stand.after = ""  # the place is not known any more: from the newest again, which doubles nothing
        return self._client.forms.submissions(form.id, "", limit=size)

    def _id(self, form: Form, one: Submission) -> str:
        if one.id:
            return f"form-{one.id}"
        said = json.dumps([form.id, one.at, sorted(one.values.items())])
        return f"form-{hashlib.blake2b(said.encode(), digest_size=16).hexdigest()}"

    def _event(self, form: Form, event_id: str, one: Submission) -> Event:
        page, query = _page_of(one.page)
        said: dict[str, Json] = {"form_id": form.id, "form_name": form.name, "page_location": page or None}
        said |= {common: query[name] for name, common in _UTM.items() if query.get(name)}
        said |= {name: one.values[name] for name in self._settings.form_fields if name in one.values}
        name, properties = canonical(NAME, said)
        return Event(
            source=self._connection,
            id=event_id,
            name=name,
            at=from_milliseconds(one.at),
            identifiers=self._identifiers(one),
            properties=properties,
            click_ids={name: query[name] for name in CLICK_IDS if query.get(name)},
        )

    def _identifiers(self, one: Submission) -> tuple[Identifier, ...]:
        named = {Kind.EMAIL: EMAIL} | {Kind(kind): name for kind, name in self._settings.identifiers.items()}
        if self._settings.kind is Kind.USER_ID:
            named.setdefault(Kind.USER_ID, self._settings.match)
        return tuple(Identifier(kind, one.values[name]) for kind, name in named.items() if one.values.get(name))


def _page_of(url: str) -> tuple[str, dict[str, str]]:
    """The address without its query, which may hold what people typed, and the query."""
    try:
        parts = urlsplit(url)
        return parts._replace(query="", fragment="").geturl(), dict(parse_qsl(parts.query))
    except ValueError:
        return "", {}
