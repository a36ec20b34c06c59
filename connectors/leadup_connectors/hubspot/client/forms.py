"""Forms, and what people sent by them (source: Forms API; Forms API v1, "Get submissions for a form")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from leadup_connectors.hubspot.answers import HubSpotRefused, reading
from leadup_connectors.hubspot.client.caller import Caller
from leadup_connectors.hubspot.client.routes import Call
from leadup_connectors.hubspot.client.wire import Query, Request
from leadup_connectors.hubspot.records import Form, Submission, after_of

FORMS_PAGE: Final = 100
SUBMISSIONS_PAGE: Final = 50
"""Most submissions of a page."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A page of submissions, newest first."""

    submissions: Sequence[Submission]
    after: str | None


class Forms:
    """Calls about forms."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def all(self) -> Iterator[Form]:
        """Yield the forms that are not archived: HubSpot's own, and those that its tracking code sees on the site."""
        after: str | None = ""
        while after is not None:
            query: Query = {"limit": FORMS_PAGE, "formTypes": "all", **({"after": after} if after else {})}
            answer, _ = self._caller.send(Request(Call.LIST_FORMS, query=query))
            with reading("list the forms"):
                found = [Form.read(one) for one in answer["results"]]
                after = after_of(answer)
            yield from found

    def submissions(self, form: str, after: str, *, limit: int = SUBMISSIONS_PAGE) -> Submitted | None:
        """Return a page of what was sent by a form, newest first; None: there is no such form any more."""
        query = {"limit": min(limit, SUBMISSIONS_PAGE)} | ({"after": after} if after else {})
        try:
            answer, _ = self._caller.send(Request(Call.LIST_SUBMISSIONS, {"form": form}, query))
        except HubSpotRefused as refused:
            if refused.status == 404:
                return None
            raise
        with reading("read what forms brought"):
            return Submitted([Submission.read(one) for one in answer["results"]], after_of(answer))
