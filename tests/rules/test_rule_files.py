"""Files and folders become one set of rules."""

import os
from itertools import permutations
from pathlib import Path

import pytest

from leadup.errors import RuleError
from leadup.rules import loader, source
from leadup.rules import program as p
from leadup.types import Money

DEMO = Path(__file__).parents[2] / "rules" / "demo.yaml"

CATALOGUE = "version: 1\nmicro_conversions:\n  seen: {event: page_view}\nmacro_conversions:\n  sold: {event: order}\n"
SEGMENTS = "version: 1\nsegments:\n  warm: {when: {did: seen}, exclude: [done]}\n  done: {when: {did: sold}}\n"
SCORES = "version: 1\nscores:\n  heat: {half_life: 1d, points: {seen: 1}, tiers: {low: 1, high: 5}}\n"


def write(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def problems_of(*paths: Path, **options) -> tuple:
    with pytest.raises(RuleError) as raised:
        loader.load(paths, **options)
    return raised.value.problems


# ---------------------------------------------------------------- reading


def test_the_demo_loads_without_warnings():
    rules = loader.load([DEMO], connections=["hubspot", "google_ads"])
    assert rules.warnings == ()
    assert len(rules.tests) >= 5
    assert set(rules.program.segments) >= {"watched_no_demo", "form_abandoned", "hot", "warm"}


def test_the_files_of_a_folder_are_one_set_of_rules(tmp_path):
    write(tmp_path, b=CATALOGUE, a=SEGMENTS)
    (tmp_path / "c.yml").write_text(SCORES, encoding="utf-8")
    write(tmp_path, **{".hidden": "nonsense: ["})
    (tmp_path / "notes.txt").write_text("nonsense: [", encoding="utf-8")
    (tmp_path / "recipes").mkdir()
    write(tmp_path / "recipes", r="nonsense: [")

    rules = loader.load([tmp_path])

    assert [Path(file.document.file).name for file in rules.files] == ["a.yaml", "b.yaml", "c.yml"]
    assert list(rules.program.segments) == ["done", "warm"], "each comes after those it reads"
    assert set(rules.program.scores) == {"heat"}


def test_a_file_given_twice_is_read_once(tmp_path):
    write(tmp_path, a=CATALOGUE)
    assert len(loader.load([tmp_path, tmp_path / "a.yaml"]).files) == 1


def test_a_name_declared_in_two_files_names_both_places(tmp_path):
    write(tmp_path, a=CATALOGUE, b="version: 1\nmacro_conversions:\n  seen: {event: x}\n")
    (problem,) = problems_of(tmp_path)
    assert (Path(problem.file).name, problem.line, problem.column) == ("b.yaml", 3, 3)
    assert problem.message == 'Conversion "seen" is declared twice.'
    assert problem.hint == f"the first one is at {tmp_path / 'a.yaml'}:3:3"


def test_names_of_different_kinds_may_be_equal(tmp_path):
    text = CATALOGUE + "segments:\n  seen: {when: {did: seen}}\nconversions:\n  seen: {on: seen}\n"
    assert set(loader.load_text(text).program.conversions) == {"seen"}


def test_what_can_not_be_read_is_a_problem_of_its_own(tmp_path):
    write(tmp_path, a=SEGMENTS)
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")  # would hang whoever opens it

    problems = problems_of(tmp_path / "empty", tmp_path / "pipe.yaml", tmp_path / "missing.yaml", tmp_path)

    assert [(Path(it.file).name, it.line, it.column, it.message) for it in problems] == [
        ("empty", 1, 1, "No rule file (*.yaml, *.yml) is in this folder."),
        ("pipe.yaml", 1, 1, "This is neither a file nor a folder."),
        ("missing.yaml", 1, 1, "This can not be read: No such file or directory."),
    ], "nothing is said of names that the missing file may well declare"


def test_a_broken_file_does_not_make_the_names_of_others_unknown(tmp_path):
    write(tmp_path, a=SEGMENTS, b=CATALOGUE + "scores: [\n")
    (problem,) = problems_of(tmp_path)
    assert Path(problem.file).name == "b.yaml"


def test_problems_come_by_file_line_and_column(tmp_path):
    write(tmp_path, a=SEGMENTS.replace("did: seen", "did: sen, wthin: 3d"), b=CATALOGUE.replace("order", "''"))
    problems = problems_of(tmp_path)
    assert [(Path(it.file).name, it.line, it.column) for it in problems] == [("a.yaml", 3, 27), ("b.yaml", 5, 17)]


def test_the_limits_of_a_file(tmp_path):
    comment = "# " + "x" * (source.MAX_BYTES - len(CATALOGUE) - 3) + "\n"
    path = tmp_path / "a.yaml"
    path.write_text(comment + CATALOGUE, encoding="utf-8")
    assert path.stat().st_size == source.MAX_BYTES
    loader.load([path])

    path.write_text("#" + comment + CATALOGUE, encoding="utf-8")
    (problem,) = problems_of(path)
    assert problem.message == "This file is longer than 1 MiB."


def test_bytes_that_are_not_utf_8(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"version: 1\r\n# caf\xe9\r\n")
    (problem,) = problems_of(path)
    assert (problem.line, problem.column, problem.message) == (2, 6, "This is not UTF-8 text.")


@pytest.mark.parametrize("encode", [lambda t: b"\xef\xbb\xbf" + t.encode(), lambda t: t.replace("\n", "\r\n").encode()])
def test_byte_order_marks_and_windows_lines(tmp_path, encode):
    path = tmp_path / "a.yaml"
    path.write_bytes(encode(SEGMENTS))
    assert [(it.line, it.column) for it in problems_of(path)] == [(3, 22), (4, 22)]


def test_no_paths_are_no_rules():
    assert loader.load([]).program.segments == {}


# ---------------------------------------------------------------- meaning


def test_yaml_is_1_2():
    text = """\
version: 1
micro_conversions:
  on: {event: on, where: {no: no, yes: [yes, off], y: true, n: 010, t: 12:30:00, d: 2026-03-01, s: "1"}}
conversions:
  no: {on: on}
"""
    program = loader.load_text(text).program
    assert program.conversions["no"].on == "on"
    (match,) = program.patterns["on"].any
    assert {test.property: test.value for test in match.where} == {
        "no": "no",
        "yes": ("yes", "off"),
        "y": True,
        "n": 10,
        "t": "12:30:00",
        "d": "2026-03-01",
        "s": "1",
    }


def test_short_and_long_forms_mean_what_the_program_says():
    text = """\
version: 1
micro_conversions:
  video:
    any:
      - {event: progress, where: {percent: {gte: 75, lt: 100}, video: demo}}
      - {event: complete}
    same_within: 6h
    value: 4.5 EUR
macro_conversions:
  deal: {event: deal, value: {property: amount, currency: currency}}
  order: {event: order, value: {property: total, currency: USD}}
funnels:
  path: [video, order, deal]
scores:
  heat: {half_life: 7d, points: {video: {points: 5, at_most: 3}, deal: -1.5}, tiers: {low: 1, mid: 2.5, high: 9}}
segments:
  counted: {when: {all: [{did: video, at_most: 2}, {did: video, exactly: 0}, {did: video, between: [1, 3]}]}}
  bare: {when: {any: [{did: video}, {did_not: video, within: 2w, where: {percent: [80, 90]}}]}}
  mid: {when: {tier: mid}}
  high: {when: {not: {tier: high, of: heat}}}
  dropped: {when: {dropped_at: video, of: path, for: 1h, within: 2h}}
  ordered: {when: {sequence: [video, deal, order], strict: true, without: video}}
  begun:
    when: {started: video, without: deal, for: 90s}
    guard: {max_leave: 12.5%}
    activate: [hubspot, {to: google_ads, name: Begun, consent: [ad_user_data]}]
"""
    program = loader.load_text(text).program
    hour = 3_600_000_000
    video = program.patterns["video"]
    assert video.any == (
        p.Match(
            "progress", (p.Test("percent", "gte", 75), p.Test("percent", "lt", 100), p.Test("video", "eq", "demo"))
        ),
        p.Match("complete"),
    )
    assert (video.macro, video.same_within, video.value) == (False, 6 * hour, Money(450, "EUR"))
    assert program.patterns["deal"].value == p.ValueOf(property="amount", currency_property="currency")
    assert program.patterns["order"].value == p.ValueOf(property="total", currency="USD")
    assert program.patterns["order"].macro
    assert program.scores["heat"].tiers == (("low", 1.0), ("mid", 2.5), ("high", 9.0))
    assert [(it.pattern, it.points, it.at_most) for it in program.scores["heat"].points] == [
        ("deal", -1.5, None),
        ("video", 5.0, 3),
    ]
    bounds = [(part.low, part.high) for part in program.segments["counted"].when.parts]
    assert bounds == [(0, 2), (0, 0), (1, 3)]
    assert program.segments["bare"].when.parts == (
        p.Did(pattern="video"),
        p.Did(pattern="video", low=0, high=0, within=14 * 24 * hour, where=(p.Test("percent", "in", (80, 90)),)),
    )
    assert program.segments["mid"].when == p.ScoreIs(score="heat", low=2.5, high=9.0)
    assert program.segments["high"].when.part == p.ScoreIs(score="heat", low=9.0)
    assert program.segments["dropped"].when == p.Started(pattern="video", without="order", wait=hour, within=2 * hour)
    ordered = p.Sequence(steps=("video", "deal", "order"), strict=True, without="video")
    assert program.segments["ordered"].when == ordered
    begun = program.segments["begun"]
    assert begun.when == p.Started(pattern="video", without="deal", wait=90_000_000)
    assert begun.guard == p.Guard(max_leave=0.125)
    assert begun.activate == (
        p.Activation(connection="hubspot"),
        p.Activation(connection="google_ads", name="Begun", consent=("ad_user_data",)),
    )


def test_segments_come_after_those_they_read():
    segments = [
        "  a: {when: {not: {in_segment: b}}}\n",
        "  b: {when: {did: seen}, exclude: [c]}\n",
        "  c: {when: {any: [{did: sold}, {in_segment: d}]}}\n",
        "  d: {when: {did: sold}}\n",
    ]
    for order in permutations(segments):
        program = loader.load_text(CATALOGUE + "segments:\n" + "".join(order)).program
        assert list(program.segments) == ["d", "c", "b", "a"]


def test_a_section_whose_content_is_commented_out_is_empty():
    assert loader.load_text(CATALOGUE + "segments:\n#  a: …\ntests:\n").program.segments == {}


# ---------------------------------------------------------------- fingerprint


def test_the_fingerprint_ignores_layout_and_words_for_people(tmp_path):
    whole = write(tmp_path, all=CATALOGUE + SEGMENTS.replace("version: 1\n", "") + SCORES.replace("version: 1\n", ""))
    base = loader.load([whole]).program.fingerprint
    assert len(base) == 64

    apart = tmp_path / "apart"
    apart.mkdir()
    scores = "version: 1\nscores:\n  heat:\n    half_life: 24h\n    points: {seen: 1.0}\n    tiers: {low: 1, high: 5}\n"
    catalogue = CATALOGUE.replace("{event: order}", "{any: [{event: order}], description: An order}")
    write(
        apart,
        z=catalogue,
        y=SEGMENTS.replace("{when: {did: seen}, exclude: [done]}", "{exclude: [done], when: {did: seen}}"),
        x=scores,
    )
    assert loader.load([apart]).program.fingerprint == base


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("event: page_view", "event: screen_view"),
        ("{did: seen}", "{did: seen, within: 3d}"),
        ("{did: seen}", "{did_not: seen}"),
        ("exclude: [done]", "exclude: []"),
        ("points: {seen: 1}", "points: {seen: 2}"),
        ("low: 1", "low: 2"),
        ("{did: sold}}", "{did: sold}, activate: [hubspot]}"),
        ("{did: sold}}", "{did: sold}, guard: {max_leave: 5%}}"),
    ],
)
def test_the_fingerprint_changes_with_the_meaning(old, new):
    text = CATALOGUE + SEGMENTS.replace("version: 1\n", "") + SCORES.replace("version: 1\n", "")
    assert old in text
    fingerprints = {loader.load_text(it).program.fingerprint for it in (text, text.replace(old, new))}
    assert len(fingerprints) == 2


