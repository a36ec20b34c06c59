"""The law of lists: whoever any identifier is on a list of is on it, whatever came first, and judged for it at once.

After any tick the memberships are what judging everybody from scratch gives; who is on a list is looked up anew, from
the list's own values and the identifiers of each person.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from leadup.engine.facts import people_table
from leadup.engine.gather import gather, watermarks
from leadup.engine.kernel import judge
from leadup.identity import people
from leadup.identity.vault import Vault
from leadup.pipeline import Pipeline
from leadup.rules.loader import Rules, load
from leadup.state import open_store
from leadup.state.tables import memberships
from leadup.types import Event, Identifier, Kind, Page, to_us

START = datetime.fromisoformat("2026-03-01T00:00:00Z")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
VAULT = Vault(Fernet.generate_key().decode())
CONDITIONS = [
    "{in_list: customers}",
    "{not: {in_list: customers}}",
    "{all: [{did: a, within: 12h}, {not: {in_list: staff}}]}",
    "{any: [{in_list: customers}, {did: a}]}, exclude: [staff]",
    "{did: a}, exclude: [customers], settle: 3h",
    "{not: {in_segment: one}}, exclude: [customers, one]",
]
EMAILS, USERS = [f"p{n}@example.com" for n in range(4)], [f"u{n}" for n in range(4)]

KINDS = {"u": Kind.USER_ID, "p": Kind.EMAIL, "c": Kind.CLIENT_ID}


def called(*names: str) -> tuple[Identifier, ...]:
    return tuple(Identifier(KINDS[name[0]], name) for name in names)


P0, P1, P2 = EMAILS[:3]
identifiers = st.sampled_from(
    [
        *(called(*names) for names in (("u0", P0), ("u1", P0), ("u1", P1), ("c1", "u0"), ("c1", "u2"), ("c2", P1))),
        *(called(name) for name in ("u0", "u1", "u2", "u3", P0, P1, P2, "c1", "c2")),
    ]
)
"""Two users share an address, and a browser."""
events = st.builds(
    lambda id_, name, hour, who: Event(
        source="t", id=str(id_), name=name, at=START + hour * HOUR, identifiers=tuple(who)
    ),
    st.integers(0, 30),
    st.sampled_from(["a", "b"]),
    st.integers(0, 40),
    identifiers,
)
pages = st.lists(events, min_size=1, max_size=6)
lists = st.fixed_dictionaries(
    {
        "customers": st.sets(st.sampled_from(EMAILS), min_size=1),
        "staff": st.sets(st.sampled_from(USERS), min_size=1),
    }
)
rules = st.fixed_dictionaries(
    {
        "one": st.integers(0, 1),
        "two": st.integers(0, len(CONDITIONS) - 1),
        "groups": st.sampled_from(["", "groups: {g: [one, two]}\n"]),
    }
)
steps = st.lists(st.one_of(pages, lists, rules, rules, st.integers(0, 40)), min_size=4, max_size=12)
"""What happens, who comes onto a list, how the rules are edited, and when it is."""


def loaded(folder: Path, customers: set[str], staff: set[str], one: int, two: int, groups: str) -> Rules:
    (folder / "customers.csv").write_text("\n".join(["email", *customers]), encoding="utf-8")
    (folder / "staff.csv").write_text("\n".join(["user_id", *staff]), encoding="utf-8")
    path = folder / "rules.yaml"
    path.write_text(
        "version: 1\n"
        "micro_conversions: {a: {event: a}}\n"
        "lists: {customers: {file: customers.csv, match: email}, staff: {file: staff.csv, match: user_id}}\n"
        f"segments:\n  one: {{when: {CONDITIONS[one]}}}\n  two: {{when: {CONDITIONS[two]}}}\n{groups}",
        encoding="utf-8",
    )
    return load([path])


def check(pipeline: Pipeline, live: Rules, at: datetime) -> None:
    """Compare with everybody judged from scratch."""
    with pipeline.store.read() as connection:
        standing = {(row.segment, row.person) for row in connection.execute(select(memberships))}
        everyone = people.everyone(connection)
        known_from, who = people.known_from(connection, everyone), people.identifiers_of(connection, everyone)
        _, signals, facts = gather(connection, live.program, everyone)
        marks = watermarks(connection, live.program, ())
    on = {
        name: {person for person in known_from if any((one.kind, one.value) in held(listing) for one in who[person])}
        for name, listing in live.lists.items()
    }
    table = people_table(live.program, known_from, on)
    rows = judge(live.program, table, signals, facts, at=to_us(at), watermarks=marks).to_pylist()
    assert standing == {(name, row["person"]) for row in rows for name in live.program.segments if row[f"in:{name}"]}


def held(listing: object) -> set[tuple[Kind, str]]:
    return {(listing.match, value) for value in listing.values}  # type: ignore[attr-defined]


@settings(derandomize=True, deadline=None, database=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(lists, rules, pages, steps)
def test_lists_are_known_at_once(on: dict, first: dict, told: list[Event], history: Sequence[object]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, now, chosen = Path(name), START + 20 * HOUR, on | first
        live = loaded(folder, **chosen)
        pipeline = Pipeline(open_store("sqlite://", folder), VAULT, live.program)
        pipeline.use(live.program, {}, now, live.lists)
        for step in [told, *history]:
            if isinstance(step, dict):
                chosen |= step
                live = loaded(folder, **chosen)
                pipeline.use(live.program, {}, now, live.lists)
            elif isinstance(step, list):
                page = Page(records=step, cursor={}, complete_until=now - 2 * HOUR)
                pipeline.take("t", page, now)
            else:
                now = max(now, START + step * HOUR)
            pipeline.tick(now)
            check(pipeline, live, now)
        pipeline.store.close()


def seen(*who: str, name: str = "a") -> Event:
    return Event(source="t", id="".join(who), name=name, at=START + HOUR, identifiers=called(*who))


@pytest.mark.parametrize(
    ("customers", "two", "judged"),
    [
        pytest.param({P0}, 4, 0, id="nothing changed"),
        pytest.param({P0, "p9@example.com"}, 4, 0, id="nobody who is known"),
        pytest.param({P0, P1}, 4, 1, id="who came onto it"),
        pytest.param({P2}, 4, 2, id="who came onto it and who left it"),
        pytest.param({P0}, 3, 2, id="whose events a segment reads now, and who is on its list"),
        pytest.param({P0}, 1, 4, id="a segment that holds for everybody who is not on it"),
    ],
)
def test_only_those_are_judged_whom_a_list_concerns(tmp_path: Path, customers: set[str], two: int, judged: int) -> None:
    now = START + 2 * HOUR
    live = loaded(tmp_path, {P0}, {"u9"}, 0, 4, "")
    pipeline = Pipeline(open_store("sqlite://", tmp_path), VAULT, live.program)
    pipeline.use(live.program, {}, now, live.lists)
    shown = [seen(P0, name="b"), seen(P1), seen(P2, name="b"), seen("u3", name="b")]
    pipeline.take("t", Page(records=shown, cursor={}, complete_until=now), now)
    assert pipeline.tick(now).judged == 4
    live = loaded(tmp_path, customers, {"u9"}, 0, two, "")
    pipeline.use(live.program, {}, now, live.lists)
    assert pipeline.tick(now).judged == judged
    pipeline.store.close()


def test_whoever_shares_a_listed_address_is_on_the_list(tmp_path: Path) -> None:
    live = loaded(tmp_path, {P0}, {"u9"}, 0, 4, "")
    pipeline = Pipeline(open_store("sqlite://", tmp_path), VAULT, live.program)
    pipeline.use(live.program, {}, START, live.lists)
    pipeline.take("t", Page(records=[seen("u0", P0), seen("u1", P0), seen("u2", P1)], cursor={}), START + DAY)
    pipeline.tick(START + DAY)
    with pipeline.store.read() as connection:
        on = connection.scalars(select(memberships.c.person).where(memberships.c.segment == "one")).all()
        held = {one for who in people.identifiers_of(connection, on).values() for one in who}
    assert {one.value for one in held if one.kind is Kind.USER_ID} == {"u0", "u1"}
    check(pipeline, live, START + DAY)
    live = loaded(tmp_path, {P1}, {"u9"}, 0, 4, "")
    pipeline.use(live.program, {}, START, live.lists)
    pipeline.tick(START + DAY)
    check(pipeline, live, START + DAY)
    pipeline.store.close()


def test_no_address_of_a_list_is_at_rest_in_the_clear(tmp_path: Path) -> None:
    live = loaded(tmp_path, {"secret.person@example.com"}, {"hidden.person@example.com"}, 0, 1, "")
    pipeline = Pipeline(open_store(f"sqlite:///{tmp_path / 'state.db'}", tmp_path), VAULT, live.program)
    pipeline.use(live.program, {}, START, live.lists)
    pipeline.store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("state.db*"))
    assert b"listed" in kept
    assert b"person@" not in kept
