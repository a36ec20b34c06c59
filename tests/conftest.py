"""What the run of the tests says at its end."""

from __future__ import annotations

from collections import Counter
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many random lives and the like the laws were put to, by what each test recorded."""
    counted: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", ()):
        counted.update({name: value for name, value in report.user_properties if name.startswith("random ")})
    for name, value in sorted(counted.items()):
        terminalreporter.write_line(f"{value:,} {name}")
