"""However often an account is read while people edit it, in the end as much is known as by one reading at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hubspot_account import Stage
from hubspot_crm import CONTRACT, HOUR, LAG, LOST, MEETING, SECOND, WON, Crm, held, of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadup.types import Event, Fact, Json, Kind, Page

PEOPLE, MORTAL, DEALS = 3, 3, 4
"""Contacts that may have deals, further ones that may be deleted, deals: several pages of each."""
people, deals = st.integers(0, PEOPLE - 1), st.integers(0, DEALS - 1)
everybody, mortals = st.integers(0, PEOPLE + MORTAL - 1), st.integers(PEOPLE, PEOPLE + MORTAL - 1)
moves = st.tuples(st.just("move"), deals, st.sampled_from([MEETING, CONTRACT, WON, LOST]))
pulls = st.tuples(st.just("pull"), st.integers(0, 3), st.none())
others = st.one_of(
    st.tuples(st.just("stage_of"), everybody, st.sampled_from(["lead", "customer", ""])),
    st.tuples(st.just("out"), everybody, st.sampled_from(["true", "false", ""])),
    st.tuples(st.just("amount"), deals, st.sampled_from(["100", "250.50", ""])),
    st.tuples(st.just("belongs"), deals, people),
    st.tuples(st.just("delete"), deals, st.none()),
    st.tuples(st.just("send"), everybody, st.none()),
    st.tuples(st.just("die"), mortals, st.none()),
    st.tuples(st.just("wait"), st.sampled_from([1, 30, 90, 7200]), st.none()),
)
edits = moves | pulls | others


class _Known:
    """What whoever takes pages in has in the end."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}
        self.traits: dict[str, dict[str, Json]] = {}
        """By contact; of one that was deleted there are none."""

    def take(self, pages: Sequence[Page]) -> None:
        self.events = held(pages, self.events)
        for fact in (one for page in pages for one in page.records if isinstance(one, Fact)):
            (who,) = of(fact, Kind.HUBSPOT_ID)
            self.traits[who] = {
                name: value for name, value in {**fact.facts, **fact.consent}.items() if value is not None
            }


def edit(crm: Crm, contacts: list[str], made: list[str], form: str, step: tuple[str, Any, Any]) -> None:
    what, which, value = step
    if what in ("stage_of", "out", "die"):
        if not contacts[which]:
            return
        if what == "stage_of":
            crm.sandbox.set_property(contacts[which], lifecyclestage=value)
        elif what == "die":
            crm.sandbox.delete_contact(contacts[which])
            contacts[which] = ""
        elif value:
            crm.sandbox.set_property(contacts[which], hs_email_optout=value)
    elif what == "send":
        crm.sandbox.submit_form(form, {"email": f"c{which}@example.com"})
    elif what == "wait":
        crm.now += which * SECOND
    elif what in ("move", "amount", "belongs", "delete") and made[which]:
        deal = made[which]
        if what == "move":
            crm.sandbox.move_deal(deal, value)
        elif what == "amount":
            crm.sandbox.set_deal(deal, amount=value)
        elif what == "belongs":
            crm.sandbox.associate(deal, contacts[value])
            crm.sandbox.set_deal(deal, dealname="touched")
        else:
            crm.sandbox.delete_deal(deal)
            made[which] = ""


@settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(edits, min_size=5, max_size=30), st.sampled_from([0, 20, 45]), st.integers(1, 4))
def test_edits_in_any_order_of_pulls_end_as_one_pull_at_the_end(
    raw: Stage, history: list[tuple[str, Any, Any]], index_lag: int, size: int
) -> None:
    crm = Crm(raw, index_lag=index_lag * SECOND)
    contacts = [crm.sandbox.add_contact(f"c{n}@example.com") for n in range(PEOPLE + MORTAL)]
    made = [crm.sandbox.add_deal(contacts=contacts[n : n + 1]) for n in range(DEALS)]
    form = crm.sandbox.add_form("Ask for a demo")
    known, everything = _Known(), ("contacts", "forms", "deals")
    for step in history:
        crm.now += SECOND
        if step[0] != "pull":
            edit(crm, contacts, made, form, step)
            continue
        pull = iter(crm.source(*everything, page_size=size).pull(crm.cursor, crm.now))
        for _, page in zip(range(step[1] + 1), pull, strict=False):  # it is stopped after some pages
            known.take([page])
            crm.cursor = page.cursor
    for _ in range(2):
        known.take(crm.pull(*everything, after=7 * HOUR, page_size=size))
    crm.cursor, once = None, _Known()
    once.take(crm.pull(*everything, after=LAG, page_size=size))
    assert known.events == once.events
    assert _told(known) == _told(once)


def _told(known: _Known) -> dict[str, dict[str, Json]]:
    return {who: said for who, said in known.traits.items() if said}
