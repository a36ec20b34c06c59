"""Every mistake is shown where it stands, in words an author knows."""

import re

import pytest

from leadup.errors import RuleError
from leadup.rules import loader
from leadup.rules.vocabulary import NOT_BUILT

GOOD = """\
version: 1
micro_conversions:
  pricing_view: {event: page_view, where: {path: /pricing}, same_within: 30m}
  form_started: {event: form_start}
macro_conversions:
  requested: {event: generate_lead, value: 288 EUR}
scores:
  intent:
    half_life: 7d
    points: {pricing_view: 10, form_started: {points: 20, at_most: 2}}
    tiers: {cold: 1, hot: 25}
segments:
  one:
    when: {did: pricing_view, at_least: 2, within: 7d}
    activate: [hubspot]
  two:
    when: {all: [{started: form_started, without: requested, for: 1h, within: 7d}]}
    exclude: [one]
    guard: {max_leave: 30%}
  three: {when: {person: {stage: lead}}}
groups:
  both: [one, two]
properties:
  leadup_intent: {score: intent, activate: [hubspot]}
conversions:
  lead: {on: requested, activate: [{to: google_ads, name: Leads}]}
tests:
  - name: two looks
    now: 2026-03-01T12:00:00Z
    person: {stage: lead}
    events:
      - {page_view: {path: /pricing}, ago: 3d}
    expect: {out: [one], score: {intent: 7.4}}
    later:
      - {after: 1d, out: [one]}
"""

FUNNEL = "funnels:\n  path: [pricing_view, form_started, requested]\nsegments:\n  one:\n    when: "

