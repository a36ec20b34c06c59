"""The demo: what it shows is compared with a truth that is known beforehand, and the comparison can fail."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import delete

from leadup.cli import main
from leadup.demo.check import check
from leadup.demo.play import ACTIONS, Played, played, rules_folder
from leadup.demo.story import story
from leadup.demo.truth import FOREVER
from leadup.demo.visitors import END, FOUND_AFTER, instant
from leadup.demo.weather import KILLS_IN_BAD_WEATHER
from leadup.demo.world import make_world
from leadup.state.tables import memberships, rejects
from leadup.types import to_us
from leadup_connectors.hubspot.sandbox.lists import Lists
from leadup_connectors.hubspot.sandbox.memberships import List

ROOT = Path(__file__).parents[2]
FEW = 20
"""Visitors, in a world that is played in seconds: one or two of each kind."""
COMPARED = [
    "what came in",
    "segments",
    "HubSpot's lists",
    "Google's lists",
    "Google's conversion actions",
    "Google's conversions",
    "HubSpot's properties",
    "what is left",
]


def demo(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "leadup", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=cwd)


# ---------------------------------------------------------------- the command


@pytest.mark.slow
def test_the_demo_ends_as_the_truth_says(tmp_path: Path) -> None:
    done = demo("--keep", "kept", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    said = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for what in COMPARED:
        assert any(line.startswith(f"right {what}:") for line in said)
    assert "09 Mar 09:30:02 Google holds demo, 288.00 EUR, once by click Cj0-ada and her hashed address" in said
    [excerpt] = re.findall(r"known beforehand:\n\n```\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    for line in filter(None, excerpt.splitlines()):
        assert " ".join(line.split()) in said, "the README shows what the demo says"

    shown = CliRunner().invoke(main, ["--config", str(tmp_path / "kept"), "status", "--json"])
    assert {one["connection"]: one["rejected"] for one in json.loads(shown.stdout)["sources"]} == {
        "crm": 2,
        "ga4": 0,
        "hubspot": 0,
        "site": 0,
    }
    again = demo("--keep", "kept", cwd=tmp_path)
    assert (again.returncode, "exists already" in again.stderr) == (4, True)


@pytest.mark.slow
def test_another_seed_holds_too_and_the_answer_is_data(tmp_path: Path) -> None:
    done = demo("--seed", "7", "--visitors", str(FEW), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert (answer["seed"], answer["holds"]) == (7, True)
    assert [one["what"] for one in answer["checks"]] == COMPARED
    assert all(one["there"] == one["joins"] - one["leaves"] for one in answer["audiences"])
    assert sum(one["joins"] for one in answer["audiences"]) > FEW / 2
    assert list(tmp_path.iterdir()) == [], "what was not to be kept is gone"


def test_a_vendor_that_does_not_do_what_it_says_ends_with_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our HubSpot emulator answers that a contact has left, and keeps it."""
    take = Lists.take

    def pretend(self: Lists, to: List, contacts: Sequence[str]) -> list[str]:
        kept = dict(to.members)
        gone = take(self, to, contacts)
        to.members |= kept
        return gone

    monkeypatch.setattr(Lists, "take", pretend)
    done = CliRunner().invoke(main, ["demo", "--visitors", str(FEW)])
    assert done.exit_code == 1, done.output
    assert "WRONG  HubSpot's lists" in done.stdout
    assert "right  Google's lists" in done.stdout
    assert "hubspot: the leave of ada@tidewater.example from 'leadup: hot' at 2026-03-10T00:53:52Z did not happen" in (
        done.stderr
    )


@pytest.mark.slow
def test_the_whole_size_holds_for_another_seed(tmp_path: Path) -> None:
    done = demo("--seed", "11", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 4])
