"""What the pages about the collector show is true."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import SecretStr

from collecting import NOON, SECRET, Door, post
from leadup.settings import WebSettings, connect
from leadup.types import Event, Incoming
from leadup_connectors.collector.push import Collector
from leadup_connectors.collector.settings import CollectorSettings

ROOT = Path(__file__).parents[2]
README = ROOT / "connectors" / "leadup_connectors" / "collector" / "README.md"
HOW_TO = ROOT / "docs" / "how-to" / "collector.md"


def blocks(page: Path, language: str) -> list[str]:
    """The fenced code of a page, also where it is indented in a list."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(rf"^((?:\d\.)? *)```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^ {{{len(indent)}}}", "", code, flags=re.MULTILINE) for indent, code in found]


@pytest.mark.parametrize("page", [README, HOW_TO], ids=lambda page: page.parent.name)
def test_settings_on_the_pages_are_settings(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for block in blocks(page, "toml"):
        tables = tomllib.loads(block)
        WebSettings.model_validate(tables.get("web", {}))
        for name, table in tables["connections"].items():
            monkeypatch.setenv(f"LEADUP_{name.upper()}_SECRET", SECRET)
            connect(name, table, page.name)
            names.add(name)
    assert names == {"web", "tags"}


@pytest.mark.parametrize(("place", "form"), [(0, "leadup"), (1, "gtm_server")])
def test_the_records_on_the_page_are_records(place: int, form: str) -> None:
    push = Collector("web", CollectorSettings.model_validate({"secret": SecretStr(SECRET), "format": form}))
    body = blocks(README, "json")[place].encode()
    (record,), rejected = push.translate(Incoming(connection="web", headers={}, body=body, received_at=NOON, id="1"))
    assert rejected == []
    assert isinstance(record, Event)
    assert record.id in ("e1", "a1b2")


def test_what_the_how_to_sends_is_taken(tmp_path: Path) -> None:
    (command,) = (block for block in blocks(HOW_TO, "console") if "curl" in block)
    found = re.search(r"-d '(.*)'", command)
    assert found is not None
    with Door(tmp_path) as door:
        assert post(f"{door.server.url}/collect/feed", json.loads(found[1])).status == 204
        (record,), rejected = door.read()
    assert rejected == []
    assert isinstance(record, Event)
    assert record.at == NOON
