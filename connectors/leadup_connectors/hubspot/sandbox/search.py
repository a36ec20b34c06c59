"""The search for records (source: CRM API, "Search the CRM")."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from starlette.responses import JSONResponse, Response

from leadup_connectors.hubspot.sandbox.answers import invalid, stamp
from leadup_connectors.hubspot.sandbox.properties import parse_time
from leadup_connectors.hubspot.sandbox.records import Records

PAGE, LONGEST_PAGE = 10, 200
MOST_FOUND = 10_000
"""Results of a query that can be paged through."""
GROUPS, FILTERS, ALL_FILTERS = 5, 6, 18
"""Most filter groups, filters of a group, filters altogether."""

Told = Mapping[str, str]
"""A record's properties as the index has them."""
Value = float | str
_Filter = Callable[[Told], bool]


class Search:
    """Searches the records of one object type, of whose last changes the index does not know yet."""

    def __init__(self, records: Records, shown: Sequence[str]) -> None:
        """``shown`` are the properties that an answer tells where none are asked for."""
        self.lag = timedelta(0)
        self._records, self._shown = records, shown
        self._last: tuple[object, list[str]] = (None, [])

    def answer(self, body: Any, record: Callable[[str, Told, datetime, Sequence[str]], Mapping[str, Any]]) -> Response:
        """Answer a page of results; ``record`` writes one."""
        if not isinstance(body, dict):
            raise invalid("Invalid input JSON: an object is expected")
        limit, offset = _whole(body.get("limit"), PAGE), _whole(body.get("after"), 0)
        if not 1 <= limit <= LONGEST_PAGE:
            raise invalid(f"limit must lie between 1 and {LONGEST_PAGE}")
        if offset + limit > MOST_FOUND:
            raise invalid(f"Only the first {MOST_FOUND} results can be paged through.")
        at = self._records.now() - self.lag
        found = self._found(body, at)
        wanted = body.get("properties") or self._shown
        results = [record(i, *self._told(i, at), wanted) for i in found[offset : offset + limit]]
        end = offset + limit
        paging = {"paging": {"next": {"after": str(end)}}} if end < len(found) else {}
        return JSONResponse({"total": len(found), "results": results, **paging})

    def _found(self, body: Mapping[str, Any], at: datetime) -> list[str]:
        """Return the ids of all that match, in order. Those of the last query are kept: it is read page by page."""
        query = [body.get(name) for name in ("filterGroups", "sorts", "query")]
        key = (repr(query), self._records.version, at if self._records.latest > at else None)
        if self._last[0] != key:
            matches, sort, backward = self._filter(body), *self._sort(body)
            told = [(i, self._told(i, at)[0]) for i in self._records.values if self._records.as_of(i, at)]
            rows = [(self._typed(sort, values.get(sort, "")), int(i)) for i, values in told if matches(values)]
            known = [row for row in rows if row[0] != ""]
            empty = [row for row in rows if row[0] == ""]
            known.sort(reverse=backward)
            self._last = (key, [str(i) for _, i in known + empty])
        return self._last[1]

    def _told(self, record: str, at: datetime) -> tuple[dict[str, str], datetime]:
        known = self._records.as_of(record, at)
        values, updated = known or ({}, at)
        created = stamp(self._records.lives[record].created)
        return {"createdate": created, **values, self._records.modified: stamp(updated)}, updated

    # ------------------------------------------------------------ what is asked for

    def _sort(self, body: Mapping[str, Any]) -> tuple[str, bool]:
        """Return the property to sort by and whether backward; HubSpot takes one, as text or as an object."""
        sorts = body.get("sorts") or ["createdate"]
        if not isinstance(sorts, list) or len(sorts) > 1:
            raise invalid("Only one sort is allowed.")
        sort = sorts[0]
        if isinstance(sort, dict):
            return self._known(sort.get("propertyName")), sort.get("direction") == "DESCENDING"
        return self._known(str(sort).removeprefix("-")), str(sort).startswith("-")

    def _filter(self, body: Mapping[str, Any]) -> _Filter:
        groups = [group.get("filters") or [] for group in body.get("filterGroups") or []]
        most = max(map(len, groups), default=0)
        if len(groups) > GROUPS or most > FILTERS or sum(map(len, groups)) > ALL_FILTERS:
            raise invalid(f"A query has at most {GROUPS} groups of {FILTERS} filters, {ALL_FILTERS} in all.")
        tests = [[self._test(each) for each in group] for group in groups]
        words = (body.get("query") or "").lower()

        def matches(told: Told) -> bool:
            if words and not any(words in told.get(name, "").lower() for name in self._shown):
                return False
            return not tests or any(all(test(told) for test in group) for group in tests)

        return matches

    def _test(self, one: Mapping[str, Any]) -> _Filter:
        name, operator = self._known(one.get("propertyName")), one.get("operator")
        if operator in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
            return lambda told: bool(told.get(name)) == (operator == "HAS_PROPERTY")
        values = one.get("values") if operator in ("IN", "NOT_IN") else [one.get("value")]
        if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
            raise invalid(f"The operator {operator} needs values as text.")
        sought = [self._typed(name, value, strict=True) for value in values]
        if operator == "BETWEEN":
            sought.append(self._typed(name, str(one.get("highValue")), strict=True))
        compare = _OPERATORS.get(str(operator))
        if compare is None:
            raise invalid(f"The operator {operator!r} is not known.")
        # What has no value meets no comparison, not even an unequal one.
        return lambda told: bool(told.get(name)) and compare(self._typed(name, told[name]), sought)

    def _known(self, name: object) -> str:
        if name not in self._records.properties.known:
            raise invalid(f'Property "{name}" does not exist')
        return str(name)

    def _typed(self, name: str, value: str, *, strict: bool = False) -> Any:
        """Return a value as it compares: numbers and instants by size, text whatever its case."""
        kind = self._records.properties.known[name]["type"]
        if not value or kind not in ("number", "date", "datetime"):
            return value.lower()
        try:
            at = None if kind == "number" else parse_time(value)
            return at.timestamp() if at else float(value)
        except ValueError:
            if strict:
                raise invalid(f"{value!r} is no {kind}.") from None
            return ""


def _token(value: str, sought: list[Any]) -> bool:
    return any(fnmatchcase(word, str(sought[0])) for word in _words(value))


def _words(value: str) -> Iterator[str]:
    yield value
    yield from value.replace("@", " ").split()


_OPERATORS: Mapping[str, Callable[[Any, list[Any]], bool]] = {
    "EQ": lambda value, sought: value == sought[0],
    "NEQ": lambda value, sought: value != sought[0],
    "LT": lambda value, sought: value < sought[0],
    "LTE": lambda value, sought: value <= sought[0],
    "GT": lambda value, sought: value > sought[0],
    "GTE": lambda value, sought: value >= sought[0],
    "BETWEEN": lambda value, sought: sought[0] <= value <= sought[1],
    "IN": lambda value, sought: value in sought,
    "NOT_IN": lambda value, sought: value not in sought,
    "CONTAINS_TOKEN": _token,
    "NOT_CONTAINS_TOKEN": lambda value, sought: not _token(value, sought),
}


def _whole(value: object, default: int) -> int:
    text = str(default if value in (None, "") else value)
    if not text.isdecimal():
        raise invalid("limit and after are whole numbers.")
    return int(text)
