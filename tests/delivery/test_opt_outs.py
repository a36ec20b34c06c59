"""Who opted out of marketing e-mail: a denial keeps out of audiences that heed it, and who was never asked is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from delivery.world import GRANTED, NEVER_ASKED, OPTED_OUT, RULES, World, email, hashed, program, user
from leadup.delivery.book import Terms
from leadup.insights.explain import explain
from leadup.insights.status import status
from leadup.state.tables import ledger, targets
from leadup.types import Identifier, Purpose, to_us

ADA, BEN = (user(1), email("ada")), (user(2), email("ben"))
DENIED_EMAIL = "email_marketing was denied"


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def joined(world: World, *who: Identifier, consent: Any = NEVER_ASKED) -> None:
    world.tell(*who, consent=consent, member="yes")
    world.sync()
    world.later(hours=1)


def explained(world: World, person: int) -> Mapping[str, Any]:
    rules = program(RULES)
    with world.store.read() as connection:
        answer = explain(connection, rules, person, list(rules.segments), to_us(world.now))
    return dict(answer["segments"]["club"])


def test_who_was_never_asked_joins_and_leaves_with_the_opt_out(world: World) -> None:
    joined(world, *ADA)
    assert world.members == {hashed(email("ada"))}
    world.tell(email("ada"), consent=OPTED_OUT)
    world.sync()
    assert world.members == set()
    [left] = world.rows(ledger, (ledger.c.verb == "leave") & (ledger.c.what == "planned"))
    assert left["detail"] == f"in the segment, but {DENIED_EMAIL}"
    told = explained(world, 1)
    assert (told["in"], [(one["wanted"], one["why"]) for one in told["targets"]]) == (
        True,
        [(False, f"in the segment, but {DENIED_EMAIL}")],
    )
    world.later(hours=1)
    world.tell(email("ada"), consent={Purpose.EMAIL_MARKETING: True})
    world.sync()
    assert world.members == {hashed(email("ada"))}
    assert world.changes("join")[-1].consent[Purpose.EMAIL_MARKETING]


def test_who_opted_out_before_never_joins_and_explain_says_why(world: World) -> None:
    joined(world, *ADA, consent=NEVER_ASKED | OPTED_OUT)
    assert world.vendor.sent == []
    [told] = explained(world, 1)["targets"]
    assert (told["target"], told["why"]) == ("vendor/audience/club", f"in the segment, but {DENIED_EMAIL}")
    with world.store.read() as connection:
        [shown] = status(connection)["audiences"]
    assert (shown["waterfall"]["identifier"], shown["waterfall"]["consent"]) == (1, 0)


def test_no_guard_holds_those_who_opt_out(world: World) -> None:
    crowd = [email(f"v{n}") for n in range(30)]
    world.take(*(world.fact(one, consent=GRANTED, member="yes") for one in crowd))
    world.sync()
    world.later(hours=1)
    world.take(*(world.fact(one, consent=OPTED_OUT) for one in crowd))
    world.sync()
    assert world.members == set()


def test_an_opt_out_between_plan_and_sending_counts(world: World) -> None:
    world.tell(*ADA, consent=NEVER_ASKED, member="yes")
    world.tick()
    world.tell(email("ada"), consent=OPTED_OUT)
    world.deliver()
    assert world.vendor.sent == []
    assert world.states("join") == ["withheld"]
    [said] = world.rows(ledger, ledger.c.what == "withheld")
    assert said["detail"] == DENIED_EMAIL


def test_who_shares_an_address_with_one_who_was_never_asked_is_not_kept_out(world: World) -> None:
    """Two accounts, one mailbox: what one of them never said is not a denial, and what one denied is for both."""
    joined(world, *ADA, consent=GRANTED)
    joined(world, user(2), email("ada"))
    assert world.members == {hashed(email("ada"))}
    world.tell(user(2), consent=OPTED_OUT)
    world.sync()
    assert world.members == set()


def test_other_uses_do_not_mind(world: World) -> None:
    world.did("bought", "b1", *BEN, consent=NEVER_ASKED | OPTED_OUT, amount=10, currency="EUR")
    for n in range(3):
        world.did("click", f"c{n}", *BEN)
    world.sync()
    assert [change.verb for change in world.changes()] == ["convert", "upsert"]


def test_a_target_may_ask_for_the_purpose_itself_and_then_unknown_is_no() -> None:
    rules = RULES.replace("activate: [vendor], guard", "activate: [{to: vendor, consent: [email_marketing]}], guard")
    world = World(rules=program(rules))
    joined(world, *ADA)
    joined(world, *BEN, consent=GRANTED)
    assert world.members == {hashed(email("ben"))}
    world.close()


def test_terms_that_were_stored_before_there_were_opt_outs_are_read(world: World) -> None:
    [stored] = [row["terms"] for row in world.rows(targets) if row["name"] == "club"]
    assert Terms.from_json(stored).unless_denied == {Purpose.EMAIL_MARKETING}
    del stored["unless_denied"]
    assert Terms.from_json(stored).unless_denied == frozenset()
