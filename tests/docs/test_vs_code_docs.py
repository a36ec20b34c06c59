"""The how-to for VS Code says what is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from leadup.errors import RuleError
from leadup.rules.loader import load_text
from leadup.rules.recipes import recipes

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "vs-code.md").read_text(encoding="utf-8")
SETTINGS, TASKS = (json.loads(text) for text in re.findall(r"^ *```json\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))


def test_the_problem_matcher_finds_the_place_of_a_mistake() -> None:
    pattern = TASKS["tasks"][0]["problemMatcher"]["pattern"]
    with pytest.raises(RuleError) as raised:
        load_text("version: 1\nsegments:\n  a: {when: {dd: x}}\n", "rules/a.yaml")
    found = re.match(pattern["regexp"], str(raised.value).splitlines()[0])
    assert found is not None
    assert [found[pattern[key]] for key in ("file", "line", "column")] == ["rules/a.yaml", "3", "14"]


def test_the_first_line_is_the_one_that_is_written() -> None:
    (line,) = re.findall(r"# yaml-language-server: \S+", PAGE)
    assert recipes()["download"].beside("schema/rules.schema.json").startswith(f"{line}\n")
    (schema,) = SETTINGS["yaml.schemas"]
    assert schema.endswith(line.partition("$schema=")[2])
