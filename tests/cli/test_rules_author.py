"""``leadup rules new`` and ``leadup rules schema``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from leadup.cli import main
from leadup.rules.model import json_schema
from leadup.rules.recipes import recipes


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def leadup(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("arguments", [["--list"], []])
def test_all_recipes_are_listed(arguments: list[str]) -> None:
    listed = leadup("rules", "new", *arguments).stdout
    for name, recipe in recipes().items():
        assert name in listed
        assert recipe.title[:30] in listed


def test_a_recipe_becomes_a_rule_file_that_loads_and_passes(tmp_path: Path) -> None:
    leadup("init")
    result = leadup("rules", "new", "form_abandoned")
    assert result.exit_code == 0
    written = tmp_path / "rules" / "form_abandoned.yaml"
    first, *rest = written.read_text(encoding="utf-8").splitlines()
    assert (written.parent / first.partition("$schema=")[2]).is_file()
    assert rest == recipes()["form_abandoned"].text.splitlines()[1:]
    assert leadup("rules", "check").exit_code == 0
    assert "4 passed, 0 failed" in leadup("rules", "test").stdout


def test_a_recipe_brings_an_example_of_its_list_and_leaves_your_own(tmp_path: Path) -> None:
    leadup("init")
    assert "customers.csv, an example" in leadup("rules", "new", "not_customers").stdout
    assert leadup("rules", "test", "rules/not_customers.yaml").exit_code == 0
    customers = tmp_path / "rules" / "customers.csv"
    customers.write_text("email\nbob@example.com\n", encoding="utf-8")
    assert "customers.csv" not in leadup("rules", "new", "not_customers", "--to", "rules/again.yaml").stdout
    assert customers.read_text(encoding="utf-8") == "email\nbob@example.com\n"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "key_page.yaml").write_text("mine", encoding="utf-8")
    result = leadup("rules", "new", "key_page")
    assert result.exit_code == 1
    assert "key_page.yaml exists already" in result.stderr
    assert (tmp_path / "key_page.yaml").read_text(encoding="utf-8") == "mine"


def test_the_file_may_have_another_name_and_a_folder_to_come(tmp_path: Path) -> None:
    assert leadup("rules", "new", "key_page", "--to", "more/mine.yaml").exit_code == 0
    assert leadup("rules", "test", "more").exit_code == 0
    assert leadup("rules", "new", "key_page", "--to", "-").stdout == Path("more/mine.yaml").read_text(encoding="utf-8")


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one() -> None:
    result = leadup("rules", "new", "form-abandond")
    assert result.exit_code == 1
    assert 'did you mean "form_abandoned"?' in result.stderr


def test_what_does_not_go_together_with_the_rules_that_are_there_is_said(tmp_path: Path) -> None:
    leadup("init")  # its first rules have a pricing_view too
    result = leadup("rules", "new", "video_then_pricing")
    assert result.exit_code == 0
    assert "do not load together with it yet" in result.stderr
    assert "pricing_view" in result.stderr


def test_the_schema_is_printed_and_written_over_an_old_one(tmp_path: Path) -> None:
    assert json.loads(leadup("rules", "schema").stdout) == json_schema()
    old = tmp_path / "schema" / "rules.schema.json"
    for _ in range(2):
        assert leadup("rules", "schema", "--to", str(old)).exit_code == 0
        assert json.loads(old.read_text(encoding="utf-8")) == json_schema()


def test_a_place_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for command in (["new", "key_page"], ["schema"]):
        result = leadup("rules", *command, "--to", "file/below.yaml")
        assert result.exit_code == 1
        assert "can not be written" in result.stderr
