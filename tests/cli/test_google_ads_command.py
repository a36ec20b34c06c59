"""`leadup google-ads`: what there is, what promoting would mean, and that only --yes does it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from leadup.cli import main
from leadup_connectors.google_ads.ads.version import SUNSET
from leadup_connectors.google_ads.sandbox import GoogleAdsSandbox
from leadup_connectors.google_ads.sandbox.account import Action

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
RULES = """\
version: 1
micro_conversions:
  video: {event: video_complete}
macro_conversions:
  request: {event: generate_lead, value: 288 EUR}
conversions:
  interest: {on: video, activate: [ads]}
  demo: {on: request, activate: [ads]}
"""
GOAL = ("SUBMIT_LEAD_FORM", "WEBSITE")


@pytest.fixture(scope="module")
def emulator() -> Iterator[GoogleAdsSandbox]:
    one = GoogleAdsSandbox()
    yield one
    one.close()


@pytest.fixture
def sandbox(emulator: GoogleAdsSandbox) -> GoogleAdsSandbox:
    """An account with a micro action that leadup made, and a macro one that is bid for."""
    emulator.reset()
    emulator.set_clock(NOW)
    emulator.account.any_action = False
    micro = Action(id="8", name="leadup: interest", category="SUBMIT_LEAD_FORM", primary=False, owner="1234567890")
    emulator.account.add_action(micro)
    emulator.account.goals[GOAL] = False
    emulator.account.add_action(Action(id="9", name="Demo", category="QUALIFIED_LEAD", owner="1234567890"))
    emulator.account.campaigns = {"Brand": "CUSTOMER", "Shop": "CAMPAIGN", "Search": "CUSTOMER"}
    hold(emulator, "8", 60, 4.0)
    hold(emulator, "9", 20, 288.0)
    return emulator


def hold(sandbox: GoogleAdsSandbox, action: str, count: int, value: float, days: int = 20) -> None:
    """Conversions of the last ``days`` days."""
    at = [NOW - timedelta(days=1 + number % days) for number in range(count)]
    sandbox.account.conversions[action] = {
        f"t{number}": {"count": 1, "value": value, "at": f"{when:%Y-%m-%dT%H:%M:%SZ}"} for number, when in enumerate(at)
    }


@pytest.fixture
def leadup(sandbox: GoogleAdsSandbox, tmp_path: Path) -> Command:
    return Command(sandbox, tmp_path)


class Command:
    """The command line in a folder with one connection to Google Ads, called ``ads``."""

    def __init__(self, sandbox: GoogleAdsSandbox, folder: Path) -> None:
        doors = sandbox.doors()
        self._folder = folder
        (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
        self.connections(
            f"""
