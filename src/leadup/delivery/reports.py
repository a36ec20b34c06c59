"""What should stand at a target for each conversion: an amount, or nothing, and why.

Works inside the tick's transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from leadup.consent import Permission
from leadup.delivery.book import TargetRow, Terms, Want, standings_of
from leadup.plan import Standing, retraction
from leadup.state.store import chunks
from leadup.state.tables import outbox
from leadup.types import NEVER, Consent, Identifier, Json, Money, Purpose
from leadup.values.episodes import Episode, State
from leadup.values.exchange import exchange
from leadup.values.occurrences import Occurrence

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000


class _Answer(NamedTuple):
    """What should stand for one conversion, and why."""

    amount: Json
    reason: str
    code: str = ""
    """Why no more is reported, in one word; empty: it is."""
    again_us: int = NEVER


def reports(
    connection: Connection,
    target: TargetRow,
    happened: Sequence[tuple[int, Occurrence]],
    who: Mapping[int, Sequence[Identifier]],
    consent: Mapping[int, Consent],
    at_us: int,
    cap: Money | None = None,
) -> list[Want]:
    """What should stand at a target for each occurrence, given with its person; and of each that should not, why.

    ``cap``: the most that an estimate counts.
    """
    standing = standings_of(connection, target.id, (occurrence.transaction_id for _, occurrence in happened))
    sent = _sent(connection, standing.values())
    left = _left_standing(target.terms, happened, standing, sent)
    wants = []
    for person, occurrence in happened:
        row = standing.get(occurrence.transaction_id)
        own = {Purpose(name): granted for name, granted in occurrence.consent}
        allowed = target.terms.permit(consent.get(person, {}), own)
        if occurrence.void:
            answer = _taken_back(target.terms, occurrence, row, sent, allowed, at_us)
        else:
            worth = _worth(target.terms, occurrence, cap, left.get(occurrence.transaction_id, 0))
            answer = _amount(target.terms, occurrence, worth, row, who.get(person, ()), allowed, at_us)
        amount, reason, code, again_us = answer
        wants.append(Want(occurrence.transaction_id, person, amount, reason, code=code, again_us=again_us))
    return wants


def _sent(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> dict[int, Any]:
    """By outbox row, the amounts that may be counted: they were sent, and the vendor has not answered."""
    unknown = [row["sent"] for row in rows if row["standing"] == Standing.POSSIBLE]
    found: dict[int, Any] = {}
    for part in chunks(sent for sent in unknown if sent is not None):
        query = select(outbox.c.id, outbox.c.want).where(outbox.c.id.in_(part))
        found |= {row.id: row.want for row in connection.execute(query)}
    return found


# ---------------------------------------------------------------- nothing should stand


def _taken_back(
    terms: Terms,
    occurrence: Occurrence,
    row: Mapping[str, Any] | None,
    sent: Mapping[int, Any],
    allowed: Permission,
    at_us: int,
) -> _Answer:
    """What stands is restated to 0. So is what only may stand, if consent allows: the vendor may not know of it yet.

    Of an episode no row follows at all once consent was withdrawn.
    """
    stands = row["stands"] if row else None
    doubtful = sent.get(row["sent"]) if row and stands is None else None
    if doubtful is not None and not allowed.granted:
        return _Answer(None, f"{occurrence.void} before the vendor answered, but {allowed.because}")
    last = stands or doubtful
    if last is None:
        return _Answer(None, occurrence.void)
    if isinstance(occurrence, Episode) and stands and stands["minor"] and not allowed.granted:
        return _Answer(None, f"{occurrence.void}, but {allowed.because}", "no_consent")
    if (stands or terms.restates_us == 0) and _is_settled(terms, occurrence, at_us):
        if not last["minor"] and last["currency"]:
            return _Answer(last, occurrence.void)
        return _Answer(last, f"{occurrence.void}, but {_too_late(terms)}", "too_late")
    return _Answer(retraction(last["currency"], gone=not occurrence.events), occurrence.void)


def _left_standing(
    terms: Terms,
    happened: Sequence[tuple[int, Occurrence]],
    standing: Mapping[str, Mapping[str, Any]],
    sent: Mapping[int, Any],
) -> dict[str, int]:
    """By won episode, what still stands, or may, for those of the same way up that count nothing any more.

    In minor units of what is reported for the won one, which is reported less that until it is taken back.
    """
    episodes: dict[int, list[Episode]] = defaultdict(list)
    for person, one in happened:
        if isinstance(one, Episode):
            episodes[person].append(one)
    left: dict[str, int] = defaultdict(int)
    for mine in episodes.values():
        won = sorted((one for one in mine if one.state is State.WON), key=lambda one: one.since_us)
        for one in mine:
            row = standing.get(one.transaction_id) if one.void else None
            heir = next((goal for goal in won if goal.since_us >= one.opened_us), None)
            if row is not None and heir is not None and heir.value is not None:
                currency = terms.currency or heir.value.currency
                amounts = (row["stands"], sent.get(row["sent"]))
                known = [Money(a["minor"], a["currency"]) for a in amounts if a and a["minor"]]
                moved = [exchange(money, currency, terms.rates) for money in known]
                left[heir.transaction_id] += max((money.minor for money in moved if money), default=0)
    return left


# ---------------------------------------------------------------- an amount should stand


def _worth(terms: Terms, occurrence: Occurrence, cap: Money | None, left: int) -> Money | _Answer | None:
    """What it is worth there, in the currency that counts there; None if that is not known. Or why it can not be said.

    ``left``: what other conversions of the same thing still count, in minor units.
    """
    value = occurrence.value
    if value is None:
        return None
    currency = terms.currency or value.currency
    bounds = cap if isinstance(occurrence, Episode) and occurrence.estimate else None
    for money in filter(None, (value, bounds)):
        if exchange(money, currency, terms.rates) is None:
            text = f"happened, but its value is in {money.currency}, and what counts there is {currency}; "
            return _Answer(None, f"{text}leadup.toml has no rate: write {money.currency} under [rates]", "no_rate")
    amounts = [each.minor for money in (value, bounds) if money and (each := exchange(money, currency, terms.rates))]
    return Money(max(0, min(amounts) - left) if left else min(amounts), currency)


def _amount(
    terms: Terms,
    occurrence: Occurrence,
    worth: Money | _Answer | None,
    row: Mapping[str, Any] | None,
    identifiers: Sequence[Identifier],
    allowed: Permission,
    at_us: int,
) -> _Answer:
    """What should stand for one occurrence, and why. What was sent is only ever restated, never taken for unsent."""
    if not allowed.granted:
        return _Answer(None, f"happened, but {allowed.because}", "no_consent")
    if isinstance(worth, _Answer):
        return worth
    amount: Json = {"minor": worth.minor if worth else None, "currency": worth.currency if worth else None}
    if stands := row["stands"] if row else None:
        if stands != amount and _is_settled(terms, occurrence, at_us):
            return _Answer(stands, f"the value changed, but {_too_late(terms)}", "too_late")
        return _Answer(amount, "the value changed" if stands != amount else "reported")
    if terms.max_age_us is not None and at_us - occurrence.opened_us > terms.max_age_us:
        return _Answer(None, f"happened more than {terms.max_age_us // DAY_US} days ago, which is not taken there")
    clicked = any(name in terms.click_ids for name, _ in occurrence.click_ids)
    if not clicked and not any(i.kind in terms.needs for i in identifiers):
        return _Answer(None, "happened, but there is no click id and no identifier to report it by")
    unsent = row is None or row["standing"] == Standing.ABSENT
    if unsent and clicked and occurrence.click_us is not None and terms.min_click_age_us is not None:
        ripe_us = occurrence.click_us + terms.min_click_age_us
        if at_us < ripe_us:
            hours = terms.min_click_age_us // HOUR_US
            return _Answer(None, f"happened; the click is known there {hours} hours after it", again_us=ripe_us)
    return _Answer(amount, "happened")


def _is_settled(terms: Terms, occurrence: Occurrence, at_us: int) -> bool:
    """Whether it is too old for its value to be changed there."""
    return terms.restates_us is not None and at_us - occurrence.opened_us > terms.restates_us


def _too_late(terms: Terms) -> str:
    if terms.restates_us == 0:
        return "what was reported there can not be changed"
    return f"it is more than {(terms.restates_us or 0) // DAY_US} days old, and its value can not be changed there"
