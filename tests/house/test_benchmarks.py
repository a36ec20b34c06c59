"""The benchmarks run, at a size that measures nothing, and print their ratios with the bars beside them."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
JUDGE = ["--events", "20000", "--rules", "40", "--dirty", "50", "--times", "1"]
OPERATORS = ["--signals", "5000", "--rules", "12", "--dirty", "50", "--times", "1"]
TICK = ["--persons", "100", "200", "--events", "2", "--rules", "6", "--dirty", "10", "--times", "1"]


@pytest.mark.parametrize(
    ("script", "arguments", "ratios", "bars"),
    [
        pytest.param(
            "judge.py",
            JUDGE,
            ["scan", "judge", "Polars", "DuckDB", "pandas"],
            ["8.0 x, 2,048 MiB", "1/20 of everyone"],
            marks=pytest.mark.slow,
        ),
        ("operators.py", OPERATORS, ["scan", "judge everyone", "judge the 50 persons of a tick"], ["12 x", "0.100"]),
        ("tick.py", TICK, ["judge everyone again", "tick with 10 dirty persons", "tick with no news"], ["0.050"]),
        ("ingest.py", ["--events", "300"], ["baseline", "the files source reads it", "all the way"], []),
        ("ga4.py", ["300"], ["baseline", "pages to events"], []),
        ("delivery.py", ["--rows", "300", "--times", "1"], ["baseline: plain", "build requests of", "plan joins"], []),
    ],
)
def test_a_benchmark_prints_its_ratios(
    script: str, arguments: Sequence[str], ratios: Sequence[str], bars: Sequence[str]
) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), *arguments], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ratios:
        assert re.search(rf"^{name}.* [\d.]+ s .*[\d.]+ (x|of everyone)", done.stdout, re.MULTILINE), done.stdout
    for same, rules in re.findall(r"(\d+) of (\d+) rules: the same members", done.stdout):
        assert same == rules, done.stdout
    assert re.findall(r"bar: at most (.*)$", done.stdout, re.MULTILINE) == bars