# What stands in GOOD; what is written instead, with «» round the place that is shown; what is said; what the hint says.
# Where the place is not in what is written, a fifth text has it.
MISTAKES = [
    # memberships
    (
        "max_leave: 30%",
        "max_leave: 30%, «min_sise»: 100",
        '"min_sise" is not a key of a guard.',
        'did you mean "min_size"?',
    ),
    (
        "exclude: [one]",
        "exclude: [one]\n    stay_at_least: «3»",
        "`stay_at_least` must be a duration such as 30m, 1h, 14d, 2w.",
        'did you mean "3d"?',
    ),
    (
        "exclude: [one]",
        "holdout: {name: lot, percent: «100»}",
        "`percent` must be below 100, not 100.",
        "",
    ),
    (
        "activate: [hubspot]\n  two:",
        "holdout: {name: lot, percent: 10}\n    activate: [hubspot]\n  two:\n    holdout: {name: lot, percent: «20»}",
        'Holdout "lot" is 10 percent in segment "one".',
        "segments that share a holdout share its people",
    ),
    # keys
    (
        "at_least: 2",
        "«at_leest»: 2",
        '"at_leest" is not a key of `did`.',
        'did you mean "at_least"?   keys of `did`: at_least, at_most, between, distinct, exactly, max, sum, where',
    ),
    (
        "when: {did",
        "«wen»: {did",
        '"wen" is not a key of a segment.',
        'did you mean "when"?   keys of a segment: activate, description, exclude, guard, ',
    ),
    (
        "half_life: 7d",
        "half_life: 7d\n    «decay»: 2",
        '"decay" is not a key of a score.',
        "keys of a score: half_life, points, tiers",
    ),
    ("groups:", "«gruops»:", '"gruops" is not a key of a rule file.', 'did you mean "groups"?'),
    (
        "/pricing}, same_within",
        "/pricing}, «same_witin»",
        '"same_witin" is not a key of a micro or macro conversion.',
        '"same_within"',
    ),
    (
        "path: /pricing}, same",
        "path: {«above»: 3}}, same",
        '"above" is not a key of a test of a property.',
        "keys of a test of a property: contains",
    ),
    ("at_most: 2", "«max»: 2", '"max" is not a key of points.', "keys of points: at_most, points"),
    ("max_leave: 30%", "«max_leaves»: 30%", '"max_leaves" is not a key of a guard.', '"max_leave"'),
    ("{to: google_ads, name", "{to: google_ads, «nam»", '"nam" is not a key of a destination.', '"name"'),
    ("    now:", "    «now_»:", '"now_" is not a key of a test.', 'did you mean "now"?'),
    ("  - name: two looks\n", "  - «nome»: two looks\n", '"nome" is not a key of a test.', '"name"'),
    ("expect: {out", "expect: {«inn»: [one], out", '"inn" is not a key of an expectation.', '"in"'),
    # what is missing
    ("    half_life: 7d\n", "", "A score needs `half_life`.", "keys of a score", "  «intent»:"),
    (
        ", for: 1h",
        "",
        "`started` needs `for`.",
        "keys of `started`: for, within, without",
        "[«{started: form_started, without: requested, within: 7d}»]",
    ),
    ("on: requested, ", "", "`lead` needs `on` or `ladder`.", "such as {on: demo_requested}", "  «lead»:"),
    (
        "{event: form_start}",
        "{description: x}",
        "`form_started` needs `event` or `any`.",
        "{event: form_start}",
        "  «form_started»: {desc",
    ),
    ("version: 1\n", "", "A rule file needs `version`.", "keys of a rule file", "«micro_conversions:»"),
    (
        "to: google_ads, name: Leads",
        "name: Leads",
        "A destination needs `to`.",
        "keys of a destination",
        "[«{name: Leads}»]",
    ),
    # values of the wrong kind
    ("at_least: 2", "at_least: «two»", '`at_least` must be a number, not "two".', ""),
    ("at_least: 2", 'at_least: «"2"»', '`at_least` must be a number, not "2".', "remove the quotes: 2"),
    ("at_least: 2", "at_least: «2.5»", "`at_least` must be a whole number, not 2.5.", ""),
    ("at_least: 2", "at_least: «true»", "`at_least` must be a number, not true.", ""),
    ("at_least: 2", "at_least: «0»", "`at_least` must be at least 1, not 0.", ""),
    ("at_least: 2", "between: «[1]»", "`between` must have at least 2 items, not 1.", ""),
    ("at_least: 2", "between: [1, «-2»]", "Item 2 of `between` must be at least 0, not -2.", ""),
    ("event: form_start", "event: «true»", "`event` must be text, not true.", 'put it in quotes: "true"'),
    ("event: form_start", "event: «''»", "`event` is empty.", ""),
    ("event: form_start", "«event»: ", "`event` has no value.", "leave the key out"),
    ("exclude: [one]", "exclude: «one»", '`exclude` must be a list, not "one".', "write [one]"),
    ("guard: {max_leave: 30%}", "guard: «strict»", '`guard` must be a mapping of keys to values, not "strict".', ""),
    ("max_leave: 30%", "max_leave: «30»", "`max_leave` must be a percentage from 0% to 100%, such as 30%.", ""),
    ("max_leave: 30%", "max_leave: «130%»", "`max_leave` must be a percentage", ""),
    ("version: 1", "version: «2»", "`version` must be 1, not 2.", ""),
    ("version: 1", "version: «'1'»", '`version` must be 1, not "1".', ""),
    ("version: 1", "version: «1.5»", "`version` must be 1, not 1.5.", ""),
    ("pricing_view: 10,", "pricing_view: «ten»,", "`pricing_view` must be a number, or {points: …, at_most: …}.", ""),
    ("pricing_view: 10,", "pricing_view: «.inf»,", "`pricing_view` must be a number, not inf.", ""),
    ("pricing_view: 10,", "pricing_view: «1e10»,", "`pricing_view` must be at most 1e+09, not 10000000000.0.", ""),
    (
        "activate: [hubspot]\n  two",
        "activate: «hubspot»\n  two",
        '`activate` must be a list, not "hubspot".',
        "write [hubspot]",
    ),
    (
        "activate: [hubspot]\n  two",
        "activate: [«3»]\n  two",
        "Item 1 of `activate` must be the name of a connection, or {to: …, name: …}.",
        "",
    ),
    (
        "name: Leads",
        "consent: [«ad_data»]",
        "Item 1 of `consent` must be 'ad_user_data',",
        'did you mean "ad_user_data"?',
    ),
    # durations, money, instants
    (
        "half_life: 7d",
        "half_life: «7»",
        "`half_life` must be a duration such as 30m, 1h, 14d, 2w.",
        'did you mean "7d"?',
    ),
    (
        "half_life: 7d",
        "half_life: «7 days»",
        '"7 days" is not a duration.',
        "write a whole number and a unit (s, m, h, d or w)",
    ),
    ("half_life: 7d", "half_life: «0d»", "`half_life` must be longer than 0.", ""),
    ("half_life: 7d", "half_life: «99999w»", '"99999w" is not a duration.', "the longest duration is 5200w"),
    (
        "value: 288 EUR",
        "value: «288»",
        "`value` must be an amount with its currency, such as 288 EUR.",
        'did you mean "288 EUR"?',
    ),
    (
        "value: 288 EUR",
        "value: «288 eur»",
        '"288 eur" is not an amount of money.',
        "write number, space, currency: 288 EUR",
    ),
    ("value: 288 EUR", "value: «288.125 EUR»", "EUR has 2 digits after the point.", ""),
    ("value: 288 EUR", "value: «0.5 JPY»", "JPY has no digits after the point.", ""),
    (
        "value: 288 EUR",
        "value: «[288]»",
        "`value` must be an amount such as 288 EUR, or {property: …, currency: …}.",
        "",
    ),
    (
        "value: 288 EUR",
        "«value»: {property: amount}",
        "A value needs `currency`.",
        "keys of a value: currency, property",
    ),
    ("2026-03-01T12:00:00Z", "«2026-03-01»", '"2026-03-01" is not an instant.', "write date, time and zone, such as"),
    ("2026-03-01T12:00:00Z", "«2026-02-30T12:00:00Z»", '"2026-02-30T12:00:00Z" is not an instant.', ""),
    ("2026-03-01T12:00:00Z", "«0001-01-01T00:00:00+10:00»", "is not an instant.", ""),
    ("2026-03-01T12:00:00Z", "«3026-01-01T00:00:00Z»", "`now` must lie between 1970 and 2199.", ""),
    ("2026-03-01T12:00:00Z", "«5»", "`now` must be an instant such as 2026-03-01T12:00:00Z.", ""),
    # conditions
    (
        "{did: pricing_view, at",
        "{«dit»: pricing_view, at",
        '"dit" is not an operator.',
        'did you mean "did"?   operators: all, any, did,',
    ),
    (
        "at_least: 2",
        "«score»: intent",
        "`score` is a second operator beside `did`; a condition has one.",
        "join conditions with `all` or `any`",
    ),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "«[{did: pricing_view}]»",
        "A list is not a condition.",
        "put the list under `all` or `any`",
    ),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "«pricing_view»",
        '"pricing_view" is not a condition.',
        "did you mean {did: pricing_view}?",
    ),
    ("when: {did: pricing_view, at_least: 2, within: 7d}", "«when»: ", "`when` has no condition.", "operators:"),
    ("{did: pricing_view, at_least: 2, within: 7d}", "«{}»", "This condition names no operator.", "operators:"),
    ("{did: pricing_view, at_least: 2, within: 7d}", "{all: «[]»}", "`all` is empty.", ""),
    ("{did: pricing_view, at_least: 2, within: 7d}", "{not: {any: [«4»]}}", "4 is not a condition.", "operators:"),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "{sequence: «[pricing_view]»}",
        "`sequence` must have at least 2 items, not 1.",
        "",
    ),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "{sequence: [pricing_view, form_started, requested], without: «form_started»}",
        'This can never hold: "form_started" is a step between the first and the last.',
        "name another conversion",
    ),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "{sequence: [pricing_view, form_started], without: «reqested»}",
        'There is no conversion "reqested".',
        'did you mean "requested"?',
    ),
    # visits
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "{sessions: «3»}",
        "`sessions` must be a mapping of keys to values, not 3.",
        "",
    ),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "{return_visits: {«at_leest»: 3}}",
        '"at_leest" is not a key of a count of visits.',
        'did you mean "at_least"?   keys of a count of visits: at_least, at_most, between, exactly, within',
    ),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "{sessions: {between: «[3, 2]»}}",
        "3 to 2 can never hold: the lower count is above the upper one.",
        "",
    ),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "{sessions: {}, «at_least»: 3}",
        '"at_least" is not a key of `sessions`.',
        "write {sessions: {at_least: …}}",
    ),
    # channels
    (
        "at_least: 2",
        "where: {channel: «paid_serch»}",
        'There is no channel "paid_serch".',
        'did you mean "paid_search"?',
    ),
    (
        "at_least: 2",
        "where: {channel: «[paid_search, ads]»}",
        'There is no channel "ads".',
        "channels: paid_search, organic_search",
    ),
    ("at_least: 2", "where: {channel: «{ne: Email}»}", 'There is no channel "Email".', 'did you mean "email"?'),
    ("{stage: lead}", "{stage: lead, last_channel: «dirct»}", 'There is no channel "dirct".', '"direct"'),
    # funnels
    (
        "segments:",
        "funnels:\n  path: [pricing_view, «form_startd»]\nsegments:",
        'There is no conversion "form_startd".',
        'did you mean "form_started"?',
    ),
    (
        "segments:",
        "funnels:\n  path: [pricing_view, form_started, «pricing_view»]\nsegments:",
        '"pricing_view" is already a step of funnel "path".',
        "a step is there once",
    ),
    ("segments:", "funnels:\n  path: «[pricing_view]»\nsegments:", "`path` must have at least 2 items, not 1.", ""),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "{dropped_at: pricing_view, of: «path», for: 1d}",
        'There is no funnel "path".',
        "no funnel is declared",
    ),
    (
        "segments:\n  one:\n    when: {did: pricing_view, at_least: 2, within: 7d}",
        FUNNEL + "{dropped_at: «pricing_veiw», of: path, for: 1d}",
        'Funnel "path" has no step "pricing_veiw".',
        'did you mean "pricing_view"?',
    ),
    (
        "segments:\n  one:\n    when: {did: pricing_view, at_least: 2, within: 7d}",
        FUNNEL + "{dropped_at: «requested», of: path, for: 1d}",
        'This can never hold: "requested" is the last step of funnel "path", and no step follows it.',
        "steps to drop at: pricing_view, form_started",
    ),
    (
        "segments:\n  one:\n    when: {did: pricing_view, at_least: 2, within: 7d}",
        FUNNEL + "{dropped_at: pricing_view, of: path, for: «7d», within: 7d}",
        "This can never hold: `for` must be shorter than `within`.",
        "",
    ),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "{sequence: [pricing_view, form_started], strict: «yes»}",
        '`strict` must be true or false, not "yes".',
        "",
    ),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "{score: intent, at_least: «0»}",
        "`at_least` must be above 0, not 0.",
        "",
    ),
    ("at_least: 2", "at_least: 3, at_most: «2»", "3 to 2 can never hold: the lower count is above the upper one.", ""),
    ("at_least: 2", "between: «[3, 2]»", "3 to 2 can never hold", ""),
    ("at_least: 2", "at_least: 2, exactly: «2»", "`exactly` and `at_least` do not go together.", ""),
    ("for: 1h, within: 7d", "for: «7d», within: 7d", "This can never hold: `for` must be shorter than `within`.", ""),
    # sums, maxima, different values
    ("at_least: 2", "«sum»: amount", "`sum` needs a bound.", "bounds: at_least"),
    ("at_least: 2", "at_least: 2, sum: x, max: «y»", "`max` and `sum` do not go together.", ""),
    (
        "at_least: 2",
        "at_least: 2, sum: «channel»",
        "A channel is a name, not a number.",
        "`distinct: channel` counts channels",
    ),
    ("at_least: 2", "exactly: «2», sum: x", "`exactly` does not go with `sum`", "use between"),
    (
        "at_least: 2",
        "at_most: «2», max: x",
        "`at_most` alone does not go with `max`: none has no maximum.",
        "write {did_not: pricing_view, where: {x: {gt: 2}}}",
    ),
    ("at_least: 2", "at_least: «0», sum: x", "A sum must reach more than 0.", "at_most"),
    ("at_least: 2", "between: «[0, 5]», sum: x", "A sum must reach more than 0.", "at_most"),
    ("at_least: 2", "between: «[5.5, 2.25]», max: x", "5.5 to 2.25 can never hold", ""),
    ("at_least: 2", "at_least: «2.5», distinct: x", "`at_least` must be a whole number, not 2.5.", ""),
    ("at_least: 2", "between: «[1, 2.5]»", "`between` must be a whole number, not 2.5.", ""),
    ("at_least: 2", "at_least: 2, «summ»: x", '"summ" is not a key of `did`.', '"sum"'),
    # habits
    (
        "when: {did: pricing_view, at_least: 2, within: 7d}",
        "«when»: {first: pricing_view}",
        "`first` needs `within`.",
        "keys of `first`: within",
    ),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "{first: «pricing_vew», within: 7d}",
        'There is no conversion "pricing_vew".',
        '"pricing_view"',
    ),
    (
        "when: {did: pricing_view, at_least: 2, within: 7d}",
        "«when»: {stopped: pricing_view}",
        "`stopped` needs `for`.",
        "keys of `stopped`: after, for",
    ),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "{stopped: pricing_view, for: 1d, «within»: 7d}",
        '"within" is not a key of `stopped`.',
        "keys of `stopped`: after, for",
    ),
    (
        "when: {did: pricing_view, at_least: 2, within: 7d}",
        "«when»: {resumed: pricing_view}",
        "`resumed` needs `after_pause`.",
        "keys of `resumed`",
    ),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "{regularly: pricing_view, at_least: «3», of_last: 2, every: 7d}",
        "This can never hold: there are no 3 periods among the last 2.",
        "",
    ),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "{regularly: pricing_view, at_least: 1, of_last: 2, every: «1h», times: 3}",
        "This can never hold: 3 of pricing_view do not fit into a period.",
        "its `same_within` is 30m",
    ),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "{«frist»: pricing_view}",
        '"frist" is not an operator.',
        '"first"',
    ),
    # ranges
    ("within: 7d}\n", "within: {from: «7d», to: 7d}}\n", "This can never hold: `from` lies further back", "swap"),
    ("within: 7d}\n", "within: {from: 7d, «too»: 1d}}\n", '"too" is not a key of a range of time.', '"to"'),
    ("within: 7d}\n", "«within»: {from: 7d}}\n", "A range of time needs `to`.", "keys of a range of time: from, to"),
    ("within: 7d}\n", "within: {to: «7»}}\n", "`to` must be a duration such as", 'did you mean "7d"?'),
    ("within: 7d}\n", "within: «7»}\n", "`within` must be a duration such as", 'did you mean "7d"?'),
    ("within: 7d}\n", "within: «[7d]»}\n", "`within` must be a duration such as 14d, or a range such as", ""),
    (
        "for: 1h, within: 7d",
        "for: 1h, within: «{from: 7d, to: 1d}»",
        "`within` must be a duration here",
        "`for` already",
    ),
    (
        "at_least: 2, within: 7d",
        "at_least: 3, within: «{from: 8d, to: 191h}»",
        "This can never hold: 3 of pricing_view take at least 1h, and `within` is shorter or as long.",
        "its `same_within` is 30m",
    ),
    (
        "at_least: 2, within: 7d",
        "at_least: 3, within: «1h»",
        "This can never hold: 3 of pricing_view take at least 1h, and `within` is shorter or as long.",
        "its `same_within` is 30m",
    ),
    # where
    (
        "path: /pricing}, same",
        "path: {gte: «true»}}, same",
        "`gte` compares numbers or text; true and false have no order.",
        "",
    ),
    ("path: /pricing}, same", "path: {matches: «'(a'»}}, same", '"(a" is not an RE2 expression.', "missing ): (a"),
    (
        "path: /pricing}, same",
        "path: {matches: «'(?=a)'»}}, same",
        '"(?=a)" is not an RE2 expression.',
        "invalid perl operator: (?=",
    ),
    (
        "path: /pricing}, same",
        "path: {starts_with: «3»}}, same",
        "`starts_with` must be text, not 3.",
        'put it in quotes: "3"',
    ),
    ("path: /pricing}, same", "path: «[]»}, same", "`path` is empty.", ""),
    (
        "path: /pricing}, same",
        "path: [a, «[b]»]}, same",
        "Item 2 of `path` must be text, a number, or true or false.",
        "",
    ),
    ("path: /pricing}, same", "path: «~»}, same", "`path` has no value.", "{exists: false}"),
    (
        "path: /pricing}, same",
        "path: «9007199254740993»}, same",
        "`path` must be a number within",
        "put an id in quotes",
    ),
    ("where: {path: /pricing}, ", "where: «{}», ", "`where` is empty.", ""),
    # names
    (
        "{did: pricing_view",
        "{did: «pricing_veiw»",
        'There is no conversion "pricing_veiw".',
        'did you mean "pricing_view"?',
    ),
    ("{did: pricing_view", "{did: «intent»", 'There is no conversion "intent".', '"intent" is a score'),
    (
        "{pricing_view: 10",
        "{guide: «3», pricing_view: 10",
        'There is no conversion "guide".',
        "conversions: form_started, pricing_view, requested",
    ),
    ("without: requested", "without: «request»", 'There is no conversion "request".', '"requested"'),
    ("exclude: [one]", "exclude: [«on»]", 'There is no segment or list "on".', 'did you mean "one"?'),
    ("both: [one, two]", "both: [one, «tow»]", 'There is no segment "tow".', 'did you mean "two"?'),
    ("leadup_intent: {score: intent", "leadup_intent: {tier: «intend»", 'There is no score "intend".', '"intent"'),
    ("on: requested", "on: «reqested»", 'There is no conversion "reqested".', '"requested"'),
    ("{out: [one], score", "{in: [«hot»], score", 'There is no segment "hot".', "segments: one, three, two"),
    ("score: {intent: 7.4}", "score: {intention: «7.4»}", 'There is no score "intention".', '"intent"'),
    ("{after: 1d, out: [one]}", "{after: 1d, out: [«ome»]}", 'There is no segment "ome".', '"one"'),
    ("{did: pricing_view, at_least: 2, within: 7d}", "{tier: «hott»}", 'There is no tier "hott".', '"hot"'),
    (
        "{did: pricing_view, at_least: 2, within: 7d}",
        "{tier: hot, of: «intnt»}",
        'There is no score "intnt".',
        '"intent"',
    ),
    (
        "  leadup_intent:",
        "  «leadup-intent»:",
        '"leadup-intent" is not a name: letters, digits and _',
        'did you mean "leadup_intent"?',
    ),
    ("tiers: {cold", "tiers: {«2cold»", '"2cold" is not a name', 'did you mean "cold"?'),
    # what must agree
    ("exclude: [one]", "exclude: [«two»]", "Segments read each other in a circle: two → two.", "take one of these out"),
    (
        "both: [one, two]",
        "both: [one, «one»]",
        'Segment "one" is already in group "both".',
        "a segment is in one group, once",
    ),
    ("both: [one, two]", "both: [one, two]\n  other: [«one», three]", 'Segment "one" is already in group "both".', ""),
    ("both: [one, two]", "both: «[one]»", "`both` must have at least 2 items, not 1.", ""),
    ("hot: 25", "hot: «1»", "Tiers ascend: hot (1) does not lie above the one before (1).", ""),
    ("hot: 25", "hot: «0»", "`hot` must be above 0, not 0.", ""),
    ("activate: [hubspot]\n  two", "activate: [hubspot, «hubspot»]\n  two", '"hubspot" is here twice.', ""),
    (
        "activate: [hubspot]\n  two",
        "activate: [«hubspto»]\n  two",
        'There is no connection "hubspto".',
        'did you mean "hubspot"?',
    ),
    (
        "exclude: [one]",
        'exclude: [one]\n    activate: [{to: hubspot, name: «"leadup: one"»}]',
        '"one" is called "leadup: one" at "hubspot" as well.',
        "that is at my.yaml:15:16; give one of the two another `name`",
    ),
    ("to: google_ads", "to: «meta»", 'There is no connection "meta".', "connections: google_ads, hubspot"),
    (
        "{event: form_start}",
        "{any: [{event: a}], event: «b»}",
        "`event` and `any` do not go together.",
        "move `event` into the items of `any`",
    ),
    (
        "{score: intent, activate",
        "{score: intent, tier: «intent», activate",
        "`leadup_intent` has `score` and `tier`.",
        "it takes one of score, tier, segments, last, last_at, holdout",
    ),
    (
        "{score: intent, activate: [hubspot]}",
        "«{activate: [hubspot]}»",
        "`leadup_intent` says nothing of what is written.",
        "it takes one of",
    ),
    (
        "{score: intent, activate",
        "{segments: [one, «tvo»], activate",
        'There is no segment "tvo".',
        'did you mean "two"?',
    ),
    ("{score: intent, activate", "{segments: [one, «one»], activate", '"one" is here twice.', ""),
    (
        "{score: intent, activate",
        "{score: intent, «segmets»: [one], activate",
        '"segmets" is not a key of a property.',
        'did you mean "segments"?',
    ),
    (
        "{score: intent, activate",
        "{segments: [one], as: «checkbox», activate",
        "`as` must be 'checkboxes' or 'text', not \"checkbox\".",
        'did you mean "checkboxes"?',
    ),
    (
        "{score: intent, activate",
        "{score: intent, «as»: text, activate",
        "`as` goes with `segments` alone.",
        "leave it out",
    ),
    (
        "{score: intent, activate",
        "{last: [«intent»], activate",
        'There is no conversion "intent".',
        '"intent" is a score',
    ),
    (
        "{score: intent, activate",
        "{last_at: [«pricing_veiw»], activate",
        'There is no conversion "pricing_veiw".',
        'did you mean "pricing_view"?',
    ),
    ("{score: intent, activate", "{holdout: «lott», activate", 'There is no holdout "lott".', "a segment names it"),
    (
        "score: {intent: 7.4}",
        "properties: {leadup_intnt: «7»}",
        'There is no property "leadup_intnt".',
        'did you mean "leadup_intent"?',
    ),
    (
        "score: {intent: 7.4}",
        "properties: {leadup_intent: «true»}",
        "`leadup_intent` must be text, a number, an instant, or a list of segments.",
        "",
    ),
    # tests
    (
        "{page_view: {path: /pricing}, ago: 3d}",
        "«{page_view: {path: /pricing}, agoo: 3d}»",
        "Item 1 of `events` has 2 names: page_view, agoo.",
        'did you mean "ago"?',
    ),
    ("{page_view: {path: /pricing}, ago: 3d}", "«{ago: 3d}»", "Item 1 of `events` has no name.", "such as {page_view"),
    (
        "{page_view: {path: /pricing}, ago: 3d}",
        "«{page_view: {path: /pricing}}»",
        "Item 1 of `events` takes either `ago` or `at`.",
        "such as ago: 3d",
    ),
    ("ago: 3d", "ago: 3d, at: «2026-01-01T00:00:00Z»", "Item 1 of `events` takes either `ago` or `at`.", ""),
    ("ago: 3d", "ago: «-3d»", '"-3d" is not a duration.', ""),
    (
        "page_view: {path: /pricing}, ago",
        "page_view: «pricing», ago",
        '`page_view` must be a mapping of keys to values, not "pricing".',
        "",
    ),
    ("intent: 7.4", "intent: «high»", '`intent` must be a number, not "high".', ""),
]


