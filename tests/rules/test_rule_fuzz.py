"""Whatever is in a rule file, it loads or it is refused at a place, in words without jargon."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadup.errors import RuleError
from leadup.rules import loader, source
from leadup.rules.vocabulary import NOT_BUILT

DEMO = (Path(__file__).parents[2] / "rules" / "demo.yaml").read_text(encoding="utf-8")
SMALL = DEMO[: DEMO.index("tests:")] + DEMO[DEMO.index("tests:") : DEMO.index("  - name: a customer")]
DATA = source.read("demo.yaml", SMALL.encode())[0].data
JARGON = re.compile(
    r"Input should|extra_forbidden|tagged|discriminator|pydantic|validation error|NoneType|dict\b|<[a-z_]+>|\{\}|None"
)
LINE = re.compile("\r\n|[\r\n]")


def loads_or_is_refused(text: str) -> None:
    try:
        loader.load_text(text, "fuzz.yaml", connections=["hubspot", "google_ads"])
    except RuleError as error:
        problems = error.problems
    else:
        return
    lines = LINE.split(text.removeprefix("\ufeff"))
    assert problems
    for problem in problems:
        assert problem.file == "fuzz.yaml"
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert problem.width >= 1
        assert problem.message
        said = f"{problem.message} {problem.hint}".replace("<did>", "")  # a name that the test makes up
        assert not JARGON.search(re.sub(r'"[^"]*"|`[^`]*`', "", said)), said


TOKENS = r"""
{ } [ ] : , ' " # &a *a ! | > % @ ` \ ~ null true no .nan -_ 0x 1e999 2026-01-01 << = 7d 30% did in within: where: all:
when: event: segments: version:
"""
CHARACTERS = ["\n", "\t", "\x00", "\r", "\x85", "\u2028", "\ufeff", "�"]
PLANNED = {word for words in NOT_BUILT.values() for word in words}
BITS = st.lists(
    st.text(max_size=2) | st.sampled_from([*TOKENS.split(), *CHARACTERS, " ", "\n  ", "\n- ", *sorted(PLANNED)]),
    max_size=3,
).map("".join)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), BITS), min_size=1, max_size=4)


@settings(max_examples=100, deadline=None)
@given(EDITS)
def test_edited_text(edits):
    text = SMALL
    for where, removed, inserted in edits:
        at = int(where * len(text))
        text = text[:at] + inserted + text[at + removed :]
    loads_or_is_refused(text)


def _paths(data, path=()):
    yield path
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from _paths(value, (*path, key))


PATHS = [path for path in _paths(DATA) if path]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["7d", "288 EUR", "hot", "guide", "30%", "learned", "2026-03-01T12:00:00Z"]),
)
KEYS = st.one_of(
    st.text(max_size=4), st.sampled_from(sorted({str(key) for path in PATHS for key in path} | {"<did>", "[key]"}))
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)


def _replaced(data, path, value, key):
    """Return ``data`` with ``value`` at ``path``, and that key renamed to ``key`` if there is one."""
    if not path:
        return value
    first, *rest = path
    if isinstance(data, list):
        return [_replaced(it, rest, value, key) if i == first else it for i, it in enumerate(data)]
    if not isinstance(data, dict):
        return data
    name = key if key is not None and not rest else first
    return {(name if k == first else k): (_replaced(v, rest, value, key) if k == first else v) for k, v in data.items()}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(PATHS), VALUES, st.none() | KEYS), min_size=1, max_size=3))
def test_edited_data(edits):
    """JSON is YAML too, so any data at all can be tried in any place."""
    data = DATA
    for path, value, key in edits:
        data = _replaced(data, path, value, key)
    loads_or_is_refused(
        json.dumps(data, ensure_ascii=True, indent=1).replace("Infinity", ".inf").replace("NaN", ".nan")
    )


@pytest.mark.parametrize("value", ["1", "[]", "x", "[{}]", "{}", "~", "[[1]]", "true", "{version: {}}"])
def test_a_file_of_something_else(value):
    loads_or_is_refused(value)
    with pytest.raises(RuleError):
        loader.load_text(value)


def test_many_mistakes_are_told_in_good_time():
    names = "".join(f"  n{i}: {{event: x, evnt: y}}\n" for i in range(500))
    with pytest.raises(RuleError) as raised:
        loader.load_text(f"version: 1\nmicro_conversions:\n{names}")
    assert len(raised.value.problems) == 500
