"""What HubSpot's error bodies name: codes, scopes, properties. Nothing that is not shaped like a name is passed on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,80}")


def code(text: object) -> str:
    """Return a code as it may be shown; "" for anything that does not look like one."""
    return text if isinstance(text, str) and _CODE.fullmatch(text) else ""


def lasts(reason: str) -> bool:
    """Whether a code, in small letters, says that a row itself is wrong, so that it is refused each time."""
    return reason.startswith(("validation", "invalid"))


def scopes(body: Mapping[str, Any]) -> list[str]:
    """Return the scopes that a 403 names; they stand under several keys."""
    details = [body, *_details(body)]
    contexts = [each["context"] for each in details if isinstance(each.get("context"), dict)]
    named = [value for context in contexts for key, value in context.items() if key.endswith("Scopes")]
    return sorted({code(scope) for each in named for scope in each} - {""})


def blamed(error: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the properties whose values an error is about; none where it names none.

    They stand in its details, or as JSON in its message (source: changelog, "Property Validations Rules will be
    enforced for APIs and Integrations").
    """
    contexts = [context for each in _details(error) if isinstance(context := each.get("context"), dict)]
    names = [context.get("propertyName") for context in contexts]
    _, _, listed = str(error.get("message")).partition(": [")
    try:
        told = json.loads(f"[{listed}") if listed else []
    except ValueError:
        told = []
    names += [each.get("name") for each in told if isinstance(each, dict)]
    return frozenset(code(name) for one in names for name in (one if isinstance(one, list) else [one])) - {""}


def _details(error: Mapping[str, Any]) -> list[dict[str, Any]]:
    details = error.get("errors")
    return [each for each in details if isinstance(each, dict)] if isinstance(details, list) else []
