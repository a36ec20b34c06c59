"""The Google Ads Query Language, as far as leadup asks in it ("Google Ads Query Language grammar")."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from leadup_connectors.google_ads.sandbox.ads.errors import Refused, Wrong

Scalar = str | int | float | bool
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<word>[A-Za-z_][\w.]*)"""
    r"""|(?P<number>-?\d+(?:\.\d+)?)|(?P<sign><=|>=|!=|[=<>(),]))"""
)
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """``field operator value``; a list of values for IN and NOT IN, two values for BETWEEN."""

    field: str
    operator: str
    values: tuple[Scalar, ...]

    def holds(self, found: Scalar) -> bool:
        """Whether a row's value meets it."""
        if self.operator in ("IN", "NOT IN"):
            return (found in self.values) == (self.operator == "IN")
        if self.operator == "BETWEEN":
            return bool(self.values[0] <= found <= self.values[1])  # type: ignore[operator]
        if self.operator in ("LIKE", "NOT LIKE"):
            parts = (re.escape(part) for part in str(self.values[0]).split("%"))
            return (re.fullmatch(".*".join(parts), str(found), re.IGNORECASE) is not None) == (self.operator == "LIKE")
        return _COMPARE[self.operator](found, self.values[0])


@dataclass(slots=True)
class Query:
    """A query, read."""

    fields: list[str] = field(default_factory=list)
    resource: str = ""
    conditions: list[Condition] = field(default_factory=list)
    order: list[tuple[str, bool]] = field(default_factory=list)
    """Fields, and whether the greatest comes first."""
    limit: int | None = None


def refuse(code: str, message: str = "") -> Refused:
    """Return the refusal of a query."""
    return Refused(400, Wrong(f"query_error.{code}", message=message))


def parse(text: str) -> Query:
    """Read a query.

    Raises:
        Refused: with the ``QueryError`` that Google has for it.
    """
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = [*_tokens(text), ("end", "")]
        self._at = 0

    def query(self) -> Query:
        found = Query()
        self._expect("SELECT", "EXPECTED_SELECT")
        found.fields = list(self._fields())
        self._expect("FROM", "EXPECTED_FROM")
        found.resource = self._word("UNEXPECTED_END_OF_QUERY")
        if self._skip("WHERE"):
            found.conditions.append(self._condition())
            while self._skip("AND"):
                found.conditions.append(self._condition())
        if self._skip("ORDER"):
            self._expect("BY", "EXPECTED_BY")
            found.order = list(self._order())
        if self._skip("LIMIT"):
            kind, value = self._next()
            if kind != "number" or not value.isdigit() or int(value) < 1:
                raise refuse("BAD_LIMIT_VALUE")
            found.limit = int(value)
        if self._skip("PARAMETERS"):
            self._at = len(self._tokens) - 1  # they change what is left out or counted, none of which is emulated
        if self._tokens[self._at][0] != "end":
            raise refuse("UNEXPECTED_INPUT", f"Unexpected input {self._tokens[self._at][1]}.")
        return found

    def _fields(self) -> Iterator[str]:
        yield self._word("BAD_FIELD_NAME")
        while self._skip(","):
            yield self._word("BAD_FIELD_NAME")

    def _order(self) -> Iterator[tuple[str, bool]]:
        while True:
            name = self._word("BAD_FIELD_NAME")
            descending = self._skip("DESC")
            if not descending:
                self._skip("ASC")
            yield name, descending
            if not self._skip(","):
                return

    def _condition(self) -> Condition:
        name = self._word("BAD_FIELD_NAME")
        kind, sign = self._next()
        sign = sign.upper()
        if sign == "NOT":
            sign = f"NOT {self._next()[1].upper()}"
        if kind == "sign" and sign in _COMPARE:
            return Condition(name, sign, (self._value(),))
        if sign in ("LIKE", "NOT LIKE"):
            return Condition(name, sign, (self._value(),))
        if sign in ("IN", "NOT IN"):
            return Condition(name, sign, tuple(self._list()))
        if sign == "BETWEEN":
            low = self._value()
            self._expect("AND", "EXPECTED_AND")
            return Condition(name, sign, (low, self._value()))
        if sign == "DURING":
            return Condition(name, sign, (self._word("INVALID_VALUE_WITH_DURING_OPERATOR").upper(),))
        raise refuse("BAD_OPERATOR", f"{sign or 'The end'} is no operator here.")

    def _list(self) -> Iterator[Scalar]:
        self._expect("(", "EXPECTED_LIST")
        if self._skip(")"):
            raise refuse("PROHIBITED_EMPTY_LIST_IN_CONDITION")
        yield self._value()
        while self._skip(","):
            yield self._value()
        self._expect(")", "EXPECTED_LIST")

    def _value(self) -> Scalar:
        kind, text = self._next()
        if kind == "number":
            return float(text) if "." in text else int(text)
        if kind == "string":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if kind == "word":
            return {"TRUE": True, "FALSE": False}.get(text.upper(), text)
        raise refuse("BAD_VALUE" if kind != "end" else "UNEXPECTED_END_OF_QUERY")

    def _word(self, otherwise: str) -> str:
        kind, text = self._next()
        if kind != "word":
            raise refuse(otherwise if kind != "end" else "UNEXPECTED_END_OF_QUERY")
        return text

    def _next(self) -> tuple[str, str]:
        token = self._tokens[self._at]
        self._at += token[0] != "end"
        return token

    def _skip(self, word: str) -> bool:
        kind, text = self._tokens[self._at]
        found = kind != "string" and text.upper() == word
        self._at += found
        return found

    def _expect(self, word: str, otherwise: str) -> None:
        if not self._skip(word):
            raise refuse(otherwise)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise refuse("STRING_NOT_TERMINATED" if text[at:].lstrip()[:1] in "'\"" else "BAD_SYMBOL")
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()
