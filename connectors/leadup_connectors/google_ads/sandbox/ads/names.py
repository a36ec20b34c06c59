"""Resource names and enums of raw messages, by name."""

from __future__ import annotations

import re
from typing import Any, Final

_RESOURCE: Final = re.compile(r"customers/(\d+)/(\w+)/([\w~]+)")


def resource(customer: str, collection: str, key: str) -> str:
    """Return ``customers/1234567890/conversionActions/1``."""
    return f"customers/{customer}/{collection}/{key}"


def key_of(name: str, collection: str) -> str:
    """Return the last part of a resource name of a collection, or "" when it is no such name.

    Google ignores the customer in it for conversion actions (reference page of ``ClickConversion``).
    """
    matched = _RESOURCE.fullmatch(name)
    return matched[3] if matched and matched[2] == collection else ""


def enum_name(message: Any, field: str) -> str:
    """Return the name of an enum field's value, e.g. ``UPLOAD_CLICKS``."""
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    found = descriptor.enum_type.values_by_number.get(getattr(message, field))
    return found.name if found else "UNKNOWN"


def set_enum(message: Any, field: str, name: str) -> None:
    """Set an enum field by its value's name; KeyError when the enum has none of it."""
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    setattr(message, field, descriptor.enum_type.values_by_name[name].number)
