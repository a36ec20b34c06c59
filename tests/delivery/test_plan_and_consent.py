"""The pure parts that decide what leaves: plan, guards, consent, occurrences."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from leadup import plan
from leadup.consent import permission, strictest
from leadup.membership import Audience, basis, wanted
from leadup.outgoing import Use
from leadup.plan import Row, Standing
from leadup.types import Identifier, Kind, Money, Purpose
from leadup.values.occurrences import Happened, Occurrence, mint, occurrences

exactly = settings(derandomize=True, deadline=None, database=None)
consents = st.dictionaries(st.sampled_from(list(Purpose)), st.booleans())
wants = st.one_of(st.none(), st.sampled_from(["a", "b"]))
rows = st.builds(
    Row,
    subject=st.integers(0, 200).map(str),
    person=st.just(1),
    want=wants,
    stands=wants,
    standing=st.sampled_from(list(Standing)),
    number=st.integers(0, 3),
    reason=st.just(""),
    refresh_due=st.booleans(),
    urgent=st.booleans(),
)


@exactly
@given(rows)
def test_an_audience_is_joined_for_what_differs_and_left_for_what_may_stand(row: Row) -> None:
    verb = plan.verb(Use.AUDIENCE, row)
    if row.want is None:
        assert (verb == "leave") == (row.standing in (Standing.POSSIBLE, Standing.PRESENT))
        assert verb in ("leave", None)
    else:
        assert (verb == "join") == (row.want != row.stands or row.refresh_due)


@exactly
@given(rows)
def test_what_was_sent_once_is_restated_and_never_reported_anew(row: Row) -> None:
    verb = plan.verb(Use.CONVERSION, row)
    assert verb in (None, "convert", "restate")
    assert (verb == "restate") <= (row.stands is not None)
    assert (verb is None) == (row.want is None or row.want == row.stands)


@exactly
@given(st.lists(rows, max_size=60, unique_by=lambda row: row.subject), st.floats(0, 1), st.integers(0, 100))
def test_a_guard_trips_from_twenty_leaves_up_and_never_for_withdrawn_consent(
    several: list[Row], limit: float, size: int
) -> None:
    steps = plan.steps(Use.AUDIENCE, several)
    leaves = [step for step in steps if step.verb == "leave" and not step.urgent]
    assert (plan.guard(len(leaves), size, limit) is not None) == (len(leaves) >= 20 and len(leaves) > limit * size)
    assert [step.verb for step in steps] == sorted((step.verb for step in steps), key=lambda verb: verb == "leave")
    assert plan.fingerprint(steps) == plan.fingerprint(list(reversed(steps)))


@exactly
@given(st.frozensets(st.sampled_from(list(Purpose))), consents, consents)
def test_unknown_is_no_and_the_event_can_only_forbid(
    needed: frozenset[Purpose], person: dict[Purpose, bool], event: dict[Purpose, bool]
) -> None:
    answer = permission(needed, person, event)
    assert answer.granted == all(person.get(p, False) and event.get(p, True) for p in needed)
    assert bool(answer.because) != answer.granted or not needed
    assert set(answer.statement) == (set(needed) if answer.granted else set())


@exactly
@given(*[st.frozensets(st.sampled_from(list(Purpose)))] * 2, consents, consents)
def test_of_what_people_opt_out_of_a_denial_counts_and_unknown_passes(
    needed: frozenset[Purpose],
    unless_denied: frozenset[Purpose],
    person: dict[Purpose, bool],
    event: dict[Purpose, bool],
) -> None:
    answer = permission(needed, person, event, unless_denied=unless_denied)
    denied = any(not person.get(p, True) or not event.get(p, True) for p in unless_denied)
    assert answer.granted == (permission(needed, person, event).granted and not denied)
    assert bool(answer.because) == (not answer.granted)
    stated = {p for p in needed | unless_denied if p in person}
    assert answer.statement == (dict.fromkeys(stated, True) if answer.granted else {})


@exactly
@given(st.lists(consents, min_size=1, max_size=4))
def test_of_persons_who_share_an_address_the_strictest_counts(several: list[dict[Purpose, bool]]) -> None:
    together = strictest(several)
    for purpose in Purpose:
        assert together.get(purpose, False) == all(one.get(purpose, False) for one in several)
        assert together.get(purpose, True) == all(one.get(purpose, True) for one in several)


def test_a_member_needs_an_identifier_that_is_of_use_there_and_consent() -> None:
    asked = Audience(needs=frozenset({Kind.EMAIL}), purposes=frozenset({Purpose.AD_USER_DATA}))
    email, user = Identifier(Kind.EMAIL, "h"), Identifier(Kind.USER_ID, "u")
    granted = {Purpose.AD_USER_DATA: True}
    assert wanted(asked, member=False, identifiers=[email], consent=granted).basis is None
    assert wanted(asked, member=True, identifiers=[user], consent=granted).step == "holds"
    refused = wanted(asked, member=True, identifiers=[email], consent={})
    assert (refused.basis, refused.step, refused.urgent) == (None, "identifier", True)
    assert wanted(asked, member=True, identifiers=[user, email], consent=granted).basis == basis([email])


happened = st.builds(
    Happened,
    event=st.integers(0, 9).map(lambda n: f"{n:032x}"),
    event_id=st.sampled_from(["", "x", "y"]),
    at_us=st.integers(0, 40),
    value=st.one_of(st.none(), st.builds(Money, st.integers(0, 9), st.just("EUR"))),
)
histories = st.lists(st.lists(happened, max_size=6, unique_by=lambda h: h.event), min_size=1, max_size=5)


@exactly
@given(histories, st.integers(0, 12))
def test_every_signal_is_in_one_occurrence_whose_id_never_changes(
    history: list[list[Happened]], same_within: int
) -> None:
    """Signals come, change and go; each is reported by one occurrence, and minted ids stay what they are."""
    known: dict[str, Occurrence] = {}
    for present in history:
        before = dict(known)
        for changed in occurrences("demo", same_within, list(known.values()), present):
            known[changed.transaction_id] = changed
        assert before.keys() <= known.keys(), "a transaction id is never taken back"
        assert all(known[key].opened_us == old.opened_us for key, old in before.items())
        placed = sorted(event for occurrence in known.values() for event in occurrence.events)
        assert placed == sorted(signal.event for signal in present)
        assert not occurrences("demo", same_within, list(known.values()), present), "nothing new changes nothing"
        for occurrence in known.values():
            assert bool(occurrence.void) == (not occurrence.events)
            assert occurrence.value is None or occurrence.events


def test_a_late_event_of_the_same_occurrence_joins_it_even_an_earlier_one() -> None:
    first = Happened(event="aa", event_id="", at_us=100, value=None)
    [opened] = occurrences("demo", 10, [], [first])
    earlier = Happened(event="bb", event_id="", at_us=95, value=Money(5, "EUR"))
    [joined] = occurrences("demo", 10, [opened], [first, earlier])
    assert (joined.transaction_id, joined.opened_us) == (mint("demo", "aa"), 100)
    assert joined.events == ("aa", "bb")
    assert joined.value == Money(5, "EUR")
