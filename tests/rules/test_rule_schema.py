"""The JSON Schema that editors read."""

import json
from pathlib import Path

import pytest

from leadup.rules.conditions import OPERATORS
from leadup.rules.model import json_schema

FILE = Path(__file__).parents[2] / "rules" / "schema" / "rules.schema.json"
SCHEMA = json_schema()
DEFINITIONS = SCHEMA["$defs"]


def test_the_file_beside_the_rules_is_fresh():
    assert json.loads(FILE.read_text(encoding="utf-8")) == SCHEMA, (
        'write it anew: python -c "import json; from leadup.rules.model import json_schema; '
        'print(json.dumps(json_schema(), indent=2, ensure_ascii=False))" > rules/schema/rules.schema.json'
    )


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
