"""Random histories of a few visitors who log in, share browsers and turn out to be one: pages of records, and ticks."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import strategies as st

from leadup.types import Event, Fact, Identifier, Kind

START = datetime.fromisoformat("2026-03-01T00:00:00Z")
HOUR = timedelta(hours=1)

identifiers = st.sampled_from(
    [
        (Identifier(Kind.USER_ID, "u1"),),
        (Identifier(Kind.USER_ID, "u2"),),
        (Identifier(Kind.CLIENT_ID, "c1"),),
        (Identifier(Kind.CLIENT_ID, "c2"),),
        (Identifier(Kind.EMAIL, "x@example.com"),),
        (Identifier(Kind.USER_ID, "u1"), Identifier(Kind.CLIENT_ID, "c1")),
        (Identifier(Kind.USER_ID, "u2"), Identifier(Kind.CLIENT_ID, "c1")),
        (Identifier(Kind.EMAIL, "x@example.com"), Identifier(Kind.CLIENT_ID, "c2")),
        (Identifier(Kind.EMAIL, "x@example.com"), Identifier(Kind.USER_ID, "u2")),
    ]
)
hours = st.integers(0, 48)


@st.composite
def records(draw: st.DrawFn) -> Event | Fact:
    at = START + draw(hours) * HOUR
    if draw(st.integers(0, 9)) == 0:
        stage = draw(st.sampled_from(["lead", "customer"]))
        return Fact(source="t", at=at, identifiers=draw(identifiers), facts={"stage": stage})
    return Event(
        source="t",
        id=str(draw(st.integers(0, 25))),  # now and then one id twice: a revision
        name=draw(st.sampled_from(["a", "b", "c", "d", "page_view"])),
        at=at,
        identifiers=draw(identifiers),
        properties={
            "n": draw(st.integers(1, 3)),
            "session_id": draw(st.sampled_from(["s1", "s2", "undefined", None])),
            "medium": draw(st.sampled_from(["email", None, None])),
        },
        click_ids=draw(st.sampled_from([{"gclid": "x"}, {}, {}])),
    )


steps = st.lists(
    st.one_of(st.lists(records(), min_size=1, max_size=6), hours.map(lambda h: START + h * HOUR)), max_size=14
)
