"""What is said of persons, as conditions read it: facts, of each trait the last one by its instant, and lists."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leadup.engine.history import People, column
from leadup.rules.program import Program, Where
from leadup.rules.verdicts import Instants, Mask
from leadup.rules.where import passes
from leadup.types import NEVER


def people_table(program: Program, known_from: Mapping[int, int], listed: Mapping[str, Collection[int]]) -> pa.Table:
    """Build the kernel's table of people, in the order of ``known_from`` (microseconds by person).

    ``listed``: by list, who is on it; a list that is not named has nobody.
    """
    ids = pa.array(known_from, pa.int64())
    columns = {"person": ids, "known_from": pa.array(known_from.values(), pa.int64())}
    for name in program.lists:
        columns[f"list:{name}"] = pc.is_in(ids, value_set=pa.array(listed.get(name, ()), pa.int64()))
    return pa.table(columns)


class Facts:
    """The last fact by ``at`` of each trait, and when the next one comes due."""

    def __init__(self, table: pa.Table, people: People, persons: int, *, at: int) -> None:
        self._table, self._persons, self._now = table, persons, at
        self._person = people.row_of(column(table, "person").to_numpy())
        self._at = column(table, "at").to_numpy()
        self._made: dict[str, tuple[pa.Array, pa.Array, Instants]] = {}
        self._judged: dict[str, tuple[Mask, Instants]] = {}

    def of(self, trait: str) -> tuple[pa.Array, pa.Array, Instants]:
        """Return the trait's text and number of every person, and the instant of the next fact dated ahead."""
        if trait not in self._made:
            is_trait = pc.fill_null(pc.equal(column(self._table, "trait"), trait), False)
            row = np.flatnonzero(is_trait.to_numpy(zero_copy_only=False) & (self._person >= 0))
            row = row[np.argsort(self._at[row], kind="stable")]
            seen = self._at[row] <= self._now
            last, wake = np.full(self._persons, -1), np.full(self._persons, NEVER)
            last[self._person[row[seen]]] = row[seen]
            wake[self._person[row[~seen][::-1]]] = self._at[row[~seen][::-1]]
            wanted = pa.array(last, mask=last < 0)
            text, number = (column(self._table, name).take(wanted) for name in ("text", "num"))
            self._made[trait] = text, number, wake
        return self._made[trait]

    def judge(self, where: Where) -> tuple[Mask, Instants]:
        """Return who passes all the tests (their properties are traits), and until when that stands."""
        key = repr(where)  # not the tests themselves, of which 1 and True would be equal
        if key not in self._judged:
            columns, wake = {}, np.full(self._persons, NEVER)
            for test in where:
                columns[f"text:{test.property}"], columns[f"num:{test.property}"], due = self.of(test.property)
                wake = np.minimum(wake, due)
            self._judged[key] = passes(where, columns, self._persons), wake
        return self._judged[key]
