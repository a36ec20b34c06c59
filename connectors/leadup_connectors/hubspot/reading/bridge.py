"""Whether forms bring an address and a browser together: what ``leadup doctor`` tells of those that are read.

HubSpot takes the browser's cookie with what is sent by a form, and does not give it back (source: Forms API v1, "Get
submissions for a form"): only a field of the form can tell it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from leadup.outgoing import Finding, Grade
from leadup.types import Kind
from leadup_connectors.hubspot.client import HubSpotClient
from leadup_connectors.hubspot.findings import graded
from leadup_connectors.hubspot.reading.forms import Forms
from leadup_connectors.hubspot.records import Form
from leadup_connectors.hubspot.settings import HubSpotSettings

LATEST: Final = 20
"""Submissions of a form that are looked at."""
NAMED: Final = 5
"""Forms that a finding names."""
GUIDE: Final = "docs/how-to/hubspot.md, Join visitors and contacts"


def bridge(connection: str, settings: HubSpotSettings, client: HubSpotClient) -> Finding:
    """Look at the forms that are read: whether each has a field for the browser, and whether anything fills it.

    Raises:
        LeadupError: HubSpot does not answer.
    """
    wanted = Forms(connection, settings, client).wanted()
    named = {Kind(kind): field for kind, field in settings.identifiers.items()}
    fields = [field for kind, field in named.items() if kind.is_device]
    if not wanted:
        return graded("forms", Grade.OK, "there is none to be read")
    if not fields:
        text = f"none of {len(wanted)} tells the browser: who sends one is not joined with what she did before"
        return graded("forms", Grade.OK, text, f"add a hidden field for it, and name it under identifiers ({GUIDE})")
    without = [form for form in wanted if form.fields.isdisjoint(fields) and form.fields]
    unfilled = [form for form in wanted if form not in without and _is_unfilled(client, form, fields)]
    asked = " or ".join(fields)
    if without:
        todo = f"add {asked} to them as a hidden field, and fill it ({GUIDE}); or leave them out by the setting forms"
        return graded(
            "forms", Grade.WARNING, f"{_names(without)} have no field {asked}: they join nobody with a browser", todo
        )
    if unfilled:
        todo = f"see whether the pages with these forms have the script that fills it ({GUIDE})"
        return graded(
            "forms", Grade.WARNING, f"of {_names(unfilled)} nothing that was sent last has {asked} filled", todo
        )
    return graded("forms", Grade.OK, f"{len(wanted)} are read, and tell the browser by {asked}")


def _is_unfilled(client: HubSpotClient, form: Form, fields: Collection[str]) -> bool:
    latest = client.forms.submissions(form.id, "", limit=LATEST)
    if latest is None or not latest.submissions:
        return False
    return not any(one.values.get(field) for one in latest.submissions for field in fields)


def _names(forms: Sequence[Form]) -> str:
    more = f" and {len(forms) - NAMED} more" if len(forms) > NAMED else ""
    return f"the forms {', '.join(form.name or form.id for form in forms[:NAMED])}{more}"
