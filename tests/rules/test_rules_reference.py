"""The reference page: its examples run, and it leaves out no key, no operator and no planned word."""

import re
from pathlib import Path

import pytest

from leadup.engine import testing
from leadup.rules import loader
from leadup.rules.conditions import OPERATORS
from leadup.rules.model import json_schema
from leadup.rules.vocabulary import NOT_BUILT

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "rules.md").read_text(encoding="utf-8")
COMPLETE = re.findall(r"^```yaml\n(version: 1\n.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("text", COMPLETE)
def test_a_complete_example_loads_without_warnings_and_passes_its_tests(text):
    rules = loader.load_text(text, connections=["hubspot", "google_ads"])
    assert rules.warnings == ()
    assert all(result.passed for result in testing.run(rules))


def test_there_are_examples_to_run():
    assert len(COMPLETE) >= 4
    assert sum("tests:" in text for text in COMPLETE) >= 3


def test_every_key_and_operator_is_on_the_page():
    schema = json_schema()
    keys = {key for model in [schema, *schema["$defs"].values()] for key in model.get("properties", {})}
    assert {key for key in keys | set(OPERATORS) if not re.search(rf"`[^`\n]*\b{key}\b[^`\n]*`", PAGE)} == set()


def test_every_planned_word_is_on_the_page():
    planned = PAGE[PAGE.index("## Planned words") :]
    assert {word for words in NOT_BUILT.values() for word in words if not re.search(rf"\b{word}\b", planned)} == set()