NOT_YAML = [
    ("a: b«:» c", 'A ":" does not fit here.'),
    ("a: 1\n b«:» 2", 'A ":" does not fit here.'),
    ("a:\n«\t»- b", "A tab can not indent."),
    ("a: «@»x", "Text can not begin with @."),
    ("a: «[»1, 2\n", "A comma or the closing ] is missing."),
    ("a: «{»b: 1\n\n", "A comma or the closing } is missing."),
    ("a: {b: c d«:» e}", "A comma or the closing } is missing."),
    ("a: «'»b\n", "This quote is never closed."),
    ("a:\n  b: 1\n «c»: 2", "This does not fit into what is above it."),
    ("'a' «b»: 2", "This does not fit into what is above it."),
    ("a: «]»", "A value is missing here."),
    ('a: «"»\\q"', "\\q means nothing in double quotes."),
    ('a: "«\\UFFFFFFFF»"', "There is no such character."),
    ('a: «"\\ud800"»', "Half of a surrogate pair is not a character."),
    ("a: 1\n«-»--\nb: 2", "A second document begins here."),
    ("a: |«x»\n b", "This is not YAML: expected chomping or indentation indicators, but found 'x'."),
    ("a: «&»x 1\nb: *x", "An anchor (&name) is not allowed in a rule file."),
    ("a: «*»x", "An alias (*name) is not allowed in a rule file."),
    (
        "a: «!»!python/object:os.system {}",
        "A tag (tag:yaml.org,2002:python/object:os.system) is not allowed in a rule file.",
    ),
    ("«%YAML 1.1»\n---\na: on", "A directive is not allowed in a rule file."),
    ("? «[a]»\n: b", "A key must be plain text."),
    ("a: «\x07»", "The character U+0007 is not allowed."),
    ("a: " + 63 * "[" + "«[»" + 64 * "]", "This is nested more than 64 levels deep."),
    ("# nothing but a comment«»", "This file is empty."),
]