[connections.ads]
type = "google_ads"
operating_account = "1234567890"
base_url = "http://127.0.0.1:9"
ads_url = "https://{doors["grpc_tls"]}"
ads_roots = "{doors["roots"]}"
conversion_actions = {{interest = {{create = true}}, demo = "9"}}
"""
        )

    def connections(self, text: str) -> None:
        (self._folder / "leadup.toml").write_text('rules = "rules.yaml"\n' + text, encoding="utf-8")

    def __call__(self, *arguments: str) -> Result:
        config = str(self._folder / "leadup.toml")
        now = os.environ.get("LEADUP_NOW", f"{NOW:%Y-%m-%dT%H:%M:%SZ}")
        return CliRunner().invoke(main, ["--config", config, "google-ads", *arguments], env={"LEADUP_NOW": now})

    def json(self, *arguments: str) -> object:
        done = self(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


def test_actions_are_listed_with_what_they_counted(leadup: Command) -> None:
    demo, interest = leadup.json("actions")  # type: ignore[misc]
    assert (demo["id"], demo["primary"], demo["biddable"], demo["conversions"]) == ("9", True, True, 20)
    assert (interest["name"], interest["primary"], interest["biddable"]) == ("leadup: interest", False, False)
    assert (interest["conversions"], interest["value"], interest["owner"]) == (60, 240, "1234567890")
    shown = leadup("actions").stdout
    assert "conversion actions of 1234567890" in shown
    assert "secondary" in shown


def test_the_end_of_the_version_is_told_in_time(leadup: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ends about" not in leadup("actions").stdout
    monkeypatch.setenv("LEADUP_NOW", f"{SUNSET}T00:00:00Z")
    assert "pip install --upgrade 'leadup[google-ads]'" in leadup("actions").stdout


@pytest.mark.parametrize("action", ["leadup: interest", "interest", "8"], ids=["there", "in the rules", "id"])
def test_promoting_shows_first_and_does_nothing(leadup: Command, sandbox: GoogleAdsSandbox, action: str) -> None:
    done = leadup("promote", action)
    assert done.exit_code == 0
    for text in (
        "leadup: interest becomes primary",
        "the goal SUBMIT_LEAD_FORM (WEBSITE) becomes biddable",
        "Brand, Search",
        "60 conversions, value 240.00",
        "75% of conversions, 4% of value",
        "it tells of a micro conversion",
        "75% of what is bid for would be micro conversions",
        "Nothing was changed. To do it: leadup google-ads promote 8 --yes",
    ):
        assert text in done.stdout
    assert not sandbox.account.actions["8"].primary
    assert sandbox.account.goals[GOAL] is False


def test_yes_promotes_and_demote_is_the_way_back(leadup: Command, sandbox: GoogleAdsSandbox) -> None:
    assert "Done." in leadup("promote", "8", "--yes").stdout
    assert sandbox.account.actions["8"].primary
    assert sandbox.account.goals[GOAL] is True
    assert "Nothing to do" in leadup("promote", "8", "--yes").stdout
    report = leadup.json("demote", "8", "--yes")
    assert isinstance(report, dict)
    assert report["done"] is True
    assert report["does"] == [
        "leadup: interest becomes secondary",
        "the goal SUBMIT_LEAD_FORM (WEBSITE) is no longer biddable",
    ]
    assert not sandbox.account.actions["8"].primary
    assert sandbox.account.goals[GOAL] is False


def test_what_becomes_biddable_along_with_it_is_told(leadup: Command, sandbox: GoogleAdsSandbox) -> None:
    sandbox.account.add_action(Action(id="10", name="Old form", category="SUBMIT_LEAD_FORM", owner="1234567890"))
    sandbox.account.goals[GOAL] = False
    assert "becomes biddable, with Old form" in leadup("promote", "8").stdout
    leadup("promote", "8", "--yes")
    report = leadup.json("demote", "8")
    assert isinstance(report, dict)
    assert report["does"] == ["leadup: interest becomes secondary"]  # the goal is the other's as well


@pytest.mark.parametrize(
    ("count", "value", "days", "warning"),
    [
        (5, 4.0, 20, "5 conversions in 30 days are few to learn from"),
        (40, 4.0, 5, "all of them came in the last 7 days"),
        (40, 0.0, 20, "its conversions have no value"),
        (3000, 4.0, 20, "more than 100 micro conversions to each macro conversion"),
    ],
)
def test_what_bids_would_suffer_from_is_told(
    leadup: Command, sandbox: GoogleAdsSandbox, count: int, value: float, days: int, warning: str
) -> None:
    hold(sandbox, "8", count, value, days)
    assert warning in leadup("promote", "8").stdout


def test_the_last_one_in_bidding_is_told(leadup: Command) -> None:
    assert "bidding would then use no conversion action at all" in leadup("demote", "Demo").stdout


def test_an_action_that_is_not_there_names_those_that_are(leadup: Command) -> None:
    done = leadup("promote", "intrest")
    assert done.exit_code == 6
    assert "'Demo', 'leadup: interest'" in done.stderr


def test_several_connections_need_a_choice(leadup: Command) -> None:
    text = '[connections.{}]\ntype = "google_ads"\noperating_account = "1234567890"\n'
    leadup.connections(text.format("one") + text.format("two"))
    done = leadup("actions")
    assert done.exit_code == 4
    assert "--connection one or two" in done.stderr
    done = leadup("--connection", "three", "actions")
    assert "has no connection 'three'" in done.stderr


def test_no_connection_says_what_to_add(leadup: Command) -> None:
    leadup.connections("")
    done = leadup("actions")
    assert done.exit_code == 4
    assert "add [connections.google_ads]" in done.stderr


def test_help_needs_no_installation() -> None:
    done = CliRunner().invoke(main, ["--config", "nowhere.toml", "google-ads", "promote", "--help"])
    assert done.exit_code == 0
    assert "only --yes does it" in done.stdout


def test_a_connector_without_commands_has_none() -> None:
    done = CliRunner().invoke(main, ["hubspot"])
    assert done.exit_code == 2
    assert "There is no command 'hubspot'" in done.stderr
