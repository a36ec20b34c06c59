"""The JSON Schema that editors read."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from leadup.errors import RuleError
from leadup.rules import source
from leadup.rules.conditions import OPERATORS
from leadup.rules.loader import load_text
from leadup.rules.model import json_schema

ROOT = Path(__file__).parents[2]
FILE = ROOT / "rules" / "schema" / "rules.schema.json"
SCHEMA = json_schema()
DEFINITIONS = SCHEMA["$defs"]


def test_the_file_beside_the_rules_is_fresh():
    assert json.loads(FILE.read_text(encoding="utf-8")) == SCHEMA, "run `make docs`"


@pytest.mark.parametrize("name", ["", *DEFINITIONS])
def test_every_key_is_described(name):
    model = DEFINITIONS[name] if name else SCHEMA
    assert model.get("description") or "enum" in model
    undescribed = [key for key, it in model.get("properties", {}).items() if not it.get("description")]
    assert undescribed == []


def test_a_condition_is_any_of_the_operators_each_with_its_key_required():
    choices = DEFINITIONS["Segment"]["properties"]["when"]["anyOf"]
    models = [DEFINITIONS[choice["$ref"].rpartition("/")[2]] for choice in choices]
    assert {model["required"][0] for model in models} == set(OPERATORS)
    for model in models:
        assert model["required"][0] in model["properties"]
        assert model["additionalProperties"] is False


def test_no_null_no_default_no_python_names():
    text = json.dumps(SCHEMA)
    assert '"null"' not in text
    assert '"default"' not in text
    assert '_"' not in text


def test_alternatives_and_examples_are_there_for_completion():
    pattern = DEFINITIONS["Pattern"]
    assert pattern["oneOf"] == [{"required": ["event"]}, {"required": ["any"]}]
    assert DEFINITIONS["Did"]["properties"]["within"]["examples"]
    assert SCHEMA["required"] == ["version"]


# ---------------------------------------------------------------- as a validator sees it

VALIDATOR = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
FILES = sorted((ROOT / "rules").glob("**/*.yaml"))
PAGE = (ROOT / "docs" / "reference" / "rules.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(version: 1\n.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def complaints(text):
    document, problems = source.read("rules.yaml", text.encode())
    assert problems == []
    return [error.message for error in VALIDATOR.iter_errors(document.data)]


def test_it_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_rule_files_and_recipes_are_valid(file):
    assert complaints(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_of_the_reference_are_valid(text):
    assert complaints(text) == []


GOOD = """\
version: 1
micro_conversions:
  look: {event: page_view, where: {path: {starts_with: /pricing}}, same_within: 30m}
macro_conversions:
  sent: {event: generate_lead, value: 288 EUR}
scores:
  intent: {half_life: 7d, points: {look: {points: 10, at_most: 3}, sent: 20}, tiers: {warm: 5, hot: 25}}
segments:
  many:
    when: {all: [{did: look, at_least: 2, within: 7d}, {did_not: sent, within: 14d}]}
    guard: {max_leave: 30%}
    activate: [hubspot, {to: google_ads, name: Many, consent: [ad_user_data]}]
  left: {when: {started: look, without: sent, for: 1h, within: 7d}}
groups: {both: [many, left]}
properties: {points: {score: intent, activate: [hubspot]}}
conversions: {sent: {on: sent, activate: [google_ads]}}
tests:
  - {name: one, now: 2026-03-01T12:00:00Z, events: [{page_view: {path: /}, ago: 3d}], expect: {out: [many]}}
"""
WRONG = [
    ("version: 1", "version: 2"),
    ("version: 1\n", ""),
    ("segments:", "segment:"),
    ("event: page_view", "evnt: page_view"),
    ("event: page_view", "event: 7"),
    ("starts_with: /pricing", "begins_with: /pricing"),
    ("same_within: 30m", "same_within: 30 minutes"),
    ("same_within: 30m", "same_within: 30"),
    ("288 EUR", "288 euros"),
    ("288 EUR", "288"),
    ("half_life: 7d, ", ""),
    ("at_most: 3", "at_most: 0"),
    ("at_most: 3", "at_most: three"),
    ("warm: 5", "warm: 0"),
    ("  many:\n", "  many times:\n"),
    ("  left: {", "  1left: {"),
    ("{did: look, at_least: 2,", "{did: look, at_leest: 2,"),
    ("{did: look, at_least: 2,", "{did: look, at_least: 1.5,"),
    ("{did: look, at_least: 2,", "{did: look, at_least: -1,"),
    ("{did: look, at_least: 2,", "{did: look, exactly: 2, sum: seconds,"),
    ("{did: look, at_least: 2,", "{did: look, at_least: 2, sum: seconds, max: seconds,"),
    ("{did: look, ", "{dit: look, "),
    ("{did: look, ", "{did: look, did_not: sent, "),
    ("without: sent, ", ""),
    ("max_leave: 30%", "max_leave: 0.3"),
    ("to: google_ads, ", ""),
    ("ad_user_data", "everything"),
    ("[many, left]", "many"),
    ("{score: intent, activate", "{score: intent, tier: intent, activate"),
    ("{on: sent, ", "{"),
    ("name: one, ", ""),
    ("now: 2026-03-01T12:00:00Z, ", ""),
    ("ago: 3d", "ago: three days"),
    ("out: [many]", "out: many"),
    ("{all: [", "{all: [[]], any: ["),
]


@pytest.mark.parametrize(
    "condition",
    [
        "{did: look, at_least: 2,",
        "{did: look, at_least: 1.5, sum: seconds,",
        "{did: look, between: [0.5, 2], max: seconds,",
        "{did: look, exactly: 2, distinct: path,",
        "{did: look, within: {from: 30d, to: 7d}}, {did: look,",
    ],
)
def test_a_good_file_is_good_to_both(condition):
    text = GOOD.replace("{did: look, at_least: 2,", condition)
    assert complaints(text) == []
    load_text(text)


@pytest.mark.parametrize(("right", "wrong"), WRONG)
def test_what_is_wrong_is_wrong_to_both(right, wrong):
    text = GOOD.replace(right, wrong, 1)
    assert text != GOOD
    assert complaints(text)
    with pytest.raises(RuleError):
        load_text(text)