def mistake(text: str, at: str = "") -> tuple[str, tuple[int, int, int]]:
    """Return ``text`` without its marks, and line, column and width of what stood between them."""
    if at:
        assert text.count(at.replace("«", "").replace("»", "")) == 1, "the place must be unique"
        text = text.replace(at.replace("«", "").replace("»", ""), at)
    before, marked, after = re.fullmatch("([^«]*)«([^»]*)»([^«]*)", text).groups()
    line = before.rpartition("\n")[2]
    return before + marked + after, (before.count("\n") + 1, len(line) + 1, len(marked))


def problems_of(text: str) -> tuple:
    with pytest.raises(RuleError) as raised:
        loader.load_text(text, "my.yaml", connections=["hubspot", "google_ads"])
    return raised.value.problems


def test_the_good_file_is_good():
    rules = loader.load_text(GOOD, connections=["hubspot", "google_ads"])
    assert rules.program.segments.keys() == {"one", "two", "three"}
    assert rules.warnings == ()


@pytest.mark.parametrize(("old", "new", "message", "hint", "at"), [(*case, "")[:5] for case in MISTAKES])
def test_a_mistake_is_shown_at_its_place(old, new, message, hint, at):
    assert GOOD.count(old) >= 1
    text, place = mistake(GOOD.replace(old, new, 1), at)

    (problem,) = problems_of(text)

    assert (problem.line, problem.column, problem.width) == place
    assert message in problem.message
    assert hint in problem.hint
    assert (problem.file, problem.source) == ("my.yaml", text.splitlines()[problem.line - 1])


