"""What should stand at each target for a set of persons, once they have been judged.

Works inside the tick's transaction: reads identifiers and consent, asks the pure rules of :mod:`leadup.membership` and
:mod:`leadup.values`, and records the answers in the book.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from leadup.delivery.book import TargetRow, Want, set_wants
from leadup.delivery.folding import fold
from leadup.delivery.holdouts import draw
from leadup.delivery.ladders import lapses
from leadup.delivery.reports import reports
from leadup.identity import people
from leadup.identity.bulk import among
from leadup.membership import Wanted, held_out, wanted
from leadup.plan import Standing
from leadup.rules.program import Program, Property
from leadup.state.tables import standings
from leadup.types import NEVER, Consent, Identifier, Json, Use

DAY_US = 86_400_000_000


@dataclass(slots=True, kw_only=True)
class Judged:
    """What the tick knows of the persons it judged."""

    persons: Sequence[int]
    members: Mapping[str, Collection[int]]
    """By segment."""
    reasons: Mapping[tuple[str, int], str]
    """Why somebody entered or left a segment just now, by segment and person."""
    scores: Mapping[str, Mapping[int, float]]
    """By score, by person."""
    fresh: Collection[int]
    """Persons about whom something is new, as against those whose time had come."""
    again: dict[int, int] = field(default_factory=dict)
    """Filled here: persons who are due again, and when: a decaying property, the end of an episode, a young click."""

    def look_again(self, person: int, at_us: int) -> None:
        """Have a person judged at this instant, if not before."""
        self.again[person] = min(self.again.get(person, NEVER), at_us)


def want_all(
    connection: Connection, program: Program, targets: Sequence[TargetRow], judged: Judged, at_us: int
) -> None:
    """Record what should stand at every target for these persons.

    An audience that is no longer sent wants nobody; who withdraws consent leaves it at once all the same.
    """
    if not targets:
        return
    happened = fold(connection, program, judged.persons, at_us)
    for person, ends_us in lapses(happened).items():
        judged.look_again(person, ends_us)
    of_person = _standings(connection, [target.id for target in targets], map(str, judged.persons))
    concerned = {person for occurred in happened.values() for person, _ in occurred}
    for target in targets:
        concerned |= _concerned(program, target, judged, of_person.get(target.id, {}))
    who = people.identifiers_of(connection, concerned)
    consent = people.consent_together(connection, concerned)
    for target in targets:
        name, standing = target.target.name, of_person.get(target.id, {})
        match target.target.use:
            case Use.AUDIENCE:
                answers = _answers(target, judged, standing, who, consent)
                holdout = program.segments[name].holdout if target.active else None
                if holdout is not None:
                    able = [person for person, answer in answers.items() if answer.basis is not None]
                    held = draw(connection, holdout, able, _sent(targets, of_person, holdout.name), at_us)
                    answers |= dict.fromkeys(held, held_out(holdout.name))
                wants = _audience(name, judged, answers)
            case Use.PROPERTY if target.active:
                wants = _property(program, target, judged, standing, who, consent, at_us)
            case Use.CONVERSION if target.active:
                ladder = program.conversions[name].ladder
                cap = ladder.cap if ladder else None
                wants = reports(connection, target, happened.get(name, []), who, consent, at_us, cap)
            case _:
                continue
        for want in wants:
            if want.again_us != NEVER:
                judged.look_again(want.person, want.again_us)
        known = standing if target.target.use is not Use.CONVERSION else None
        set_wants(connection, target, wants, at_us, known)


def _concerned(
    program: Program, target: TargetRow, judged: Judged, standing: Mapping[str, Mapping[str, Any]]
) -> set[int]:
    """Who of those judged stands at a target, or did, or might now; conversions are another matter."""
    use, name = target.target.use, target.target.name
    found = {int(subject) for subject in standing} if use is not Use.CONVERSION else set()
    if target.active and use is Use.AUDIENCE:
        found |= set(judged.members.get(name, ()))
    if target.active and use is Use.PROPERTY:
        prop = program.properties[name]
        found |= {p for p, score in judged.scores[prop.score].items() if _value(program, prop, score)}
    return found


# ---------------------------------------------------------------- audiences


def _answers(
    target: TargetRow,
    judged: Judged,
    standing: Mapping[str, Mapping[str, Any]],
    who: Mapping[int, Sequence[Identifier]],
    consent: Mapping[int, Consent],
) -> dict[int, Wanted]:
    """Say of members, and of those who stand there or did, whether they should; before holdouts."""
    members = judged.members.get(target.target.name, ()) if target.active else ()
    asked = target.terms.audience
    return {
        person: wanted(
            asked, member=person in members, identifiers=who.get(person, ()), consent=consent.get(person, {})
        )
        for person in judged.persons
        if person in members or str(person) in standing
    }


def _sent(
    targets: Sequence[TargetRow], of_person: Mapping[int, Mapping[str, Mapping[str, Any]]], name: str
) -> set[int]:
    """Who, of those judged, was ever sent to an audience of a holdout."""
    return {
        int(subject)
        for target in targets
        if target.target.use is Use.AUDIENCE and target.terms.holdout == name
        for subject, row in of_person.get(target.id, {}).items()
        if row["sent"] is not None or row["standing"] != Standing.ABSENT
    }


def _audience(name: str, judged: Judged, answers: Mapping[int, Wanted]) -> list[Want]:
    members, wants = judged.members.get(name, ()), []
    for person, answer in answers.items():
        reason = judged.reasons.get((name, person), answer.reason)
        moved = (person in members) == (answer.basis is not None)
        wants.append(Want(str(person), person, answer.basis, reason if moved else answer.reason, answer.urgent))
    return wants


# ---------------------------------------------------------------- properties


def _property(
    program: Program,
    target: TargetRow,
    judged: Judged,
    standing: Mapping[str, Mapping[str, Any]],
    who: Mapping[int, Sequence[Identifier]],
    consent: Mapping[int, Consent],
    at_us: int,
) -> list[Want]:
    prop = program.properties[target.target.name]
    tiers = program.scores[prop.score].tiers
    wants = []
    for person, score in judged.scores[prop.score].items():
        before = standing.get(str(person))
        value = _value(program, prop, score)
        if before is None and not value:
            continue
        if not any(i.kind in target.terms.needs for i in who.get(person, ())):
            continue
        allowed = target.terms.permit(consent.get(person, {}))
        if not allowed.granted:
            if before is not None:
                wants.append(Want(str(person), person, None, allowed.because))
            continue
        known: Any = before["want"] if before else None
        decayed = not prop.tier and person not in judged.fresh
        stays = known is not None and _stays(known, value, score, tiers, at_us, decayed=decayed)
        if not stays:
            wants.append(Want(str(person), person, {"v": value, "us": at_us}, f"{prop.score} is {score:.1f}"))
        if not prop.tier and value:
            # A value that a day has not changed is looked at again a day later: the next look always lies ahead.
            again = (known["us"] if known is not None and stays else at_us) + DAY_US
            judged.look_again(person, again if again > at_us else at_us + DAY_US)
    return wants


def _stays(
    known: Any, value: Json, score: float, tiers: Sequence[tuple[str, float]], at_us: int, *, decayed: bool
) -> bool:
    """Whether what was written last stays: nothing changed, or nothing but decay, within a day and within a tier."""
    early = decayed and at_us - known["us"] < DAY_US
    return bool(known["v"] == value or (early and _tier(tiers, score) == _tier(tiers, float(known["v"]))))


def _value(program: Program, prop: Property, score: float) -> Json:
    return _tier(program.scores[prop.score].tiers, score) if prop.tier else math.floor(score)


def _tier(tiers: Sequence[tuple[str, float]], score: float) -> str:
    return next((name for name, threshold in reversed(tiers) if score >= threshold), "")


def _standings(
    connection: Connection, targets: Collection[int], subjects: Iterable[str]
) -> dict[int, dict[str, Mapping[str, Any]]]:
    """What the book says of these subjects, by target."""
    found: dict[int, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    asked = list(subjects)
    for target in targets:
        query = select(standings).where(standings.c.target == target, standings.c.subject.in_(among(asked)))
        found[target] = {row["subject"]: dict(row) for row in connection.execute(query).mappings()}
    return found
