"""Which signals an edit of the rules derives again: only those of patterns of which something else is wanted now."""

from datetime import datetime
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from leadup.engine.signal_files import extend, manifest
from leadup.identity.vault import Vault
from leadup.pipeline import Pipeline
from leadup.rules.loader import load_text
from leadup.rules.program import Program
from leadup.rules.signals import properties_by_pattern
from leadup.state import open_store
from leadup.state.tables import signals
from leadup.types import Event, Identifier, Kind, Page

NOW = datetime.fromisoformat("2026-03-01T00:00:00Z")
TEXT = """
version: 1
micro_conversions:
  a: {event: a}
  b: {event: b, value: 2 EUR}
  c: {event: c}
segments:
  one: {when: {did: a, where: {n: {gte: 1}}}}
  two: {when: {did: b}}
  three: {when: {did: c}}
"""


def program(edit: tuple[str, str] = ("", "")) -> Program:
    return load_text(TEXT.replace(*edit)).program


def numbers(pipeline: Pipeline) -> dict[str, int]:
    """By pattern, the number of its only signal: a new one, if it was derived again."""
    with pipeline.store.read() as connection:
        return {row.pattern: row.number for row in connection.execute(select(signals.c.pattern, signals.c.number))}


@pytest.mark.parametrize(
    ("edit", "again"),
    [
        pytest.param(("{did: b}", "{did: b, where: {n: {gte: 1}}}"), {"b"}, id="a property is read of one more"),
        pytest.param(("{n: {gte: 1}}", "{n: {gte: 7}}"), set(), id="another test of the same property"),
        pytest.param(("{n: {gte: 1}}", "{m: {gte: 1}}"), {"a"}, id="another property"),
        pytest.param(("2 EUR", "3 EUR"), {"b"}, id="another amount"),
        pytest.param(("{event: c}", "{event: c, same_within: 1h}"), set(), id="what counts once is for the kernel"),
        pytest.param(("{event: c}", "{event: c, where: {n: 1}}"), {"c"}, id="other events match"),
        pytest.param(("{did: c}", "{sessions: {at_least: 2}}"), {"(visit)"}, id="visits are asked for"),
        pytest.param(("{did: c}", "{did: c, where: {channel: email}}"), {"(visit)", "c"}, id="a visit's channel"),
        pytest.param(("{did: c}", "{did: c, distinct: n, at_least: 2}"), {"c"}, id="values are counted"),
    ],
)
def test_only_patterns_of_which_something_else_is_wanted(
    tmp_path: Path, edit: tuple[str, str], again: set[str]
) -> None:
    store = open_store("sqlite://", tmp_path)
    pipeline = Pipeline(store, Vault(Fernet.generate_key().decode()), program())
    pipeline.use(program(), {}, NOW)
    who = (Identifier(Kind.USER_ID, "u"),)
    told = [
        Event(source="t", id=name, name=name, at=NOW, identifiers=who, properties={"n": 1})
        for name in ("a", "b", "c", "page_view")
    ]
    pipeline.take("t", Page(records=told, cursor={}), NOW)
    assert extend(store, least=1) == 3
    before = numbers(pipeline)
    pipeline.use(program(edit), {}, NOW)
    after = numbers(pipeline)
    assert {name for name in after if after[name] != before.get(name)} == again
    with store.read() as connection:
        assert {file.pattern for file in manifest(connection).files} == before.keys() - again, "the others stay mapped"
    store.close()


def test_a_pattern_carries_what_is_read_of_it() -> None:
    rules = program(("{did: c}", "{did: c, where: {channel: email}, distinct: x, at_least: 2}"))
    assert properties_by_pattern(rules) == {
        "a": {"event_id", "n"},
        "b": {"event_id"},
        "c": {"event_id", "x", "session_id"},
        "(visit)": {"event_id", "session_id", "(channel)"},
    }
