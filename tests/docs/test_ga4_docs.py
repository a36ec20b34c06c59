"""What the pages about GA4 show is true."""

import re
import tomllib
from pathlib import Path

import pytest

from leadup.rules.loader import load_text
from leadup.settings import connect
from leadup.taxonomy import EVENTS, PROPERTIES
from leadup_connectors.ga4.settings import GA4Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "connectors" / "leadup_connectors" / "ga4" / "README.md").read_text(encoding="utf-8")
HOW_TO = (ROOT / "docs" / "how-to" / "ga4.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced code of the how-to page, also where it is indented in a list."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", HOW_TO, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


@pytest.mark.parametrize("block", blocks("toml"))
def test_settings_on_the_page_are_settings(block: str, tmp_path: Path) -> None:
    (tmp_path / "google-key.json").write_text("{}", encoding="utf-8")
    for name, table in tomllib.loads(block)["connections"].items():
        connect(name, table, str(tmp_path / "leadup.toml"))


def test_the_first_rules_load() -> None:
    (block,) = blocks("yaml")
    assert load_text(block, connections={"web"}).warnings == ()


def test_the_page_names_every_property_that_is_renamed() -> None:
    table = HOW_TO.partition("## Names")[2].partition("\n## ")[0]
    gtm_only = {"page_path", "page_hostname"}
    assert [name for name in PROPERTIES if f"`{name}`" not in table and name not in gtm_only] == []
    assert [name for name in {*PROPERTIES.values(), *EVENTS, *EVENTS.values()} if f"`{name}`" not in table] == []


def test_the_readme_names_every_setting() -> None:
    table = README.partition("## Settings")[2].partition("\n## ")[0]
    named = {name.removesuffix("_file") for name in re.findall(r"`(\w+)`", table)}
    assert set(GA4Settings.model_fields) - named == set()