@pytest.mark.parametrize(("marked", "message"), NOT_YAML)
def test_broken_yaml_has_a_place_and_plain_words(marked, message):
    text, (line, column, _) = mistake(marked)

    (problem,) = (problem for problem in problems_of(text) if problem.message == message)

    assert (problem.line, problem.column) == ((line, column) if "«»" not in marked else (1, 1))


def test_a_key_written_twice_names_both_places():
    (problem,) = problems_of(GOOD.replace("    exclude: [one]\n", "    exclude: [one]\n    exclude: []\n"))
    assert (problem.line, problem.column, problem.message) == (19, 5, '"exclude" is written twice.')
    assert problem.hint == "the first one is at my.yaml:18:5"


def test_what_is_called_alike_elsewhere_or_is_something_else_there_is_no_mistake():
    named = "activate: [{to: hubspot, name: Same}, {to: google_ads, name: Same}]"
    text = GOOD.replace("activate: [hubspot]", named, 1).replace("[{to: google_ads, name: Leads}]", "[hubspot]")
    text = text.replace("lead: {on: requested, activate: [hubspot]}", f"lead: {{on: requested, {named}}}")
    assert loader.load_text(text, connections=["hubspot", "google_ads"]).warnings == ()


def test_all_mistakes_are_told_at_once_in_their_order():
    text = GOOD.replace("at_least: 2", "at_leest: 2").replace("without: requested", "without: request")
    text = text.replace("288 EUR", "288").replace("both: [one, two]", "both: [one, tow]")
    assert [problem.line for problem in problems_of(text)] == [6, 14, 17, 22]


