"""The in-file tests of rules: what passes, what fails, and what a failure says."""

from pathlib import Path

import pytest

from leadup.engine import testing
from leadup.rules import loader

RULES = """\
version: 1
micro_conversions:
  seen: {event: page_view, same_within: 10m}
  begun: {event: form_start}
macro_conversions:
  sent: {event: form_submit}
scores:
  heat: {half_life: 1d, points: {seen: 10}}
segments:
  lookers: {when: {did: seen, within: 7d}}
  open: {when: {started: begun, without: sent, for: 1h, within: 7d}}
  leads: {when: {all: [{did: seen}, {person: {stage: lead}}]}, exclude: [open]}
  rest: {when: {did_not: begun}}
groups:
  one_of: [leads, lookers]
tests:
"""


def results(*stories: str) -> list[testing.TestResult]:
    return testing.run(loader.load_text(RULES + "".join(stories), "my.yaml"))


def story(events: str, expect: str = "", later: str = "", person: str = "{stage: new}") -> str:
    lines = [
        "  - name: a story",
        "    now: 2026-03-01T12:00:00Z",
        f"    person: {person}",
        f"    events: [{events}]",
        f"    expect: {expect}" if expect else "",
        f"    later: [{later}]" if later else "",
    ]
    return "".join(f"{line}\n" for line in lines if line)


def test_the_demo_passes_its_own_tests():
    rules = loader.load([Path(__file__).parents[2] / "rules" / "demo.yaml"])
    found = testing.run(rules)
    assert [(result.name, result.failures) for result in found] == [(case.test.name, ()) for case in rules.tests]
    assert len(found) >= 5


@pytest.mark.parametrize(
    "text",
    [
        # a window is half-open: exactly `within` ago is out
        story("{page_view: {}, ago: 7d}", "{out: [lookers]}"),
        story(
            "{page_view: {}, ago: 6d}", "{in: [lookers]}", "{after: 86399s, in: [lookers]}, {after: 1d, out: [lookers]}"
        ),
        # an event at the very moment is in
        story("{page_view: {}, ago: 0s}", "{in: [lookers], score: {heat: 10}}"),
        # an event dated ahead is not seen before its time
        story(
            "{page_view: {}, at: 2026-03-01T13:00:00Z}",
            "{out: [lookers]}",
            "{after: 59m, out: [lookers]}, {after: 1h, in: [lookers]}",
        ),
        # events given by an instant with another zone
        story("{page_view: {}, at: '2026-03-01T12:30:00+01:00'}", "{in: [lookers], score: {heat: 9.86}}"),
        # a group gives a person to the first that holds
        story("{page_view: {}, ago: 1d}", "{in: [leads], out: [lookers]}", person="{stage: lead}"),
        # who is excluded from the first is free for the next
        story(
            "{page_view: {}, ago: 1d}, {form_start: {}, ago: 2h}",
            "{in: [lookers, open], out: [leads]}",
            person="{stage: lead}",
        ),
        # an end at the same instant ends what began
        story("{form_start: {}, ago: 2h}, {form_submit: {}, ago: 2h}", "{out: [open]}"),
        # same_within: nearer counts once, exactly as far counts twice
        story("{page_view: {}, ago: 599s}, {page_view: {}, ago: 0s}", "{score: {heat: 10.0}}"),
        story("{page_view: {}, ago: 10m}, {page_view: {}, ago: 0s}", "{score: {heat: 20.0}}"),
        # an equal event_id counts once at any distance
        story("{page_view: {event_id: a}, ago: 1d}, {page_view: {event_id: a}, ago: 0s}", "{score: {heat: 5.00}}"),
        # whoever has done nothing is known all the same
        story("", "{in: [rest], out: [lookers], score: {heat: 0}}"),
        # an event without properties may be written short
        story("{page_view: , ago: 1d}", "{in: [lookers]}"),
    ],
)
def test_stories_that_hold(text):
    (result,) = results(text)
    assert result.failures == ()
    assert result.passed


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (
            story("{page_view: {}, ago: 8d}", "{in: [«lookers»]}"),
            "expect",
            'At 2026-03-01T12:00:00Z the person is not in "lookers": its `when` does not hold.',
        ),
        (
            story("{page_view: {}, ago: 8d}", later="{after: 90m, in: [«lookers»]}"),
            "later",
            'At 2026-03-01T13:30:00Z the person is not in "lookers": its `when` does not hold.',
        ),
        (
            story("{page_view: {}, ago: 1d}", "{out: [open, «lookers»]}"),
            "expect",
            'At 2026-03-01T12:00:00Z the person is in "lookers": its `when` holds and nothing takes the person out.',
        ),
        (
            story("{page_view: {}, ago: 1d}", "{in: [«lookers»]}", person="{stage: lead}"),
            "expect",
            'At 2026-03-01T12:00:00Z the person is not in "lookers": group "one_of" gives the person to "leads".',
        ),
        (
            story("{page_view: {}, ago: 1d}, {form_start: {}, ago: 2h}", "{in: [«leads»]}", person="{stage: lead}"),
            "expect",
            'At 2026-03-01T12:00:00Z the person is not in "leads": it excludes "open", which holds.',
        ),
        (
            story("{page_view: {}, ago: 1d}", "{score: {heat: «5.1»}}"),
            "expect",
            "At 2026-03-01T12:00:00Z heat is 5.00, not 5.1.",
        ),
        (
            story("{page_view: {}, ago: 2d}", "{score: {heat: «2.49»}}"),
            "expect",
            "At 2026-03-01T12:00:00Z heat is 2.500, not 2.49.",
        ),
    ],
)
def test_a_failure_says_where_what_and_why(text, place, message):
    before, marked, after = text.replace("»", "«").split("«")
    ahead = RULES + before

    (result,) = results(before + marked + after)

    (failure,) = result.failures
    assert not result.passed
    assert failure.message == message
    assert (failure.file, failure.line) == ("my.yaml", ahead.count("\n") + 1)
    assert failure.column == len(ahead.rpartition("\n")[2]) + 1
    assert failure.width == len(marked)
    assert place in failure.source


@pytest.mark.parametrize("written", ["2.5", "2", "3", "2.50", "2.500", "+2.5", "25e-1"])
def test_scores_are_compared_to_the_digits_written(written):
    """The score is 2.5 exactly; half a digit more or less is still met."""
    (result,) = results(story("{page_view: {}, ago: 2d}", f"{{score: {{heat: {written}}}}}"))
    assert result.passed


@pytest.mark.parametrize("written", ["2.4", "2.6", "2.51", "2.499", "1", "4"])
def test_scores_that_differ_in_the_digits_written(written):
    (result,) = results(story("{page_view: {}, ago: 2d}", f"{{score: {{heat: {written}}}}}"))
    assert not result.passed


def test_each_expectation_fails_alone_and_tests_come_in_order():
    first, second = results(
        story("{page_view: {}, ago: 8d}", "{in: [lookers, open], score: {heat: 9}}", "{after: 1h, in: [open]}"),
        story("{page_view: {}, ago: 1d}", "{in: [lookers]}").replace("a story", "another"),
    )
    assert [failure.message.split(" the person is ")[-1][:16] for failure in first.failures] == [
        'not in "lookers"',
        'not in "open": i',
        "At 2026-03-01T12",
        'not in "open": i',
    ]
    assert (first.line, second.line, second.name, second.passed) == (17, 23, "another", True)
