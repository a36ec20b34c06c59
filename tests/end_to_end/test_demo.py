"""The demo: what it shows is compared with a truth that is known beforehand, and the comparison can fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from leadup.demo.check import check
from leadup.demo.play import ACTIONS, played
from leadup.demo.world import make_world


def demo(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "leadup", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=cwd)


def test_the_demo_ends_as_the_truth_says(tmp_path: Path) -> None:
    done = demo("--json", "--keep", "kept", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert len(answer["checks"]) == 6
    assert all(not one["differences"] for one in answer["checks"])
    assert (tmp_path / "kept" / "leadup.toml").is_file()
    assert answer["story"]
    again = demo("--keep", "kept", cwd=tmp_path)
    assert again.returncode == 4
    assert "exists already" in again.stderr


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 7])
def test_another_seed_holds_too(seed: int, tmp_path: Path) -> None:
    done = demo("--seed", str(seed), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_same_seed_invents_the_same_world() -> None:
    one, same, other = make_world(3), make_world(3), make_world(4)
    assert one.drops == same.drops
    assert one.drops != other.drops


@pytest.mark.slow
def test_the_comparison_sees_what_is_wrong_at_a_vendor(tmp_path: Path) -> None:
    with played(make_world(1), tmp_path / "demo", lambda _, __: None) as result:
        assert all(one.holds for one in check(result))
        stranger = result.hubspot.add_contact(email="nobody@example.com", leadup_intent="99")
        result.diary.pop()
        conversion = next(iter(result.google.account.conversions[ACTIONS["demo"]].values()))
        conversion["value"] += 1
        wrong = {one.what for one in check(result) if not one.holds}
    assert stranger
    assert {"Google's conversions", "HubSpot's properties"} <= wrong
    assert wrong & {"HubSpot's lists", "Google's lists"}
