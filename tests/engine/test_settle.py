"""``settle``: what rests on absence waits for rows that may still come; nothing else does."""

from __future__ import annotations

import histories as h
from leadup.engine.kernel import judge
from leadup.engine.testing import run
from leadup.rules.loader import load_text
from oracle import Human, Signal

RULES = """
version: 1
micro_conversions:
  a: {event: a}
  b: {event: b}
segments:
  busy: {when: {did: a, within: 1h}}
  quiet: {when: {did_not: a, within: 1h}, settle: 3h}
  cleared: {when: {did: b}, exclude: [busy], settle: 3h}
  reads: {when: {all: [{did: b}, {not: {in_segment: busy}}]}, settle: 3h}
  hasty: {when: {in_segment: quiet}, settle: 1h}
  patient: {when: {in_segment: quiet}, settle: 5h}
  loud: {when: {did: a}, settle: 3h}
tests:
  - name: an hour after a, and three more
    now: 2026-03-01T12:00:00Z
    events: [{a: {}, ago: 0s}, {b: {}, ago: 0s}]
    expect: {in: [loud, busy], out: [quiet, cleared, reads, hasty, patient]}
    later:
      - {after: 1h, out: [busy, quiet, cleared, reads, hasty, patient]}
      - {after: 14399s, out: [quiet, cleared, reads, hasty, patient]}
      - {after: 4h, in: [quiet, cleared, reads, hasty], out: [patient]}
      - {after: 21599s, out: [patient]}
      - {after: 6h, in: [patient]}
  - name: what happens ends it at once
    now: 2026-03-01T12:00:00Z
    events: [{a: {}, ago: 1d}, {b: {}, ago: 1d}, {a: {}, at: 2026-03-01T13:00:00Z}]
    expect: {in: [quiet, cleared, reads, hasty, patient]}
    later: [{after: 1h, out: [quiet, cleared, reads, hasty, patient]}]
"""


def test_absence_counts_only_once_late_rows_are_in() -> None:
    results = run(load_text(RULES))
    assert [failure.message for result in results for failure in result.failures] == []
    assert len(results) == 2


def test_who_waits_says_for_which_watermark() -> None:
    program = load_text(RULES).program
    hour = 3_600_000_000
    human = Human(0, (Signal("a", 10 * hour, "1"), Signal("b", 10 * hour, "2")))
    at = dict.fromkeys(program.patterns, 12 * hour)
    [row] = judge(program, *h.tables(program, [human]), at=12 * hour, watermarks=at).to_pylist()
    waits = {name: row[f"waits:{name}"] // hour for name in ("quiet", "cleared", "reads", "hasty", "patient")}
    assert waits == {"quiet": 14, "cleared": 14, "reads": 14, "hasty": 14, "patient": 16}
