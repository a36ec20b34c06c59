"""What a request's body holds."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadup.bodies import TooLarge, read_body, unpack

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)
OBJECTS = st.dictionaries(TEXT, TEXT | st.integers(-(10**9), 10**9) | st.none(), max_size=4)


@given(st.lists(OBJECTS, min_size=2, max_size=5), st.booleans())
def test_an_array_and_lines_say_the_same(objects: list[dict[str, object]], ascii_only: bool) -> None:
    lines = "\n".join(json.dumps(one, ensure_ascii=ascii_only) for one in objects)
    array = json.dumps(objects, ensure_ascii=ascii_only)
    for text in (lines, array, f"\ufeff\r\n{lines}\r\n\r\n", f"  {array}\n"):
        assert [item.value for item in read_body(text.encode())] == objects


@given(st.binary(max_size=200) | st.text(alphabet='[]{}",:1\n nulf', max_size=60).map(str.encode))
def test_anything_is_read_or_refused(body: bytes) -> None:
    try:
        items = read_body(body)
    except ValueError as error:
        text = str(error)
        assert text
        return
    for item in items:
        assert bool(item.problem) == (item.value is None and item.text != "null")


def test_lines_are_numbered_as_an_editor_does() -> None:
    items = read_body(b'\n{"a": 1}\n\n{"b": \n[1]\n{"c": 3}')
    assert [(item.number, bool(item.problem)) for item in items] == [(2, False), (4, True), (5, True), (6, False)]
    assert items[1].text == '{"b": '


@given(st.binary(max_size=3000), st.integers(0, 3000))
def test_what_is_unpacked_is_whole_or_too_large(data: bytes, limit: int) -> None:
    packed = gzip.compress(data)
    if len(data) > limit:
        with pytest.raises(TooLarge):
            unpack(packed, limit)
    else:
        assert unpack(packed, limit) == data
        with pytest.raises(ValueError, match=r"cut short|not gzip"):
            unpack(packed[:-1], limit)


@pytest.mark.parametrize("body", [b"", b"\x1f\x8b", zlib.compress(b"{}"), gzip.compress(b"{}", mtime=0) * 2])
def test_what_is_no_single_gzip_stream(body: bytes) -> None:
    with pytest.raises(ValueError, match="gzip"):
        unpack(body, 1000)
