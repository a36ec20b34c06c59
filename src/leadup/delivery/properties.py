"""What properties should be at a target, for the persons who were judged. Works inside the tick's transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from leadup.delivery.book import TargetRow, Want
from leadup.delivery.holdouts import draw, lots
from leadup.delivery.judged import Judged
from leadup.membership import basis
from leadup.plan import Standing
from leadup.rules.program import Holdout, Program, Property
from leadup.types import NEVER, Consent, Identifier, Json
from leadup.values.properties import Known, tier, value

DAY_US = 86_400_000_000

Rows = Mapping[str, Mapping[str, Any]]
"""Rows of ``standings`` of one target, by subject."""


def concerned(connection: Connection, program: Program, prop: Property, judged: Judged) -> set[int]:
    """Of whom, of those judged, the property may have something to tell."""
    if prop.of != "holdout":
        return set(_told_of(prop, judged))
    [name] = prop.names
    may_be_drawn = [of.name for of in program.segments.values() if of.holdout is not None and of.holdout.name == name]
    members = set[int]().union(*(judged.members.get(segment, ()) for segment in may_be_drawn))
    return members.union(lots(connection, name, judged.persons))


def holdouts_of(program: Program, prop: Property) -> list[Holdout]:
    """Those of the segments that it marks."""
    if prop.of != "segments":
        return []
    return [holdout for name in prop.names if (holdout := program.segments[name].holdout) is not None]


def _told_of(prop: Property, judged: Judged) -> dict[int, Known]:
    """What is known of each person of whom there is something to tell, but for holdouts."""
    match prop.of:
        case "score" | "tier":
            scores = judged.scores[prop.names[0]].items()
            return {person: Known(score=score) for person, score in scores if score}
        case "segments":
            members = {name: set(judged.members.get(name, ())) for name in prop.names}
            return {
                person: Known(segments=[name for name in prop.names if person in members[name]])
                for person in set().union(*members.values())
            }
        case "last" | "last_at":
            return {person: Known(last=last) for person, last in judged.last[prop.name].items()}
        case "holdout":
            return {}


def wants(
    connection: Connection,
    program: Program,
    target: TargetRow,
    judged: Judged,
    standing: Rows,
    who: Mapping[int, Sequence[Identifier]],
    consent: Mapping[int, Consent],
    sent: Mapping[str, Collection[int]],
    at_us: int,
) -> list[Want]:
    """Say what the property should be, of those of whom it tells, or told.

    ``sent``: by holdout, whom an audience of it, or a mark of one of its segments, was sent for at some time.
    """
    prop = program.properties[target.target.name]
    known = _told_of(prop, judged)
    found: list[Want] = []
    able = {}
    for person in judged.persons:
        if person in known or str(person) in standing or prop.of == "holdout":
            usable = [i for i in who.get(person, ()) if i.kind in target.terms.needs]
            allowed = target.terms.permit(consent.get(person, {}))
            if usable and allowed.granted:
                able[person] = usable
            elif usable and str(person) in standing:
                found.append(Want(str(person), person, None, allowed.because))
    known = _with_lots(connection, program, prop, known, able, sent, at_us)
    for person, usable in able.items():
        before, mine = standing.get(str(person)), known.get(person, Known())
        want = _want(program, prop, person, mine, before, usable, judged, at_us)
        if want is not None:
            found.append(want)
    return found


def _with_lots(
    connection: Connection,
    program: Program,
    prop: Property,
    known: Mapping[int, Known],
    able: Collection[int],
    sent: Mapping[str, Collection[int]],
    at_us: int,
) -> dict[int, Known]:
    """Add what holdouts say. A mark of a segment is one more way to send it, so lots are drawn for it as well."""
    if prop.of == "holdout":
        drawn = lots(connection, prop.names[0], able)
        words = {person: "mixed" if lot.mixed else "held_out" if lot.held else "sent" for person, lot in drawn.items()}
        return {person: Known(lot=word) for person, word in words.items()}
    if prop.of != "segments":
        return dict(known)
    held: dict[str, set[int]] = {}
    for name in prop.names:
        if (holdout := program.segments[name].holdout) is not None:
            members = [person for person in able if person in known and name in known[person].segments]
            held[name] = draw(connection, holdout, members, sent.get(holdout.name, ()), at_us)
    return {
        person: Known(segments=one.segments, held_out=[name for name in held if person in held[name]])
        for person, one in known.items()
    }


def _want(
    program: Program,
    prop: Property,
    person: int,
    known: Known,
    before: Mapping[str, Any] | None,
    usable: Sequence[Identifier],
    judged: Judged,
    at_us: int,
) -> Want | None:
    """What should stand for one person; None: what does."""
    now, found_by = value(program, prop, known), basis(usable)
    if not now and (before is None or before["standing"] == Standing.ABSENT):
        ever = before is not None and before["want"] is not None
        return Want(str(person), person, None, "nothing was written, and there is nothing to tell") if ever else None
    stands: Any = before["want"] if before else None
    stays = stands is not None and (
        stands["v"] == now or _may_wait(program, prop, stands, known.score, judged, person, at_us)
    )
    # By other identifiers another contact may be found; one of whom there is nothing to tell is let alone.
    stays = stays and (stands.get("b") == found_by or not now)
    again = NEVER
    if prop.of == "score" and (now or (stays and stands["v"])):
        # A value that a day has not changed is looked at again a day later: the next look always lies ahead.
        again = (stands["us"] if stays else at_us) + DAY_US
        again = again if again > at_us else at_us + DAY_US
    if stays:
        if again != NEVER:
            judged.look_again(person, again)
        return None
    reason = (
        f"{prop.names[0]} is {known.score:.1f}" if prop.of in ("score", "tier") else f"{prop.name} is {_shown(now)}"
    )
    return Want(str(person), person, {"v": now, "us": at_us, "b": found_by}, reason, again_us=again)


def _may_wait(
    program: Program, prop: Property, stands: Any, score: float, judged: Judged, person: int, at_us: int
) -> bool:
    """Whether what was written last may stay a while: nothing but decay has changed it, within a day and a tier."""
    if prop.of != "score" or not isinstance(stands["v"], int) or person in judged.fresh:
        return False
    tiers = program.scores[prop.names[0]].tiers
    return at_us - stands["us"] < DAY_US and tier(tiers, score) == tier(tiers, float(stands["v"]))


def _shown(now: Json) -> str:
    return "nothing any more" if not now else ", ".join(map(str, now)) if isinstance(now, list) else str(now)


def marked(program: Program, prop: Property, holdout: str, standing: Rows) -> set[int]:
    """For whom a mark of a segment of this holdout stands, or may."""
    if holdout not in {of.name for of in holdouts_of(program, prop)}:
        return set()
    names = {name for name in prop.names if (of := program.segments[name].holdout) and of.name == holdout}
    found = set()
    for subject, row in standing.items():
        stands = row["stands"] or (row["want"] if row["standing"] == Standing.POSSIBLE else None)
        told = (stands or {}).get("v") or ()
        if names.intersection(told.split(";") if isinstance(told, str) else told):
            found.add(int(subject))
    return found