def test_bad_weather_comes_to_the_same_end(seed: int, tmp_path: Path) -> None:
    done = demo("--seed", str(seed), "--faults", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert [one["what"] for one in answer["checks"]] == COMPARED
    assert answer["kills"] == KILLS_IN_BAD_WEATHER
    assert answer["faults"] > 50


@pytest.mark.slow
def test_bad_weather_in_a_small_world_comes_to_the_same_end(tmp_path: Path) -> None:
    done = demo("--visitors", str(FEW), "--faults", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["faults"] > 20


# ---------------------------------------------------------------- the comparison can fail


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    with played(make_world(1, FEW), tmp_path_factory.mktemp("demo") / "played", lambda _, __: None) as result:
        assert [one.differences for one in check(result)] == [()] * len(COMPARED)
        yield result


def _first(held: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(iter(held.values()))
    return found


def _one_cent_more(result: Played, undo: pytest.MonkeyPatch) -> None:
    row = _first(result.google.account.conversions[ACTIONS["demo"]])
    undo.setitem(row, "history", [{**row["history"][0], "value": row["value"] + 0.01}, *row["history"][1:]])


def _another_click(result: Played, undo: pytest.MonkeyPatch) -> None:
    undo.setitem(_first(result.google.account.conversions[ACTIONS["interest"]]), "click_id", "Cj0-somebody")


def _bid_for(result: Played, undo: pytest.MonkeyPatch) -> None:
    undo.setitem(result.google.account.goals, ("QUALIFIED_LEAD", "WEBSITE"), True)


def _reported_twice(result: Played, undo: pytest.MonkeyPatch) -> None:
    held = result.google.account.conversions[ACTIONS["demo"]]
    undo.setitem(held, "another transaction id", _first(held))


def _points_too_many(result: Played, undo: pytest.MonkeyPatch) -> None:
    contacts = result.hubspot._contacts.values.values()
    scored = max((values for values in contacts if "leadup_intent" in values), key=lambda v: int(v["leadup_intent"]))
    undo.setitem(scored, "leadup_intent", str(int(scored["leadup_intent"]) + 8))


def _a_stranger_with_a_tier(result: Played, undo: pytest.MonkeyPatch) -> None:
    stranger = next(v for v in result.hubspot._contacts.values.values() if v["email"].endswith("@harbour.example"))
    undo.setitem(stranger, "leadup_tier", "ready")


def _a_contact_taken_out(result: Played, undo: pytest.MonkeyPatch) -> None:
    there = result.hubspot._lists.living()["leadup: watched_no_demo"].members
    undo.delitem(there, next(iter(there)))


def _asked_in_vain(result: Played, undo: pytest.MonkeyPatch) -> None:
    undo.setitem(result.google.account.redundant, "join", 1 + result.again)


def _joined_a_second_late(result: Played, undo: pytest.MonkeyPatch) -> None:
    moved = next(moved for moved in result.diary if moved.vendor == "google_ads")
    late = moved._replace(at=moved.at.replace(second=moved.at.second + 1))
    undo.setattr(result, "diary", [late if one == moved else one for one in result.diary])


def _an_event_that_did_not_come(result: Played, undo: pytest.MonkeyPatch) -> None:
    undo.setitem(result.world.events, "ga4", result.world.events["ga4"] + 1)


def _not_restated(result: Played, undo: pytest.MonkeyPatch) -> None:
    held = result.google.account.conversions[ACTIONS["demo"]].values()
    row = next(row for row in held if row["value"] == 0)
    undo.setitem(row, "history", row["history"][:1])


def _complained(result: Played, undo: pytest.MonkeyPatch) -> None:
    undo.setattr(result, "troubles", ["2026-03-09 hubspot: gone"])


@pytest.mark.parametrize(
    ("tamper", "what"),
    [
        (_bid_for, "Google's conversion actions"),
        (_one_cent_more, "Google's conversions"),
        (_another_click, "Google's conversions"),
        (_reported_twice, "Google's conversions"),
        (_points_too_many, "HubSpot's properties"),
        (_a_stranger_with_a_tier, "HubSpot's properties"),
        (_a_contact_taken_out, "HubSpot's lists"),
        (_asked_in_vain, "Google's lists"),
        (_joined_a_second_late, "Google's lists"),
        (_not_restated, "Google's conversions"),
        (_an_event_that_did_not_come, "what came in"),
        (_complained, "what is left"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_the_comparison_sees_what_is_wrong(
    once: Played, monkeypatch: pytest.MonkeyPatch, tamper: Callable[[Played, pytest.MonkeyPatch], None], what: str
) -> None:
    tamper(once, monkeypatch)
    assert [one.what for one in check(once) if not one.holds] == [what]


def test_a_deal_that_is_won_in_hubspot_reaches_google_as_her_conversions_value(once: Played) -> None:
    her = once.world.heroine
    [sale] = her.sales
    with once.app.store.read() as connection:
        won = [row for batch in once.app.log.read(connection, names=["deal_won"]) for row in batch.to_pylist()]
        stages = [row for batch in once.app.log.read(connection, names=["deal_stage"]) for row in batch.to_pylist()]
    assert {row["source"] for row in won} == {"hubspot"}
    assert to_us(sale.at) in {row["at_us"] for row in won}
    assert len(stages) == 2 * len(won)
    held = once.google.state()["conversions"][ACTIONS["interest"]].values()
    [hers] = [one for one in held if one["click_id"] == her.gclid]
    assert [each["value"] for each in hers["history"]] == [4, 22, 288, 12_400]
    told = {line.what: line.at for line in story(once) if "12,400.00" in line.what}
    assert told["deal won, 12,400.00 EUR"] == instant(sale.at)
    assert told["is restated at Google: interest, 12,400.00 EUR"] == instant(sale.at + FOUND_AFTER)


def test_the_comparison_reads_the_state_itself(once: Played) -> None:
    with once.app.store.rehearsal():
        with once.app.store.write() as connection:
            connection.execute(delete(memberships).where(memberships.c.segment == "watched_no_demo"))
            connection.execute(delete(rejects))
        wrong = {one.what for one in check(once) if not one.holds}
    assert wrong == {"segments", "what came in"}


# ---------------------------------------------------------------- the world


def test_the_same_seed_invents_the_same_world_to_the_byte() -> None:
    one, same, other = make_world(3), make_world(3), make_world(4)
    assert one.drops == same.drops
    assert [her.segments for her in one.visitors] == [her.segments for her in same.visitors]
    assert one.drops != other.drops


@pytest.mark.parametrize("seed", range(20))
def test_a_world_has_all_that_it_promises(seed: int) -> None:
    world = make_world(seed)
    names = [name for drop in world.drops for name, _ in drop.files]
    assert len(set(names)) == len(names)
    assert world.events["ga4"] > 1_500
    tables = [date for drop in world.drops for date, _ in drop.tables]
    assert len(tables) > len(set(tables)), "days are written anew"
    posts = [body for drop in world.drops for body in drop.posts]
    assert len(posts) == len(set(posts)) + world.repeated, "some requests come twice"
    assert not any("@" in json.dumps(rows) for drop in world.drops for _, rows in drop.tables), "no address at GA4"
    deeds = [deed for her in world.visitors for deed in her.deeds]
    assert any(deed.late for deed in deeds)
    assert any(deed.spam for deed in deeds)
    assert any(deed.live and deed.exported for deed in deeds), "one event comes by two roads"
    assert any(0 in c.values for her in world.visitors for c in her.conversions), "a value is taken back"
    for segment in ("watched_no_demo", "form_abandoned", "pricing_twice", "video_then_pricing", "hot", "warm"):
        held = [span for her in world.visitors for span in her.segments.get(segment, [])]
        assert any(begin < until for begin, until in held)
        assert segment == "video_then_pricing" or any(until < END for _, until in held), "somebody leaves"
    asked = [her for her in world.visitors if any(deed.name == "generate_lead" for deed in her.deeds)]
    reported = sum(c.action == "demo" for her in world.visitors for c in her.conversions)
    assert 0 < reported < len(asked), "some are not reported, since they do not consent"
    assert any(her.refused < FOREVER for her in world.visitors)
    assert world.heroine.sales
    assert world.events["hubspot"] >= 3 * len(world.heroine.sales)


@pytest.mark.parametrize("visitors", [20, 5_000])
def test_a_world_may_be_small_or_large(visitors: int) -> None:
    world = make_world(1, visitors)
    addresses = [her.email for her in world.visitors if her.email]
    assert len(set(addresses)) == len(addresses)
    assert 0.9 * visitors < len(world.visitors) < 1.1 * visitors + 15


def test_the_rules_are_found_in_a_checkout_and_go_into_the_wheel() -> None:
    assert rules_folder() == ROOT / "rules"
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    target = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]["rules/demo.yaml"]
    assert ROOT / "src" / target == Path(sys.modules[played.__module__].__file__ or "").parent / "rules" / "demo.yaml"
