"""What the pages about files show is true."""

import re
import tomllib
from pathlib import Path

import pytest

from leadup.records import read_jsonl
from leadup.settings import connect

ROOT = Path(__file__).parents[2]
README = ROOT / "connectors" / "leadup_connectors" / "files" / "README.md"
HOW_TO = ROOT / "docs" / "how-to" / "files.md"


def blocks(page: Path, language: str) -> list[str]:
    """The fenced code of a page, also where it is indented in a list."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


@pytest.mark.parametrize("page", [README, HOW_TO], ids=lambda page: page.parent.name)
def test_settings_on_the_pages_are_settings(page: Path) -> None:
    count = 0
    for block in blocks(page, "toml"):
        for name, table in tomllib.loads(block)["connections"].items():
            connect(name, {"type": "files", "path": "events", **table}, page.name)
            count += 1
    assert count >= 1


def test_the_documented_lines_are_records() -> None:
    (block,) = blocks(README, "json")
    records, rejected = read_jsonl([line.encode() for line in block.splitlines()], source="site", place="README.md")
    assert (len(records), rejected) == (2, [])
