"""What a request's body holds: one JSON value, the items of a JSON array, or one JSON object a line (NDJSON)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from leadup.records import DEPTH_LIMIT, parse_json, parse_line

_GZIP: Final = 31
"""``wbits`` of zlib: a gzip header and trailer, and the largest window."""


@dataclass(frozen=True, slots=True)
class Item:
    """One value of a body, or why there is none."""

    number: int
    """Its place, from 1: in the array, or the line."""
    value: Any = None
    problem: str = ""
    line: str = ""
    """As it was sent; empty for an item of an array."""

    @property
    def text(self) -> str:
        """As it was sent, or as good as that."""
        return self.line or json.dumps(self.value, ensure_ascii=False)


class TooLarge(ValueError):
    """A body that is larger unpacked than was allowed."""


def unpack(body: bytes, limit: int) -> bytes:
    """Undo gzip, in memory that never holds much more than ``limit`` bytes of it.

    Raises:
        TooLarge: it is larger than ``limit``.
        ValueError: it is not one gzip stream from end to end.
    """
    stream = zlib.decompressobj(wbits=_GZIP)
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error:
        raise ValueError("the body is not gzip, as its Content-Encoding says") from None
    if len(plain) > limit:
        raise TooLarge(f"the body is larger than {limit:,} bytes when it is unpacked")
    if not stream.eof:
        raise ValueError("the gzip body is cut short")
    if stream.unused_data:
        raise ValueError("something follows the gzip body")
    return plain


def read_body(body: bytes) -> list[Item]:
    """Return what a body holds.

    A whole JSON value counts as it is; else, when the first line is a JSON object, every line counts for itself, and
    one that is broken becomes an item with its problem.

    Raises:
        ValueError: the body is empty or not JSON, lies deeper than ``DEPTH_LIMIT`` (of each item), or holds what UTF-8
            can not say.
    """
    try:
        text = body.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} of the body is not UTF-8") from None
    plain = text.strip()
    if not plain:
        raise ValueError("the body is empty")
    if "\n" in plain and plain.startswith("{"):
        first, _, _ = plain.partition("\n")
        try:
            parse_line(first)
        except ValueError:
            pass  # one object that is written over several lines, or no JSON at all
        else:
            return list(_lines(text))
    is_array = plain.startswith("[")
    value = parse_json(plain, DEPTH_LIMIT + is_array)
    if not is_array:
        return [Item(1, value, line=plain)]
    return [Item(number, one) for number, one in enumerate(value, 1)]


def _lines(text: str) -> Iterator[Item]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield Item(number, parse_line(line), line=line)
            except ValueError as error:
                yield Item(number, problem=str(error), line=line)