def test_the_order_of_a_group_is_meaning():
    text = CATALOGUE + "segments:\n  a: {when: {did: seen}}\n  b: {when: {did: sold}}\ngroups:\n  g: [a, b]\n"
    assert (
        loader.load_text(text).program.fingerprint
        != loader.load_text(text.replace("[a, b]", "[b, a]")).program.fingerprint
    )


# ---------------------------------------------------------------- what is allowed and probably not meant


def test_warnings_name_what_no_rule_uses_and_what_is_out_of_reach():
    text = """\
version: 1
micro_conversions:
  seen: {event: page_view}
  idle: {event: idle}
  gone: {event: gone}
funnels:
  path: [seen, idle]
scores:
  heat: {half_life: 1d, points: {seen: {points: 2, at_most: 3}}, tiers: {low: 1, high: 7}}
segments:
  hot: {when: {not: {score: heat, at_least: 6.5}}}
tests:
  - name: typo
    now: 2026-03-01T12:00:00Z
    events: [{page_veiw: {}, ago: 1d}]
    expect: {out: [hot]}
"""
    warnings = loader.load_text(text).warnings
    assert [(w.line, w.column, w.message, w.hint) for w in warnings] == [
        (5, 3, 'No rule uses "gone".', ""),
        (7, 3, 'No rule uses "path".', ""),
        (15, 15, 'No conversion is made of "page_veiw".', 'did you mean "page_view"?'),
        (9, 88, 'Tier "high" is out of reach: heat reaches 6 at most.', ""),
        (11, 45, "This can never hold: heat reaches 6 at most.", ""),
    ]


