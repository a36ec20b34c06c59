"""What the README shows works."""

import re
import subprocess
import sys
from pathlib import Path

from leadup.rules.loader import load_text

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_its_rules_load() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        assert load_text(block, connections={"hubspot", "google_ads"}).warnings == ()


def test_it_names_every_command_and_no_other() -> None:
    program = Path(sys.executable).with_name("leadup")
    shown = subprocess.run([sys.executable, str(program), "--help"], check=True, capture_output=True, text=True).stdout
    listed = shown.partition("\nCommands:\n")[2].partition("\n\n")[0]
    commands = set(re.findall(r"^  ([a-z]+)\b", listed, re.MULTILINE))
    assert commands
    assert set(re.findall(r"^\| `leadup ([a-z]+)`", README, re.MULTILINE)) == commands