def test_a_part_with_a_mistake_still_declares_its_name():
    """One slip in a segment must not make every use of its name a mistake too."""
    assert len(problems_of(GOOD.replace("at_least: 2", "at_leest: 2"))) == 1
    assert len(problems_of(GOOD.replace("segments:", "segmants:"))) == 1
    assert len(problems_of(GOOD.replace("scores:\n", "scores: []\nx:\n"))) == 2


def test_the_message_as_a_person_sees_it():
    with pytest.raises(RuleError) as raised:
        loader.load_text(GOOD.replace("at_least: 2", "at_leest: 2"), "rules/hot.yaml")
    assert (
        str(raised.value)
        == """\
rules/hot.yaml:14:31: "at_leest" is not a key of `did`.
   14 |     when: {did: pricing_view, at_leest: 2, within: 7d}
      |                               ^^^^^^^^
  did you mean "at_least"?   keys of `did`: at_least, at_most, between, distinct, exactly, max, sum, where, within"""
    )


# ---------------------------------------------------------------- planned words

PLANNED = {  # owner: (what stands in GOOD, how a planned word is written there)
    "a rule file": ("groups:", "«WORD»: {}\ngroups:"),
    "a segment": ("exclude: [one]", "«WORD»: 3d"),
    "a guard": ("max_leave: 30%", "«WORD»: 100"),
    "a conversion": ("on: requested, ", "«WORD»: [requested], "),
    "the value of a conversion": ("on: requested,", "on: requested, value: «WORD»,"),
    "what a conversion is on": ("on: requested", "on: {«WORD»: one}"),
    "a test": ("    person:", "    «WORD»: {}\n    person:"),
}