def test_connections_are_checked_only_when_they_are_known():
    assert loader.load([DEMO]).program.segments
    with pytest.raises(RuleError) as raised:
        loader.load([DEMO], connections=["hubspot"])
    assert {it.message for it in raised.value.problems} == {'There is no connection "google_ads".'}
    with pytest.raises(RuleError, match=r"leadup\.toml has none"):
        loader.load([DEMO], connections=[])


def test_what_is_no_audience_may_be_called_the_same_at_one_connection():
    """Two conversions in one conversion action; two properties with one label."""
    text = """\
version: 1
macro_conversions:
  called: {event: call}
  wrote: {event: form}
scores:
  heat: {half_life: 1d, points: {called: 1}}
conversions:
  call: {on: called, activate: [{to: google_ads, name: Lead}]}
  form: {on: wrote, activate: [{to: google_ads, name: Lead}]}
properties:
  heat_now: {score: heat, activate: [{to: hubspot, name: Heat}]}
  heat_too: {score: heat, activate: [{to: hubspot, name: Heat}]}
"""
    sent = loader.load_text(text, connections=["google_ads", "hubspot"]).program
    assert {to.called(name) for name, it in sent.conversions.items() for to in it.activate} == {"Lead"}
    assert {to.called(name) for name, it in sent.properties.items() for to in it.activate} == {"Heat"}
