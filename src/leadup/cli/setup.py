"""``leadup init``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from leadup import registry
from leadup.cli.base import out
from leadup.errors import SettingsError
from leadup.rules.loader import load
from leadup.rules.model import json_schema
from leadup.settings import FILE_NAME, load_settings

_HEAD = """\
# Settings of leadup. Secrets do not belong here: they come from the environment (LEADUP_<CONNECTION>_<FIELD>)
# or from a file (<field>_file = "path").
rules = "rules"

"""

_SITE = """\
[connections.site]
type = "files"
path = "events/*.jsonl"     # leadup's own JSONL; other files are mapped: see docs/how-to/files.md
"""

_TAIL = """
# [connections.hubspot]     # token: LEADUP_HUBSPOT_ACCESS_TOKEN; then add `activate: [hubspot]` to a segment
# match = "email"

# [connections.google_ads]  # then add `activate: [google_ads]` to a segment
# operating_account = "1234567890"
"""

_RULES = """\
# yaml-language-server: $schema=schema/rules.schema.json
version: 1

micro_conversions:
  pricing_view:
    description: Looked at the pricing page
    event: page_view
    where: {path: {starts_with: /pricing}}
    same_within: 30m
macro_conversions:
  demo_requested: {event: generate_lead, same_within: 10m}

segments:
  pricing_no_demo:
    description: Looked at pricing twice in a week, and asked for no demo in two
    when:
      all:
        - {did: pricing_view, at_least: 2, within: 7d}
        - {did_not: demo_requested, within: 14d}

tests:
  - name: the second look counts
    now: 2026-03-01T12:00:00Z
    events:
      - {page_view: {path: /pricing}, ago: 2d}
      - {page_view: {path: /pricing}, ago: 1d}
    expect: {in: [pricing_no_demo]}
    later:
      - {after: 5d, out: [pricing_no_demo]}
"""


@click.command(epilog="Examples: leadup init | leadup init --from events.csv")
@click.option("--from", "events", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Your event file.")
@click.option("--name", help="What to call the connection. Default: the file's name.")
def init(events: Path | None, name: str | None) -> None:
    """Write leadup.toml and a first rule file into this folder.

    With --from, look at an event file (CSV, JSONL or Parquet, plain or gzipped), print the names it holds, guess the
    mapping, and write settings and rules for it. Nothing that exists is overwritten. The rules' schema, which gives
    completion in editors, is written beside them.
    """
    settings, rule_file = Path(FILE_NAME), Path("rules") / "first.yaml"
    for path in (settings, rule_file):
        if path.exists():
            raise SettingsError(f"{path.resolve()} exists already.\n  What to do: run this in an empty folder.")
    body, rules = _SITE, _RULES
    if events is not None:
        name = name or re.sub(r"[^a-z0-9]+", "_", events.name.split(".")[0].lower()).strip("_") or "events"
        guess = registry.load(registry.find("files").guess)(events, name)
        out.print(guess.summary, markup=False)
        body, rules = guess.toml, guess.rules
    settings.write_text(_HEAD + body + _TAIL, encoding="utf-8")
    rule_file.parent.mkdir(exist_ok=True)
    rule_file.write_text(rules, encoding="utf-8")
    schema = rule_file.parent / "schema" / "rules.schema.json"
    schema.parent.mkdir(exist_ok=True)
    schema.write_text(json.dumps(json_schema(), indent=2) + "\n", encoding="utf-8")
    if events is None:
        Path("events").mkdir(exist_ok=True)
    load(load_settings(settings.resolve()).rules)
    out.print(f"Wrote {settings} and {rule_file}.")
    out.print("Next: look them over, then `leadup rules check`, `leadup sync --dry-run`, `leadup sync`.")
