"""``GoogleAdsService``: answers queries about the account, and refuses what Google would refuse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from google.ads.googleads.v26.services.types import google_ads_service as service

from leadup_connectors.google_ads.sandbox.ads.errors import Refused, Wrong
from leadup_connectors.google_ads.sandbox.ads.gaql import Condition, Query, parse, refuse
from leadup_connectors.google_ads.sandbox.ads.resources import RESOURCES, Days

PAGE: Final = 10_000
ROW: Final = service.GoogleAdsRow.pb()
_LAST: Final = {"TODAY": (0, 1), "YESTERDAY": (1, 1), "LAST_7_DAYS": (1, 7), "LAST_14_DAYS": (1, 14)} | {
    "LAST_30_DAYS": (1, 30)
}
"""How many days ago a range ends, and how many it has."""
_MESSAGE: Final = 11
_ENUM: Final = 14
_DATE: Final = "segments.date"


def search(call: Any) -> Any:
    """Answer one page."""
    request = call.message
    if request.page_size:
        raise Refused(400, Wrong("request_error.PAGE_SIZE_NOT_SUPPORTED"))
    if request.page_token and not request.page_token.isdigit():
        raise Refused(400, Wrong("request_error.INVALID_PAGE_TOKEN"))
    query, rows = _found(call)
    start = int(request.page_token or 0)
    answer = service.SearchGoogleAdsResponse.pb()(
        results=[] if request.validate_only else rows[start : start + PAGE], field_mask={"paths": query.fields}
    )
    answer.next_page_token = str(start + PAGE) if start + PAGE < len(rows) else ""
    if request.search_settings.return_total_results_count:
        answer.total_results_count = len(rows)
    return answer


def search_stream(call: Any) -> Any:
    """Answer all rows in one message."""
    query, rows = _found(call)
    return service.SearchGoogleAdsStreamResponse.pb()(results=rows, field_mask={"paths": query.fields})


def _found(call: Any) -> tuple[Query, Sequence[Any]]:
    query = parse(call.message.query)
    if query.resource not in RESOURCES:
        raise refuse("BAD_RESOURCE_TYPE_IN_FROM_CLAUSE", f"The emulator holds no {query.resource}.")
    for name in query.fields:
        _check(name, query, "SELECT")
    for condition in query.conditions:
        _check(condition.field, query, "WHERE", condition)
    dates = [one for one in query.conditions if one.field == _DATE]
    others = [one for one in query.conditions if one.field != _DATE]
    days = _days(dates, call.account.now().date())
    rows = [row for row in _rows(call, query, days) if all(one.holds(_read(row, one.field)) for one in others)]
    for name, descending in reversed(query.order):
        _check(name, query, "ORDER_BY")
        rows.sort(key=lambda row, name=name: _read(row, name), reverse=descending)  # type: ignore[misc]
    return query, [_selected(row, query) for row in rows[: query.limit]]


def _rows(call: Any, query: Query, days: Days) -> Iterator[Any]:
    """The rows of a resource; where days are selected, one for each day on which anything was counted."""
    if _DATE not in query.fields:
        yield from RESOURCES[query.resource](call, days)
        return
    known = {
        datetime.fromisoformat(one["at"]).date() for some in call.account.conversions.values() for one in some.values()
    }
    for day in sorted(day for day in known if days[0] <= day <= days[1]):
        for row in RESOURCES[query.resource](call, (day, day)):
            if row.metrics.all_conversions:
                row.segments.date = day.isoformat()
                yield row


def _check(name: str, query: Query, clause: str, condition: Condition | None = None) -> None:
    """Refuse a field that does not exist, or that does not go with the resource."""
    top = name.partition(".")[0]
    descriptors = _descriptors(name)
    if not descriptors or "." not in name:
        raise refuse("UNRECOGNIZED_FIELD", f"Unrecognized field in the query: '{name}'.")
    last = descriptors[-1]
    attributed = _ATTRIBUTED.get(query.resource, ())
    if top not in (query.resource, "customer", "metrics", "segments", *attributed):
        kind = "SELECT" if clause == "ORDER_BY" else clause
        raise refuse(f"PROHIBITED_RESOURCE_TYPE_IN_{kind}_CLAUSE", f"Cannot use '{name}' with {query.resource}.")
    if top in ("metrics", "segments") and (query.resource != "conversion_action" or name not in _OF_ACTIONS):
        raise refuse("PROHIBITED_METRIC_IN_SELECT_OR_WHERE_CLAUSE", f"Cannot use '{name}' with {query.resource}.")
    if last.type == _MESSAGE and not last.is_repeated:
        raise refuse(f"PROHIBITED_FIELD_IN_{clause}_CLAUSE", f"'{name}' can not be used in {clause}.")
    if condition is not None and condition.operator == "DURING" and name != _DATE:
        raise refuse("OPERATOR_FIELD_MISMATCH")
    if condition is not None and last.type == _ENUM:
        for value in condition.values:
            if value not in last.enum_type.values_by_name:
                raise refuse("BAD_ENUM_CONSTANT", f"'{value}' is no value of {name}.")


_ATTRIBUTED: Final = {"conversion_goal_campaign_config": ("campaign",)}
"""Resources whose fields go with those of another."""
_OF_ACTIONS: Final = frozenset({"metrics.all_conversions", "metrics.all_conversions_value", _DATE})
"""Metrics and segments of a conversion action that are emulated."""


def _descriptors(name: str) -> list[Any]:
    """The fields along a path; empty when there is no such path."""
    found: list[Any] = []
    descriptor = ROW.DESCRIPTOR
    for part in name.split("."):
        fields = descriptor.fields_by_name if descriptor is not None else {}
        one = fields.get(part) or fields.get(f"{part}_")  # a field that would be a Python keyword ends in "_"
        if one is None:
            return []
        found.append(one)
        descriptor = one.message_type
    return found


def _read(row: Any, name: str) -> Any:
    value, descriptors = row, _descriptors(name)
    for descriptor in descriptors:
        value = getattr(value, descriptor.name)
    last = descriptors[-1]
    return last.enum_type.values_by_number[value].name if last.type == _ENUM else value


def _selected(row: Any, query: Query) -> Any:
    """A row with the selected fields, and the resource's name, which is always there."""
    made = ROW()
    for name in (f"{query.resource}.resource_name", *query.fields):
        source, target, (*above, last) = row, made, _descriptors(name)
        for descriptor in above:
            source, target = getattr(source, descriptor.name), getattr(target, descriptor.name)
        target.SetInParent()
        value = getattr(source, last.name)
        if last.is_repeated:
            getattr(target, last.name).MergeFrom(value)
        elif not last.has_presence or source.HasField(last.name):
            setattr(target, last.name, value)
    return made


def _days(conditions: Iterable[Condition], today: date) -> Days:
    """The first and last day that conditions on ``segments.date`` leave."""
    first, last = date.min, date.max
    for one in conditions:
        if one.operator == "DURING":
            if (named := str(one.values[0])) not in _LAST:
                raise refuse("INVALID_VALUE_WITH_DURING_OPERATOR")
            ago, many = _LAST[named]
            low = high = today - timedelta(days=ago)
            low = high - timedelta(days=many - 1)
        else:
            low, high = _between(one)
        first, last = max(first, low), min(last, high)
    return first, last


def _between(condition: Condition) -> Days:
    try:
        days = [date.fromisoformat(str(value)) for value in condition.values]
    except ValueError:
        raise refuse("INVALID_DATE_FORMAT") from None
    one_day = timedelta(days=1)
    ranges = {
        "=": (days[0], days[0]),
        ">=": (days[0], date.max),
        ">": (days[0] + one_day, date.max),
        "<=": (date.min, days[0]),
        "<": (date.min, days[0] - one_day),
        "BETWEEN": (days[0], days[-1]),
    }
    if condition.operator not in ranges:
        raise refuse("OPERATOR_FIELD_MISMATCH")
    return ranges[condition.operator]