@pytest.mark.parametrize(
    ("owner", "word"), [(owner, word) for owner, words in NOT_BUILT.items() for word in sorted(words)]
)
def test_planned_words_are_refused_by_name(owner, word):
    old, new = PLANNED[owner]
    assert GOOD.count(old) == 1
    text, place = mistake(GOOD.replace(old, new.replace("WORD", word)))

    (problem,) = problems_of(text)

    assert problem.message == f'"{word}" is part of the language but not built yet.'
    assert (problem.line, problem.column, problem.width) == place


# ---------------------------------------------------------------- circles and tiers


def test_a_circle_is_shown_whole():
    (problem,) = problems_of(
        GOOD.replace("three: {when: {person: {stage: lead}}}", "three: {when: {not: {in_segment: two}}}").replace(
            "    activate: [hubspot]\n  two", "    exclude: [three]\n  two"
        )
    )
    assert problem.message == "Segments read each other in a circle: one → three → two → one."
    assert (problem.line, problem.column) == (15, 15)


def test_every_circle_is_told():
    text = GOOD.replace("exclude: [one]", "exclude: [two]").replace("{person: {stage: lead}}", "{in_segment: three}")
    assert [problem.message[-11:] for problem in problems_of(text)] == [" two → two.", "ee → three."]


def test_a_tier_of_two_scores_must_say_which():
    scores = "scores:\n  other: {half_life: 1d, points: {form_started: 1}, tiers: {hot: 1, odd: 2}}\n"
    text = GOOD.replace("scores:\n", scores)
    when = "{did: pricing_view, at_least: 2, within: 7d}"

    (problem,) = problems_of(text.replace(when, "{tier: hot}"))
    assert problem.message == 'Several scores have a tier "hot": intent, other.'
    assert problem.hint == "say which: {tier: hot, of: intent}"
    (problem,) = problems_of(text.replace(when, "{tier: odd, of: intent}"))
    assert problem.message == 'Score "intent" has no tier "odd".'
    loader.load_text(text.replace(when, "{tier: hot, of: intent}"))
