"""What should stand at each target for a set of persons, once they have been judged.

Works inside the tick's transaction: reads identifiers and consent, asks the pure rules of :mod:`leadup.membership` and
:mod:`leadup.values`, and records the answers in the book.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from leadup.delivery import properties
from leadup.delivery.book import TargetRow, Want, set_wants
from leadup.delivery.folding import fold
from leadup.delivery.holdouts import draw
from leadup.delivery.judged import Judged
from leadup.delivery.ladders import lapses
from leadup.delivery.reports import reports
from leadup.identity import people
from leadup.identity.bulk import among
from leadup.membership import Wanted, held_out, wanted
from leadup.outgoing import Use
from leadup.plan import Standing
from leadup.rules.program import Program
from leadup.state.tables import standings
from leadup.types import NEVER, Consent, Identifier


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
        concerned |= _concerned(connection, program, target, judged, of_person.get(target.id, {}))
    who = people.identifiers_of(connection, concerned)
    consent = people.consent_together(connection, concerned)
    for target in sorted(targets, key=lambda target: _turn(program, target)):
        name, standing = target.target.name, of_person.get(target.id, {})
        match target.target.use:
            case Use.AUDIENCE:
                answers = _answers(target, judged, standing, who, consent)
                holdout = program.segments[name].holdout if target.active else None
                if holdout is not None:
                    able = [person for person, answer in answers.items() if answer.basis is not None]
                    held = draw(connection, holdout, able, _sent(program, targets, of_person, holdout.name), at_us)
                    answers |= dict.fromkeys(held, held_out(holdout.name))
                wants = _audience(name, judged, answers)
            case Use.PROPERTY if target.active:
                drawn = {of.name for of in properties.holdouts_of(program, program.properties[name])}
                sent = {one: _sent(program, targets, of_person, one) for one in drawn}
                wants = properties.wants(connection, program, target, judged, standing, who, consent, sent, at_us)
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


def _turn(program: Program, target: TargetRow) -> int:
    """Where lots are drawn comes before where they are told."""
    if target.target.use is not Use.PROPERTY or not target.active:
        return 0
    return 1 if program.properties[target.target.name].of == "segments" else 2


def _concerned(
    connection: Connection,
    program: Program,
    target: TargetRow,
    judged: Judged,
    standing: Mapping[str, Mapping[str, Any]],
) -> set[int]:
    """Who of those judged stands at a target, or did, or might now; conversions are another matter."""
    use, name = target.target.use, target.target.name
    found = {int(subject) for subject in standing} if use is not Use.CONVERSION else set()
    if target.active and use is Use.AUDIENCE:
        found |= set(judged.members.get(name, ()))
    if target.active and use is Use.PROPERTY:
        found |= properties.concerned(connection, program, program.properties[name], judged)
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
    program: Program,
    targets: Sequence[TargetRow],
    of_person: Mapping[int, Mapping[str, Mapping[str, Any]]],
    name: str,
) -> set[int]:
    """Who, of those judged, was ever sent to an audience of a holdout, or is marked as in one of its segments."""
    marked = set[int]().union(
        *(
            properties.marked(program, program.properties[target.target.name], name, of_person.get(target.id, {}))
            for target in targets
            if target.target.use is Use.PROPERTY and target.active
        )
    )
    return marked | {
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
