"""Reads lists of known people: CSV with a header line. Pure; no message quotes what stands in a row."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from leadup.errors import Problem
from leadup.identity.normalise import is_address, normalise
from leadup.identity.seal import redact
from leadup.rules.suggest import nearest
from leadup.types import Kind

MAX_BYTES: Final = 32 << 20
SHOWN: Final = 20
"""So many rows are complained of one by one."""
_DELIMITERS: Final = ",;\t|"
_WHAT: Final = {Kind.EMAIL: "e-mail address", Kind.PHONE: "phone number"}
_LIKE: Final = {
    Kind.EMAIL: "such as ada@example.com, or its SHA-256 in hex",
    Kind.PHONE: "such as +49 30 1234567, or its SHA-256 in hex; without + and country code `region` must be set",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What one list's file holds."""

    match: Kind
    values: frozenset[str] = frozenset()
    """Identifiers as the state holds them (:func:`leadup.identity.normalise.normalise`): hashed, where events' are."""
    errors: Sequence[Problem] = ()
    """Why it can not be used."""
    warnings: Sequence[Problem] = ()
    """Rows that were left out."""

    @property
    def digest(self) -> str:
        """A hash of the identifiers."""
        return hashlib.sha256("\n".join([self.match, *sorted(self.values)]).encode()).hexdigest()


def read_list(file: str, content: bytes, match: Kind, *, column: str = "", region: str | None = None) -> Listing:
    """Read the file of a list.

    Rows without an identifier are skipped; those that hold something else are left out with a warning. Nobody on the
    list, or more rows left out than read, is an error: so looks a failed export, or the wrong column.

    Args:
        file: its name in messages.
        content: UTF-8, at most :data:`MAX_BYTES`; columns separated by comma, semicolon, tab or ``|``.
        match: the kind of identifier.
        column: the column's name; empty: that of ``match``.
        region: the country (ISO 3166) of phone numbers without ``+`` and country code.
    """
    reading = _Reading(file, match, column or match.value, region)
    try:
        reading.read(content)
    except _Unusable as error:
        return Listing(match=match, errors=[error.problem])
    return Listing(match=match, values=frozenset(reading.values), warnings=reading.complaints())


class _Unusable(Exception):
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


class _Reading:
    def __init__(self, file: str, match: Kind, column: str, region: str | None) -> None:
        self._file, self._match, self._column, self._region = file, match, column, region
        self._what = _WHAT.get(match, match.value.replace("_", " "))
        self._rows = self._bad = 0
        self._first: list[Problem] = []
        self.values: set[str] = set()

    def read(self, content: bytes) -> None:
        lines = _Lines(self._text(content))
        header = lines.peek()
        delimiter = max(_DELIMITERS, key=header.count)
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            place = self._place(next(rows, []))
            for row in rows:
                if len(row) > place and (cell := row[place].strip()):
                    self._take(cell, lines, delimiter, place)
        except csv.Error as error:
            raise self._unusable(f"This is not CSV: {error}.", line=lines.begun) from None
        if not self._rows:
            hint = "was it written to its end? a list of nobody is taken out of the rules"
            raise self._unusable(f'No row has anything in column "{self._column}".', hint, line=lines.begun)
        if self._bad > len(self.values):
            text = f'{self._bad} of {self._rows} rows hold no {self._what} in column "{self._column}".'
            raise self._unusable(text, "is it the right one? `column` names another", line=self._first[0].line)

    def complaints(self) -> list[Problem]:
        more = self._bad - len(self._first)
        return [*self._first, *([self._problem(f"{more} more rows hold no {self._what}.")] if more else [])]

    def _text(self, content: bytes) -> str:
        if len(content) > MAX_BYTES:
            hint = "keep only the column that is matched; split it into several lists"
            raise self._unusable(f"This list is longer than {MAX_BYTES >> 20} MiB.", hint)
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = content[: error.start].rpartition(b"\n")[2]
            line = content.count(b"\n", 0, error.start) + 1
            column = len(before.decode("utf-8-sig")) + 1
            raise self._unusable("This is not UTF-8 text.", "save it as UTF-8", line=line, column=column) from None

    def _place(self, header: Sequence[str]) -> int:
        """Return which column holds the identifiers."""
        names = [name.strip() for name in header]
        if names.count(self._column) == 1:
            return names.index(self._column)
        if not any(names):
            raise self._unusable("This list is empty.", f"its first line names its columns, such as {self._column}")
        if any(map(is_address, names)):
            raise self._unusable("The first line holds an address.", f"name the columns there: {self._column}")
        if self._column in names:
            raise self._unusable(f'Two columns are called "{self._column}".', "give one of them another name")
        near = nearest(self._column, names)
        shown = ", ".join(redact(name) for name in names[:SHOWN])
        hint = f'did you mean "{near}"? write `column: "{near}"`' if near else f"`column` names one of: {shown}"
        raise self._unusable(f'There is no column "{self._column}".', hint)

    def _take(self, cell: str, lines: _Lines, delimiter: str, place: int) -> None:
        self._rows += 1
        value = normalise(self._match, cell, region=self._region)
        if value is not None:
            self.values.add(value)
            return
        self._bad += 1
        if len(self._first) < SHOWN:
            column = _column_of(lines.row, delimiter, place)
            text = f"This is no {self._what}; the row is left out."
            self._first.append(self._problem(text, _LIKE.get(self._match, ""), line=lines.begun, column=column))

    def _problem(self, message: str, hint: str = "", *, line: int = 1, column: int = 1) -> Problem:
        return Problem(self._file, line, column, message, hint)

    def _unusable(self, message: str, hint: str = "", *, line: int = 1, column: int = 1) -> _Unusable:
        return _Unusable(self._problem(message, hint, line=line, column=column))


class _Lines(Iterator[str]):
    """The lines of a text, with the first line of the row that is being read."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self._number = 0
        self.row = ""
        """The text of the row."""
        self.begun = 1
        """The number of its first line."""
        self._open = False

    def peek(self) -> str:
        """Return the first line, which stays the next one."""
        first = self._lines.readline()
        self._lines.seek(0)
        return first

    def __next__(self) -> str:
        line = self._lines.readline()
        if not line:
            raise StopIteration
        self._number += 1
        if not self._open:
            self.row, self.begun = "", self._number
        self.row += line
        self._open = self.row.count('"') % 2 == 1
        return line


def _column_of(row: str, delimiter: str, place: int) -> int:
    """Return the 1-based column at which a cell begins; 1 if it begins on a later line of the row."""
    quoted, passed, start = False, 0, 0
    for index, character in enumerate(row):
        if passed == place:
            break
        quoted ^= character == '"'
        if character == delimiter and not quoted:
            passed, start = passed + 1, index + 1
    return 1 if "\n" in row[:start] else start + 1
