"""Forms and what people sent with them (source: Forms API v3; "Get submissions for a form", v1).

Submissions have no dated path. They tell no ``hutk``: the cookie of the visitor who sent the form is there only where a
hidden field of the form carries it.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from leadup.types import Json
from leadup_connectors.hubspot.sandbox.answers import Now, not_found, number, stamp
from leadup_connectors.hubspot.sandbox.contacts import Contacts

FORMS, MOST_FORMS = 20, 100
SUBMISSIONS, MOST_SUBMISSIONS = 20, 50
"""Length of a page, and the most that may be asked for."""
CONFIGURATION = {
    "language": "en",
    "cloneable": True,
    "editable": True,
    "archivable": True,
    "recaptchaEnabled": False,
    "notifyContactOwner": False,
    "notifyRecipients": [],
    "createNewContactForNewEmail": False,
    "prePopulateKnownValues": True,
    "allowLinkToResetKnownValues": False,
    "postSubmitAction": {"type": "thank_you", "value": ""},
    "lifecycleStages": [],
}
_SIZES = {f"{what}Size": "12px" for what in ("labelText", "helpText", "legalConsentText", "submit")}
_COLOURS = {f"{what}Color": "#000000" for what in ("labelText", "helpText", "legalConsentText", "submit", "submitFont")}
DISPLAY = {
    "renderRawHtml": False,
    "theme": "default_style",
    "submitButtonText": "Send",
    "style": {"fontFamily": "arial", "backgroundWidth": "100%", "submitAlignment": "left", **_SIZES, **_COLOURS},
}
_NAMES = uuid.UUID("6f1c3f0e-4f0d-4d39-8f5c-6d1f0f0c9b1e")


@dataclass
class Submission:
    """What somebody sent."""

    id: str
    at: datetime
    values: Mapping[str, str]
    page: str


@dataclass
class Form:
    """One form. ``kind``: hubspot, captured (somebody else's, seen by the tracking code), flow or blog_comment."""

    id: str
    name: str
    kind: str
    created: datetime
    fields: Sequence[str] = ()
    """Names of its fields, all hidden but the address."""
    sent: list[Submission] = field(default_factory=list)


class Forms:
    """All forms of the account."""

    def __init__(self, contacts: Contacts, now: Now) -> None:
        self.all: dict[str, Form] = {}
        self._contacts, self._now = contacts, now

    def add(self, name: str, kind: str = "hubspot", guid: str = "", fields: Sequence[str] = ()) -> str:
        """Create a form and return its id, which the same name gets in every account unless it is given."""
        new = Form(guid or str(uuid.uuid5(_NAMES, name)), name, kind, self._now(), fields)
        self.all[new.id] = new
        return new.id

    def submit(self, form: str, values: Mapping[str, str], page: str, at: datetime | None) -> str:
        """Send a form and return the submission's id. Its address becomes a contact's, unless it is blocked."""
        sent, at = self.all[form].sent, at or self._now()
        conversion = str(uuid.uuid5(uuid.UUID(form), str(len(sent))))
        sent.append(Submission(conversion, at, dict(values), page))
        address = values.get("email", "").strip().lower()
        if address and address not in self._contacts.blocked:
            known = {name: value for name, value in values.items() if name in self._contacts.properties.known}
            known |= {"recent_conversion_event_name": self.all[form].name, "recent_conversion_date": stamp(at)}
            holder = self._contacts.find("email", address)
            if holder:
                self._contacts.write(holder, {**known, "email": self._contacts.values[holder]["email"]}, at)
            else:
                self._contacts.add(known, at)
        return conversion

    def content(self) -> list[dict[str, Json]]:
        """All forms, with how often each was sent."""
        return [{"id": each.id, "name": each.name, "submissions": len(each.sent)} for each in self.all.values()]

    # ------------------------------------------------------------ calls

    def list(self, request: Request, _body: Any) -> Response:
        """Answer a page of forms: HubSpot's own ones, unless other types are asked for."""
        kinds = [kind for part in request.query_params.getlist("formTypes") for kind in part.split(",")] or ["hubspot"]
        forms = [each for each in self.all.values() if "all" in kinds or each.kind in kinds]
        limit, start = number(request, "limit", FORMS, MOST_FORMS), _place(request)
        results = [_wire(each) for each in forms[start : start + limit]]
        return JSONResponse({"results": results, **_next(request, start + limit, len(forms))})

    def one(self, request: Request, _body: Any) -> Response:
        return JSONResponse(_wire(self._one(request)))

    def submissions(self, request: Request, _body: Any) -> Response:
        """Answer a page of submissions, the newest first."""
        newest = sorted(self._one(request).sent, key=lambda each: each.at, reverse=True)
        limit, start = number(request, "limit", SUBMISSIONS, MOST_SUBMISSIONS), _place(request)
        results = [
            {
                "conversionId": each.id,
                "submittedAt": int(each.at.timestamp() * 1000),
                "values": [{"name": n, "value": v, "objectTypeId": "0-1"} for n, v in each.values.items()],
                "pageUrl": each.page,
            }
            for each in newest[start : start + limit]
        ]
        return JSONResponse({"results": results, **_next(request, start + limit, len(newest))})

    def _one(self, request: Request) -> Form:
        found = self.all.get(request.path_params["form"])
        if found is None:
            raise not_found("Form")
        return found


def _place(request: Request) -> int:
    """Return where a page begins, which its token hides."""
    try:
        return int(base64.urlsafe_b64decode(request.query_params.get("after") or "MA=="))
    except ValueError:
        return 0


def _next(request: Request, end: int, count: int) -> dict[str, Any]:
    if end >= count:
        return {}
    token = base64.urlsafe_b64encode(str(end).encode()).decode()
    return {"paging": {"next": {"after": token, "link": f"{request.url.path}?after={token}"}}}


def _wire(form: Form) -> dict[str, Any]:
    return {
        "id": form.id,
        "name": form.name,
        "formType": form.kind,
        "createdAt": stamp(form.created),
        "updatedAt": stamp(form.created),
        "archived": False,
        "fieldGroups": [
            {"groupType": "default_group", "richTextType": "text", "fields": [_field(name)]} for name in form.fields
        ],
        "configuration": CONFIGURATION,
        "displayOptions": DISPLAY,
        "legalConsentOptions": {"type": "none"},
    }


def _field(name: str) -> dict[str, Json]:
    told: dict[str, Json] = {"objectTypeId": "0-1", "name": name, "label": name, "fieldType": "single_line_text"}
    return {**told, "required": name == "email", "hidden": name != "email", "dependentFields": []}
