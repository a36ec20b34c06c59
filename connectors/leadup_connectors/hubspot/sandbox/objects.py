"""The calls that every object type has: records in batches, in pages, one by one, and by search (source: CRM API)."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from leadup_connectors.hubspot.sandbox.answers import (
    Now,
    Problem,
    batch,
    failed,
    invalid,
    not_found,
    number,
    rows_of,
    stamp,
    unknown,
)
from leadup_connectors.hubspot.sandbox.records import Records
from leadup_connectors.hubspot.sandbox.search import Search

BATCH, BATCH_WITH_HISTORY = 100, 50
"""Most inputs of a batch."""
PAGE, LONGEST_PAGE = 10, 100

Refuses = Callable[[Request, Sequence[str]], Mapping[str, str]]
"""Says which of these rows the weather refuses, and with which code."""


class Objects(Records):
    """The records of one object type, and the calls about them."""

    name: ClassVar[str]
    """As paths and scopes write it."""
    type_id: ClassVar[str]
    kind: ClassVar[str]
    """HubSpot's word for one of them, in capitals."""
    shown: ClassVar[Sequence[str]]
    """Properties that a read tells where none are asked for."""
    group: ClassVar[tuple[str, str]]
    """Name and label of the group that HubSpot's own properties are in."""
    changed: ClassVar[str]
    """The property with the instant of the last change."""
    given: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Some of the properties that HubSpot defines itself, besides those of all records."""
    first: ClassVar[int]
    """Id of the first record."""

    def __init__(self, now: Now, refuses: Refuses) -> None:
        super().__init__(now, count(self.first), *self.group, self.changed)
        for name, how in self.given.items():
            self.properties.define(name, **how)
        self.searching = Search(self, self.shown)
        self.associated: Callable[[str, Sequence[str]], dict[str, Any]] = lambda _record, _asked: {}
        """Gives the part ``associations`` of a basic read, for these object types."""
        self._refuses = refuses

    # ------------------------------------------------------------ what object types differ in

    def refuse(self, values: Mapping[str, Any], record: str | None) -> None:
        """Refuse values that may not be written to this record (None: to a new one)."""
        self.properties.check(values)
        for name, value in values.items():
            holder = self.find(name, value) if self.properties.is_unique(name) and value else None
            if holder and holder != record:
                raise self.conflict(holder)

    def conflict(self, holder: str) -> Problem:
        """409: the value of a unique property belongs to another record."""
        message = f"{self.kind.capitalize()} already exists. Existing ID: {holder}"
        return Problem(409, "CONFLICT", message, existing=holder)

    # ------------------------------------------------------------ batches

    def read(self, request: Request, body: Any) -> Response:
        history = (isinstance(body, dict) and body.get("propertiesWithHistory")) or ()
        inputs = _inputs(body, BATCH_WITH_HISTORY if history else BATCH)
        by = body.get("idProperty") or "hs_object_id"
        if by not in self.properties.known:
            raise invalid(f'Property "{by}" does not exist', errors=[{"code": "PROPERTY_DOESNT_EXIST"}])
        if not self.properties.is_unique(by):
            raise invalid(f"Unable to perform read by non-unique {self.type_id} property")
        holders = {each["id"]: self._holder(request, by, each["id"]) for each in inputs}
        found = dict.fromkeys(holder for holder in holders.values() if holder)
        lost = [key for key, holder in holders.items() if not holder]
        wanted = self._wanted(body.get("properties", ()))
        # HubSpot promises no order, so a client that counts on one should notice here.
        results = [self._record(record, wanted) for record in reversed(found)]
        for each in results if history else ():
            each["propertiesWithHistory"] = {name: self._history(each["id"], name) for name in history}
        return batch(results, [unknown(lost, self.kind)] if lost else [], self.now())

    def update(self, request: Request, body: Any) -> Response:
        inputs = _inputs(body)
        for each in inputs:
            self._refuse_key(each.get("idProperty"), update=True)
        # An address without idProperty is passed over, and no error says so (source: hubspot-api-nodejs #548).
        inputs = [each for each in inputs if each.get("idProperty") or each["id"].isdecimal()]
        holders = {each["id"]: self.find(each.get("idProperty") or "hs_object_id", each["id"]) for each in inputs}
        for each in inputs:
            self.refuse(each.get("properties") or {}, holders[each["id"]])
        refused = self._refuses(request, list(holders))
        done = []
        for each in inputs:
            holder = holders[each["id"]]
            if holder and each["id"] not in refused:
                self.write(holder, each.get("properties") or {})
                done.append(self._record(holder, each.get("properties") or {}))
        lost = [key for key, holder in holders.items() if not holder and key not in refused]
        errors = [unknown(lost, self.kind)] if lost else []
        errors += [failed(Problem(400, code, "refused"), ids=[row]) for row, code in refused.items()]
        return batch(done, errors, self.now())

    def create(self, _request: Request, body: Any) -> Response:
        rows = rows_of(body, BATCH)
        traced = _are_traced(rows)
        created, errors = [], []
        for row in rows if traced else ():
            values = row.get("properties") or {}
            try:
                self.refuse(values, None)
            except Problem as problem:
                errors.append(failed(problem, objectWriteTraceId=[row["objectWriteTraceId"]]))
            else:
                created.append(self._made(values, row["objectWriteTraceId"]))
        if not traced:  # all or none, and only the first mistake is named
            self._refuse_twins(rows)
            for row in rows:
                self.refuse(row.get("properties") or {}, None)
            created = [self._made(row.get("properties") or {}) for row in rows]
        return batch(created, errors, self.now(), 201)

    def upsert(self, request: Request, body: Any) -> Response:
        """Update who is there by a unique property, create who is not.

        A batch by e-mail is done whole or not at all; by another property failed rows are told apart if each input has
        its own ``objectWriteTraceId`` (source: Contacts API, "Upsert contacts"; the latter as reported by users).
        """
        inputs = _inputs(body)
        keys = {each.get("idProperty") for each in inputs}
        if len(keys) > 1:
            raise invalid("All inputs of a batch need the same idProperty.")
        by = keys.pop()
        self._refuse_key(by)
        apart = by != "email" and _are_traced(inputs)
        errors, ready = [], []
        for each in inputs:
            try:
                ready.append((each, *self._upsertable(by, each)))
            except Problem as problem:
                if not apart:
                    raise
                errors.append(failed(problem, objectWriteTraceId=[each["objectWriteTraceId"]], ids=[each["id"]]))
        refused = self._refuses(request, [each["id"] for each in inputs])
        errors += [failed(Problem(400, code, "refused"), ids=[row]) for row, code in refused.items()]
        results = []
        for each, holder, values in ready:
            if each["id"] in refused:
                continue
            if holder:
                self.write(holder, values)
            record = holder or self.add(values)
            traced = {name: each[name] for name in ("objectWriteTraceId",) if name in each}
            results.append(self._record(record, values) | {"new": holder is None} | traced)
        return batch(results[::-1], errors, self.now())

    # ------------------------------------------------------------ pages, single records, search

    def page(self, request: Request, _body: Any) -> Response:
        """Answer a page of all records, by record id."""
        history = _names(request, "propertiesWithHistory")
        limit = number(request, "limit", PAGE, BATCH_WITH_HISTORY if history else LONGEST_PAGE)
        archived = request.query_params.get("archived") == "true"
        ids = sorted(self.archived, key=int) if archived else list(self.values)
        start = bisect_right(ids, int(request.query_params.get("after") or 0), key=int)  # ids only ever grow
        results = [self._basic(request, record, history) for record in ids[start : start + limit]]
        more = {"paging": {"next": {"after": ids[start + limit - 1]}}} if len(ids) > start + limit else {}
        return JSONResponse({"results": results, **more})

    def one(self, request: Request, _body: Any) -> Response:
        record = self._holder(request, self._key(request), request.path_params["record"])
        if record is None:
            raise not_found(self.kind.capitalize())
        return JSONResponse(self._basic(request, record, _names(request, "propertiesWithHistory")))

    def search(self, _request: Request, body: Any) -> Response:
        return self.searching.answer(body, self._hit)

    def _key(self, request: Request) -> str:
        by = request.query_params.get("idProperty") or "hs_object_id"
        if not self.properties.is_unique(by):
            raise invalid(f"Unable to perform read by non-unique {self.type_id} property")
        return by

    def _basic(self, request: Request, record: str, history: Sequence[str]) -> dict[str, Any]:
        told = self._record(record, self._wanted(_names(request, "properties") or self.shown))
        if history:
            told["propertiesWithHistory"] = {name: self._history(record, name) for name in history}
        return told | self.associated(record, _names(request, "associations"))

    def _hit(self, record: str, values: Mapping[str, str], updated: datetime, wanted: Sequence[str]) -> dict[str, Any]:
        """Return a record as the index of the search knows it."""
        told = {name: values.get(name) for name in sorted(self._wanted(wanted))}
        return self._record(record, ()) | {"properties": told, "updatedAt": stamp(updated)}

    def _wanted(self, asked: Iterable[str]) -> set[str]:
        """Return the properties to tell: what is not known is passed over, and some are always told."""
        return {"hs_object_id", "createdate", self.modified, *asked} & self.properties.known.keys()

    # ------------------------------------------------------------ rows of a batch

    def _refuse_twins(self, rows: Sequence[Mapping[str, Any]]) -> None:
        values = [(n, v) for row in rows for n, v in (row.get("properties") or {}).items() if v]
        keys = Counter(self.properties.stored(n, v) for n, v in values if self.properties.is_unique(n))
        _refuse_twice(keys)

    def _upsertable(self, by: str | None, each: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Return the record an input is about, if there is one, and the values to write."""
        values, holder = dict(each.get("properties") or {}), self.find(by or "hs_object_id", each["id"])
        if holder is None:
            if by in (None, "hs_object_id"):
                raise invalid(f"{each['id']} is no record to update.", context={"ids": [each["id"]]})
            values.setdefault(str(by), each["id"])
        self.refuse(values, holder)
        return holder, values

    def _made(self, values: Mapping[str, str], trace: str = "") -> dict[str, Any]:
        record = self.add(values)
        return self._record(record, self.values[record]) | ({"objectWriteTraceId": trace} if trace else {})

    def _holder(self, request: Request, by: str, key: str) -> str | None:
        if request.query_params.get("archived") == "true":
            return key if by == "hs_object_id" and key in self.archived else None
        return self.find(by, key)

    def _refuse_key(self, by: str | None, *, update: bool = False) -> None:
        """Refuse to write by a property that is not unique; for updates the e-mail address is not."""
        if by and (not self.properties.is_unique(by) or (update and by == "email")):
            raise invalid(f"Unable to perform update/upsert by non-unique {self.type_id} property")

    # ------------------------------------------------------------ on the wire

    def _record(self, record: str, wanted: Iterable[str]) -> dict[str, Any]:
        life = self.lives[record]
        answer = {
            "id": record,
            "properties": {name: self.value(record, name) for name in sorted(wanted)},
            "createdAt": stamp(life.created),
            "updatedAt": stamp(life.updated),
            "archived": life.archived is not None,
        }
        return answer | ({"archivedAt": stamp(life.archived)} if life.archived else {})

    def _history(self, record: str, name: str) -> list[dict[str, str]]:
        """Return a property's values with when they came, newest first."""
        life, value = self.lives[record], self.value(record, name)
        told = []
        for when, _, changed, before in reversed(life.replaced):
            if changed == name:
                told.append((value, when))
                value = before
        told.append((value, life.created))
        return [
            {"value": each, "timestamp": stamp(when), "sourceType": "INTEGRATION"}
            for each, when in told
            if each is not None
        ]


def _inputs(body: Any, most: int = BATCH) -> list[dict[str, Any]]:
    inputs = rows_of(body, most)
    if not all(isinstance(each.get("id"), str) for each in inputs):
        raise invalid("Each input needs an id.")
    _refuse_twice(Counter(each["id"].lower() for each in inputs))
    return inputs


def _refuse_twice(keys: Counter[str]) -> None:
    twice = [key for key, count in keys.items() if count > 1]
    if twice:
        message = f"Duplicate IDs found in batch input: [{', '.join(twice)}]. IDs must be unique"
        raise invalid(message, context={"ids": twice})


def _names(request: Request, name: str) -> list[str]:
    """Return names of a query, which stand in it several times, or divided by commas."""
    return [each for part in request.query_params.getlist(name) for each in part.split(",") if each]


def _are_traced(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether each row has a trace id of its own, which asks for failures one by one (source: Error handling)."""
    traces = {row.get("objectWriteTraceId") for row in rows} - {None, ""}
    return len(traces) == len(rows)
