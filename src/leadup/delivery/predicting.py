"""How many calls of a vendor's day the changes take that wait to be sent."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select

from leadup.delivery.book import TargetRow
from leadup.kit import Budgeted, Creating, Destination, Foreseeing
from leadup.outgoing import Target
from leadup.state.tables import outbox

JOIN: Final = "join"
LEAVE: Final = "leave"


@dataclass(slots=True)
class Predicted:
    """The calls that the rows waiting at one connection take."""

    targets: dict[int, int] = field(default_factory=dict)
    """The changes themselves, by target."""
    leaves: dict[int, int] = field(default_factory=dict)
    """Those of them that are leaves, by target."""
    preparing: int = 0
    """To find or make the targets."""
    look_ups: int = 0
    """To find the people they are about."""
    creating: int = 0
    """At most, to create those of the people who are not there."""

    @property
    def certain(self) -> int:
        """All but what depends on how many people the vendor knows."""
        return sum(self.targets.values()) + self.preparing + self.look_ups

    @property
    def total(self) -> int:
        return self.certain + self.creating


def predict(
    connection: Connection,
    destinations: Mapping[str, Destination],
    found: Collection[TargetRow],
    *where: ColumnElement[bool],
    prepared: Container[Target] = (),
) -> dict[str, Predicted]:
    """Predict the calls for those of these targets' outbox rows, by connection that has a budget.

    ``prepared``: targets for which nothing has to be found or made any more.
    """
    answer: dict[str, Predicted] = {}
    for name in sorted({target.target.connection for target in found}):
        destination = destinations.get(name)
        if isinstance(destination, Budgeted):
            mine = {target.id: target.target for target in found if target.target.connection == name}
            answer[name] = _predict(connection, destination, mine, where, prepared, destination.can.batch.get(JOIN, 1))
    return answer


def _predict(
    connection: Connection,
    destination: Budgeted,
    mine: Mapping[int, Target],
    where: Sequence[ColumnElement[bool]],
    prepared: Container[Target],
    batch: int,
) -> Predicted:
    """``batch``: most joins of a call."""
    here = [outbox.c.target.in_(mine), *where]
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    query = select(outbox.c.target, outbox.c.verb, func.count()).where(*here)
    for target, verb, count in connection.execute(query.group_by(outbox.c.target, outbox.c.verb)):
        counts[target][verb] = count
    predicted = Predicted()
    for target, of in sorted(counts.items()):
        predicted.targets[target] = destination.calls(mine[target], of)
        if of[LEAVE]:
            predicted.leaves[target] = destination.calls(mine[target], {LEAVE: of[LEAVE]})
    if new := [mine[target] for target in sorted(counts) if mine[target] not in prepared]:
        predicted.preparing = destination.preparing(new)
    people = select(func.count(outbox.c.person.distinct())).where(*here)
    if isinstance(destination, Foreseeing):
        predicted.look_ups = destination.look_ups(connection.scalar(people.where(outbox.c.verb != LEAVE)) or 0)
    else:
        predicted.look_ups = sum(destination.look_ups(of.total() - of[LEAVE]) for of in counts.values())
    if isinstance(destination, Creating) and destination.creates:
        joining = connection.scalar(people.where(outbox.c.verb == JOIN)) or 0
        joins = [of[JOIN] for of in counts.values()]
        batches = [min(batch, count - start) for count in joins for start in range(0, count, batch)]
        predicted.creating = destination.creating(joining, batches)
    return predicted
